# SPDX-License-Identifier: Apache-2.0
"""What the Hypothesis tests draw: shapes, logits of every kind and dtype, and how they lie in memory."""

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
# Ordinary ones and far ones; ties, as drawn numbers seldom are; infinities, NaN and subnormal numbers.
ORDINARY = st.floats(-30, 30, width=32)
FAR = st.floats(-1e30, 1e30)
SPECIAL = st.sampled_from(
    [0.0, 1.0, 1.0, -2.5, -np.inf, -np.inf, np.inf, np.nan, 1e-45, -1e-40, 6e4, 1e-310, -0.0, 88.75]
)
KINDS = [ORDINARY, ORDINARY, st.sampled_from([0.0, 0.5, 1.0, 2.0]), ORDINARY | SPECIAL, FAR, FAR | SPECIAL]


def real(dtype):
    """The dtype of losses and weights."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


@st.composite
def shapes_with_axis(draw):
    """Up to five dimensions of 0 to 3, and the class axis, of up to 9."""
    ndim = draw(st.integers(1, 5))
    axis = draw(st.integers(0, ndim - 1))
    sizes = [draw(st.sampled_from([2, 1, 3, 2, 1, 0] if ndim < 4 else [1, 2, 1])) for _ in range(ndim)]
    sizes[axis] = draw(st.sampled_from([3, 2, 5, 1, 9, 0]))
    return tuple(sizes), axis


@st.composite
def logits_of(draw, shape, dtype):
    size = int(np.prod(shape))
    values = draw(st.lists(draw(st.sampled_from(KINDS)), min_size=size, max_size=size))
    with np.errstate(over="ignore"):
        return np.array(values, np.float64).astype(dtype).reshape(shape)


@st.composite
def in_memory(draw, array):
    """The same array with its axes in any order in memory, forwards or backwards, with or without elements between."""
    if not array.ndim:
        return array.copy()
    order = draw(st.permutations(range(array.ndim)))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -3])) for _ in order]
    sizes = [array.shape[axis] * abs(step) for axis, step in zip(order, steps)]
    block = np.zeros(sizes, array.dtype)
    view = block[tuple(slice(None, None, step) for step in steps)].transpose(np.argsort(order))
    view[...] = array
    return view


def gaps(rows, options):
    """How far apart the logits of a call are at most: what the rounding of one of them can be in a sum of f64."""
    finite = np.abs(rows[np.isfinite(rows)].astype(float))
    most = 2 * finite.max(initial=0) / options.temperature
    return min(most, 2 * options.softcap / options.temperature) if options.softcap else most


def assert_near(got, exact, gap, what, dtype=None, terms=0):
    """Within 2 ulp of the result or its terms, and of what f64 makes of numbers as large as `gap`: their ulp.

    How many ulps exactly is for Tests/Accuracy; here nothing is to be off by more than rounding can explain.
    """
    assert got.shape == exact.shape, what
    info = ml_dtypes.finfo(dtype or got.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = exact.astype(float).astype(got.dtype).astype(np.longdouble)
        wide = got.astype(np.longdouble)
        size = np.maximum(np.abs(exact), terms)
        largest = np.where(np.isfinite(size), size, 0).max(initial=0)
        slack = 2.0**-50 * (1 + gap) * np.maximum(1, largest)
        allowed = 2 * float(info.eps) * size + 2 * float(info.smallest_subnormal) + slack
        allowed = np.where(np.isfinite(allowed), allowed, 0)
        same = (wide == nearest) | (np.isnan(wide) & np.isnan(nearest))
        bad = ~(same | (np.abs(wide - exact) <= allowed))
    if bad.any():
        where = tuple(np.argwhere(bad)[0]) if bad.ndim else ()
        raise AssertionError(f"{what}: {list(map(int, where))} is {wide[where]!r}, not {exact[where]!r}")
