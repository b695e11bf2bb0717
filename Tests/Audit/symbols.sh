#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# symbols.sh <libxent.so> <libxent.a>: what the two libraries show to the world and ask of it.
# Exactly the header's functions go out; what comes in is listed here by name, so that whoever makes the library able to
# print, exit or abort has to say so in this file. self-test.sh shows that each check can fail.
set -u
shared=$(realpath -e "$1") && static=$(realpath -e "$2") || exit 2
cd "$(dirname "$0")/../.." || exit
. Tests/Audit/report.sh
header=Include/xent_xla.h map=Include/xent.map  # includes xent.h
export LC_ALL=C
: "${CC:=cc}" "${NM:=nm}" "${READELF:=readelf}"

# C library, libm, threads; syscall is for sched_getaffinity. Not here, and not to be: printf, puts, write, exit, abort,
# raise, __assert_fail.
allowed="
fma fmaf rint rintf scalbn frexp memcpy memmove memset memcmp strcmp strlen
malloc calloc realloc free posix_memalign aligned_alloc secure_getenv sysconf
sched_getaffinity syscall sched_yield sched_getcpu clock_gettime sigfillset pthread_sigmask
pthread_atfork __register_atfork pthread_attr_destroy pthread_attr_init pthread_attr_setdetachstate
pthread_attr_setstacksize pthread_cond_broadcast pthread_cond_destroy pthread_cond_init pthread_cond_signal
pthread_cond_wait pthread_create pthread_join pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock
pthread_mutex_trylock pthread_mutex_unlock __errno_location"
# The stack protector's trap; the dynamic loader's and the compiler's own; the processor's features, from libgcc.
allowed_shared="$allowed __stack_chk_fail __cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable
_ITM_registerTMCloneTable"
allowed_static="$allowed __stack_chk_fail __cpu_indicator_init __cpu_model __cpu_features2 __dso_handle
_GLOBAL_OFFSET_TABLE_"

# Words on standard input that are not among the arguments.
not_among() { grep -vxF -f <(printf '%s\n' $*) | sort -u; }
# The header without comments and preprocessor lines: a name before a parenthesis is a function.
declared=$($CC -E -P "$header" | grep -o 'xent_[a-z0-9_]*(' | tr -d '(' | sort -u)
mapped=$(grep -o '^ *xent_[a-z0-9_]*;' "$map" | tr -d ' ;' | sort -u)
dynamic=$($READELF -dW "$shared")

expect "the header declares functions" "$([ "$(printf '%s\n' "$declared" | wc -l)" -gt 5 ] && echo yes)" yes
expect "version script = header" "$mapped" "$declared"

expect "shared: exported symbols = header" \
  "$($NM -D --defined-only "$shared" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort -u)" "$declared"
expect "shared: every symbol has the version XENT_1" \
  "$($NM -D --defined-only "$shared" | awk '$2 != "A"' | grep -v '@@XENT_1$')" ""
expect "shared: imports are on the list" \
  "$($NM -D --undefined-only "$shared" | awk '{sub(/@.*/, "", $2); print $2}' | not_among "$allowed_shared")" ""
expect "shared: no newer C library than 2.34 is needed" \
  "$($READELF -VW "$shared" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | awk -F. '$1 > 2 || $2 > 34')" ""
expect "shared: SONAME" "$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' <<<"$dynamic")" "libxent.so.1"
expect "shared: NEEDED" "$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic" | sort)" $'libc.so.6\nlibm.so.6'
expect "shared: no RPATH, no RUNPATH" "$(grep -E 'RPATH|RUNPATH' <<<"$dynamic")" ""
expect "shared: no text relocations" "$(grep -E 'TEXTREL' <<<"$dynamic")" ""
expect "shared: stays loaded (NODELETE)" "$(grep -o 'NODELETE' <<<"$dynamic")" NODELETE
expect "shared: stripped" "$($READELF -SW "$shared" | grep -oE '\.symtab|\.debug_[a-z]+' | sort -u)" ""
# Three CPU levels of kernels, each with tiles of f32 and of f64, are most of it; XLA's handlers 10,000 bytes.
expect "shared: smaller than 910000 bytes" "$([ "$(stat -c %s "$shared")" -lt 910000 ] || stat -c %s "$shared")" ""
expect "shared: stack not executable" \
  "$($READELF -lW "$shared" | awk '$1 == "GNU_STACK" {print $7}')" "RW"
expect "shared: no segment both writable and executable" \
  "$($READELF -lW "$shared" | awk '$1 == "LOAD" && /WE|W E/')" ""

expect "shared: full RELRO" \
  "$($READELF -lW "$shared" | grep -o GNU_RELRO) $(grep -o BIND_NOW <<<"$dynamic")" "GNU_RELRO BIND_NOW"
if [ "$($READELF -hW "$shared" | sed -n 's/.*Machine: *//p')" = "Advanced Micro Devices X86-64" ]; then
  expect "shared: fit for shadow stacks" "$($READELF -nW "$shared" | grep -o SHSTK)" SHSTK
  expect "shared: every function is a landing place" \
    "$(${OBJDUMP:-objdump} -d --no-show-raw-insn "$shared" | awk '
      /^[0-9a-f]+ <xent_[a-z0-9_]*(@@[A-Z0-9_]*)?>:$/ {name = $2; getline; if ($2 != "endbr64") print name}')" ""
fi

expect "static: global symbols = header" \
  "$($NM -g --defined-only "$static" | awk 'NF == 3 {print $3}' | sort -u)" "$declared"
expect "static: no weak symbol to be merged with another's" \
  "$($NM --defined-only "$static" | awk '$2 ~ /^[WVu]$/ {print $3}')" ""
expect "static: imports are on the list" \
  "$($NM --undefined-only "$static" | awk 'NF == 2 {print $2}' | not_among "$allowed_static")" ""
expect "static: no debug sections" "$($READELF -SW "$static" | grep -oE '\.debug_[a-z]+' | sort -u)" ""
# An object without this section makes the stack of the whole program executable.
expect "static: stack not executable" \
  "$($READELF -SW "$static" | awk '/\.note\.GNU-stack/ {print ($0 ~ / X /) ? "executable" : "plain"}' | sort -u)" plain
summary
