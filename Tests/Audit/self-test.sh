#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# self-test.sh: shows that the checks of symbols.sh, throws.sh and isa.sh can fail. A small library in C that is all right passes;
# then one thing at a time is made wrong, and exactly the check that is there for it has to say so.
set -u
cd "$(dirname "$0")/../.." || exit
. Tests/Audit/report.sh
: "${CC:=cc}" "${OBJCOPY:=objcopy}"
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT

# ---- symbols.sh ----------------------------------------------------------------------------------------------------

names=$(sed -n 's/^ *\(xent_[a-z0-9_]*\);.*/\1/p' Include/xent.map)
for name in $names; do echo "int $name(void) { return 0; }"; done > "$work/good.c"
# A use of both libraries, so that the linker notes that they are needed.
cat >> "$work/good.c" << 'CODE'
#include <math.h>
#include <stdlib.h>
char *secure_getenv(const char *);
double use(double x) { return fma(x, x, secure_getenv("X") != 0); }
CODE
cp Include/xent.map "$work/good.map"
flags= marks=
[ "$(uname -m)" = x86_64 ] && flags=-fcf-protection=full marks=-Wl,-z,shstk
link_flags="$marks -Wl,-z,relro -Wl,-soname,libxent.so.1 -Wl,-z,now -Wl,-z,nodelete -Wl,-z,noexecstack -s"

# make_library DIRECTORY SOURCE MAP COMPILE_FLAGS LINK_FLAGS: a libxent.so and a libxent.a
make_library() {
  mkdir -p "$1" &&
    $CC -O2 -fPIC -w $flags $4 -c "$2" -o "$1/x.o" &&
    $CC -shared -fPIC "$1/x.o" -o "$1/libxent.so" -Wl,--version-script="$3" $link_flags $5 -lm &&
    $OBJCOPY --wildcard --keep-global-symbol='xent_*' "$1/x.o" "$1/y.o" &&
    rm -f "$1/libxent.a" && ar rcs "$1/libxent.a" "$1/y.o"
}

# failures DIRECTORY: the names of the checks that fail, and the exit status
failures() {
  local output status
  output=$(Tests/Audit/symbols.sh "$1/libxent.so" "$1/libxent.a" 2>&1)
  status=$?
  sed -nE 's/^not ok - (((shared|static): )?[^:]*): .*/\1/p' <<< "$output" | paste -sd'|'
  [ $status -ne 0 ] && echo fails || echo passes
}

# wrong NAME SOURCE_LINE MAP_LINE COMPILE_FLAGS LINK_FLAGS CHECK: the good library with this added
wrong() {
  { cat "$work/good.c"; echo "$2"; } > "$work/wrong.c"
  sed "s/^  global:/  global: $3/" "$work/good.map" > "$work/wrong.map"
  make_library "$work/wrong" "$work/wrong.c" "$work/wrong.map" "$4" "$5" || exit
  expect "$1" "$(failures "$work/wrong")" "$6"$'\nfails'
}

make_library "$work/good" "$work/good.c" "$work/good.map" "" "" || exit
expect "a good library passes" "$(failures "$work/good")" $'\npasses'

wrong "an exported symbol too many" 'int extra(void) { return 1; }' 'extra;' "" "" "shared: exported symbols = header"
wrong "a static global symbol too many" 'int xent_extra(void) { return 1; }' '' "" "" "static: global symbols = header"
wrong "printf in use" '#include <stdio.h>
int shout(int x) { return printf("%d", x); }' '' "" "" "shared: imports are on the list|static: imports are on the list"
wrong "abort in use" '__attribute__((used)) static void stop(void) { abort(); }' '' "" "" \
  "shared: imports are on the list|static: imports are on the list"
wrong "another SONAME" '' '' "" "-Wl,-soname,libxent.so.2" "shared: SONAME"
wrong "another library needed" '' '' "" "-Wl,--no-as-needed -l:libgcc_s.so.1" "shared: NEEDED"
wrong "RUNPATH" '' '' "" "-Wl,-rpath,/opt" "shared: no RPATH, no RUNPATH"
wrong "more than 910000 bytes" 'const char large[910000] = {1};' '' "" "" "shared: smaller than 910000 bytes"
wrong "an executable stack" '' '' "" "-Wl,-z,execstack" "shared: stack not executable"
wrong "an object that wants an executable stack" \
  '__asm__(".section .note.GNU-stack,\"x\",@progbits\n.text");' '' "" "" "static: stack not executable"
wrong "debug sections" '' '' "-g" "" "static: no debug sections"
wrong "a weak symbol" '__attribute__((weak, used)) int xent_version_(void) { return 1; }' '' "" "" \
  "static: global symbols = header|static: no weak symbol to be merged with another's"
wrong "a C library of 2022 needed" 'unsigned arc4random(void); unsigned roll(void) { return arc4random(); }' '' "" "" \
  "shared: imports are on the list|shared: no newer C library than 2.34 is needed|static: imports are on the list"
wrong "memory both writable and executable" \
  '__asm__(".section .both,\"awx\",@progbits\n.byte 1\n.text");' '' "" \
  "-Wl,--no-warn-rwx-segments" "shared: no segment both writable and executable"

