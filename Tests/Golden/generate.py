#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden data, one file a function: inputs from cases*.py, exact results from exact.py (mpmath); and the
test vectors of the bindings, vectors.json (vectors.py).

    python3 Tests/Golden/generate.py            rewrites Tests/Golden/*.txt and vectors.json, byte for byte the same every time
    python3 Tests/Golden/generate.py --check    generates in memory and compares; exit status 1 if a file differs

The format is described at the top of every file (HEADER below).
"""

import argparse
import math
import sys
from itertools import chain
from pathlib import Path

import exact
from cases import row_cases
from cases_batch import batch_cases
from cases_binary import binary_cases
from cases_grad import log_softmax_grad_cases, logsumexp_grad_cases, softmax_grad_cases
from mpmath import fsub
from rounding import binade, rounded
from vectors import vectors_json

FOLDER = Path(__file__).resolve().parent
HI_BITS = {"f32": 53, "f64": 53, "f16": 40, "bf16": 40}
LO_BITS = 12
HEADER = """\
# Exact results for xent_{function}_f32, _f64, _f16 and _bf16. Written by Tests/Golden/generate.py; do not edit.
#
#   case <name> <function> <f32|f64|f16|bf16> rows <R> classes <C>
#        [reduction <0 none|1 mean|2 sum|3 mean_rows> [ignore_index <k>]]                     (all in one line)
#   <input> <numbers>     one line for each array, named and ordered as the parameters in xent.h; "weight none" is NULL
#   <output> <numbers>    three for each element: hi lo scale
#   end
#
# Reals are C99 hexadecimal floats, inf, -inf or nan; targets are decimal integers, but labels of the binary loss are
# reals. hi is the double nearest the exact result, lo the rest to {lo_bits} bits; for f16 and bf16 hi has 40 bits and
# there is no rest. The error in ulps is |got - (hi + lo)| / ulp(scale), the ulp that of the output's dtype and never
# below the smallest subnormal; losses and lse of f16 and bf16 are float. scale is |result|; for logsumexp max(1,
# |result|); for log_softmax_grad, softmax_grad and the binary loss the largest of the two terms and the result; for a
# reduced loss the sum of the magnitudes. It is rounded down to a power of two, which has the same ulp. A hi beyond the
# range of the dtype means that infinity is expected, nan that NaN is.
"""

# Of each function its arrays in the order of xent.h: the inputs by the field of Case, and the outputs by their formula.
OPTIONS = (("targets", "targets"), ("weight", "weight"))
BINARY = (("logits", "rows"), ("targets", "targets"), ("weight", "weight"), ("pos_weight", "pos_weight"))
FUNCTIONS = {
    "softmax": ((("logits", "rows"),), {"probs": lambda c: exact.softmax(c.rows)}),
    "log_softmax": ((("logits", "rows"),), {"log_probs": lambda c: exact.log_softmax(c.rows)}),
    "logsumexp": ((("logits", "rows"),), {"lse": lambda c: exact.logsumexp(c.rows)}),
    "nll": ((("log_probs", "rows"), *OPTIONS), {"loss": lambda c: exact.nll(c.rows, *options(c))}),
    "cross_entropy": ((("logits", "rows"), *OPTIONS), {"loss": lambda c: exact.cross_entropy(c.rows, *options(c))}),
    "cross_entropy_grad": (
        (("logits", "rows"), *OPTIONS),
        {"loss": lambda c: exact.cross_entropy(c.rows, *options(c)),
         "grad_logits": lambda c: exact.cross_entropy_grad(c.rows, *options(c))},
    ),
    "log_softmax_grad": (
        (("log_probs", "rows"), ("grad_log_probs", "grads")),
        {"grad_logits": lambda c: exact.log_softmax_grad(c.rows, c.grads)},
    ),
    "nll_grad": (OPTIONS, {"grad_log_probs": lambda c: exact.nll_grad(c.targets, c.classes, *options(c)[1:])}),
    "softmax_grad": (
        (("probs", "rows"), ("grad_probs", "grads")),
        {"grad_logits": lambda c: exact.softmax_grad(c.rows, c.grads)},
    ),
    "logsumexp_grad": (
        (("logits", "rows"), ("grad_lse", "grad_lse")),
        {"grad_logits": lambda c: exact.logsumexp_grad(c.rows, c.grad_lse)},
    ),
    "binary_cross_entropy": (BINARY, {"loss": lambda c: exact.binary_cross_entropy(c.rows, *binary_options(c))}),
    "binary_cross_entropy_grad": (
        BINARY,
        {"loss": lambda c: exact.binary_cross_entropy(c.rows, *binary_options(c)),
         "grad_logits": lambda c: exact.binary_cross_entropy_grad(c.rows, *binary_options(c))},
    ),
}  # fmt: skip
CASES = (row_cases, batch_cases, log_softmax_grad_cases, softmax_grad_cases, logsumexp_grad_cases, binary_cases)


def options(case):
    return case.targets, case.weight, case.ignore_index, case.reduction


def binary_options(case):
    return case.targets, case.weight, case.pos_weight, case.reduction


def real(value):
    """float.hex without the zeros: 0x1.8p+1, and 0 for zero."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 and math.copysign(1, value) > 0 else "-0" if value == 0 else str(value)
    digits, exponent = value.hex().split("p")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}p{exponent}" if fraction else f"{whole}p{exponent}"


def element(result, hi_bits):
    hi = rounded(result.value, hi_bits)
    if not math.isfinite(hi):
        return f"{real(hi)} 0 1"
    lo = rounded(fsub(result.value, hi, exact=True), LO_BITS) if hi_bits == 53 else 0.0
    return f"{real(hi)} {real(lo)} {real(binade(result.scale))}"


def numbers(values):
    """The words of an array, which may be a list of rows."""
    for value in values:
        if isinstance(value, list):
            yield from map(real, value)
        else:
            yield str(value) if isinstance(value, int) else real(value)


def lines(case):
    inputs, outputs = FUNCTIONS[case.function]
    rows = len(case.rows if case.targets is None else case.targets)
    head = f"case {case.name} {case.function} {case.dtype} rows {rows} classes {case.classes}"
    if case.targets is not None:
        head += f" reduction {case.reduction}"
        head += "" if ("pos_weight", "pos_weight") in inputs else f" ignore_index {case.ignore_index}"
    yield head
    for name, field in inputs:
        values = getattr(case, field)
        yield f"{name} none" if values is None else " ".join([name, *numbers(values)])
    for name, results in outputs.items():
        yield " ".join([name, *(element(result, HI_BITS[case.dtype]) for result in results(case))])
    yield "end"


def generate():
    texts = {f: [HEADER.format(function=f, lo_bits=LO_BITS)] for f in FUNCTIONS}
    seen = set()
    for case in chain.from_iterable(cases() for cases in CASES):
        key = (case.function, case.name, case.dtype)
        if key in seen:
            raise ValueError(f"two cases are called {key}")
        seen.add(key)
        texts[case.function].append("\n".join(lines(case)) + "\n")
    files = {FOLDER / f"{f}.txt": "\n".join(parts) for f, parts in texts.items()}
    return {**files, FOLDER / "vectors.json": vectors_json()}


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
