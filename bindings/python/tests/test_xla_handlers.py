# SPDX-License-Identifier: Apache-2.0
"""The handlers of xent_xla.h as XLA calls them: those that xent.jax does not use, and calls that are wrong."""

import os
from functools import partial

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import xent
from xent._library import library

for _name in ("nll", "binary_cross_entropy", "divergence", "cross_entropy", "softmax"):
    _capsule = jax.ffi.pycapsule(getattr(library, f"xent_xla_{_name}"))
    jax.ffi.register_ffi_target(f"test_{_name}", _capsule, platform="cpu")

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 6, 5)).astype(np.float32)
T = RNG.integers(0, 5, (3, 6)).astype(np.int32)
ROWS = jax.ShapeDtypeStruct((6,), np.float32)


def handler(name, shapes, *arrays, inputs, outputs, **attributes):
    """What a handler gives; numbers become attributes of the types that they have."""
    types = dict.fromkeys(("rank", "axis", "ignore_index"), np.int64) | dict.fromkeys(
        ("reduction", "divergence"), np.int32
    )
    typed = {key: types.get(key, type(value))(value) for key, value in attributes.items()}
    return jax.ffi.ffi_call(f"test_{name}", shapes, vmap_method="expand_dims")(
        *arrays, inputs=inputs, outputs=outputs, **typed
    )


def scalar(dtype=np.float32):
    return jax.ShapeDtypeStruct((), dtype)


def test_nll():
    log_probs = xent.log_softmax(X)
    weight = (RNG.random(5) + 0.5).astype(np.float32)
    call = partial(
        handler, "nll", [scalar(), jax.ShapeDtypeStruct((6, 5), np.float32)],
        inputs="log_probs targets weight", outputs="loss grad_logits", rank=2, ignore_index=2,
    )  # fmt: skip
    loss, grad = jax.vmap(call, (0, 0, None))(log_probs, T, weight)
    for i in range(3):
        assert loss[i] == xent.nll_loss(log_probs[i], T[i], weight, ignore_index=2)
        np.testing.assert_array_equal(grad[i], xent.nll_loss_grad(T[i], 5, weight, ignore_index=2))


def test_binary():
    target = (X > 0).astype(np.float32)
    pos_weight = (RNG.random(5) + 0.5).astype(np.float32)
    shapes = [scalar(), jax.ShapeDtypeStruct((6, 5), np.float32)]
    names = {"inputs": "logits targets pos_weight", "outputs": "loss grad_logits"}
    call = partial(handler, "binary_cross_entropy", shapes, **names, rank=2)
    loss, grad = jax.vmap(call, (0, 0, None))(X, target, pos_weight)
    for i in range(3):
        expected = xent.binary_cross_entropy_with_logits_with_grad(X[i], target[i], pos_weight=pos_weight)
        assert loss[i] == expected[0]
        np.testing.assert_array_equal(grad[i], expected[1])


def test_divergence():
    call = partial(handler, "divergence", scalar(), inputs="student teacher", outputs="loss", divergence=3)
    assert call(X[0], X[1], rank=2) == xent.divergence(X[0], X[1], kind="jensen_shannon")
    together = jax.vmap(partial(call, rank=2), (0, None))(X, X[1])
    assert [float(loss) for loss in together] == [xent.divergence(x, X[1], kind="jensen_shannon") for x in X]


def test_several_outputs_and_options():
    shapes = [ROWS, jax.ShapeDtypeStruct((6,), np.int32), jax.ShapeDtypeStruct((6, 2), np.float32), ROWS]
    outputs = "row_loss argmax top_log_probs lse"
    mask = np.array([1, 1, 0, 1, 1], bool)
    inputs = "logits targets class_mask"
    given = {"inputs": inputs, "outputs": outputs, "reduction": 0, "temperature": 0.5}
    got = handler("cross_entropy", shapes, X[0], T[0], mask, **given)
    options = {"reduction": "none", "class_mask": mask, "temperature": 0.5, "top_k": 2}
    expected = xent.cross_entropy(X[0], T[0], **options, outputs=outputs.split())
    for value, wanted in zip(got, expected):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("reduction", [0, 1, 2, 3])
