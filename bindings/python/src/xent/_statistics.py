# SPDX-License-Identifier: Apache-2.0
"""What is known of logits without a target: probabilities, log-sum-exp, entropy, the largest, the chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import class_axis, floats, integers
from ._library import library
from ._request import Request, named, wanted


def statistics(
    logits: ArrayLike,
    outputs: Sequence[str],
    *,
    axis: int = -1,
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    row_mask: ArrayLike | None = None,
    masked_row: str = "nan",
    z_loss: float = 0.0,
    grad_loss: ArrayLike | None = None,
    gather: ArrayLike | None = None,
    top_k: int = 0,
    num_threads: int = 0,
    accuracy: str = "faithful",
    grad_out: Any = None,
) -> Any:
    """Any of what is known of logits without a target, from one pass over them.

    With z what temperature, softcap and class_mask make of the logits, and ``p = softmax(z)``; logarithms are natural.

    Parameters
    ----------
    logits : array_like of float32, float64, float16 or bfloat16
        Of any number of dimensions but none. The rows' shape is theirs without the class axis.
    outputs : sequence of str
        What is wanted, from: of the shape of logits "probs", "log_probs" and "grad" (the gradient of the sum of
        ``grad_loss * (lse + z_loss * lse**2)``); of the rows' shape "lse", "entropy", "max_logit", "argmax", "z_loss";
        with several entries at the class axis "top_indices", "top_log_probs", "gathered".
    axis : int
        The class axis.
    temperature, softcap, class_mask, gather, top_k, num_threads, accuracy
        As in `cross_entropy`.
    row_mask, masked_row
        As in `cross_entropy`: rows that do not count have "grad" and "z_loss" 0.
    z_loss : float
        The factor of the output "z_loss": ``z_loss * lse**2``.
    grad_loss : array_like, of the rows' shape or a number, optional
        The gradient by lse, from further up, with which the output "grad" is multiplied.
    grad_out : ndarray or writeable DLPack exporter, optional
        Where the output "grad" goes. May be logits itself: in place.

    Returns
    -------
    named tuple
        The outputs in their order. "probs", "log_probs" and "grad" have the dtype of logits, indices are int64, and the
        others float64 if logits is, otherwise float32.

    Raises
    ------
    IndexError
        If an index of gather is outside [0, C); the text names the row.
    TypeError
        If logits is not floating, gather or a mask not integer, or grad_loss or grad_out does not go with logits.
    ValueError
        If shapes do not fit, an option has no such value, or an output is none of this function's.
    ImportError
        As in `softmax`, for outputs of the shape of logits.

    Examples
    --------
    >>> logits = np.array([[1.0, 2.0, 7.0], [0.0, 0.0, 0.0]])
    >>> got = xent.statistics(logits, ("entropy", "argmax"))
    >>> got.entropy.round(4)
    array([0.0573, 1.0986])
    >>> got.argmax
    array([2, 0])
    """
    given, function = locals(), "statistics"
    names = wanted(function, outputs)
    request = Request(function, "logits", logits, axis)
    request.set(**{name: given[name] for name in _OPTIONS})
    return named(names, request.run(library.xent_softmax, names, top_k, grad=grad_out))


_OPTIONS = (
    *("temperature", "softcap", "class_mask", "row_mask", "masked_row", "z_loss", "grad_loss", "gather"),
    *("num_threads", "accuracy"),
)


def selective_log_softmax(
    logits: ArrayLike,
    index: ArrayLike,
    axis: int = -1,
    *,
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    num_threads: int = 0,
) -> Any:
    """Log-probabilities of given classes only, in nats, without the full `log_softmax` in memory.

    Parameters
    ----------
    logits : array_like of float32, float64, float16 or bfloat16
        Of any number of dimensions but none.
    index : array_like of any integer dtype
        Of the shape of logits without the class axis: one class for each row. Or with any number of them at the class
        axis.
    axis : int
        The class axis.
    temperature, softcap, class_mask, num_threads
        As in `cross_entropy`.

    Returns
    -------
    ndarray of the shape of index, or a NumPy scalar
        float64 if logits is, otherwise float32.

    Raises
    ------
    IndexError
        If an index is outside [0, C); the text names the row.
    TypeError
        If logits is not floating, or index not integer.
    ValueError
        If the shapes do not fit, or an option has no such value.

    Examples
    --------
    >>> xent.selective_log_softmax(np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0]]), [2, 0]).round(4)
    array([-0.0092, -5.1328])
    >>> xent.selective_log_softmax(np.array([1.0, 2.0, 7.0]), [2, 1]).round(4)
    array([-0.0092, -5.0092])
    """
    function = "selective_log_softmax"
    array, _ = floats(logits, function, "logits")
    chosen = integers(index, function, "index")
    axis = class_axis(array, axis, function, "logits")
    is_single = chosen.shape == array.shape[:axis] + array.shape[axis + 1 :]
    request = Request(function, "logits", array, axis)
    request.set(temperature=temperature, softcap=softcap, class_mask=class_mask, num_threads=num_threads)
    request.set_gather(np.expand_dims(chosen, axis) if is_single else chosen, "index")
    (gathered,) = request.run(library.xent_softmax, ("gathered",))
    return np.squeeze(gathered, axis)[()] if is_single else gathered


def top_k_log_probs(
    logits: ArrayLike,
    k: int,
    axis: int = -1,
    *,
    temperature: float = 1.0,
    softcap: float = 0.0,
    class_mask: ArrayLike | None = None,
    num_threads: int = 0,
) -> Any:
    """The k most probable classes of each row and their log-probabilities in nats, as completion APIs return them.

    Parameters
    ----------
    logits : array_like of float32, float64, float16 or bfloat16
        Of any number of dimensions but none.
    k : int
        How many classes: at least 1, at most 64 and as many as there are.
    axis : int
        The class axis, where the results have their k entries.
    temperature, softcap, class_mask, num_threads
        As in `cross_entropy`.

    Returns
    -------
    named tuple of two ndarrays
        ``top_log_probs`` (float64 if logits is, otherwise float32), the largest first, and ``top_indices`` (int64). Of
        equal ones the first comes first; NaN counts as larger than any number.

    Raises
    ------
    TypeError
        If logits is not floating.
    ValueError
        If k is out of range, there is no such axis, or an option has no such value.

    Examples
    --------
    >>> got = xent.top_k_log_probs(np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0]]), 2)
    >>> got.top_log_probs.round(4)
    array([[-0.0092, -5.0092],
           [-0.1328, -2.1328]])
    >>> got.top_indices
    array([[2, 1],
           [2, 1]])
    """
    names = ("top_log_probs", "top_indices")
    request = Request("top_k_log_probs", "logits", logits, axis)
    request.set(temperature=temperature, softcap=softcap, class_mask=class_mask, num_threads=num_threads)
    return named(names, request.run(library.xent_softmax, names, k))
