#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The binary interface against that of the first release, which every later one of major version 1 keeps.

    baseline.py BUILD_LIB WORK    compares, and runs programs compiled with the first release's header against today's library
    baseline.py --record          writes baseline/abi.txt and baseline/xent.h: for a new major version, and for what is added

baseline/abi.txt has a line for every function with its types, every value and every field of a struct with its offset and
size. Lines may be added; one that is gone or different is a broken interface. abidiff, where there is one, says the same
of debug information. The last line is "N passed, M failed".
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / "Tests/ABI/baseline"
CC = os.environ.get("CC", "cc").split()
STRUCTS = re.compile(r"typedef struct (xent_\w+) \{(.*?)\} \1;", re.DOTALL)
# Programs that use the whole of the header, old and new library alike.
PROGRAMS = {
    "descriptors_structs": ["descriptors", "layouts", "operations"],
    "descriptors_dtypes": ["descriptors", "layouts", "operations"],
    "errors": ["operations"],
}


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


def preprocessed(header):
    text = run([*CC, "-E", "-P", header])[1]
    return re.sub(r"\s+", " ", text)


def fields(body):
    """The names of a struct's fields."""
    for declaration in filter(None, (part.strip() for part in body.split(";"))):
        for name in declaration.split(","):
            yield re.search(r"(\w+)(\[\w+\])?$", name.strip())[1]


def interface(header):
    """A line for each fact."""
    text, source = preprocessed(header), header.read_text()
    lines = []
    for result, name, parameters in re.findall(r"(\w[\w ]*?\*?) ?\b(xent_\w+)\(([^)]*)\);", text):
        types = [re.sub(r"\s*\b\w+$", "", p.strip()) if p.strip() != "void" else "void" for p in parameters.split(",")]
        result = re.sub(r"\s+", " ", result).strip()
        lines.append(f"function {name}: {result} ({', '.join(re.sub(r' +', ' ', t) for t in types)})")
    values = sorted(set(re.findall(r"\b(XENT_[A-Z0-9_]+)\s*=\s*-?\d", source)))
    values += ["XENT_IGNORE_INDEX", "XENT_MAX_TOP", "XENT_MAX_THREADS"]
    body = [f'#include "{header}"', "#include <stdio.h>", "int main(void) {"]
    body += [f'printf("value {v} = %lld\\n", (long long){v});' for v in values]
    for name, inside in STRUCTS.findall(text):
        for field in fields(inside):
            body.append(
                f'printf("field {name}.{field}: at %zu, %zu bytes\\n", offsetof({name}, {field}), '
                f"sizeof((({name} *)0)->{field}));")  # fmt: skip
    for name in ("xent_status", "xent_dtype"):
        body.append(f'printf("type {name}: %zu bytes, %s\\n", sizeof({name}), ({name})-1 < 0 ? "signed" : "unsigned");')
    body.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "facts"
        (Path(folder) / "facts.c").write_text("\n".join(body))
        status, _, errors = run([*CC, "-w", f"{program}.c", "-o", program])
        if status:
            sys.exit(errors)
        lines += run([program])[1].splitlines()
    return sorted(lines)


class Checks:
    passed = failed = 0

    def expect(self, name, problem):
        print(f"not ok - {name}: {problem}" if problem else f"ok - {name}", flush=True)
        self.failed += bool(problem)
        self.passed += not problem


def record():
    header = ROOT / "Include/xent.h"
    shutil.copy(header, BASELINE / "xent.h")
    (BASELINE / "abi.txt").write_text("\n".join(interface(header)) + "\n")


def compare_facts(checks):
    wanted = (BASELINE / "abi.txt").read_text().splitlines()
    now = set(interface(ROOT / "Include/xent.h"))
    for kind in ("function", "value", "field", "type"):
        lines = [line for line in wanted if line.startswith(kind)]
        gone = [line for line in lines if line not in now]
        checks.expect(f"every {kind} of the first release ({len(lines)})", "; ".join(gone) or ("" if lines else "none"))
    # A struct may only grow at its end.
    ends = {}
    for line in wanted:
        found = re.match(r"field (\w+)\.\w+: at (\d+), (\d+) bytes", line)
        if found:
            ends[found[1]] = max(ends.get(found[1], 0), int(found[2]) + int(found[3]))
    fresh = [line for line in now if line.startswith("field") and line not in wanted]
    wrong = [line for line in fresh if int(re.search(r"at (\d+)", line)[1]) < ends.get(line.split(".")[0][6:], 0)]
    checks.expect("what is new in a struct is at its end", "; ".join(wrong))
    # The comparison can fail: a baseline of which one line differs.
    changed = [re.sub(r"int64_t|at 8", "int32_t", line) for line in wanted]
    checks.expect("a changed line is noticed", "" if any(line not in now for line in changed) else "it is not")


def compare_symbols(checks, library):
    names = {line.split()[1].rstrip(":") for line in (BASELINE / "abi.txt").read_text().splitlines()
             if line.startswith("function")}  # fmt: skip
    exported = set(re.findall(r"\b(xent_\w+)@@XENT_1\b", run(["nm", "-D", "--with-symbol-versions", library])[1]))
    checks.expect("every function is exported with its version", " ".join(sorted(names - exported)))


def compare_debug_information(checks, work):
    if not shutil.which("abidiff"):
        print("# no abidiff here (abigail-tools): the facts above say the same")
        return
    objects = []
    for kind, header in (("old", BASELINE / "xent.h"), ("new", ROOT / "Include/xent.h")):
        text = preprocessed(header)
        calls = re.findall(r"\b(xent_\w+)\([^)]*\);", text)
        uses = "\n".join(f"__typeof__({name}) *use_{name} = {name};" for name in calls)
        structs = "\n".join(f"{name} have_{name};" for name, _ in STRUCTS.findall(text))
        (work / f"{kind}.c").write_text(f'#include "{header}"\n{uses}\n{structs}\n')
        shared = work / f"lib{kind}.so"
        status, _, errors = run([*CC, "-g", "-shared", "-fPIC", "-w", work / f"{kind}.c", "-o", shared])
        checks.expect(f"a probe of the {kind} header", errors if status else "")
        objects.append(shared)
    status, output, errors = run(["abidiff", "--no-added-syms", *objects])
    # 1 an error, 2 of usage, 4 a change, 8 an incompatible one. A struct that has grown is a change.
    checks.expect("abidiff finds nothing incompatible", output + errors if status & ~4 else "")


def run_old_programs(checks, libraries, work):
    for name, parts in PROGRAMS.items():
        sources = [ROOT / f"Tests/ABI/{part}.c" for part in (name, *parts)]
        program = work / f"old-{name}"
        status, _, errors = run(
            [*CC, "-std=gnu11", "-O1", "-w", f"-I{BASELINE}", *sources, "-o", program, "-L", libraries,
             f"-Wl,-rpath,{libraries}", "-lxent", "-lm", "-pthread"])  # fmt: skip
        if not status:
            status, output, errors = run([program])
            errors = "\n".join(line for line in output.splitlines() if line.startswith("not ok"))[:500] or errors
        checks.expect(f"{name} compiled with the first release's header", (errors or f"status {status}") if status else "")


def main():
    if sys.argv[1:] == ["--record"]:
        return record()
    libraries, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    checks = Checks()
    compare_facts(checks)
    compare_symbols(checks, libraries / "libxent.so")
    compare_debug_information(checks, work.resolve())
    run_old_programs(checks, libraries, work.resolve())
    print(f"{checks.passed} passed, {checks.failed} failed")
    return checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
