# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy on PyTorch's tensors: drop-ins for the functions of `torch.nn.functional` with these names.

Tensors on the CPU are used where they lie. Gradients, ``torch.compile``, ``torch.func`` and second derivatives work:
the functions are PyTorch's own kind of operator (``torch.ops.xent``). Needs PyTorch 2.5 or later.

>>> import torch, xent.torch
>>> logits = torch.tensor([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]], requires_grad=True)
>>> loss = xent.torch.cross_entropy(logits, torch.tensor([2, 2, 0]))
>>> loss.backward()
>>> print(f"{loss.item():.4f} {logits.grad[0, 2].item():.4f}")
0.0556 -0.0030
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import _reduction

from ._torch_ops import FLOATING, INTEGERS, REDUCTIONS, class_axis, ops

__all__ = [
    "CrossEntropyLoss",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "log_softmax",
    "logsumexp",
    "nll_loss",
    "softmax",
]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    loss_dtype: torch.dtype | None = None,
) -> Tensor:
    """`torch.nn.functional.cross_entropy`: the same parameters, dtypes and results, the latter right to the last digit.

    Parameters
    ----------
    input : Tensor of float32, float64, float16 or bfloat16, shape (N, C), (C,) or (N, C, d1, ...)
        Unnormalised scores, in any layout. -inf masks a class.
    target : Tensor
        Integers of any dtype and of input's shape without C, each in [0, C) or equal to ignore_index; or floating
        numbers of input's shape, the probabilities of the classes, which need not sum to 1 and may need a gradient.
    weight : Tensor of shape (C,), optional
        The weight of each class. It has no gradient.
    size_average, reduce : bool, optional
        PyTorch's deprecated words for reduction; they warn and win over it, as there.
    ignore_index : int
        Rows with this target do not count. With probabilities it has to be negative.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the weights of the targets that count, or for probabilities by the number of rows.
    label_smoothing : float
        From 0 to 1.
    loss_dtype : torch.dtype, optional
        The dtype of the loss: input's if it is not given, which for 16 bits is a loss of two or three digits, rounded
        from float32. ``torch.float32`` keeps those. Under ``torch.autocast`` the loss is float32, as PyTorch's is.

    Returns
    -------
    Tensor
        The loss: a scalar, or for "none" of the shape of input without C. Probabilities or weights of another dtype
        promote the loss as in PyTorch; where one of them is float64 and input is not, it is input that is converted.

    Raises
    ------
    IndexError
        If a target is outside [0, C) and not ignore_index; the text names the row.
    TypeError
        If an argument is not a Tensor, or of a dtype that it cannot have.
    ValueError
        If shapes do not fit, a tensor is not on the CPU, or an option has no such value.

    Examples
    --------
    >>> logits, target = torch.tensor([[0.0, 69.0]]), torch.tensor([1])
    >>> print(f"{xent.torch.cross_entropy(logits, target).item():.4g}")  # PyTorch's is 0
    1.081e-30
    """
    function = "cross_entropy"
    logits = _logits(function, input)
    is_soft = isinstance(target, Tensor) and target.is_floating_point()
    _check_target(function, logits, target, FLOATING if is_soft else INTEGERS, is_soft)
    _check_weight(function, logits, weight)
    dtype = _loss_dtype(logits, loss_dtype, *((target, weight) if is_soft else ()))
    logits, target, weight = _promoted(logits, target, weight)
    number = _reduction_number(function, reduction, size_average, reduce)
    loss: Tensor = ops.cross_entropy(logits, target, weight, number, ignore_index, label_smoothing)
    return loss if loss.dtype == dtype else loss.to(dtype)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    loss_dtype: torch.dtype | None = None,
) -> Tensor:
    """`torch.nn.functional.nll_loss`: the loss of log-probabilities.

    Parameters
    ----------
    input : Tensor of float32, float64, float16 or bfloat16, shape (N, C), (C,) or (N, C, d1, ...)
        Log-probabilities.
    target : Tensor of integers
        Of input's shape without C, each in [0, C) or equal to ignore_index.
    weight, size_average, ignore_index, reduce, reduction, loss_dtype
        As in `cross_entropy`.

    Returns
    -------
    Tensor
        As from `cross_entropy`.

    Raises
    ------
    IndexError, TypeError, ValueError
        As in `cross_entropy`.

    Examples
    --------
    >>> log_probs = xent.torch.log_softmax(torch.tensor([[1.0, 2.0, 7.0]]), 1)
    >>> print(f"{xent.torch.nll_loss(log_probs, torch.tensor([2])).item():.4f}")
    0.0092
    """
    function = "nll_loss"
    logits = _logits(function, input)
    _check_target(function, logits, target, INTEGERS, False)
    _check_weight(function, logits, weight)
    dtype = _loss_dtype(logits, loss_dtype)
    logits, target, weight = _promoted(logits, target, weight)
    number = _reduction_number(function, reduction, size_average, reduce)
    loss: Tensor = ops.nll_loss(logits, target, weight, number, ignore_index)
    return loss if loss.dtype == dtype else loss.to(dtype)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    *,
    loss_dtype: torch.dtype | None = None,
) -> Tensor:
    """`torch.nn.functional.binary_cross_entropy_with_logits`, for multi-label targets.

    Parameters
    ----------
    input : Tensor of float32, float64, float16 or bfloat16, of any shape
        Unnormalised scores.
    target : Tensor of input's shape
        Numbers from 0 to 1, or uint8 or bool. They have no gradient.
    weight, pos_weight : Tensor, optional
        Of shapes that broadcast to input's: factors of each element's loss, and of its part for target 1. They have no
        gradient.
    size_average, reduce, reduction, loss_dtype
        As in `cross_entropy`; "mean" divides by the number of elements.

    Returns
    -------
    Tensor
        The loss: a scalar, or for "none" of input's shape.

    Raises
    ------
    TypeError, ValueError
        As in `cross_entropy`.

    Examples
    --------
    >>> logits, target = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    >>> print(f"{xent.torch.binary_cross_entropy_with_logits(logits, target).item():.4f}")
    0.2201
    """
    function = "binary_cross_entropy_with_logits"
    labels = (*FLOATING, torch.uint8, torch.bool)
    if isinstance(input, Tensor) and not input.dim():
        _check(function, "target", target, labels, ())
        rest: Any = (weight if weight is None else weight.reshape(1), size_average, reduce, reduction, pos_weight)
        one = binary_cross_entropy_with_logits(input.reshape(1), target.reshape(1), *rest, loss_dtype=loss_dtype)
        return one.reshape(())
    logits = _logits(function, input)
    _check(function, "target", target, labels, logits.shape)
    for name, value in (("weight", weight), ("pos_weight", pos_weight)):
        if value is not None:
            _check(function, name, value, FLOATING)
    dtype = _loss_dtype(logits, loss_dtype, weight, pos_weight, target if target.is_floating_point() else None)
    logits, target, weight, pos_weight = _promoted(logits, target, weight, pos_weight)
    number = _reduction_number(function, reduction, size_average, reduce)
    loss: Tensor = ops.binary_cross_entropy_with_logits(logits, target, weight, pos_weight, number)
    return loss if loss.dtype == dtype else loss.to(dtype)


