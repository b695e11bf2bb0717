# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy on JAX's arrays: `cross_entropy`, `softmax`, `log_softmax`, `logsumexp`.

They work under ``jit``, ``vmap`` and ``grad`` (reverse mode), on the CPU: XLA calls the C library itself, on its own
buffers, without copies and without Python. An error, such as a label out of range, is JAX's ``JaxRuntimeError`` with
the library's text; it comes when the result does. Needs the package jax, 0.5 or later.

>>> import jax, jax.numpy as jnp, xent.jax
>>> logits = jnp.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]])
>>> labels = jnp.array([2, 2, 0])
>>> print(f"{jax.jit(xent.jax.cross_entropy)(logits, labels):.4f}")
0.0556
>>> print(f"{jax.grad(xent.jax.cross_entropy)(logits, labels)[0, 2]:.4f}")
-0.0030
"""

from __future__ import annotations

from functools import partial
from operator import index
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._library import library
from ._request import choice

__all__ = ["cross_entropy", "log_softmax", "logsumexp", "softmax"]

for _name in ("softmax", "cross_entropy", "softmax_grad", "log_softmax_grad"):
    _handler = jax.ffi.pycapsule(getattr(library, f"xent_xla_{_name}"))  # type: ignore[no-untyped-call]
    jax.ffi.register_ffi_target(f"xent_{_name}", _handler, platform="cpu")

_Static = tuple[tuple[str, Any], ...]  # attributes of a call that are known when it is traced


def cross_entropy(
    logits: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    axis: int = -1,
    where: Any = None,
    temperature: float = 1.0,
    softcap: float = 0.0,
    focal_gamma: float = 0.0,
    poly_epsilon: float = 0.0,
    z_loss: float = 0.0,
    accuracy: str = "faithful",
) -> Any:
    """Cross-entropy of logits, in nats.

    Parameters
    ----------
    logits : array of float32, float64, float16 or bfloat16, shape (..., C)
        Unnormalised scores, of any number of dimensions but none. -inf masks a class.
    labels : array
        Integers of the shape of logits without the class axis, each in [0, C) or equal to ignore_index; or numbers of
        the shape of logits, the probabilities of the classes, which need not sum to 1.
    weight : array of shape (C,), optional
        The weight of each class. It has no gradient: asked for one, this raises a TypeError.
    ignore_index : int
        Rows with this label do not count: their loss is 0 and they are no part of the mean.
    label_smoothing : float
        eps in [0, 1]: ``(1 - eps) * loss + (eps / C) * sum(weight * -log p)``.
    reduction : {"mean", "sum", "none", "mean_rows"}
        "mean" divides by the sum of the weights of the labels that count, or for probabilities by the number of rows;
        "mean_rows" always by the number of rows that count; "none" is each row's own loss.
    axis : int
        The class axis.
    where : array of bool, of the rows' shape, optional
        Rows where it is False do not count.
    temperature, softcap, focal_gamma, poly_epsilon, z_loss : float
        As in `xent.cross_entropy`.
    accuracy : {"faithful", "fastest"}
        Of the gradient, as in `xent.cross_entropy`.

    Returns
    -------
    array
        The loss: a scalar, or for "none" of the rows' shape. float64 if logits is, otherwise float32, also for 16 bits.
        Its gradient by logits has their dtype; labels that are probabilities have one, too.

    Raises
    ------
    TypeError, ValueError
        When it is traced, if dtypes or shapes do not fit, or an option has no such value.
    jax.errors.JaxRuntimeError
        When it runs, if a label is out of range; the text names the row.

    Notes
    -----
    Options are Python's numbers, not traced. Under ``vmap`` each batch has a mean of its own; a batch axis other than
    the first is moved there first, which is a copy. The gradient is computed anew from logits, in one pass: nothing of
    their size is kept from the forward pass.

    Examples
    --------
    >>> logits = jnp.array([[0.0, 69.0], [0.0, 69.0]])
    >>> print(xent.jax.cross_entropy(logits, jnp.array([1, 1]), reduction="sum") > 0)  # 2.2e-30, not 0
    True
    """
    function = "cross_entropy"
    logits, axis = _logits(function, "logits", logits, axis)
    rows = logits.shape[:axis] + logits.shape[axis + 1 :]
    labels = jnp.asarray(labels)
    is_soft = jnp.issubdtype(labels.dtype, jnp.floating)
    if not is_soft and not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{function}: labels is {labels.dtype}, not integer or floating")
    _check_shape(function, "labels", labels, logits.shape if is_soft else rows)
    extras = {}
    if weight is not None:
        extras["weight"] = jnp.asarray(weight)
        _check_shape(function, "weight", extras["weight"], (logits.shape[axis],))
    for name, array in (("labels", labels if is_soft else None), ("weight", extras.get("weight"))):
        if array is not None and not _goes_with(array.dtype, logits.dtype):
            raise TypeError(f"{function}: {name} is {array.dtype}, and logits is {logits.dtype}")
    if where is not None:
        extras["row_mask"] = jnp.asarray(where)
        if extras["row_mask"].dtype != jnp.bool_:
            raise TypeError(f"{function}: where is {extras['row_mask'].dtype}, not bool")
        _check_shape(function, "where", extras["row_mask"], rows)
    numbers = {"label_smoothing": label_smoothing, "temperature": temperature, "softcap": softcap}
    numbers.update(focal_gamma=focal_gamma, poly_epsilon=poly_epsilon, z_loss=z_loss)
    number = choice(function, "reduction", reduction)
    # One row has nothing to reduce, and as many batches of it are one call, which a mean for each of them is not.
    is_one = not rows and weight is None and number > 0
    static = (
        *_axis(logits, axis),
        ("reduction", np.int32(0 if is_one else number)),
        ("accuracy", np.int32(choice(function, "accuracy", accuracy))),
        ("ignore_index", np.int64(index(ignore_index))),
        *((name, np.float64(value)) for name, value in numbers.items()),
    )
    loss = _cross_entropy(static, logits, labels, extras)
    if is_one and reduction != "sum":
        counts = extras.get("row_mask", True) & (True if is_soft else labels != ignore_index)
        loss = jnp.where(counts, loss, jnp.nan)
    return loss


def softmax(x: Any, axis: int = -1) -> Any:
    """Softmax: the probability of each class, ``exp(x) / sum(exp(x))`` along an axis.

    Parameters
    ----------
    x : array of float32, float64, float16 or bfloat16
        Logits, of any number of dimensions but none. -inf masks a class.
    axis : int
        The class axis.

    Returns
    -------
    array
        Of x's dtype and shape. NaN along an axis that holds +inf, NaN or nothing but -inf.

    Raises
    ------
    TypeError, ValueError
        If x is not floating, or has no such axis.

    Examples
    --------
    >>> print(f"{xent.jax.softmax(jnp.array([1.0, 2.0, 7.0]))[2]:.4f}")
    0.9909
    """
    x, axis = _logits("softmax", "x", x, axis)
    return _softmax("probs", _axis(x, axis) + _UNREDUCED, x)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Log-softmax: the log-probability of each class in nats, ``x - log(sum(exp(x)))`` along an axis.

    Parameters, errors and result are those of `softmax`. A masked class (-inf) gives -inf.

    Examples
    --------
    >>> print(f"{xent.jax.log_softmax(jnp.array([1.0, 2.0, 7.0]))[2]:.4f}")
    -0.0092
    """
    x, axis = _logits("log_softmax", "x", x, axis)
    return _softmax("log_probs", _axis(x, axis) + _UNREDUCED, x)


