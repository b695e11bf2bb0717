#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""instructions.py PROGRAM [--record]: how many instructions the calls of Tests/ABI/instructions.c take.

Compares with Tests/Golden/instructions.json: a call that takes 3 % more than it did is a failure, which a noisy machine
does not hide as it hides a time. --record (`Tests/run --record-instructions`) writes the file anew, for a change that
is meant. Counted at level v3, which valgrind knows, by callgrind; its cost is a second or two.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RECORD = Path(__file__).resolve().parents[1] / "Golden/instructions.json"
TOLERANCE = 0.03
SKIPPED = 77  # as in Tests/suites.py


def count(program):
    """call -> instructions; with what callgrind said instead of them where there are none."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/out", program]
        ran = subprocess.run(
            command, env={**os.environ, "XENT_CPU_LEVEL": "v3"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        if ran.returncode:
            sys.exit(f"{' '.join(command)}: exit status {ran.returncode}\n{ran.stdout}")
        counts = {}
        for path in Path(folder).glob("out.*"):
            text = path.read_text()
            call = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            if call:
                counts[call[1]] = int(re.search(r"^totals: (\d+)$", text, re.MULTILINE)[1])
    return counts


def has_v3():
    """Whether valgrind's processor has AVX2: it has what the real one has, up to that."""
    flags = re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return flags is not None and {"avx2", "fma", "bmi2"} <= set(flags[1].split())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    if not has_v3():
        print("the processor has no AVX2, and what is recorded are the instructions of level v3")
        return SKIPPED
    counts = count(arguments.program)
    if arguments.record:
        record = {"level": "v3", "tolerance": TOLERANCE, "instructions": dict(sorted(counts.items()))}
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
        print(f"{len(counts)} passed, 0 failed")
        return 0
    record = json.loads(RECORD.read_text())
    passed = fewer = 0
    failures = []
    for call in sorted(counts.keys() | record["instructions"].keys()):
        now, before = counts.get(call), record["instructions"].get(call)
        if now is None or before is None:
            failures.append(f"not ok - {call}: {'not counted' if now is None else 'not recorded'}")
        elif now > before * (1 + record["tolerance"]):
            failures.append(f"not ok - {call}: {now} instructions, {now / before - 1:+.1%} from {before}")
        else:
            passed += 1
            fewer += now < before * (1 - record["tolerance"])
    print(*failures, sep="\n")
    if fewer:
        print(f"# {fewer} calls take less than they did: Tests/run --record-instructions keeps it so")
    print(f"{passed} passed, {len(failures)} failed")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
