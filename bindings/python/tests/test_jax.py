# SPDX-License-Identifier: Apache-2.0
"""xent.jax: values and gradients against JAX's own formulas in float64 and against xent's on NumPy, under jit, vmap and
grad; that XLA calls the library on its own buffers; errors."""

import os
import re
from functools import partial
from itertools import product

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import ml_dtypes
import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp

import xent
import xent.jax as xj

jax.config.update("jax_enable_x64", True)  # for float64; what has a dtype keeps it

TYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
types = pytest.mark.parametrize("dtype", TYPES)
SHAPES = [(5,), (6, 5), (2, 3, 5), (0, 5)]


def problem(shape, dtype, kind="index", axis=-1):
    rng = np.random.default_rng(len(shape))
    logits = jnp.asarray((rng.normal(size=shape) * 3).astype(TYPES[dtype]))
    classes = shape[axis]
    rows = tuple(np.delete(shape, axis))
    labels = rng.random(shape).astype(TYPES[dtype]) if kind == "probabilities" else rng.integers(0, classes, rows)
    weight = (rng.random(classes) + 0.5).astype(TYPES[dtype])
    return logits, jnp.asarray(labels, None if kind == "probabilities" else jnp.int32), jnp.asarray(weight)


def formula(logits, labels, weight=None, reduction="mean", label_smoothing=0.0, ignore_index=-100, axis=-1):
    """In float64, classes moved to the end."""
    logits = jnp.moveaxis(logits.astype(jnp.float64), axis, -1)
    classes = logits.shape[-1]
    weight = jnp.ones(classes) if weight is None else weight.astype(jnp.float64)
    costs = -weight * jax.nn.log_softmax(logits)
    if jnp.issubdtype(labels.dtype, jnp.floating):
        q = jnp.moveaxis(labels.astype(jnp.float64), axis, -1)
        q = (1 - label_smoothing) * q + label_smoothing / classes
        rows, share = (q * costs).sum(-1), jnp.ones(q.shape[:-1])
    else:
        counts = labels != ignore_index
        place = jnp.where(counts, labels, 0)
        own = jnp.take_along_axis(costs, place[..., None], -1)[..., 0]
        rows = jnp.where(counts, (1 - label_smoothing) * own + label_smoothing / classes * costs.sum(-1), 0)
        share = jnp.where(counts, weight[place], 0)
    return {"none": lambda: rows, "sum": rows.sum, "mean": lambda: rows.sum() / share.sum()}[reduction]()


def near(got, expected, dtype, scale=4):
    eps = float(ml_dtypes.finfo(TYPES[dtype]).eps)
    np.testing.assert_allclose(np.asarray(got, np.float64), expected, rtol=scale * eps, atol=scale * eps)


def ours(logits, labels, weight=None, above=1.0, **options):
    """xent's loss and gradient on NumPy arrays, which have the bits that xent.jax has to have."""
    options.setdefault("axis", -1)
    arrays = (np.asarray(logits), np.asarray(labels), None if weight is None else np.asarray(weight))
    loss = xent.cross_entropy(*arrays, **options)
    return loss, xent.cross_entropy_with_grad(*arrays, **options, grad_loss=np.asarray(above, loss.dtype))[1]


def same(got, expected):
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(got, expected)


OPTIONS = list(product(("index", "probabilities"), (False, True), ("none", "mean", "sum"), (0.0, 0.1), (-100, 2)))


@types
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy(shape, dtype):
    for kind, weighted, reduction, eps, ignored in OPTIONS if (len(shape), dtype) == (2, "f32") else OPTIONS[::7]:
        if kind == "probabilities" and ignored >= 0:
            continue
        logits, labels, weight = problem(shape, dtype, kind)
        options = {"reduction": reduction, "label_smoothing": eps, "ignore_index": ignored}
        weight = weight if weighted else None
        loss, back = jax.vjp(lambda x: xj.cross_entropy(x, labels, weight=weight, **options), logits)
        above = np.linspace(-1.0, 2.0, loss.size).reshape(loss.shape).astype(loss.dtype)
        expected, expected_grad = ours(logits, labels, weight, above, **options)
        same(loss, expected)
        same(back(above)[0], expected_grad)


