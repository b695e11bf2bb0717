# SPDX-License-Identifier: Apache-2.0
"""The inputs of the golden data: which numbers each function is tried on.

A regime is a named list of rows of logits that is hard for one reason. The functions of one row (softmax, log_softmax,
logsumexp, cross_entropy and its gradient) are tried on every regime; what targets, weights and reductions do is tried
on one small batch. Random numbers come from integers alone and are seeded by the name of the case, so that they are the
same on every machine and stay the same when cases are added.
"""

import random
import struct
from dataclasses import dataclass, field
from typing import Optional

INF, NAN = float("inf"), float("nan")
NONE, MEAN, SUM = 0, 1, 2
REDUCTIONS = {"none": NONE, "mean": MEAN, "sum": SUM}
IGNORE = -100


@dataclass(frozen=True)
class Case:
    name: str
    function: str
    dtype: str
    classes: int
    rows: list = field(default_factory=list)  # logits, or log_probs where the function takes those
    grads: Optional[list] = None  # grad_log_probs
    targets: Optional[list] = None
    weight: Optional[list] = None
    ignore_index: int = IGNORE
    reduction: int = NONE


def as_dtype(value, dtype):
    return value if dtype == "f64" else struct.unpack("<f", struct.pack("<f", value))[0]


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


def regimes(dtype):
    """name -> (rows, targets): the rows of one regime have one length, and each has the target hardest on it."""
    single = dtype == "f32"
    tiny = (
        (20.75, 69.0, 86.5, 87.5, 88.75, 95.0, 103.0, 103.5)
        if single
        else (20.75, 69.0, 690.0, 707.5, 709.0, 740.0, 745.0)
    )
    huge, over, step, offset = (3e38, 1.5e38, 8.0, 1e8) if single else (1e308, 8e307, 2.0, 1e16)
    huge, over = as_dtype(huge, dtype), as_dtype(over, dtype)
    least = 2.0**-149 if single else 2.0**-1074
    deep = as_dtype(1e-40, dtype) if single else 1e-310
    border = 32768.0
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
        "subnormal_logits": ([[least, 2 * least, 0.0], [deep, -deep, least], [-least, -least, -least]], [0, 1, 2]),
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
                [border, border - 0.5, 1.0],
                [-border, -border - 0.5, -border - 2],
                [border - 1, border + 1, border],
                [-border, 0.0, border],
            ],
            [0, 2, 0, 1],
        ),
    }


def _rows_regimes(dtype):
    """Every regime, and one row of each of the small sizes."""
    found = [(name, rows, targets) for name, (rows, targets) in regimes(dtype).items()]
    for classes in (1, 2, 7, 8, 9):
        found.append(
            (f"classes_{classes}", normal(f"classes {classes} {dtype}", dtype, 2, classes, 2.0), [0, classes - 1])
        )
    return found


def _wide_inputs(dtype):
    """Rows that cross a strip (64) or a chunk (2048) and are cheap to print, for functions with one result a row."""
    sizes = (63, 64, 65, 127, 129, 130, 2047, 2048, 2049, 5000) if dtype == "f32" else (65, 2049, 5000)
    for classes in sizes:
        yield f"classes_{classes}", coarse(f"wide {classes} {dtype}", classes), classes - 1
    high = 32768.0
    far = 1e30 if dtype == "f32" else 1e300
    far = as_dtype(far, dtype)
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
        ("tiny_loss_of_many", spikes(2060, {2059: 0.0}, -64.0 if dtype == "f32" else -512.0), 2059),
        ("subnormal_loss_of_many", spikes(2060, {1: 0.0}, -96.0 if dtype == "f32" else -720.0), 1),
    ):
        if dtype == "f32" or name not in WIDE_F32_ONLY:
            yield f"wide_{name}", row, target


WIDE_F32_ONLY = {
    "max_first",
    "max_before_chunk_border",
    "max_last",
    "all_equal",
    "one_unmasked",
    "large_in_first_chunk",
}
WIDE_LOGSUMEXP = {
    "classes_129", "classes_2049", "wide_max_last", "wide_masked_chunk", "wide_nan_last", "wide_large_in_last_chunk",
    "wide_negative_large_chunks", "wide_far_in_one_chunk",
}  # fmt: skip


