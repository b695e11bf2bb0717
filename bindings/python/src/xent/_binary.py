# SPDX-License-Identifier: Apache-2.0
"""Binary cross-entropy of logits, for targets of several labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from numpy.typing import ArrayLike

from ._arrays import Array, as_array, floats, floats_beside, is_plain, pointer, result_array
from ._library import int32, int64, library, succeeds, typed
from ._memory import empty
from ._request import Request, choice, named, wanted

_LOSS = typed("binary_cross_entropy")
_LOSS_AND_GRAD = typed("binary_cross_entropy_grad")
_OPTIONS = ("reduction", "row_mask", "empty_mean", "grad_loss", "num_threads")


def binary_cross_entropy_with_logits(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
    *,
    axis: int = -1,
    row_mask: ArrayLike | None = None,
    empty_mean: str = "nan",
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    outputs: Sequence[str] | None = None,
    out: Any = None,
    grad_out: Any = None,
) -> Any:
    """Binary cross-entropy of logits, in nats: a loss for each element, of targets between 0 and 1.

    The loss of an element is ``weight * (pos_weight * y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x)))``, with x the
    logit and y the target. A factor of 0 makes 0 of an infinite logarithm.

    Parameters
    ----------
    logits : array_like of float32, float64, float16 or bfloat16, of any number of dimensions but none
        Scores of the labels.
    target : array_like, of the shape of logits
        0 or 1, or anything between: bool, uint8, or floating (float64 where logits is, otherwise one of the others).
    weight, pos_weight : array_like, optional
        Of any shape that broadcasts to that of logits; floating like target. 1 without it.
    reduction : {"mean", "sum", "none", "mean_rows"}
        "mean" is the sum divided by the number of elements, weights or not; "mean_rows" divided by the number of rows;
        "none" each element's own loss.
    axis : int
        The axis of the labels of one row, for row_mask, "mean_rows" and a grad_loss per row.
    row_mask : array_like of bool or integers, of the shape of logits without the axis, optional
        Elements of rows where it is 0 do not count.
    empty_mean : {"nan", "zero"}
        What a mean over nothing is.
    grad_loss : array_like, of the shape of logits, that without the axis, or a number, optional
        The gradient by the loss, from further up, with which the output "grad" is multiplied.
    num_threads : int
        The most threads that this call may use; 0 as `set_num_threads` says.
    outputs : sequence of str, optional
        What is wanted, from "loss", "row_loss" (of each element, before the reduction), "grad" (d loss / d logits; for
        "none" of the sum), "rows_counted" and "weight_sum" (elements), "loss_sum".
    out, grad_out : ndarray or writeable DLPack exporter, optional
        Where the loss and the output "grad" go. grad_out may be logits itself: in place.

    Returns
    -------
    NumPy scalar, or an ndarray of the shape of logits for "none"
        float64 if logits is, otherwise float32. ``out`` if that was given.
    named tuple
        Instead, with outputs: those, in their order.

    Raises
    ------
    TypeError
        If logits is not floating, target, weight, pos_weight or grad_loss does not go with it, or out or grad_out is of
        another dtype than what it is for.
    ValueError
        If shapes do not fit, an option has no such value, or an output is none of this function's.
    ImportError
        As in `softmax`, for the output "grad".

    Examples
    --------
    >>> logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], np.float32)
    >>> labels = np.array([[True, False, True], [False, True, False]])
    >>> print(xent.binary_cross_entropy_with_logits(logits, labels).round(4))
    0.2972
    >>> print(xent.binary_cross_entropy_with_logits(logits, labels, pos_weight=[1.0, 1.0, 3.0]).round(4))
    0.4552
    """
    given, function = locals(), "binary_cross_entropy_with_logits"
    if outputs is None:
        results = _plain(function, given, False) if grad_out is None else None
        return (results or _evaluate(function, given, ("loss",)))[0]
    names = wanted(function, outputs)
    return named(names, _evaluate(function, given, names))


def binary_cross_entropy_with_logits_with_grad(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
    *,
    axis: int = -1,
    row_mask: ArrayLike | None = None,
    empty_mean: str = "nan",
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    out: Any = None,
    grad_out: Any = None,
) -> tuple[Any, Any]:
    """Binary cross-entropy and its gradient by the logits, in one call.

    Parameters
    ----------
    logits, target, weight, reduction, pos_weight, axis, row_mask, empty_mean, grad_loss, num_threads, out, grad_out
        As in `binary_cross_entropy_with_logits`.

    Returns
    -------
    loss : NumPy scalar, or an ndarray of the shape of logits for "none"
        As from `binary_cross_entropy_with_logits`, the same bits.
    grad : ndarray of the dtype and shape of logits
        d loss / d logits, and for "none" that of the sum, times grad_loss. ``grad_out`` if that was given.

    Raises
    ------
    TypeError, ValueError, ImportError
        As in `binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> loss, grad = xent.binary_cross_entropy_with_logits_with_grad(np.array([2.0, -1.0]), [1, 0], reduction="sum")
    >>> grad.round(4)
    array([-0.1192,  0.2689])
    """
    given, function = locals(), "binary_cross_entropy_with_logits_with_grad"
    loss, grad = _plain(function, given, True) or _evaluate(function, given, ("loss", "grad"))
    return loss, grad


def _evaluate(function: str, given: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """The outputs of these names, for binary_cross_entropy_with_logits' arguments by their names."""
    request = Request(function, "logits", given["logits"], given["axis"])
    request.per_element = True
    request.labels(given["target"])
    request.set(**{name: given[name] for name in _OPTIONS})
    for name in ("weight", "pos_weight"):
        request.set_broadcast(given[name], name)
    return request.run(library.xent_binary_cross_entropy, names, loss=given["out"], grad=given["grad_out"])


def _plain(function: str, given: dict[str, Any], has_grad: bool) -> tuple[Any, ...] | None:
    """The loss, and its gradient; None if the plain functions do not take these arrays or options."""
    if given["axis"] != -1 or given["num_threads"] or given["empty_mean"] != "nan":
        return None
    if not given["row_mask"] is given["grad_loss"] is given["out"] is None:
        return None
    logits, kind = floats(given["logits"], function, "logits")
    target, shape = as_array(given["target"], function, "target"), logits.shape
    if not shape or target.shape != shape or not (is_plain(logits, kind.dtype) and is_plain(target, kind.dtype)):
        return None
    weights: list[Array | None] = [None, None]
    for n, name in enumerate(("weight", "pos_weight")):
        if given[name] is not None:
            weights[n], _ = floats_beside(given[name], kind, function, name, "logits")
    if not all(w is None or w.shape == shape[-1:] and is_plain(w, kind.real.dtype) for w in weights):
        return None
    mode = choice(function, "reduction", given["reduction"])
    loss, grad_out = empty(() if mode else shape, kind.real.dtype), given["grad_out"]
    results = [loss]
    if has_grad:
        results.append(result_array(logits, kind, grad_out, function, "grad_out"))
        if not is_plain(results[1], kind.dtype):
            return None
    status = (_LOSS_AND_GRAD if has_grad else _LOSS)[kind.suffix](
        pointer(logits),
        pointer(target),
        int64(prod(shape[:-1])),
        int64(shape[-1]),
        *(None if w is None else pointer(w) for w in weights),
        int32(mode),
        *map(pointer, results),
    )
    if not succeeds(status):
        return None
    return (loss[()], *results[1:]) if grad_out is None else (loss[()], grad_out)
