# SPDX-License-Identifier: Apache-2.0
"""How far a student's distribution is from a teacher's, both given as logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ._library import library
from ._request import Request, named, wanted


def divergence(
    student: ArrayLike,
    teacher: ArrayLike,
    kind: str = "kl",
    reduction: str = "mean",
    *,
    axis: int | None = None,
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    row_mask: ArrayLike | None = None,
    masked_row: str = "nan",
    empty_mean: str = "nan",
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    outputs: Sequence[str] | None = None,
    out: Any = None,
    grad_out: Any = None,
) -> Any:
    """The divergence of a student's distribution q from a teacher's p, in nats, with the gradient for the student.

    Both are given as logits: ``q = softmax(student)`` and ``p = softmax(teacher)``.

    Parameters
    ----------
    student : array_like of float32, float64, float16 or bfloat16, shape (N, C), (C,) or (N, C, d1, ...)
        The student's logits. The rows' shape is theirs without the class axis.
    teacher : array_like, of the shape of student
        The teacher's logits: float64 where student is, otherwise one of the others.
    kind : {"kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon"}
        The loss of a row: ``sum(p * log(p / q))``, ``sum(q * log(q / p))``, ``sum(-p * log q)``, or
        ``sum(p * log(p / m) + q * log(q / m)) / 2`` with ``m = (p + q) / 2``.
    reduction : {"mean", "sum", "none", "mean_rows", "batchmean"}
        "mean" is the sum divided by the number of rows that count; "mean_rows" and PyTorch's "batchmean" are the same;
        "none" is each row's own loss.
    axis : int, optional
        The class axis: 1 if it is not given, or 0 for one dimension.
    temperature, softcap, class_mask
        As in `cross_entropy`, for both. The factor ``temperature**2`` that distillation often has is for grad_loss.
    row_mask, masked_row, empty_mean, grad_loss, num_threads
        As in `cross_entropy`.
    outputs : sequence of str, optional
        What is wanted, from "loss", "row_loss" (before the reduction), "grad" (d loss / d student; for "none" of the
        sum), "rows_counted", "loss_sum", "weight_sum" (what the mean divides by).
    out, grad_out : ndarray or writeable DLPack exporter, optional
        Where the loss and the output "grad" go. grad_out may be student itself: in place.

    Returns
    -------
    NumPy scalar, or an ndarray of the rows' shape for "none"
        float64 if student is, otherwise float32. ``out`` if that was given.
    named tuple
        Instead, with outputs: those, in their order.

    Raises
    ------
    TypeError
        If student is not floating, teacher or grad_loss does not go with it, or out or grad_out is of another dtype
        than what it is for.
    ValueError
        If shapes do not fit, an option has no such value, or an output is none of this function's.
    ImportError
        As in `softmax`, for the output "grad".

    Examples
    --------
    >>> student, teacher = np.array([[1.0, 2.0, 7.0]]), np.array([[2.0, 2.0, 6.0]])
    >>> xent.divergence(student, teacher, outputs=("loss", "grad")).grad.round(4)
    array([[-0.0152, -0.011 ,  0.0262]])
    >>> print(xent.divergence(student, teacher, "jensen_shannon", temperature=2.0).round(4))
    0.0097
    """
    return _divergence("divergence", locals())


def kl_div(
    student: ArrayLike,
    teacher: ArrayLike,
    reduction: str = "batchmean",
    *,
    axis: int | None = None,
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    row_mask: ArrayLike | None = None,
    masked_row: str = "nan",
    empty_mean: str = "nan",
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    outputs: Sequence[str] | None = None,
    out: Any = None,
    grad_out: Any = None,
) -> Any:
    """The Kullback-Leibler divergence of a student from a teacher: `divergence` of the kind "kl".

    Other than torch.nn.functional.kl_div it takes logits of both, and its mean is PyTorch's "batchmean".

    Parameters
    ----------
    student, teacher, reduction, axis, temperature, softcap, class_mask, row_mask, masked_row, empty_mean, grad_loss
        As in `divergence`.
    num_threads, outputs, out, grad_out
        As in `divergence`.

    Returns
    -------
    NumPy scalar, ndarray or named tuple
        As from `divergence`.

    Raises
    ------
    TypeError, ValueError, ImportError
        As in `divergence`.

    Examples
    --------
    >>> print(xent.kl_div(np.array([[1.0, 2.0, 7.0]]), np.array([[2.0, 2.0, 6.0]])).round(4))
    0.0262
    """
    return _divergence("kl_div", {**locals(), "kind": "kl"})


def js_div(
    student: ArrayLike,
    teacher: ArrayLike,
    reduction: str = "batchmean",
    *,
    axis: int | None = None,
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    row_mask: ArrayLike | None = None,
    masked_row: str = "nan",
    empty_mean: str = "nan",
    grad_loss: ArrayLike | None = None,
    num_threads: int = 0,
    outputs: Sequence[str] | None = None,
    out: Any = None,
    grad_out: Any = None,
) -> Any:
    """The Jensen-Shannon divergence of a student and a teacher: `divergence` of the kind "jensen_shannon".

    Parameters
    ----------
    student, teacher, reduction, axis, temperature, softcap, class_mask, row_mask, masked_row, empty_mean, grad_loss
        As in `divergence`.
    num_threads, outputs, out, grad_out
        As in `divergence`.

    Returns
    -------
    NumPy scalar, ndarray or named tuple
        As from `divergence`; at most log 2.

    Raises
    ------
    TypeError, ValueError, ImportError
        As in `divergence`.

    Examples
    --------
    >>> print(xent.js_div(np.array([[1.0, 2.0, 7.0]]), np.array([[2.0, 2.0, 6.0]])).round(4))
    0.0046
    """
    return _divergence("js_div", {**locals(), "kind": "jensen_shannon"})


_OPTIONS = (
    *("kind", "temperature", "softcap", "class_mask", "row_mask", "masked_row", "empty_mean", "grad_loss"),
    "num_threads",
)


def _divergence(function: str, given: dict[str, Any]) -> Any:
    outputs, reduction = given["outputs"], given["reduction"]
    names = ("loss",) if outputs is None else wanted(function, outputs)
    request = Request(function, "student", given["student"], given["axis"])
    request.full_input(given["teacher"], "teacher")
    request.set(reduction="mean" if reduction == "batchmean" else reduction)
    request.set(**{name: given[name] for name in _OPTIONS})
    results = request.run(library.xent_divergence, names, loss=given["out"], grad=given["grad_out"])
    return results[0] if outputs is None else named(names, results)
