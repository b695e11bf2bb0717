# SPDX-License-Identifier: Apache-2.0
"""Arrays of other packages, by the DLPack protocol: looked at where they lie, as NumPy arrays.

`numpy.from_dlpack` refuses bfloat16 and makes arrays of older exporters read-only, so the capsule is read here. It is
never consumed: the array keeps it, and its own end gives the memory back, as the protocol says of a capsule unused.
"""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any

import numpy as np


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),  # in elements; NULL: contiguous
        ("byte_offset", ctypes.c_uint64),
    ]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _DLTensor),
    ]


_READ_ONLY = 1  # of _Versioned.flags
_HOST = (1, 3, 11)  # device types whose memory the CPU reads: its own, and that pinned for CUDA or ROCm
_BFLOAT16 = 4
_NUMPY_KINDS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}

_UINT16 = np.dtype(np.uint16)
# What bfloat16 is where ml_dtypes is not: 16 bits, in a dtype that is taken for no other.
BFLOAT16_BITS = np.dtype([("bfloat16", _UINT16)], align=True)

_is_named = ctypes.pythonapi.PyCapsule_IsValid
_is_named.argtypes = (ctypes.py_object, ctypes.c_char_p)
_is_named.restype = ctypes.c_int
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
_pointer.restype = ctypes.c_void_p


class _Memory:
    """What NumPy makes an array of, and what that array keeps alive."""

    def __init__(self, interface: dict[str, Any], capsule: Any) -> None:
        self.__array_interface__ = interface
        self.capsule = capsule


def look(value: Any, function: str, name: str) -> np.ndarray[Any, Any]:
    """The array that a DLPack exporter has. It is read-only unless the exporter says that it may be written."""
    device = int(value.__dlpack_device__()[0])
    if device not in _HOST:
        raise TypeError(f"{function}: {name} is on a device (DLPack's type {device}), not in the CPU's memory")
    capsule = _capsule(value, function, name)
    if _is_named(capsule, b"dltensor_versioned"):
        versioned = _Versioned.from_address(_pointer(capsule, b"dltensor_versioned"))
        if versioned.major != 1:
            raise TypeError(f"{function}: {name} comes by DLPack {versioned.major}.{versioned.minor}, not 1.x")
        tensor, read_only = versioned.tensor, bool(versioned.flags & _READ_ONLY)
    else:
        tensor, read_only = _DLTensor.from_address(_pointer(capsule, b"dltensor")), True
    dtype = _dtype(tensor, function, name)
    shape = tuple(tensor.shape[: tensor.ndim])
    interface = {
        "version": 3,
        "shape": shape,
        "typestr": _UINT16.str if dtype.kind == "V" else dtype.str,
        "data": ((tensor.data or 0) + tensor.byte_offset, read_only),
        "strides": tuple(n * dtype.itemsize for n in tensor.strides[: tensor.ndim]) if tensor.strides else None,
    }
    if 0 in shape:  # there may be no memory at all
        return np.empty(shape, dtype)
    array = np.asarray(_Memory(interface, capsule))
    return array.view(dtype) if dtype.kind == "V" else array


def _capsule(value: Any, function: str, name: str) -> Any:
    try:
        try:
            return value.__dlpack__(max_version=(1, 0))
        except TypeError as error:
            if type(error) is not TypeError:  # the exporter's own: it has no such array to show
                raise
            return value.__dlpack__()  # of before DLPack 1.0, which knows no versions
    except (BufferError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{function}: {name} cannot be looked at: {error}") from error


def _dtype(tensor: _DLTensor, function: str, name: str) -> Any:
    code, bits = tensor.code, tensor.bits
    if tensor.lanes == 1 and bits % 8 == 0:
        if code == _BFLOAT16 and bits == 16:
            return bfloat16()
        if code in _NUMPY_KINDS:
            return np.dtype(f"{_NUMPY_KINDS[code]}{bits // 8}")
    raise TypeError(f"{function}: {name} is of DLPack's type {code} with {bits} bits, which NumPy has not")


def bfloat16() -> Any:
    """ml_dtypes' dtype, or where that is not installed the bits alone."""
    try:
        return np.dtype(import_module("ml_dtypes").bfloat16)
    except ImportError:
        return BFLOAT16_BITS
