# SPDX-License-Identifier: Apache-2.0
"""Negative log-likelihood and cross-entropy, forward and backward, with the parameters of torch.nn.functional."""

from __future__ import annotations

from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._arrays import Array, address, as_array, check_out, destination, float_dtype, floats, integers, plain
from ._library import fail, typed

_NLL = typed("nll")
_NLL_GRAD = typed("nll_grad")
_CROSS_ENTROPY = typed("cross_entropy")
_CROSS_ENTROPY_GRAD = typed("cross_entropy_grad")

_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def nll_loss(
    log_probs: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """Negative log-likelihood of log-probabilities, in nats.

    The loss of a row is ``-weight[target] * log_probs[target]``, and 0 where target is ignore_index.

    Parameters
    ----------
    log_probs : array_like of float32 or float64, shape (N, C) or (C,)
        Log-probabilities, such as `log_softmax` gives. Only the targets' entries are read.
    target : array_like of any integer dtype, shape (N,) or ()
        The class of each row, in [0, C) or equal to ignore_index.
    weight : array_like, shape (C,), optional
        The weight of each class, of the dtype of log_probs. Every weight is 1 without it.
    ignore_index : int
        Rows with this target do not count: their loss is 0 and they are no part of the mean.
    reduction : {"mean", "sum", "none"}
        "mean" is the sum divided by the sum of the weights of the targets that count, "none" each row's own loss.

    Returns
    -------
    NumPy scalar, or an ndarray of shape (N,) for "none"
        Of the dtype of log_probs. The sum over no rows is 0, the mean over no rows is NaN.

    Raises
    ------
    IndexError
        If a target is outside [0, C) and not ignore_index; the text names the row.
    TypeError
        If log_probs is not floating, target not integer, or weight not of the dtype of log_probs.
    ValueError
        If shapes do not fit, or reduction is not one of the three.
    NotImplementedError
        If log_probs has more than two dimensions or is half precision.

    Examples
    --------
    >>> log_probs = xent.log_softmax(np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]]))
    >>> xent.nll_loss(log_probs, [2, 2, 0], reduction="none").round(4)
    array([0.0092, 0.1328, 0.0247])
    """
    call = _prepare("nll_loss", "log_probs", log_probs, target, weight, ignore_index, reduction)
    return _loss(_NLL, call)


def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross-entropy of logits, in nats: `log_softmax` and `nll_loss` in one pass.

    Parameters
    ----------
    logits : array_like of float32 or float64, shape (N, C) or (C,)
        Unnormalised scores. -inf masks a class. The rows of ignored targets are not read.
    target, weight, ignore_index, reduction
        As in `nll_loss`.
    label_smoothing : float
        Only 0 so far.

    Returns
    -------
    NumPy scalar, or an ndarray of shape (N,) for "none"
        Of the dtype of logits, within 1 ulp (float32) or 2 ulps (float64) of the exact value, however small.

    Raises
    ------
    IndexError, TypeError, ValueError
        As in `nll_loss`; ValueError also if label_smoothing is not in [0, 1].
    NotImplementedError
        As in `nll_loss`; also for probability targets (floating, of the shape of logits) and for label_smoothing.

    Examples
    --------
    >>> logits = np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]], np.float32)
    >>> print(xent.cross_entropy(logits, [2, 2, 0]).round(4))
    0.0556
    >>> print(f"{xent.cross_entropy(np.array([0.0, 69.0]), 1):.8g}")  # not 0
    1.0806393e-30
    """
    _check_smoothing("cross_entropy", label_smoothing)
    call = _prepare("cross_entropy", "logits", logits, target, weight, ignore_index, reduction)
    return _loss(_CROSS_ENTROPY, call)


def cross_entropy_with_grad(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    grad_out: Array | None = None,
) -> tuple[Any, Array]:
    """Cross-entropy and its gradient by the logits, in one call.

    Parameters
    ----------
    logits, target, weight, ignore_index, reduction, label_smoothing
        As in `cross_entropy`.
    grad_out : ndarray, optional
        Where the gradient goes, of the dtype and shape of logits. May be logits itself: in place.

    Returns
    -------
    loss : NumPy scalar, or an ndarray of shape (N,) for "none"
        As from `cross_entropy`, the same bits.
    grad : ndarray of the dtype and shape of logits
        d loss / d logits, and for "none" that of the sum; 0 in ignored rows. ``grad_out`` if that was given.

    Raises
    ------
    IndexError, TypeError, ValueError, NotImplementedError
        As in `cross_entropy`; TypeError and ValueError also for a grad_out that does not fit.

    Examples
    --------
    >>> loss, grad = xent.cross_entropy_with_grad(np.array([[1.0, 2.0, 7.0]]), [2])
    >>> grad.round(4)
    array([[ 0.0025,  0.0067, -0.0091]])
    """
    _check_smoothing("cross_entropy_with_grad", label_smoothing)
    call = _prepare("cross_entropy_with_grad", "logits", logits, target, weight, ignore_index, reduction)
    dtype, scores = call.dtype, call.scores
    if grad_out is None:
        grad = written = np.empty(scores.shape, dtype)
    else:
        check_out(grad_out, scores.shape, dtype, "cross_entropy_with_grad", "grad_out")
        grad = grad_out
        inputs = [array for array in (scores, call.targets, call.weights) if array is not None]
        written = destination(grad, inputs, scores if call.own else None)
    loss = np.empty(() if call.reduction else call.targets.shape, dtype)
    status = _CROSS_ENTROPY_GRAD[dtype](*call.inputs(), address(loss), address(written))
    if status:
        fail(status)
    if written is not grad:
        np.copyto(grad, written)
    return loss[()], grad


def nll_loss_grad(
    target: ArrayLike,
    classes: int,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    dtype: DTypeLike | None = None,
) -> Array:
    """The backward pass of `nll_loss`: d loss / d log_probs, which does not depend on log_probs.

    Parameters
    ----------
    target, weight, ignore_index, reduction
        As in `nll_loss`. For "none" it is the gradient of the sum.
    classes : int
        C, the number of classes.
    dtype : float32 or float64, optional
        Of the result; that of weight, or float64, if it is not given.

    Returns
    -------
    ndarray of shape (N, C), or (C,) for a scalar target
        Minus the weight of the row at its target (for "mean" divided by the sum of weights), and 0 elsewhere.

    Raises
    ------
    IndexError, TypeError, ValueError, NotImplementedError
        As in `nll_loss`; ValueError also if classes is negative.

    Examples
    --------
    >>> xent.nll_loss_grad([2, 0], classes=3)
    array([[ 0. ,  0. , -0.5],
           [-0.5,  0. ,  0. ]])
    """
    function = "nll_loss_grad"
    classes = index(classes)
    if not 0 <= classes < 2**63:
        raise ValueError(f"{function}: classes is {classes}, not a number of classes")
    ignored, mode = _options(function, ignore_index, reduction)
    target = as_array(target, function, "target")
    if target.ndim > 1:
        raise NotImplementedError(f"{function}: target of shape {target.shape}; only (N,) and () are supported yet")
    targets = integers(target, function, ignored, classes)
    if dtype is None:
        plain_numbers = weight is None or isinstance(weight, (list, tuple))
        dtype = np.float64 if plain_numbers else as_array(weight, function, "weight").dtype
    result = float_dtype(np.dtype(dtype), function, "dtype")
    weights = _weights(weight, function, "dtype", result, classes)
    grad = np.empty((*targets.shape, classes), result)
    status = _NLL_GRAD[result](
        address(targets),
        targets.size,
        classes,
        None if weights is None else address(weights),
        ignored,
        mode,
        address(grad),
    )
    if status:
        fail(status)
    return grad


class _Call(NamedTuple):
    """What the C functions of a loss take, checked and plain."""

    dtype: Any
    scores: Array
    targets: Array
    weights: Array | None
    ignore_index: int
    reduction: int
    own: bool  # scores is a copy of ours, which may be overwritten

    def inputs(self) -> tuple[Any, ...]:
        """The parameters of the C functions up to their outputs."""
        weights = self.weights
        return (
            address(self.scores),
            address(self.targets),
            self.targets.size,
            self.scores.shape[-1],
            None if weights is None else address(weights),
            self.ignore_index,
            self.reduction,
        )


def _prepare(
    function: str, name: str, scores: Any, target: Any, weight: Any, ignore_index: int, reduction: str
) -> _Call:
    array, dtype = floats(scores, function, name)
    shape = array.shape
    if len(shape) > 2:
        raise NotImplementedError(f"{function}: {name} of shape {shape}; only (N, C) and (C,) are supported yet")
    if not shape:
        raise ValueError(f"{function}: {name} has no dimensions, not (N, C) or (C,)")
    ignored, mode = _options(function, ignore_index, reduction)
    given = as_array(target, function, "target")
    if name == "logits" and given.dtype.kind == "f" and given.shape == shape:
        raise NotImplementedError(f"{function}: target is {given.dtype.name}; probabilities are not supported yet")
    targets = integers(given, function, ignored, shape[-1])
    if targets.shape != shape[:-1]:
        raise ValueError(f"{function}: target has shape {targets.shape}, not {shape[:-1]}, for {name} of shape {shape}")
    weights = _weights(weight, function, name, dtype, shape[-1])
    ready = plain(array, dtype)
    return _Call(dtype, ready, targets, weights, ignored, mode, ready is not array)


def _options(function: str, ignore_index: int, reduction: str) -> tuple[int, int]:
    try:
        mode = _REDUCTIONS[reduction]
    except (KeyError, TypeError):
        raise ValueError(f"{function}: reduction is {reduction!r}, not 'none', 'mean' or 'sum'") from None
    ignored = index(ignore_index)
    if not -(2**63) <= ignored < 2**63:  # ctypes would cut it to 64 bits
        raise ValueError(f"{function}: ignore_index is {ignored}, which int64 cannot hold")
    return ignored, mode


def _weights(weight: Any, function: str, name: str, dtype: Any, classes: int) -> Array | None:
    if weight is None:
        return None
    if isinstance(weight, (list, tuple)):  # plain numbers have no dtype of their own
        weight = np.asarray(weight, dtype)
    array = as_array(weight, function, "weight")
    if array.dtype != dtype and array.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"{function}: weight is {array.dtype.name}, and {name} is {dtype.name}")
    if array.shape != (classes,):
        raise ValueError(f"{function}: weight has shape {array.shape}, not ({classes},)")
    return plain(array, dtype)


def _check_smoothing(function: str, label_smoothing: float) -> None:
    if label_smoothing == 0:
        return
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{function}: label_smoothing is {label_smoothing}, not in [0, 1]")
    raise NotImplementedError(f"{function}: label_smoothing is {label_smoothing}; only 0 is supported yet")


def _loss(functions: Any, call: _Call) -> Any:
    loss = np.empty(() if call.reduction else call.targets.shape, call.dtype)
    status = functions[call.dtype](*call.inputs(), address(loss))
    if status:
        fail(status)
    return loss[()]
