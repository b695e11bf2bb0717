# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy of logits, with PyTorch's parameters and those it lacks, and any outputs from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from . import _plain as plain
from ._library import library, typed
from ._request import Request, named, wanted

_LOSS = plain.Loss("cross_entropy")
_LOSS_AND_GRAD = plain.Loss("cross_entropy_grad", has_grad=True)
# The options that the plain functions do not have, from label_smoothing on. One comparison of tuples takes half the time of
# ten.
_NOTHING_ELSE = (0.0, "weighted", 1.0, 0.0, "nan", "nan", 0.0, 0.0, 0.0, "faithful")


def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    axis: int | None = None,
    target_probs: ArrayLike | None = None,
    smoothing: str = "weighted",
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    row_mask: ArrayLike | None = None,
    masked_row: str = "nan",
    empty_mean: str = "nan",
    focal_gamma: float = 0.0,
    poly_epsilon: float = 0.0,
    z_loss: float = 0.0,
    grad_loss: ArrayLike | None = None,
    gather: ArrayLike | None = None,
    top_k: int = 0,
    num_threads: int = 0,
    accuracy: str = "faithful",
    outputs: Sequence[str] | None = None,
    out: Any = None,
    grad_out: Any = None,
) -> Any:
    """Cross-entropy of logits, in nats: `log_softmax` and `nll_loss` in one pass, and whatever else is asked for.

    The loss of a row is ``-weight[target] * log p[target]``, where ``p = softmax(z)`` and z is what temperature,
    softcap and class_mask make of the logits. C is the number of classes that are not masked out.

    Parameters
    ----------
    logits : array_like of float32, float64, float16 or bfloat16, shape (N, C), (C,) or (N, C, d1, ...)
        Unnormalised scores. -inf masks a class. A row is the classes at one place; the rows' shape is that of logits
        without the class axis. The rows of ignored targets are not read for the loss.
    target : array_like
        One of: integers of the rows' shape, each in [0, C) or equal to ignore_index; numbers of the shape of logits,
        the probabilities of the classes, which need not sum to 1; with target_probs, integers with k classes at the
        class axis.
    weight : array_like, shape (C,), optional
        The weight of each class, floating: float64 where logits is, otherwise one of the others. 1 without it.
    ignore_index : int
        Rows with this target do not count: their loss is 0 and they are no part of the mean. Entries of a sparse target
        with this index are none.
    reduction : {"mean", "sum", "none", "mean_rows"}
        "mean" is the sum divided by the sum of the weights of the targets that count, or for soft targets by the number
        of rows that count; "mean_rows" always by that number; "none" is each row's own loss.
    label_smoothing : float
        eps in [0, 1]: ``(1 - eps) * loss + (eps / C) * sum(weight * -log p)``. Probabilities q become
        ``(1 - eps) * q + eps / C``.
    axis : int, optional
        The class axis: 1 if it is not given, or 0 for one dimension.
    target_probs : array_like, optional
        Makes target a sparse soft one: the probabilities of its classes, of its shape. All other classes have 0.
    smoothing : {"weighted", "uniform"}
        "uniform" smooths with the weight of the target instead: ``(eps / C) * weight[target] * sum(-log p)``.
    temperature : float
        ``z = logits / temperature``; positive.
    softcap : float
        ``z = softcap * tanh(logits / softcap) / temperature``; 0 is none.
    class_mask : array_like of bool or integers, shape (C,), optional
        Classes where it is 0 have probability 0 and gradient 0.
    row_mask : array_like of bool or integers, of the rows' shape, optional
        Rows where it is 0 do not count.
    masked_row : {"nan", "zero"}
        What a row of nothing but masked classes is: NaN, or a row that does not count.
    empty_mean : {"nan", "zero"}
        What a mean over no rows is.
    focal_gamma, poly_epsilon : float
        ``weight[target] * (1 - p)**gamma * (-log p + epsilon * (1 - p))`` with ``p = p[target]``: focal loss, PolyLoss.
        Only with integer targets, and not together with label_smoothing.
    z_loss : float
        Adds ``z_loss * logsumexp(z)**2`` to each row's loss.
    grad_loss : array_like, of the rows' shape or a number, optional
        The gradient by the loss, from further up, with which the gradient of each row is multiplied.
    gather : array_like of integers, k of them at the class axis, optional
        The classes whose log-probabilities are the output "gathered".
    top_k : int
        How many classes "top_indices" and "top_log_probs" are to have; up to 64.
    num_threads : int
        The most threads that this call may use; 0 as `set_num_threads` says.
    accuracy : {"faithful", "fastest"}
        "fastest" takes less time for "grad" (of integer targets, without label_smoothing, softcap, class_mask and z_loss)
        and "probs", which are then within 3 ulps instead of 1 (float32). It pays where C is more than 2048 and the output
        in place of logits.
    outputs : sequence of str, optional
        What is wanted, from: "loss", "row_loss" (before the reduction); of the shape of logits "grad" (d loss /
        d logits; for "none" of the sum), "probs", "log_probs"; of the rows' shape "lse", "entropy", "max_logit",
        "target_log_prob", "z_loss", "argmax", "target_rank" (0: none is more probable; -1: does not count); with
        several entries at the class axis "top_indices", "top_log_probs", "gathered"; numbers "correct",
        "rows_counted", "loss_sum", "weight_sum" (what "mean" divides by).
    out : ndarray or writeable DLPack exporter, optional
        Where the loss goes.
    grad_out : ndarray or writeable DLPack exporter, optional
        Where the output "grad" goes, in any layout. May be logits itself: in place.

    Returns
    -------
    NumPy scalar, or an ndarray of the rows' shape for "none"
        The loss: float64 if logits is, otherwise float32. Within 1 ulp (float32) or 2 ulps (float64) of the exact
        value, however small. The sum over no rows is 0. ``out`` if that was given.
    named tuple
        Instead, with outputs: those, in their order. Losses and statistics have the dtype of the loss, indices int64,
        "grad", "probs" and "log_probs" the dtype of logits.

    Raises
    ------
    IndexError
        If a target is outside [0, C) and not ignore_index; the text names the row.
    TypeError
        If logits is not floating, target neither integer nor floating and of the shape of logits, weight, target_probs
        or grad_loss float64 beside another dtype, or out or grad_out of another dtype than what they are for.
    ValueError
        If shapes do not fit, an option has no such value, or two things do not go together; the text names both.
    ImportError
        As in `softmax`, for the output "grad", "probs" or "log_probs".

    Examples
    --------
    >>> logits = np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]], np.float32)
    >>> print(xent.cross_entropy(logits, [2, 2, 0]).round(4))
    0.0556
    >>> print(xent.cross_entropy(logits, [2, 2, 0], label_smoothing=0.1).round(4))
    0.3556
    >>> got = xent.cross_entropy(logits, [2, 2, 0], outputs=("loss", "lse", "argmax"))
    >>> got.lse.round(4)
    array([7.0092, 9.1328, 8.0247], dtype=float32)
    >>> got.argmax
    array([2, 2, 0])
    >>> print(f"{xent.cross_entropy(np.array([0.0, 69.0]), 1):.8g}")  # not 0
    1.0806393e-30
    """
    function = "cross_entropy"
    if (
        axis is target_probs is class_mask is row_mask is grad_loss is gather is outputs is out is grad_out is None
        and top_k == num_threads == 0
        and (
            label_smoothing,
            smoothing,
            temperature,
            softcap,
            masked_row,
            empty_mean,
            focal_gamma,
            poly_epsilon,
            z_loss,
            accuracy,
        )
        == _NOTHING_ELSE
    ):
        loss = _LOSS(function, "logits", logits, target, weight, ignore_index, reduction)
        if loss is not None:
            return loss
    given = locals()
    if outputs is None:
        return _evaluate(function, given, ("loss",))[0]
    names = wanted(function, outputs)
    return named(names, _evaluate(function, given, names))


