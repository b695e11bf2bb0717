# SPDX-License-Identifier: Apache-2.0
"""Between NumPy's arrays and the C library's: contiguous, aligned, native. What already is that is never copied."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import addressof, c_char
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._library import DTYPES

_INT64 = np.dtype(np.int64)
_LARGEST = 2**63 - 1
_NATIVE: dict[Any, Any] = {dtype.newbyteorder(order): dtype for dtype in DTYPES for order in "<>"}

Array = NDArray[Any]


def floats(value: Any, function: str, name: str) -> tuple[Array, Any]:
    """value as an array in any layout and byte order, with its dtype in native order."""
    array = as_array(value, function, name)
    return array, float_dtype(array.dtype, function, name)


def float_dtype(dtype: Any, function: str, name: str) -> Any:
    """The native form of float32 or float64 in either byte order, or the exception that says why it is neither."""
    native = _NATIVE.get(dtype)
    if native is not None:
        return native
    if dtype == np.float16 or dtype.name == "bfloat16":
        raise NotImplementedError(f"{function}: {name} is {dtype.name}; half precision is not supported yet")
    raise TypeError(f"{function}: {name} is {dtype.name}, not float32 or float64")


def as_array(value: Any, function: str, name: str) -> Array:
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} is a masked array, whose mask would be lost; -inf masks a class")
    return np.asarray(value)


def is_plain(array: Array, dtype: Any) -> bool:
    """Whether the C library can use the array as it lies in memory."""
    flags = array.flags
    return bool(array.dtype == dtype and flags.c_contiguous and flags.aligned)


def plain(array: Array, dtype: Any) -> Array:
    """The array itself where the C library can use it, otherwise a copy that it can."""
    return array if is_plain(array, dtype) else array.astype(dtype, order="C")


def address(array: Any) -> int | None:
    """Where a plain array begins; None (NULL) for an empty one.

    The buffer protocol takes a quarter of the time of `array.ctypes.data`, which matters for small arrays; it refuses
    read-only and empty arrays.
    """
    try:
        return addressof(c_char.from_buffer(array))
    except (TypeError, ValueError):
        return int(array.ctypes.data) if array.size else None


def integers(target: Array, function: str, ignore_index: int, classes: int) -> Array:
    """Targets of any integer dtype as a plain int64 array of the same shape."""
    dtype = target.dtype
    if dtype == _INT64:
        return plain(target, _INT64)
    if dtype.kind not in "iu":
        raise TypeError(f"{function}: target is {dtype.name}, not an integer dtype")
    if dtype.kind == "u" and dtype.itemsize == 8:
        beyond = np.flatnonzero(target > _LARGEST)  # int64 would make them negative, perhaps ignore_index
        if beyond.size:
            row = int(beyond[0])
            raise IndexError(
                f"{function}: targets[{row}] is {target.flat[row]}, not in [0, {classes}) "
                f"and not ignore_index ({ignore_index})"
            )
    return plain(target, _INT64)


def check_out(out: Any, shape: Sequence[int], dtype: Any, function: str, name: str = "out") -> None:
    """dtype as float_dtype gives it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{function}: {name} is {type(out).__name__}, not a NumPy array")
    if _NATIVE.get(out.dtype) is not dtype:  # not !=, for which None is float64
        raise TypeError(f"{function}: {name} is {out.dtype.name}, not {dtype.name}")
    if out.shape != tuple(shape):
        raise ValueError(f"{function}: {name} has shape {out.shape}, not {tuple(shape)}")
    if not out.flags.writeable:
        raise ValueError(f"{function}: {name} is read-only")


def destination(out: Array, inputs: Sequence[Array], scratch: Array | None) -> Array:
    """The plain array for the C library to write: out where that is allowed, otherwise one to copy to out afterwards.

    The library may write exactly over an input of out's own dtype and shape. Any other overlap would overwrite what is
    still to be read. scratch is an input that is a copy of ours, which may be overwritten.
    """
    dtype = _NATIVE[out.dtype]
    if is_plain(out, dtype) and not any(_collide(out, array) for array in inputs):
        return out
    return np.empty(out.shape, dtype) if scratch is None else scratch


def _collide(out: Array, array: Array) -> bool:
    # Both are contiguous, so that overlapping bounds are overlapping memory.
    if not np.may_share_memory(out, array):
        return False
    same = out.dtype == array.dtype and out.shape == array.shape and address(out) == address(array)
    return not same
