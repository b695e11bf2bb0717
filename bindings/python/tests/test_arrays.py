# SPDX-License-Identifier: Apache-2.0
"""Every way NumPy can hold an array gives the same answer, for inputs and for out=. Layouts are test_layouts.py's."""

import pickle
import tracemalloc

import numpy as np
import pytest
from ml_dtypes import bfloat16

import xent

SHAPE = (6, 5)
ROWWISE = [xent.softmax, xent.log_softmax]
TARGETS = np.array([0, 4, 2, -100, 1, 3])


def strided(x):
    return np.repeat(x, 2, axis=-1)[..., ::2]


def backwards(x):
    return x[..., ::-1].copy()[..., ::-1]


def fortran(x):
    return np.asfortranarray(x)


def swapped(x):
    return x.astype(x.dtype.newbyteorder())


def misaligned(x):
    raw = np.empty(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    assert not view.flags.aligned or x.dtype.itemsize == 1
    return view


def read_only(x):
    view = x.copy()
    view.flags.writeable = False
    return view


def pickled(x):
    return pickle.loads(pickle.dumps(x))


def with_metadata(x):
    return x.astype(np.dtype(x.dtype, metadata={"unit": "nat"}))


def record_field(x):
    records = np.zeros(x.shape, [("pad", "u1"), ("value", x.dtype)])
    records["value"] = x
    return records["value"]


def subclass(x):
    return x.copy().view(type("Subclass", (np.ndarray,), {}))


LAYOUTS = [strided, backwards, fortran, swapped, misaligned, read_only, record_field, subclass, pickled, with_metadata]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
WRITABLE = [layout for layout in LAYOUTS if layout is not read_only]


@pytest.fixture
def x(rng, any_dtype):
    return (rng.normal(size=SHAPE) * 3).astype(any_dtype)


def real(dtype):
    """The dtype of losses."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def same(got, expected):
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@layouts
def test_logits(layout, x):
    other = layout(x)
    for function in (*ROWWISE, xent.logsumexp):
        same(function(other), function(x))
    above = x[::-1].copy()
    for function in (xent.softmax_grad, xent.log_softmax_grad):
        same(function(other, layout(above)), function(x, above))
    sums = np.arange(6).astype(x.dtype)
    same(xent.logsumexp_grad(other, layout(sums)), xent.logsumexp_grad(x, sums))
    same(xent.kl_div(other, layout(above), "none"), xent.kl_div(x, above, "none"))
    labels = np.abs(np.sign(above))
    expected = xent.binary_cross_entropy_with_logits(x, labels, labels, "none", sums[:5])
    same(
        xent.binary_cross_entropy_with_logits(other, layout(labels), layout(labels), "none", layout(sums[:5])), expected
    )
    same(xent.nll_loss(other, TARGETS), xent.nll_loss(x, TARGETS))
    loss, grad = xent.cross_entropy_with_grad(x, TARGETS)
    other_loss, other_grad = xent.cross_entropy_with_grad(other, TARGETS)
    assert other_loss == loss == xent.cross_entropy(other, TARGETS)
    same(other_grad, grad)
    same(np.asarray(other).astype(x.dtype), x)  # nothing was written


@layouts
def test_targets_and_weight(layout, x):
    weight = np.arange(1, 6).astype(x.dtype)
    expected = xent.cross_entropy(x, TARGETS, weight)
    assert xent.cross_entropy(x, layout(TARGETS), layout(weight)) == expected
    assert xent.cross_entropy(x, layout(TARGETS), layout(weight), class_mask=layout(weight != 0)) == expected
    assert xent.cross_entropy(x, layout(TARGETS), layout(weight), row_mask=layout(TARGETS + 200)) == expected
    same(
        xent.nll_loss_grad(layout(TARGETS), 5, layout(weight), dtype=x.dtype),
        xent.nll_loss_grad(TARGETS, 5, weight, dtype=x.dtype),
    )


def test_weight_of_every_dtype_that_fits(x):
    weight = np.arange(1, 6).astype(real(x.dtype))
    expected = xent.cross_entropy_with_grad(x, TARGETS, weight)
    for name in ["float64"] if x.dtype == np.float64 else ["float32", "float16", bfloat16]:
        loss, grad = xent.cross_entropy_with_grad(x, TARGETS, weight.astype(name))
        assert loss == expected[0]
        same(grad, expected[1])
    same(xent.cross_entropy_with_grad(x, TARGETS, weight.tolist())[1], expected[1])


@pytest.mark.parametrize("name", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i2", ">u8"])
def test_integer_targets_of_every_dtype(name, x):
    targets = np.array([0, 4, 2, 3, 1, 3], name)
    assert xent.cross_entropy(x, targets) == xent.cross_entropy(x, targets.astype(np.int64))
    assert xent.cross_entropy(x, targets, ignore_index=3) == xent.cross_entropy(x, list(map(int, targets)), None, 3)


def test_signed_bytes_can_be_ignored(x):
    assert xent.cross_entropy(x, TARGETS.astype(np.int8)) == xent.cross_entropy(x, TARGETS)


def test_lists_and_arrays_of_others(x):
    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return x

    same(xent.softmax(Foreign()), xent.softmax(x))
    same(xent.softmax(x.astype(float).tolist()), xent.softmax(x.astype(float)))
    weight = [1, 2, 3, 4, 5]
    assert xent.cross_entropy(x, TARGETS.tolist(), weight) == xent.cross_entropy(x, TARGETS, np.array(weight, x.dtype))
    probs = np.full(SHAPE, 0.25).astype(x.dtype)
    assert xent.cross_entropy(x, probs.astype(float).tolist()) == xent.cross_entropy(x, probs)
    labels = x > 0
    expected = xent.binary_cross_entropy_with_logits(x, labels.astype(x.dtype))
    for given in (labels, labels.tolist(), labels.astype(int).tolist(), labels.astype(np.uint8)):
        assert xent.binary_cross_entropy_with_logits(x, given) == expected


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 1, 3, 4), (0, 4), (2, 0, 4), (3, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_axes(shape, order, rng, any_dtype):
    x = np.asarray(rng.normal(size=shape).astype(any_dtype), order=order)
    for axis in range(-len(shape), len(shape)):
        if not x.shape[axis]:
            continue
        last = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        for function in ROWWISE:
            got = function(x, axis=axis)
            same(got, np.moveaxis(function(last), -1, axis))
            assert got.flags.c_contiguous == x.flags.c_contiguous and got.flags.f_contiguous == x.flags.f_contiguous
        same(np.asarray(xent.logsumexp(x, axis)), np.asarray(xent.logsumexp(last)))
        one = any_dtype.type(1)
        for function in (xent.softmax_grad, xent.log_softmax_grad):
            same(function(x, x + one, axis), np.moveaxis(function(last, last + one), -1, axis))
        sums = np.asarray(last[..., 0])
        same(xent.logsumexp_grad(x, sums, axis), np.moveaxis(xent.logsumexp_grad(last, sums), -1, axis))


def test_no_classes(any_dtype):
    x, dtype = np.empty((3, 0), any_dtype), real(any_dtype)
    assert xent.softmax(x).shape == (3, 0)
    assert xent.softmax(x, axis=0).shape == (3, 0)
    same(xent.logsumexp(x), np.full(3, -np.inf, dtype))
    same(xent.logsumexp(x, axis=0), np.empty(0, dtype))
    assert xent.logsumexp(x[0]) == -np.inf
    same(xent.cross_entropy(x, [-100] * 3, reduction="none"), np.zeros(3, dtype))
    with pytest.raises(IndexError, match=r"not in \[0, 0\)"):
        xent.cross_entropy(x, [0, 0, 0])


def test_result_types(x):
    dtype = real(x.dtype)
    scalar = dtype.type
    assert type(xent.logsumexp(x[0])) is scalar
    for reduction in ("mean", "sum"):
        assert type(xent.cross_entropy(x, TARGETS, reduction=reduction)) is scalar
        assert type(xent.nll_loss(x[0], 3, reduction=reduction)) is scalar
    rows = xent.cross_entropy(x, TARGETS, reduction="none")
    assert type(rows) is np.ndarray and rows.shape == (6,) and rows.dtype == dtype
    one = xent.cross_entropy(x[0], 0, reduction="none")
    assert one.shape == () and one.dtype == dtype and one == rows[0]
    loss, grad = xent.cross_entropy_with_grad(x[0], np.int8(0), reduction="none")
    assert loss == rows[0] and grad.shape == (5,) and grad.dtype == x.dtype
    assert xent.nll_loss_grad(2, 3).dtype == np.float64
    assert xent.nll_loss_grad(2, 3, np.ones(3, dtype)).dtype == dtype
    assert xent.nll_loss_grad(2, 3, np.ones(3, dtype), dtype=x.dtype).dtype == x.dtype
    assert xent.nll_loss_grad(2, 3, out=np.zeros(3, x.dtype)).dtype == x.dtype
    assert xent.nll_loss_grad(np.zeros((0,), int), 3, dtype=dtype).shape == (0, 3)
    assert xent.nll_loss_grad(np.zeros((2, 4), int), 3).shape == (2, 3, 4)
    assert xent.nll_loss_grad(np.zeros((2, 4), int), 3, axis=-1).shape == (2, 4, 3)


@pytest.mark.parametrize("layout", WRITABLE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [-1, 0])
def test_out(layout, axis, x):
    for function in ROWWISE:
        expected = function(x, axis)
        out = layout(np.zeros_like(x))
        assert function(x, axis, out=out) is out
        np.testing.assert_array_equal(out, expected)
        same_place = layout(x)
        assert function(same_place, axis, out=same_place) is same_place
        np.testing.assert_array_equal(same_place, expected)
    for function in (xent.softmax_grad, xent.log_softmax_grad):
        out = layout(np.zeros_like(x))
        assert function(x, x + x, axis, out=out) is out
        np.testing.assert_array_equal(out, function(x, x + x, axis))
    lse = xent.logsumexp(x, axis)
    out = layout(np.zeros_like(lse))
    assert xent.logsumexp(x, axis, out=out) is out
    np.testing.assert_array_equal(out, lse)
    out = layout(np.zeros_like(x))
    assert xent.logsumexp_grad(x, lse, axis, out=out) is out
    np.testing.assert_array_equal(out, xent.logsumexp_grad(x, lse, axis))
    loss, expected = xent.cross_entropy_with_grad(x, TARGETS)
    out = layout(x)
    got = xent.cross_entropy_with_grad(out, TARGETS, grad_out=out)
    assert got[0] == loss and got[1] is out
    np.testing.assert_array_equal(out, expected)
    rows = layout(np.zeros(6, real(x.dtype)))
    assert xent.cross_entropy(x, TARGETS, reduction="none", out=rows) is rows
    np.testing.assert_array_equal(rows, xent.cross_entropy(x, TARGETS, reduction="none"))
    scalar = np.zeros((), real(x.dtype))
    assert xent.cross_entropy(x, TARGETS, out=scalar) is scalar and scalar == loss
    for function, values in (
        (xent.nll_loss, (x, TARGETS)),
        (xent.kl_div, (x, -x)),
        (xent.binary_cross_entropy_with_logits, (x, x > 0)),
    ):
        out, named = layout(np.zeros_like(x)), {"reduction": "sum", "outputs": ("loss", "grad")}
        got = function(*values, **named, grad_out=out, out=scalar)
        assert got.loss is scalar and got.grad is out
        expected = function(*values, **named)
        assert scalar == expected.loss
        np.testing.assert_array_equal(out, expected.grad)


def test_in_place_over_either_input_of_log_softmax_grad(x):
    expected = xent.log_softmax_grad(x, x[::-1].copy())
    for which in (0, 1):
        inputs = [x.copy(), x[::-1].copy()]
        xent.log_softmax_grad(*inputs, out=inputs[which])
        same(inputs[which], expected)
        same(inputs[1 - which], [x, x[::-1]][1 - which])


@pytest.mark.parametrize("shift", [1, 3, 5, 10])
def test_out_that_overlaps_the_input(shift, x):
    for source, target in ((0, shift), (shift, 0)):
        memory = np.zeros(x.size + 10, x.dtype)
        logits, out = (memory[at : at + x.size].reshape(SHAPE) for at in (source, target))
        logits[...] = x
        xent.softmax(logits, out=out)
        same(out, xent.softmax(x))
        logits[...] = x
        _, grad = xent.cross_entropy_with_grad(logits, TARGETS, grad_out=out)
        same(grad, xent.cross_entropy_with_grad(x, TARGETS)[1])
    square = x[:5].copy()
    xent.softmax(square, out=square.T)
    same(square.T, xent.softmax(x[:5]))


def test_grad_out_over_targets_and_weight(rng):
    memory = np.zeros(12)
    logits, weight = rng.normal(size=(3, 3)), memory[2:5]
    weight[:] = [1.0, 2.0, 3.0]
    targets = memory.view(np.int64)[6:9]
    targets[:] = [0, 2, 1]
    expected = xent.cross_entropy_with_grad(logits, [0, 2, 1], [1.0, 2.0, 3.0])[1]
    same(xent.cross_entropy_with_grad(logits, targets, weight, grad_out=memory[:9].reshape(3, 3))[1], expected)


def test_an_input_that_fits_is_not_copied(x):
    big = np.zeros((1000, 1000), x.dtype)
    out = np.empty_like(big)
    tracemalloc.start()
    try:
        xent.softmax(big, out=out)
        xent.log_softmax(big, out=big)
        xent.cross_entropy_with_grad(big, np.zeros(1000, np.int64), grad_out=big)
        assert tracemalloc.get_traced_memory()[1] < big.nbytes / 20
    finally:
        tracemalloc.stop()


def test_out_that_does_not_fit(x):
    dtype = x.dtype
    other = np.dtype(np.float32 if dtype == np.float64 else np.float64)
    for function in (*ROWWISE, lambda x, out: xent.cross_entropy_with_grad(x, TARGETS, grad_out=out)):
        with pytest.raises(TypeError, match=f"out is {other.name}, not {dtype.name}"):
            function(x, out=np.zeros(SHAPE, other))
        with pytest.raises(TypeError, match="out is int64"):
            function(x, out=np.zeros(SHAPE, np.int64))
        with pytest.raises(TypeError, match="out is list, not a NumPy array and without __dlpack__"):
            function(x, out=[[0.0] * 5] * 6)
        with pytest.raises(ValueError, match=r"out has shape \(5, 6\), not \(6, 5\)"):
            function(x, out=np.zeros((5, 6), dtype))
        out = read_only(np.full(SHAPE, 3.0, dtype))
        with pytest.raises(ValueError, match="out is read-only"):
            function(x, out=out)
        assert (out == 3).all()
