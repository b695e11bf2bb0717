# SPDX-License-Identifier: Apache-2.0
"""A row gives the same bits alone and among others, whichever way the rows of a call are worked on: few classes go sixteen
rows at a time, some hundred two rows in turn; equal logits, logits that are far apart, masks and NaN each take another turn."""

import numpy as np
import pytest

import xent


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


SIZES = {
    "few classes": {},
    "several strips": {"least": (4, 100), "most": (40, 270)},
    "many classes": {"least": (2, 200), "most": (12, 5000)},
}
PATTERNS = [plain, equal, far, certain, masked, with_nan]
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


def batches(dtype, pattern, rng, least=(4, 1), most=(60, 70)):
    """Twenty pairs of logits and targets, of few classes unless told otherwise."""
    for _ in range(20):
        rows, classes = (int(n) for n in rng.integers(least, most))
        with np.errstate(over="ignore"):
            x = pattern(rng, (rows, classes)).astype(dtype)
        yield x, np.where(rng.random(rows) < 0.1, -100, rng.integers(0, classes, rows))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_rows_alone(any_dtype, rng, size, pattern, operation):
    function = OPERATIONS[operation]
    for x, targets in batches(any_dtype, pattern, rng, **size):
        alone = [np.atleast_1d(function(x[i : i + 1], targets[i : i + 1])) for i in range(len(x))]
        assert same_bits(function(x, targets), np.concatenate(alone)), x.shape


@pytest.mark.parametrize("pattern", PATTERNS)
def test_across(any_dtype, rng, pattern):
    for x, _ in batches(any_dtype, pattern, rng):
        across = np.ascontiguousarray(x.T)
        for function in (xent.softmax, xent.log_softmax, xent.logsumexp):
            assert same_bits(function(across, axis=0), function(x).T), (function.__name__, x.shape)


@pytest.mark.parametrize("gap", [150, 2000])
@pytest.mark.parametrize("classes", [2, 21, 300, 3000])
def test_the_sign_of_nothing(any_dtype, classes, gap):
    """A log-probability that is too small for its dtype is −0, and one that is 0, of the only class, is 0."""
    x = np.full((40, classes), -gap if any_dtype != np.float64 else -gap - 700, any_dtype)
    x[:, 1] = 0
    for got in (xent.log_softmax(x), xent.log_softmax(x[:1]), xent.log_softmax(np.asfortranarray(x))):
        assert (got[:, 1] == 0).all() and np.signbit(got[:, 1]).all()
    assert not np.signbit(xent.log_softmax(x[:, :1])).any()