def row_cases():
    for dtype in ("f32", "f64"):
        for name, rows, targets in _rows_regimes(dtype):
            classes = len(rows[0])
            for function in ("softmax", "log_softmax", "logsumexp"):
                yield Case(name, function, dtype, classes, rows)
            for function in ("cross_entropy", "cross_entropy_grad"):
                yield Case(name, function, dtype, classes, rows, targets=targets)
        for name, row, target in _wide_inputs(dtype):
            yield Case(name, "cross_entropy", dtype, len(row), [row], targets=[target])
            if name in WIDE_LOGSUMEXP:
                yield Case(name, "logsumexp", dtype, len(row), [row])
        # A result for every class costs 45 bytes an element, so f64 stops at 300 classes here.
        wide = coarse(f"wide results {dtype}", 2049 if dtype == "f32" else 300)
        for function in ("softmax", "log_softmax"):
            yield Case(f"wide_{len(wide)}", function, dtype, len(wide), [wide])
        yield Case(f"wide_{len(wide)}", "cross_entropy_grad", dtype, len(wide), [wide], targets=[len(wide) - 1])
        yield Case("wide_dominating", "cross_entropy_grad", dtype, 200, [spikes(200, {128: 41.0})], targets=[128])
        for function in ("softmax", "log_softmax", "logsumexp"):
            yield Case("no_rows", function, dtype, 3)
            yield Case("no_classes", function, dtype, 0, [[], []])


def batch_cases():
    """What targets, weight, ignore_index and reduction do, on one batch."""
    for dtype in ("f32", "f64"):
        rows = normal(f"batch {dtype}", dtype, 6, 4, 2.0)
        blind = [list(r) for r in rows]
        blind[1], blind[4] = [NAN] * 4, [INF, NAN, -INF, 0.0]
        t, skip, all_skipped = [3, 0, 2, 1, 0, 2], [3, IGNORE, 2, 1, IGNORE, 2], [IGNORE] * 6
        cast = lambda values: [as_dtype(v, dtype) for v in values]
        even = cast([0.5, 1.25, 3.0, 0.1])
        signed = cast([0.0, -0.75, 2.5, 4.0])
        ranged = cast([1e30, 1e-30, 1.0, 1e-38 if dtype == "f32" else 1e-300])
        lost = [1.0, NAN, 2.0, 0.5]
        zero = [1.0, 2.0, 0.0, 3.0]
        settings = {
            "plain": (rows, t, None, IGNORE),
            "weighted": (rows, t, even, IGNORE),
            "weight_zero_and_negative": (rows, t, signed, IGNORE),
            "weight_huge_and_tiny": (rows, t, ranged, IGNORE),
            "weight_nan_used": (rows, t, lost, IGNORE),
            "weight_nan_unused": (rows, [0, 2, 3, 0, 2, 3], lost, IGNORE),
            "weight_nan_ignored": (rows, [0, 1, 3, 0, 1, 3], lost, 1),
            "weight_all_zero": (rows, [2] * 6, zero, IGNORE),
            "ignored": (rows, skip, None, IGNORE),
            "ignored_weighted": (rows, skip, even, IGNORE),
            "ignored_rows_not_read": (blind, skip, even, IGNORE),
            "ignore_index_in_range": (rows, t, None, 2),
            "ignore_index_zero_weighted": (rows, t, even, 0),
            "ignore_index_large": (rows, [3, 2**62, 2, 1, 2**62, 2], None, 2**62),
            "all_ignored": (rows, all_skipped, None, IGNORE),
            "all_ignored_weighted": (rows, [1] * 6, even, 1),
            "no_rows": ([], [], None, IGNORE),
            "no_rows_weighted": ([], [], even, IGNORE),
        }
        for name, (logits, targets, weight, ignore) in settings.items():
            for how, reduction in REDUCTIONS.items():
                for function in ("nll", "cross_entropy", "cross_entropy_grad", "nll_grad"):
                    # Log-probabilities need not come from a softmax: the negative numbers do.
                    values = [[-abs(v) for v in r] for r in logits] if function == "nll" else logits
                    yield Case(f"{name}_{how}", function, dtype, 4, values, None, targets, weight, ignore, reduction)
        yield from _loss_cases(dtype)


