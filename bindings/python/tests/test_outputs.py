# SPDX-License-Identifier: Apache-2.0
"""Any outputs from one call: their order, shapes, dtypes and meaning, and that asking for one changes no other."""

import copy
import pickle

import numpy as np
import pytest

import xent

N, C, K = 6, 5, 3
INT = np.dtype(np.int64)
ROW, FULL = (N,), (N, C)
# name: (shape, "real" for the dtype of losses, "float" for that of the logits)
SHAPES = {
    "loss": ((), "real"),
    "row_loss": (ROW, "real"),
    "grad": (FULL, "float"),
    "probs": (FULL, "float"),
    "log_probs": (FULL, "float"),
    "lse": (ROW, "real"),
    "entropy": (ROW, "real"),
    "max_logit": (ROW, "real"),
    "target_log_prob": (ROW, "real"),
    "z_loss": (ROW, "real"),
    "argmax": (ROW, INT),
    "target_rank": (ROW, INT),
    "top_indices": ((N, K), INT),
    "top_log_probs": ((N, K), "real"),
    "gathered": ((N, 2), "real"),
}
NUMBERS = {"correct": int, "rows_counted": int, "loss_sum": float, "weight_sum": float}
NAMES = (*SHAPES, *NUMBERS)
GATHER = np.array([[0, 4], [1, 1], [2, 0], [3, 3], [4, 1], [0, 2]])
TARGET = np.array([0, 4, 2, -100, 1, 3])
OPTIONS = {"z_loss": 0.01, "temperature": 0.7, "label_smoothing": 0.1}


@pytest.fixture
def x(rng, any_dtype):
    return (rng.normal(size=FULL) * 3).astype(any_dtype)


def real(dtype):
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def call(x, names, **named):
    given = {**OPTIONS, **named}
    if "gathered" in names:
        given["gather"] = GATHER
    if any(name.startswith("top_") for name in names):
        given["top_k"] = K
    return xent.cross_entropy(x, TARGET, np.arange(1, 6).tolist(), outputs=names, **given)


def same(one, two):
    np.testing.assert_array_equal(one, two)


def test_shapes_and_dtypes(x):
    got = call(x, NAMES)
    assert got._fields == NAMES and isinstance(got, tuple)
    for name, (shape, kind) in SHAPES.items():
        array = getattr(got, name)
        assert array.shape == shape, name
        assert array.dtype == (real(x.dtype) if kind == "real" else x.dtype if kind == "float" else kind), name
    assert type(got.loss) is real(x.dtype).type
    for name, kind in NUMBERS.items():
        assert type(getattr(got, name)) is kind, name


def test_each_alone_and_in_any_order(x):
    together = call(x, NAMES)
    for name in NAMES:
        (alone,) = call(x, (name,))
        same(alone, getattr(together, name))
    backwards = call(x, NAMES[::-1])
    assert backwards._fields == NAMES[::-1]
    for name in NAMES:
        same(getattr(backwards, name), getattr(together, name))
    assert call(x, ["lse", "loss"])._fields == ("lse", "loss")
    assert call(x, ()) == ()
    same(xent.cross_entropy(x, TARGET, np.arange(1, 6).tolist(), **OPTIONS), together.loss)
    loss, grad = xent.cross_entropy_with_grad(x, TARGET, np.arange(1, 6).tolist(), **OPTIONS)
    same(loss, together.loss)
    same(grad, together.grad)


def test_without_reduction_the_loss_is_that_of_each_row(x):
    got = call(x, ("row_loss", "loss", "grad"), reduction="none")
    assert got.loss is got.row_loss
    same(got.row_loss, call(x, ("row_loss",)).row_loss)
    same(got.grad, call(x, ("grad",), reduction="sum").grad)
    out = np.zeros(N, real(x.dtype))
    again = call(x, ("loss", "row_loss"), reduction="none", out=out)
    assert again.loss is out and again.row_loss is out
    same(out, got.loss)
    with pytest.raises(ValueError, match="out is given, and outputs has no 'loss'"):
        call(x, ("row_loss",), out=out)