def logsumexp(x: Any, axis: int = -1) -> Any:
    """Log-sum-exp in nats: ``log(sum(exp(x)))`` along an axis.

    Parameters
    ----------
    x : array of float32, float64, float16 or bfloat16
        Of any number of dimensions but none.
    axis : int
        The class axis, which the result does not have.

    Returns
    -------
    array
        float64 if x is, otherwise float32. -inf for nothing but -inf and for no classes.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.

    Examples
    --------
    >>> print(f"{xent.jax.logsumexp(jnp.array([1000.0, 1000.0])):.2f}")
    1000.69
    """
    x, axis = _logits("logsumexp", "x", x, axis)
    return _logsumexp(_axis(x, axis) + _UNREDUCED, x)


# ---- Arguments -------------------------------------------------------------------------------------------------------


def _logits(function: str, name: str, value: Any, axis: int) -> tuple[Any, int]:
    array = jnp.asarray(value)
    if array.dtype not in (jnp.float32, jnp.float64, jnp.float16, jnp.bfloat16):
        raise TypeError(f"{function}: {name} is {array.dtype}, not float32, float64, float16 or bfloat16")
    if not -array.ndim <= index(axis) < array.ndim:
        raise ValueError(f"{function}: axis is {axis}, for {name} with {array.ndim} dimensions")
    return array, axis % array.ndim


