# SPDX-License-Identifier: Apache-2.0
"""The inputs of the golden data: which numbers each function is tried on.

A regime is a named list of rows of logits that is hard for one reason. The functions of one row (softmax, log_softmax,
logsumexp, cross_entropy and its gradient) are tried on every regime; what targets, weights and reductions do is tried
on one small batch (cases_batch.py); cases_grad.py has the functions that take a gradient, cases_binary.py the binary
loss. Random numbers come from integers alone and are seeded by the name of the case, so that they are the same on every
machine and stay the same when cases are added.
"""

import random
from dataclasses import dataclass, field
from typing import Optional

from rounding import as_dtype

INF, NAN = float("inf"), float("nan")
NONE, MEAN, SUM, MEAN_ROWS = 0, 1, 2, 3
REDUCTIONS = {"none": NONE, "mean": MEAN, "sum": SUM, "mean_rows": MEAN_ROWS}
DTYPES = ("f32", "f64", "f16", "bf16")
IGNORE = -100


@dataclass(frozen=True)
class Case:
    name: str
    function: str
    dtype: str
    classes: int
    rows: list = field(default_factory=list)  # logits, or log_probs or probs where the function takes those
    grads: Optional[list] = None  # grad_log_probs, grad_probs
    targets: Optional[list] = None  # a class for each row; for the binary loss a row of labels
    weight: Optional[list] = None
    ignore_index: int = IGNORE
    reduction: int = NONE
    pos_weight: Optional[list] = None
    grad_lse: Optional[list] = None


def cast_rows(rows, dtype):
    return [[as_dtype(v, dtype) for v in row] for row in rows]


def normal(seed, dtype, rows, classes, spread=1.0):
    """About normal (a sum of 12 uniform numbers), with all the bits of the dtype."""
    bits = random.Random(seed)
    draw = lambda: (sum(bits.getrandbits(48) for _ in range(12)) / 2.0**48 - 6.0) * spread
    return [[as_dtype(draw(), dtype) for _ in range(classes)] for _ in range(rows)]


def coarse(seed, classes):
    """Multiples of 1/2 in [-8, 8): short to print, so that wide rows stay affordable."""
    bits = random.Random(seed)
    return [(bits.getrandbits(5) - 16) / 2.0 for _ in range(classes)]


def spikes(classes, at, rest=0.0):
    row = [rest] * classes
    for index, value in at.items():
        row[index] = value
    return row


@dataclass(frozen=True)
class Range:
    """Where a dtype ends, and how far apart its numbers are."""

    tiny: tuple  # gaps whose exponentials are small, subnormal and 0
    huge: float  # nearly the largest number
    over: float  # two of them are more
    offset: float  # a large number, whose neighbours are `step` away
    step: float
    least: float
    deep: float  # well in the subnormal numbers
    unit: float  # what 2^15 and its neighbours lie apart, or 1 if that is less


RANGES = {
    "f32": Range((20.75, 69.0, 86.5, 87.5, 88.75, 95.0, 103.0, 103.5), 3e38, 1.5e38, 1e8, 8.0, 2.0**-149, 1e-40, 1.0),
    "f64": Range((20.75, 69.0, 690.0, 707.5, 709.0, 740.0, 745.0), 1e308, 8e307, 1e16, 2.0, 2.0**-1074, 1e-310, 1.0),
    "f16": Range((7.5, 9.75, 10.5, 16.5, 17.25, 69.0, 86.5, 103.0), 65504.0, 4e4, 2048.0, 2.0, 2.0**-24, 3e-6, 32.0),
    "bf16": Range((20.75, 69.0, 86.5, 88.5, 91.0, 92.5, 103.5), 3.3e38, 1.7e38, 256.0, 2.0, 2.0**-133, 1e-39, 256.0),
}


def regimes(dtype):
    """name -> (rows, targets): the rows of one regime have one length, and each has the target hardest on it."""
    found = _regimes(dtype, RANGES[dtype])
    return {name: (cast_rows(rows, dtype), targets) for name, (rows, targets) in found.items()}


