# SPDX-License-Identifier: Apache-2.0
"""Golden cases of the binary cross-entropy and its gradient: logits, labels, weights and reductions."""

from cases import DTYPES, INF, NAN, NONE, RANGES, REDUCTIONS, SUM, Case, cast_rows, coarse, normal
from rounding import as_dtype, real_dtype

BOTH = ("binary_cross_entropy", "binary_cross_entropy_grad")


def _regimes(dtype):
    """name -> logits; each is tried with several labels."""
    of = RANGES[dtype]
    return {
        "normal": normal(f"binary {dtype}", dtype, 3, 5, 3.0),
        "near_zero": [[0.0, 1e-5, -1e-5, of.least, -of.deep]],
        "tiny": [[s * gap for gap in of.tiny] for s in (1, -1)],
        "huge": [[of.huge, -of.huge, of.over, -of.over, of.offset, -of.offset]],
        "infinite": [[INF, -INF, 0.0]],
        "nan": [[NAN, 1.0, -1.0]],
    }


def _labels(rows, kind, dtype):
    between = (0.25, 0.5, 0.9, 1e-3, 0.0, 1.0, 0.999)
    return cast_rows([[kind if kind is not None else between[(i + j) % 7] for j in range(len(r))]
                      for i, r in enumerate(rows)], dtype)  # fmt: skip


def binary_cases():
    for dtype in DTYPES:
        for name, rows in _regimes(dtype).items():
            rows = cast_rows(rows, dtype)
            for kind, label in (("ones", 1.0), ("zeros", 0.0), ("between", None)):
                for function in BOTH:
                    yield Case(f"{name}_{kind}", function, dtype, len(rows[0]), rows,
                               targets=_labels(rows, label, dtype))  # fmt: skip
        yield from _weight_cases(dtype)
        yield from _shape_cases(dtype)


def _weight_cases(dtype):
    rows = normal(f"binary weights {dtype}", dtype, 4, 4, 2.0)
    labels = _labels(rows, None, dtype)
    cast = lambda values: [as_dtype(v, real_dtype(dtype)) for v in values]
    even, other = cast([0.5, 1.25, 3.0, 0.1]), cast([2.0, 0.3, 1.0, 7.5])
    signed, zero = cast([1.0, -0.75, 2.5, 4.0]), [0.0, 1.0, 0.0, 2.0]
    hard = [[INF, -INF, NAN, 1.0], [-INF, INF, 0.0, 2.0]]
    sides = [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    for name, logits, targets, weight, pos_weight in (
        ("plain", rows, labels, None, None),
        ("weighted", rows, labels, even, None),
        ("pos_weighted", rows, labels, None, other),
        ("both_weighted", rows, labels, even, other),
        ("weight_negative", rows, labels, signed, other),
        ("weight_zero", rows, labels, zero, None),
        ("pos_weight_zero", rows, labels, even, zero),
        ("weight_nan", rows, labels, [1.0, NAN, 1.0, 2.0], None),
        ("pos_weight_huge_and_tiny", rows, labels, None, cast([1e30, 1e-30, 1.0, 1e-38])),
        ("labels_at_the_ends", hard, sides, None, None),
        ("labels_at_the_ends_weight_zero", hard, sides, zero, None),
        ("labels_at_the_ends_pos_weight_zero", hard, sides, None, zero),
    ):
        for how, reduction in REDUCTIONS.items():
            for function in BOTH:
                yield Case(f"{name}_{how}", function, dtype, 4, logits, None, targets, weight, 0, reduction, pos_weight)


def _shape_cases(dtype):
    for classes in (1, 7, 8, 9, 65):
        rows = [coarse(f"binary {n} {classes} {dtype}", classes) for n in range(2)]
        labels = [[float(n > 0) for n in coarse(f"labels {classes} {dtype}", classes)] for _ in rows]
        yield Case(f"classes_{classes}", BOTH[1], dtype, classes, rows, targets=labels, reduction=NONE)
    wide = coarse(f"binary wide {dtype}", 2100)
    labels = [float(v > 1) for v in wide[1:] + wide[:1]]
    yield Case("wide_sum", BOTH[0], dtype, 2100, [wide], targets=[labels], reduction=SUM)
    for how, reduction in REDUCTIONS.items():
        for function in BOTH:
            yield Case(f"no_rows_{how}", function, dtype, 3, [], None, [], None, 0, reduction)
            yield Case(f"no_classes_{how}", function, dtype, 0, [[], []], None, [[], []], None, 0, reduction)
