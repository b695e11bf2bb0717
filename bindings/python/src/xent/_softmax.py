# SPDX-License-Identifier: Apache-2.0
"""Softmax, log-softmax and log-sum-exp along any axis, and the backward pass of log-softmax."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import Array, address, check_out, destination, floats, plain
from ._library import fail, typed

_SOFTMAX = typed("softmax")
_LOG_SOFTMAX = typed("log_softmax")
_LOGSUMEXP = typed("logsumexp")
_LOG_SOFTMAX_GRAD = typed("log_softmax_grad")


def softmax(x: ArrayLike, axis: int = -1, out: Array | None = None) -> Array:
    """Softmax: the probability of each class, ``exp(x) / sum(exp(x))`` along an axis.

    Parameters
    ----------
    x : array_like of float32 or float64
        Logits, of any number of dimensions but none. -inf masks a class.
    axis : int
        The class axis.
    out : ndarray, optional
        Where the result goes, of x's dtype and shape. May be x itself: in place.

    Returns
    -------
    ndarray
        Of x's dtype and shape; ``out`` if that was given. NaN along an axis that holds +inf, NaN or nothing but -inf.

    Raises
    ------
    TypeError
        If x is not floating, or out is not of x's dtype.
    ValueError
        If out has another shape or is read-only, or x has no axis of that number (`numpy.exceptions.AxisError`).
    NotImplementedError
        If x is half precision.

    Examples
    --------
    >>> xent.softmax(np.array([1.0, 2.0, 7.0])).round(4)
    array([0.0025, 0.0067, 0.9909])
    """
    return _same_shape(_SOFTMAX, "softmax", (x,), axis, out)


def log_softmax(x: ArrayLike, axis: int = -1, out: Array | None = None) -> Array:
    """Log-softmax: the log-probability of each class in nats, ``x - log(sum(exp(x)))`` along an axis.

    Parameters, errors and result are those of `softmax`. A masked class (-inf) gives -inf.

    Examples
    --------
    >>> xent.log_softmax(np.array([1.0, 2.0, 7.0])).round(4)
    array([-6.0092, -5.0092, -0.0092])
    """
    return _same_shape(_LOG_SOFTMAX, "log_softmax", (x,), axis, out)


def logsumexp(x: ArrayLike, axis: int = -1) -> Any:
    """Log-sum-exp in nats: ``log(sum(exp(x)))`` along an axis.

    Parameters
    ----------
    x : array_like of float32 or float64
        Of any number of dimensions but none.
    axis : int
        The class axis, which the result does not have.

    Returns
    -------
    ndarray, or a NumPy scalar if x has one dimension
        Of x's dtype. -inf for nothing but -inf and for no classes; +inf where there is a +inf and no NaN.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `softmax`.

    Examples
    --------
    >>> float(xent.logsumexp(np.array([1000.0, 1000.0])).round(4))
    1000.6931
    """
    array, dtype = floats(x, "logsumexp", "x")
    last = array.ndim - 1
    moved = array if axis == -1 and last >= 0 or 0 <= axis == last else np.moveaxis(array, axis, -1)
    source = plain(moved, dtype)
    result = np.empty(source.shape[:-1], dtype)
    status = _LOGSUMEXP[dtype](address(source), *_sizes(source), address(result))
    if status:
        fail(status)
    return result[()]


def log_softmax_grad(
    log_probs: ArrayLike, grad_log_probs: ArrayLike, axis: int = -1, out: Array | None = None
) -> Array:
    """The backward pass of `log_softmax`: from d loss / d log_probs to d loss / d logits.

    Parameters
    ----------
    log_probs : array_like of float32 or float64
        What `log_softmax` gave.
    grad_log_probs : array_like
        The gradient by log_probs, of the same dtype and shape.
    axis : int
        The class axis.
    out : ndarray, optional
        Where the result goes, of the same dtype and shape. May be log_probs or grad_log_probs itself.

    Returns
    -------
    ndarray
        ``grad_log_probs - exp(log_probs) * sum(grad_log_probs)``; ``out`` if that was given.

    Raises
    ------
    TypeError
        If the inputs are not floating or not of one dtype, or out is not of that dtype.
    ValueError
        If the shapes differ, out is read-only, or there is no such axis.
    NotImplementedError
        If the inputs are half precision.

    Examples
    --------
    >>> log_probs = xent.log_softmax(np.array([1.0, 2.0, 7.0]))
    >>> xent.log_softmax_grad(log_probs, np.array([0.0, 0.0, -1.0])).round(4)
    array([ 0.0025,  0.0067, -0.0091])
    """
    return _same_shape(_LOG_SOFTMAX_GRAD, "log_softmax_grad", (log_probs, grad_log_probs), axis, out)


_NAMES = {"log_softmax_grad": ("log_probs", "grad_log_probs")}


def _same_shape(functions: Any, function: str, values: tuple[Any, ...], axis: int, out: Array | None) -> Array:
    """Calls a C function whose inputs and output all have one dtype and shape."""
    names = _NAMES.get(function, ("x",))
    first, dtype = floats(values[0], function, names[0])
    shape = first.shape
    arrays = [first]
    for value, name in zip(values[1:], names[1:]):
        array, other = floats(value, function, name)
        if other is not dtype:
            raise TypeError(f"{function}: {name} is {other.name}, and {names[0]} is {dtype.name}")
        if array.shape != shape:
            raise ValueError(f"{function}: {name} has shape {array.shape}, and {names[0]} {shape}")
        arrays.append(array)
    # Which axis takes the class axis's place does not matter, as the result is looked at in the same way.
    views = [array.swapaxes(axis, -1) for array in arrays]  # raises AxisError where there is no such axis
    sources = [plain(view, dtype) for view in views]
    if out is None:
        result = np.empty_like(first, dtype=dtype, subok=False)  # laid out like the input, as a ufunc's result is
    else:
        check_out(out, shape, dtype, function)
        result = out
    placed = result.swapaxes(axis, -1)
    copies = [source for source, view in zip(sources, views) if source is not view]
    written = destination(placed, sources, copies[0] if copies else None)
    status = functions[dtype](*map(address, sources), *_sizes(written), address(written))
    if status:
        fail(status)
    if written is not placed:
        np.copyto(placed, written)
    return result


def _sizes(array: Array) -> tuple[int, int]:
    """(rows, classes) of an array with the class axis last."""
    shape = array.shape
    return prod(shape[:-1]), shape[-1]