def _regimes(dtype, of):
    tiny, huge, over, offset, step, least = of.tiny, of.huge, of.over, of.offset, of.step, of.least
    border, unit = 32768.0, of.unit
    return {
        "worked_example": ([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]], [2, 2, 0]),
        "normal": (normal(f"normal {dtype}", dtype, 6, 5, 3.0), [0, 1, 2, 3, 4, 0]),
        "near_zero": (normal(f"near zero {dtype}", dtype, 3, 3, 1e-5), [0, 1, 2]),
        "loss_tiny": ([[0.0, -gap] for gap in tiny], [0] * len(tiny)),
        "loss_tiny_of_many": ([[-gap - k / 4 for k in range(6)] + [0.0] for gap in tiny[2:]], [6] * len(tiny[2:])),
        "target_far_below": ([[0.0, -gap] for gap in tiny], [1] * len(tiny)),
        "gaps": ([[0.0, 88.0, -88.0], [0.0, 200.0, -200.0], [1e4, -1e4, 0.0], [0.0, 1.0, -1e4]], [0, 2, 1, 1]),
        "common_offset": (
            [
                [s * (offset + k * step) for k in order]
                for s in (1, -1)
                for order in ((0, 1, 2, 3), (3, 0, 0, 3), (9, 0, 9, 1))
            ],
            [3, 0, 1, 0, 1, 2],
        ),
        "largest": (
            [[huge, -huge], [huge, -huge], [huge, huge], [-huge, -huge], [0.0, huge], [-huge, 1.0]],
            [0, 1, 0, 1, 0, 0],
        ),
        "large": ([[over, -over, 0.0], [over, -over, over], [-over, -over, -over]], [1, 2, 0]),
        "subnormal_logits": (
            [[least, 2 * least, 0.0], [of.deep, -of.deep, least], [-least, -least, -least]],
            [0, 1, 2],
        ),
        "ties": ([[5.0] * 4, [0.0] * 4, [offset] * 4, [5.0, 5.0, 5.0, 1.0], [-7.0, 3.0, 3.0, -7.0]], [3, 0, 1, 3, 1]),
        "dominating": ([spikes(5, {at: 40.0}) for at in (0, 2, 4)] * 2, [0, 2, 4, 1, 1, 1]),
        "ascending": ([[-3.0, -1.5, 0.25, 2.0, 7.5], [-1000.0, -10.0, 0.0, 10.0, 1000.0]], [4, 4]),
        "masks": (
            [[-INF, 1.0, 2.0], [-INF, 1.0, -INF], [-INF, 1.0, -INF], [3.0, -INF, 3.0], [-INF] * 3, [-INF, huge, 0.0]],
            [1, 1, 0, 2, 0, 1],
        ),
        "plus_inf": (
            [[INF, 1.0, 2.0], [1.0, INF, 2.0], [INF, -INF, -INF], [INF, INF, 0.0], [1.0, 2.0, 3.0]],
            [0, 0, 0, 1, 2],
        ),
        "nan": (
            [[NAN, 1.0, 2.0], [0.5, 0.25, 0.0], [1.0, 2.0, NAN], [NAN, INF, 0.0], [-INF, NAN, -INF], [0.0] * 3],
            [1, 0, 2, 1, 1, 0],
        ),
        "reference_border": (
            [
                [border, border - unit / 2, 1.0],
                [-border, -border - unit / 2, -border - 2 * unit],
                [border - unit, border + unit, border],
                [-border, 0.0, border],
            ],
            [0, 2, 0, 1],
        ),
    }


def rows_regimes(dtype):
    """Every regime, and one row of each of the small sizes."""
    found = [(name, rows, targets) for name, (rows, targets) in regimes(dtype).items()]
    for classes in (1, 2, 7, 8, 9):
        found.append(
            (f"classes_{classes}", normal(f"classes {classes} {dtype}", dtype, 2, classes, 2.0), [0, classes - 1])
        )
    return found


