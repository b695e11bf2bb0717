# SPDX-License-Identifier: Apache-2.0
"""The options and divergences of xent.h in mpmath: what exact.py is for the plain functions.

One row at a time; a value comes with the scale of its ulp. Sums of terms of one sign have their own, and a gradient, in
which a part of the probability meets a part of the target, that of the larger of the two.
"""

from dataclasses import dataclass, field
from typing import Optional

import exact
from exact import INF, NAN, ONE, ZERO, Exact, own
from mpmath import expm1, fsum, isfinite, isnan, ldexp, log1p, mpf, sech, tanh
from rounding import FORMATS, rounded


@dataclass(frozen=True)
class Options:
    """Those of a row's loss, by their names in xent.h. weight is for the classes, None for all 1."""

    temperature: float = 1.0
    softcap: float = 0.0
    class_mask: Optional[list] = None
    label_smoothing: float = 0.0
    smoothing: str = "weighted"
    focal_gamma: float = 0.0
    poly_epsilon: float = 0.0
    accuracy: str = "faithful"  # of the result, not of what it is to be
    z_loss: float = 0.0
    weight: Optional[list] = field(default=None)

    def weight_of(self, c):
        return ONE if self.weight is None else mpf(self.weight[c])


class Scored:
    """One row of logits x as options make them: z, its softmax, and dz/dx.

    For f64 z is a double, as the header says: the error of rounding it is not the result's. Temperature alone is one
    division, so that z is known; what a soft cap makes is known to two ulps, and the scale of a result is then twice
    that of z, where z is larger (`reach`).
    """

    def __init__(self, logits, options, dtype):
        self.dtype = dtype
        temperature, cap = mpf(options.temperature), mpf(options.softcap)
        self.unmasked = [options.class_mask is None or bool(m) for m in options.class_mask or logits]
        self.slope = []
        z = []
        for x, stays in zip(logits, self.unmasked):
            x = mpf(x)
            value, slope = x / temperature, 1 / temperature
            if cap and not isnan(x) and x != -INF:
                bent, slope = (ONE, ZERO) if x == INF else (tanh(x / cap), sech(x / cap) ** 2 / temperature)
                value = cap * bent / temperature
            elif cap:
                slope = ZERO  # a mask, which no small change of x moves
            z.append((mpf(rounded(value)) if dtype == "f64" else value) if stays else -INF)
            self.slope.append(slope if stays else ZERO)
        self.z = z
        self.row = exact.Row(z)
        self.classes = sum(self.unmasked)
        self.reach = max([2 * abs(v) for v in z if isfinite(v)], default=ZERO) if cap and dtype == "f64" else ZERO

    def absolute(self, value, scale, factor=1):
        """A result that moves by as much as z does, times a factor."""
        return Exact(value, max(scale, factor * self.reach) if isfinite(value) else value)

    def relative(self, value, scale):
        """A result that moves by z's error in relation to itself."""
        return Exact(value, scale * max(ONE, self.reach))

    def probability(self, c):
        p = self.row.prob(c)
        return self.relative(p, p)

    def log_probability(self, c):
        loss = self.row.loss(c)
        return self.absolute(-loss, loss)

    def lse(self):
        lse = exact.lse_of(self.row)
        return self.absolute(lse.value, lse.scale)

    def entropy(self):
        if not self.row.has_softmax:
            return own(NAN)
        value = fsum(self.row.prob(c) * self.row.loss(c) for c, z in enumerate(self.z) if z != -INF)
        return self.absolute(value, value)


def factors_of_index(scored, target, options):
    """a[c] of a row with an index target: the factor of -log p[c] in its loss."""
    eps, w = mpf(options.label_smoothing), options.weight_of
    a = [ZERO] * len(scored.z)
    a[target] = (1 - eps) * w(target)
    if eps:
        for c, stays in enumerate(scored.unmasked):
            if stays:
                a[c] += eps / scored.classes * (w(target) if options.smoothing == "uniform" else w(c))
    return a