def softmax(input: Tensor, dim: int = -1, *, dtype: torch.dtype | None = None) -> Tensor:
    """`torch.nn.functional.softmax`: the probability of each class, ``exp(x) / sum(exp(x))`` along a dimension.

    Parameters
    ----------
    input : Tensor of float32, float64, float16 or bfloat16
        Of any number of dimensions but none, in any layout. -inf masks a class.
    dim : int
        The dimension of the classes.
    dtype : torch.dtype, optional
        What input is converted to before.

    Returns
    -------
    Tensor
        Of input's dtype and shape.

    Raises
    ------
    TypeError, ValueError
        If input is not a floating Tensor on the CPU, or has no such dimension (`IndexError`, as in PyTorch).

    Examples
    --------
    >>> print(f"{xent.torch.softmax(torch.tensor([1.0, 2.0, 7.0]))[2].item():.4f}")
    0.9909
    """
    return ops.softmax(*_along("softmax", input, dim, dtype))  # type: ignore[no-any-return]


def log_softmax(input: Tensor, dim: int = -1, *, dtype: torch.dtype | None = None) -> Tensor:
    """`torch.nn.functional.log_softmax`: the log-probability of each class along a dimension, in nats.

    Parameters, errors and result are those of `softmax`. A masked class (-inf) gives -inf.

    Examples
    --------
    >>> print(f"{xent.torch.log_softmax(torch.tensor([1.0, 2.0, 7.0]))[2].item():.4f}")
    -0.0092
    """
    return ops.log_softmax(*_along("log_softmax", input, dim, dtype))  # type: ignore[no-any-return]


