# SPDX-License-Identifier: Apache-2.0
"""Errors in ulps of what libraries gave, against the formulas of Tests/Golden/exact.py.

The ulp is that of the exact value, or of the larger number that xent.h names where terms can cancel, and never below
the smallest subnormal. What has to be NaN, infinite or beyond the largest finite number has to be exactly that.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from mpmath import ldexp, mp, mpf

sys.path.append(str(Path(__file__).resolve().parent.parent / "Golden"))
import exact
from rounding import rounded

# 75 bits more than an f64 has, at half the time of the 400 bits for which exact.py asks by itself.
mp.prec = 128

# bits of the significand, exponents of the smallest subnormal and of what is infinite
FORMATS = {"f32": (24, -149, 128), "f64": (53, -1074, 1024)}
ALL_COLUMNS = 24  # rows of so many classes are measured in every class, wider ones in about as many
BORDER = 2048
REDUCED_ROWS = 8
# name -> (reduction, weighted); beside these there is "loss", of each row without weights
REDUCED = {
    "loss, sum": (exact.SUM, False),
    "loss, mean": (exact.MEAN, False),
    "loss, weighted sum": (exact.SUM, True),
    "loss, weighted mean": (exact.MEAN, True),
}
OPERATIONS = (
    "loss", "loss, weighted", *REDUCED, "log_softmax", "softmax", "logsumexp", "gradient", "gradient at target",
    "gradient, weighted mean", "log_softmax_grad",
)  # fmt: skip


@dataclass
class Errors:
    """Of many values of one operation."""

    values: int = 0
    total: float = 0.0
    correct: int = 0
    largest: float = -1.0
    worst: Optional[tuple] = None  # (batch's place in its regime, row, class, got, exact)

    def add(self, error, correct, place, got, value):
        self.values += 1
        self.total += error
        self.correct += correct
        if error > self.largest:
            self.largest, self.worst = error, (*place, got, mp.nstr(value, 20))

    def merge(self, other):
        self.values += other.values
        self.total += other.total
        self.correct += other.correct
        if other.largest > self.largest:
            self.largest, self.worst = other.largest, other.worst

    @property
    def mean(self):
        return self.total / self.values

    @property
    def share(self):
        return self.correct / self.values


def error(got, result, dtype):
    """(|got - exact| in ulps, whether got is the number nearest to the exact value)"""
    bits, least, most = FORMATS[dtype]
    nearest = rounded(result.value, bits, least, most)
    if not math.isfinite(nearest):
        same = got == nearest or (got != got and nearest != nearest)
        return (0.0 if same else math.inf), same
    if not math.isfinite(got):
        return math.inf, False
    _, mantissa, exponent, size = result.scale._mpf_
    ulp = max(exponent + size - bits, least) if mantissa else least
    return abs(float(ldexp(mpf(got) - result.value, -ulp))), got == nearest


def columns(logits, target, random):
    """Which classes of a row to look at: all of them, or the special ones and some others."""
    classes = len(logits)
    if classes <= ALL_COLUMNS:
        return list(range(classes))
    borders = np.arange(BORDER, classes, BORDER)
    some = borders if len(borders) <= 3 else np.concatenate([borders[:1], borders[-1:], random.choice(borders, 1)])
    special = {int(target), int(np.argmax(logits)), int(np.argmin(logits)), 0, classes - 1}
    special.update(int(b) + d for b in some for d in (-1, 0))
    return sorted(special | set(random.integers(0, classes, ALL_COLUMNS - len(special)).tolist()))


def reduced_parts(rows):
    """Which rows are reduced together: a few at a time, and all."""
    return [*((first, min(first + REDUCED_ROWS, rows)) for first in range(0, rows, REDUCED_ROWS)), (0, rows)]


def measure(batch, number, log_probs, results):
    """{(subject, operation): Errors} of the arrays results[subject][name]; log_probs is what log_softmax_grad took."""
    found = {}
    dtype = batch.dtype
    targets, weight = batch.targets.tolist(), batch.weight.tolist()

    def record(operation, key, place, index, result):
        for subject, arrays in results.items():
            if key in arrays:
                got = float(arrays[key][index])
                tally = found.setdefault((subject, operation), Errors())
                tally.add(*error(got, result, dtype), (number, *place), got, result.value)

    random = np.random.default_rng(0)
    losses = []
    weights = exact.row_weights(targets, weight, None)
    factors = exact.row_factors(weights, exact.MEAN)
    for i, (logits, target) in enumerate(zip(batch.logits, targets)):
        row = exact.Row(logits.tolist())
        losses.append(row.loss(target))
        record("loss", "loss", (i, target), i, exact.own(losses[-1]))
        record("loss, weighted", "loss, weighted", (i, target), i, exact.own(weights[i] * losses[-1]))
        record("logsumexp", "logsumexp", (i, None), i, exact.lse_of(row))
        chosen = columns(logits, target, random)
        for j in chosen:
            record("softmax", "softmax", (i, j), (i, j), exact.own(row.prob(j)))
            record("log_softmax", "log_softmax", (i, j), (i, j), exact.own(-row.loss(j)))
            grad = row.grad(j, target)
            name = "gradient at target" if j == target else "gradient"
            record(name, "gradient", (i, j), (i, j), exact.own(grad))
            name = "gradient, weighted mean"
            record(name, name, (i, j), (i, j), exact.own(factors[i] * grad))
        if any("log_softmax_grad" in arrays for arrays in results.values()):
            given = (log_probs[i].tolist(), batch.grads[i].tolist())
            for j, result in zip(chosen, exact.log_softmax_grad_at(*given, chosen)):
                record("log_softmax_grad", "log_softmax_grad", (i, j), (i, j), result)
    for name, (reduction, weighted) in REDUCED.items():
        by = weights if weighted else exact.row_weights(targets, None, None)
        weighed = [w * loss for w, loss in zip(by, losses)]
        for n, (first, last) in enumerate(reduced_parts(len(losses))):
            result = exact.reduced(weighed[first:last], by[first:last], reduction)[0]
            record(name, name, (first, last), n, result)
    return found