@pytest.mark.parametrize("kind", ["index", "probabilities"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_formula(kind, dtype):
    logits, labels, weight = problem((6, 5), dtype, kind)
    for reduction in ("mean", "sum"):
        both = [
            jax.jit(jax.value_and_grad(partial(f, weight=weight, reduction=reduction, label_smoothing=0.1)))
            for f in (xj.cross_entropy, formula)
        ]
        (loss, grad), (expected, expected_grad) = (f(logits, labels) for f in both)
        near(loss, expected, dtype)
        near(grad, expected_grad, dtype)


PAIRS = ((xj.softmax, jax.nn.softmax), (xj.log_softmax, jax.nn.log_softmax), (xj.logsumexp, jax.nn.logsumexp))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_axis(axis):
    for kind in ("index", "probabilities"):
        logits, labels, weight = problem((4, 3, 5), "f32", kind, axis)
        loss, grad = jax.value_and_grad(partial(xj.cross_entropy, axis=axis))(logits, labels, weight=weight)
        for got, expected in zip((loss, grad), ours(logits, labels, weight, axis=axis)):
            same(got, expected)
    for function, _ in PAIRS:
        same(function(logits, axis), getattr(xent, function.__name__)(np.asarray(logits), axis))


@types
def test_softmax(dtype):
    logits, _, _ = problem((3, 4, 5), dtype)
    for function, formula in PAIRS:
        value, back = jax.vjp(jax.jit(function), logits)
        expected, expected_back = jax.vjp(jax.jit(partial(formula, axis=-1)), logits.astype(jnp.float64))
        near(value, expected, "f32" if function is xj.logsumexp and dtype != "f64" else dtype, 4)
        above = np.linspace(-1.0, 1.0, value.size).reshape(value.shape).astype(value.dtype)
        near(back(above)[0], expected_back(above.astype(np.float64))[0], dtype, 16)


def test_gradient_of_labels():
    for reduction, axis, argument in (("none", -1, 1), ("mean", 1, (0, 1)), ("sum", 1, 1), ("mean", -1, 1)):
        logits, labels, weight = problem((2, 4, 5), "f64", "probabilities", axis)
        options = {"reduction": reduction, "label_smoothing": 0.1, "axis": axis}
        grads = [
            jax.jit(jax.grad(lambda x, q: f(x, q, weight=weight, **options).sum(), argument))(logits, labels)
            for f in (xj.cross_entropy, formula)
        ]
        jax.tree.map(lambda a, b: near(a, b, "f64", 16), *grads)


def test_row_mask_and_other_options():
    logits, labels, weight = problem((6, 5), "f32")
    where = jnp.arange(6) % 2 == 0
    options = {"label_smoothing": 0.1, "temperature": 2.0, "softcap": 5.0, "z_loss": 0.01}
    loss, grad = jax.value_and_grad(partial(xj.cross_entropy, **options))(logits, labels, weight=weight, where=where)
    for got, expected in zip((loss, grad), ours(logits, labels, weight, row_mask=np.asarray(where), **options)):
        same(got, expected)
    assert not np.asarray(grad)[1::2].any()
    focal = {"focal_gamma": 2.0, "poly_epsilon": 1.0, "reduction": "mean_rows", "ignore_index": 2}
    same(xj.cross_entropy(logits, labels, **focal), ours(logits, labels, **focal)[0])
    long, several, _ = problem((4, 3000), "f32")
    faithful = jax.grad(xj.cross_entropy)(long, several)
    fastest = jax.grad(partial(xj.cross_entropy, accuracy="fastest"))(long, several)
    same(fastest, ours(long, several, accuracy="fastest")[1])
    assert (np.asarray(fastest) != np.asarray(faithful)).any()
    soft = jax.nn.one_hot(labels, 5, dtype=jnp.float32)
    masked = jax.grad(lambda q: xj.cross_entropy(logits, q, where=where))(soft)
    alone = jax.grad(lambda q: xj.cross_entropy(logits[::2], q))(soft[::2])
    near(masked[::2], alone, "f32")
    assert not np.asarray(masked)[1::2].any()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(5,), (6, 5)], ids=str)
