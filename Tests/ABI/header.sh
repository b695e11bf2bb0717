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
printf '%s\n' '#include <xent_xla.h>' '#include <xent_xla.h>' > "$work/xla.c"
# The constants are usable where the language asks for one, and are what bindings were built with; so are the structs,
# in the data model of every platform so far.
cat > "$work/constants.c" << 'CODE'
#include <xent.h>
#define SAME(name, condition) int name[(condition) ? 1 : -1]
SAME(status, XENT_OK == 0 && XENT_ERR_NULL == 1 && XENT_ERR_SIZE == 2 && XENT_ERR_TARGET == 3);
SAME(status2, XENT_ERR_OPTION == 4 && XENT_ERR_OVERLAP == 5 && XENT_ERR_NO_MEMORY == 6);
SAME(status3, XENT_ERR_DTYPE == 7 && XENT_ERR_UNSUPPORTED == 8);
SAME(reduction, XENT_REDUCTION_NONE == 0 && XENT_REDUCTION_MEAN == 1 && XENT_REDUCTION_SUM == 2);
SAME(reduction2, XENT_REDUCTION_MEAN_ROWS == 3);
SAME(dtype, XENT_F32 == 1 && XENT_F64 == 2 && XENT_F16 == 3 && XENT_BF16 == 4 && XENT_I8 == 5 && XENT_I16 == 6);
SAME(dtype2, XENT_I32 == 7 && XENT_I64 == 8 && XENT_U8 == 9 && XENT_U16 == 10 && XENT_U32 == 11 && XENT_U64 == 12);
SAME(choices, XENT_SMOOTHING_WEIGHTED == 0 && XENT_SMOOTHING_UNIFORM == 1 && XENT_NAN == 0 && XENT_ZERO == 1);
SAME(accuracy, XENT_ACCURACY_FAITHFUL == 0 && XENT_ACCURACY_FASTEST == 1);
SAME(kinds, XENT_KL == 0 && XENT_REVERSE_KL == 1 && XENT_SOFT_CROSS_ENTROPY == 2 && XENT_JENSEN_SHANNON == 3);
SAME(others, XENT_IGNORE_INDEX == -100 && XENT_MAX_THREADS == 1024 && XENT_MAX_TOP == 64);
SAME(types, sizeof(xent_status) == 4 && sizeof(xent_dtype) == 4);
#define AT(type, field, offset) SAME(type##_##field, offsetof(type, field) == (offset))
#if UINTPTR_MAX == 0xFFFFFFFFFFFFFFFF
SAME(sizes, sizeof(xent_tensor) == 72 && sizeof(xent_options) == 152 && sizeof(xent_outputs) == 160);
SAME(sizes2, sizeof(xent_error) == 288);
AT(xent_tensor, struct_size, 0);
AT(xent_tensor, data, 8);
AT(xent_tensor, dtype, 16);
AT(xent_tensor, outer, 24);
AT(xent_tensor, classes, 32);
AT(xent_tensor, inner, 40);
AT(xent_tensor, outer_stride, 48);
AT(xent_tensor, class_stride, 56);
AT(xent_tensor, inner_stride, 64);
AT(xent_options, struct_size, 0);
AT(xent_options, reduction, 8);
AT(xent_options, smoothing, 12);
AT(xent_options, empty_mean, 16);
AT(xent_options, masked_row, 20);
AT(xent_options, divergence, 24);
AT(xent_options, num_threads, 28);
AT(xent_options, ignore_index, 32);
AT(xent_options, label_smoothing, 40);
AT(xent_options, temperature, 48);
AT(xent_options, softcap, 56);
AT(xent_options, focal_gamma, 64);
AT(xent_options, poly_epsilon, 72);
AT(xent_options, z_loss, 80);
AT(xent_options, weight, 88);
AT(xent_options, pos_weight, 96);
AT(xent_options, row_mask, 104);
AT(xent_options, class_mask, 112);
AT(xent_options, target_probs, 120);
AT(xent_options, grad_loss, 128);
AT(xent_options, gather, 136);
AT(xent_options, accuracy, 144);
AT(xent_options, reserved, 148);
AT(xent_outputs, struct_size, 0);
AT(xent_outputs, loss, 8);
AT(xent_outputs, row_loss, 16);
AT(xent_outputs, grad_logits, 24);
AT(xent_outputs, probs, 32);
AT(xent_outputs, log_probs, 40);
AT(xent_outputs, lse, 48);
AT(xent_outputs, entropy, 56);
AT(xent_outputs, max_logit, 64);
AT(xent_outputs, target_log_prob, 72);
AT(xent_outputs, z_loss, 80);
AT(xent_outputs, argmax, 88);
AT(xent_outputs, target_rank, 96);
AT(xent_outputs, top_indices, 104);
AT(xent_outputs, top_log_probs, 112);
AT(xent_outputs, gathered, 120);
AT(xent_outputs, correct, 128);
AT(xent_outputs, rows_counted, 136);
AT(xent_outputs, loss_sum, 144);
AT(xent_outputs, weight_sum, 152);
AT(xent_error, struct_size, 0);
AT(xent_error, status, 8);
AT(xent_error, row, 16);
AT(xent_error, value, 24);
AT(xent_error, message, 32);
#endif
#if XENT_VERSION != XENT_VERSION_MAJOR * 10000 + XENT_VERSION_MINOR * 100 + XENT_VERSION_PATCH
#error XENT_VERSION
#endif
CODE
# The initialisers, where a constant has to be and where it need not; what they say is looked at below.
cat > "$work/initialisers.c" << 'CODE'
#include <xent.h>
#include <stdio.h>
static const xent_options options = XENT_OPTIONS_INIT;
static const xent_outputs outputs = XENT_OUTPUTS_INIT;
static const float constant[12] = {0};
static const xent_tensor matrix = XENT_MATRIX(constant, XENT_F32, 3, 4);
static int wrong;
static void show(const char *name, const xent_tensor *t, const void *data) {
  printf("%s %d %d %d %d %d %d %d\n", name, (int)t->dtype, (int)t->outer, (int)t->classes, (int)t->inner,
         (int)t->outer_stride, (int)t->class_stride, (int)t->inner_stride);
  wrong += t->struct_size != sizeof *t || t->reserved != 0 || t->data != data;
}
int main(void) {
  double array[20];
  const xent_tensor local = XENT_MATRIX(array, XENT_F64, 4, 5), row = XENT_PER_ROW(array, XENT_F64, 7);
  const xent_tensor per_class = XENT_PER_CLASS(array, XENT_F64, 8), scalar = XENT_SCALAR(array, XENT_F64);
  show("matrix", &matrix, constant);
  show("local", &local, array);
  show("row", &row, array);
  show("class", &per_class, array);
  show("scalar", &scalar, array);
  printf("options %d %d %d %d %d %d %d %g %g %g %g %g %g\n", (int)options.reduction, (int)options.smoothing,
         (int)options.empty_mean, (int)options.masked_row, (int)options.divergence, (int)options.num_threads,
         (int)options.ignore_index, options.label_smoothing, options.temperature, options.softcap,
         options.focal_gamma, options.poly_epsilon, options.z_loss);
  wrong += options.accuracy != XENT_ACCURACY_FAITHFUL || options.reserved != 0;
  wrong += options.struct_size != sizeof options || options.weight || options.pos_weight || options.row_mask ||
           options.class_mask || options.target_probs || options.grad_loss || options.gather;
  wrong += outputs.struct_size != sizeof outputs || outputs.loss || outputs.row_loss || outputs.grad_logits ||
           outputs.probs || outputs.log_probs || outputs.lse || outputs.entropy || outputs.max_logit ||
           outputs.target_log_prob || outputs.z_loss || outputs.argmax || outputs.target_rank || outputs.top_indices ||
           outputs.top_log_probs || outputs.gathered || outputs.correct || outputs.rows_counted ||
           outputs.loss_sum || outputs.weight_sum;
  return wrong;
}
CODE
initialisers_output="matrix 1 3 4 1 4 1 1
local 2 4 5 1 5 1 1
row 2 7 1 1 1 1 1
class 2 1 8 1 8 1 1
scalar 2 1 1 1 1 1 1
options 1 0 0 0 0 0 -100 0 1 0 0 0 0"
for compiler in "${compilers[@]}"; do
  for source in alone twice xla constants initialisers; do
    succeed "xent.h $source, $compiler" $compiler $warnings -IInclude -c "$work/$source.c" -o "$work/object.o"
  done
  succeed "initialisers link, $compiler" ${CC:-cc} "$work/object.o" -o "$work/initialisers"
  expect "initialisers are what they say, $compiler" "$("$work/initialisers" || echo wrong)" "$initialisers_output"
  rm -f "$work/initialisers"
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

