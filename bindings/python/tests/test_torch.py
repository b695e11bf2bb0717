# SPDX-License-Identifier: Apache-2.0
"""cross_entropy against PyTorch's, over the full product of PyTorch's options, dtypes, shapes and layouts.

PyTorch computes in float64 from the same numbers, gradients by its autograd.
"""

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from differential import DTYPES, INTEGERS, LAYOUTS, assert_near, class_axis, dtypes, layouts, real, rows_shape, shapes
from differential import tensor, torch

import xent

F = torch.nn.functional

OPTIONS = [
    {"kind": kind, "weighted": weighted, "reduction": reduction, "label_smoothing": eps, "ignore_index": ignored}
    for kind, weighted, reduction, eps, ignored in product(
        ("index", "probabilities"), (False, True), ("none", "mean", "sum"), (0.0, 0.1, 1.0), (-100, 2))
]  # fmt: skip


@lru_cache(maxsize=None)
def problem(shape, dtype, kind):
    """logits, targets and weight. Of the indices some are -100 and some are 2, which ignore_index may be."""
    rng = np.random.default_rng([len(shape), sorted(DTYPES).index(dtype)])
    classes = shape[class_axis(shape)]
    logits = (rng.normal(size=shape) * 4).astype(DTYPES[dtype])
    if kind == "index":
        target = np.asarray(rng.integers(0, classes, rows_shape(shape)))
        target[rng.random(target.shape) < 0.25] = 2
    else:
        target = rng.random(shape).astype(DTYPES[dtype])  # the sum is not 1
    return logits, target, rng.uniform(0.25, 3, classes).astype(real(DTYPES[dtype]))


def ignoring(target, ignore_index):
    """Every third target becomes -100 where that is what is ignored."""
    if ignore_index >= 0 or not target.ndim:
        return target
    target = target.copy()
    target.reshape(-1)[::3] = ignore_index
    return target


def named(options, weight):
    kept = {name: options[name] for name in ("reduction", "label_smoothing", "ignore_index")}
    return {**kept, "weight": weight if options["weighted"] else None}


@lru_cache(maxsize=None)
def expected(shape, dtype, index):
    """PyTorch's loss and gradient for OPTIONS[index]."""
    options = OPTIONS[index]
    logits, target, weight = problem(shape, dtype, options["kind"])
    if options["kind"] == "index":
        target = ignoring(target, options["ignore_index"])
    leaf = tensor(logits, requires_grad=True)
    loss = F.cross_entropy(leaf, tensor(target), **named(options, tensor(weight)))
    loss.sum().backward()
    return loss.detach().numpy(), leaf.grad.numpy()


@shapes
@dtypes
@layouts
def test_cross_entropy(shape, dtype, layout):
    lay = LAYOUTS[layout]
    for index, options in enumerate(OPTIONS):
        logits, target, weight = problem(shape, dtype, options["kind"])
        if options["kind"] == "index":
            target = ignoring(target, options["ignore_index"]).astype(INTEGERS[index % len(INTEGERS)])
        elif options["ignore_index"] >= 0:
            with pytest.raises(ValueError, match="ignore_index"):
                xent.cross_entropy(logits, target, **named(options, weight))
            with pytest.raises(RuntimeError, match="ignore_index"):
                F.cross_entropy(tensor(logits), tensor(target), **named(options, tensor(weight)))
            continue
        loss, grad = xent.cross_entropy_with_grad(lay(logits), lay(target), **named(options, lay(weight)))
        wanted_loss, wanted_grad = expected(shape, dtype, index)
        assert loss.dtype == real(logits.dtype) and grad.dtype == logits.dtype
        assert_near(loss, wanted_loss, what=f"loss {options}")
        assert_near(grad, wanted_grad, what=f"grad {options}")
        alone = xent.cross_entropy(lay(logits), lay(target), **named(options, lay(weight)))
        np.testing.assert_array_equal(alone, loss, str(options))


@shapes
@dtypes
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_upstream_gradient(shape, dtype, label_smoothing):
    """grad_loss is what PyTorch's backward is given: for each row, or one number for the reduced loss."""
    logits, target, weight = problem(shape, dtype, "index")
    above = np.random.default_rng(4).normal(size=rows_shape(shape)).astype(weight.dtype)
    for reduction, g in (("none", above), ("mean", above.dtype.type(-2.5)), ("sum", above.dtype.type(0.5))):
        leaf = tensor(logits, requires_grad=True)
        options = {"reduction": reduction, "label_smoothing": label_smoothing}
        F.cross_entropy(leaf, tensor(target), tensor(weight), **options).backward(tensor(g))
        _, grad = xent.cross_entropy_with_grad(logits, target, weight, **options, grad_loss=g)
        assert_near(grad, leaf.grad, what=reduction)


EMPTY = [(0, 4), (2, 4, 0), (0, 4, 3), (2, 3, 0, 2), (0, 0), (2, 0)]


@pytest.mark.parametrize("shape", EMPTY, ids=str)
@dtypes
def test_empty_dimensions(shape, dtype):
    logits = np.zeros(shape, DTYPES[dtype])
    for kind, reduction, eps in product(("index", "probabilities"), ("none", "mean", "sum"), (0.0, 0.1)):
        if 0 in shape[1:2] and (kind == "probabilities" or eps):
            continue  # PyTorch takes a row without classes for nothing or for NaN, as it happens
        target = np.full(rows_shape(shape), -100) if kind == "index" else np.zeros(shape, DTYPES[dtype])
        options = {"reduction": reduction, "label_smoothing": eps}
        leaf = tensor(logits, requires_grad=True)
        wanted = F.cross_entropy(leaf, tensor(target), **options)
        loss, grad = xent.cross_entropy_with_grad(logits, target, **options)
        assert_near(loss, wanted, what=f"{kind} {options}")
        assert grad.shape == shape


@dtypes
def test_masks_and_special_values(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, 1, 2], [-inf, -inf, 0], [-inf] * 3, [inf, 0, 0], [nan, 0, 0], [1e4, 0, -1e4]], DTYPES[dtype])
    assert_near(xent.softmax(x), F.softmax(tensor(x), 1))
    assert_near(xent.log_softmax(x), F.log_softmax(tensor(x), 1))
    assert_near(xent.logsumexp(x), torch.logsumexp(tensor(x), 1))
    targets = np.array([1, 0, 0, 1, 1, 0])
    for weight in (None, np.array([0.5, 2.0, 1.0], real(x.dtype))):
        loss = xent.cross_entropy(x, targets, weight, reduction="none")
        assert_near(loss, F.cross_entropy(tensor(x), tensor(targets), tensor(weight), reduction="none"))


def test_a_tensor_is_an_array():
    logits, target, weight = problem((6, 5), "f32", "index")
    given = torch.from_numpy(logits), torch.from_numpy(target), torch.from_numpy(weight)
    assert xent.cross_entropy(*given) == xent.cross_entropy(logits, target, weight)
