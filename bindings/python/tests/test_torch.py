# SPDX-License-Identifier: Apache-2.0
"""Against PyTorch over the options that both have. `make check-torch`: PyTorch is too large for every run."""

import numpy as np
import pytest

import xent

torch = pytest.importorskip("torch", reason="PyTorch cannot be imported; pip install torch to compare with it")
F = torch.nn.functional

SHAPES = [(1, 1), (1, 5), (4, 3), (37, 10), (8, 1000), (3, 5000)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
reductions = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])


def close(got, expected):
    # PyTorch's own error is the larger: a few ulps of the logits' magnitude.
    eps = np.finfo(np.asarray(got).dtype).eps
    np.testing.assert_allclose(got, expected, rtol=64 * eps, atol=32 * eps)


def problem(shape, dtype, seed=3):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=shape) * 4).astype(dtype)
    targets = rng.integers(0, shape[1], shape[0])
    return x, targets, rng.uniform(0.25, 3, shape[1]).astype(dtype)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_rowwise(axis, dtype):
    x = np.random.default_rng(5).normal(size=(4, 6, 5)).astype(dtype) * 5
    tensor = torch.from_numpy(x)
    close(xent.softmax(x, axis), F.softmax(tensor, axis).numpy())
    close(xent.log_softmax(x, axis), F.log_softmax(tensor, axis).numpy())
    close(xent.logsumexp(x, axis), torch.logsumexp(tensor, axis).numpy())


@shapes
@reductions
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("ignored", [-100, 0, 2], ids="ignore {}".format)
def test_losses_and_gradients(shape, reduction, weighted, ignored, dtype):
    x, targets, weight = problem(shape, dtype)
    if ignored < 0:
        targets[::3] = ignored
    named = {"weight": weight if weighted else None, "ignore_index": ignored, "reduction": reduction}
    theirs = {**named, "weight": torch.from_numpy(weight) if weighted else None}

    tensor = torch.from_numpy(x).requires_grad_()
    loss = F.cross_entropy(tensor, torch.from_numpy(targets), **theirs)
    loss.sum().backward()
    got, grad = xent.cross_entropy_with_grad(x, targets, **named)
    close(got, loss.detach().numpy())
    close(grad, tensor.grad.numpy())
    assert got.shape == tuple(loss.shape)

    log_probs = F.log_softmax(torch.from_numpy(x), 1).requires_grad_()
    nll = F.nll_loss(log_probs, torch.from_numpy(targets), **theirs)
    nll.sum().backward()
    close(xent.nll_loss(log_probs.detach().numpy(), targets, **named), nll.detach().numpy())
    close(xent.nll_loss_grad(targets, shape[1], dtype=dtype, **named), log_probs.grad.numpy())


def test_log_softmax_grad(dtype):
    rng = np.random.default_rng(8)
    x, above = (rng.normal(size=(6, 30)).astype(dtype) for _ in range(2))
    tensor = torch.from_numpy(x).requires_grad_()
    F.log_softmax(tensor, 1).backward(torch.from_numpy(above))
    close(xent.log_softmax_grad(xent.log_softmax(x), above), tensor.grad.numpy())


@reductions
def test_one_dimension(reduction, dtype):
    x = np.array([1, 2, 7], dtype)
    loss = F.cross_entropy(torch.from_numpy(x), torch.tensor(2), reduction=reduction)
    got = xent.cross_entropy(x, 2, reduction=reduction)
    close(got, loss.numpy())
    assert got.shape == tuple(loss.shape) == ()


@reductions
def test_nothing_counts(reduction, dtype):
    for rows in (0, 3):
        x, targets = np.ones((rows, 4), dtype), np.full(rows, -100)
        loss = F.cross_entropy(torch.from_numpy(x), torch.from_numpy(targets), reduction=reduction)
        np.testing.assert_array_equal(xent.cross_entropy(x, targets, reduction=reduction), loss.numpy())


def test_masks_and_special_values(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, 1, 2], [-inf, -inf, 0], [-inf] * 3, [inf, 0, 0], [nan, 0, 0], [1e4, 0, -1e4]], dtype)
    tensor = torch.from_numpy(x)
    close(xent.softmax(x), F.softmax(tensor, 1).numpy())
    close(xent.log_softmax(x), F.log_softmax(tensor, 1).numpy())
    close(xent.logsumexp(x), torch.logsumexp(tensor, 1).numpy())
    targets = np.array([1, 0, 0, 1, 1, 0])
    expected = F.cross_entropy(tensor, torch.from_numpy(targets), reduction="none").numpy()
    close(xent.cross_entropy(x, targets, reduction="none"), expected)


def test_a_tensor_is_an_array(dtype):
    x, targets, _ = problem((5, 4), dtype)
    assert xent.cross_entropy(torch.from_numpy(x), torch.from_numpy(targets)) == xent.cross_entropy(x, targets)
