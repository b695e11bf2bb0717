# SPDX-License-Identifier: Apache-2.0
"""xent.torch as a part of PyTorch: what an operator of its has to do, the module, and errors."""

import pickle
from functools import partial

import pytest
from differential import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck

import xent.torch as xt

F = torch.nn.functional
OPS = torch.ops.xent


@pytest.fixture
def logits():
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.fixture
def target():
    return torch.tensor([0, 1, 2, 3, 4, 2])


def arguments(dtype=torch.float32, shape=(4, 5, 3)):
    """For each operator several lists of arguments."""
    generator = torch.Generator().manual_seed(1)

    def rand(*shape, grad=False):
        return torch.randn(shape, dtype=dtype, generator=generator, requires_grad=grad)

    rows = shape[:1] + shape[2:]
    index = torch.randint(0, shape[1], rows, generator=generator)
    soft = rand(*shape).softmax(1)
    weight = rand(shape[1]).exp()
    for reduction in (0, 1, 2):
        above = rand(*rows) if not reduction else rand()
        for target, w, ignored, eps in (
            *((index, None, -100, 0.0), (index, weight, 2, 0.1), (soft, weight, -100, 0.1)),
            (soft.detach().requires_grad_(), None, -100, 0.0),
        ):
            yield "cross_entropy", (rand(*shape, grad=True), target, w, reduction, ignored, eps)
            yield "cross_entropy_backward", (above, rand(*shape), target.detach(), w, reduction, ignored, eps)
        yield "nll_loss", (rand(*shape, grad=True), index, weight, reduction, 2)
        yield "nll_loss_backward", (above, rand(*shape), index, weight, reduction, 2)
        full = rand(*shape) if not reduction else rand()
        rest = (soft, None, rand(shape[2]).exp(), reduction)
        yield "binary_cross_entropy_with_logits", (rand(*shape, grad=True), *rest)
        yield "binary_cross_entropy_with_logits_backward", (full, rand(*shape), *rest)
    for name in ("softmax", "log_softmax"):
        yield name, (rand(*shape, grad=True), 1)
        yield f"{name}_backward", (rand(*shape), getattr(torch, name)(rand(*shape), 1), 1)
    yield "logsumexp", (rand(*shape, grad=True), 1)
    yield "logsumexp_backward", (rand(*rows), rand(*shape), 1)


CASES = [pytest.param(name, given, id=f"{name}-{i}") for i, (name, given) in enumerate(arguments())]


@pytest.mark.parametrize("name, given", CASES)
def test_opcheck(name, given):
    """Schema, registered backward pass, fake kernel, and both under AOTAutograd with sizes that come later."""
    torch.library.opcheck(getattr(OPS, name).default, given)


def test_every_operator_is_checked():
    defined = {name for name in torch._C._dispatch_get_all_op_names() if name.startswith("xent::")}
    assert defined == {f"xent::{case.values[0]}" for case in CASES}


EXACT = [
    pytest.param(name, given, id=f"{name}-{i}")
    for i, (name, given) in enumerate(arguments(torch.float64, (2, 3, 2)))
    if not name.endswith("_backward")
]


@pytest.mark.parametrize("name, given", EXACT)
def test_gradients(name, given):
    """First and second derivatives, by finite differences."""
    op = getattr(OPS, name)
    assert gradcheck(op, given)
    rest = [value.detach() if isinstance(value, torch.Tensor) else value for value in given[1:]]
    assert gradgradcheck(lambda x: op(x, *rest) ** 2, given[:1])  # what comes from above depends on x, too


def test_modes_without_gradients(logits, target):
    expected = F.cross_entropy(logits, target).item()
    with torch.no_grad():
        loss = xt.cross_entropy(logits, target)
    assert not loss.requires_grad and loss.item() == pytest.approx(expected)
    with torch.inference_mode():
        loss = xt.cross_entropy(logits.clone(), target)
        assert loss.is_inference() and loss.item() == pytest.approx(expected)
    assert not xt.cross_entropy(logits.detach(), target).requires_grad


def test_backward_twice_and_upstream(logits, target):
    loss = xt.cross_entropy(logits, target)
    loss.backward(retain_graph=True)
    first = logits.grad.clone()
    (loss * 3).backward()
    torch.testing.assert_close(logits.grad, first * 4)


def test_module(target):
    weight = torch.rand(5) + 0.5
    options = {"weight": weight, "ignore_index": 2, "reduction": "sum", "label_smoothing": 0.1}
    ours, theirs = xt.CrossEntropyLoss(**options), torch.nn.CrossEntropyLoss(**options)
    logits = torch.randn(6, 5)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target))
    assert isinstance(ours, torch.nn.CrossEntropyLoss) and repr(ours) == repr(theirs)
    theirs.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight"]
    ours.double()
    assert ours(logits.double(), target).dtype == torch.float64
    again = pickle.loads(pickle.dumps(ours))
    assert again(logits.double(), target) == ours(logits.double(), target)


def step(logits, target, weight=None):
    loss = xt.cross_entropy(logits * 2, target, weight, label_smoothing=0.1)
    return loss + xt.nll_loss(xt.log_softmax(logits, 1), target) + xt.logsumexp(logits, 1).sum()


def test_compile(logits, target):
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for rows in (6, 6, 4, 3):  # other sizes are compiled for sizes unknown
        alone, copy = (logits.detach()[:rows].clone().requires_grad_() for _ in range(2))
        step(alone, target[:rows]).backward()
        compiled(copy, target[:rows]).backward()
        torch.testing.assert_close(copy.grad, alone.grad)
    compiled = torch.compile(xt.CrossEntropyLoss(torch.ones(5)), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, target), F.cross_entropy(logits, target))


