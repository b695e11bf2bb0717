# SPDX-License-Identifier: Apache-2.0
"""The grid: which rows of logits the errors are measured on.

A regime is a name and a generator of batches (logits, targets and perhaps weights), hard for one reason. Its numbers
are random, seeded by its name, the dtype and --seed alone, so that a failure comes back with the same command, also
when regimes have been added. Batches of few classes have Draw.rows rows, wide ones fewer, so that every regime costs
about the same.
"""

import zlib
from dataclasses import dataclass

import ml_dtypes
import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
CHUNK = 2048  # a row is added up in chunks of so many classes, which results must not show
FEW = (2, 3, 10)


@dataclass(frozen=True)
class Batch:
    """Everything the operations take."""

    regime: str
    dtype: str
    logits: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    pos_weight: np.ndarray
    grads: np.ndarray  # a gradient of the logits' shape, and
    grad_lse: np.ndarray  # one for each row
    labels: np.ndarray  # of the binary loss
    soft: np.ndarray  # probabilities of the classes
    teacher: np.ndarray


class Draw:
    """Random numbers of one dtype for one regime."""

    def __init__(self, regime, dtype, rows, seed):
        self.name = dtype
        self.dtype = np.dtype(DTYPES[dtype])
        self.real = np.dtype(np.float64 if dtype == "f64" else np.float32)  # of losses and weights
        self.rows = rows
        self.random = np.random.default_rng([seed, zlib.crc32(f"{regime} {dtype}".encode())])

    def fit(self, classes):
        """How many rows: an even number, so that there are as many of each of two kinds."""
        return max(2, min(self.rows, 40 * self.rows // classes) & ~1)

    def normal(self, classes, spread=1.0, rows=None):
        return self.random.normal(0, spread, (rows or self.fit(classes), classes))

    def by_dtype(self, f32, f64, f16=None, bf16=None):
        """What fits the dtype; for 16 bits the same as for f32, if nothing else is given."""
        short = {"f64": f64, "f16": f16, "bf16": bf16}.get(self.name)
        return f32 if short is None else short

    def cast(self, values):
        """Numbers of the dtype; f16, which ends early, is cut off at its largest."""
        values = np.asarray(values, np.float64)
        if self.name == "f16":
            values = np.where(np.isfinite(values), np.clip(values, -65504, 65504), values)
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(values.astype(self.dtype))

    def uniform(self, low, high, shape):
        return self.random.uniform(low, high, shape)

    def targets(self, logits, at=None):
        """Random ones; with `at` (one class for each row) every second row has that."""
        rows, classes = logits.shape
        targets = self.random.integers(0, classes, rows)
        if at is not None:
            targets[::2] = np.broadcast_to(at, rows)[::2]
        return targets

    def one_above(self, classes, low, high):
        """Rows with one class above all others by `low` to `high`: (logits, where it is)."""
        logits = -np.abs(self.normal(classes))
        rows = len(logits)
        top = self.random.integers(0, classes, rows)
        logits[np.arange(rows), top] = self.uniform(low, high, rows)
        return logits + self.normal(1, rows=rows), top


REGIMES = {}


def regime(name, dtypes=tuple(DTYPES)):
    def register(function):
        REGIMES[name] = (function, dtypes)
        return function

    return register


def batches(name, dtype, rows, seed):
    draw = Draw(name, dtype, rows, seed)
    for logits, targets, *weight in REGIMES[name][0](draw):
        logits = draw.cast(logits)
        targets = np.array(targets, np.int64)
        classes, rows = logits.shape[1], len(logits)
        weight = (weight[0] if weight else draw.uniform(0.1, 2, classes)).astype(draw.real)
        grads = draw.cast(draw.normal(classes, rows=rows))
        # Every other row has the gradient of a loss: -1 at the target.
        grads[::2] = 0
        grads[np.arange(0, rows, 2), targets[::2]] = -1
        labels = draw.uniform(0, 1, logits.shape)
        labels = draw.cast(np.where(draw.uniform(0, 1, logits.shape) < 0.7, labels.round(), labels))
        soft = draw.random.dirichlet(np.ones(min(classes, 8)), rows)
        soft = np.pad(soft, ((0, 0), (0, classes - soft.shape[1])))
        yield Batch(
            name, dtype, logits, targets, weight,
            pos_weight=draw.uniform(0.1, 5, classes).astype(draw.real),
            grads=grads,
            grad_lse=draw.normal(1, rows=rows)[:, 0].astype(draw.real),
            labels=labels,
            soft=draw.cast(draw.random.permuted(soft, axis=1)),
            teacher=draw.cast(_teacher(draw, logits)),
        )  # fmt: skip


def _teacher(draw, logits):
    """Logits for a divergence: near those of the student in every other row, and of its kind in the others."""
    other = draw.random.permuted(logits.astype(float), axis=1)
    near = logits.astype(float) + draw.normal(logits.shape[1], 0.01, len(logits))
    return np.where(np.arange(len(logits))[:, None] % 2, other, near)


@regime("worked example")
def _(draw):
    logits = [[1, 2, 7], [4, 7, 9], [8, 3, 4]]
    yield logits, [2, 2, 0]
    yield logits, [0, 1, 2]


def _normal(spread):
    def generate(draw):
        for classes in (*FEW, 100):
            logits = draw.normal(classes, spread)
            yield logits, draw.targets(logits)

    return generate


for _name, _spread in (("spread 1", 1), ("spread 10", 10), ("spread 100", 100), ("nearly equal", 1e-6)):
    regime(_name)(_normal(_spread))


def _magnitudes(draw, shape):
    most = draw.by_dtype(88, 709, f16=11)
    return np.exp(draw.uniform(-most, most, shape))


@regime("every magnitude")
def _(draw):
    for classes in FEW:
        logits = np.copysign(_magnitudes(draw, (draw.fit(classes), classes)), draw.normal(classes))
        yield logits, draw.targets(logits, np.argmax(logits, axis=1))


@regime("weights of every magnitude")
def _(draw):
    for classes in (*FEW, *FEW, *FEW):
        logits = draw.normal(classes, 3)
        yield logits, draw.targets(logits), np.exp(draw.by_dtype(88, 709) * draw.uniform(-1, 1, classes))
    if draw.name == "f64":  # the weights' own sum overflows
        logits = draw.normal(2)
        yield logits, draw.targets(logits), np.array([1e307, 3e306])


@regime("weights of both signs")
def _(draw):
    # The ulp of a loss is then that of its terms. The weights' own sum, which a mean divides by, stays away from 0.
    for classes in FEW:
        logits = draw.normal(classes, 3)
        weight = draw.uniform(0.5, 2, classes)
        weight[0] = -0.3
        yield logits, draw.targets(logits), weight


def _target_on_top(*ranges):
    """Ranges for how far the target is above the other classes, as for Draw.by_dtype."""

    def generate(draw):
        for classes in FEW:
            yield draw.one_above(classes, *draw.by_dtype(*ranges))

    return generate


regime("loss about 1e-9")(_target_on_top((19.5, 21.5), (19.5, 21.5)))
regime("loss about 1e-30")(_target_on_top((68, 70), (68, 70)))
regime("loss down to least normal")(_target_on_top((8, 86), (8, 707)))
regime("subnormal results")(_target_on_top((86, 104.5), (706, 746), (9, 17.5)))


@regime("gaps of 88 and more")
def _(draw):
    gaps = np.array([88, 88.7228, 88.73, 103, 103.98, 104, 110, 150, 500, 708, 709.78, 745, 746, 1e3, 1e4])
    for classes in FEW:
        logits = draw.normal(classes)
        rows = len(logits)
        logits[np.arange(rows), draw.random.integers(0, classes, rows)] -= draw.random.choice(gaps, rows)
        yield logits, draw.targets(logits, np.argmin(logits, axis=1))


def _offset(offset, spread):
    def generate(draw):
        for classes in FEW:
            logits = draw.normal(classes, spread) + draw.random.choice([-offset, offset], (draw.fit(classes), 1))
            yield logits, draw.targets(logits)

    return generate


regime("offset 1e4")(_offset(1e4, 3))
regime("offset 1e8", ("f32", "f64"))(_offset(1e8, 20))
regime("offset 1e12", ["f64"])(_offset(1e12, 3))
regime("offset 1e16", ["f64"])(_offset(1e16, 8))


@regime("largest finite")
def _(draw):
    huge = draw.by_dtype(3e38, 1.7e308, f16=6e4)
    yield [[huge, -huge], [huge, -huge], [-huge, -huge], [huge, huge]], [0, 1, 0, 1]
    for classes in FEW:
        logits = draw.random.choice([huge, -huge, huge / 3, -huge / 3, huge / 1e30, 1, 0], (draw.fit(classes), classes))
        yield logits, draw.targets(logits)


@regime("around 2^15")
def _(draw):
    # Where rows get another reference; the border between the two ways must not show.
    for classes in FEW:
        for low, high in ((32760, 32776), (-32776, -32760)):
            logits = draw.uniform(low, high, (draw.fit(classes), classes))
            yield logits, draw.targets(logits)
    logits = draw.normal(10, 3)
    logits[:, 4] = draw.uniform(-32769, -32767, len(logits))
    logits[::2, 7] = draw.uniform(32767, 32769, len(logits))[::2]
    yield logits, draw.targets(logits, 7)
    logits = np.full((draw.fit(2 * CHUNK), 2 * CHUNK + 10), -32767.0) + draw.normal(1, rows=draw.fit(2 * CHUNK))
    logits[:, CHUNK:] -= 3  # one chunk on each side
    yield logits, draw.targets(logits, CHUNK)


@regime("subnormal logits")
def _(draw):
    least = draw.by_dtype(2.0**-149, 2.0**-1074, 2.0**-24, 2.0**-133)
    for classes in FEW:
        logits = draw.random.integers(-(2**22), 2**22, (draw.fit(classes), classes)) * least
        yield logits, draw.targets(logits)


@regime("ties")
def _(draw):
    for classes in (*FEW, 130, CHUNK + 2):
        rows = draw.fit(classes)
        logits = draw.random.integers(0, 3, (rows, classes)) * draw.random.choice([0, 0.5, 1, 7, 40], (rows, 1))
        logits = logits + draw.random.choice([0, -3, 100, 1e6], (rows, 1))
        yield logits, draw.targets(logits, np.argmax(logits, axis=1))


def _dominated(places):
    def generate(draw):
        for classes in (1000, 2 * CHUNK + 5):
            for place in places(classes):
                if place < classes:
                    logits = draw.normal(classes)
                    logits[:, place] += draw.uniform(15, draw.by_dtype(115, 760), len(logits))
                    yield logits, draw.targets(logits, place)

    return generate


regime("dominating class first")(_dominated(lambda classes: [0]))
regime("dominating class last")(_dominated(lambda classes: [classes - 1]))
regime("dominating at a border")(_dominated(lambda classes: [CHUNK - 1, CHUNK, 2 * CHUNK]))


@regime("maximum last")
def _(draw):
    for classes in (10, 1000, CHUNK + 1, 3 * CHUNK):
        logits = np.sort(draw.normal(classes, draw.random.choice([1, 10, 100])), axis=1)
        yield logits, draw.targets(logits, classes - 1)


@regime("cliff after a chunk")
def _(draw):
    for classes in (CHUNK + 1, 3 * CHUNK):
        for side in (slice(CHUNK, None), slice(0, CHUNK)):
            logits = draw.normal(classes)
            logits[:, side] -= draw.uniform(10, draw.by_dtype(110, 750), (len(logits), 1))
            yield logits, draw.targets(logits, CHUNK)


@regime("log-probabilities")
def _(draw):
    for classes in (*FEW, 1000):
        logits = draw.normal(classes, 3)
        yield logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), draw.targets(logits)


@regime("masks and non-finite")
def _(draw):
    for classes in (*FEW, CHUNK + 2):
        logits = draw.normal(classes, 5)
        logits[draw.uniform(0, 1, logits.shape) < 0.4] = -np.inf
        spoilt = draw.uniform(0, 1, len(logits)) < 0.1
        logits[spoilt, 0] = draw.random.choice([np.inf, np.nan], spoilt.sum())
        yield logits, draw.targets(logits, np.argmax(logits, axis=1))


def _classes(classes):
    def generate(draw):
        logits = draw.normal(classes, 3, rows=max(1, draw.rows // 2000) if classes > 100_000 else None)
        if classes > 10_000:
            # A few thousand different numbers: exact.py has one exponential for those that are equal.
            logits = np.round(logits * 256) / 256
        yield logits, draw.targets(logits)

    return generate


for _count in (1, 2, 10, 1000, CHUNK, CHUNK + 1, 50_257):
    regime(f"{_count} classes" if _count > 1 else "1 class")(_classes(_count))
regime("1000000 classes", ("f32", "f64"))(_classes(1_000_000))