wrong "memory that stays writable" '' '' "" "-Wl,-z,norelro" "shared: full RELRO"
wrong "functions bound late" '' '' "" "-Wl,-z,lazy" "shared: full RELRO"
if [ "$(uname -m)" = x86_64 ]; then
  wrong "no landing places" '' '' "-fcf-protection=none" "" "shared: every function is a landing place"
  link_flags=${link_flags/$marks/} flags=-fcf-protection=none wrong "unfit for shadow stacks" '' '' "" "" \
    "shared: fit for shadow stacks|shared: every function is a landing place"
fi
link_flags=${link_flags/ -s/} wrong "not stripped" '' '' "" "" "shared: stripped"
link_flags=${link_flags/-Wl,-z,nodelete/} wrong "may be unloaded" '' '' "" "" "shared: stays loaded (NODELETE)"
sed -i 's/XENT_1/XENT_2/' "$work/good.map"
wrong "another symbol version" '' '' "" "" "shared: every symbol has the version XENT_1"
sed -i 's/XENT_2/XENT_1/' "$work/good.map"
sed -i '/xent_version(/d' "$work/good.c"
wrong "a function missing" '' '' "" "" "shared: exported symbols = header|static: global symbols = header"

# ---- throws.sh -----------------------------------------------------------------------------------------------------

# jumps NAME SOURCE WANTED
jumps() {
  { echo '#include <string.h>'; echo "$2"; } > "$work/throws.c"
  $CC -O2 -w -fPIC -shared -fno-builtin "$work/throws.c" -o "$work/throws.so" || exit
  expect "$1" "$(Tests/Audit/throws.sh "$work/throws.so" | sed -nE '/^not ok/ { s/^not ok - [^:]*: (.*), wanted.*/\1/; p }')" "$3"
}
jumps "a throwing function that calls memcpy passes" 'int _s1aYKF(char *a) { memcpy(a, a + 9, *a); return 1; }' ""
jumps "a function that does not throw may jump to memcpy" \
  'int _s1aYKF(void) { return 1; } void *_s1bF(char *a) { return memcpy(a, a + 9, *a); }' ""
jumps "a throwing function that jumps to memcpy" 'void *_s1aYKF(char *a) { return memcpy(a, a + 9, *a); }' "<_s1aYKF>:"
jumps "no throwing function" 'int k(void) { return 1; }' "no throwing functions found"

# ---- isa.sh --------------------------------------------------------------------------------------------------------

[ "$(uname -m)" = x86_64 ] || summary
avx2='typedef float v8 __attribute__((vector_size(32)));
__attribute__((target("avx2"))) void NAME(v8 *a, v8 *b) { *a = *a + *b; }'
avx512='typedef float v16 __attribute__((vector_size(64)));
__attribute__((target("avx512f"))) void NAME(v16 *a, v16 *b) { *a = *a + *b; }'
sse41='typedef int v4 __attribute__((vector_size(16)));
__attribute__((target("sse4.1"))) void NAME(v4 *a, v4 *b) { *a = *a * *b; }'
good="${avx2/NAME/_XentKernelsV3_sum} ${avx512/NAME/_XentKernelsV4_sum}"

# isa NAME KERNEL_SOURCE LIBRARY_SOURCE CHECKS: what isa.sh says to such objects of V3 and such a library
isa() {
  local output status
  rm -rf "$work/isa" && mkdir -p "$work/isa/XentKernelsV3.build" "$work/isa/XentKernelsV4.build"
  echo "$2" > "$work/kernel.c"
  echo "$3" > "$work/library.c"
  $CC -O2 -w -fPIC -c "$work/kernel.c" -o "$work/isa/XentKernelsV3.build/k.o" &&
    $CC -O2 -w -fPIC -c "$work/library.c" -o "$work/isa/XentKernelsV4.build/k.o" &&
    $CC -shared "$work/isa/XentKernelsV4.build/k.o" -o "$work/isa/libxent.so" || exit
  output=$(Tests/Audit/isa.sh "$work/isa" 2>&1)
  status=$?
  output=$(sed -nE '/^not ok/ { s/^not ok - (.*), wanted.*/\1/; s/ [0-9]+x$//; p }' <<< "$output")
  expect "$1" "${output:+$output$'\n'}$([ $status -ne 0 ] && echo fails || echo passes)" "$4"
}

isa "levels in their place pass" 'int k;' "$good" passes
isa "a weak function in a kernel object" '__attribute__((weak)) int sum(void) { return 1; }' "$good" \
  $'no weak function in XentKernelsV3 that others may have too: sum\nfails'
isa "AVX2 in the baseline" 'int k;' "$good ${avx2/NAME/plain_sum}" \
  $'shared: no function beyond its level: plain_sum  needs v3\nfails'
isa "SSE4.1 in the baseline" 'int k;' "$good ${sse41/NAME/plain_product}" \
  $'shared: no function beyond its level: plain_product  needs v3\nfails'
isa "AVX-512 at v3" 'int k;' "$good ${avx512/NAME/_XentKernelsV3_wide}" \
  $'shared: no function beyond its level: _XentKernelsV3_wide  needs v4\nfails'
isa "no kernels of v3 in the library" 'int k;' "${avx512/NAME/_XentKernelsV4_sum}" \
  $'shared: XentKernelsV3 has AVX code: \nfails'
summary