# The numbers are those of the formulas in f64; a gradient in bf16 has three digits.
descriptors_output="loss     0.4610 nats, 6 of 7 pixels right
classes  2 2 / 0 2
classes  2 1 / 0 0
grad     -0.0044 -0.0038  0.0082 at the first pixel"
for compiler in "${compilers[@]}"; do
  succeed "descriptors.c, $compiler" $compiler $warnings -O2 -IInclude -c bindings/c/descriptors.c \
    -o "$work/descriptors.o"
  for kind in shared static; do
    succeed "descriptors.c links, $kind, $compiler" ${CC:-cc} "$work/descriptors.o" ${!kind} -o "$work/descriptors"
    expect "descriptors.c prints its numbers, $kind, $compiler" "$("$work/descriptors" | head -4)" "$descriptors_output"
    expect "descriptors.c reports the error, $kind, $compiler" "$("$work/descriptors" | tail -1)" \
      "error    xent_cross_entropy: label_smoothing and focal_gamma do not go together"
    rm -f "$work/descriptors"
  done
  rm -f "$work/descriptors.o"
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
  succeed "five_ways.c builds, $kind" ${CC:-cc} -std=c99 -Wall -Wextra -Werror -pedantic -O2 -IInclude \
    bindings/c/five_ways.c ${!kind} -o "$work/five_ways"
  expect "five_ways.c prints the worked numbers, $kind" "$("$work/five_ways")" "$five_ways_output"
  rm -f "$work/five_ways"
done

# A program with a Swift runtime of its own, and the archive that has none.
for kind in shared static; do
  succeed "host.swift builds, $kind" "${SWIFT:-swift}c" -O -I Include Tests/ABI/host.swift \
    $(sed 's/-Wl,/-Xlinker /g; s/-Xlinker -rpath,/-Xlinker -rpath -Xlinker /; s/-pthread//' <<< "${!kind}") -o "$work/host"
  expect "host.swift and the library side by side, $kind" "$("$work/host")" right
  rm -f "$work/host"
done
summary