def logsumexp(input: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """`torch.logsumexp`: ``log(sum(exp(x)))`` along a dimension.

    Parameters
    ----------
    input : Tensor of float32, float64, float16 or bfloat16
        Of any number of dimensions but none, in any layout.
    dim : int
        The dimension; one, where PyTorch takes several, too.
    keepdim : bool
        Whether the result has it, with size 1.

    Returns
    -------
    Tensor
        Of input's dtype.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.

    Examples
    --------
    >>> print(f"{xent.torch.logsumexp(torch.tensor([1000.0, 1000.0]), 0).item():.2f}")
    1000.69
    """
    input, dim = _along("logsumexp", input, dim, None)
    lse = ops.logsumexp(input, dim)
    lse = lse if lse.dtype == input.dtype else lse.to(input.dtype)
    return lse.unsqueeze(dim) if keepdim else lse  # type: ignore[no-any-return]


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """`torch.nn.CrossEntropyLoss`, of which it is one, computed by `cross_entropy`.

    Parameters
    ----------
    weight, size_average, ignore_index, reduce, reduction, label_smoothing
        As in `cross_entropy`. weight is a buffer of the module.

    Examples
    --------
    >>> criterion = xent.torch.CrossEntropyLoss(label_smoothing=0.1)
    >>> print(f"{criterion(torch.tensor([[1.0, 2.0, 7.0]]), torch.tensor([2])).item():.4f}")
    0.3758
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        options: dict[str, Any] = {"ignore_index": self.ignore_index, "label_smoothing": self.label_smoothing}
        return cross_entropy(input, target, self.weight, reduction=self.reduction, **options)


# ---- Arguments -------------------------------------------------------------------------------------------------------


def _check(
    function: str, name: str, tensor: Any, dtypes: tuple[torch.dtype, ...], shape: tuple[int, ...] | None = None
) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{function}: {name} is {type(tensor).__name__}, not a Tensor")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{function}: {name} is {tensor.dtype}, not {', '.join(str(dtype) for dtype in dtypes)}")
    if tensor.device.type not in ("cpu", "meta"):
        raise ValueError(f"{function}: {name} is on the device {tensor.device}, not on the CPU: {name}.cpu() is")
    if tensor.layout != torch.strided:
        raise TypeError(f"{function}: {name} has the layout {tensor.layout}, not torch.strided")
    if shape is not None and tensor.shape != torch.Size(shape):
        raise ValueError(f"{function}: {name} has shape {tuple(tensor.shape)}, not {tuple(shape)}")


def _logits(function: str, input: Any) -> Tensor:
    _check(function, "input", input, FLOATING)
    if not input.dim():
        raise ValueError(f"{function}: input has no dimensions, and so no classes")
    return input  # type: ignore[no-any-return]


def _check_target(function: str, logits: Tensor, target: Any, dtypes: tuple[torch.dtype, ...], is_full: bool) -> None:
    axis = class_axis(logits)
    shape = logits.shape if is_full else (*logits.shape[:axis], *logits.shape[axis + 1 :])
    _check(function, "target", target, dtypes, shape)


def _check_weight(function: str, logits: Tensor, weight: Tensor | None) -> None:
    if weight is not None:
        _check(function, "weight", weight, FLOATING, (logits.shape[class_axis(logits)],))


def _loss_dtype(logits: Tensor, wanted: torch.dtype | None, *others: Tensor | None) -> torch.dtype:
    """The dtype that PyTorch's loss has."""
    if wanted is not None:
        return wanted
    dtype = logits.dtype
    for other in others:
        if other is not None:
            dtype = torch.promote_types(dtype, other.dtype)
    if dtype in (torch.float16, torch.bfloat16) and torch.is_autocast_enabled("cpu"):
        return torch.float32
    return dtype


def _promoted(*tensors: Tensor | None) -> Any:
    """The tensors, all floating ones as float64 where one is: the library does not mix it with others."""
    is_double = [None if t is None or not t.is_floating_point() else t.dtype == torch.float64 for t in tensors]
    if True in is_double and False in is_double:
        return tuple(t if t is None or is_it is None else t.double() for t, is_it in zip(tensors, is_double))
    return tensors


def _reduction_number(function: str, reduction: str, size_average: bool | None, reduce: bool | None) -> int:
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if reduction not in REDUCTIONS:
        raise ValueError(f"{function}: reduction is {reduction!r}, not 'none', 'mean' or 'sum'")
    return REDUCTIONS.index(reduction)


def _along(function: str, input: Any, dim: int, dtype: torch.dtype | None) -> tuple[Tensor, int]:
    if dtype is not None and isinstance(input, Tensor):
        input = input.to(dtype)
    logits = _logits(function, input)
    if not -logits.dim() <= dim < logits.dim():
        raise IndexError(f"{function}: dim is {dim}, for input with {logits.dim()} dimensions")
    return logits, dim % logits.dim()
