# SPDX-License-Identifier: Apache-2.0
"""Binary cross-entropy: rows, weights that broadcast, upstream gradients of every shape, plain and descriptor calls."""

import numpy as np
import pytest

import xent

loss = xent.binary_cross_entropy_with_logits
loss_and_grad = xent.binary_cross_entropy_with_logits_with_grad
SHAPE = (4, 3)
REDUCTIONS = ("none", "mean", "sum", "mean_rows")


@pytest.fixture
def problem(rng, any_dtype):
    x = (rng.normal(size=SHAPE) * 3).astype(any_dtype)
    return x, rng.integers(0, 2, SHAPE).astype(any_dtype)


def real(dtype):
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def same(one, two):
    assert np.shape(one) == np.shape(two)
    np.testing.assert_array_equal(one, two)


def test_the_formula(problem):
    x, y = problem
    weight, pos_weight = np.array([0.5, 1, 2]), np.array([1, 3, 0.25])
    z, t = x.astype(float), y.astype(float)
    expected = weight * (pos_weight * t * np.log1p(np.exp(-z)) + (1 - t) * np.log1p(np.exp(z)))
    got = loss(x, y, weight.tolist(), "none", pos_weight.tolist())
    assert got.dtype == real(x.dtype)
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(got.dtype).eps)
    sigmoid = 1 / (1 + np.exp(-z))
    grad = loss_and_grad(x, y, weight.tolist(), "sum", pos_weight.tolist())[1]
    assert grad.dtype == x.dtype
    eps = {"float32": 1e-6, "float64": 1e-14, "float16": 1e-3, "bfloat16": 8e-3}[x.dtype.name]
    expected = weight * ((1 - t) * sigmoid - pos_weight * t * (1 - sigmoid))
    np.testing.assert_allclose(grad.astype(float), expected, rtol=eps, atol=eps)


def test_what_reductions_divide_by(problem):
    x, y = problem
    total = float(loss(x, y, reduction="sum"))
    assert float(loss(x, y)) == pytest.approx(total / 12, rel=1e-6)
    assert float(loss(x, y, [2.0, 2.0, 2.0])) == pytest.approx(2 * total / 12, rel=1e-6)  # elements, not weights
    assert float(loss(x, y, reduction="mean_rows")) == pytest.approx(total / 4, rel=1e-6)
    assert float(loss(x, y, reduction="mean_rows", axis=0)) == pytest.approx(total / 3, rel=1e-6)
    mask = [True, False, True, True]
    kept = float(loss(x, y, row_mask=mask, reduction="sum"))
    assert kept == pytest.approx(float(loss(x[mask], y[mask], reduction="sum")), rel=1e-6)
    assert float(loss(x, y, row_mask=mask)) == pytest.approx(kept / 9, rel=1e-6)
    assert float(loss(x, y, row_mask=[0, 1, 1], axis=0)) == pytest.approx(float(loss(x[:, 1:], y[:, 1:])), rel=1e-6)
    assert np.isnan(loss(x, y, row_mask=[0] * 4))
    assert loss(x, y, row_mask=[0] * 4, empty_mean="zero") == 0


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_plain_and_descriptor_calls_give_the_same_bits(problem, reduction):
    x, y = problem
    weight, pos_weight = (np.array(w, real(x.dtype)) for w in ([0.5, 1, 2], [1, 3, 0.25]))
    for first, second in ((None, None), (weight, None), (None, pos_weight), (weight, pos_weight)):
        plain = loss_and_grad(x, y, first, reduction, second)
        same(loss(x, y, first, reduction, second), plain[0])
        rows = [None if w is None else np.broadcast_to(w, SHAPE) for w in (first, second)]
        sixteen = [None if w is None else w.astype(x.dtype) for w in (first, second)]
        turned = [v.T.copy().T for v in (x, y)]
        for described in (
            loss_and_grad(x, y, rows[0], reduction, rows[1]),
            loss_and_grad(x, y, sixteen[0], reduction, sixteen[1]),
            loss_and_grad(*turned, first, reduction, second),
            loss_and_grad(x, y, first, reduction, second, num_threads=1),
            loss_and_grad(x, y != 0, first, reduction, second),
            loss(x, y, first, reduction, second, outputs=("loss", "grad")),
            loss_and_grad(x, y, first, reduction, second, grad_out=np.zeros((3, 4), x.dtype).T),
        ):
            for one, two in zip(described, plain):
                same(one, two)


