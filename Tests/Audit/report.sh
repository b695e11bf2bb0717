# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the checks that are shell scripts: counts, and prints the lines that Tests/run reads.

passed=0
failed=0

# expect NAME ACTUAL WANTED
expect() {
  if [ "$2" = "$3" ]; then
    echo "ok - $1"
    passed=$((passed + 1))
  else
    echo "not ok - $1: $(printf '%s' "$2" | tr '\n' ' ' | head -c 2000), wanted $(printf '%s' "$3" | tr '\n' ' ')"
    failed=$((failed + 1))
  fi
}

# succeed NAME COMMAND...: what the command prints is shown when it fails
succeed() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1 </dev/null); then
    expect "$name" 0 0
  else
    expect "$name" "${output:-exit status not 0}" "no error"
  fi
}

# Exit status 0 when something was checked and nothing failed.
summary() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}
