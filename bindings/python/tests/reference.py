# SPDX-License-Identifier: Apache-2.0
"""The formulas of xent.h in NumPy's long double, as they stand there: slow, and nothing of it from the library.

Arrays are looked at as (rows, classes): `rows_of` puts the class axis last and the others together. What has no value
by the formulas alone (rows of NaN, of masks, rows that do not count) follows the header's text.
"""

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

wide = np.longdouble
NAN, INF = wide("nan"), wide("inf")
IS_WIDER = np.finfo(wide).nmant >= 63  # than f64: on x86-64 and AArch64 Linux


def rows_of(array, axis):
    """(rows, classes) of an array; float or integer."""
    last = np.moveaxis(np.asarray(array), axis, -1)
    size = last.shape[-1]
    return last.reshape(int(np.prod(last.shape[:-1])), size)


def from_rows(rows, shape, axis):
    """The inverse of rows_of for results with classes; `shape` is that of the logits, with another size allowed."""
    sizes = [n for k, n in enumerate(shape) if k != axis % len(shape)]
    return np.moveaxis(rows.reshape(*sizes, rows.shape[1]), -1, axis)


@dataclass
class Options:
    """Those of xent_options, for arrays that are (rows, classes) or (rows,) already."""

    weight: Optional[Any] = None
    ignore_index: int = -100
    reduction: str = "mean"
    label_smoothing: float = 0.0
    target_probs: Optional[Any] = None
    smoothing: str = "weighted"
    temperature: float = 1.0
    softcap: float = 0.0
    class_mask: Optional[Any] = None
    row_mask: Optional[Any] = None
    masked_row: str = "nan"
    empty_mean: str = "nan"
    focal_gamma: float = 0.0
    poly_epsilon: float = 0.0
    z_loss: float = 0.0
    grad_loss: Optional[Any] = None


class Softmax:
    """What the logits are and what follows from them, without a target."""

    def __init__(self, x, options):
        with np.errstate(all="ignore"):
            quotient = (x.astype(np.float64) / options.temperature).astype(wide)  # z is formed in f64
            x = x.astype(wide)
            rows, classes = x.shape
            unmasked = np.ones(classes, bool) if options.class_mask is None else np.asarray(options.class_mask) != 0
            temperature, cap = wide(options.temperature), wide(options.softcap)
            self.slope = np.full(x.shape, 1 / temperature)
            z = quotient
            if cap:
                bent = cap * np.tanh(x / cap) / temperature
                z = np.where(x == -INF, -INF, bent.astype(np.float64).astype(wide))
                self.slope = (1 / np.cosh(x / cap)) ** 2 / temperature
            self.slope[:, ~unmasked] = 0
            self.z = np.where(unmasked, z, -INF)
            self.unmasked, self.count = unmasked, int(unmasked.sum())
            self._distribution()

    def _distribution(self):
        z = self.z
        rows, classes = z.shape
        self.has_nan = np.isnan(z).any(axis=1)
        self.is_masked = (z == -INF).all(axis=1)  # also where there are no classes
        self.is_odd = self.has_nan | self.is_masked | (z == INF).any(axis=1)
        self.max_logit = z.max(axis=1, initial=-INF)
        top = np.where(self.is_odd, 0, self.max_logit)[:, None]
        terms = np.exp(z - top)
        # Without its own term: summed without it, as 1 - p would cancel.
        others = np.where(np.eye(classes, dtype=bool), 0, terms[:, None, :]).sum(axis=2)
        total = terms.sum(axis=1, keepdims=True)
        self.minus_log_p = np.where(z == top, np.log1p(others), (top - z) + np.log(total))
        self.p, self.rest = terms / total, others / total
        for array in (self.minus_log_p, self.p, self.rest):
            array[self.is_odd] = NAN
        self.lse = np.where(self.is_odd, self.max_logit, top[:, 0] + np.log(total[:, 0]))
        terms = np.where(self.p == 0, 0, self.p * np.where(self.p == 0, 0, self.minus_log_p))
        self.entropy = np.where(self.is_odd, NAN, terms.sum(axis=1))
        self.argmax = z.argmax(axis=1) if classes else np.full(rows, -1)

    def top(self, k):
        """The k largest, NaN before all, the first of equals first."""
        order = np.lexsort((np.broadcast_to(np.arange(self.z.shape[1]), self.z.shape), -self.z, ~np.isnan(self.z)))
        return order[:, :k]


def _softmax_outputs(s):
    return {"lse": s.lse, "entropy": s.entropy, "max_logit": s.max_logit, "argmax": s.argmax,
            "probs": s.p, "log_probs": -s.minus_log_p}  # fmt: skip


