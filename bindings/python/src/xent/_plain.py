# SPDX-License-Identifier: Apache-2.0
"""The losses that the plain C functions compute: contiguous rows, no options but PyTorch's oldest.

For small arrays a plain call takes a third of the time of a descriptor call. Their results have the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import INT64, Array, Floating, address, as_array, floats, floats_beside, is_plain, result_array
from ._library import succeeds
from ._request import choice, whole

Shape = tuple[int, ...]


def arguments(
    function: str, name: str, shape: Shape, kind: Floating, target: Any, weight: Any, ignore_index: Any, reduction: Any
) -> tuple[tuple[Any, ...], tuple[Array | None, ...]] | None:
    """What the plain functions take after the scores, and the arrays whose addresses are in it.

    None if they do not take these arrays. Whether they are right at all is for the descriptor call to say.
    """
    if not 1 <= len(shape) <= 2:
        return None
    targets = as_array(target, function, "target")
    if targets.shape != shape[:-1] or not is_plain(targets, INT64):
        return None
    weights = where = None
    if weight is not None:
        weights, _ = floats_beside(weight, kind, function, "weight", name)
        if weights.shape != shape[-1:] or not is_plain(weights, kind.real.dtype):
            return None
        where = address(weights)
    ignored = whole(function, "ignore_index", ignore_index)
    mode = choice(function, "reduction", reduction)
    return (address(targets), targets.size, shape[-1], where, ignored, mode), (targets, weights)


def loss(plain: dict[str, Any], function: str, name: str, array: Any, *others: Any) -> Any:
    """The loss, or None. array: the scores; others: target, weight, ignore_index and reduction."""
    scores, kind = floats(array, function, name)
    shape = scores.shape
    taken = arguments(function, name, shape, kind, *others) if is_plain(scores, kind.dtype) else None
    if taken is None:
        return None
    result = np.empty(() if taken[0][-1] else shape[:-1], kind.real.dtype)
    done = succeeds(plain[kind.suffix](address(scores), *taken[0], address(result)))
    return result[()] if done else None


def loss_and_grad(
    plain: dict[str, Any], function: str, name: str, grad_out: Any, array: Any, *others: Any
) -> tuple[Any, Any] | None:
    """The loss and its gradient, or None."""
    scores, kind = floats(array, function, name)
    shape = scores.shape
    taken = arguments(function, name, shape, kind, *others) if is_plain(scores, kind.dtype) else None
    if taken is None:
        return None
    grad = result_array(scores, kind, grad_out, function, "grad_out")
    if not is_plain(grad, kind.dtype):
        return None
    result = np.empty(() if taken[0][-1] else shape[:-1], kind.real.dtype)
    done = succeeds(plain[kind.suffix](address(scores), *taken[0], address(result), address(grad)))
    return (result[()], grad if grad_out is None else grad_out) if done else None
