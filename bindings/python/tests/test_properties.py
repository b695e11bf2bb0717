# SPDX-License-Identifier: Apache-2.0
"""What must hold for every input: invariances, sums, and gradients against finite differences."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import xent

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 40))
DTYPES = st.sampled_from([np.float32, np.float64])


def logits(low=-50.0, high=50.0, dtypes=DTYPES, sizes=SIZES):
    """Small batches of finite logits of either dtype."""
    return st.tuples(dtypes, sizes).flatmap(
        lambda both: arrays(both[0], both[1], elements=st.floats(low, high, width=np.dtype(both[0]).itemsize * 8))
    )


@st.composite
def problems(draw, **kinds):
    x = draw(logits(**kinds))
    targets = draw(arrays(np.int64, len(x), elements=st.integers(0, x.shape[1] - 1)))
    weight = draw(st.none() | arrays(x.dtype, x.shape[1], elements=st.floats(0.125, 8, width=16)))
    return x, targets, weight, draw(st.sampled_from(["none", "mean", "sum"]))


@given(logits())
def test_softmax_is_a_distribution(x):
    probs = xent.softmax(x)
    eps = np.finfo(x.dtype).eps
    assert ((probs >= 0) & (probs <= 1)).all()
    np.testing.assert_allclose(probs.sum(axis=1, dtype=float), 1, rtol=2 * eps)
    assert (np.take_along_axis(probs, x.argmax(axis=1)[:, None], 1)[:, 0] == probs.max(axis=1)).all()


@given(logits())
def test_log_softmax_is_the_logarithm(x):
    log_probs = xent.log_softmax(x)
    assert (log_probs <= 0).all()
    eps = np.finfo(x.dtype).eps
    step = float(np.finfo(x.dtype).smallest_subnormal)
    # Rounding a log-probability of up to 105 changes its exponential by up to 105 eps.
    np.testing.assert_allclose(np.exp(log_probs.astype(float)), xent.softmax(x), rtol=105 * eps, atol=step)
    np.testing.assert_allclose(
        log_probs.astype(float), x.astype(float) - xent.logsumexp(x.astype(float))[:, None], rtol=eps, atol=2e-14
    )


@given(problems(), st.integers(-(2**12), 2**12))
def test_a_common_shift_changes_nothing(problem, shift):
    x, targets, weight, reduction = problem
    # To a multiple of 2**-8 the sum is exact in f32, so that the bits must be the same up to the bound.
    x = np.round(x * 256) / x.dtype.type(256)
    moved = x + x.dtype.type(shift)
    assume((moved - x.dtype.type(shift) == x).all())
    ulps = 4 * np.finfo(x.dtype).eps
    np.testing.assert_allclose(xent.softmax(moved), xent.softmax(x), rtol=ulps)
    np.testing.assert_allclose(xent.log_softmax(moved), xent.log_softmax(x), rtol=ulps)
    for got, expected in zip(
        xent.cross_entropy_with_grad(moved, targets, weight, reduction=reduction),
        xent.cross_entropy_with_grad(x, targets, weight, reduction=reduction),
    ):
        np.testing.assert_allclose(got, expected, rtol=ulps, atol=float(np.finfo(x.dtype).smallest_subnormal))


@given(problems())
def test_a_gradient_sums_to_zero(problem):
    x, targets, weight, reduction = problem
    _, grad = xent.cross_entropy_with_grad(x, targets, weight, reduction=reduction)
    size = np.abs(grad).sum(axis=1, dtype=float)
    assert (np.abs(grad.sum(axis=1, dtype=float)) <= 4 * np.finfo(x.dtype).eps * size).all()
    through = xent.log_softmax_grad(xent.log_softmax(x), np.ones_like(x))
    classes = x.shape[1]
    np.testing.assert_allclose(through.sum(axis=1, dtype=float), 0, atol=8 * classes * np.finfo(x.dtype).eps)


@given(problems(low=-8.0, high=8.0, dtypes=st.just(np.float64), sizes=st.tuples(st.integers(1, 3), st.integers(1, 6))))
def test_gradients_are_finite_differences(problem):
    x, targets, weight, reduction = problem
    total = "sum" if reduction == "none" else reduction
    _, grad = xent.cross_entropy_with_grad(x, targets, weight, reduction=reduction)
    step = 2.0**-17
    for i, j in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i, j] += step
        down[i, j] -= step
        slope = [xent.cross_entropy(v, targets, weight, reduction=total) for v in (up, down)]
        assert (slope[0] - slope[1]) / (up[i, j] - down[i, j]) == pytest.approx(grad[i, j], abs=1e-8)


@given(problems())
def test_one_pass_is_the_two_steps(problem):
    x, targets, weight, reduction = problem
    loss, grad = xent.cross_entropy_with_grad(x, targets, weight, reduction=reduction)
    named = {"weight": weight, "reduction": reduction}
    ulps = 8 * np.finfo(x.dtype).eps
    tiny = float(np.finfo(x.dtype).tiny)
    log_probs = xent.log_softmax(x)
    np.testing.assert_allclose(xent.nll_loss(log_probs, targets, **named), loss, rtol=ulps, atol=tiny)
    through = xent.nll_loss_grad(targets, x.shape[1], dtype=x.dtype, **named)
    largest = np.abs(through).max()
    # The second way rounds log_probs, up to 100 in magnitude, before it takes their exponential.
    np.testing.assert_allclose(xent.log_softmax_grad(log_probs, through), grad, atol=64 * ulps * largest)


@given(problems(), st.randoms(use_true_random=False))
def test_rows_are_independent(problem, random):
    x, targets, weight, _ = problem
    order = list(range(len(x)))
    random.shuffle(order)
    loss, grad = xent.cross_entropy_with_grad(x, targets, weight, reduction="none")
    for i in order:
        one, one_grad = xent.cross_entropy_with_grad(x[i], targets[i], weight, reduction="none")
        assert one == loss[i]
        np.testing.assert_array_equal(one_grad, grad[i])
    np.testing.assert_array_equal(xent.softmax(x[order]), xent.softmax(x)[order])


@given(problems())
def test_an_ignored_row_is_as_if_absent(problem):
    x, targets, weight, reduction = problem
    extra = np.concatenate([x[:1] * np.nan, x, x[:1] + np.inf])
    marked = np.concatenate([[-100], targets, [-100]])
    loss, grad = xent.cross_entropy_with_grad(x, targets, weight, reduction=reduction)
    got, got_grad = xent.cross_entropy_with_grad(extra, marked, weight, reduction=reduction)
    np.testing.assert_array_equal(got[1:-1] if reduction == "none" else got, loss)
    np.testing.assert_array_equal(got_grad[1:-1], grad)
    assert not got_grad[[0, -1]].any()


SPECIAL = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -2.5, 3e38, -3e38, 1e-45])


@given(DTYPES.flatmap(lambda t: arrays(t, SIZES, elements=SPECIAL.map(t))))
def test_special_values(x):
    nan = np.isnan(x).any(axis=1)
    plus = (x == np.inf).any(axis=1)
    masked = (x == -np.inf).all(axis=1)
    none = nan | plus | masked
    probs, log_probs, lse = xent.softmax(x), xent.log_softmax(x), xent.logsumexp(x)
    assert np.isnan(probs[none]).all() and np.isnan(log_probs[none]).all()
    assert not np.isnan(probs[~none]).any() and not np.isnan(log_probs[~none]).any()
    hidden = (x == -np.inf) & ~none[:, None]
    assert (probs[hidden] == 0).all() and (log_probs[hidden] == -np.inf).all()
    assert np.isnan(lse[nan]).all() and (lse[plus & ~nan] == np.inf).all() and (lse[masked] == -np.inf).all()
    assert np.isfinite(lse[~none]).all()
    loss, grad = xent.cross_entropy_with_grad(x, np.zeros(len(x), int), reduction="none")
    assert np.isnan(loss[none]).all() and np.isnan(grad[none]).all()
    assert (loss[~none] >= 0).all() and np.isfinite(grad[~none]).all()
    away = ~none & (x[:, 0] == -np.inf)
    assert (loss[away] == np.inf).all() and (grad[away, 0] == -1).all()
