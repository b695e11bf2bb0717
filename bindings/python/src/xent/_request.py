# SPDX-License-Identifier: Apache-2.0
"""What descriptor calls are asked for: options by their names, and any outputs."""

from __future__ import annotations

import ctypes
from collections import namedtuple
from collections.abc import Sequence
from functools import cache
from operator import index
from typing import Any

import numpy as np

from ._arrays import (
    INT64,
    Array,
    as_array,
    check_shape,
    class_axis,
    destination,
    floats,
    floats_beside,
    integer_code,
    integers,
    is_floating,
    mask,
    result_array,
)
from ._descriptors import Call
from ._memory import empty

_CHOICES = {
    "reduction": ("none", "mean", "sum", "mean_rows"),
    "smoothing": ("weighted", "uniform"),
    "masked_row": ("nan", "zero"),
    "empty_mean": ("nan", "zero"),
    "accuracy": ("faithful", "fastest"),
    "kind": ("kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon"),
}
_NUMBERS = ("label_smoothing", "temperature", "softcap", "focal_gamma", "poly_epsilon", "z_loss")
_WHOLE = {"ignore_index": 64, "num_threads": 32}  # their bits
_MOST_TOP = 64  # XENT_MAX_TOP
_INT64_CODE = 8

# Each output's shape, and its dtype: "float" is the logits', "real" that of their losses.
_OUTPUTS: dict[str, tuple[str, Any]] = {
    "loss": ("one", "real"),
    "row_loss": ("row", "real"),
    "grad": ("full", "float"),
    "probs": ("full", "float"),
    "log_probs": ("full", "float"),
    "lse": ("row", "real"),
    "entropy": ("row", "real"),
    "max_logit": ("row", "real"),
    "target_log_prob": ("row", "real"),
    "z_loss": ("row", "real"),
    "argmax": ("row", "int"),
    "target_rank": ("row", "int"),
    "top_indices": ("top", "int"),
    "top_log_probs": ("top", "real"),
    "gathered": ("gather", "real"),
    "correct": ("number", ctypes.c_int64),
    "rows_counted": ("number", ctypes.c_int64),
    "loss_sum": ("number", ctypes.c_double),
    "weight_sum": ("number", ctypes.c_double),
}
_FIELDS = {"grad": "grad_logits"}  # of xent_outputs, where it has another name


def wanted(function: str, outputs: Sequence[str]) -> tuple[str, ...]:
    """The names of outputs, each of which there is."""
    if isinstance(outputs, str):
        raise TypeError(f"{function}: outputs is {outputs!r}, not a sequence of names; ({outputs!r},) is one")
    names = tuple(outputs)
    for name in names:
        if name not in _OUTPUTS:
            raise ValueError(f"{function}: outputs has {name!r}, not one of {', '.join(_OUTPUTS)}")
    return names


def choice(function: str, name: str, value: Any) -> int:
    """The number of a word."""
    words = _CHOICES[name]
    try:
        return words.index(value)
    except ValueError:
        *others, last = map(repr, words)
        raise ValueError(f"{function}: {name} is {value!r}, not {', '.join(others)} or {last}") from None


_LIMITS = {bits: 1 << (bits - 1) for bits in (32, 64)}


def whole(function: str, name: str, value: Any, bits: int = 64) -> int:
    """An integer that the C library can take; ctypes would cut off what it cannot."""
    number = index(value)
    if not -_LIMITS[bits] <= number < _LIMITS[bits]:
        raise ValueError(f"{function}: {name} is {number}, which int{bits} cannot hold")
    return number


