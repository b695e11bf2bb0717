# SPDX-License-Identifier: Apache-2.0
"""The losses that the plain C functions compute: contiguous rows, no options but PyTorch's oldest.

For small arrays a plain call takes a third of the time of a descriptor call. Their results have the same bits.
"""

from __future__ import annotations

from ctypes import byref
from typing import Any

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
from ._memory import empty
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


class Loss:
    """A plain function for each dtype, from scores and index targets to a loss.

    Most of a small call would be to find out what it comes to with these dtypes, shapes and options. What came of it
    stays as a plan: the C function, its arguments that are no arrays, and places for its result that no thread uses.
    """

    MOST_PLANS = 1000

    def __init__(self, c_name: str) -> None:
        self.functions = typed(c_name)
        self.plans: dict[Any, tuple[Any, ...]] = {}

    def __call__(
        self, function: str, name: str, array: Any, target: Any, weight: Any, ignore_index: Any, reduction: Any
    ) -> Any:
        """The loss; None if the plain function does not take these arrays."""
        key = None
        # Numbers of other types may be equal to an int and not be right.
        if (
            type(array) is type(target) is ndarray
            and (array.flags.carray and target.flags.carray)
            and (weight is None and type(ignore_index) is int and type(reduction) is str)
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
                status = c_function(
                    byref(buffer(array)), byref(buffer(target)), rows, classes, None, ignored, option, where
                )
                if status:
                    fail(status)
                value = result[()]
                places.append(own)
                return value
        scores, kind = floats(array, function, name)
        if not is_plain(scores, kind.dtype):
            return None
        mode, shape = choice(function, "reduction", reduction), scores.shape
        taken = arguments(function, name, shape, kind, target, weight, ignore_index, mode)
        if taken is None:
            return None
        c_function = self.functions[kind.suffix]
        result, where = place(kind, () if mode else shape[:-1])
        if not succeeds(c_function(pointer(scores), *taken, where)):
            return None
        if key and mode and scores.size and kind.has_buffer and len(self.plans) < self.MOST_PLANS:
            _, rows, classes, _, ignored, option = taken
            self.plans[key] = (c_function, kind, rows, classes, ignored, option, [])
        return result[()]


def loss_and_grad(
    plain: dict[str, Any], function: str, name: str, grad_out: Any, array: Any, target: Any, weight: Any, ignore: Any,
    reduction: Any,
) -> tuple[Any, Any] | None:  # fmt: skip
    """The loss and its gradient, or None."""
    scores, kind = floats(array, function, name)
    if not is_plain(scores, kind.dtype):
        return None
    mode, shape = choice(function, "reduction", reduction), scores.shape
    taken = arguments(function, name, shape, kind, target, weight, ignore, mode)
    if taken is None:
        return None
    grad = result_array(scores, kind, grad_out, function, "grad_out")
    if not is_plain(grad, kind.dtype):
        return None
    result, where = place(kind, () if mode else shape[:-1])
    done = succeeds(plain[kind.suffix](pointer(scores), *taken, where, pointer(grad)))
    return (result[()], grad if grad_out is None else grad_out) if done else None
