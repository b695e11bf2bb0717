#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden data, one file a function: inputs from cases.py, exact results from exact.py (mpmath).

    python3 Tests/Golden/generate.py            rewrites Tests/Golden/*.txt, byte for byte the same every time
    python3 Tests/Golden/generate.py --check    generates in memory and compares; exit status 1 if a file differs

The format is described at the top of every file (HEADER below).
"""

import argparse
import math
import sys
from pathlib import Path

import exact
from cases import all_cases
from mpmath import fsub
from rounding import binade, rounded

FOLDER = Path(__file__).resolve().parent
FUNCTIONS = (
    "softmax", "log_softmax", "logsumexp", "nll", "cross_entropy", "cross_entropy_grad", "log_softmax_grad", "nll_grad",
)  # fmt: skip
LO_BITS = 12
HEADER = """\
# Exact results for xent_{function}_f32 and _f64. Written by Tests/Golden/generate.py; do not edit.
#
#   case <name> <function> <f32|f64> rows <R> classes <C> [reduction <0 none|1 mean|2 sum> ignore_index <k>]
#   <input> <numbers>     one line for each array, named and ordered as the parameters in xent.h; "weight none" is NULL
#   <output> <numbers>    three for each element: hi lo scale
#   end
#
# Reals are C99 hexadecimal floats, inf, -inf or nan; targets are decimal integers. hi is the double nearest the exact
# result, lo the rest to {lo_bits} bits. The error in ulps is |got - (hi + lo)| / ulp(scale), the ulp that of the dtype
# and never below the smallest subnormal. scale is |result|; for logsumexp max(1, |result|); for log_softmax_grad the
# largest of its two terms and the result; for a reduced loss the sum of the magnitudes. It is rounded down to a power
# of two, which has the same ulp. A hi beyond the range of the dtype means that infinity is expected, nan that NaN is.
"""


def real(value):
    """float.hex without the zeros: 0x1.8p+1, and 0 for zero."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 and math.copysign(1, value) > 0 else "-0" if value == 0 else str(value)
    digits, exponent = value.hex().split("p")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}p{exponent}" if fraction else f"{whole}p{exponent}"


def element(result):
    hi = rounded(result.value)
    if not math.isfinite(hi):
        return f"{real(hi)} 0 1"
    lo = rounded(fsub(result.value, hi, exact=True), LO_BITS)
    return f"{real(hi)} {real(lo)} {real(binade(result.scale))}"


def line(name, values):
    return " ".join([name, *values])


def array(name, rows):
    return line(name, (real(v) for row in rows for v in row))


def results(case):
    """[(output parameter, elements)] in the order of xent.h."""
    options = (case.targets, case.weight, case.ignore_index, case.reduction)
    if case.function == "softmax":
        return [("probs", exact.softmax(case.rows))]
    if case.function == "log_softmax":
        return [("log_probs", exact.log_softmax(case.rows))]
    if case.function == "logsumexp":
        return [("lse", exact.logsumexp(case.rows))]
    if case.function == "nll":
        return [("loss", exact.nll(case.rows, *options))]
    if case.function == "cross_entropy":
        return [("loss", exact.cross_entropy(case.rows, *options))]
    if case.function == "cross_entropy_grad":
        loss = exact.cross_entropy(case.rows, *options)
        return [("loss", loss), ("grad_logits", exact.cross_entropy_grad(case.rows, *options))]
    if case.function == "nll_grad":
        return [("grad_log_probs", exact.nll_grad(case.targets, case.classes, *options[1:]))]
    return [("grad_logits", exact.log_softmax_grad(case.rows, case.grads))]


def lines(case):
    rows = len(case.rows if case.targets is None else case.targets)
    head = f"case {case.name} {case.function} {case.dtype} rows {rows} classes {case.classes}"
    if case.targets is None:
        yield head
    else:
        yield f"{head} reduction {case.reduction} ignore_index {case.ignore_index}"
    if case.function in ("nll", "log_softmax_grad"):
        yield array("log_probs", case.rows)
    elif case.function != "nll_grad":
        yield array("logits", case.rows)
    if case.grads is not None:
        yield array("grad_log_probs", case.grads)
    if case.targets is not None:
        yield line("targets", map(str, case.targets))
        yield "weight none" if case.weight is None else line("weight", map(real, case.weight))
    for name, elements in results(case):
        yield line(name, map(element, elements))
    yield "end"


def generate():
    texts = {f: [HEADER.format(function=f, lo_bits=LO_BITS)] for f in FUNCTIONS}
    seen = set()
    for case in all_cases():
        key = (case.function, case.name, case.dtype)
        if key in seen:
            raise ValueError(f"two cases are called {key}")
        seen.add(key)
        texts[case.function].append("\n".join(lines(case)) + "\n")
    return {FOLDER / f"{f}.txt": "\n".join(parts) for f, parts in texts.items()}


def main():
    parser = argparse.ArgumentParser(description="Write or check the golden data of Xent.")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check
    stale = []
    for path, text in generate().items():
        if check and (not path.exists() or path.read_bytes() != text.encode()):
            stale.append(path.name)
        elif not check:
            path.write_bytes(text.encode())
    if stale:
        sys.exit(f"golden data differs from what generate.py makes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
