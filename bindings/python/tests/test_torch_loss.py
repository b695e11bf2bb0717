# SPDX-License-Identifier: Apache-2.0
"""xent.torch against torch.nn.functional: the same parameters, dtypes and shapes, over the product of the options.

PyTorch computes in float64 from the same numbers, gradients by its autograd.
"""

import inspect
from itertools import product

import ml_dtypes
import numpy as np
import pytest
from differential import assert_near, class_axis, rows_shape, torch

import xent.torch as xt

F = torch.nn.functional
TYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
SHAPES = [(7,), (6, 5), (3, 5, 4), (2, 5, 3, 2)]
types = pytest.mark.parametrize("dtype", TYPES)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def numbers(tensor):
    """As a NumPy array, bfloat16 too."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.float().numpy().astype(ml_dtypes.bfloat16)
    return tensor.numpy()


def exact(tensor):
    """The same numbers as a float64 leaf, or as they are."""
    if tensor is None or not tensor.is_floating_point():
        return tensor
    return tensor.detach().double().requires_grad_(tensor.requires_grad)


def near(got, expected, what=""):
    assert_near(numbers(got), expected, what=what)


def class_last(tensor):
    axis = class_axis(tensor.shape)
    return tensor.movedim(axis, -1).contiguous().movedim(-1, axis)


def awkward(tensor):
    """So that no two strides can count the rows: a copy has to be made."""
    wide = torch.zeros([n + 1 for n in tensor.shape], dtype=tensor.dtype)
    view = wide[tuple(slice(1, None) for _ in tensor.shape)]
    return view.copy_(tensor)


LAYOUTS = {
    "contiguous": torch.Tensor.contiguous,
    "class last": class_last,
    "reversed axes": lambda tensor: tensor.permute(*range(tensor.dim())[::-1]).contiguous().permute(
        *range(tensor.dim())[::-1]
    ),
    "window": awkward,
}  # fmt: skip


def problem(shape, dtype, kind, lay=torch.Tensor.contiguous):
    generator = torch.Generator().manual_seed(len(shape))
    logits = lay((torch.randn(shape, generator=generator) * 4).to(TYPES[dtype])).requires_grad_()
    classes = shape[class_axis(shape)]
    if kind == "index":
        target = torch.randint(0, classes, rows_shape(shape), generator=generator)
        if target.dim():
            target.view(-1)[::3] = 2
    else:
        target = torch.rand(shape, generator=generator).to(TYPES[dtype]).requires_grad_()
    return logits, target, (torch.rand(classes, generator=generator) + 0.25).to(TYPES[dtype])


@shapes
@types
@pytest.mark.parametrize("layout", LAYOUTS)
def test_cross_entropy(shape, dtype, layout):
    for kind, weighted, reduction, eps, ignored in product(
        ("index", "probabilities"), (False, True), ("none", "mean", "sum"), (0.0, 0.1), (-100, 2)
    ):
        logits, target, weight = problem(shape, dtype, kind, LAYOUTS[layout])
        options = {"reduction": reduction, "label_smoothing": eps, "ignore_index": ignored}
        weight = weight if weighted else None
        if kind == "probabilities" and ignored >= 0:
            with pytest.raises(ValueError, match="ignore_index"):
                xt.cross_entropy(logits, target, weight, **options)
            continue
        if kind == "index" and ignored < 0 and target.dim():
            target.view(-1)[1::4] = ignored
        what = f"{kind} {weighted} {options}"
        wide = torch.promote_types(TYPES[dtype], torch.float32)
        wide = xt.cross_entropy(logits, target, weight, **options, loss_dtype=wide)
        loss = xt.cross_entropy(logits, target, weight, **options)
        theirs = F.cross_entropy(logits, target, weight, **options)
        assert (loss.dtype, loss.shape) == (theirs.dtype, theirs.shape), what
        exact_logits, exact_target = exact(logits), exact(target)
        expected = F.cross_entropy(exact_logits, exact_target, exact(weight), **options)
        near(wide, expected, what)
        assert torch.equal(loss, wide.to(loss.dtype)), what
        above = torch.linspace(-1, 2, loss.numel(), dtype=loss.dtype).reshape(loss.shape)
        loss.backward(above)
        expected.backward(above.double())
        assert logits.grad.stride() == torch.empty_like(logits).stride()
        if kind == "index":
            near(logits.grad, exact_logits.grad, what)
        else:  # p·Σt − t: an ulp is that of the terms
            eps = torch.finfo(logits.dtype).eps
            torch.testing.assert_close(logits.grad.double(), exact_logits.grad, rtol=2 * eps, atol=4 * eps)
            precise = {"f32": 1e-5, "f64": 1e-13, "f16": 4e-3, "bf16": 4e-2}[dtype]
            torch.testing.assert_close(target.grad.double(), exact_target.grad, rtol=precise, atol=precise)


@shapes
@types
def test_nll_loss(shape, dtype):
    for weighted, reduction, ignored in product((False, True), ("none", "mean", "sum"), (-100, 2)):
        log_probs, target, weight = problem(shape, dtype, "index")
        weight = weight if weighted else None
        options = {"reduction": reduction, "ignore_index": ignored}
        loss = xt.nll_loss(log_probs, target, weight, **options)
        exact_log_probs = exact(log_probs)
        expected = F.nll_loss(exact_log_probs, target, exact(weight), **options)
        assert loss.dtype == log_probs.dtype
        near(loss, expected, options)
        loss.sum().backward()
        expected.sum().backward()
        near(log_probs.grad, exact_log_probs.grad, options)


@pytest.mark.parametrize("shape", [(), *SHAPES], ids=str)
@types
def test_binary_cross_entropy(shape, dtype):
    for weighted, reduction, soft in product((False, True), ("none", "mean", "sum"), (False, True)):
        generator = torch.Generator().manual_seed(3)
        logits = (torch.randn(shape, generator=generator) * 4).to(TYPES[dtype]).requires_grad_()
        target = torch.rand(shape, generator=generator).to(TYPES[dtype])
        target = target if soft else (target > 0.5)
        per_class = (torch.rand(shape[-1:], generator=generator) + 0.5).to(TYPES[dtype])
        per_element = torch.rand(shape, generator=generator).to(TYPES[dtype])
        weight, pos_weight = (per_element, per_class) if weighted else (None, None)
        loss = xt.binary_cross_entropy_with_logits(logits, target, weight, reduction=reduction, pos_weight=pos_weight)
        exact_logits = exact(logits)
        expected = F.binary_cross_entropy_with_logits(
            exact_logits, target.double(), exact(weight), reduction=reduction, pos_weight=exact(pos_weight)
        )
        assert loss.dtype == logits.dtype and loss.shape == expected.shape
        near(loss, expected, reduction)
        loss.sum().backward()
        expected.sum().backward()
        near(logits.grad, exact_logits.grad, reduction)


PAIRS = ((xt.softmax, F.softmax), (xt.log_softmax, F.log_softmax), (xt.logsumexp, torch.logsumexp))


@types
@pytest.mark.parametrize("layout", LAYOUTS)
def test_softmax(dtype, layout):
    places = [(shape, dim) for shape in SHAPES for dim in range(-len(shape), len(shape))]
    for (shape, dim), (ours, theirs) in product(places, PAIRS):
        x, _, _ = problem(shape, dtype, "index", LAYOUTS[layout])
        result = ours(x, dim)
        exact_x = exact(x)
        expected = theirs(exact_x, dim)
        assert result.dtype == x.dtype and result.shape == expected.shape
        near(result, expected, f"{ours.__name__} {shape} {dim}")
        above = torch.linspace(-1, 1, result.numel(), dtype=x.dtype).reshape(result.shape)
        result.backward(above)
        expected.backward(above.double())
        eps = torch.finfo(x.dtype).eps
        torch.testing.assert_close(x.grad.double(), exact_x.grad, rtol=16 * eps, atol=16 * eps)


def test_softmax_options():
    x = torch.randn(4, 5, dtype=torch.float16)
    assert (
        xt.softmax(x, 1, dtype=torch.float32).dtype == xt.log_softmax(x, 1, dtype=torch.float32).dtype == torch.float32
    )
    assert xt.logsumexp(x, 0, keepdim=True).shape == (1, 5)


def test_signatures_begin_as_pytorchs():
    for name in ("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"):
        theirs = inspect.signature(getattr(F, name)).parameters
        ours = inspect.signature(getattr(xt, name)).parameters
        assert list(ours)[: len(theirs)] == list(theirs)
        for parameter in theirs:
            assert ours[parameter].default == theirs[parameter].default
            assert ours[parameter].kind == theirs[parameter].kind


@pytest.mark.parametrize("words", [(True, None), (False, None), (None, False), (None, True), (False, True)], ids=str)
@pytest.mark.filterwarnings("ignore:size_average and reduce:UserWarning")
def test_deprecated_words(words):
    logits, target, weight = problem((6, 5), "f32", "index")
    given = {"size_average": words[0], "reduce": words[1], "reduction": "sum"}
    near(xt.cross_entropy(logits, target, **given), F.cross_entropy(exact(logits), target, **given))
    theirs, ours = torch.nn.CrossEntropyLoss(weight, *words), xt.CrossEntropyLoss(weight, *words)
    assert ours.reduction == theirs.reduction
    with pytest.warns(UserWarning, match="size_average and reduce"):
        xt.nll_loss(logits, target, size_average=False)


def test_promotion():
    """The loss has the dtype that PyTorch's has, wherever PyTorch takes the dtypes together."""
    logits, target, weight = problem((6, 5), "f32", "probabilities")
    for a, b, c in product(TYPES.values(), TYPES.values(), (None, *TYPES.values())):
        given = logits.to(a), target.to(b), None if c is None else weight.to(c)
        ours, theirs = xt.cross_entropy(*given), F.cross_entropy(*given)
        assert ours.dtype == theirs.dtype, (a, b, c)
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=0.02, atol=0.02)