def _target(s, target, options):
    """(factors a of -log p, whether each row counts, its weight in a mean, its class or None)"""
    rows, classes = s.z.shape
    w = np.ones(classes, wide) if options.weight is None else np.asarray(options.weight).astype(wide)
    eps = wide(options.label_smoothing)
    each = np.where(s.unmasked, wide(1) / max(s.count, 1), 0)
    if target.dtype.kind in "iu" and options.target_probs is None:
        t = target.astype(object)
        counts = np.array([v != options.ignore_index for v in t], bool)
        t = np.array([int(v) if keep else 0 for v, keep in zip(t, counts)], int)
        own = (np.arange(classes) == t[:, None]) * np.where(counts, w[t] if classes else 0, 0)[:, None]
        spread = own.sum(axis=1, keepdims=True) if options.smoothing == "uniform" else w
        a = (1 - eps) * own + (eps * each * spread if eps else 0)
        return a, counts, np.where(counts, w[t] if classes else 0, 0), t
    if options.target_probs is None:
        q, counts = target.astype(wide), np.ones(rows, bool)
    else:
        q, counts = np.zeros((rows, classes), wide), np.zeros(rows, bool)
        for i, (index, prob) in enumerate(zip(target, np.asarray(options.target_probs).astype(wide))):
            for c, v in zip(index.astype(object), prob):
                if c != options.ignore_index:
                    q[i, c] += v
                    counts[i] = True
    return w * np.where(s.unmasked, (1 - eps) * q + eps * each, 0), counts, np.ones(rows, wide), None


def _times(a, b):
    """a * b, and 0 where a is 0."""
    return np.where(a == 0, 0, a * np.where(a == 0, 1, b))


def _factor_loss(s, t, w, options):
    """(loss, F' of each row) of focal loss and PolyLoss; F' the derivative by -log p[t]."""
    at = np.arange(len(t)), t
    u, p, rest = s.minus_log_p[at], s.p[at], s.rest[at]
    gamma, poly = wide(options.focal_gamma), wide(options.poly_epsilon)
    power = rest**gamma
    loss = w * power * (u + poly * rest)
    steep = np.where((gamma == 0) | (rest == 0) | (p == 0), 0, gamma * rest ** (gamma - 1) * p * (u + poly * rest))
    return loss, w * (steep + power * (1 + poly * p))


def cross_entropy(x, target, options, top_k=0, gather=None):
    """Every output by its name, for x of (rows, classes); and "grad size", how large the terms of the gradient are."""
    with np.errstate(all="ignore"):
        s = Softmax(x, options)
        rows, classes = s.z.shape
        a, counts, weights, t = _target(s, target, options)
        if options.row_mask is not None:
            counts &= np.asarray(options.row_mask).astype(bool)
        if options.masked_row == "zero":
            counts &= ~s.is_masked
        found = _softmax_outputs(s)
        found["z_loss"] = np.where(counts, wide(options.z_loss) * s.lse**2, wide(0))
        lse = np.where(s.is_odd, NAN, s.lse)
        extra = 2 * wide(options.z_loss) * lse if options.z_loss else np.zeros(rows, wide)
        if (options.focal_gamma or options.poly_epsilon) and classes:
            loss, bend = _factor_loss(s, t, weights, options)
            own = np.arange(classes) == t[:, None]
            grad = bend[:, None] * np.where(own, -s.rest, s.p) + extra[:, None] * s.p
            size = np.abs(bend[:, None]) * np.where(own, s.rest, s.p) + np.abs(extra)[:, None] * s.p
        else:
            loss = _times(a, s.minus_log_p).sum(axis=1)
            if t is not None and not options.label_smoothing and classes:
                loss = weights * s.minus_log_p[np.arange(rows), t]
            rest = a.sum(axis=1, keepdims=True) - a  # cancels less than a - a * p
            grad = rest * s.p - a * s.rest + extra[:, None] * s.p
            size = np.abs(a).sum(axis=1, keepdims=True) * s.p + np.abs(a) + np.abs(extra)[:, None] * s.p
        loss = np.where(counts, np.where(s.is_odd, NAN, loss) + found["z_loss"], 0)
        found["row_loss"] = loss
        divisor = {"mean": weights[counts].sum(), "mean_rows": wide(counts.sum())}.get(options.reduction, wide(1))
        found.update(reduced(loss, counts, weights[counts].sum(), divisor, options))
        g = wide(1) if options.grad_loss is None else np.asarray(options.grad_loss).astype(wide)
        factor = np.broadcast_to(g, (rows,))[:, None] / divisor * s.slope
        grad, found["grad size"] = factor * grad, np.abs(factor) * size
        grad = np.where(s.is_odd[:, None], NAN, grad)
        grad[:, ~s.unmasked] = np.where(s.is_odd[:, None], grad, 0)[:, ~s.unmasked]
        found["grad"] = np.where(counts[:, None], grad, 0)
        if t is not None:
            found.update(_index_outputs(s, t, counts))
        log_probs = -s.minus_log_p
        if options.masked_row == "zero":
            found["probs"] = np.where(s.is_masked[:, None], 0, s.p)
            found["entropy"] = np.where(s.is_masked, 0, s.entropy)
            log_probs = found["log_probs"] = np.where(s.is_masked[:, None], -np.inf, log_probs)
        if top_k:
            found["top_indices"] = s.top(top_k)
            found["top_log_probs"] = np.take_along_axis(log_probs, found["top_indices"], 1)
        if gather is not None:
            found["gathered"] = np.take_along_axis(log_probs, gather.astype(int), 1)
        return found


