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
from rounding import FORMATS, real_dtype, rounded

# 75 bits more than an f64 has, at half the time of the 400 bits for which exact.py asks by itself.
mp.prec = 128

ALL_COLUMNS = 24  # rows of so many classes are measured in every class, wider ones in about as many
BACKWARD_CLASSES = 100_000  # of wider rows the sums take too long
BORDER = 2048
REDUCED_ROWS = 8
# name -> (reduction, weighted); beside these there is "loss", of each row without weights
REDUCED = {
    "loss, sum": (exact.SUM, False),
    "loss, mean": (exact.MEAN, False),
    "loss, weighted sum": (exact.SUM, True),
    "loss, weighted mean": (exact.MEAN, True),
}
# name -> (reduction, whether there are weight and pos_weight)
BINARY_REDUCED = {"binary, mean": (exact.MEAN, False), "binary, weighted sum": (exact.SUM, True)}
REAL = ("loss", "loss, weighted", *REDUCED, "logsumexp", "binary", "binary, weighted", *BINARY_REDUCED)
OPERATIONS = (
    *REAL, "log_softmax", "softmax", "gradient", "gradient at target", "gradient, weighted mean", "log_softmax_grad",
    "softmax_grad", "logsumexp_grad", "binary gradient", "binary gradient, weighted",
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
    """(|got - exact| in ulps, whether got is the number nearest to it, or as near as that where terms can cancel)"""
    bits, least, most = FORMATS[dtype]
    nearest = rounded(result.value, bits, least, most)
    if not math.isfinite(nearest):
        same = got == nearest or (got != got and nearest != nearest)
        return (0.0 if same else math.inf), same
    if not math.isfinite(got):
        return math.inf, False
    _, mantissa, exponent, size = result.scale._mpf_
    ulp = max(exponent + size - bits, least) if mantissa else least
    off = abs(float(ldexp(mpf(got) - result.value, -ulp)))
    return off, got == nearest or off <= 0.5


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


def output_dtype(operation, dtype):
    """That of an operation on logits of a dtype."""
    return real_dtype(dtype) if operation in REAL else dtype


class Recorder:
    """Collects the errors of a batch: {(subject, operation): Errors} in `found`."""

    def __init__(self, batch, number, results):
        self.batch, self.number, self.results = batch, number, results
        self.found = {}

    def __call__(self, operation, key, place, index, result):
        dtype = output_dtype(key, self.batch.dtype)
        for subject, arrays in self.results.items():
            if key in arrays:
                got = float(arrays[key][index])
                tally = self.found.setdefault((subject, operation), Errors())
                tally.add(*error(got, result, dtype), (self.number, *place), got, result.value)

    def is_given(self, operation):
        return any(operation in arrays for arrays in self.results.values())


def measure(batch, number, given, results):
    """{(subject, operation): Errors} of the arrays results[subject][name]; given are the log_probs and probs that
    log_softmax_grad and softmax_grad took."""
    record = Recorder(batch, number, results)
    targets, weight = batch.targets.tolist(), batch.weight.tolist()

    random = np.random.default_rng(0)
    losses = []
    weights = exact.row_weights(targets, weight, None)
    factors = exact.row_factors(weights, exact.MEAN)
    for i, (logits, target) in enumerate(zip(batch.logits.astype(float), targets)):
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
            if record.is_given("logsumexp_grad"):
                product = exact.own(exact.mpf(float(batch.grad_lse[i])) * row.prob(j))
                record("logsumexp_grad", "logsumexp_grad", (i, j), (i, j), product)
        for name, formula in BACKWARD.items():
            if record.is_given(name) and len(logits) <= BACKWARD_CLASSES:
                arrays = (given[name][i].astype(float).tolist(), batch.grads[i].astype(float).tolist())
                for j, result in zip(chosen, formula(*arrays, chosen)):
                    record(name, name, (i, j), (i, j), result)
    for name, (reduction, weighted) in REDUCED.items():
        by = weights if weighted else exact.row_weights(targets, None, None)
        weighed = [w * loss for w, loss in zip(by, losses)]
        for n, (first, last) in enumerate(reduced_parts(len(losses))):
            result = exact.reduced(weighed[first:last], by[first:last], reduction)[0]
            record(name, name, (first, last), n, result)
    if record.is_given("binary"):
        measure_binary(batch, record)
    return record.found


def measure_binary(batch, record):
    """Of as many classes as are measured of the other losses, and sums where all of them were."""
    random = np.random.default_rng(0)
    classes = batch.logits.shape[1]
    terms = {False: [], True: []}
    for i, (logits, target) in enumerate(zip(batch.logits.astype(float), batch.targets)):
        for j in columns(logits, target, random):
            x, y, w, pos = (
                exact.mpf(float(v)) for v in (logits[j], batch.labels[i, j], batch.weight[j], batch.pos_weight[j])
            )
            for suffix, weights in (("", (exact.ONE, exact.ONE)), (", weighted", (w, pos))):
                loss = exact.binary_loss(x, y, *weights)
                record(f"binary{suffix}", f"binary{suffix}", (i, j), (i, j), loss)
                gradient = f"binary gradient{suffix}"
                record(gradient, gradient, (i, j), (i, j), exact.binary_grad(x, y, *weights))
                terms[bool(suffix)].append(loss)
    if classes <= ALL_COLUMNS:
        for name, (reduction, weighted) in BINARY_REDUCED.items():
            result = exact.binary_reduced(terms[weighted], len(batch.logits), reduction)
            record(name, name, (None, None), (), result)


BACKWARD = {"log_softmax_grad": exact.log_softmax_grad_at, "softmax_grad": exact.softmax_grad_at}