class Request:
    """One descriptor call in the making: its arrays, options and outputs, checked and named as Python names them."""

    def __init__(self, function: str, name: str, logits: Any, axis: Any) -> None:
        self.function = function
        self.name = name  # what the function calls its logits
        self.array, self.kind = floats(logits, function, name)
        if axis is None:
            axis = min(1, self.array.ndim - 1)  # as in PyTorch
        self.call = Call(self.array.shape, class_axis(self.array, axis, function, name))
        self.call.input(self.array, self.kind.code, self.call.axis)
        self.per_element = False  # each element has a loss, not each row
        self._gathered = -1

    def full_input(self, value: Any, name: str) -> None:
        """Floating numbers of the logits' shape as the function's next argument."""
        array, code = self._beside(value, name)
        self._check(array, self.call.shape, name)
        self.call.input(array, code, self.call.axis)

    def target(self, value: Any, may_be_soft: bool = True) -> None:
        """The class of each row, or the probabilities of its classes, as the function's next argument."""
        array = as_array(value, self.function, "target")
        if may_be_soft and is_floating(array.dtype) and array.shape == self.call.shape:
            self.full_input(value, "target")
            return
        if array.dtype.kind not in "iu":
            soft = f" or of the shape of {self.name}" if may_be_soft and is_floating(array.dtype) else ""
            raise TypeError(f"{self.function}: target is {array.dtype.name}, not an integer dtype{soft}")
        self._check(array, self.call.rows, "target")
        self.call.input(array, integer_code(array), None)

    def sparse_target(self, value: Any, probs: Any) -> None:
        """Some classes of each row as the function's next argument, and their probabilities."""
        array, code = self._several(value, "target")
        self.call.input(array, code, self.call.axis)
        numbers, code = self._beside(probs, "target_probs")
        check_shape(numbers, array.shape, self.function, "target_probs", ", the shape of target")
        self.call.option("target_probs", numbers, code, self.call.axis)

    def labels(self, value: Any) -> None:
        """Numbers from 0 to 1, or truth values, of the logits' shape as the function's next argument."""
        array = as_array(value, self.function, "target")
        if array.dtype.kind == "b" or array.dtype == np.uint8:
            self._check(array, self.call.shape, "target")
            self.call.input(array, integer_code(array), self.call.axis)
        else:
            self.full_input(value, "target")

    def _several(self, value: Any, name: str) -> tuple[Array, int]:
        """Integers with the axes of the logits, any number of them at the class axis."""
        array = integers(value, self.function, name)
        axis = self.call.axis
        count = array.shape[axis] if array.ndim == self.array.ndim else -1
        if array.shape != self.call.several(count):
            shape = ", ".join("k" if n == axis else str(size) for n, size in enumerate(self.call.shape))
            raise ValueError(f"{self.function}: {name} has shape {array.shape}, not ({shape}) with any k")
        return array, integer_code(array)

    def _mask(self, value: Any, name: str) -> tuple[Array, int]:
        array = mask(value, self.function, name)
        return array, integer_code(array)

    def _beside(self, value: Any, name: str) -> tuple[Array, int]:
        array, kind = floats_beside(value, self.kind, self.function, name, self.name)
        return array, kind.code

    def _check(self, array: Array, shape: Sequence[int], name: str) -> None:
        check_shape(array, shape, self.function, name, f", for {self.name} of shape {self.array.shape}")

    def set(self, **given: Any) -> None:
        """Options by name. What is not given, or None, is the default."""
        options, function = self.call.options, self.function
        for name, value in given.items():
            if name in _NUMBERS:
                setattr(options, name, float(value))
            elif name in _WHOLE:
                setattr(options, name, whole(function, name, value, _WHOLE[name]))
            elif name in _CHOICES:
                setattr(options, "divergence" if name == "kind" else name, choice(function, name, value))
            elif value is not None:
                _TENSORS[name](self, value, name)

    def set_broadcast(self, value: Any, name: str) -> None:
        """An option of any shape that broadcasts to the logits'."""
        if value is None:
            return
        array, code = self._beside(value, name)
        try:
            array = np.broadcast_to(array, self.call.shape)
        except ValueError:
            raise ValueError(
                f"{self.function}: {name} has shape {array.shape}, which does not broadcast to {self.call.shape}"
            ) from None
        self.call.option(name, array, code, self.call.axis)

    def _set_per_class(self, value: Any, name: str) -> None:
        array, code = (self._mask if name == "class_mask" else self._beside)(value, name)
        self._check(array, (self.call.classes,), name)
        self.call.option(name, array, code, 0, has_rows=False)

    def _set_row_mask(self, value: Any, name: str) -> None:
        array, code = self._mask(value, name)
        self._check(array, self.call.rows, name)
        self.call.option(name, array, code, None)

    def _set_grad_loss(self, value: Any, name: str) -> None:
        array, code = self._beside(value, name)
        if self.per_element and array.shape == self.call.shape:
            self.call.option(name, array, code, self.call.axis)
        else:
            if array.ndim:  # a scalar is one for all
                self._check(array, self.call.rows, name)
            self.call.option(name, array, code, None, has_rows=array.ndim > 0)

    def set_gather(self, value: Any, name: str) -> None:
        array, code = self._several(value, name)
        self._gathered = array.shape[self.call.axis]
        self.call.option("gather", array, code, self.call.axis)

    def run(self, library_function: Any, names: Sequence[str], top_k: Any = 0, **outs: Any) -> tuple[Any, ...]:
        """The outputs of these names. outs: where the caller wants loss and grad, or None."""
        call = self.call
        for argument, name in (("out", "loss"), ("grad_out", "grad")):
            if outs.get(name) is not None and name not in names:
                raise ValueError(f"{self.function}: {argument} is given, and outputs has no {name!r}")
        self._check_gathered("gathered" in names)
        shapes = {
            "one": (),
            "row": call.rows,
            "full": call.shape,
            "top": call.several(self._top(index(top_k), names)),
            "gather": call.several(self._gathered),
        }
        # Without a reduction the loss is that of each row.
        fields = ["row_loss" if name == "loss" and not call.options.reduction else name for name in names]
        places = {field: outs[name] for field, name in zip(fields, names) if outs.get(name) is not None}
        values = {field: self._output(field, shapes, places.get(field)) for field in dict.fromkeys(fields)}
        call.run(library_function)
        results = {field: places[field] if field in places else _result(value) for field, value in values.items()}
        return tuple(results[field] for field in fields)

    def _check_gathered(self, is_wanted: bool) -> None:
        if is_wanted and self._gathered < 0:
            raise ValueError(f"{self.function}: outputs has 'gathered', and gather is not given")
        if self._gathered >= 0 and not is_wanted:
            raise ValueError(f"{self.function}: gather is given, and outputs has no 'gathered'")

    def _top(self, k: int, names: Sequence[str]) -> int:
        wanted = [name for name in ("top_indices", "top_log_probs") if name in names]
        if k and not wanted:
            raise ValueError(f"{self.function}: top_k is {k}, and outputs has no 'top_indices' or 'top_log_probs'")
        most = min(_MOST_TOP, self.call.classes)
        if wanted and not 1 <= k <= most:
            raise ValueError(f"{self.function}: top_k is {k}, not in [1, {most}], for the output {wanted[0]!r}")
        return k

    def _output(self, field: str, shapes: dict[str, tuple[int, ...]], out: Any) -> Any:
        """The array, or the number, that the call is to write."""
        call, kind = self.call, self.kind
        role, dtype = _OUTPUTS[field]
        if role == "number":
            number = dtype()
            setattr(call.outputs, field, ctypes.addressof(number))
            return number
        if field == "row_loss" and self.per_element:
            role = "full"
        if dtype == "real":
            kind = kind.real
        code = _INT64_CODE if dtype == "int" else kind.code
        if dtype == "float":
            array = result_array(self.array, kind, out, self.function, "grad_out")
        elif out is not None:
            array = destination(out, shapes[role], kind, self.function)
        else:
            array = empty(shapes[role], INT64 if dtype == "int" else kind.dtype)
        axis = None if role in ("one", "row") else call.axis
        call.output(_FIELDS.get(field, field), array, code, axis, has_rows=role != "one")
        return array


_TENSORS = {
    "weight": Request._set_per_class,
    "class_mask": Request._set_per_class,
    "row_mask": Request._set_row_mask,
    "grad_loss": Request._set_grad_loss,
    "gather": Request.set_gather,
}


def _result(value: Any) -> Any:
    """What is returned of an output: an array, NumPy's scalar for one without dimensions, or Python's own number."""
    return value[()] if isinstance(value, np.ndarray) else value.value


@cache
def _outputs_type(names: tuple[str, ...]) -> Any:
    base = namedtuple("Outputs", names)  # type: ignore[misc]

    class Outputs(base):
        __slots__ = ()

        def __reduce__(self) -> tuple[Any, ...]:  # to be pickled, a class has to be found by its name
            return named, (names, tuple(self))

    Outputs.__module__, Outputs.__qualname__ = "xent", "Outputs"
    return Outputs


def named(names: tuple[str, ...], values: Sequence[Any]) -> Any:
    """A named tuple of these fields."""
    return _outputs_type(names)._make(values)
