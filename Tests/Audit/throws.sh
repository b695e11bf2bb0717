#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# throws.sh <libxent.so, unstripped>: no throwing function ends in a jump to memcpy, memmove or memset.
#
# Swift 6.3 makes such jumps without putting the error register back (swiftlang/swift#90477, mended in LLVM by
# llvm/llvm-project#214590), so that the caller may see an error that nobody has thrown, whatever stood in the register.
# A function that throws a type has YK in its mangled name. self-test.sh shows that this can fail.
set -u
[ -r "$1" ] || { echo "throws.sh: no $1"; exit 2; }
library=$(realpath "$1")
cd "$(dirname "$0")/../.." || exit
. Tests/Audit/report.sh
export LC_ALL=C
: "${OBJDUMP:=objdump}"

jumps=$($OBJDUMP -d --no-show-raw-insn "$library" | awk '
  /^[0-9a-f]+ <.*>:$/ {name = $2; throws = name ~ /YK/; functions += throws}
  throws && /\t(jmp|b)[a-z]* .*<(memcpy|memmove|memset)(@plt)?(\+|>)/ {print name}
  END {if (!functions) print "no throwing functions found"}')
expect "no throwing function ends in a jump to memcpy, memmove or memset" "$jumps" ""
summary