def cross_entropy_with_grad(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    axis: int | None = None,
    target_probs: ArrayLike | None = None,
    smoothing: str = "weighted",
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    row_mask: ArrayLike | None = None,
    masked_row: str = "nan",
    empty_mean: str = "nan",
    focal_gamma: float = 0.0,
    poly_epsilon: float = 0.0,
    z_loss: float = 0.0,
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    accuracy: str = "faithful",
    out: Any = None,
    grad_out: Any = None,
) -> tuple[Any, Any]:
    """Cross-entropy and its gradient by the logits, in one call.

    Parameters
    ----------
    logits, target, weight, ignore_index, reduction, label_smoothing, axis, target_probs, smoothing, temperature
        As in `cross_entropy`.
    softcap, class_mask, row_mask, masked_row, empty_mean, focal_gamma, poly_epsilon, z_loss, grad_loss, num_threads
        As in `cross_entropy`.
    accuracy : {"faithful", "fastest"}
        As in `cross_entropy`: "fastest" is for the gradient.
    out, grad_out : ndarray or writeable DLPack exporter, optional
        Where loss and gradient go. grad_out may be logits itself: in place.

    Returns
    -------
    loss : NumPy scalar, or an ndarray of the rows' shape for "none"
        As from `cross_entropy`, the same bits.
    grad : ndarray of the dtype and shape of logits
        d loss / d logits, and for "none" that of the sum, times grad_loss; 0 in rows that do not count. ``grad_out`` if
        that was given.

    Raises
    ------
    IndexError, TypeError, ValueError, ImportError
        As in `cross_entropy`.

    Examples
    --------
    >>> loss, grad = xent.cross_entropy_with_grad(np.array([[1.0, 2.0, 7.0]]), [2])
    >>> grad.round(4)
    array([[ 0.0025,  0.0067, -0.0091]])
    """
    function = "cross_entropy_with_grad"
    if (
        axis is target_probs is class_mask is row_mask is grad_loss is out is None
        and num_threads == 0
        and (
            label_smoothing,
            smoothing,
            temperature,
            softcap,
            masked_row,
            empty_mean,
            focal_gamma,
            poly_epsilon,
            z_loss,
            accuracy,
        )
        == _NOTHING_ELSE
    ):
        both: tuple[Any, Any] | None = _LOSS_AND_GRAD(
            function, "logits", logits, target, weight, ignore_index, reduction, grad_out
        )
        if both is not None:
            return both
    loss, grad = _evaluate(function, locals(), ("loss", "grad"))
    return loss, grad


_OPTIONS = (
    *("weight", "ignore_index", "reduction", "label_smoothing", "smoothing", "temperature", "softcap", "class_mask"),
    *("row_mask", "masked_row", "empty_mean", "focal_gamma", "poly_epsilon", "z_loss", "grad_loss", "gather"),
    *("num_threads", "accuracy"),
)


def _evaluate(function: str, given: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """The outputs of these names, for cross_entropy's arguments by their names."""
    request = Request(function, "logits", given["logits"], given["axis"])
    if given["target_probs"] is None:
        request.target(given["target"])
    else:
        request.sparse_target(given["target"], given["target_probs"])
    request.set(**{name: given[name] for name in _OPTIONS if name in given})
    return request.run(
        library.xent_cross_entropy, names, given.get("top_k", 0), loss=given["out"], grad=given["grad_out"]
    )