def test_vmap(shape, reduction):
    """Every batch is as it is alone, whichever arguments have one, also twice, and with weights of its own."""
    logits, labels, weight = problem((4, 3, *shape), "f32")
    labels = labels.at[0, 0].set(-100)  # one batch without anything to take the mean of
    weights = jnp.stack([weight, weight * 2, weight + 1])
    loss = partial(xj.cross_entropy, reduction=reduction)

    def value_and_grad(x, t, w):
        value, back = jax.vjp(lambda x: loss(x, t, weight=w), x)
        return value, back(jnp.where(value < 0, value, 1))[0]  # 1, and one for each batch

    def check(found, place, x, t, w):
        for got, expected in zip(
            found, ours(x, t, w, np.ones(shape[:-1]) if reduction == "none" else 1, reduction=reduction)
        ):
            np.testing.assert_array_equal(got[place], expected)

    for axes in ((0, 0, None), (0, None, 0), (None, 0, None)):
        given = [a if axis == 0 else a[0] for a, axis in zip((logits[0], labels[0], weights), axes)]
        found = jax.jit(jax.vmap(value_and_grad, axes))(*given)
        for i in range(3):
            check(found, i, *(a[i] if axis == 0 else a for a, axis in zip(given, axes)))
    twice = jax.jit(jax.vmap(jax.vmap(value_and_grad, (0, 0, None)), (0, 0, None)))(logits, labels, weight)
    mixed = jax.jit(jax.vmap(jax.vmap(value_and_grad, (None, 0, None)), (0, None, 0)))(
        logits[:3, 0], labels[0], weights
    )
    for i, j in product(range(3), range(3)):
        check(twice, (i, j), logits[i, j], labels[i, j], weight)
        check(mixed, (i, j), logits[i, 0], labels[0, j], weights[i])
    bare = jax.jit(jax.vmap(jax.vmap(lambda x, t: value_and_grad(x, t, None))))(logits, labels)
    for i, j in product(range(4), range(3)):
        check(bare, (i, j), logits[i, j], labels[i, j], None)


def test_vmap_of_softmax():
    logits = problem((4, 3, 5), "f32")[0]
    for function, _ in PAIRS:
        columns = jax.vmap(partial(function, axis=0), 1, 1 if function is not xj.logsumexp else 0)(logits[0])
        same(columns, getattr(xent, function.__name__)(np.asarray(logits[0]), 0))
        gradient = jax.grad(lambda x: (function(x) ** 2).sum())
        np.testing.assert_array_equal(jax.vmap(gradient)(logits)[1], gradient(logits[1]))


def test_subnormal_numbers_are_kept():
    """XLA flushes them to zero in its threads; the library is called with its own arithmetic, and XLA gets its back."""
    logits, label = jnp.array([[0.0, -95.0], [0.0, -100.0]], jnp.float32), jnp.array([0, 0])
    loss = np.asarray(jax.jit(partial(xj.cross_entropy, reduction="none"))(logits, label))
    same(loss, ours(logits, label, reduction="none")[0])
    assert 0 < loss[1] < loss[0] < np.finfo(np.float32).tiny
    flushed = jax.jit(lambda x, t: (xj.cross_entropy(x, t, reduction="none") * 0.5, jnp.float32(1e-38) * x[0, 0]))
    assert not np.asarray(flushed(logits, label)[0]).any()


def compiled(function, *given):
    return jax.jit(function).lower(*given).compile()


