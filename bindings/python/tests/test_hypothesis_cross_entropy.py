# SPDX-License-Identifier: Apache-2.0
"""Random shapes, layouts, dtypes, values and options against the formulas of xent.h in long double (reference.py).

Derandomised (conftest.py): the same examples every time; `--hypothesis-profile=explore` searches for others.
"""

import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_arrays import DTYPES, assert_near, gaps, in_memory, logits_of, real, shapes_with_axis

import numpy as np
import xent

pytestmark = pytest.mark.skipif(not reference.IS_WIDER, reason="long double is no wider than f64 on this machine")

INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
STATISTICS = ("probs", "log_probs", "lse", "entropy", "max_logit", "argmax")
LOSSES = ("row_loss", "grad", "rows_counted", "loss_sum", "weight_sum")
BY_INDEX = ("target_log_prob", "target_rank", "correct")
BY_ORDER = ("argmax", "target_rank", "correct")
SPREAD = st.floats(0.125, 4, width=16)


@st.composite
def options_of(draw, classes, rows, kind):
    """Some options by their names in Python, for so many rows of a shape."""
    may = lambda strategy: draw(st.none() | strategy)
    found = {
        "reduction": draw(st.sampled_from(["none", "mean", "sum", "mean_rows"])),
        "temperature": may(st.sampled_from([0.5, 2.0, 0.7, 10.0])),
        "softcap": may(st.sampled_from([1.0, 5.0, 30.0])),
        "z_loss": may(st.sampled_from([1e-4, 0.5])),
        "masked_row": may(st.just("zero")),
        "empty_mean": may(st.just("zero")),
        "class_mask": may(st.lists(st.integers(0, 3), min_size=classes, max_size=classes)),
        "row_mask": may(st.lists(st.booleans(), min_size=rows, max_size=rows)),
        "weight": may(st.lists(SPREAD, min_size=classes, max_size=classes)),
        "grad_loss": may(st.lists(SPREAD, min_size=rows, max_size=rows)),
    }
    if kind == "index" and draw(st.booleans()):
        found["focal_gamma"] = may(st.sampled_from([0.5, 1.0, 2.0, 3.5]))
        found["poly_epsilon"] = may(st.sampled_from([1.0, 0.25]))
    else:
        found["label_smoothing"] = may(st.sampled_from([0.1, 1.0, 0.35]))
        found["smoothing"] = may(st.just("uniform")) if kind == "index" else None
    return {name: value for name, value in found.items() if value is not None}


@st.composite
def problems(draw):
    """(logits, target, axis, keywords, the same as reference.Options, kind)"""
    shape, axis = draw(shapes_with_axis())
    dtype = draw(st.sampled_from(DTYPES))
    x = draw(logits_of(shape, dtype))
    classes, rows_shape = shape[axis], shape[:axis] + shape[axis + 1 :]
    rows = int(np.prod(rows_shape))
    kind = draw(st.sampled_from(["index", "index", "probabilities", "sparse"]))
    given = draw(options_of(classes, rows, kind))
    plain = dict(given)
    for name, to in (("weight", real(dtype)), ("grad_loss", real(dtype)), ("row_mask", np.uint8), ("class_mask", int)):
        if name in given:
            plain[name] = np.array(given[name], to)
            shape_of = rows_shape if name in ("row_mask", "grad_loss") else (classes,)
            given[name] = draw(in_memory(plain[name].reshape(shape_of)))
    integer = draw(st.sampled_from(INTEGERS))
    none = draw(st.sampled_from([min(np.iinfo(integer).max, 2**63 - 1), 1]))
    indices = lambda size: np.array(draw(st.lists(
        st.sampled_from([none, *range(min(classes, 8))]), min_size=size, max_size=size)), integer)  # fmt: skip
    if kind == "index":
        target = indices(rows)
        given["ignore_index"] = plain["ignore_index"] = int(none)
        laid = target.reshape(rows_shape)
    elif kind == "probabilities":
        target = reference.rows_of(draw(labels_of(shape, dtype)), axis)
        laid = reference.from_rows(target, shape, axis)
    else:
        k = draw(st.integers(1, 4))
        target = indices(rows * k).reshape(rows, k)
        probs = np.array(draw(st.lists(SPREAD, min_size=rows * k, max_size=rows * k)), dtype).reshape(rows, k)
        given["ignore_index"] = plain["ignore_index"] = int(none)
        plain["target_probs"] = probs
        given["target_probs"] = draw(in_memory(reference.from_rows(probs, shape, axis)))
        laid = reference.from_rows(target, shape, axis)
    return x, draw(in_memory(laid)), axis, given, target, reference.Options(**plain), kind