def _index_outputs(s, t, counts):
    rows, classes = s.z.shape
    if not classes:
        return {"target_log_prob": np.zeros(rows), "target_rank": np.full(rows, -1), "correct": 0}
    own = s.z[np.arange(rows), t][:, None]
    rank = (s.z > own).sum(axis=1) + ((s.z == own) & (np.arange(classes) < t[:, None])).sum(axis=1)
    return {
        "target_log_prob": np.where(counts, -s.minus_log_p[np.arange(rows), t], 0),
        "target_rank": np.where(counts, rank, -1),
        "correct": int((counts & (s.argmax == t)).sum()),
    }


def reduced(loss, counts, weight_sum, divisor, options):
    """The outputs of a whole call."""
    total = loss[counts].sum()
    found = {"rows_counted": int(counts.sum()), "loss_sum": total, "weight_sum": weight_sum}
    if options.reduction != "none":
        empty = options.reduction != "sum" and not counts.any()
        found["loss"] = (wide(0) if options.empty_mean == "zero" else NAN) if empty else total / divisor
    return found


def divergence(x, y, kind, options):
    """row_loss, loss and the rest for student x and teacher y of (rows, classes)."""
    with np.errstate(all="ignore"):
        student, teacher = Softmax(x, options), Softmax(y, options)
        counts = np.ones(len(x), bool) if options.row_mask is None else np.asarray(options.row_mask).astype(bool)
        odd = student.is_odd | teacher.is_odd
        if options.masked_row == "zero":
            counts &= ~(student.is_masked | teacher.is_masked)
        p, q = teacher.p, student.p
        log_p, log_q = -teacher.minus_log_p, -student.minus_log_p
        log_m = np.logaddexp(log_p, log_q) - np.log(wide(2))
        to_m, to_p = _times(q, log_q - log_m), _times(q, log_q - log_p)
        loss, grad = {
            "kl": lambda: (_times(p, log_p - log_q), q - p),
            "soft_cross_entropy": lambda: (_times(p, -log_q), q - p),
            "reverse_kl": lambda: (to_p, to_p - q * to_p.sum(axis=1, keepdims=True)),
            "jensen_shannon": lambda: (
                (_times(p, log_p - log_m) + to_m) / 2, (to_m - q * to_m.sum(axis=1, keepdims=True)) / 2),
        }[kind]()  # fmt: skip
        terms = np.where(np.isfinite(loss), np.abs(loss), 0).sum(axis=1)
        loss = np.where(counts, np.where(odd, NAN, loss.sum(axis=1)), 0)
        divisor = wide(1) if options.reduction in ("none", "sum") else wide(counts.sum())
        g = wide(1) if options.grad_loss is None else np.asarray(options.grad_loss).astype(wide)
        factor = np.broadcast_to(g, (len(x),))[:, None] / divisor * student.slope
        size = np.abs(factor) * (p + q) * (1 + terms[:, None])
        grad = factor * grad
        grad = np.where(odd[:, None], NAN, np.where(student.unmasked, grad, 0))
        return {"row_loss": loss, "grad": np.where(counts[:, None], grad, 0), "grad size": size,
                **reduced(loss, counts, wide(counts.sum()), divisor, options)}  # fmt: skip


def binary_cross_entropy(x, y, weight, pos_weight, reduction, grad_loss=None):
    """(loss, grad, how large the terms of grad are) for x of any shape."""
    with np.errstate(all="ignore"):
        x, y = x.astype(wide), y.astype(wide)
        w, pos = (wide(1) if v is None else np.asarray(v).astype(wide) for v in (weight, pos_weight))
        curve = np.log1p(np.exp(-np.abs(x)))
        at_one, at_zero = np.maximum(-x, 0) + curve, np.maximum(x, 0) + curve
        small = np.exp(-np.abs(x))
        s, other = np.where(x > 0, 1, small) / (1 + small), np.where(x > 0, small, 1) / (1 + small)
        loss = _finite_times(w, _finite_times(pos * y, at_one) + _finite_times(1 - y, at_zero))
        grad = w * ((1 - y) * s - pos * y * other)
        loss, grad = (np.where(np.isnan(x), NAN, v) for v in (loss, grad))
        divisor = x.size if reduction == "mean" else 1
        above = (1 if grad_loss is None else np.asarray(grad_loss).astype(wide)) / wide(divisor)
        size = np.abs(above * w) * (np.abs(1 - y) * s + np.abs(pos * y) * other)
        if reduction != "none":
            loss = loss.sum() / wide(divisor) if divisor else NAN
        return loss, grad * above, size


def _finite_times(a, b):
    """a * b; 0 where a is 0, but for a NaN."""
    return np.where((a == 0) & ~np.isnan(b), 0, a * b)
