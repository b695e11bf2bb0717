# SPDX-License-Identifier: Apache-2.0
"""Golden cases: what targets, weight, ignore_index and the reduction do to nll, cross_entropy and their gradients."""

from cases import DTYPES, IGNORE, INF, MEAN, NAN, REDUCTIONS, SUM, Case, coarse, normal, regimes
from rounding import as_dtype, real_dtype

ALL = ("nll", "cross_entropy", "cross_entropy_grad", "nll_grad")
# Two numbers whose product is too large, and the reciprocal of the first; then a weight for it.
MAGNITUDES = {"f32": (1e20, 1e-20, 1e20), "f64": (1e200, 1e-200, 1e200), "f16": (6e4, 6e-5, 1e35),
              "bf16": (1e20, 1e-20, 1e20)}  # fmt: skip


def batch_cases():
    for dtype in DTYPES:
        rows = normal(f"batch {dtype}", dtype, 6, 4, 2.0)
        for name, (logits, targets, weight, ignore) in _settings(dtype, rows).items():
            for how, reduction in REDUCTIONS.items():
                for function in ALL:
                    # Log-probabilities need not come from a softmax: the negative numbers do.
                    values = [[-abs(v) for v in r] for r in logits] if function == "nll" else logits
                    yield Case(f"{name}_{how}", function, dtype, 4, values, None, targets, weight, ignore, reduction)
        yield from _loss_cases(dtype)


def _settings(dtype, rows):
    """name -> (logits, targets, weight, ignore_index)"""
    blind = [list(r) for r in rows]
    blind[1], blind[4] = [NAN] * 4, [INF, NAN, -INF, 0.0]
    t, skip, all_skipped = [3, 0, 2, 1, 0, 2], [3, IGNORE, 2, 1, IGNORE, 2], [IGNORE] * 6
    cast = lambda values: [as_dtype(v, real_dtype(dtype)) for v in values]
    even = cast([0.5, 1.25, 3.0, 0.1])
    signed = cast([0.0, -0.75, 2.5, 4.0])
    ranged = cast([1e30, 1e-30, 1.0, 1e-300 if dtype == "f64" else 1e-38])
    lost = [1.0, NAN, 2.0, 0.5]
    zero = [1.0, 2.0, 0.0, 3.0]
    return {
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


def _loss_cases(dtype):
    for how, reduction in REDUCTIONS.items():
        for function in ("cross_entropy", "cross_entropy_grad", "nll", "nll_grad"):
            yield Case(f"no_classes_all_ignored_{how}", function, dtype, 0, [[], []], None, [7, 7], None, 7, reduction)
    big, small = (as_dtype(v, dtype) for v in MAGNITUDES[dtype][:2])
    heavy = as_dtype(MAGNITUDES[dtype][2], real_dtype(dtype))
    mixed = [[-big], [-1.0], [-small], [-1.0]] + [[-1.0]] * 60
    many = [[v, 0.0] for v in coarse(f"many rows {dtype}", 300)]
    tiny = [[0.0, as_dtype(-60.0 - k / 8, dtype)] for k in range(40)]
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
    yield Case("overflows", "nll", dtype, 2, [[-big, -1.0]], None, [0], [heavy, heavy])
