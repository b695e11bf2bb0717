# SPDX-License-Identifier: Apache-2.0
"""Arrays of up to five dimensions, the class axis anywhere, however they lie in memory: the same bits as contiguous."""

import itertools
import tracemalloc

import numpy as np
import pytest

import xent
from xent import _descriptors

SHAPES = [(5,), (3, 4), (2, 3, 4), (2, 3, 2, 2), (2, 3, 1, 2, 3)]


def contiguous(x):
    return np.ascontiguousarray(x)


def fortran(x):
    return np.asfortranarray(x)


def rolled(x):
    """The axes in another order in memory, as in an image whose channels come last."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1 % x.ndim, -1)), -1, 1 % x.ndim)


def every_second(x):
    """Every second element of every axis: no two axes can be counted with one stride."""
    wide = np.full([2 * n for n in x.shape], 7, x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def backwards(x):
    wide = np.array(x[tuple(slice(None, None, -1) for _ in x.shape)])
    return wide[tuple(slice(None, None, -1) for _ in x.shape)]


def padded(x):
    """Part of wider rows."""
    wide = np.full((*x.shape[:-1], x.shape[-1] + 3), 7, x.dtype)
    wide[..., 1:-2] = x
    return wide[..., 1:-2]


def part_of_an_axis(x):
    wide = np.full((x.shape[0] + 2, *x.shape[1:]), 7, x.dtype)
    wide[1:-1] = x
    return wide[1:-1]


LAYOUTS = [contiguous, fortran, rolled, every_second, backwards, padded, part_of_an_axis]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def problem(shape, axis, dtype, rng):
    x = (rng.normal(size=shape) * 3).astype(dtype)
    rows = shape[:axis] + shape[axis + 1 :]
    target = rng.integers(0, shape[axis], rows)
    return x, np.where(rng.random(rows) < 0.2, -100, target)


def last(x, axis):
    """Rows of classes, as the plain functions take them."""
    return np.ascontiguousarray(np.moveaxis(x, axis, -1)).reshape(-1, x.shape[axis])


def back(rows, shape, axis):
    """What the plain functions made of `last`, in the shape it came from."""
    moved = np.moveaxis(np.empty(shape, "?"), axis, -1).shape
    return np.moveaxis(rows.reshape(moved), -1, axis)


def same(got, expected):
    assert got.shape == expected.shape and got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@shapes
@layouts
def test_every_axis(shape, layout, any_dtype, rng):
    real = np.dtype(np.float64 if any_dtype == np.float64 else np.float32)
    for axis in range(len(shape)):
        x, target = problem(shape, axis, any_dtype, rng)
        weight = rng.uniform(0.5, 2, shape[axis]).astype(real)
        given, rows = layout(x), last(x, axis)
        for function in (xent.softmax, xent.log_softmax):
            same(function(given, axis), back(function(rows), shape, axis))
        same(np.asarray(xent.logsumexp(given, axis)), xent.logsumexp(rows).reshape(target.shape))
        for function in (xent.softmax_grad, xent.log_softmax_grad):
            got = function(given, layout(x[::-1]), axis)
            same(got, back(function(rows, last(x[::-1], axis)), shape, axis))
        targets = layout(target) if target.ndim else target
        for reduction in ("mean", "none"):
            named = {"weight": layout(weight), "reduction": reduction}
            loss, grad = xent.cross_entropy_with_grad(given, targets, axis=axis, **named)
            expected, expected_grad = xent.cross_entropy_with_grad(rows, target.ravel(), **named)
            same(np.asarray(loss), np.asarray(expected).reshape(np.shape(loss)))
            same(grad, back(expected_grad, shape, axis))
            expected = np.asarray(xent.nll_loss(rows, target.ravel(), **named))
            same(np.asarray(xent.nll_loss(given, targets, axis=axis, **named)), expected.reshape(np.shape(loss)))
            got = xent.nll_loss_grad(targets, shape[axis], dtype=any_dtype, axis=axis, **named)
            same(got, back(xent.nll_loss_grad(target.ravel(), shape[axis], dtype=any_dtype, **named), shape, axis))
        same(np.asarray(given), x)  # nothing was written


@shapes
@layouts
def test_out_in_every_layout(shape, layout, any_dtype, rng):
    for axis, other in itertools.product(range(len(shape)), (contiguous, fortran, every_second)):
        x, target = problem(shape, axis, any_dtype, rng)
        named = {"axis": axis, "reduction": "none", "outputs": ("loss", "grad", "probs", "argmax")}
        expected = xent.cross_entropy(x, target, **named)
        out, given = layout(np.full(shape, 5).astype(any_dtype)), other(x)
        memory = out if out.base is None else out.base
        untouched = count(memory, 7) if memory.size > out.size else 0
        got = xent.cross_entropy(given, target, grad_out=out, **named)
        assert got.grad is out
        for one, two in zip(got, expected):
            same(np.asarray(one), np.asarray(two))
        assert untouched == 0 or count(memory, 7) == untouched  # the elements between were left alone
        expected, in_place = xent.softmax(x, axis), layout(x)
        assert xent.softmax(in_place, axis, out=in_place) is in_place
        same(np.asarray(in_place), expected)


def count(memory, value):
    return int((np.asarray(memory) == np.asarray(value, memory.dtype)).sum())


@layouts
def test_the_other_functions(layout, any_dtype, rng):
    shape = (2, 4, 3, 2)
    x, target = problem(shape, 1, any_dtype, rng)
    teacher, given, rows = -x, layout(x), last(x, 1)
    few = rng.integers(0, 4, (2, 2, 3, 2))
    probs = np.full(few.shape, 0.5).astype(any_dtype)
    mask, row_mask = np.array([1, 0, 1, 1]), rng.random(target.shape) < 0.7
    named = {"reduction": "none", "outputs": ("loss", "grad")}

    got = xent.divergence(given, layout(teacher), "jensen_shannon", class_mask=layout(mask), **named)
    expected = xent.divergence(rows, last(teacher, 1), "jensen_shannon", class_mask=mask, **named)
    same(got.loss, expected.loss.reshape(target.shape))
    same(got.grad, back(expected.grad, shape, 1))

    got = xent.cross_entropy(given, layout(few), target_probs=layout(probs), row_mask=layout(row_mask), **named)
    sparse = {"target_probs": last(probs, 1), "row_mask": row_mask.ravel()}
    expected = xent.cross_entropy(rows, last(few, 1), **sparse, **named)
    same(got.loss, expected.loss.reshape(target.shape))
    same(got.grad, back(expected.grad, shape, 1))

    soft = xent.softmax(teacher, 1)
    above = rng.normal(size=target.shape).astype(any_dtype)
    got = xent.cross_entropy(given, layout(soft), grad_loss=layout(above), **named)
    expected = xent.cross_entropy(rows, last(soft, 1), grad_loss=above.ravel(), **named)
    same(got.loss, expected.loss.reshape(target.shape))
    same(got.grad, back(expected.grad, shape, 1))

    names = ("lse", "entropy", "max_logit", "argmax", "top_indices", "top_log_probs", "gathered")
    got = xent.statistics(given, names, axis=1, gather=layout(few), top_k=3)
    expected = xent.statistics(rows, names, gather=last(few, 1), top_k=3)
    for one, two in zip(got, expected):
        same(one, two.reshape(target.shape) if one.ndim == 3 else back(two, one.shape, 1))

    labels = (teacher > 0).astype(any_dtype)
    weight, pos_weight = rng.uniform(size=(4, 1, 2)).astype(any_dtype), rng.uniform(size=(3, 1)).astype(any_dtype)
    bce = xent.binary_cross_entropy_with_logits
    got = bce(given, layout(labels), layout(weight), pos_weight=layout(pos_weight), **named)
    spread = [np.broadcast_to(w, shape).copy() for w in (weight, pos_weight)]
    expected = bce(x, labels, spread[0], pos_weight=spread[1], **named)
    same(got.loss, expected.loss)
    same(got.grad, expected.grad)


def test_rows_are_numbered_as_they_are_in_the_shape(rng):
    x, target = rng.normal(size=(2, 3, 4, 5)), np.zeros((2, 4, 5), int)
    target[1, 2, 3] = 9
    for layout in LAYOUTS:
        with pytest.raises(IndexError, match=rf"targets\[{(1 * 4 + 2) * 5 + 3}\] is 9"):
            xent.cross_entropy(layout(x), layout(target))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((0, 3), 1),
        ((3, 0), 1),
        ((2, 3, 0), 1),
        ((0, 3, 4), 1),
        ((2, 0, 4), 1),
        ((2, 3, 0, 4), 1),
        ((0, 0), 1),
        ((0,), 0),
    ],
    ids=str,
)
def test_empty(shape, axis, any_dtype):
    x = np.zeros(shape, any_dtype)
    real = np.dtype(np.float64 if any_dtype == np.float64 else np.float32)
    target = np.full(shape[:axis] + shape[axis + 1 :], -100)
    got = xent.cross_entropy(x, target, axis=axis, reduction="none", outputs=("loss", "grad", "lse", "argmax"))
    same(np.asarray(got.loss), np.zeros(target.shape, real))
    same(got.grad, x)
    same(np.asarray(got.lse), np.full(target.shape, -np.inf, real))
    same(np.asarray(got.argmax), np.full(target.shape, -1))
    for reduction, expected in (("sum", 0), ("mean", np.nan), ("mean_rows", np.nan)):
        np.testing.assert_equal(float(xent.cross_entropy(x, target, axis=axis, reduction=reduction)), expected)
    assert xent.cross_entropy(x, target, axis=axis, empty_mean="zero") == 0
    assert xent.softmax(x, axis).shape == shape
    assert xent.binary_cross_entropy_with_logits(x, x, reduction="sum") == 0
    assert np.isnan(xent.binary_cross_entropy_with_logits(x, x))
    assert xent.kl_div(x, x, "none", axis=axis).shape == target.shape


def test_broadcast_inputs(any_dtype, rng):
    row = rng.normal(size=5).astype(any_dtype)
    x = np.broadcast_to(row, (4, 3, 5))
    same(xent.softmax(x), np.broadcast_to(xent.softmax(row), x.shape))
    target = np.broadcast_to(np.int8(2), (4, 3))
    expected = xent.cross_entropy(np.array(x), np.array(target), axis=-1, reduction="none")
    same(xent.cross_entropy(x, target, axis=-1, reduction="none"), expected)
    out = np.zeros(x.shape, any_dtype)
    xent.softmax(x, out=out)
    same(out, xent.softmax(np.array(x)))
    with pytest.raises(ValueError, match="out is read-only"):
        xent.softmax(x, out=x)


# name: whether the axes of the rows can be counted with two strides
NO_COPY = {
    "images": (lambda x: x, True),
    "channels last": (lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1), True),
    "backwards": (lambda x: x[::-1, :, ::-1, ::-1], True),
    "every second image": (lambda x: x[::2], True),
    "every second class": (lambda x: x[:, ::2], True),
    "every second column": (lambda x: x[..., ::2], True),
    "turned": (lambda x: x.transpose(0, 1, 3, 2), False),
    "a window": (lambda x: x[:, :, 3:-3, 5:-5], False),
}


@pytest.mark.parametrize("name", NO_COPY)
def test_only_what_two_strides_cannot_count_is_copied(name):
    view, fits = NO_COPY[name]
    x = np.zeros((8, 6, 60, 70), np.float32)
    logits = view(x)
    target = np.zeros((logits.shape[0], *logits.shape[2:]), np.uint8)
    grad = view(np.zeros_like(x))
    xent.cross_entropy(logits, target)
    tracemalloc.start()
    try:
        xent.cross_entropy_with_grad(logits, target, grad_out=grad)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (peak < 20_000) == fits
    assert fits or peak < 2.2 * logits.nbytes


def test_where_axes_can_be_cut():
    x = np.zeros((5, 4, 3, 6), np.float32)
    cuts = _descriptors._cuts
    assert cuts((5, 3, 6), (x.strides[0], x.strides[2], x.strides[3])) == (1, 1)
    assert cuts((5, 3), (24, 8)) == (0, 2)
    assert cuts((5, 1, 3), (99, 1234, 8)) == (1, 2)
    assert cuts((1, 1, 1), (1, 2, 3)) == (0, 3)
    assert cuts((5, 0, 3), (1, 2, 3)) == (0, 3)
    assert cuts((2, 3, 4), (999, 99, 8)) is None
    assert cuts((), ()) == (0, 0)