def factors_of_probabilities(scored, q, options):
    eps = mpf(options.label_smoothing)
    return [
        options.weight_of(c) * ((1 - eps) * mpf(q[c]) + eps / scored.classes) if stays else ZERO
        for c, stays in enumerate(scored.unmasked)
    ]


def dense(indices, probs, classes, ignore_index):
    """A sparse soft target as probabilities of all classes."""
    q = [ZERO] * classes
    for index, prob in zip(indices, probs):
        if index != ignore_index:
            q[index] += mpf(prob)
    return q


def z_loss(scored, options):
    lse = scored.row.lse()
    return mpf(options.z_loss) * lse * lse if options.z_loss else ZERO


def loss(scored, a, options):
    """Of a row with the factors a."""
    if not scored.row.has_softmax:
        return own(NAN)
    terms = [f * scored.row.loss(c) for c, f in enumerate(a) if f]
    terms.append(z_loss(scored, options))
    return scored.absolute(exact.add(terms), exact.add(map(abs, terms)), exact.add(map(abs, a)))


def gradient(scored, a, options, classes):
    """Of a row's loss by its logits of some classes, each with the magnitude of the larger term."""
    row = scored.row
    if not row.has_softmax:
        return [own(NAN) for _ in classes]
    lse = row.lse()
    total = exact.add(a) + (2 * mpf(options.z_loss) * lse if options.z_loss else 0)
    magnitude = exact.add(map(abs, a)) + abs(2 * mpf(options.z_loss) * lse)
    found = []
    for c in classes:
        value = (total * row.prob(c) - a[c]) * scored.slope[c]
        scale = max(magnitude * row.prob(c), abs(a[c])) * scored.slope[c]
        found.append(scored.relative(value, scale))
    return found


def _powers(scored, target, options):
    """(p, 1 - p, (1 - p)^gamma, poly_epsilon) of a target."""
    p = scored.row.prob(target)
    rest = -scored.row.grad(target, target)
    return p, rest, rest ** mpf(options.focal_gamma), mpf(options.poly_epsilon)


def focal_loss(scored, target, options):
    """w[t] * (1 - p[t])^gamma * (-log p[t] + poly_epsilon * (1 - p[t])), and the z-loss."""
    if not scored.row.has_softmax:
        return own(NAN)
    p, rest, power, poly = _powers(scored, target, options)
    w = options.weight_of(target)
    terms = [w * power * scored.row.loss(target), w * power * poly * rest, z_loss(scored, options)]
    return scored.absolute(exact.add(terms), exact.add(map(abs, terms)), abs(w))


def focal_gradient(scored, target, options, classes):
    """w[t] * F'(u) * (p[c] - (c == t)) with u = -log p[t]; d(1 - p)/du = p."""
    row = scored.row
    if not row.has_softmax:
        return [own(NAN) for _ in classes]
    p, rest, power, poly = _powers(scored, target, options)
    gamma, u, w = mpf(options.focal_gamma), row.loss(target), options.weight_of(target)
    # 0 in the limits of p and 1 - p, where u or the power is infinite.
    steep = gamma * rest ** (gamma - 1) * p if gamma and p and rest else ZERO
    slopes = [w * steep * u if steep else ZERO, w * steep * poly * rest, w * power, w * power * poly * p]
    total, magnitude = exact.add(slopes), exact.add(map(abs, slopes))
    extra = 2 * mpf(options.z_loss) * row.lse() if options.z_loss else ZERO
    found = []
    for c in classes:
        parts = (total * row.grad(c, target), extra * row.prob(c))
        scale = max(magnitude * abs(row.grad(c, target)), *map(abs, parts))
        found.append(scored.relative(exact.add(parts) * scored.slope[c], scale * scored.slope[c]))
    return found


# ---- Divergences -----------------------------------------------------------------------------------------------------


