# SPDX-License-Identifier: Apache-2.0
"""What the tests against PyTorch share: dtypes, shapes, layouts, and how near is near enough."""

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch cannot be imported; pip install torch to compare with it")
torch.set_num_threads(1)  # small arrays, and Xent has threads of its own

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
# The class axis is the only one, or the second.
SHAPES = [(7,), (6, 5), (3, 5, 4), (2, 5, 3, 2), (2, 4, 2, 1, 3)]
INTEGERS = (np.int64, np.int32, np.int16, np.int8)


def class_axis(shape):
    return min(1, len(shape) - 1)


def rows_shape(shape):
    return shape[: class_axis(shape)] + shape[class_axis(shape) + 1 :]


def real(dtype):
    """The dtype of losses and weights."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def _sliced(array):
    """Every second element of the last axis, and of rows that are longer than it."""
    if not array.ndim:
        return array
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1] + 3), array.dtype)
    view = wide[..., 2 : 2 + 2 * array.shape[-1] : 2]
    view[...] = array
    return view


def _class_last(array):
    if not array.ndim:
        return array
    axis = class_axis(array.shape)
    return np.moveaxis(np.moveaxis(array, axis, -1).copy(order="C"), -1, axis)


# The same numbers, differently in memory.
LAYOUTS = {
    "contiguous": lambda array: array.copy(order="C"),
    "transposed": lambda array: array.copy(order="F"),
    "sliced": _sliced,
    "negative": lambda array: np.flip(np.flip(array).copy(order="C")),
    "class last": _class_last,
}
layouts = pytest.mark.parametrize("layout", LAYOUTS)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def tensor(array, requires_grad=False):
    """The same numbers as a contiguous float64 tensor, or an int64 one: PyTorch is asked for the exact value."""
    if array is None:
        return None
    array = np.asarray(array)
    kind = np.int64 if array.dtype.kind in "iub" else np.float64
    return torch.from_numpy(np.ascontiguousarray(array.astype(kind)).reshape(array.shape)).requires_grad_(requires_grad)


def assert_near(got, expected, magnitude=1.0, what=""):
    """Within the rounding of got's dtype and the error of PyTorch's float64, which is relative to `magnitude`."""
    got, expected = np.asarray(got), np.asarray(expected.detach() if hasattr(expected, "detach") else expected)
    assert got.shape == expected.shape, what
    info = ml_dtypes.finfo(got.dtype)
    finite = np.abs(expected[np.isfinite(expected)])
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = expected.astype(got.dtype).astype(float)
        step = 1.5 * float(info.eps) * np.abs(expected) + float(info.smallest_subnormal)
        allowed = step + 2.0**-46 * max([magnitude, *finite.max(initial=0).reshape(-1)])
        wide = got.astype(float)
        same = (wide == nearest) | (np.isnan(wide) & np.isnan(nearest))
        bad = ~(same | (np.abs(wide - expected) <= allowed))
    if bad.any():
        where = tuple(np.argwhere(bad)[0])
        raise AssertionError(f"{what}: {list(map(int, where))} is {wide[where]!r}, not {expected[where]!r}")
