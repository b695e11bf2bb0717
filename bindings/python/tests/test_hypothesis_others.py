# SPDX-License-Identifier: Apache-2.0
"""Random shapes, layouts, dtypes and values for all but cross_entropy, as in test_hypothesis_cross_entropy.py."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_arrays import DTYPES, assert_near, gaps, in_memory, logits_of, real, shapes_with_axis

import xent

pytestmark = pytest.mark.skipif(not reference.IS_WIDER, reason="long double is no wider than f64 on this machine")
twice = settings(max_examples=2 * settings.default.max_examples)
REDUCTIONS = st.sampled_from(["none", "mean", "sum", "mean_rows"])
UNIT = st.sampled_from([0.0, 1.0, 0.25, 0.5, 0.9])
SPREAD = st.floats(0.125, 4, width=16)


@st.composite
def batches(draw, most=1):
    """(shape, axis, dtype, so many arrays of logits)"""
    shape, axis = draw(shapes_with_axis())
    dtype = draw(st.sampled_from(DTYPES))
    return shape, axis, dtype, [draw(logits_of(shape, dtype)) for _ in range(most)]


def numbers(draw, strategy, shape, dtype):
    size = int(np.prod(shape))
    return np.array(draw(st.lists(strategy, min_size=size, max_size=size)), dtype).reshape(shape)


def rows_shape(shape, axis):
    return shape[:axis] + shape[axis + 1 :]


@twice
@given(batches(), st.data())
def test_softmax_and_statistics(batch, data):
    shape, axis, dtype, (x,) = batch
    rows = reference.rows_of(x, axis)
    options = reference.Options()
    exact, gap = reference.Softmax(rows, options), gaps(rows, options)
    lay = lambda array: data.draw(in_memory(array))
    as_rows = lambda array: reference.rows_of(array, axis)
    assert_near(as_rows(xent.softmax(lay(x), axis)), exact.p, gap, "softmax")
    assert_near(as_rows(xent.log_softmax(lay(x), axis)), -exact.minus_log_p, gap, "log_softmax")
    lse = np.asarray(xent.logsumexp(lay(x), axis))
    assert lse.shape == rows_shape(shape, axis)
    assert_near(lse.reshape(-1), exact.lse, gap, "logsumexp")
    above = numbers(data.draw, SPREAD, rows_shape(shape, axis), real(dtype))
    with np.errstate(invalid="ignore"):
        wanted = above.reshape(-1, 1).astype(np.longdouble) * exact.p
    assert_near(as_rows(xent.logsumexp_grad(lay(x), lay(above), axis)), wanted, gap, "logsumexp_grad")
    if shape[axis]:
        k = data.draw(st.integers(1, shape[axis]), "k")
        top = xent.top_k_log_probs(lay(x), k, axis)
        np.testing.assert_array_equal(as_rows(top.top_indices), exact.top(k))
        wanted = np.take_along_axis(-exact.minus_log_p, exact.top(k), 1)
        assert_near(as_rows(top.top_log_probs), wanted, gap, "top_log_probs")
        index = numbers(data.draw, st.integers(0, shape[axis] - 1), rows_shape(shape, axis), np.int16)
        wanted = np.take_along_axis(-exact.minus_log_p, index.reshape(-1, 1).astype(int), 1)[:, 0]
        got = np.asarray(xent.selective_log_softmax(lay(x), lay(index), axis))
        assert_near(got.reshape(-1), wanted, gap, "selective_log_softmax")


@twice
@given(batches(), st.data())
def test_gradients_of_softmax(batch, data):
    """The formulas on any numbers, not only on what softmax gave."""
    shape, axis, dtype, _ = batch
    lay = lambda array: data.draw(in_memory(array))
    p = numbers(data.draw, UNIT, shape, dtype)
    g = numbers(data.draw, st.floats(-8, 8, width=16), shape, dtype)
    wide_p, wide_g = (reference.rows_of(v, axis).astype(np.longdouble) for v in (p, g))
    total = (wide_p * wide_g).sum(axis=1, keepdims=True)
    size = np.abs(wide_p * wide_g) + wide_p * np.abs(wide_p * wide_g).sum(axis=1, keepdims=True)
    got = reference.rows_of(xent.softmax_grad(lay(p), lay(g), axis), axis)
    assert_near(got, wide_p * (wide_g - total), 0, "softmax_grad", terms=size)
    exp = np.exp(-wide_p)
    got = reference.rows_of(xent.log_softmax_grad(lay(-p), lay(g), axis), axis)
    size = np.abs(wide_g) + exp * np.abs(wide_g).sum(axis=1, keepdims=True)
    wanted = wide_g - exp * wide_g.sum(axis=1, keepdims=True)
    assert_near(got, wanted, 0, "log_softmax_grad", terms=size)


@twice
@given(batches(2), st.sampled_from(["kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon"]), st.data())
def test_divergence(batch, kind, data):
    shape, axis, dtype, (x, y) = batch
    if data.draw(st.booleans(), "the teacher is the student"):
        y = x.copy()
    count = int(np.prod(rows_shape(shape, axis)))
    may = lambda strategy: data.draw(st.none() | strategy)
    given = {
        "temperature": may(st.sampled_from([0.5, 3.0])),
        "softcap": may(st.sampled_from([2.0, 30.0])),
        "masked_row": may(st.just("zero")),
        "class_mask": may(st.lists(st.integers(0, 3), min_size=shape[axis], max_size=shape[axis])),
        "row_mask": may(st.lists(st.booleans(), min_size=count, max_size=count)),
        "grad_loss": may(st.lists(SPREAD, min_size=count, max_size=count)),
    }
    given = {name: value for name, value in given.items() if value is not None}
    plain = reference.Options(reduction=data.draw(REDUCTIONS), **given)
    for name, to in (("row_mask", np.uint8), ("grad_loss", real(dtype)), ("class_mask", np.int32)):
        if name in given:
            size = (shape[axis],) if name == "class_mask" else rows_shape(shape, axis)
            given[name] = data.draw(in_memory(np.array(given[name], to).reshape(size)))
    names = ("row_loss", "grad", "rows_counted") + (("loss",) if plain.reduction != "none" else ())
    got = xent.divergence(data.draw(in_memory(x)), data.draw(in_memory(y)), kind, plain.reduction, axis=axis,
                          outputs=names, **given)  # fmt: skip
    rows, others = reference.rows_of(x, axis), reference.rows_of(y, axis)
    exact = reference.divergence(rows, others, kind, plain)
    gap = gaps(rows, plain) + gaps(others, plain)
    for name in names:
        value = np.asarray(getattr(got, name))
        if name == "grad":
            assert_near(reference.rows_of(value, axis), exact[name], gap, name, terms=exact["grad size"])
        elif name == "rows_counted":
            assert value == exact[name]
        else:
            assert_near(value.reshape(-1) if name == "row_loss" else value, np.asarray(exact[name]), gap, name)


@twice
@given(batches(), st.data())
def test_binary_cross_entropy(batch, data):
    shape, axis, dtype, (x,) = batch
    y = numbers(data.draw, UNIT, shape, dtype)
    reduction = data.draw(st.sampled_from(["none", "mean", "sum"]))

    def weights():
        """Of a shape that broadcasts to the logits': with axes of 1, and without the first ones."""
        size = tuple(data.draw(st.sampled_from([n, 1])) for n in shape)[data.draw(st.integers(0, len(shape))) :]
        return numbers(data.draw, SPREAD, size, real(dtype)) if data.draw(st.booleans()) else None

    w, pos = weights(), weights()
    g = numbers(data.draw, SPREAD, shape, real(dtype)) if data.draw(st.booleans()) else None
    lay = lambda array: None if array is None else data.draw(in_memory(array))
    loss, grad = xent.binary_cross_entropy_with_logits_with_grad(
        lay(x), lay(y), lay(w), reduction, lay(pos), grad_loss=lay(g))  # fmt: skip
    exact, exact_grad, size = reference.binary_cross_entropy(x, y, w, pos, reduction, g)
    assert loss.dtype == real(dtype) and grad.dtype == dtype
    assert_near(np.asarray(loss), np.asarray(exact), 0, "loss")
    assert_near(grad, np.asarray(exact_grad), 0, "grad", terms=size)


