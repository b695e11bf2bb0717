# SPDX-License-Identifier: Apache-2.0
"""Softmax, log-softmax and log-sum-exp along any axis, and their backward passes."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import (
    Array,
    check_shape,
    class_axis,
    destination,
    floating,
    floats,
    floats_beside,
    is_plain,
    pointer,
    result_array,
)
from ._descriptors import Call
from ._library import int64, library, succeeds, typed
from ._memory import empty
from ._plain import Map

_SOFTMAX = Map("softmax")
_LOG_SOFTMAX = Map("log_softmax")
_LOGSUMEXP = Map("logsumexp")
_SOFTMAX_GRAD = typed("softmax_grad")
_LOG_SOFTMAX_GRAD = typed("log_softmax_grad")
_LOGSUMEXP_GRAD = typed("logsumexp_grad")


def softmax(x: ArrayLike, axis: int = -1, out: Any = None) -> Any:
    """Softmax: the probability of each class, ``exp(x) / sum(exp(x))`` along an axis.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or bfloat16
        Logits, of any number of dimensions but none. -inf masks a class.
    axis : int
        The class axis.
    out : ndarray or writeable DLPack exporter, optional
        Where the result goes, of x's dtype and shape and in any layout. May be x itself: in place.

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
    ImportError
        If x is another package's bfloat16 array, there is no out, and ml_dtypes is not installed.

    Examples
    --------
    >>> xent.softmax(np.array([1.0, 2.0, 7.0])).round(4)
    array([0.0025, 0.0067, 0.9909])
    """
    return _of_logits(_SOFTMAX, "softmax", x, axis, out)


def log_softmax(x: ArrayLike, axis: int = -1, out: Any = None) -> Any:
    """Log-softmax: the log-probability of each class in nats, ``x - log(sum(exp(x)))`` along an axis.

    Parameters, errors and result are those of `softmax`. A masked class (-inf) gives -inf.

    Examples
    --------
    >>> xent.log_softmax(np.array([1.0, 2.0, 7.0])).round(4)
    array([-6.0092, -5.0092, -0.0092])
    """
    return _of_logits(_LOG_SOFTMAX, "log_softmax", x, axis, out)


def softmax_grad(probs: ArrayLike, grad_probs: ArrayLike, axis: int = -1, out: Any = None) -> Any:
    """The backward pass of `softmax`: from d loss / d probs to d loss / d logits.

    Parameters
    ----------
    probs : array_like of float32, float64, float16 or bfloat16
        What `softmax` gave.
    grad_probs : array_like
        The gradient by probs, of the same shape; float64 where probs is, and otherwise one of the others.
    axis : int
        The class axis.
    out : ndarray or writeable DLPack exporter, optional
        Where the result goes, of the dtype and shape of probs. May be probs or grad_probs itself.

    Returns
    -------
    ndarray
        ``probs * (grad_probs - sum(probs * grad_probs))`` of the dtype of probs; ``out`` if that was given.

    Raises
    ------
    TypeError
        If an input is not floating, only one of them is float64, or out is not of the dtype of probs.
    ValueError
        If the shapes differ, out is read-only, or there is no such axis.
    ImportError
        As in `softmax`.

    Examples
    --------
    >>> probs = xent.softmax(np.array([1.0, 2.0, 7.0]))
    >>> xent.softmax_grad(probs, np.array([0.0, 0.0, 1.0])).round(4)
    array([-0.0024, -0.0066,  0.009 ])
    """
    return _same_shape(_SOFTMAX_GRAD, "softmax_grad", ("probs", "grad_probs"), (probs, grad_probs), axis, out)


def log_softmax_grad(log_probs: ArrayLike, grad_log_probs: ArrayLike, axis: int = -1, out: Any = None) -> Any:
    """The backward pass of `log_softmax`: from d loss / d log_probs to d loss / d logits.

    Parameters
    ----------
    log_probs : array_like of float32, float64, float16 or bfloat16
        What `log_softmax` gave.
    grad_log_probs : array_like
        The gradient by log_probs, of the same shape; float64 where log_probs is, and otherwise one of the others.
    axis : int
        The class axis.
    out : ndarray or writeable DLPack exporter, optional
        Where the result goes, of the dtype and shape of log_probs. May be log_probs or grad_log_probs itself.

    Returns
    -------
    ndarray
        ``grad_log_probs - exp(log_probs) * sum(grad_log_probs)`` of the dtype of log_probs; ``out`` if that was given.

    Raises
    ------
    TypeError, ValueError, ImportError
        As in `softmax_grad`.

    Examples
    --------
    >>> log_probs = xent.log_softmax(np.array([1.0, 2.0, 7.0]))
    >>> xent.log_softmax_grad(log_probs, np.array([0.0, 0.0, -1.0])).round(4)
    array([ 0.0025,  0.0067, -0.0091])
    """
    names, values = ("log_probs", "grad_log_probs"), (log_probs, grad_log_probs)
    return _same_shape(_LOG_SOFTMAX_GRAD, "log_softmax_grad", names, values, axis, out)


def logsumexp(x: ArrayLike, axis: int = -1, out: Any = None) -> Any:
    """Log-sum-exp in nats: ``log(sum(exp(x)))`` along an axis.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or bfloat16
        Of any number of dimensions but none.
    axis : int
        The class axis, which the result does not have.
    out : ndarray or writeable DLPack exporter, optional
        Where the result goes.

    Returns
    -------
    ndarray, or a NumPy scalar if x has one dimension
        float64 if x is, otherwise float32; ``out`` if that was given. -inf for nothing but -inf and for no classes;
        +inf where there is a +inf and no NaN.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.

    Examples
    --------
    >>> float(xent.logsumexp(np.array([1000.0, 1000.0])).round(4))
    1000.6931
    """
    known = _LOGSUMEXP(x, axis) if out is None else None
    if known is not None:
        return known[()]
    given = axis
    array, kind = floats(x, "logsumexp", "x")
    axis = class_axis(array, axis, "logsumexp", "x")
    real = kind.real
    last = _last(array, axis)
    shape = last.shape[:-1]
    result = empty(shape, real.dtype) if out is None else destination(out, shape, real, "logsumexp")
    if is_plain(last, kind.dtype) and is_plain(result, real.dtype):
        sizes = _sizes(last)
        if succeeds(_LOGSUMEXP.functions[kind.suffix](pointer(last), *sizes, pointer(result))):
            if out is None and last is array:
                _LOGSUMEXP.learn(x, given, kind, sizes, result)
            return result[()] if out is None else out
    call = Call(array.shape, axis)
    call.input(array, kind.code, axis)
    call.output("lse", result, real.code, None)
    call.run(library.xent_softmax)
    return result[()] if out is None else out


def logsumexp_grad(x: ArrayLike, grad_lse: ArrayLike, axis: int = -1, out: Any = None) -> Any:
    """The backward pass of `logsumexp`: from d loss / d lse to d loss / d x.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or bfloat16
        What `logsumexp` was given.
    grad_lse : array_like
        The gradient by lse, of the shape of x without the class axis; float64 where x is, and otherwise one of the
        others.
    axis : int
        The class axis.
    out : ndarray or writeable DLPack exporter, optional
        Where the result goes, of the dtype and shape of x. May be x itself.

    Returns
    -------
    ndarray
        ``grad_lse * softmax(x)`` of the dtype of x; ``out`` if that was given.

    Raises
    ------
    TypeError, ValueError, ImportError
        As in `softmax_grad`.

    Examples
    --------
    >>> xent.logsumexp_grad(np.array([1.0, 2.0, 7.0]), 2.0).round(4)
    array([0.0049, 0.0134, 1.9817])
    """
    function = "logsumexp_grad"
    array, kind = floats(x, function, "x")
    axis = class_axis(array, axis, function, "x")
    above, above_kind = floats_beside(grad_lse, kind, function, "grad_lse", "x")
    last = _last(array, axis)
    check_shape(above, last.shape[:-1], function, "grad_lse", f", for x of shape {array.shape}")
    result = result_array(array, kind, out, function)
    placed = _last(result, axis)
    if is_plain(last, kind.dtype) and is_plain(placed, kind.dtype) and is_plain(above, kind.real.dtype):
        c_function = _LOGSUMEXP_GRAD[kind.suffix]
        if succeeds(c_function(pointer(last), pointer(above), *_sizes(last), pointer(placed))):
            return result if out is None else out
    call = Call(array.shape, axis)
    call.input(array, kind.code, axis)
    call.option("grad_loss", above, above_kind.code, None)
    call.output("grad_logits", result, kind.code, axis)
    call.run(library.xent_softmax)
    return result if out is None else out


def _of_logits(known: Map, function: str, x: Any, axis: Any, out: Any) -> Any:
    """`_same_shape` of one input; it is learned where the classes are last and the result is new."""
    result = known(x, axis) if out is None else None
    if result is not None:
        return result
    result = _same_shape(known.functions, function, ("x",), (x,), axis, out)
    if out is None and index(axis) % result.ndim == result.ndim - 1:
        known.learn(x, axis, floating(result.dtype, function, "x"), _sizes(result), result)
    return result


def _same_shape(
    plain: dict[str, Any], function: str, names: tuple[str, ...], values: tuple[Any, ...], axis: int, out: Any
) -> Any:
    """Calls a function whose inputs and output all have one shape."""
    first, kind = floats(values[0], function, names[0])
    arrays = [(first, kind)]
    for value, name in zip(values[1:], names[1:]):
        array, other = floats_beside(value, kind, function, name, names[0])
        if array.shape != first.shape:
            raise ValueError(f"{function}: {name} has shape {array.shape}, and {names[0]} {first.shape}")
        arrays.append((array, other))
    axis = class_axis(first, axis, function, names[0])
    result = result_array(first, kind, out, function)
    # Which axis takes the class axis's place does not matter, as the result is looked at in the same way.
    views = [array.swapaxes(axis, -1) for array in (*(array for array, _ in arrays), result)]
    if all(is_plain(view, kind.dtype) for view in views):
        inputs = map(pointer, views[:-1])
        if succeeds(plain[kind.suffix](*inputs, *_sizes(views[-1]), pointer(views[-1]))):
            return result if out is None else out
    call = Call(first.shape, axis)
    for array, other in arrays:
        call.input(array, other.code, axis)
    if len(arrays) == 1:
        call.output("probs" if function == "softmax" else "log_probs", result, kind.code, axis)
        call.run(library.xent_softmax)
    else:
        call.output("grad_logits", result, kind.code, axis)
        call.run_bare(getattr(library, f"xent_{function}"))
    return result if out is None else out


def _last(array: Array, axis: int) -> Array:
    """The array with the class axis last and the others in order."""
    return array if axis == array.ndim - 1 else np.moveaxis(array, axis, -1)


def _sizes(array: Array) -> tuple[Any, Any]:
    """(rows, classes) of an array with the class axis last, for a typed function."""
    shape = array.shape
    return int64(prod(shape[:-1])), int64(shape[-1])
