# SPDX-License-Identifier: Apache-2.0
"""What must hold for every input: invariances, sums, and gradients against finite differences."""

import ml_dtypes
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


# ---- Options, soft targets and divergences: what is the same thing said in two ways ----------------------------------

ALL_DTYPES = st.sampled_from([np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
OUTPUTS = ("row_loss", "grad", "probs", "log_probs", "lse", "entropy", "max_logit", "argmax", "target_log_prob")


@st.composite
def batches(draw):
    """Logits of any dtype with targets and weights."""
    rows, classes = draw(SIZES)
    x = draw(arrays(np.float64, (rows, classes), elements=st.floats(-30, 30, width=32))).astype(draw(ALL_DTYPES))
    targets = draw(arrays(np.int64, rows, elements=st.integers(0, classes - 1)))
    real = np.float64 if x.dtype == np.float64 else np.float32
    return x, targets, draw(arrays(real, classes, elements=st.floats(0.125, 8, width=16)))


def same(one, other):
    for name in one._fields:
        np.testing.assert_array_equal(getattr(one, name).astype(float), getattr(other, name).astype(float), name)


def near(one, other):
    """Two results of the same numbers in different ways: each within its bound of the exact one."""
    for name in one._fields:
        got, wanted = (np.asarray(getattr(outputs, name)) for outputs in (one, other))
        eps = 2.5 * float(ml_dtypes.finfo(got.dtype).eps) if got.dtype.kind != "i" else 0
        tiny = float(ml_dtypes.finfo(got.dtype).smallest_subnormal) if eps else 0
        atol = eps if name == "lse" else 2 * tiny  # an lse near 0 has the ulp of 1
        np.testing.assert_allclose(got.astype(float), wanted.astype(float), rtol=eps, atol=atol, err_msg=name)


@given(batches(), st.data())
def test_masked_classes_are_infinite_logits(batch, data):
    x, targets, weight = batch
    mask = data.draw(arrays(np.int32, x.shape[1], elements=st.integers(0, 1)))
    hidden = np.where(mask != 0, x, x.dtype.type(-np.inf))
    one = xent.cross_entropy(x, targets, weight, class_mask=mask, reduction="none", outputs=OUTPUTS)
    other = xent.cross_entropy(hidden, targets, weight, reduction="none", outputs=OUTPUTS)
    other.grad[:, mask == 0] = np.where(np.isnan(one.grad[:, mask == 0].astype(float)), np.nan, 0)
    near(one, other)


@given(batches(), st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_a_temperature_is_a_division(batch, temperature):
    """By a power of two it is exact, for logits that are not subnormal."""
    x, targets, weight = batch
    scaled = (x.astype(np.float64) / temperature).astype(x.dtype)
    assume((scaled.astype(np.float64) * temperature == x.astype(np.float64)).all())
    one = xent.cross_entropy(x, targets, weight, temperature=temperature, outputs=("row_loss", "lse", "probs"))
    other = xent.cross_entropy(scaled, targets, weight, outputs=("row_loss", "lse", "probs"))
    near(one, other)


@given(batches())
def test_a_soft_target_of_one_class_is_an_index(batch):
    x, targets, weight = batch
    one_hot = np.eye(x.shape[1])[targets].astype(x.dtype)
    sparse = {"target": targets[:, None], "target_probs": np.ones((len(x), 1), x.dtype)}
    eps = float(ml_dtypes.finfo(weight.dtype).eps)
    index = xent.cross_entropy(x, targets, weight, reduction="none")
    for soft in ({"target": one_hot}, sparse):
        got = xent.cross_entropy(x, weight=weight, reduction="none", **soft)
        np.testing.assert_allclose(got, index, rtol=4 * eps, atol=float(np.finfo(weight.dtype).smallest_subnormal))


@given(batches(), st.data())
def test_parts_of_a_batch_make_the_whole(batch, data):
    x, targets, weight = batch
    cut = data.draw(st.integers(0, len(x)))
    names = ("loss_sum", "weight_sum", "rows_counted", "correct")
    whole = xent.cross_entropy(x, targets, weight, ignore_index=0, outputs=names)
    parts = [xent.cross_entropy(x[s], targets[s], weight, ignore_index=0, outputs=names)
             for s in (slice(cut), slice(cut, None))]  # fmt: skip
    for name in names:
        assert sum(getattr(part, name) for part in parts) == pytest.approx(getattr(whole, name), rel=1e-14), name


@given(batches(), st.data())
def test_an_output_is_the_same_in_any_company(batch, data):
    x, targets, weight = batch
    names = data.draw(st.lists(st.sampled_from(OUTPUTS), min_size=1, unique=True))
    every = xent.cross_entropy(x, targets, weight, outputs=OUTPUTS)
    some = xent.cross_entropy(x, targets, weight, outputs=names)
    same(some, every)


@given(batches(), st.sampled_from([1.0, 0.3, 7.0]))
def test_divergences(batch, temperature):
    """Of a distribution from itself nothing; never negative; Jensen-Shannon the same both ways and at most log 2."""
    student, _, _ = batch
    teacher = student[:, ::-1]
    zero = np.zeros(len(student))
    for kind in ("kl", "reverse_kl", "jensen_shannon"):
        of = lambda a, b: xent.divergence(a, b, kind, "none", temperature=temperature).astype(float)
        np.testing.assert_array_equal(of(student, student), zero)
        assert (of(student, teacher) >= 0).all()
    eps = 2 * float(ml_dtypes.finfo(np.float64 if student.dtype == np.float64 else np.float32).eps)
    np.testing.assert_allclose(of(student, teacher), of(teacher, student), rtol=eps, atol=1e-15)
    assert (of(student, teacher) <= np.log(2) * (1 + eps)).all()
    forward = xent.divergence(student, teacher, "kl", "none", temperature=temperature)
    backward = xent.divergence(teacher, student, "reverse_kl", "none", temperature=temperature)
    np.testing.assert_allclose(forward, backward, rtol=eps, atol=1e-15)


@given(batches())
def test_binary_losses_of_opposite_sides(batch):
    """With logits and labels turned round the loss is the same, and the gradient has the other sign."""
    x, _, _ = batch
    y = (np.arange(x.size).reshape(x.shape) % 5 / 4).astype(x.dtype)  # 1 - y is exact
    loss, grad = xent.binary_cross_entropy_with_logits_with_grad(x, y, reduction="none")
    other, other_grad = xent.binary_cross_entropy_with_logits_with_grad(-x, 1 - y, reduction="none")
    np.testing.assert_array_equal(loss, other)
    np.testing.assert_array_equal(grad.astype(float), -other_grad.astype(float))