def test_weights_of_every_shape_that_broadcasts(problem, rng):
    x, y = problem
    for shape in ((), (1,), (3,), (4, 1), (1, 3), (4, 3)):
        weight = rng.uniform(0.5, 2, shape).astype(real(x.dtype))
        spread = np.broadcast_to(weight, SHAPE).copy()
        for name in ("weight", "pos_weight"):
            same(loss(x, y, reduction="none", **{name: weight}), loss(x, y, reduction="none", **{name: spread}))
    same(loss(x, y, 2.0, "none"), loss(x, y, [2.0] * 3, "none"))


def test_upstream_gradients(problem):
    x, y = problem
    one = loss(x, y, reduction="none", outputs=("grad",)).grad.astype(float)
    powers = 2.0 ** np.arange(12).reshape(SHAPE)  # which scale without rounding
    if x.dtype.itemsize > 2:
        for above in (powers, powers[:, 0], 4.0, powers[3]):
            axis = 0 if np.shape(above) == (3,) else -1
            given = np.asarray(above, x.dtype)
            got = loss(x, y, reduction="none", axis=axis, grad_loss=given, outputs=("grad",)).grad
            spread = given[:, None] if given.shape == (4,) else given
            same(got, one * spread)
    with pytest.raises(ValueError, match=r"grad_loss has shape \(2,\), not \(4,\)"):
        loss(x, y, grad_loss=np.ones(2, x.dtype), outputs=("grad",))


def test_in_place(problem):
    x, y = problem
    expected = loss_and_grad(x, y)
    memory = x.copy()
    value, grad = loss_and_grad(memory, y, grad_out=memory)
    assert grad is memory and value == expected[0]
    same(memory, expected[1])
    memory = y.copy()  # over the targets, which the C library refuses
    value, grad = loss_and_grad(x, memory, grad_out=memory)
    assert grad is memory and value == expected[0]
    same(memory, expected[1])


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (2, 3, 4, 2)], ids=str)
def test_any_number_of_dimensions(shape, rng, any_dtype):
    x, y = rng.normal(size=shape).astype(any_dtype), rng.integers(0, 2, shape).astype(any_dtype)
    got = loss(x, y, reduction="none")
    assert got.shape == shape
    same(got.ravel(), loss(x.ravel(), y.ravel(), reduction="none"))
    assert loss(x, y) == loss(x.reshape(1, -1), y.reshape(1, -1))


def test_long_rows(rng, any_dtype):
    """Few rows of many labels are cut into pieces: each element has the loss and the gradient that it has in a short row."""
    shape, short = (3, 70_200), (-1, 100)
    x = (rng.normal(size=shape) * 3).astype(any_dtype)
    y = rng.integers(0, 2, shape).astype(any_dtype)
    weight, pos_weight = (rng.uniform(0.5, 2, shape[1]).astype(any_dtype) for _ in range(2))
    mask = np.array([True, False, True])
    across = np.asfortranarray(x), np.asfortranarray(y)  # labels three apart
    many = {"weight": np.tile(weight, 3).reshape(short), "pos_weight": np.tile(pos_weight, 3).reshape(short)}
    many["row_mask"] = np.repeat(mask, shape[1] // short[1])
    for reduction in ("none", "sum", "mean"):
        value, grad = loss_and_grad(x.reshape(short), y.reshape(short), reduction=reduction, **many)
        for logits, target in ((x, y), across):
            got = loss_and_grad(logits, target, weight, reduction, pos_weight, row_mask=mask)
            same(got[1].reshape(short), grad)
            if reduction == "none":
                same(got[0].reshape(short), value)
            else:
                np.testing.assert_allclose(got[0], value, rtol=2 * np.finfo(value.dtype).eps)
