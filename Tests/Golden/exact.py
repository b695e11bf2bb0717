# SPDX-License-Identifier: Apache-2.0
"""The formulas of xent.h in mpmath, from the exact values of the inputs to (exact value, scale of the ulp).

Inputs are Python floats (every f32 and f64 is one). A difference of two of them is taken without rounding, so that 3e38
and -3e38, or 1e16 and 1e16 + 2, lose nothing; what follows is rounded to PRECISION bits, far more than the 65 that the
data keeps. Nothing here is written for speed or taken from the library: each function is its formula.
"""

from dataclasses import dataclass

from mpmath import exp, fsub, fsum, isfinite, isinf, isnan, log, log1p, mp, mpf

PRECISION = 400
mp.prec = PRECISION

NAN, INF, ZERO, ONE = mpf("nan"), mpf("inf"), mpf(0), mpf(1)
NONE, MEAN, SUM = 0, 1, 2


@dataclass(frozen=True)
class Exact:
    """One output element: its value, and the magnitude at which its error is counted in ulps."""

    value: mpf
    scale: mpf


def _own(value):
    return Exact(value, abs(value))


def _difference(a, b):
    return fsub(mpf(a), mpf(b), exact=True)


class Row:
    """One row of logits and what can be asked of it."""

    def __init__(self, logits):
        self.x = [mpf(v) for v in logits]
        self.has_nan = any(isnan(v) for v in self.x)
        self.has_inf = any(v == INF for v in self.x)
        self.masked = all(v == -INF for v in self.x)
        self.has_softmax = not (self.has_nan or self.has_inf or self.masked)
        if self.has_softmax:
            self.top = max(self.x)
            # Relative to the largest logit no term overflows and mpf has no underflow.
            self.terms = [self._term(v) for v in self.x]
            self.total = fsum(self.terms)

    def _term(self, v):
        return ZERO if v == -INF else exp(_difference(v, self.top))

    def others(self, t):
        return fsum(term for k, term in enumerate(self.terms) if k != t)

    def prob(self, j):
        return self.terms[j] / self.total if self.has_softmax else NAN

    def loss(self, t):
        """log(1 + sum over k != t of exp(x[k] - x[t])), which is -log p[t]."""
        if not self.has_softmax:
            return NAN
        if self.x[t] == -INF:
            return INF
        below = _difference(self.top, self.x[t])
        if below == 0:
            return log1p(self.others(t))
        return below + log(self.total)

    def lse(self):
        if self.has_nan:
            return NAN
        if self.has_inf:
            return INF
        return -INF if self.masked else self.top + log(self.total)


def softmax(rows):
    return [_own(row.prob(j)) for row in map(Row, rows) for j in range(len(row.x))]


def log_softmax(rows):
    return [_own(-row.loss(j)) for row in map(Row, rows) for j in range(len(row.x))]


def logsumexp(rows):
    values = [Row(r).lse() for r in rows]
    return [Exact(v, max(ONE, abs(v)) if isfinite(v) else v) for v in values]


def _weights(targets, weight, ignore_index):
    """The weight of each row's target, None for a row that does not count."""
    return [None if t == ignore_index else ONE if weight is None else mpf(weight[t]) for t in targets]


def _reduce(losses, weights, reduction):
    """losses holds None for rows that do not count."""
    if reduction == NONE:
        return [_own(ZERO if loss is None else loss) for loss in losses]
    counted = [loss for loss in losses if loss is not None]
    # Losses of both signs (negative weights) cancel in the sum, so the ulp is that of the sum of their magnitudes.
    value, magnitude = _add(counted), _add([abs(loss) for loss in counted])
    if reduction == MEAN:
        denominator = _add([w for w in weights if w is not None])
        if denominator == 0:
            return [Exact(NAN, NAN)]
        value, magnitude = value / denominator, magnitude / abs(denominator)
    return [Exact(value, magnitude)]


def _add(values):
    # fsum of mpmath drops the rules of infinities in some orders; plain addition keeps IEEE's.
    total = ZERO
    for v in values:
        total += v
    return total


def _scaled(weights, reduction):
    """c of the header: the factor of each row's gradient, None for a row that does not count."""
    if reduction != MEAN:
        return weights
    denominator = _add([w for w in weights if w is not None])
    return [None if w is None else NAN if denominator == 0 else w / denominator for w in weights]


def nll(rows, targets, weight, ignore_index, reduction):
    weights = _weights(targets, weight, ignore_index)
    losses = [None if w is None else -w * mpf(r[t]) for r, t, w in zip(rows, targets, weights)]
    return _reduce(losses, weights, reduction)


def cross_entropy(rows, targets, weight, ignore_index, reduction):
    weights = _weights(targets, weight, ignore_index)
    losses = [None if w is None else w * Row(r).loss(t) for r, t, w in zip(rows, targets, weights)]
    return _reduce(losses, weights, reduction)


def cross_entropy_grad(rows, targets, weight, ignore_index, reduction):
    factors = _scaled(_weights(targets, weight, ignore_index), reduction)
    gradient = []
    for logits, t, c in zip(rows, targets, factors):
        if c is None:
            gradient += [_own(ZERO)] * len(logits)
            continue
        row = Row(logits)
        for j in range(len(logits)):
            if not row.has_softmax:
                gradient.append(_own(NAN))
            elif j == t:
                gradient.append(_own(-c * (row.others(t) / row.total)))
            else:
                gradient.append(_own(c * row.prob(j)))
    return gradient


def nll_grad(targets, classes, weight, ignore_index, reduction):
    factors = _scaled(_weights(targets, weight, ignore_index), reduction)
    return [_own(-c if c is not None and j == t else ZERO) for t, c in zip(targets, factors) for j in range(classes)]


def log_softmax_grad(log_probs, grad_log_probs):
    gradient = []
    for lp_row, g_row in zip(log_probs, grad_log_probs):
        total = _add([mpf(g) for g in g_row]) if any(isinf(g) or isnan(g) for g in g_row) else fsum(map(mpf, g_row))
        for lp, g in zip(lp_row, g_row):
            term = (ZERO if mpf(lp) == -INF else exp(mpf(lp))) * total
            value = mpf(g) - term
            gradient.append(Exact(value, max(abs(mpf(g)), abs(term), abs(value)) if isfinite(value) else value))
    return gradient
