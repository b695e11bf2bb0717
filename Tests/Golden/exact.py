# SPDX-License-Identifier: Apache-2.0
"""The formulas of xent.h in mpmath, from the exact values of the inputs to (exact value, scale of the ulp).

Inputs are Python floats (every f32 and f64 is one). A difference of two of them is taken without rounding, so that 3e38
and -3e38, or 1e16 and 1e16 + 2, lose nothing; what follows is rounded to PRECISION bits, far more than the 65 that the
data keeps. Nothing here is written for speed or taken from the library: each function is its formula.
"""

from collections import Counter
from dataclasses import dataclass

from mpmath import exp, fsub, fsum, isfinite, isinf, isnan, log, log1p, mp, mpf

PRECISION = 400
mp.prec = PRECISION

NAN, INF, ZERO, ONE = mpf("nan"), mpf("inf"), mpf(0), mpf(1)
NONE, MEAN, SUM, MEAN_ROWS = 0, 1, 2, 3


@dataclass(frozen=True)
class Exact:
    """One output element: its value, and the magnitude at which its error is counted in ulps."""

    value: mpf
    scale: mpf


def own(value):
    return Exact(value, abs(value))


def _difference(a, b):
    return fsub(mpf(a), mpf(b), exact=True)


class Row:
    """One row of logits and what can be asked of it. Equal logits share one term, so that ties cost nothing."""

    def __init__(self, logits):
        self.x = logits
        self.has_nan = any(v != v for v in logits)
        self.has_inf = any(v == INF for v in logits)
        self.masked = all(v == -INF for v in logits)
        self.has_softmax = not (self.has_nan or self.has_inf or self.masked)
        if self.has_softmax:
            self.top = max(logits)
            self.count = Counter(logits)
            # Relative to the largest logit no term overflows and mpf has no underflow.
            self.terms = {v: self._term(v) for v in self.count}
            self.total = fsum(n * self.terms[v] for v, n in self.count.items())
            self.log_total = log(self.total)
            self._rest = {}

    def _term(self, v):
        return ZERO if v == -INF else exp(_difference(v, self.top))

    def others(self, t):
        """The sum without class t: added up without it, as a difference would cancel."""
        kept = self.x[t]
        if kept not in self._rest:
            self._rest[kept] = fsum((n - (v == kept)) * self.terms[v] for v, n in self.count.items())
        return self._rest[kept]

    def prob(self, j):
        return self.terms[self.x[j]] / self.total if self.has_softmax else NAN

    def grad(self, j, t):
        """p[j] - (j == t), which at the target is minus the sum of the other probabilities."""
        if not self.has_softmax:
            return NAN
        return -self.others(t) / self.total if j == t else self.prob(j)

    def loss(self, t):
        """log(1 + sum over k != t of exp(x[k] - x[t])), which is -log p[t]."""
        if not self.has_softmax:
            return NAN
        if self.x[t] == -INF:
            return INF
        below = _difference(self.top, self.x[t])
        return log1p(self.others(t)) if below == 0 else below + self.log_total

    def lse(self):
        if self.has_nan:
            return NAN
        if self.has_inf:
            return INF
        return -INF if self.masked else self.top + self.log_total


def softmax(rows):
    return [own(row.prob(j)) for row in map(Row, rows) for j in range(len(row.x))]


def log_softmax(rows):
    return [own(-row.loss(j)) for row in map(Row, rows) for j in range(len(row.x))]


def logsumexp(rows):
    return [lse_of(Row(r)) for r in rows]


def logsumexp_grad(rows, grad_lse):
    return [own(mpf(g) * row.prob(j)) for row, g in zip(map(Row, rows), grad_lse) for j in range(len(row.x))]


def lse_of(row):
    value = row.lse()
    return Exact(value, max(ONE, abs(value)) if isfinite(value) else value)


def row_weights(targets, weight, ignore_index):
    """The weight of each row's target, None for a row that does not count."""
    return [None if t == ignore_index else ONE if weight is None else mpf(weight[t]) for t in targets]


def reduced(losses, weights, reduction):
    """losses holds None for rows that do not count."""
    if reduction == NONE:
        return [own(ZERO if loss is None else loss) for loss in losses]
    counted = [loss for loss in losses if loss is not None]
    # Losses of both signs (negative weights) cancel in the sum, so the ulp is that of the sum of their magnitudes.
    value, magnitude = add(counted), add([abs(loss) for loss in counted])
    denominator = divisor(weights, reduction)
    if denominator == 0:
        return [Exact(NAN, NAN)]
    return [Exact(value / denominator, magnitude / abs(denominator))]


def divisor(weights, reduction):
    """What the reduction divides by."""
    counted = [w for w in weights if w is not None]
    return add(counted) if reduction == MEAN else mpf(len(counted)) if reduction == MEAN_ROWS else ONE


def add(values):
    # fsum of mpmath drops the rules of infinities in some orders; plain addition keeps IEEE's.
    total = ZERO
    for v in values:
        total += v
    return total


def row_factors(weights, reduction):
    """c of the header: the factor of each row's gradient, None for a row that does not count."""
    denominator = divisor(weights, reduction)
    return [None if w is None else NAN if denominator == 0 else w / denominator for w in weights]


