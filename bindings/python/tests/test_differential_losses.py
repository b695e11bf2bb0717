# SPDX-License-Identifier: Apache-2.0
"""nll_loss, binary_cross_entropy_with_logits and the divergences against PyTorch, with gradients by its autograd."""

from itertools import product

import ml_dtypes
import numpy as np
import pytest
from differential import DTYPES, INTEGERS, LAYOUTS, assert_near, class_axis, dtypes, layouts, real, rows_shape, shapes
from differential import tensor, torch

import xent

F = torch.nn.functional
REDUCTIONS = ("none", "mean", "sum")
EMPTY = [(0, 4), (2, 0), (2, 4, 0), (0, 0)]


def random(shape, dtype, seed=11):
    return np.random.default_rng([len(shape), sorted(DTYPES).index(dtype), seed])


# ---- nll_loss --------------------------------------------------------------------------------------------------------


@shapes
@dtypes
@layouts
def test_nll_loss(shape, dtype, layout):
    lay, rng = LAYOUTS[layout], random(shape, dtype)
    classes = shape[class_axis(shape)]
    log_probs = -np.abs(rng.normal(size=shape) * 3).astype(DTYPES[dtype])
    weight = rng.uniform(0.25, 3, classes).astype(real(log_probs.dtype))
    for n, (reduction, weighted, ignored) in enumerate(product(REDUCTIONS, (False, True), (-100, 2))):
        target = np.asarray(rng.integers(0, classes, rows_shape(shape)))
        target = np.where(rng.random(target.shape) < 0.3, ignored, target) if target.ndim else target
        options = {"reduction": reduction, "ignore_index": ignored}
        by, theirs = (weight, tensor(weight)) if weighted else (None, None)
        leaf = tensor(log_probs, requires_grad=True)
        wanted = F.nll_loss(leaf, tensor(target), theirs, **options)
        wanted.sum().backward()
        target = lay(np.asarray(target).astype(INTEGERS[n % len(INTEGERS)]))
        what = f"{options}, {weighted=}"
        assert_near(xent.nll_loss(lay(log_probs), target, by, **options), wanted, what=what)
        grad = xent.nll_loss_grad(target, classes, by, **options, dtype=log_probs.dtype)
        assert_near(grad, leaf.grad, what=what)


# ---- binary_cross_entropy_with_logits --------------------------------------------------------------------------------

# Shapes of weight and pos_weight as PyTorch broadcasts them, for logits of the shape.
BROADCASTS = {
    (7,): [None, (7,), (1,)],
    (6, 5): [None, (5,), (6, 5), (6, 1), (1,), (1, 5)],
    (3, 5, 4): [None, (4,), (5, 1), (3, 5, 4), (3, 1, 1)],
    (2, 5, 3, 2): [None, (5, 1, 1), (2, 1, 1, 2), (2, 5, 3, 2)],
    (2, 4, 2, 1, 3): [None, (4, 1, 1, 1), (3,)],
}


@shapes
@dtypes
@layouts
def test_binary_cross_entropy(shape, dtype, layout):
    lay, rng = LAYOUTS[layout], random(shape, dtype)
    x = (rng.normal(size=shape) * 5).astype(DTYPES[dtype])
    draw = lambda size: None if size is None else lay(rng.uniform(0.25, 3, size).astype(real(x.dtype)))
    between = rng.random(shape).astype(x.dtype)
    truth = rng.random(shape) < 0.4
    targets = (between, truth.astype(x.dtype), truth.astype(np.uint8), truth)
    sizes = list(product(BROADCASTS[shape], BROADCASTS[shape]))
    for n, ((w_size, pos_size), reduction) in enumerate(product(sizes, REDUCTIONS)):
        y, w, pos = targets[n % len(targets)], draw(w_size), draw(pos_size)
        leaf = tensor(x, requires_grad=True)
        theirs = {"weight": tensor(w), "pos_weight": tensor(pos), "reduction": reduction}
        wanted = F.binary_cross_entropy_with_logits(leaf, tensor(y).double(), **theirs)
        wanted.sum().backward()
        options = {"weight": w, "pos_weight": pos, "reduction": reduction}
        loss, grad = xent.binary_cross_entropy_with_logits_with_grad(lay(x), lay(y), **options)
        what = f"weight {w_size}, pos_weight {pos_size}, {reduction}, target {y.dtype}"
        assert loss.dtype == real(x.dtype) and grad.dtype == x.dtype
        assert_near(loss, wanted, what=what)
        assert_near(grad, leaf.grad, what=what)
        np.testing.assert_array_equal(xent.binary_cross_entropy_with_logits(lay(x), lay(y), **options), loss)


