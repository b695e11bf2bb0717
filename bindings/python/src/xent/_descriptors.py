# SPDX-License-Identifier: Apache-2.0
"""xent.h's structs, and calls that take them: any layout, every option, any outputs.

A descriptor sees an array as (outer, classes, inner). Where the class axis lies does not matter to it, but the others
have to fall in two groups, each with one stride, and into the same two for all arrays of a call. The cut between them
is free: any place will do where the axes before it and those after it can each be counted with one stride. An array
that leaves no such place is copied.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from ._arrays import Array, address
from ._library import OVERLAP, fail
from ._memory import empty

_pointer = ctypes.c_void_p


class Tensor(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("data", _pointer),
        ("dtype", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
        *((name, ctypes.c_int64) for name in ("outer", "classes", "inner")),
        *((name, ctypes.c_int64) for name in ("outer_stride", "class_stride", "inner_stride")),
    ]


_TENSOR_SIZE = ctypes.sizeof(Tensor)


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *(
            (name, ctypes.c_int32)
            for name in ("reduction", "smoothing", "empty_mean", "masked_row", "divergence", "num_threads")
        ),
        ("ignore_index", ctypes.c_int64),
        *(
            (name, ctypes.c_double)
            for name in ("label_smoothing", "temperature", "softcap", "focal_gamma", "poly_epsilon", "z_loss")
        ),
        *(
            (name, _pointer)
            for name in ("weight", "pos_weight", "row_mask", "class_mask", "target_probs", "grad_loss", "gather")
        ),
        ("accuracy", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
    ]


class Outputs(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *(
            (name, _pointer)
            for name in (
                *("loss", "row_loss", "grad_logits", "probs", "log_probs", "lse", "entropy", "max_logit"),
                *("target_log_prob", "z_loss", "argmax", "target_rank", "top_indices", "top_log_probs", "gathered"),
                *("correct", "rows_counted", "loss_sum", "weight_sum"),
            )
        ),
    ]


class Part:
    """One array of a call. `used` is what the library gets: the array, or what stands in for it."""

    def __init__(self, array: Any, code: int, axis: int | None, has_rows: bool = True) -> None:
        self.array = self.used = array
        self.code = code
        self.axis = axis  # the class axis, if it has one
        self.has_rows = has_rows
        self.shape, self.strides = self.layout()

    def is_usable(self) -> bool:
        """Whether a descriptor can say how the array lies."""
        return is_usable(self.array)

    def layout(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The sizes and the strides, in elements, of what is used."""
        used = self.used
        size = used.itemsize
        return used.shape, tuple(step // size for step in used.strides)

    def rows(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The sizes and the strides of the axes that count rows."""
        shape, strides, axis = self.shape, self.strides, self.axis
        if axis is None:
            return shape, strides
        return shape[:axis] + shape[axis + 1 :], strides[:axis] + strides[axis + 1 :]

    def address(self) -> int | None:
        return address(self.used)

    def overlaps(self, other: Part) -> bool:
        return bool(np.may_share_memory(self.used, other.used))

    def replace(self, is_output: bool) -> None:
        """Uses a native array with its classes next to each other, which can be cut anywhere, in the array's place."""
        array, axis = self.array, self.axis
        native = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
        last = array if axis is None else np.moveaxis(array, axis, -1)
        fresh = empty(last.shape, native) if is_output else last.astype(native, order="C")
        self.used = fresh if axis is None else np.moveaxis(fresh, -1, axis)
        self.shape, self.strides = self.layout()

    def finish(self) -> None:
        """Brings an output to where it was wanted."""
        if self.used is not self.array:
            np.copyto(self.array, self.used)


class Call:
    """The tensors of one call: for logits of a shape, with a class axis."""

    part = Part  # other packages' arrays have their own

    def __init__(self, shape: Sequence[int], axis: int) -> None:
        self.shape = tuple(shape)
        self.axis = axis
        self.rows = self.shape[:axis] + self.shape[axis + 1 :]
        self.classes = self.shape[axis]
        self.options = Options(ctypes.sizeof(Options), reduction=1, ignore_index=-100, temperature=1.0)
        self.outputs = Outputs(ctypes.sizeof(Outputs))
        self._low, self._high = 0, len(self.rows)  # where the axes of the rows may be cut
        self._inputs: list[Part] = []
        self._options: dict[str, Part] = {}
        self._outputs: dict[str, Part] = {}

    def several(self, count: int) -> tuple[int, ...]:
        """The shape of an array with so many entries at the class axis."""
        return (*self.shape[: self.axis], count, *self.shape[self.axis + 1 :])

    def input(self, array: Any, code: int, axis: int | None) -> None:
        """The next of the function's own tensors."""
        self._inputs.append(self._fit(self.part(array, code, axis), False))

    def option(self, name: str, array: Any, code: int, axis: int | None, has_rows: bool = True) -> None:
        self._options[name] = self._fit(self.part(array, code, axis, has_rows), False)

    def output(self, name: str, array: Any, code: int, axis: int | None, has_rows: bool = True) -> None:
        self._outputs[name] = self._fit(self.part(array, code, axis, has_rows), True)

    def _fit(self, part: Part, is_output: bool) -> Part:
        """Narrows where the rows may be cut to where this array lets them; one that does not is replaced."""
        cuts = None
        if part.is_usable():
            cuts = _cuts(*part.rows()) if part.has_rows else (self._low, self._high)
        if cuts is not None and cuts[0] <= self._high and self._low <= cuts[1]:
            self._low, self._high = max(cuts[0], self._low), min(cuts[1], self._high)
        else:
            part.replace(is_output)
        return part

    def run(self, function: Any) -> None:
        """Calls a function that takes inputs, options and outputs."""
        self._call(function, lambda keep: (*self._tensors(self._inputs, keep), *self._structs(keep), None))

    def run_bare(self, function: Any) -> None:
        """Calls a function that takes inputs and one output."""
        parts = (*self._inputs, *self._outputs.values())
        self._call(function, lambda keep: (*self._tensors(parts, keep), None))

    def _call(self, function: Any, arguments: Callable[[list[Tensor]], tuple[Any, ...]]) -> None:
        keep: list[Tensor] = []
        status = function(*arguments(keep))
        if status == OVERLAP and self._separate():
            status = function(*arguments(keep))
        if status:
            fail(status)
        for part in self._outputs.values():
            part.finish()

    def _separate(self) -> bool:
        """Gives outputs that may lie over inputs other memory, as NumPy's functions do; whether there were any."""
        inputs = (*self._inputs, *self._options.values())
        found = False
        for part in self._outputs.values():
            if part.used is part.array and any(part.overlaps(other) for other in inputs):
                part.replace(True)
                found = True
        return found

    def _structs(self, keep: list[Tensor]) -> tuple[Any, Any]:
        for struct, parts in ((self.options, self._options), (self.outputs, self._outputs)):
            for name, address_of in zip(parts, self._tensors(parts.values(), keep)):
                setattr(struct, name, address_of)
        return ctypes.addressof(self.options), ctypes.addressof(self.outputs)

    def _tensors(self, parts: Iterable[Part], keep: list[Tensor]) -> list[int]:
        """The addresses of the parts' descriptors, which live as long as `keep`."""
        tensors = [self._tensor(part) for part in parts]
        keep += tensors
        return [ctypes.addressof(tensor) for tensor in tensors]

    def _tensor(self, part: Part) -> Tensor:
        axis = part.axis
        classes, class_stride = (1, 0) if axis is None else (part.shape[axis], part.strides[axis])
        outer = inner = 1
        outer_stride = inner_stride = 0
        if part.has_rows:
            rows, steps = part.rows()
            cut = min(max(self.axis, self._low), self._high)
            if cut == len(rows) == 1:  # a matrix
                outer, outer_stride = rows[0], steps[0]
            else:
                outer, outer_stride = prod(rows[:cut]), _stride(rows[:cut], steps[:cut])
                inner, inner_stride = prod(rows[cut:]), _stride(rows[cut:], steps[cut:])
        return Tensor(
            *(_TENSOR_SIZE, part.address(), part.code, 0),
            *(outer, classes, inner, outer_stride, class_stride, inner_stride),
        )


def is_usable(array: Array) -> bool:
    """Whether a descriptor can say how the array lies: aligned, native, strides of whole elements."""
    if not (array.flags.aligned and array.dtype.isnative):
        return False
    size = array.itemsize
    return all(step % size == 0 or n < 2 for n, step in zip(array.shape, array.strides))


def _cuts(rows: Sequence[int], steps: Sequence[int]) -> tuple[int, int] | None:
    """From where to where the axes may be cut so that each group counts with one stride; None for nowhere."""
    low, high = 0, len(rows)
    if high < 2 or 0 in rows:
        return low, high
    last = None
    for axis, (n, step) in enumerate(zip(rows, steps)):
        if n == 1:
            continue
        if last is not None and steps[last] != n * step:
            if low:
                return None
            low, high = last + 1, axis
        last = axis
    return low, high


def _stride(rows: Sequence[int], steps: Sequence[int]) -> int:
    """The stride with which a group of axes counts: that of the last that has more than one element."""
    for n, step in zip(reversed(rows), reversed(steps)):
        if n != 1:
            return step
    return 0