def test_compile_to_native_code(logits, target):
    from torch._inductor import config

    alone, copy = (logits.detach().clone().requires_grad_() for _ in range(2))
    xt.cross_entropy(alone * 2, target).backward()
    with config.patch({"compile_threads": 1, "cpp_cache_precompile_headers": False}):  # neither pays for one kernel
        torch.compile(lambda x: xt.cross_entropy(x * 2, target), fullgraph=True)(copy).backward()
    torch.testing.assert_close(copy.grad, alone.grad)


def test_transforms(logits, target):
    """torch.func: gradients, one for each sample, and derivatives of derivatives."""
    x, func = logits.detach(), torch.func
    for ours, theirs in ((xt.cross_entropy, F.cross_entropy), (xt.nll_loss, F.nll_loss)):
        torch.testing.assert_close(func.grad(ours)(x, target), func.grad(theirs)(x, target))
        for reduction in ("none", "mean", "sum"):
            each = [func.vmap(partial(f, reduction=reduction), (0, None)) for f in (ours, theirs)]
            torch.testing.assert_close(*(f(x.expand(3, 6, 5), target) for f in each))
        per_sample = [func.vmap(func.grad(f))(x, target) for f in (ours, theirs)]
        torch.testing.assert_close(*per_sample)
    for ours, theirs in ((xt.softmax, F.softmax), (xt.log_softmax, F.log_softmax), (xt.logsumexp, torch.logsumexp)):
        torch.testing.assert_close(func.vmap(partial(ours, dim=0), 1)(x), func.vmap(partial(theirs, dim=0), 1)(x))
        torch.testing.assert_close(func.jacrev(partial(ours, dim=1))(x), func.jacrev(partial(theirs, dim=1))(x))
    torch.testing.assert_close(func.vmap(lambda row: OPS.softmax(row, 0))(x), F.softmax(x, 1))
    one = x[0].double()
    hessian = torch.autograd.functional.hessian
    both = [partial(f, target=target[0], label_smoothing=0.1) for f in (xt.cross_entropy, F.cross_entropy)]
    torch.testing.assert_close(*(hessian(f, one) for f in both))


def test_meta():
    logits, target = torch.empty(6, 5, device="meta"), torch.empty(6, dtype=torch.long, device="meta")
    assert xt.cross_entropy(logits, target, reduction="none").shape == (6,)
    assert xt.softmax(logits, 1).device.type == "meta"


def test_threads_share_the_operators(logits, target):
    from concurrent.futures import ThreadPoolExecutor

    expected = xt.cross_entropy(logits, target)
    with ThreadPoolExecutor(4) as pool:
        assert all(loss == expected for loss in pool.map(lambda _: xt.cross_entropy(logits, target), range(64)))


def refusals():
    x, t, q, w = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 2]), torch.rand(6, 5), torch.rand(5)
    ce = xt.cross_entropy
    with FakeTensorMode():
        far = torch.empty(6, 5, device="cuda")
    yield (
        IndexError,
        r"xent_cross_entropy: targets\[4\] is 9, not in \[0, 5\)",
        ce,
        (x, torch.tensor([0, 1, 2, 3, 9, 2])),
    )
    yield IndexError, r"xent_nll: targets\[0\] is -1", xt.nll_loss, (x, t - 1)
    yield TypeError, "cross_entropy: input is list, not a Tensor", ce, ([[1.0]], t)
    yield TypeError, "cross_entropy: target is list, not a Tensor", ce, (x, [0] * 6)
    yield TypeError, "cross_entropy: input is torch.int64", ce, (t, t)
    yield TypeError, "cross_entropy: target is torch.bool", ce, (x, t > 1)
    yield TypeError, "nll_loss: target is torch.float32", xt.nll_loss, (x, q)
    yield TypeError, "cross_entropy: weight is torch.int64", ce, (x, t, t[:5])
    yield TypeError, "layout torch.sparse_coo", ce, (x.to_sparse(), t)
    yield ValueError, r"target has shape \(5,\), not \(6,\)", ce, (x, t[:5])
    yield ValueError, r"target has shape \(5, 5\), not \(6, 5\)", ce, (x, q[:5])
    yield ValueError, r"weight has shape \(4,\), not \(5,\)", ce, (x, t, w[:4])
    yield ValueError, "input has no dimensions", ce, (x[0, 0], t[0])
    yield ValueError, "reduction is 'avg'", partial(ce, reduction="avg"), (x, t)
    yield ValueError, r"label_smoothing is 2, not in \[0, 1\]", partial(ce, label_smoothing=2.0), (x, t)
    yield ValueError, "input is on the device cuda:0, not on the CPU", ce, (far, t)
    yield IndexError, "softmax: dim is 2, for input with 2 dimensions", xt.softmax, (x, 2)
    yield RuntimeError, "no gradient by weight", lambda *given: ce(*given).backward(), (x, t, w.requires_grad_())
    bce = xt.binary_cross_entropy_with_logits
    yield RuntimeError, "no gradient by target", lambda *given: bce(*given).backward(), (x, q.requires_grad_())


@pytest.mark.parametrize("error, text, function, given", list(refusals()))
def test_refusals(error, text, function, given):
    with pytest.raises(error, match=text):
        function(*given)