@twice
@given(batches(), st.data())
def test_nll_loss(batch, data):
    """The target's numbers times its weight, summed up; any numbers are log-probabilities."""
    shape, axis, dtype, (x,) = batch
    classes, count = shape[axis], int(np.prod(rows_shape(shape, axis)))
    x = np.moveaxis(x, axis, min(1, len(shape) - 1))  # where nll_loss has its classes
    axis = min(1, len(shape) - 1)
    target = numbers(data.draw, st.sampled_from([-100, *range(classes)]), rows_shape(x.shape, axis), np.int8)
    weight = numbers(data.draw, SPREAD, (classes,), real(dtype)) if data.draw(st.booleans()) else None
    reduction = data.draw(REDUCTIONS)
    counts = target.reshape(-1) != -100
    t = np.where(counts, target.reshape(-1), 0).astype(int)
    w = np.ones(classes, np.longdouble) if weight is None else weight.astype(np.longdouble)
    w = np.where(counts, w[t] if classes else 0, 0)
    with np.errstate(all="ignore"):
        picked = reference.rows_of(x, axis)[np.arange(count), t].astype(np.longdouble) if classes else w
        losses = np.where(counts, -w * picked, 0)
        divisor = {"mean": w.sum(), "mean_rows": np.longdouble(counts.sum())}.get(reduction, np.longdouble(1))
        exact = losses.reshape(target.shape) if reduction == "none" else losses.sum() / divisor
        grad = np.where((np.arange(classes) == t[:, None]) & counts[:, None], -w[:, None] / divisor, 0)
    gap = np.abs(losses[np.isfinite(losses)]).max(initial=0)
    lay = lambda array: None if array is None else data.draw(in_memory(array))
    loss = np.asarray(xent.nll_loss(lay(x), lay(target), lay(weight), reduction=reduction))
    assert_near(loss, np.asarray(exact), gap, "loss")
    got = xent.nll_loss_grad(lay(target), classes, lay(weight), reduction=reduction, dtype=x.dtype)
    assert_near(reference.rows_of(got, axis), grad, 0, "grad")