WIDE_SIZES = {"f32": (63, 64, 65, 127, 129, 130, 2047, 2048, 2049, 5000), "f64": (65, 2049, 5000)}
WIDE_F32_ONLY = {
    "max_first",
    "max_before_chunk_border",
    "max_last",
    "all_equal",
    "one_unmasked",
    "large_in_first_chunk",
}
WIDE_16_BITS = {"max_elsewhere", "masked_chunk", "nan_last", "large_in_last_chunk", "tiny_loss_of_many"}
WIDE_LOGSUMEXP = {
    "classes_129", "classes_2049", "wide_max_last", "wide_masked_chunk", "wide_nan_last", "wide_large_in_last_chunk",
    "wide_negative_large_chunks", "wide_far_in_one_chunk",
}  # fmt: skip


def _wide_names(name, dtype):
    return name in WIDE_16_BITS if dtype in ("f16", "bf16") else dtype == "f32" or name not in WIDE_F32_ONLY


def _wide_inputs(dtype):
    """Rows that cross a strip (64) or a chunk (2048) and are cheap to print, for functions with one result a row."""
    for classes in WIDE_SIZES.get(dtype, (65, 2049)):
        yield f"classes_{classes}", coarse(f"wide {classes} {dtype}", classes), classes - 1
    high = 32768.0
    far = 1e300 if dtype == "f64" else 1e30
    deep = -512.0 if dtype == "f64" else -64.0
    deeper = -720.0 if dtype == "f64" else -96.0
    for name, row, target in (
        ("max_first", spikes(2049, {0: 30.0}), 0),
        ("max_before_chunk_border", spikes(2049, {2047: 30.0}), 2047),
        ("max_after_chunk_border", spikes(4100, {2048: 30.0}), 2048),
        ("max_last", spikes(4097, {4096: 30.0}), 4096),
        ("max_elsewhere", spikes(4097, {4096: 30.0}), 7),
        ("all_equal", [1.0] * 2100, 2099),
        ("one_unmasked", spikes(2060, {2050: 3.0}, -INF), 2050),
        ("masked_chunk", [-INF] * 2048 + [0.5, 1.0, -2.0], 2049),
        ("nan_last", spikes(2060, {2059: NAN}), 0),
        ("large_in_first_chunk", spikes(4100, {5: high + 1.25, 6: high - 0.25}), 5),
        ("large_in_last_chunk", spikes(4100, {4099: high + 1.25, 130: -high}), 4099),
        ("large_in_two_chunks", spikes(4100, {100: high + 0.5, 2100: high, 4097: -3.0}), 2100),
        ("negative_large_chunks", [-high] * 2047 + [-high - 2.0, -high + 1.0, -high - 1.0], 2049),
        ("far_in_one_chunk", spikes(2060, {2050: far, 3: -far}), 2050),
        ("tiny_loss_of_many", spikes(2060, {2059: 0.0}, deep), 2059),
        ("subnormal_loss_of_many", spikes(2060, {1: 0.0}, deeper), 1),
    ):
        if _wide_names(name, dtype):
            yield f"wide_{name}", cast_rows([row], dtype)[0], target


def row_cases():
    for dtype in DTYPES:
        for name, rows, targets in rows_regimes(dtype):
            classes = len(rows[0])
            for function in ("softmax", "log_softmax", "logsumexp"):
                yield Case(name, function, dtype, classes, rows)
            for function in ("cross_entropy", "cross_entropy_grad"):
                yield Case(name, function, dtype, classes, rows, targets=targets)
        for name, row, target in _wide_inputs(dtype):
            yield Case(name, "cross_entropy", dtype, len(row), [row], targets=[target])
            if name in WIDE_LOGSUMEXP:
                yield Case(name, "logsumexp", dtype, len(row), [row])
        # A result for every class costs 45 bytes an element, so only f32 goes beyond 300 classes here.
        wide = coarse(f"wide results {dtype}", 2049 if dtype == "f32" else 300)
        for function in ("softmax", "log_softmax"):
            yield Case(f"wide_{len(wide)}", function, dtype, len(wide), [wide])
        yield Case(f"wide_{len(wide)}", "cross_entropy_grad", dtype, len(wide), [wide], targets=[len(wide) - 1])
        yield Case("wide_dominating", "cross_entropy_grad", dtype, 200, [spikes(200, {128: 41.0})], targets=[128])
        for function in ("softmax", "log_softmax", "logsumexp"):
            yield Case("no_rows", function, dtype, 3)
            yield Case("no_classes", function, dtype, 0, [[], []])
