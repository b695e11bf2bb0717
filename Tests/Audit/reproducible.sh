#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# reproducible.sh: builds the checkout twice more, in two other folders, and compares the bytes. `make reproducible`; not a
# part of `make check`, which would take minutes for it.
set -u
cd "$(dirname "$0")/../.." || exit
. Tests/Audit/report.sh
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT
for folder in one another/longer; do
  mkdir -p "$work/$folder" && cp -R Makefile Package.swift Sources Include Tests "$work/$folder" || exit
  make -C "$work/$folder" > "$work/log" 2>&1 || { tail -20 "$work/log"; exit 1; }
done
for library in libxent.so libxent.a; do
  succeed "$library has the same bytes from two folders" \
    cmp "$work/one/build/lib/$library" "$work/another/longer/build/lib/$library"
done
summary