def test_the_library_is_called_by_xla():
    """One call of the library forward and one backward, and nothing else: no callback into Python, no copy."""
    logits, labels, _ = problem((6, 5), "f32")
    text = compiled(jax.value_and_grad(xj.cross_entropy), logits, labels).as_text()
    operations = re.findall(r"^ +(?:ROOT )?%\S+ = \(?\w+\[.*?([\w-]+)\(", text[text.index("ENTRY") :], re.M)
    assert set(operations) == {"parameter", "constant", "custom-call", "tuple"}
    assert operations.count("custom-call") == text.count('custom_call_target="xent_cross_entropy"') == 2
    assert "callback" not in text


def test_no_memory_beyond_arguments_and_results():
    logits, labels, _ = problem((64, 1000), "f32")
    memory = compiled(jax.grad(xj.cross_entropy), logits, labels).memory_analysis()
    assert memory.output_size_in_bytes == logits.nbytes
    assert memory.temp_size_in_bytes < 1000


def test_large_calls_use_threads_of_the_library():
    logits, labels, _ = problem((300, 2000), "f32")
    loss, grad = jax.jit(jax.value_and_grad(xj.cross_entropy))(logits, labels)
    for got, expected in zip((loss, grad), ours(logits, labels)):
        same(got, expected)


def refusals():
    x, t, w = problem((6, 5), "f32")
    ce = xj.cross_entropy
    yield TypeError, "cross_entropy: logits is int32", ce, (t, t), {}
    yield TypeError, "cross_entropy: labels is bool", ce, (x, t > 1), {}
    yield TypeError, "labels is float64, and logits is float32", ce, (x, x.astype(jnp.float64)), {}
    yield TypeError, "weight is int32, and logits is float32", ce, (x, t), {"weight": t[:5]}
    yield TypeError, "where is int32, not bool", ce, (x, t), {"where": t}
    yield ValueError, r"labels has shape \(5,\), not \(6,\)", ce, (x, t[:5]), {}
    yield ValueError, r"labels has shape \(6, 4\), not \(6, 5\)", ce, (x, x[:, :4]), {}
    yield ValueError, r"weight has shape \(4,\), not \(5,\)", ce, (x, t), {"weight": w[:4]}
    yield ValueError, r"where has shape \(5,\), not \(6,\)", ce, (x, t), {"where": t[:5] > 1}
    yield ValueError, "reduction is 'avg'", ce, (x, t), {"reduction": "avg"}
    yield ValueError, "axis is 2, for logits with 2 dimensions", ce, (x, t), {"axis": 2}
    yield ValueError, "axis is -1, for x with 0 dimensions", xj.softmax, (x[0, 0],), {}
    runtime = jax.errors.JaxRuntimeError
    yield runtime, r"targets\[0\] is 9, not in \[0, 5\)", jax.jit(ce), (x, t.at[0].set(9)), {}
    yield runtime, r"label_smoothing is 2, not in \[0, 1\]", ce, (x, t), {"label_smoothing": 2.0}
    yield runtime, "do not go together", ce, (x, t), {"label_smoothing": 0.1, "focal_gamma": 1.0}


@pytest.mark.parametrize("error, text, function, given, options", list(refusals()))
def test_refusals(error, text, function, given, options):
    with pytest.raises(error, match=text):
        jax.block_until_ready(function(*given, **options))


def test_no_gradient_is_made_up():
    logits, labels, weight = problem((6, 5), "f32")
    with pytest.raises(TypeError, match="weight has no gradient"):
        jax.grad(lambda w: xj.cross_entropy(logits, labels, weight=w))(weight)
    stopped = jax.grad(lambda w: xj.cross_entropy(logits, labels, weight=jax.lax.stop_gradient(w)))(weight)
    assert not np.asarray(stopped).any()
    with pytest.raises(Exception, match="custom_vjp|differentiated"):
        jax.hessian(lambda x: xj.cross_entropy(x, labels))(logits)
