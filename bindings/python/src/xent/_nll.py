# SPDX-License-Identifier: Apache-2.0
"""Negative log-likelihood of log-probabilities, and its backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _plain as plain
from ._arrays import class_axis, destination, floating, floats, integers, is_plain, pointer, result_dtype
from ._library import library, succeeds, typed
from ._memory import empty
from ._request import Request, choice, named, wanted

_LOSS = plain.Loss("nll")
_GRAD = typed("nll_grad")
_OPTIONS = ("weight", "ignore_index", "reduction", "row_mask", "empty_mean", "grad_loss", "num_threads")


def nll_loss(
    log_probs: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    *,
    axis: int | None = None,
    row_mask: ArrayLike | None = None,
    empty_mean: str = "nan",
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    outputs: Sequence[str] | None = None,
    out: Any = None,
    grad_out: Any = None,
) -> Any:
    """Negative log-likelihood of log-probabilities, in nats.

    The loss of a row is ``-weight[target] * log_probs[target]``, and 0 where target is ignore_index.

    Parameters
    ----------
    log_probs : array_like of float32, float64, float16 or bfloat16, shape (N, C), (C,) or (N, C, d1, ...)
        Log-probabilities, such as `log_softmax` gives. Only the targets' entries are read. A row is the classes at one
        place; the rows' shape is that of log_probs without the class axis.
    target : array_like of any integer dtype, of the rows' shape
        The class of each row, in [0, C) or equal to ignore_index.
    weight : array_like, shape (C,), optional
        The weight of each class, floating: float64 where log_probs is, otherwise one of the others. 1 without it.
    ignore_index : int
        Rows with this target do not count: their loss is 0 and they are no part of the mean.
    reduction : {"mean", "sum", "none", "mean_rows"}
        "mean" is the sum divided by the sum of the weights of the targets that count, "mean_rows" by their number, and
        "none" each row's own loss.
    axis : int, optional
        The class axis: 1 if it is not given, or 0 for one dimension.
    row_mask : array_like of bool or integers, of the rows' shape, optional
        Rows where it is 0 do not count.
    empty_mean : {"nan", "zero"}
        What a mean over no rows is.
    grad_loss : array_like, of the rows' shape or a number, optional
        The gradient by the loss, from further up, with which the output "grad" is multiplied.
    num_threads : int
        The most threads that this call may use; 0 as `set_num_threads` says.
    outputs : sequence of str, optional
        What is wanted, from "loss", "row_loss" (before the reduction), "grad" (d loss / d log_probs), "rows_counted",
        "loss_sum", "weight_sum" (what "mean" divides by).
    out, grad_out : ndarray or writeable DLPack exporter, optional
        Where the loss and the output "grad" go.

    Returns
    -------
    NumPy scalar, or an ndarray of the rows' shape for "none"
        float64 if log_probs is, otherwise float32. The sum over no rows is 0. ``out`` if that was given.
    named tuple
        Instead, with outputs: those, in their order.

    Raises
    ------
    IndexError
        If a target is outside [0, C) and not ignore_index; the text names the row.
    TypeError
        If log_probs is not floating, target not integer, weight or grad_loss float64 beside another dtype, or out or
        grad_out of another dtype than what they are for.
    ValueError
        If shapes do not fit, an option has no such value, or an output is none of this function's.
    ImportError
        As in `softmax`, for the output "grad".

    Examples
    --------
    >>> log_probs = xent.log_softmax(np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]]))
    >>> xent.nll_loss(log_probs, [2, 2, 0], reduction="none").round(4)
    array([0.0092, 0.1328, 0.0247])
    """
    function = "nll_loss"
    if axis is row_mask is grad_loss is outputs is out is grad_out is None and num_threads == 0 and empty_mean == "nan":
        loss = _LOSS(function, "log_probs", log_probs, target, weight, ignore_index, reduction)
        if loss is not None:
            return loss
    given = locals()
    names = ("loss",) if outputs is None else wanted(function, outputs)
    request = Request(function, "log_probs", log_probs, axis)
    request.target(target, may_be_soft=False)
    request.set(**{name: given[name] for name in _OPTIONS})
    results = request.run(library.xent_nll, names, loss=out, grad=grad_out)
    return results[0] if outputs is None else named(names, results)


def nll_loss_grad(
    target: ArrayLike,
    classes: int,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    dtype: DTypeLike | None = None,
    *,
    axis: int | None = None,
    row_mask: ArrayLike | None = None,
    empty_mean: str = "nan",
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    out: Any = None,
) -> Any:
    """The backward pass of `nll_loss`: d loss / d log_probs, which does not depend on log_probs.

    Parameters
    ----------
    target, weight, ignore_index, reduction, row_mask, empty_mean, grad_loss, num_threads
        As in `nll_loss`. For "none" it is the gradient of the sum.
    classes : int
        C, the number of classes.
    dtype : float32, float64, float16 or bfloat16, optional
        Of the result. If it is not given that of out, or else of weight, or else float64.
    axis : int, optional
        Where the result has its class axis: at 1 if it is not given, or 0 for a scalar target.
    out : ndarray or writeable DLPack exporter, optional
        Where the result goes.

    Returns
    -------
    ndarray of shape (N, C), (C,) for a scalar target, or (N, C, d1, ...)
        Minus the weight of the row at its target (for "mean" divided by the sum of weights), and 0 elsewhere. ``out``
        if that was given.

    Raises
    ------
    IndexError, TypeError, ValueError
        As in `nll_loss`; ValueError also if classes is negative.

    Examples
    --------
    >>> xent.nll_loss_grad([2, 0], classes=3)
    array([[ 0. ,  0. , -0.5],
           [-0.5,  0. ,  0. ]])
    """
    given, function = locals(), "nll_loss_grad"
    targets = integers(target, function, "target")
    classes = index(classes)
    if not 0 <= classes < 2**63:
        raise ValueError(f"{function}: classes is {classes}, not a number of classes")
    if dtype is None:
        numbers = weight is None or isinstance(weight, (list, tuple))
        like = out if out is not None else None if numbers else weight
        dtype = np.float64 if like is None else floats(like, function, "out" if out is not None else "weight")[1].dtype
    kind = floating(np.dtype(dtype), function, "dtype")
    if axis is None:
        place = min(1, targets.ndim)
    else:
        place = class_axis(targets[..., np.newaxis], axis, function, "the result")
    shape = (*targets.shape[:place], classes, *targets.shape[place:])
    if out is None:
        grad = empty(shape, result_dtype(kind, function))
    else:
        grad = destination(out, shape, kind, function)
    if row_mask is grad_loss is None and num_threads == 0 and empty_mean == "nan" and place == targets.ndim:
        mode = choice(function, "reduction", reduction)
        taken = plain.arguments(function, "the result", shape, kind, targets, weight, ignore_index, mode)
        if taken and is_plain(grad, kind.dtype) and succeeds(_GRAD[kind.suffix](*taken, pointer(grad))):
            return grad if out is None else out
    # What has the shape of log_probs, without its memory: nothing of it is read.
    request = Request(function, "the result", np.broadcast_to(np.zeros((), kind.dtype), shape), place)
    request.target(targets, may_be_soft=False)
    request.set(**{name: given[name] for name in _OPTIONS})
    request.run(library.xent_nll, ("grad",), grad=grad)
    return grad if out is None else out
