#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# isa.sh <object dir> [<libxent.a>]: no processor meets an instruction that it has not.
#
# The kernels are one source compiled for three CPU levels and linked into one library. A function that the linker may
# merge with its namesakes in other objects (a weak one) could put v3 code where the baseline runs: so a kernel object
# of a higher level defines none but those that have the module in their name, which nobody else has. And of all
# functions, only those of the modules XentKernelsV3 and XentKernelsV4 hold instructions beyond x86-64 as it was in
# 2003; only those of V4 hold AVX-512.
# <object dir> has the objects in <module>.build/ and the unstripped libxent.so. self-test.sh shows that this can fail.
set -u
objects=$(cd "$1" && pwd) || exit
[ -r "$objects/libxent.so" ] && [ -r "${2:-$0}" ] || { echo "isa.sh: no $objects/libxent.so, or no $2"; exit 2; }
archive=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../.." || exit
. Tests/Audit/report.sh
export LC_ALL=C
: "${NM:=nm}" "${OBJDUMP:=objdump}"

# The names of functions with instructions beyond their level, and how many. Mangled names hold the module's name.
beyond_level() {
  $OBJDUMP -d --no-show-raw-insn "$1" | awk -F'\t' '
    /^[0-9a-f]+ <.*>:$/ {
      name = $0; sub(/^[0-9a-f]+ </, "", name); sub(/>:$/, "", name)
      level = name ~ /XentKernelsV4|^xentk_kernel_v4$/ ? 4 : name ~ /XentKernelsV3|^xentk_kernel_v3$/ ? 3 : 1
      functions++
      next
    }
    NF >= 2 {
      operation = $2; sub(/^(lock|rep[nz]*|bnd|notrack|data16|cs|ds|es) +/, "", operation)
      split(operation, word, " "); mnemonic = word[1]
      need = 1
      if (mnemonic ~ /^v[a-z]/ && mnemonic !~ /^ver[rw]$/) need = 3
      if (mnemonic ~ /^(andn|bextr|bls[ir]|blsmsk|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|movbe)[lq]?$/) need = 3
      if (mnemonic ~ /^(p(shufb|abs[bwd]|hadd|hsub|sign|alignr|maddubsw|mulhrsw|blend|mulld|muldq))/ ||
          mnemonic ~ /^(p(maxs[bd]|maxu[wd]|mins[bd]|minu[wd]|movsx|movzx|cmpeqq|cmpgtq))/ ||
          mnemonic ~ /^(p(cmp[ei]str|test|insr[bdq]|extr[bdq]|clmul))/ ||
          mnemonic ~ /^(phminposuw|packusdw|mpsadbw|popcnt|crc32|aes|sha1|sha256|gf2p8|lddqu|cmpxchg16b)/ ||
          mnemonic ~ /^(addsubp|haddp|hsubp|movddup|movs[hl]dup|round[sp][sd]|blendv?p|dpp[sd]|insertps|extractps)/ ||
          mnemonic ~ /^(movntdqa|adcx|adox|rdrand|rdseed|f?xsavec|tpause|serialize)/)
        need = 3
      if (operation ~ /%zmm|%k[0-7]|%[xy]mm(1[6-9]|2[0-9]|3[01])/) need = 4
      if (need > level) count[name "  needs v" need]++
    }
    END {
      if (!functions) print "no functions found"
      for (name in count) print name, count[name] "x"
    }'
}

# Only for x86-64 are there levels.
case $($OBJDUMP -f "$objects/libxent.so" | sed -n 's/^architecture: \([^,]*\),.*/\1/p') in
  i386:x86-64) ;;
  *) echo "skip - not x86-64: there is one CPU level"; expect "one CPU level" 1 1; summary ;;
esac

for level in V3 V4; do
  expect "kernel objects of $level found" "$(ls "$objects/XentKernels$level.build/" | grep -q '\.o$' && echo yes)" yes
  # Every Swift object brings the Embedded runtime along (retain, release ...), mergeable. It cannot be left out, but
  # the next check sees to it that no copy with instructions of a higher level gets into the library.
  expect "no weak function in XentKernels$level that others may have too" "$(
    for object in "$objects/XentKernels$level.build"/*.o; do
      $NM --defined-only "$object" | awk '$2 ~ /^[WVu]$/ {print $3}' |
        grep -vE "XentKernels$level|^_?swift_[a-zA-Z_]+\$|^__swift_reflection_version\$|^\\\$es16_emptyBoxStorage"
    done | sort -u)" ""
done
expect "shared: no function beyond its level" "$(beyond_level "$objects/libxent.so")" ""
# Not in vain: the kernels of the higher levels are there, under names that this script knows.
for kernels in XentKernelsV3 XentKernelsV4; do
  expect "shared: $kernels has AVX code" "$($OBJDUMP -d --no-show-raw-insn "$objects/libxent.so" |
    awk -v module="$kernels" '
      /^[0-9a-f]+ <.*>:$/ {inside = index($0, module)}
      inside && /%[yz]mm/ {print "yes"; exit}')" yes
done
[ -n "$archive" ] && expect "static: no function beyond its level" "$(beyond_level "$archive")" ""
summary