def test_what_they_are(x):
    """By the formulas, of the same numbers in float64."""
    got = call(x, NAMES)
    z = x.astype(float) / OPTIONS["temperature"]
    w = np.arange(1.0, 6)
    lse = np.log(np.exp(z).sum(axis=1))
    log_probs = z - lse[:, None]
    counts, rows = TARGET >= 0, np.arange(N)
    at = np.where(counts, TARGET, 0)
    order = np.argsort(-z, axis=1, kind="stable")
    row_loss = 0.9 * w[at] * -log_probs[rows, at] + 0.1 / C * (w * -log_probs).sum(axis=1) + 0.01 * lse**2
    row_loss = np.where(counts, row_loss, 0)
    expected = {
        "row_loss": row_loss,
        "loss": row_loss.sum() / w[at][counts].sum(),
        "probs": np.exp(log_probs),
        "log_probs": log_probs,
        "lse": lse,
        "entropy": -(np.exp(log_probs) * log_probs).sum(axis=1),
        "max_logit": z.max(axis=1),
        "target_log_prob": np.where(counts, log_probs[rows, at], 0),
        "z_loss": np.where(counts, 0.01 * lse**2, 0),
        "argmax": z.argmax(axis=1),
        "target_rank": np.where(counts, (order == TARGET[:, None]).argmax(axis=1), -1),
        "top_indices": order[:, :K],
        "top_log_probs": np.take_along_axis(log_probs, order[:, :K], 1),
        "gathered": np.take_along_axis(log_probs, GATHER, 1),
        "correct": (z.argmax(axis=1) == TARGET).sum(),
        "rows_counted": counts.sum(),
        "loss_sum": row_loss.sum(),
        "weight_sum": w[at][counts].sum(),
    }
    assert set(expected) == set(NAMES) - {"grad"}
    for name, value in expected.items():
        result = np.asarray(getattr(got, name))
        eps = {"float32": 1e-6, "float64": 1e-14, "float16": 1e-3, "bfloat16": 8e-3}.get(result.dtype.name, 0)
        np.testing.assert_allclose(result.astype(float), value, rtol=4 * eps, atol=4 * eps, err_msg=name)


def test_batches_add_up(x):
    names = ("loss", "loss_sum", "weight_sum", "rows_counted", "correct")
    whole = call(x, names)
    weight = np.arange(1, 6).tolist()
    parts = [xent.cross_entropy(x[p], TARGET[p], weight, outputs=names, **OPTIONS) for p in (slice(2), slice(2, None))]
    assert sum(p.loss_sum for p in parts) / sum(p.weight_sum for p in parts) == pytest.approx(whole.loss, rel=1e-6)
    for name in names[2:]:
        assert sum(getattr(p, name) for p in parts) == getattr(whole, name)


def test_statistics_are_those_of_cross_entropy(x):
    names = ("probs", "log_probs", "lse", "entropy", "max_logit", "argmax", "top_indices", "top_log_probs", "gathered")
    named = {"temperature": 0.7, "gather": GATHER, "top_k": K}
    got = xent.statistics(x, names, **named)
    assert got._fields == names
    expected = xent.cross_entropy(x, TARGET, outputs=names, **named)
    for name in names:
        same(getattr(got, name), getattr(expected, name))
    same(xent.statistics(x.T, ("argmax",), axis=0).argmax, got.argmax)


def test_the_gradient_of_lse(x):
    above = np.linspace(-1, 1, N).astype(real(x.dtype))
    (grad,) = xent.statistics(x, ("grad",), grad_loss=above)
    same(grad, xent.logsumexp_grad(x, above))
    memory = x.copy()
    assert xent.statistics(memory, ("grad",), grad_loss=above, grad_out=memory).grad is memory
    same(memory, grad)


def test_selective_log_softmax(x):
    full = xent.statistics(x, ("gathered",), gather=np.broadcast_to(np.arange(C), FULL)).gathered
    assert full.dtype == real(x.dtype)
    same(xent.selective_log_softmax(x, GATHER), np.take_along_axis(full, GATHER, 1))
    one = xent.selective_log_softmax(x, GATHER[:, 0])
    assert one.shape == (N,) and one.dtype == real(x.dtype)
    same(one, full[np.arange(N), GATHER[:, 0]])
    turned, bytes_ = np.stack([x.T] * 2), np.stack([GATHER.T.astype(np.uint8)] * 2)
    same(xent.selective_log_softmax(turned, bytes_, axis=1)[1].T, np.take_along_axis(full, GATHER, 1))
    scalar = xent.selective_log_softmax(x[0], 3)
    assert type(scalar) is real(x.dtype).type and scalar == full[0, 3]
    assert xent.selective_log_softmax(x, GATHER[:, :0]).shape == (N, 0)
    with pytest.raises(ValueError, match=r"index has shape \(5,\), not \(6, k\) with any k"):
        xent.selective_log_softmax(x, GATHER[:5, 0])
    with pytest.raises(TypeError, match="selective_log_softmax: index is float64, not an integer dtype"):
        xent.selective_log_softmax(x, GATHER.astype(float))