@st.composite
def labels_of(draw, shape, dtype):
    values = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 1.5, 0.1])
    size = int(np.prod(shape))
    return np.array(draw(st.lists(values, min_size=size, max_size=size)), dtype).reshape(shape)


@settings(max_examples=6 * settings.default.max_examples)
@given(problems(), st.data())
def test_every_output(problem, data):
    x, laid, axis, given, target, options, kind = problem
    classes, rows_shape = x.shape[axis], x.shape[:axis] + x.shape[axis + 1 :]
    names = [*STATISTICS, *LOSSES, "z_loss", *(BY_INDEX if kind == "index" else ())]
    names += [] if options.reduction == "none" else ["loss"]
    if options.softcap:  # far logits are nearly equal then, and their order a matter of the last bit of tanh
        names = [name for name in names if name not in BY_ORDER]
    top = 0 if options.softcap else data.draw(st.integers(0, min(classes, 4)), "top_k")
    names += ["top_indices", "top_log_probs"] if top else []
    gather = None
    if classes and data.draw(st.booleans(), "gather"):
        picked = st.lists(st.integers(0, classes - 1), min_size=2 * int(np.prod(rows_shape)),
                          max_size=2 * int(np.prod(rows_shape)))  # fmt: skip
        gather = np.array(data.draw(picked), np.int32).reshape(-1, 2)
        given = {**given, "gather": data.draw(in_memory(reference.from_rows(gather, x.shape, axis)))}
        names.append("gathered")
    names = data.draw(st.permutations(names), "outputs")
    names = names[: data.draw(st.integers(1, len(names)))]
    if "gathered" not in names:
        given.pop("gather", None)
    wants_top = {"top_indices", "top_log_probs"} & {*names}
    got = xent.cross_entropy(data.draw(in_memory(x)), laid, axis=axis, outputs=names, top_k=top if wants_top else 0,
                             **given)  # fmt: skip
    rows = reference.rows_of(x, axis)
    exact = reference.cross_entropy(rows, target, options, top, gather)
    check(got, names, exact, rows_shape, axis, gaps(rows, options), real(x.dtype))


def check(got, names, exact, rows_shape, axis, gap, real_dtype):
    for name in names:
        value, wanted = np.asarray(getattr(got, name)), np.asarray(exact[name])
        if wanted.ndim == 2:
            value = reference.rows_of(value, axis)
        elif wanted.ndim == 1:
            assert value.shape == rows_shape, name
            value = value.reshape(-1)
        if value.dtype.kind in "iu":
            np.testing.assert_array_equal(value, wanted, name)
        else:
            # What is summed up in f64 are losses of the logits' precision.
            dtype = real_dtype if name in ("loss_sum", "weight_sum") else value.dtype
            assert_near(value, wanted, gap, name, dtype, exact["grad size"] if name == "grad" else 0)


@settings(max_examples=2 * settings.default.max_examples)
@given(problems(), st.data())
def test_outputs_where_the_caller_wants_them(problem, data):
    """out= and grad_out= in any layout get the same bits as new arrays, and logits may be the place of the gradient."""
    x, laid, axis, given, *_ = problem
    first = data.draw(in_memory(x))
    loss, grad = xent.cross_entropy_with_grad(first, laid, axis=axis, **given)
    out = data.draw(in_memory(np.zeros_like(loss)))
    place = data.draw(in_memory(x))
    result, result_grad = xent.cross_entropy_with_grad(first, laid, axis=axis, out=out, grad_out=place, **given)
    assert result is out and result_grad is place
    assert_same(out, loss)
    assert_same(place, grad)
    assert_same(first, x)
    xent.cross_entropy_with_grad(first, laid, axis=axis, grad_out=first, **given)
    assert_same(first, grad)


def assert_same(got, wanted):
    np.testing.assert_array_equal(got.astype(float), wanted.astype(float))  # bfloat16's NaN is not known there