def _check_shape(function: str, name: str, array: Any, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{function}: {name} has shape {array.shape}, not {shape}")


def _goes_with(dtype: Any, logits: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) and (dtype == jnp.float64) == (logits == jnp.float64)


def _real(x: Any) -> Any:
    """The dtype of losses."""
    return jnp.float64 if x.dtype == jnp.float64 else jnp.float32


def _rows(x: Any, static: _Static) -> tuple[int, ...]:
    axis = x.ndim - int(dict(static)["axis"])
    return (*x.shape[:axis], *x.shape[axis + 1 :])


def _axis(x: Any, axis: int) -> _Static:
    return ("rank", np.int64(x.ndim)), ("axis", np.int64(x.ndim - axis))


# Of functions that have nothing to reduce: with it all batches are one call.
_UNREDUCED: _Static = (("reduction", np.int32(0)),)


# ---- Calls -----------------------------------------------------------------------------------------------------------


def _call(
    function: str, inputs: dict[str, Any], output: str, shape: tuple[int, ...], dtype: Any, static: _Static
) -> Any:
    """One output of a handler, for inputs by the names that xent_xla.h has for them."""
    result = jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]
    call = jax.ffi.ffi_call(f"xent_{function}", result, vmap_method="expand_dims")
    return call(*inputs.values(), inputs=" ".join(inputs), outputs=output, **dict(static))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _cross_entropy(static: _Static, logits: Any, labels: Any, extras: dict[str, Any]) -> Any:
    is_reduced = bool(dict(static)["reduction"])
    output, shape = ("loss", ()) if is_reduced else ("row_loss", _rows(logits, static))
    inputs = {"logits": logits, "targets": labels, **extras}
    return _call("cross_entropy", inputs, output, shape, _real(logits), static)


def _cross_entropy_forward(static: _Static, logits: Any, labels: Any, extras: dict[str, Any]) -> Any:
    if "weight" in extras and extras["weight"].perturbed:
        raise TypeError("cross_entropy: weight has no gradient; jax.lax.stop_gradient(weight) says that none is wanted")
    values = logits.value, labels.value, {name: extra.value for name, extra in extras.items()}
    # What the backward pass is to do is told by the structure: a bool would come out as an array.
    wanted = tuple(() if given.perturbed else None for given in (logits, labels))
    return _cross_entropy(static, *values), (values, wanted)


def _cross_entropy_backward(static: _Static, residuals: Any, grad_loss: Any) -> Any:
    (logits, labels, extras), (wants_logits, wants_labels) = residuals
    is_soft = jnp.issubdtype(labels.dtype, jnp.floating)
    if isinstance(grad_loss, jax.custom_derivatives.SymbolicZero) or wants_logits is None:
        grad_logits = None
    else:
        inputs = {"logits": logits, "targets": labels, **extras, "grad_loss": grad_loss}
        grad_logits = _call("cross_entropy", inputs, "grad_logits", logits.shape, logits.dtype, static)
    if isinstance(grad_loss, jax.custom_derivatives.SymbolicZero) or wants_labels is None or not is_soft:
        return grad_logits, None, None
    return grad_logits, _grad_labels(static, logits, labels, extras, grad_loss), None


def _grad_labels(static: _Static, logits: Any, labels: Any, extras: dict[str, Any], grad_loss: Any) -> Any:
    """``(1 - eps) * weight * -log p``, times what comes from above and over what a mean divides by."""
    options = dict(static)
    axis = logits.ndim - int(options["axis"])
    kept = tuple((name, options[name]) for name in ("rank", "axis", "temperature", "softcap")) + _UNREDUCED
    log_probs = _softmax_call("log_probs", kept, logits).astype(_real(logits))
    counts = extras.get("row_mask", jnp.ones(_rows(logits, static), bool))
    if options["reduction"] in (1, 3):
        grad_loss = grad_loss / counts.sum()
    grad = jnp.where(counts, -(1 - options["label_smoothing"]) * grad_loss, 0)
    weight = extras.get("weight", jnp.ones(logits.shape[axis], grad.dtype))
    weight = jnp.expand_dims(weight, tuple(range(1, logits.ndim - axis)))
    return (jnp.expand_dims(grad, axis) * weight * log_probs).astype(labels.dtype)


_cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward, symbolic_zeros=True)


def _softmax_call(output: str, static: _Static, x: Any) -> Any:
    return _call("softmax", {"logits": x}, output, x.shape, x.dtype, static)


_softmax = jax.custom_vjp(_softmax_call, nondiff_argnums=(0, 1))


def _softmax_forward(output: str, static: _Static, x: Any) -> Any:
    result = _softmax(output, static, x)
    return result, result


def _softmax_backward(output: str, static: _Static, result: Any, grad: Any) -> Any:
    function = "log_softmax_grad" if output == "log_probs" else "softmax_grad"
    inputs = {output: result, f"grad_{output}": grad}
    return (_call(function, inputs, "grad_logits", result.shape, result.dtype, static),)


_softmax.defvjp(_softmax_forward, _softmax_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _logsumexp(static: _Static, x: Any) -> Any:
    return _call("softmax", {"logits": x}, "lse", _rows(x, static), _real(x), static)


def _logsumexp_forward(static: _Static, x: Any) -> Any:
    return _logsumexp(static, x), x


def _logsumexp_backward(static: _Static, x: Any, grad: Any) -> Any:
    return (_call("softmax", {"logits": x, "grad_loss": grad}, "grad_logits", x.shape, x.dtype, static),)


_logsumexp.defvjp(_logsumexp_forward, _logsumexp_backward)
