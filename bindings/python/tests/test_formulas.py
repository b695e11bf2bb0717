# SPDX-License-Identifier: Apache-2.0
"""Whole batches against the textbook formulas in long double: many rows and wide rows, unlike the golden data."""

import numpy as np
import pytest

import xent

BOUND = {"float32": 1.0, "float64": 2.0}
SHAPES = [(1, 1), (3, 2), (64, 10), (1000, 3), (7, 129), (5, 300), (4, 2047), (3, 2050), (2, 4097), (3, 10000)]

# Long double must be wider than f64 to judge it: it is on x86-64 (64 bits) and AArch64 Linux (113).
wide = np.longdouble
pytestmark = pytest.mark.skipif(np.finfo(wide).nmant < 63, reason="long double is no wider than f64 on this machine")


def reference(x):
    """(the sum of the other classes' exponentials over the class's own, softmax, lse), each for every class."""
    x = x.astype(wide)
    top = x.max(axis=1, keepdims=True)
    e = np.exp(x - top)
    total = e.sum(axis=1, keepdims=True)
    # The sum without the largest term is added up by itself, so that total - e never cancels.
    largest = e == 1
    rest = np.where(largest, 0, e).sum(axis=1, keepdims=True) + (largest.sum(axis=1, keepdims=True) - 1)
    others = np.where(largest, rest, total - e)
    return others / e, e / total, (top + np.log(total))[:, 0], others / total


def error(got, exact, scale=None):
    scale = np.abs(exact) if scale is None else scale
    step = np.spacing(scale.astype(got.dtype)).astype(wide)
    return float((np.abs(got.astype(wide) - exact) / step).max())


@pytest.fixture(params=SHAPES, ids=lambda s: f"{s[0]}x{s[1]}")
def batch(request, rng, dtype):
    rows, classes = request.param
    spread = rng.choice([0.01, 1.0, 8.0], size=(rows, 1))
    x = (rng.normal(size=(rows, classes)) * spread + rng.normal(size=(rows, 1)) * 50).astype(dtype)
    return x, rng.integers(0, classes, rows), rng.uniform(0.1, 3, classes).astype(dtype)


def test_rowwise(batch, dtype):
    x, _, _ = batch
    ratio, probs, lse, _ = reference(x)
    bound = BOUND[dtype.name]
    assert error(xent.softmax(x), probs) <= bound
    assert error(xent.log_softmax(x), -np.log1p(ratio)) <= bound
    assert error(xent.logsumexp(x), lse, np.maximum(1, np.abs(lse))) <= bound


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_losses(batch, dtype, reduction, weighted):
    x, targets, weight = batch
    targets = np.where(np.arange(len(x)) % 5 == 3, -100, targets)
    rows, kept = np.arange(len(x)), targets != -100
    at = np.where(kept, targets, 0)
    ratio, probs, _, rest = reference(x)
    w = np.where(kept, weight[at].astype(wide) if weighted else wide(1), wide(0))
    loss = w * np.log1p(ratio[rows, at])
    factor = w
    if reduction != "none":
        loss = loss.sum() / (w.sum() if reduction == "mean" else 1)
    if reduction == "mean":
        factor = w / w.sum()
    grad = factor[:, None] * probs
    grad[rows, at] = -factor * rest[rows, at]

    named = {"weight": weight if weighted else None, "reduction": reduction}
    got, got_grad = xent.cross_entropy_with_grad(x, targets, **named)
    bound = BOUND[dtype.name]
    assert error(np.asarray(got), np.asarray(loss)) <= bound
    assert error(got_grad, grad) <= bound
    np.testing.assert_array_equal(xent.cross_entropy(x, targets, **named), got)

    log_probs = xent.log_softmax(x)
    nll = -w * log_probs[rows, at].astype(wide)
    nll = nll if reduction == "none" else nll.sum() / (w.sum() if reduction == "mean" else 1)
    assert error(np.asarray(xent.nll_loss(log_probs, targets, **named)), np.asarray(nll)) <= bound
    expected = np.zeros(x.shape, wide)
    expected[rows, at] = -factor
    assert error(xent.nll_loss_grad(targets, x.shape[1], dtype=dtype, **named), expected) <= bound


def test_log_softmax_grad(batch, rng, dtype):
    x, _, _ = batch
    log_probs, grad = xent.log_softmax(x), rng.normal(size=x.shape).astype(dtype)
    term = np.exp(log_probs.astype(wide)) * grad.astype(wide).sum(axis=1, keepdims=True)
    exact = grad - term
    scale = np.maximum(np.maximum(np.abs(grad), np.abs(term)), np.abs(exact))
    assert error(xent.log_softmax_grad(log_probs, grad), exact, scale) <= BOUND[dtype.name]


def test_five_ways_agree():
    logits = np.array([[1.0, 2, 7], [4, 7, 9], [8, 3, 4]])
    targets = [2, 2, 0]
    probs = xent.softmax(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    ways = [
        xent.cross_entropy(logits, targets, reduction="none"),
        xent.nll_loss(xent.log_softmax(logits), targets, reduction="none"),
        xent.nll_loss(np.log(probs), targets, reduction="none"),
        xent.nll_loss(logits - xent.logsumexp(logits)[:, None], targets, reduction="none"),
        xent.nll_loss(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), targets, reduction="none"),
    ]
    for way in ways:
        np.testing.assert_allclose(way, [0.00917448, 0.13284523, 0.02474489], rtol=1e-5)
