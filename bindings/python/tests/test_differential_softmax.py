# SPDX-License-Identifier: Apache-2.0
"""softmax, log_softmax, logsumexp and their gradients against PyTorch, over every axis, dtype and layout."""

import numpy as np
from differential import DTYPES, LAYOUTS, assert_near, dtypes, layouts, real, shapes, tensor, torch

import xent

F = torch.nn.functional
EMPTY = [(0,), (0, 3), (2, 0), (2, 3, 0), (2, 0, 3), (0, 0)]


def problem(shape, dtype):
    rng = np.random.default_rng([len(shape), sorted(DTYPES).index(dtype), 7])
    draw = lambda spread: (rng.normal(size=shape) * spread).astype(DTYPES[dtype])
    return draw(4), draw(1)


@shapes
@dtypes
@layouts
def test_softmax_and_log_softmax(shape, dtype, layout):
    """And backwards from what they gave: PyTorch's gradient formulas on the same rounded outputs."""
    lay = LAYOUTS[layout]
    x, above = problem(shape, dtype)
    for axis in range(-len(shape), len(shape)):
        leaf = tensor(x)
        probs, log_probs = xent.softmax(lay(x), axis), xent.log_softmax(lay(x), axis)
        assert_near(probs, F.softmax(leaf, axis), what=f"softmax, axis {axis}")
        assert_near(log_probs, F.log_softmax(leaf, axis), what=f"log_softmax, axis {axis}")
        p, lp, g = tensor(probs), tensor(log_probs), tensor(above)
        wanted = p * (g - (p * g).sum(axis, keepdim=True))
        assert_near(xent.softmax_grad(lay(probs), lay(above), axis), wanted, what=f"softmax_grad, axis {axis}")
        wanted = g - lp.exp() * g.sum(axis, keepdim=True)
        assert_near(xent.log_softmax_grad(lay(log_probs), lay(above), axis), wanted, what=f"log_softmax_grad, {axis}")


@shapes
@dtypes
@layouts
def test_logsumexp(shape, dtype, layout):
    lay = LAYOUTS[layout]
    x, _ = problem(shape, dtype)
    for axis in range(-len(shape), len(shape)):
        leaf = tensor(x, requires_grad=True)
        wanted = torch.logsumexp(leaf, axis)
        above = np.random.default_rng(5).normal(size=tuple(wanted.shape)).astype(real(x.dtype))
        wanted.backward(tensor(above))
        lse = xent.logsumexp(lay(x), axis)
        assert lse.dtype == real(x.dtype)
        assert_near(lse, wanted, what=f"logsumexp, axis {axis}")
        assert_near(xent.logsumexp_grad(lay(x), lay(above), axis), leaf.grad, what=f"logsumexp_grad, axis {axis}")


def test_gradients_by_autograd():
    """In float64 the whole chain is PyTorch's autograd; shorter dtypes would show the rounding in between."""
    for shape in ((7,), (6, 5), (2, 5, 3)):
        x, above = problem(shape, "f64")
        for axis in range(len(shape)):
            for function, backward in (("softmax", xent.softmax_grad), ("log_softmax", xent.log_softmax_grad)):
                leaf = tensor(x, requires_grad=True)
                getattr(F, function)(leaf, axis).backward(tensor(above))
                output = getattr(xent, function)(x, axis)
                assert_near(backward(output, above, axis), leaf.grad, 10, f"{function}, axis {axis}")


@dtypes
def test_empty_dimensions(dtype):
    for shape in EMPTY:
        x = np.zeros(shape, DTYPES[dtype])
        for axis in range(len(shape)):
            for name in ("softmax", "log_softmax"):
                assert_near(getattr(xent, name)(x, axis), getattr(F, name)(tensor(x), axis), what=f"{name} {shape}")
            assert_near(xent.logsumexp(x, axis), torch.logsumexp(tensor(x), axis), what=f"logsumexp {shape}")
            assert xent.softmax_grad(x, x, axis).shape == xent.log_softmax_grad(x, x, axis).shape == shape
