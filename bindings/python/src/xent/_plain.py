# SPDX-License-Identifier: Apache-2.0
"""What the plain C functions compute: losses of contiguous rows, no options but PyTorch's oldest, and maps of logits.

For small arrays a plain call takes a third of the time of a descriptor call. Their results have the same bits.
"""

from __future__ import annotations

from ctypes import byref
from typing import Any

from numpy import empty as new_array
from numpy import ndarray

from ._arrays import (
    INT64,
    Array,
    Floating,
    as_array,
    buffer,
    floats,
    floats_beside,
    is_plain,
    pointer,
    result_array,
)
from ._library import fail, int32, int64, succeeds, typed
from ._memory import LEAST, empty
from ._request import choice, whole

Shape = tuple[int, ...]


def arguments(
    function: str, name: str, shape: Shape, kind: Floating, target: Any, weight: Any, ignore_index: Any, mode: int
) -> tuple[Any, ...] | None:
    """What the plain functions take after the scores; None if they do not take these arrays.

    Whether they are right at all is for the descriptor call to say.
    """
    if not 1 <= len(shape) <= 2:
        return None
    targets = as_array(target, function, "target")
    if targets.shape != shape[:-1] or not is_plain(targets, INT64):
        return None
    where = None
    if weight is not None:
        weights, _ = floats_beside(weight, kind, function, "weight", name)
        if weights.shape != shape[-1:] or not is_plain(weights, kind.real.dtype):
            return None
        where = pointer(weights)
    rows = shape[0] if len(shape) == 2 else 1
    ignored = whole(function, "ignore_index", ignore_index)
    return pointer(targets), int64(rows), int64(shape[-1]), where, int64(ignored), int32(mode)


def place(kind: Floating, shape: Shape) -> tuple[Array, Any]:
    """A new array for losses, and how a typed function takes it."""
    result = empty(shape, kind.real.dtype)
    return result, pointer(result)


class Plans:
    """A plain function for each dtype, and what it comes to with arrays of some dtypes, shapes and options.

    To find that out would be most of a small call. What came of it stays as a plan: the C function, its arguments that
    are no arrays, and what its results are.
    """

    MOST = 1000

    def __init__(self, c_name: str) -> None:
        self.functions = typed(c_name)
        self.plans: dict[Any, tuple[Any, ...]] = {}

    def keep(self, key: Any, scores: Array, kind: Floating, *plan: Any) -> None:
        """For small arrays, whose results may have any memory."""
        if key and 0 < scores.nbytes < LEAST and kind.has_buffer and len(self.plans) < self.MOST:
            self.plans[key] = plan


class Loss(Plans):
    """From scores and index targets to a loss, or to that and its gradient."""

    def __init__(self, c_name: str, has_grad: bool = False) -> None:
        super().__init__(c_name)
        self.has_grad = has_grad

    def __call__(
        self, function: str, name: str, array: Any, target: Any, weight: Any, ignore_index: Any, reduction: Any,
        grad_out: Any = None,
    ) -> Any:  # fmt: skip
        """The loss, or both; None if the plain function does not take these arrays."""
        key = None
        # Numbers of other types may be equal to an int and not be right.
        if (
            type(array) is type(target) is ndarray
            and (array.flags.carray and target.flags.carray)
            and (weight is grad_out is None and type(ignore_index) is int and type(reduction) is str)
        ):
            key = (array.dtype, array.shape, target.dtype, target.shape, ignore_index, reduction)
            plan = self.plans.get(key)
            if plan:
                c_function, kind, rows, classes, ignored, option, places = plan
                # Taken and given back: another thread, or a signal's handler, may be here as well.
                try:
                    own = places.pop()
                except IndexError:
                    own = place(kind, ())
                result, where = own
                inputs = byref(buffer(array)), byref(buffer(target)), rows, classes, None, ignored, option
                if self.has_grad:
                    grad = new_array(array.shape, kind.dtype)
                    status = c_function(*inputs, where, byref(buffer(grad)))
                else:
                    status = c_function(*inputs, where)
                if status:
                    fail(status)
                value = result[()]
                places.append(own)
                return (value, grad) if self.has_grad else value
        scores, kind = floats(array, function, name)
        if not is_plain(scores, kind.dtype):
            return None
        mode, shape = choice(function, "reduction", reduction), scores.shape
        taken = arguments(function, name, shape, kind, target, weight, ignore_index, mode)
        if taken is None:
            return None
        outputs: tuple[Any, ...] = ()
        if self.has_grad:
            grad = result_array(scores, kind, grad_out, function, "grad_out")
            if not is_plain(grad, kind.dtype):
                return None
            outputs = (pointer(grad),)
        c_function = self.functions[kind.suffix]
        result, where = place(kind, () if mode else shape[:-1])
        if not succeeds(c_function(pointer(scores), *taken, where, *outputs)):
            return None
        if mode:
            _, rows, classes, _, ignored, option = taken
            # Places for the loss that no thread uses come last.
            self.keep(key, scores, kind, c_function, kind, rows, classes, ignored, option, [])
        if self.has_grad:
            return result[()], grad if grad_out is None else grad_out
        return result[()]


class Map(Plans):
    """From logits to what has their shape, or one number for each row of them."""

    def __call__(self, array: Any, axis: Any) -> Any:
        """The result in a new array; None where there is no plan for it."""
        if type(array) is not ndarray or type(axis) is not int or not array.flags.carray:
            return None
        plan = self.plans.get((array.dtype, array.shape, axis))
        if plan is None:
            return None
        c_function, rows, classes, shape, dtype = plan
        result = new_array(shape, dtype)
        status = c_function(byref(buffer(array)), rows, classes, byref(buffer(result)))
        if status:
            fail(status)
        return result

    def learn(self, array: Any, axis: Any, kind: Floating, sizes: tuple[Any, Any], result: Array) -> None:
        """Of a call that has succeeded with a new result, and the classes last; rows and classes as it took them."""
        if type(array) is ndarray and type(axis) is int and is_plain(array, kind.dtype) and result.size:
            plan = self.functions[kind.suffix], *sizes, result.shape, result.dtype
            self.keep((array.dtype, array.shape, axis), array, kind, *plan)
