# SPDX-License-Identifier: Apache-2.0
"""NumPy, as one writes it who wants it fast: every step into an array that is there already."""

import numpy as np
from operations import IN_PLACE, NONE, WARM
from subjects import Call, Peer, Unavailable


def _exponentials(x, out):
    """(the rows' maxima, the sums of what is left in out: exp(x - maximum))"""
    top = x.max(axis=1, keepdims=True)
    np.subtract(x, top, out=out)
    np.exp(out, out=out)
    return top, out.sum(axis=1, keepdims=True)


def _lse(p, x, out):
    top, total = _exponentials(x, out)
    return (top + np.log(total))[:, 0]


def _forward(p, x, out):
    picked = np.take_along_axis(x, p.targets[:, None], axis=1)[:, 0]
    return (float((_lse(p, x, out) - picked).mean(dtype=np.float64)),)


def _gradient(p, x, out):
    picked = np.take_along_axis(x, p.targets[:, None], axis=1)
    top, total = _exponentials(x, out)
    loss = float((top + np.log(total) - picked).mean(dtype=np.float64))
    out *= 1 / (total * p.rows)
    at_target = np.take_along_axis(out, p.targets[:, None], axis=1) - np.float32(1 / p.rows)
    np.put_along_axis(out, p.targets[:, None], at_target, axis=1)
    return loss, out


def _softmax(p, x, out):
    _, total = _exponentials(x, out)
    out *= 1 / total
    return (out,)


def _log_softmax(p, x, out):
    top, total = _exponentials(x, out)
    return (np.subtract(x, top + np.log(total), out=out),)


def _binary(p, x, out):
    # log(1 + exp(-|x|)) + max(x, 0) - x y
    np.abs(x, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)
    total = out.sum(dtype=np.float64)
    np.maximum(x, 0, out=out)
    total += out.sum(dtype=np.float64)
    np.multiply(x, p.labels, out=out)
    return (float(total - out.sum(dtype=np.float64)) / x.size,)


def _binary_gradient(p, x, out):
    (loss,) = _binary(p, x, p.out if out is x else out)
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1
    np.reciprocal(out, out=out)
    out -= p.labels
    out *= np.float32(1 / x.size)
    return loss, out


def _maker(function, names, output):
    def make(problem):
        if problem.dtype != "f32":
            raise Unavailable("no bf16 of its own")
        place = output == IN_PLACE
        x, out = (problem.in_place,) * 2 if place else (problem.logits, problem.out)
        return Call(
            lambda: function(problem, x, out), lambda got: dict(zip(names, got)), problem.restore if place else None
        )

    return make


def peer(settings):
    both = ("loss", "grad")
    table = {
        "forward": (_forward, ("loss",), (NONE,)),
        "gradient": (_gradient, both, (WARM, IN_PLACE)),
        "log_softmax": (_log_softmax, ("log_probs",), (WARM,)),
        "softmax": (_softmax, ("probs",), (WARM,)),
        "logsumexp": (lambda *args: (_lse(*args),), ("lse",), (NONE,)),
        "binary": (_binary, ("loss",), (NONE,)),
        "binary gradient": (_binary_gradient, both, (WARM, IN_PLACE)),
    }
    return Peer("NumPy", np.__version__, {
        name: [("out=", output, _maker(function, names, output)) for output in outputs]
        for name, (function, names, outputs) in table.items()
    })  # fmt: skip
