# SPDX-License-Identifier: Apache-2.0
"""A row gives the same bits alone and among others, whichever way the rows of a call are worked on: few classes go sixteen
rows at a time, where equal logits, logits that are far apart, masks and NaN each take another turn."""

import ml_dtypes
import numpy as np
import pytest

import xent

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def plain(rng, shape):
    return rng.normal(size=shape) * 3


def equal(rng, shape):
    return np.round(rng.normal(size=shape) * 3)


def far(rng, shape):
    return np.round(rng.normal(size=shape)) * 20000


def certain(rng, shape):
    x = np.zeros(shape)
    x[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = rng.choice([100, 3000, 30000], shape[0])
    return x


def masked(rng, shape):
    return np.where(rng.random(shape) < 0.3, -np.inf, plain(rng, shape))


def with_nan(rng, shape):
    return np.where(rng.random(shape) < 0.02, np.nan, plain(rng, shape))


OPERATIONS = {
    "softmax": lambda x, targets: xent.softmax(x),
    "log_softmax": lambda x, targets: xent.log_softmax(x),
    "logsumexp": lambda x, targets: xent.logsumexp(x),
    "loss": lambda x, targets: xent.cross_entropy(x, targets, reduction="none"),
    "gradient": lambda x, targets: xent.cross_entropy_with_grad(x, targets, reduction="sum")[1],
}


def same_bits(a, b):
    """Equal bit by bit, but that one NaN is like another."""
    a, b = np.asarray(a), np.asarray(b)
    a_bits, b_bits = (np.ascontiguousarray(v).view(f"u{v.itemsize}") for v in (a, b))
    return a.shape == b.shape and ((a_bits == b_bits) | (np.isnan(a) & np.isnan(b))).all()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("pattern", [plain, equal, far, certain, masked, with_nan])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_alone(dtype, pattern, operation):
    rng = np.random.default_rng([DTYPES.index(dtype), len(pattern.__name__), len(operation)])
    function = OPERATIONS[operation]
    for _ in range(20):
        rows, classes = (int(n) for n in rng.integers((4, 1), (60, 70)))
        with np.errstate(over="ignore"):
            x = pattern(rng, (rows, classes)).astype(dtype)
        targets = np.where(rng.random(rows) < 0.1, -100, rng.integers(0, classes, rows))
        together = function(x, targets)
        alone = np.concatenate([np.atleast_1d(function(x[i : i + 1], targets[i : i + 1])) for i in range(rows)])
        assert same_bits(together, alone), (rows, classes)


@pytest.mark.parametrize("pattern", [plain, equal, far, certain, masked, with_nan])
@pytest.mark.parametrize("dtype", DTYPES)
def test_across(dtype, pattern):
    rng = np.random.default_rng([DTYPES.index(dtype), len(pattern.__name__)])
    for _ in range(20):
        rows, classes = (int(n) for n in rng.integers((4, 1), (60, 70)))
        with np.errstate(over="ignore"):
            x = pattern(rng, (rows, classes)).astype(dtype)
        across = np.ascontiguousarray(x.T)
        for function in (xent.softmax, xent.log_softmax, xent.logsumexp):
            assert same_bits(function(across, axis=0), function(x).T), (function.__name__, rows, classes)