def test_autocast():
    logits, target, _ = problem((6, 5), "bf16", "index")
    with torch.autocast("cpu", torch.bfloat16):
        for ours, theirs in ((xt.cross_entropy, F.cross_entropy), (xt.nll_loss, F.nll_loss)):
            assert ours(logits, target).dtype == theirs(logits, target).dtype == torch.float32
        near(xt.cross_entropy(logits, target), F.cross_entropy(exact(logits), target))
    assert xt.cross_entropy(logits, target).dtype == torch.bfloat16
    assert xt.cross_entropy(logits, target, loss_dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32])
def test_targets_of_any_integer_dtype(dtype):
    logits, target, _ = problem((6, 5), "f32", "index")
    assert xt.cross_entropy(logits, target.to(dtype)) == xt.cross_entropy(logits, target)


@pytest.mark.parametrize("shape", [(0, 4), (2, 4, 0), (0, 4, 3)], ids=str)
def test_no_rows(shape):
    for kind, reduction in product(("index", "probabilities"), ("none", "mean", "sum")):
        logits = torch.zeros(shape, requires_grad=True)
        target = torch.zeros(rows_shape(shape), dtype=torch.long) if kind == "index" else torch.zeros(shape)
        loss = xt.cross_entropy(logits, target, reduction=reduction)
        near(loss, F.cross_entropy(exact(logits), exact(target), reduction=reduction))
        loss.sum().backward()
        assert logits.grad.shape == shape