@dtypes
def test_binary_cross_entropy_of_nothing(dtype):
    for shape, reduction in product(EMPTY, REDUCTIONS):
        x = np.zeros(shape, DTYPES[dtype])
        wanted = F.binary_cross_entropy_with_logits(tensor(x), tensor(x), reduction=reduction)
        loss, grad = xent.binary_cross_entropy_with_logits_with_grad(x, x, reduction=reduction)
        assert_near(loss, wanted, what=f"{shape} {reduction}")
        assert grad.shape == shape


@shapes
@dtypes
def test_binary_upstream_gradient(shape, dtype):
    rng = random(shape, dtype)
    x, y = rng.normal(size=shape).astype(DTYPES[dtype]), rng.random(shape).astype(DTYPES[dtype])
    above = rng.normal(size=shape).astype(real(x.dtype))
    leaf = tensor(x, requires_grad=True)
    F.binary_cross_entropy_with_logits(leaf, tensor(y), reduction="none").backward(tensor(above))
    _, grad = xent.binary_cross_entropy_with_logits_with_grad(x, y, reduction="none", grad_loss=above)
    assert_near(grad, leaf.grad)


# ---- Divergences -----------------------------------------------------------------------------------------------------


def _by_torch(kind, student, teacher, axis, temperature):
    """The loss of each row from PyTorch's own functions."""
    log_q = F.log_softmax(student / temperature, axis)
    log_p = F.log_softmax(teacher / temperature, axis)
    if kind == "soft_cross_entropy":
        q_axis = (student / temperature).movedim(axis, 1 if student.ndim > 1 else 0)
        p_axis = log_p.exp().movedim(axis, 1 if student.ndim > 1 else 0)
        return F.cross_entropy(q_axis, p_axis, reduction="none")
    kl = lambda log_q, log_p: F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(axis)
    if kind == "kl":
        return kl(log_q, log_p)
    if kind == "reverse_kl":
        return kl(log_p, log_q)
    log_m = torch.logaddexp(log_p, log_q) - np.log(2)
    return (kl(log_m, log_p) + kl(log_m, log_q)) / 2


KINDS = ("kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon")


@shapes
@dtypes
@layouts
@pytest.mark.parametrize("kind", KINDS)
def test_divergence(shape, dtype, layout, kind):
    lay, rng = LAYOUTS[layout], random(shape, dtype)
    student, teacher = ((rng.normal(size=shape) * 3).astype(DTYPES[dtype]) for _ in range(2))
    for axis, temperature in product(range(len(shape)), (1.0, 2.5)):
        leaf = tensor(student, requires_grad=True)
        rows = _by_torch(kind, leaf, tensor(teacher), axis, temperature)
        for reduction in ("none", "mean", "batchmean", "sum"):
            wanted = {"none": rows, "sum": rows.sum()}.get(reduction, rows.mean())
            (gradient,) = torch.autograd.grad(wanted.sum(), leaf, retain_graph=True)
            got = xent.divergence(lay(student), lay(teacher), kind, reduction, axis=axis, temperature=temperature,
                                  outputs=("loss", "grad", "row_loss"))  # fmt: skip
            what = f"{reduction}, axis {axis}, temperature {temperature}"
            assert_near(got.loss, wanted, 10, what)
            assert_near(got.row_loss, rows, 10, what)
            assert_near(got.grad, gradient, 10, what)


@dtypes
def test_kl_div_is_pytorchs_batchmean(dtype):
    rng = np.random.default_rng(2)
    student, teacher = (rng.normal(size=(6, 5)).astype(DTYPES[dtype]) for _ in range(2))
    wanted = F.kl_div(F.log_softmax(tensor(student), 1), F.softmax(tensor(teacher), 1), reduction="batchmean")
    assert_near(xent.kl_div(student, teacher), wanted, 10)
    assert xent.js_div(student, teacher) == xent.divergence(student, teacher, "jensen_shannon")


def test_a_student_and_a_teacher_of_different_dtypes():
    """16-bit and 32-bit numbers go together, as what they are."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4, 6))
    for one, other in product((np.float32, np.float16, ml_dtypes.bfloat16), repeat=2):
        student, teacher = x.astype(one), x[::-1].astype(other)
        got = xent.divergence(student, teacher, "kl", "none")
        assert_near(got, _by_torch("kl", tensor(student), tensor(teacher), 1, 1.0), 10)
