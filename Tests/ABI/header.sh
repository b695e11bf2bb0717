#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# header.sh <library dir> <work dir>: xent.h in every compiler and language it promises, and the examples built from it
# against both libraries and run. What they print is compared with the numbers of the worked example.
set -u
libraries=$(realpath -e "$1") && mkdir -p "$2" && work=$(realpath -e "$2") || exit 2
cd "$(dirname "$0")/../.." || exit
. Tests/Audit/report.sh

warnings="-Wall -Wextra -Wconversion -Werror -pedantic"
compilers=("${CC:-cc} -std=c99" "${CC:-cc} -std=c11" "${CXX:-c++} -std=c++17 -x c++")
command -v clang > /dev/null && compilers+=("clang -std=c99" "clang -std=c23" "clang++ -std=c++17 -x c++")
command -v clang > /dev/null || echo "# no clang here: its nullability annotations were not tried"

echo '#include <xent.h>' > "$work/alone.c"
printf '%s\n' '#include <xent.h>' '#include <xent.h>' '#include <stdio.h>' > "$work/twice.c"
# The constants are usable where the language asks for one, and are what bindings were built with.
cat > "$work/constants.c" << 'CODE'
#include <xent.h>
int status[XENT_OK == 0 && XENT_ERR_NULL == 1 && XENT_ERR_SIZE == 2 && XENT_ERR_TARGET == 3 ? 1 : -1];
int status2[XENT_ERR_OPTION == 4 && XENT_ERR_OVERLAP == 5 && XENT_ERR_NO_MEMORY == 6 ? 1 : -1];
int reduction[XENT_REDUCTION_NONE == 0 && XENT_REDUCTION_MEAN == 1 && XENT_REDUCTION_SUM == 2 ? 1 : -1];
int others[XENT_IGNORE_INDEX == -100 && XENT_MAX_THREADS == 1024 && sizeof(xent_status) == 4 ? 1 : -1];
#if XENT_VERSION != XENT_VERSION_MAJOR * 10000 + XENT_VERSION_MINOR * 100 + XENT_VERSION_PATCH
#error XENT_VERSION
#endif
CODE
for compiler in "${compilers[@]}"; do
  for source in alone twice constants; do
    succeed "xent.h $source, $compiler" $compiler $warnings -IInclude -c "$work/$source.c" -o "$work/object.o"
  done
done
# The test of the test: a header with a fault in it does not compile.
mkdir -p "$work/broken"
sed 's/^xent_status xent_softmax_f32(const float \*XENT_NULLABLE logits,/&,/' Include/xent.h > "$work/broken/xent.h"
${CC:-cc} -std=c99 -I"$work/broken" -c "$work/alone.c" -o "$work/object.o" 2> /dev/null
expect "a broken header is noticed" "$([ $? -ne 0 ] && echo noticed)" noticed

shared="-L$libraries -Wl,-rpath,$libraries -lxent -lm"
static="-Wl,--gc-sections $libraries/libxent.a -lm -pthread"

example_output="loss  0.0556 nats
grad   0.0008  0.0022 -0.0030
grad   0.0020  0.0395 -0.0415
grad  -0.0081  0.0022  0.0060"
for compiler in "${compilers[@]}"; do
  succeed "example.c, $compiler" $compiler $warnings -O2 -IInclude -c bindings/c/example.c -o "$work/example.o"
  for kind in shared static; do
    succeed "example.c links, $kind, $compiler" ${CC:-cc} "$work/example.o" ${!kind} -o "$work/example"
    expect "example.c prints the worked numbers, $kind, $compiler" "$("$work/example" | head -4)" "$example_output"
    expect "example.c reports the error, $kind, $compiler" "$("$work/example" | tail -1)" \
      "      xent_cross_entropy_f32: targets[1] is 7, not in [0, 3) and not ignore_index (-100)"
    rm -f "$work/example"
  done
  rm -f "$work/example.o"
done

# Five ways, three reductions, a sample and a batch: 30 lines, then the two of the large logits.
five_ways_output=$(
  for sample in single batch; do
    for way in "cross_entropy" "log_softmax + nll" "log of softmax" "x - logsumexp" "max by hand"; do
      if [ $sample = single ]; then numbers=("0.0092" "0.0092" "0.0092")
      else numbers=("0.0092 0.1328 0.0247" "0.0556" "0.1668"); fi
      printf "$sample\t$way\t%s\t%s\n" none "${numbers[0]}" mean "${numbers[1]}" sum "${numbers[2]}"
    done
  done
  printf 'naive\t[1000, 2000, 7000]\tnan nan nan\nxent\t[1000, 2000, 7000]\t0.0000 0.0000 1.0000\n')
for kind in shared static; do
  succeed "five_ways.c builds, $kind" \
    ${CC:-cc} -std=c99 -Wall -Wextra -Werror -pedantic -O2 -IInclude bindings/c/five_ways.c ${!kind} -o "$work/five_ways"
  expect "five_ways.c prints the worked numbers, $kind" "$("$work/five_ways")" "$five_ways_output"
  rm -f "$work/five_ways"
done
summary
