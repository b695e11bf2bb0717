# SPDX-License-Identifier: Apache-2.0
"""Calls that go by what an earlier one of the same dtypes, shapes and options has found out."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import xent
from xent import _cross_entropy, _softmax

LOGITS = np.random.default_rng(1).normal(size=(4, 7)).astype(np.float32)
TARGET = np.array([0, 6, -100, 3])


# Of logits alone: the functions, and the plans they go by.
MAPS = [
    (xent.softmax, _softmax._SOFTMAX),
    (xent.log_softmax, _softmax._LOG_SOFTMAX),
    (xent.logsumexp, _softmax._LOGSUMEXP),
]


@pytest.fixture(autouse=True)
def planned():
    """The first call makes the plan."""
    for known in (_cross_entropy._LOSS, _cross_entropy._LOSS_AND_GRAD, *(known for _, known in MAPS)):
        known.plans.clear()
    xent.cross_entropy(LOGITS, TARGET)
    assert len(_cross_entropy._LOSS.plans) == 1


def test_the_gradient_is_that_of_a_first_call():
    first = xent.cross_entropy_with_grad(LOGITS, TARGET)
    assert len(_cross_entropy._LOSS_AND_GRAD.plans) == 1
    for _ in range(3):
        loss, grad = xent.cross_entropy_with_grad(LOGITS, TARGET)
        assert loss == first[0] and np.array_equal(grad, first[1]) and grad.dtype == np.float32
        assert not np.shares_memory(grad, first[1])
    own = np.empty_like(LOGITS)
    assert xent.cross_entropy_with_grad(LOGITS, TARGET, grad_out=own)[1] is own
    assert np.array_equal(own, first[1])
    with pytest.raises(IndexError, match="targets\\[1\\] is 7"):
        xent.cross_entropy_with_grad(LOGITS, np.array([0, 7, 0, 0]))


@pytest.mark.parametrize(("function", "known"), MAPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(7,), (4, 7), (2, 3, 5)])
def test_results_of_logits_are_those_of_a_first_call(function, known, dtype, shape):
    logits = np.random.default_rng(2).normal(size=shape).astype(dtype)
    first = function(logits)
    assert len(known.plans) == 1
    for _ in range(3):
        again = function(logits)
        assert type(again) is type(first) and again.dtype == first.dtype and np.array_equal(again, first)
        assert not np.shares_memory(again, first)
    assert np.array_equal(function(logits, axis=len(shape) - 1), first)
    assert len(known.plans) == 2
    assert not np.array_equal(function(-logits), first)


@pytest.mark.parametrize(("function", "known"), MAPS)
def test_what_looks_like_the_logits_of_a_plan(function, known):
    expected = function(LOGITS)
    still = LOGITS.copy()
    still.flags.writeable = False
    for logits in (still, np.asfortranarray(LOGITS), np.repeat(LOGITS, 2, axis=1)[:, ::2], LOGITS.tolist()):
        assert np.allclose(function(logits), expected, rtol=1e-6)
    for _ in range(3):
        assert np.array_equal(function(LOGITS.astype(LOGITS.dtype.newbyteorder())), expected)
    assert function(LOGITS, axis=0).shape == (expected.shape if expected.ndim == 2 else (7,))
    assert len(known.plans) == 1
    with pytest.raises(TypeError):
        function(LOGITS, axis=-1.0)
    with pytest.raises(np.exceptions.AxisError if hasattr(np, "exceptions") else np.AxisError):
        function(LOGITS, axis=2)
    given = np.empty_like(expected)
    assert function(LOGITS, out=given) is given and np.array_equal(given, expected)


def test_large_results_have_no_plan():
    large = np.zeros((1 << 10, 1 << 10), np.float32)
    for function, known in MAPS:
        function(large)
        assert not known.plans
    xent.cross_entropy_with_grad(large, np.zeros(1 << 10, np.int64))
    assert not _cross_entropy._LOSS_AND_GRAD.plans


def test_results_are_those_of_a_first_call():
    for dtype in (np.float32, np.float64, np.float16):
        for reduction in ("mean", "sum", "none", "mean_rows"):
            calls = [xent.cross_entropy(LOGITS.astype(dtype), TARGET, reduction=reduction) for _ in range(3)]
            assert all(np.array_equal(call, calls[0]) and call.dtype == calls[0].dtype for call in calls)
            assert reduction == "none" or all(isinstance(call, np.floating) for call in calls)


def test_values_are_looked_at_every_time():
    with pytest.raises(IndexError, match="targets\\[1\\] is 7"):
        xent.cross_entropy(LOGITS, np.array([0, 7, 0, 0]))
    assert np.isnan(xent.cross_entropy(LOGITS, np.full(4, -100)))
    assert xent.cross_entropy(LOGITS * 2, TARGET) != xent.cross_entropy(LOGITS, TARGET)


@pytest.mark.parametrize("wrong", [{"ignore_index": -100.0}, {"reduction": "none "}, {"reduction": ["mean"]}])
def test_what_is_only_equal_is_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        xent.cross_entropy(LOGITS, TARGET, **wrong)


def test_other_layouts_and_read_only_arrays():
    expected = xent.cross_entropy(LOGITS, TARGET)
    still = LOGITS.copy()
    still.flags.writeable = False
    wide = np.repeat(LOGITS, 2, axis=1)[:, ::2]
    swapped = LOGITS.astype(LOGITS.dtype.newbyteorder())
    for logits in (still, wide, np.asfortranarray(LOGITS), swapped):
        assert xent.cross_entropy(logits, TARGET) == expected
    assert xent.cross_entropy(LOGITS, np.repeat(TARGET, 2)[::2]) == expected


def test_threads_have_places_of_their_own():
    many = [LOGITS + n * LOGITS[::-1] for n in range(8)]
    expected = [xent.cross_entropy(logits, TARGET) for logits in many]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            assert list(pool.map(lambda logits: xent.cross_entropy(logits, TARGET), many)) == expected


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_a_handler_in_the_middle_of_a_call():
    other, expected, handled = LOGITS * 3, xent.cross_entropy(LOGITS, TARGET), []

    def handler(*_):
        handled.append(xent.cross_entropy(other, TARGET))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while len(handled) < 20:
            assert xent.cross_entropy(LOGITS, TARGET) == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(handled) == {xent.cross_entropy(other, TARGET)}


def test_the_number_of_plans_has_an_end(monkeypatch):
    monkeypatch.setattr(_cross_entropy._LOSS, "MOST", 3)
    for classes in range(1, 8):
        for _ in range(2):
            xent.cross_entropy(np.ones((1, classes), np.float32), np.zeros(1, np.int64))
    assert len(_cross_entropy._LOSS.plans) == 3
