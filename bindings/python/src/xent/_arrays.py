# SPDX-License-Identifier: Apache-2.0
"""Which arrays are taken, and as what. What already is an array is looked at where it lies and not copied."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import addressof, byref, c_char, c_void_p
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._dlpack import BFLOAT16_BITS, look
from ._memory import empty

Array = NDArray[Any]
INT64 = np.dtype(np.int64)


class Floating(NamedTuple):
    """A floating dtype of xent.h."""

    name: str
    dtype: Any  # NumPy's, in native byte order
    suffix: str  # of the plain functions
    code: int  # xent_dtype

    @property
    def has_buffer(self) -> bool:
        """Whether its arrays have the buffer protocol."""
        return self.suffix != "bf16"

    @property
    def is_double(self) -> bool:
        return self is _F64

    @property
    def real(self) -> Floating:
        """What its losses are."""
        return _F64 if self is _F64 else _F32


_F32 = Floating("float32", np.dtype(np.float32), "f32", 1)
_F64 = Floating("float64", np.dtype(np.float64), "f64", 2)
_F16 = Floating("float16", np.dtype(np.float16), "f16", 3)
_BF16_BITS = Floating("bfloat16", BFLOAT16_BITS, "bf16", 4)
# By NumPy's dtype, in either byte order. ml_dtypes.bfloat16, which need not be installed, comes in when first seen.
_KINDS: dict[Any, Floating] = {kind.dtype.newbyteorder(order): kind for kind in (_F32, _F64, _F16) for order in "<>"}
_KINDS[BFLOAT16_BITS] = _BF16_BITS

_INTEGERS = {"i": {1: 5, 2: 6, 4: 7, 8: 8}, "u": {1: 9, 2: 10, 4: 11, 8: 12}, "b": {1: 9}}


def as_array(value: Any, function: str, name: str) -> Array:
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} is a masked array, whose mask would be lost; -inf masks a class")
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        return look(value, function, name)
    return np.asarray(value)


def floats(value: Any, function: str, name: str) -> tuple[Array, Floating]:
    """value as an array in any layout and byte order, with what it is in native order."""
    array = as_array(value, function, name)
    return array, floating(array.dtype, function, name)


def floating(dtype: Any, function: str, name: str) -> Floating:
    kind = _floating(dtype)
    if kind is None:
        raise TypeError(f"{function}: {name} is {dtype.name}, not float32, float64, float16 or bfloat16")
    return kind


def _floating(dtype: Any) -> Floating | None:
    kind = _KINDS.get(dtype)
    if kind is None and dtype.kind == "V" and dtype.name == "bfloat16" and dtype.itemsize == 2:
        native = dtype if dtype.isnative else dtype.newbyteorder()
        kind = _KINDS[dtype] = _BF16_BITS._replace(dtype=native)
    return kind


def is_floating(dtype: Any) -> bool:
    return _floating(dtype) is not None


def floats_beside(value: Any, kind: Floating, function: str, name: str, beside: str) -> tuple[Array, Floating]:
    """Numbers for logits of `kind`, which `beside` names. Plain numbers have no dtype of their own, and fit any."""
    if isinstance(value, (list, tuple, int, float)):
        array = np.asarray(value)
        if array.dtype.kind in "fiu":
            return array.astype(kind.real.dtype), kind.real
    array = as_array(value, function, name)
    given = _floating(array.dtype)
    if given is None or given.is_double != kind.is_double:
        raise TypeError(f"{function}: {name} is {_name(array.dtype)}, and {beside} is {kind.name}")
    return array, given


def _name(dtype: Any) -> str:
    return "bfloat16" if dtype == BFLOAT16_BITS else str(dtype.name)


def integer_code(array: Array) -> int:
    """xent_dtype of an array of integers or truth values."""
    return _INTEGERS[array.dtype.kind][array.dtype.itemsize]


def integers(value: Any, function: str, name: str) -> Array:
    """An array of an integer dtype."""
    array = as_array(value, function, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}: {name} is {array.dtype.name}, not an integer dtype")
    return array


def mask(value: Any, function: str, name: str) -> Array:
    """An array of integers or of truth values."""
    array = as_array(value, function, name)
    if array.dtype.kind not in "iub":
        raise TypeError(f"{function}: {name} is {array.dtype.name}, not bool or an integer dtype")
    return array


def check_shape(array: Array, shape: Sequence[int], function: str, name: str, beside: str = "") -> None:
    if array.shape != tuple(shape):
        raise ValueError(f"{function}: {name} has shape {array.shape}, not {tuple(shape)}{beside}")


def class_axis(array: Array, axis: int, function: str, name: str) -> int:
    """The class axis counted from the front."""
    number, ndim = index(axis), array.ndim
    if not ndim:
        raise ValueError(f"{function}: {name} has no dimensions, and so no class axis")
    if not -ndim <= number < ndim:
        array.swapaxes(number, 0)  # raises NumPy's AxisError
    return number % ndim


def destination(out: Any, shape: Sequence[int], kind: Floating, function: str, name: str = "out") -> Array:
    """The array by which a result goes to what the caller gave: a NumPy array, or what DLPack shows of another."""
    if isinstance(out, np.ndarray):
        array = np.asarray(out)
    elif hasattr(out, "__dlpack__"):
        array = look(out, function, name)
    else:
        raise TypeError(f"{function}: {name} is {type(out).__name__}, not a NumPy array and without __dlpack__")
    own = _floating(array.dtype)
    if own is None or own.code != kind.code:
        raise TypeError(f"{function}: {name} is {_name(array.dtype)}, not {kind.name}")
    check_shape(array, shape, function, name)
    if not array.flags.writeable:
        raise ValueError(f"{function}: {name} is read-only")
    return array


def result_array(array: Array, kind: Floating, out: Any, function: str, name: str = "out") -> Array:
    """The array for a result of the shape of another: that of out, or a new one laid out like the other."""
    if out is None:
        return empty(array.shape, result_dtype(kind, function), like=array)
    return destination(out, array.shape, kind, function, name)


def result_dtype(kind: Floating, function: str) -> Any:
    """The dtype of a new array for a result."""
    if kind.dtype is BFLOAT16_BITS:
        raise ImportError(
            f"{function}: a result is bfloat16, which NumPy has only with the package ml_dtypes: "
            "pip install ml_dtypes, or say where it goes with out= or grad_out="
        )
    return kind.dtype


def is_plain(array: Array, dtype: Any) -> bool:
    """Whether the plain C functions can use the array as it lies in memory."""
    own, flags = array.dtype, array.flags
    # carray: the two, and writeable, in one look
    return (own is dtype or bool(own == dtype)) and (flags.carray or bool(flags.c_contiguous and flags.aligned))


# The buffer protocol takes a quarter of the time of `array.ctypes.data`, which matters for small arrays; it refuses
# read-only, empty, strided and bfloat16 arrays.
buffer: Any = c_char.from_buffer


def address(array: Any) -> int | None:
    """Where an array begins; None (NULL) for an empty one."""
    try:
        return addressof(buffer(array))
    except (TypeError, ValueError):
        return int(array.ctypes.data) if array.size else None


class _Pointer(c_void_p):
    """Keeps its array, as what byref gives does."""

    array: Array


def pointer(array: Any) -> Any:
    """The same, ready-made for a typed function; the array stays as long as this does."""
    try:
        return byref(buffer(array))
    except (TypeError, ValueError):
        if not array.size:
            return None
        place = _Pointer(array.ctypes.data)
        place.array = array
        return place
