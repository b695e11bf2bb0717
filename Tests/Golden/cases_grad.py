# SPDX-License-Identifier: Apache-2.0
"""Golden cases of the functions that take a gradient: backward of log-softmax, softmax and log-sum-exp."""

import exact
from cases import DTYPES, INF, NAN, Case, cast_rows, coarse, normal, rows_regimes, spikes
from rounding import as_dtype, real_dtype, rounded

WIDE = {"f32": 2049}


def log_softmax_grad_cases():
    for dtype in DTYPES:
        lp = [[-v for v in r] for r in normal(f"log_probs {dtype}", dtype, 4, 5)]
        lp = [[-abs(v) for v in r] for r in lp]
        big = {"f32": 1e8, "f64": 1e16, "f16": 4e4, "bf16": 1e8}[dtype]
        far = {"f32": -95.0, "f64": -740.0, "f16": -11.5, "bf16": -85.0}[dtype]
        top = 1e4 if dtype == "f16" else 1e20
        for name, log_probs, grads in (
            ("normal", lp, normal(f"grads {dtype}", dtype, 4, 5)),
            ("one_hot", lp, [[-1.0 if j == i else 0.0 for j in range(5)] for i in range(4)]),
            ("all_zero", lp, [[0.0] * 5] * 4),
            ("magnitudes", lp, [[1e-30, 1.0, top, -3.0, 0.0], [1e-20, 1e-25, 1e-30, -1e-22, 0.0]] * 2),
            ("sum_cancels", [[-0.5, -1.0, -2.0], [-1e-3, -9.0, -8.0]], [[big, 1.0, -big], [1.0, big, -big]]),
            ("difference_cancels", [[-0.7, -0.7], [-1e-6, -14.0]], [[1.0, 1.0], [1.0, 0.0]]),
            ("certain", [[0.0, -INF, -INF], [-INF, 0.0, -INF]], [[1.0, 2.0, 3.0], [-1.0, 0.5, -1.0]]),
            ("subnormal", [[0.0, far, far - 5.0]], [[1.0, 0.0, 0.0]]),
            ("nan_rows", [[NAN, NAN], [-0.5, -1.0], [-1.0, -0.5]], [[1.0, 2.0], [NAN, 0.0], [1.0, 2.0]]),
            ("inf_gradient", [[-0.5, -1.0], [-0.5, -1.0]], [[INF, 1.0], [1.0, -INF]]),
        ):
            log_probs, grads = cast_rows(log_probs, dtype), cast_rows(grads, dtype)
            yield Case(name, "log_softmax_grad", dtype, len(grads[0]), log_probs, grads)
        wide = WIDE.get(dtype, 300)
        grads = [v / 8 for v in coarse(f"wide grads {dtype}", wide)]
        rows = [[-8.5 - v for v in coarse(f"wide log_probs {dtype}", wide)]]
        yield Case(f"wide_{wide}", "log_softmax_grad", dtype, wide, rows, [grads])
        yield Case("no_rows", "log_softmax_grad", dtype, 3, [], [])
        yield Case("no_classes", "log_softmax_grad", dtype, 0, [[], []], [[], []])


def _probs(rows, dtype):
    """The softmax of rows of one length, as the library rounds it."""
    values = iter(exact.softmax(rows))
    return [[as_dtype(rounded(next(values).value), dtype) for _ in row] for row in rows]


def softmax_grad_cases():
    for dtype in DTYPES:
        probs = _probs(normal(f"softmax_grad logits {dtype}", dtype, 4, 5, 2.0), dtype)
        big = {"f32": 1e8, "f64": 1e16, "f16": 4e4, "bf16": 1e8}[dtype]
        least = {"f32": 2.0**-149, "f64": 2.0**-1074, "f16": 2.0**-24, "bf16": 2.0**-133}[dtype]
        top = 1e4 if dtype == "f16" else 1e20
        for name, p, grads in (
            ("normal", probs, normal(f"softmax_grad grads {dtype}", dtype, 4, 5)),
            ("one_hot", probs, [[1.0 if j == i else 0.0 for j in range(5)] for i in range(4)]),
            ("all_zero", probs, [[0.0] * 5] * 4),
            # Equal gradients have no effect on a distribution: the difference is what its rounding left over.
            ("all_equal", probs, [[1.0] * 5, [3.0] * 5, [-0.1] * 5, [1e-3] * 5]),
            ("magnitudes", probs, [[1e-30, 1.0, top, -3.0, 0.0], [1e-20, 1e-25, 1e-30, -1e-22, 0.0]] * 2),
            ("sum_cancels", [[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]], [[big, 1.0, -big], [1.0, big, -big]]),
            ("certain", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[1.0, 2.0, 3.0], [-1.0, 0.5, -1.0]]),
            ("subnormal", [[1.0, least, 40 * least], [0.5, 0.5, 3 * least]], [[0.5, 1.5, 2.0], [1.0, 1.0, -8.0]]),
            ("not_a_distribution", [[0.5, 2.0, -1.0], [3.0, 3.0, 3.0]], [[1.0, -2.0, 0.5], [1.0, 0.0, 4.0]]),
            ("nan_rows", [[NAN, NAN], [0.5, 0.5], [0.25, 0.75]], [[1.0, 2.0], [NAN, 0.0], [1.0, 2.0]]),
            ("inf_gradient", [[0.5, 0.5], [0.25, 0.75]], [[INF, 1.0], [1.0, -INF]]),
        ):
            p, grads = cast_rows(p, dtype), cast_rows(grads, dtype)
            yield Case(name, "softmax_grad", dtype, len(grads[0]), p, grads)
        wide = WIDE.get(dtype, 300)
        row = [2.0 ** (int(2 * v) % 7 - 12) for v in coarse(f"wide probs {dtype}", wide)]
        yield Case(f"wide_{wide}", "softmax_grad", dtype, wide, [row], [coarse(f"wide grad_probs {dtype}", wide)])
        yield Case("no_rows", "softmax_grad", dtype, 3, [], [])
        yield Case("no_classes", "softmax_grad", dtype, 0, [[], []], [[], []])


def logsumexp_grad_cases():
    """Every regime of softmax, multiplied by numbers of every kind."""
    upstream = (1.0, -0.3, 0.0, 1e4, 2.5e-3, -1e-20)
    for dtype in DTYPES:
        cast = lambda rows: [as_dtype(upstream[n % 6], real_dtype(dtype)) for n in range(len(rows))]
        for name, rows, _ in rows_regimes(dtype):
            yield Case(name, "logsumexp_grad", dtype, len(rows[0]), rows, grad_lse=cast(rows))
        wide = [coarse(f"wide logsumexp_grad {dtype}", WIDE.get(dtype, 300))]
        yield Case(f"wide_{len(wide[0])}", "logsumexp_grad", dtype, len(wide[0]), wide, grad_lse=[-0.5])
        yield Case("wide_dominating", "logsumexp_grad", dtype, 200, [spikes(200, {128: 41.0})], grad_lse=[3.0])
        finite = normal(f"gradients that are not finite {dtype}", dtype, 3, 3)
        yield Case("inf_and_nan_gradient", "logsumexp_grad", dtype, 3, finite, grad_lse=[INF, NAN, 1.0])
        yield Case("no_rows", "logsumexp_grad", dtype, 3, grad_lse=[])
        yield Case("no_classes", "logsumexp_grad", dtype, 0, [[], []], grad_lse=[1.0, 2.0])