def _loss_cases(dtype):
    for how, reduction in REDUCTIONS.items():
        for function in ("cross_entropy", "cross_entropy_grad", "nll", "nll_grad"):
            yield Case(f"no_classes_all_ignored_{how}", function, dtype, 0, [[], []], None, [7, 7], None, 7, reduction)
    big, small = (1e20, 1e-20) if dtype == "f32" else (1e200, 1e-200)
    big, small = as_dtype(big, dtype), as_dtype(small, dtype)
    mixed = [[-big], [-1.0], [-small], [-1.0]] + [[-1.0]] * 60
    many = [[v, 0.0] for v in coarse(f"many rows {dtype}", 300)]
    tiny = [[0.0, -60.0 - k / 8] for k in range(40)]
    hard = [[0.0, -INF], [NAN, -1.0], [-3.0, NAN], [-INF, INF]]
    for how, reduction in (("mean", MEAN), ("sum", SUM)):
        yield Case(f"magnitudes_{how}", "nll", dtype, 1, mixed, None, [0] * 64, None, IGNORE, reduction)
        yield Case(f"many_rows_{how}", "cross_entropy", dtype, 2, many, None, [0, 1] * 150, None, IGNORE, reduction)
        yield Case(f"tiny_losses_{how}", "cross_entropy", dtype, 2, tiny, None, [0] * 40, None, IGNORE, reduction)
        for name in ("masks", "nan", "plus_inf", "largest", "worked_example", "loss_tiny"):
            rows, targets = regimes(dtype)[name]
            for function in ("cross_entropy", "cross_entropy_grad"):
                yield Case(f"{name}_{how}", function, dtype, len(rows[0]), rows, None, targets, None, IGNORE, reduction)
    for name, targets in (("only_the_target_is_read", [0, 1, 0, 1]), ("inf_and_nan", [1, 0, 0, 0])):
        yield Case(name, "nll", dtype, 2, hard, None, targets)
    yield Case("mask_with_weight_zero", "nll", dtype, 2, hard[:1], None, [1], [1.0, 0.0])
    yield Case("overflows", "nll", dtype, 2, [[-big, -1.0]], None, [0], [big, big])


def log_softmax_grad_cases():
    for dtype in ("f32", "f64"):
        cast = lambda rows: [[as_dtype(v, dtype) for v in r] for r in rows]
        lp = [[-v for v in r] for r in normal(f"log_probs {dtype}", dtype, 4, 5)]
        lp = [[-abs(v) for v in r] for r in lp]
        big = 1e8 if dtype == "f32" else 1e16
        far = -95.0 if dtype == "f32" else -740.0
        for name, log_probs, grads in (
            ("normal", lp, normal(f"grads {dtype}", dtype, 4, 5)),
            ("one_hot", lp, [[-1.0 if j == i else 0.0 for j in range(5)] for i in range(4)]),
            ("all_zero", lp, [[0.0] * 5] * 4),
            ("magnitudes", lp, cast([[1e-30, 1.0, 1e20, -3.0, 0.0], [1e-20, 1e-25, 1e-30, -1e-22, 0.0]] * 2)),
            ("sum_cancels", cast([[-0.5, -1.0, -2.0], [-1e-3, -9.0, -8.0]]), [[big, 1.0, -big], [1.0, big, -big]]),
            ("difference_cancels", cast([[-0.7, -0.7], [-1e-6, -14.0]]), [[1.0, 1.0], [1.0, 0.0]]),
            ("certain", [[0.0, -INF, -INF], [-INF, 0.0, -INF]], [[1.0, 2.0, 3.0], [-1.0, 0.5, -1.0]]),
            ("subnormal", [[0.0, far, far - 5.0]], [[1.0, 0.0, 0.0]]),
            ("nan_rows", [[NAN, NAN], [-0.5, -1.0], [-1.0, -0.5]], [[1.0, 2.0], [NAN, 0.0], [1.0, 2.0]]),
            ("inf_gradient", [[-0.5, -1.0], [-0.5, -1.0]], [[INF, 1.0], [1.0, -INF]]),
        ):
            yield Case(name, "log_softmax_grad", dtype, len(grads[0]), log_probs, grads)
        wide = 2049 if dtype == "f32" else 300
        grads = [v / 8 for v in coarse(f"wide grads {dtype}", wide)]
        rows = [[-8.5 - v for v in coarse(f"wide log_probs {dtype}", wide)]]
        yield Case(f"wide_{wide}", "log_softmax_grad", dtype, wide, rows, [grads])
        yield Case("no_rows", "log_softmax_grad", dtype, 3, [], [])
        yield Case("no_classes", "log_softmax_grad", dtype, 0, [[], []], [[], []])


def all_cases():
    yield from row_cases()
    yield from batch_cases()
    yield from log_softmax_grad_cases()
