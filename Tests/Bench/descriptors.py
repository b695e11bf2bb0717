# SPDX-License-Identifier: Apache-2.0
"""libxent by ctypes, and calls over its descriptors: xent.h's structs, for what has no plain function."""

import ctypes
import functools
import os
from pathlib import Path

DTYPES = {"f32": 1, "f64": 2, "f16": 3, "bf16": 4, "i64": 8}

_int32, _int64, _double, _pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class Tensor(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t), ("data", _pointer), ("dtype", _int32), ("reserved", _int32),
        *((name, _int64) for name in ("outer", "classes", "inner")),
        *((name, _int64) for name in ("outer_stride", "class_stride", "inner_stride")),
    ]  # fmt: skip


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *((n, _int32) for n in ("reduction", "smoothing", "empty_mean", "masked_row", "divergence", "num_threads")),
        ("ignore_index", _int64),
        *((n, _double) for n in ("label_smoothing", "temperature", "softcap", "focal_gamma", "poly_epsilon", "z_loss")),
        *((n, _pointer) for n in ("weight", "pos_weight", "row_mask", "class_mask", "target_probs", "grad_loss",
                                  "gather")),
        ("accuracy", _int32), ("reserved", _int32),
    ]  # fmt: skip


class Outputs(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *((n, _pointer) for n in (
            "loss", "row_loss", "grad_logits", "probs", "log_probs", "lse", "entropy", "max_logit", "target_log_prob",
            "z_loss", "argmax", "target_rank", "top_indices", "top_log_probs", "gathered", "correct", "rows_counted",
            "loss_sum", "weight_sum")),
    ]  # fmt: skip


FIELDS = {"loss": "loss", "grad": "grad_logits", "log_probs": "log_probs", "probs": "probs", "lse": "lse"}


@functools.lru_cache(maxsize=None)
def library():
    """libxent: XENT_LIBRARY, or that of the checkout."""
    path = os.environ.get("XENT_LIBRARY") or Path(__file__).resolve().parents[2] / "build/lib/libxent.so"
    lib = ctypes.CDLL(str(path))
    for name in ("xent_last_error", "xent_cpu_level"):
        getattr(lib, name).restype = ctypes.c_char_p
    return lib


def _tensor(array, dtype, outer, classes, inner):
    strides = (classes * inner, inner, 1)
    size = ctypes.sizeof(Tensor)
    return Tensor(size, array.ctypes.data, DTYPES[dtype], 0, outer, classes, inner, *strides)


def descriptor(operation, problem, logits, arrays, num_threads=0, accuracy=0):
    """(function, arguments) of the descriptor call for an operation with class indices or without targets."""
    outer, inner = problem.shape[0], problem.rows // problem.shape[0]
    outputs = Outputs(ctypes.sizeof(Outputs))
    keep = []
    for name in operation.outputs:
        if name == "loss":
            tensor = _tensor(arrays[name], "f32", 1, 1, 1)
        elif name == "lse":
            tensor = _tensor(arrays[name], "f32", outer, 1, inner)
        else:
            tensor = _tensor(arrays[name], problem.dtype, outer, problem.classes, inner)
        keep.append(tensor)
        setattr(outputs, FIELDS[name], ctypes.addressof(tensor))
    # XENT_OPTIONS_INIT: reduction mean, and a temperature of 1.
    options = Options(ctypes.sizeof(Options), 1, 0, 0, 0, 0, num_threads, -100, 0.0, 1.0, accuracy=accuracy)
    tensors = [_tensor(logits, problem.dtype, outer, problem.classes, inner)]
    if "loss" in operation.outputs:
        tensors.append(_tensor(problem.targets, "i64", outer, 1, inner))
    # ctypes does not know what the structs point to; the arguments own it for as long as they are used.
    outputs.keep = keep, dict(arrays), logits, problem
    name = "xent_cross_entropy" if "loss" in operation.outputs else "xent_softmax"
    function = getattr(library(), name)
    return function, (*map(ctypes.byref, tensors), ctypes.byref(options), ctypes.byref(outputs), None)