def test_batches_of_one_row(reduction):
    """A mean of each batch's own, where all together could be taken for the rows of one."""
    shape = jax.ShapeDtypeStruct((5,), np.float32)
    names = {"inputs": "logits targets grad_loss", "outputs": "grad_logits"}
    call = partial(handler, "cross_entropy", shape, **names, rank=1, reduction=reduction)
    above = RNG.random(6).astype(np.float32)
    expected = xent.cross_entropy_with_grad(X[0], T[0], reduction="none", grad_loss=above)[1]
    np.testing.assert_array_equal(jax.vmap(call)(X[0], T[0], above), expected)


def test_no_batches():
    call = partial(handler, "cross_entropy", scalar(), inputs="logits targets", outputs="loss", rank=2)
    assert jax.vmap(call)(X[:0], T[:0]).shape == (0,)


GOOD = {"inputs": "logits targets", "outputs": "row_loss", "reduction": 0}
WRONG = [
    ({"inputs": "logits wumpus"}, "wumpus: no input of this name in this place"),
    ({"inputs": "logits"}, ": no input of this name in this place"),
    ({"inputs": "targets logits"}, "targets: no input of this name in this place"),
    ({"inputs": "weight targets"}, "weight: no input of this name in this place"),
    ({"inputs": "logits grad_loss"}, "targets is NULL"),
    ({"inputs": "logits targets weight"}, "more names than buffers"),
    ({"inputs": "logit targets"}, "logit: no input"),
    ({"inputs": "logitss targets"}, "logitss: no input"),
    ({"inputs": ""}, ": no input of this name in this place"),
    ({"outputs": "row_losses"}, "row_losses: no output of this name"),
    ({"outputs": "row_loss lse"}, "more names than buffers"),
    ({"wumpus": 1.0}, "wumpus: no attribute of this name and type"),
    ({"temperature": np.int32(1)}, "temperature: no attribute of this name and type"),
    ({"inputs": np.int32(1)}, "inputs: no attribute of this name and type"),
    ({"axis": 0}, "axis is 0, rank 2"),
    ({"axis": 3}, "axis is 3, rank 2"),
    ({"rank": 3}, "rank 3, for logits with so many dimensions: 2"),
    ({"rank": 1}, "targets has another number of batches|has so many dimensions"),
    ({"reduction": 7}, "reduction is 7"),
    ({"outputs": "loss"}, "loss.*reduction none"),
    ({"outputs": "grad_logits"}, r"grad_logits.classes is 1, not 5"),
]


@pytest.mark.parametrize("change, text", WRONG, ids=lambda value: str(value)[:40])
def test_wrong_calls(change, text):
    """They are errors with a text, and nothing is read or written that is not there."""
    arrays = (X[0], T[0]) if "rank" not in change or change["rank"] != 1 else (X[0], T[0][:4])
    with pytest.raises(jax.errors.JaxRuntimeError, match=text):
        jax.block_until_ready(handler("cross_entropy", ROWS, *arrays, **{**GOOD, **change}))
    assert handler("cross_entropy", ROWS, X[0], T[0], **GOOD).shape == (6,)


def test_wrong_shapes_and_dtypes():
    call = partial(handler, "cross_entropy", ROWS, **GOOD)
    for given, text in (
        ((X[0], T[0][:4]), r"targets.outer is 4, not 6"),
        ((X, T[0]), "targets has so many dimensions: 1"),
        ((X[0, 0, 0], T[0, 0]), "axis is 1, rank 0"),
        ((T[:, :5], T[0]), "logits.dtype is XENT_I32"),
        ((X[0].astype(np.complex64), T[0]), "logits.dtype is 0"),
        ((X[0], T[0].astype(np.complex64)), "targets.dtype is 0"),
    ):
        with pytest.raises(jax.errors.JaxRuntimeError, match=text):
            jax.block_until_ready(call(*given))
    too_many = [X[0], T[0], *[T[0]] * 30]
    with pytest.raises(jax.errors.JaxRuntimeError, match="args.size is 32: too many buffers"):
        jax.block_until_ready(call(*too_many))