def test_small_losses_and_masks():
    logits = torch.tensor([[0.0, 69.0], [-np.inf, 3.0]])
    loss = xt.cross_entropy(logits, torch.tensor([1, 1]), reduction="none")
    assert loss[0].item() == pytest.approx(1.0806393e-30, rel=1e-6) and loss[1] == 0


def test_where_tensors_lie():
    """Broadcast, negated and misaligned tensors give the numbers that they show."""
    logits, target, weight = problem((6, 5), "f32", "index")
    row = logits.detach()[:1].expand(6, 5)
    assert torch.equal(xt.cross_entropy(row, target), xt.cross_entropy(row.contiguous(), target))
    one = weight[:1].expand(5)
    assert torch.equal(xt.cross_entropy(row, target, one), xt.cross_entropy(row, target, one.contiguous()))
    negative = torch.complex(torch.zeros(6, 5), logits.detach()).conj().imag
    assert negative.is_neg()
    assert torch.equal(xt.softmax(negative, 1), xt.softmax(-logits.detach(), 1))
    shifted = misaligned(logits.detach())
    assert torch.equal(xt.cross_entropy(shifted, target), xt.cross_entropy(logits, target).detach())


def misaligned(tensor):
    raw = np.frombuffer(bytes(1) + tensor.numpy().tobytes(), np.uint8)[1:]
    shifted = torch.from_numpy(raw.view(np.float32).reshape(tensor.shape).view())
    assert shifted.data_ptr() % 4
    return shifted


def test_no_copies():
    """What the kernel gets is the tensors' own memory, in every layout that two strides can count."""
    from xent import _torch_ops

    seen = []

    class Call(_torch_ops._TensorCall):
        def _tensor(self, part):
            seen.append((part.used, part.array))
            return super()._tensor(part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_torch_ops, "_TensorCall", Call)
        for layout in ("contiguous", "class last", "window"):
            logits, target, weight = problem((2, 5, 3, 2), "f32", "index", LAYOUTS[layout])
            seen.clear()
            xt.cross_entropy(logits, target, weight).backward()
            assert len(seen) == 4 + 5
            assert all(used is given for used, given in seen) == (layout != "window")
        seen.clear()
        xt.softmax(misaligned(logits.detach()), 1)
        assert [used is given for used, given in seen] == [False, True]