def nll(rows, targets, weight, ignore_index, reduction):
    weights = row_weights(targets, weight, ignore_index)
    losses = [None if w is None else -w * mpf(r[t]) for r, t, w in zip(rows, targets, weights)]
    return reduced(losses, weights, reduction)


def cross_entropy(rows, targets, weight, ignore_index, reduction):
    weights = row_weights(targets, weight, ignore_index)
    losses = [None if w is None else w * Row(r).loss(t) for r, t, w in zip(rows, targets, weights)]
    return reduced(losses, weights, reduction)


def cross_entropy_grad(rows, targets, weight, ignore_index, reduction):
    factors = row_factors(row_weights(targets, weight, ignore_index), reduction)
    gradient = []
    for logits, t, c in zip(rows, targets, factors):
        if c is None:
            gradient += [own(ZERO)] * len(logits)
            continue
        row = Row(logits)
        gradient += [own(c * row.grad(j, t)) for j in range(len(logits))]
    return gradient


def binary_cross_entropy(rows, labels, weight, pos_weight, reduction):
    terms = _binary(rows, labels, weight, pos_weight, binary_loss)
    return terms if reduction == NONE else [binary_reduced(terms, len(rows), reduction)]


def binary_reduced(terms, rows, reduction):
    denominator = _binary_divisor(len(terms), rows, reduction)
    if denominator == 0:
        return Exact(NAN, NAN)
    return Exact(add([t.value for t in terms]) / denominator, add([t.scale for t in terms]) / denominator)


def binary_cross_entropy_grad(rows, labels, weight, pos_weight, reduction):
    terms = _binary(rows, labels, weight, pos_weight, binary_grad)
    denominator = _binary_divisor(len(terms), len(rows), reduction)
    return [Exact(t.value / denominator, t.scale / denominator) for t in terms]


def _binary(rows, labels, weight, pos_weight, function):
    at = lambda weights, j: ONE if weights is None else mpf(weights[j])
    return [
        function(mpf(x), mpf(y), at(weight, j), at(pos_weight, j))
        for row, row_labels in zip(rows, labels)
        for j, (x, y) in enumerate(zip(row, row_labels))
    ]


def _binary_divisor(elements, rows, reduction):
    """What the reduction divides by: the elements for a mean, weights or not."""
    return mpf({MEAN: elements, MEAN_ROWS: rows}.get(reduction, 1))


def _times(factor, value):
    """A factor of 0 makes 0 of an infinite logarithm, but not of a NaN."""
    return ZERO if factor == 0 and not isnan(value) else factor * value


def binary_loss(x, y, weight, pos_weight):
    """The loss of one element; where its two terms have different signs the ulp is that of the larger."""
    at_one, at_zero = (NAN, NAN) if isnan(x) else (softplus(-x), softplus(x))
    terms = (_times(weight, _times(pos_weight * y, at_one)), _times(weight, _times(1 - y, at_zero)))
    return _of_terms(*terms)


def binary_grad(x, y, weight, pos_weight):
    s, other = sigmoid(x), sigmoid(-x)
    return _of_terms(weight * ((1 - y) * s), -weight * (pos_weight * y * other))


def _of_terms(*terms):
    value = add(terms)
    return Exact(value, max([abs(value), *map(abs, terms)]) if isfinite(value) else value)


def softplus(x):
    """log(1 + exp(x))"""
    if isinf(x):
        return INF if x > 0 else ZERO
    return max(x, ZERO) + log1p(exp(-abs(x)))


def sigmoid(x):
    if isnan(x) or isinf(x):
        return NAN if isnan(x) else ONE if x > 0 else ZERO
    small = exp(-abs(x))
    return (ONE if x > 0 else small) / (1 + small)


def nll_grad(targets, classes, weight, ignore_index, reduction):
    factors = row_factors(row_weights(targets, weight, ignore_index), reduction)
    return [own(-c if c is not None and j == t else ZERO) for t, c in zip(targets, factors) for j in range(classes)]


def log_softmax_grad(log_probs, grad_log_probs):
    gradient = []
    for lp, g in zip(log_probs, grad_log_probs):
        gradient += log_softmax_grad_at(lp, g, range(len(lp)))
    return gradient


def log_softmax_grad_at(lp, g, classes):
    """One row's gradient, at some of its classes."""
    total = add([mpf(v) for v in g]) if any(isinf(v) or isnan(v) for v in g) else fsum(map(mpf, g))
    for j in classes:
        term = (ZERO if mpf(lp[j]) == -INF else exp(mpf(lp[j]))) * total
        value = mpf(g[j]) - term
        yield Exact(value, max(abs(mpf(g[j])), abs(term), abs(value)) if isfinite(value) else value)


def softmax_grad(probs, grad_probs):
    gradient = []
    for p, g in zip(probs, grad_probs):
        gradient += softmax_grad_at(p, g, range(len(p)))
    return gradient


def softmax_grad_at(p, g, classes):
    """One row's gradient, at some of its classes."""
    products = [mpf(a) * mpf(b) for a, b in zip(p, g)]
    total = fsum(products) if all(map(isfinite, products)) else add(products)
    for j in classes:
        yield _of_terms(products[j], -mpf(p[j]) * total)