def divergence(kind, student, teacher):
    """(loss, gradient by the student's logits) of a row; p is the teacher's distribution and q the student's.

    Each is a sum over classes of a probability times log p - log q. The scale is that of the largest such term; and as
    the difference of the logarithms is formed in f64, no less than what an ulp of theirs makes of it there.
    """
    if not (student.row.has_softmax and teacher.row.has_softmax):
        return own(NAN), [own(NAN)] * len(student.z)
    pairs = [_Pair(student, teacher, c) for c in range(len(student.z))]
    value, terms, slopes = _DIVERGENCES[kind](pairs)
    gradient = [Exact(v * s, scale * abs(s)) for (v, scale), s in zip(slopes, student.slope)]
    return Exact(value, max([abs(value), *terms]) if isfinite(value) else value), gradient


class _Pair:
    """A class's p and q and their logarithms."""

    def __init__(self, student, teacher, c):
        self.p, self.log_p = teacher.row.prob(c), -teacher.row.loss(c)
        self.q, self.log_q = student.row.prob(c), -student.row.loss(c)
        sizes = [abs(v) for v in (self.log_p, self.log_q, student.reach) if isfinite(v)]
        self.size = ldexp(max(sizes, default=ZERO), FORMATS[student.dtype][0] - FORMATS["f64"][0])
        self.p_to_q = self._times(self.p, self.log_p, self.log_q)
        self.q_to_p = self._times(self.q, self.log_q, self.log_p)

    @staticmethod
    def _times(p, log_p, log_q):
        """p * (log p - log q), and nothing where p is 0."""
        return ZERO if p == 0 else p * (log_p - log_q)

    def to_middle(self, p, log_p, log_q):
        """p * (log p - log m) with m = (p + q) / 2, which is p * (1 + (q / p - 1)) / 2."""
        return ZERO if p == 0 else -p * log1p(expm1(log_q - log_p) / 2)

    def scale(self, p, term):
        return max(abs(term), p * self.size)


def _kl(pairs):
    terms = [pair.scale(pair.p, pair.p_to_q) for pair in pairs]
    return exact.add(pair.p_to_q for pair in pairs), terms, _differences(pairs)


def _soft_cross_entropy(pairs):
    terms = [ZERO if pair.p == 0 else -pair.p * pair.log_q for pair in pairs]
    return exact.add(terms), terms, _differences(pairs)


def _differences(pairs):
    return [(pair.q - pair.p, max(pair.p, pair.q) * max(ONE, pair.size)) for pair in pairs]


def _reverse_kl(pairs):
    total = exact.add(pair.q_to_p for pair in pairs)
    terms = [pair.scale(pair.q, pair.q_to_p) for pair in pairs]
    slopes = [(_centred(pair.q, pair.q_to_p, total), max(term, abs(pair.q * total)))
              for pair, term in zip(pairs, terms)]  # fmt: skip
    return total, terms, slopes


def _centred(q, term, total):
    return ZERO if q == 0 else term - q * total


def _jensen_shannon(pairs):
    from_p = [pair.to_middle(pair.p, pair.log_p, pair.log_q) for pair in pairs]
    from_q = [pair.to_middle(pair.q, pair.log_q, pair.log_p) for pair in pairs]
    to_middle = exact.add(from_q)
    terms = [pair.scale(p, t) / 2 for pair, a, b in zip(pairs, from_p, from_q) for p, t in ((pair.p, a), (pair.q, b))]
    slopes = [(_centred(pair.q, t, to_middle) / 2, max(pair.scale(pair.q, t), abs(pair.q * to_middle)) / 2)
              for pair, t in zip(pairs, from_q)]  # fmt: skip
    return (exact.add(from_p) + to_middle) / 2, terms, slopes


_DIVERGENCES = {
    "kl": _kl,
    "reverse_kl": _reverse_kl,
    "soft_cross_entropy": _soft_cross_entropy,
    "jensen_shannon": _jensen_shannon,
}