def test_top_k_log_probs(x):
    got = xent.top_k_log_probs(x, K)
    assert got._fields == ("top_log_probs", "top_indices")
    same(got.top_indices, np.argsort(-x.astype(float), axis=1, kind="stable")[:, :K])
    same(got.top_log_probs, xent.selective_log_softmax(x, got.top_indices))
    turned = xent.top_k_log_probs(x.T, K, axis=0)
    same(turned.top_indices.T, got.top_indices)
    assert xent.top_k_log_probs(x[0], np.int64(2)).top_indices.shape == (2,)


def test_one_row(x):
    got = xent.cross_entropy(x[0], 2, outputs=("loss", "lse", "argmax", "top_indices", "grad"), top_k=2)
    assert type(got.lse) is real(x.dtype).type and type(got.argmax) is np.int64
    assert got.top_indices.shape == (2,) and got.grad.shape == (C,)
    assert xent.cross_entropy(x[0], 2, reduction="none", outputs=("loss",)).loss.shape == ()


def test_named_tuples_are_values(x):
    got = call(x, ("loss", "argmax", "correct"))
    for other in (pickle.loads(pickle.dumps(got)), copy.deepcopy(got)):
        assert type(other) is type(got) and other._fields == got._fields
        assert other.loss == got.loss and other.correct == got.correct
        same(other.argmax, got.argmax)
    assert type(call(x, ("loss", "argmax", "correct"))) is type(got)
    assert repr(got).startswith("Outputs(loss=")


def test_the_other_losses(x):
    teacher = x[::-1].copy()
    names = ("loss", "row_loss", "grad", "rows_counted", "loss_sum", "weight_sum")
    counted = {
        "nll": (xent.nll_loss(xent.log_softmax(x), TARGET, outputs=names), ROW, 5),
        "kl": (xent.kl_div(x, teacher, outputs=names), ROW, N),
        "bce": (xent.binary_cross_entropy_with_logits(x, teacher > 0, outputs=names), FULL, N * C),
    }
    for name, (got, shape, count) in counted.items():
        assert got._fields == names
        assert got.row_loss.shape == shape and got.row_loss.dtype == real(x.dtype), name
        assert got.grad.shape == FULL and got.grad.dtype == x.dtype, name
        assert got.rows_counted == count and got.weight_sum == count, name
        assert got.loss_sum == pytest.approx(got.row_loss.sum(dtype=float), rel=1e-6), name
        assert got.loss == pytest.approx(got.loss_sum / count, rel=1e-6), name


def test_short_names_of_divergences(x):
    teacher = x[::-1].copy()
    for reduction in ("batchmean", "mean", "mean_rows", "sum", "none"):
        plain = "mean" if reduction == "batchmean" else reduction
        same(xent.kl_div(x, teacher, reduction), xent.divergence(x, teacher, "kl", plain))
        same(xent.js_div(x, teacher, reduction), xent.divergence(x, teacher, "jensen_shannon", plain))
    p, q = (xent.softmax(v.astype(float)) for v in (teacher, x))
    m = (p + q) / 2
    expected = {
        "kl": (p * np.log(p / q)).sum(axis=1),
        "reverse_kl": (q * np.log(q / p)).sum(axis=1),
        "soft_cross_entropy": -(p * np.log(q)).sum(axis=1),
        "jensen_shannon": (p * np.log(p / m) + q * np.log(q / m)).sum(axis=1) / 2,
    }
    for kind, value in expected.items():
        got = xent.divergence(x, teacher, kind, "none")
        np.testing.assert_allclose(got, value, rtol=2e-6 if x.dtype != np.float64 else 1e-13)


def test_threads_change_nothing(x):
    expected = call(x, NAMES)
    for number in (1, 2, 7):
        for one, two in zip(call(x, NAMES, num_threads=number), expected):
            same(one, two)


def test_fastest_is_within_three_ulps(rng):
    """And something else than faithful where rows are long; the same in place."""
    x = (rng.normal(size=(4, 5000)) * 4).astype(np.float32)
    target = rng.integers(5000, size=4)

    def error(got, exact):
        return np.max(np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32)))

    loss, grad = xent.cross_entropy_with_grad(x, target, accuracy="fastest")
    faithful = xent.cross_entropy_with_grad(x, target)
    exact = xent.cross_entropy_with_grad(x.astype(np.float64), target)
    assert loss == faithful[0]
    assert error(faithful[1], exact[1]) <= 1 < error(grad, exact[1]) <= 3
    probs = xent.statistics(x, ("probs",), accuracy="fastest").probs
    assert error(probs, xent.softmax(x.astype(np.float64))) <= 3
    same(xent.cross_entropy(x, target, outputs=("probs",), accuracy="fastest").probs, probs)
    in_place = x.copy()
    xent.cross_entropy_with_grad(in_place, target, accuracy="fastest", grad_out=in_place)
    same(in_place, grad)
