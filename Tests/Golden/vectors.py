# SPDX-License-Identifier: Apache-2.0
"""Test vectors for the bindings: vectors.json, small, in a format that every language reads.

    {"format": 1, "cases": [case, ...]}

    case      name, function, dtype, rows, classes, inputs, options, and either outputs or error
    function  a descriptor function of xent.h without its prefix: softmax, cross_entropy, nll, binary_cross_entropy,
              divergence, softmax_grad, log_softmax_grad
    dtype     f32, f64, f16 or bf16: that of logits, of what has their shape, and of all outputs that have it
    inputs    name -> array, flat and row-major: logits, log_probs, probs, student, teacher and what goes with them, by
              their names in xent.h. targets are integers, but for binary_cross_entropy reals of the logits' shape;
              cross_entropy has `probabilities`, of the logits' shape, in place of targets where they are soft
    options   fields of xent_options that are not at their default; enumerations by name in small letters (mean, mean_rows, fastest,
              uniform, zero, reverse_kl). The options that are arrays (weight, pos_weight, grad_loss, class_mask, row_mask)
              are among the inputs
    outputs   name -> {"max_ulp": n, "values": [...]}; loss is [rows] (binary: [rows, classes]) for reduction none: row_loss
    error     {"status": "XENT_ERR_TARGET", "row": 1, "value": 7, "message": "targets[1] is ..."}; the library's message
              has the function's name before this

Reals are decimal and the numbers of the array's dtype exactly; inf, -inf and nan are strings. Arrays of a 16-bit dtype are
the bits as integers, with "nan" in outputs for any NaN. Losses, statistics (lse, entropy, max_logit, target_log_prob),
weight, pos_weight and grad_loss are f64 for dtype f64, otherwise f32. targets, argmax and target_rank are i64, masks u8.

An output is right when it is NaN where that is expected, and otherwise at most max_ulp representable numbers away from the
value, -0 and 0 being one. The values come from the formulas in mpmath, not from the library. max_ulp is the bound of
xent.h, times as much as the ulp of the terms exceeds that of the result; an output that cancels more than CANCELS is
left out.
"""

import json
import math
import struct
from dataclasses import dataclass, field

import exact
import exact_options
from cases import IGNORE, NONE, REDUCTIONS, cast_rows, normal, regimes
from mpmath import isfinite, mpf
from rounding import FORMATS, as_dtype, real_dtype, rounded

CANCELS = 16
REGIMES = ("target_far_below", "worked_example", "normal", "loss_tiny", "common_offset", "largest", "ties", "masks",
           "plus_inf", "nan")  # fmt: skip
REAL = {"loss", "lse", "entropy", "max_logit", "target_log_prob", "weight", "pos_weight", "grad_loss"}
INTEGERS = {"argmax", "target_rank", "class_mask", "row_mask", "correct", "rows_counted"}


@dataclass
class Vector:
    name: str
    function: str
    dtype: str
    rows: int
    classes: int
    inputs: dict
    options: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)  # name -> list of Exact, or of integers
    error: dict = field(default_factory=dict)
    bound: int = 0  # in ulps, 0 for that of the dtype


# ---- Numbers ---------------------------------------------------------------------------------------------------------


def bits(value, dtype):
    return struct.unpack("<H", struct.pack("<e", value))[0] if dtype == "f16" else (
        struct.unpack("<I", struct.pack("<f", value))[0] >> 16)  # fmt: skip


def written(value, dtype, is_output=False):
    """A number of a dtype for JSON, the shortest that is read back as it, also by way of a double."""
    if dtype in ("f16", "bf16") and not (is_output and math.isnan(value)):
        return bits(value, dtype)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if dtype == "f32":
        value = next(v for v in (float(f"{value:.{n}g}") for n in range(1, 18)) if as_dtype(v, "f32") == value)
    return int(value) if value == int(value) and abs(value) < 1e6 and value else value


def dtype_of(name, dtype):
    return "i64" if name in INTEGERS else real_dtype(dtype) if name in REAL else dtype


def array(name, values, dtype):
    flat = [v for row in values for v in (row if isinstance(row, list) else [row])]
    if name in INTEGERS or (name == "targets" and all(isinstance(v, int) for v in flat)):
        return flat
    return [written(v, dtype_of(name, dtype)) for v in flat]


def ulp_exponent(value, dtype):
    digits, least, _ = FORMATS[dtype]
    return max(math.frexp(value)[1] - digits, least)


def output(name, results, dtype, bound):
    """None where a result cancels too much."""
    if name in INTEGERS:
        return {"max_ulp": 0, "values": results}
    of = dtype_of(name, dtype)
    bound, worst = bound or (2 if of == "f64" else 1), 0
    values = []
    for result in results:
        value = rounded(result.value, *FORMATS[of])
        values.append(written(value, of, is_output=True))
        if isfinite(result.scale) and math.isfinite(value):
            worst = max(worst, ulp_exponent(rounded(result.scale), of) - ulp_exponent(value, of))
    return {"max_ulp": bound << worst, "values": values} if 1 << worst <= CANCELS else None


# ---- Cases -----------------------------------------------------------------------------------------------------------


def without_nothing(**inputs):
    return {name: values for name, values in inputs.items() if values is not None}


def argmax(row):
    """The first NaN, or the first of the largest."""
    return next((j for j, v in enumerate(row) if v != v), None) if any(v != v for v in row) else row.index(max(row))


def regime_vectors():
    for dtype in ("f32", "f64", "f16", "bf16"):
        for name in REGIMES if dtype in ("f32", "f64") else REGIMES[1:]:
            rows, targets = regimes(dtype)[name]
            shape = (dtype, len(rows), len(rows[0]))
            known = {"probs": exact.softmax(rows), "log_probs": exact.log_softmax(rows), "lse": exact.logsumexp(rows),
                     "argmax": [argmax(row) for row in rows]}  # fmt: skip
            yield Vector(name, "softmax", *shape, {"logits": rows}, outputs=known)
            options = (targets, None, IGNORE, NONE)
            loss = {"loss": exact.cross_entropy(rows, *options), "grad_logits": exact.cross_entropy_grad(rows, *options)}
            yield Vector(name, "cross_entropy", *shape, {"logits": rows, "targets": targets}, {"reduction": "none"}, loss)
        rows = normal(f"vectors {dtype}", dtype, 3, 4)
        upstream = [as_dtype(v, real_dtype(dtype)) for v in (1.0, -0.3, 2.5e-3)]
        yield Vector("upstream", "softmax", dtype, 3, 4, {"logits": rows, "grad_loss": upstream},
                     outputs={"grad_logits": exact.logsumexp_grad(rows, upstream)})  # fmt: skip
        yield from backward_vectors(dtype, rows)
        yield from batch_vectors(dtype)
        yield from binary_vectors(dtype)


def backward_vectors(dtype, rows):
    lp = cast_rows([[-0.5 - abs(v) for v in row] for row in rows], dtype)
    probs = cast_rows([[0.1, 0.2, 0.3, 0.4], [0.5, 0.25, 0.25, 0.0], [0.9, 0.05, 0.04, 0.01]], dtype)
    settings = {"one_hot": [[-1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]]}
    if dtype in ("f32", "f64"):  # where enough is left of what cancels
        settings["normal"] = normal(f"vectors grads {dtype}", dtype, 3, 4)
    for name, grads in settings.items():
        yield Vector(name, "log_softmax_grad", dtype, 3, 4, {"log_probs": lp, "grad_log_probs": grads},
                     outputs={"grad_logits": exact.log_softmax_grad(lp, grads)})  # fmt: skip
        yield Vector(name, "softmax_grad", dtype, 3, 4, {"probs": probs, "grad_probs": grads},
                     outputs={"grad_logits": exact.softmax_grad(probs, grads)})  # fmt: skip


def batch_vectors(dtype):
    """Targets, weights, ignore_index and every reduction; and batches of nothing."""
    rows = normal(f"batch {dtype}", dtype, 6, 4, 2.0)
    even = [as_dtype(v, real_dtype(dtype)) for v in (0.5, 1.25, 3.0, 0.1)]
    t, skip = [3, 0, 2, 1, 0, 2], [3, IGNORE, 2, 1, IGNORE, 2]
    settings = {
        "plain": (rows, t, None, IGNORE),
        "ignored_weighted": (rows, skip, even, IGNORE),
        "ignore_index_in_range": (rows, t, None, 2),
        "all_ignored": (rows, [IGNORE] * 6, None, IGNORE),
        "no_rows": ([], [], None, IGNORE),
    }
    for name, (logits, targets, weight, ignore) in settings.items():
        for how, reduction in REDUCTIONS.items():
            options = {"reduction": how, **({"ignore_index": ignore} if ignore != IGNORE else {})}
            inputs = without_nothing(logits=logits, targets=targets, weight=weight)
            given = (targets, weight, ignore, reduction)
            yield Vector(f"{name}_{how}", "cross_entropy", dtype, len(logits), 4, inputs, options,
                         {"loss": exact.cross_entropy(logits, *given),
                          "grad_logits": exact.cross_entropy_grad(logits, *given)})  # fmt: skip
            if name != "plain" or dtype not in ("f16", "bf16"):
                lp = [[-abs(v) for v in row] for row in logits]
                inputs = without_nothing(log_probs=lp, targets=targets, weight=weight)
                yield Vector(f"{name}_{how}", "nll", dtype, len(lp), 4, inputs, options,
                             {"loss": exact.nll(lp, *given),
                              "grad_logits": exact.nll_grad(targets, 4, *given[1:])})  # fmt: skip


def binary_vectors(dtype):
    rows = normal(f"binary weights {dtype}", dtype, 3, 4, 2.0)
    labels = cast_rows([[0.0, 1.0, 0.25, 0.9], [1.0, 0.0, 1.0, 0.0], [0.5, 1e-3, 1.0, 0.999]], dtype)
    even, other = ([as_dtype(v, real_dtype(dtype)) for v in w] for w in ((0.5, 1.25, 3.0, 0.1), (2.0, 0.3, 1.0, 7.5)))
    for name, weight, pos in (("plain", None, None), ("weighted", even, other)):
        for how, reduction in REDUCTIONS.items():
            given = (rows, labels, weight, pos, reduction)
            yield Vector(f"{name}_{how}", "binary_cross_entropy", dtype, 3, 4,
                         without_nothing(logits=rows, targets=labels, weight=weight, pos_weight=pos), {"reduction": how},
                         {"loss": exact.binary_cross_entropy(*given),
                          "grad_logits": exact.binary_cross_entropy_grad(*given)},
                         bound=16 if dtype == "f64" else 0)  # fmt: skip


# Options of a call that the plain functions do not have.
OPTIONS = {
    "label_smoothing": {"label_smoothing": 0.1},
    "label_smoothing_uniform": {"label_smoothing": 0.25, "smoothing": "uniform"},
    "temperature": {"temperature": 0.5},
    "softcap": {"softcap": 5.0, "temperature": 2.0},
    "z_loss": {"z_loss": 0.0625},
    "focal": {"focal_gamma": 2.0},
    "poly": {"focal_gamma": 1.0, "poly_epsilon": 0.5},
    "everything_at_once": {"label_smoothing": 0.125, "temperature": 1.25, "z_loss": 0.03125},
}


def option_vectors():
    targets, mask, row_mask = [3, 0, 2, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1, 1]
    for dtype in ("f32", "f64"):
        rows = normal(f"options {dtype}", dtype, 5, 4, 2.0)
        weight = [as_dtype(v, dtype) for v in (0.5, 1.25, 3.0, 0.75)]
        for name, options in OPTIONS.items():
            w = weight if "uniform" in name or name == "focal" else None
            yield _option_vector(name, dtype, rows, targets, options, w)
        if dtype == "f32":  # nothing else is rounded otherwise
            yield _option_vector("fastest", dtype, rows, targets, {"accuracy": "fastest"}, None)
        yield _option_vector("class_mask", dtype, rows, [3, 0, 2, 2, 0], {}, None, class_mask=mask)
        yield _option_vector("row_mask", dtype, rows, targets, {}, None, row_mask=row_mask)
        for options in ({}, {"label_smoothing": 0.1}):
            yield _soft_vector(dtype, rows, options)
        teacher = normal(f"teacher {dtype}", dtype, 5, 4)
        for kind in ("kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon"):
            yield _divergence_vector(kind, dtype, rows, teacher)


def _means(losses, gradients, divisor):
    """Of rows, None for those that do not count, the mean and its gradient."""
    counted = [loss for loss in losses if loss]
    mean = exact.Exact(exact.add(x.value for x in counted) / divisor, exact.add(x.scale for x in counted) / divisor)
    zero = exact.own(exact.ZERO)
    flat = [exact.Exact(g.value / divisor, g.scale / divisor) if loss else zero
            for loss, row in zip(losses, gradients) for g in row]  # fmt: skip
    return {"loss": [mean], "grad_logits": flat}


def _option_vector(name, dtype, rows, targets, options, weight, class_mask=None, row_mask=None):
    given = exact_options.Options(**options, weight=weight, class_mask=class_mask)
    scored = [exact_options.Scored(row, given, dtype) for row in rows]
    counts = row_mask or [1] * len(rows)
    losses, gradients = [], []
    for row, t, n in zip(scored, targets, counts):
        classes = range(len(row.z))
        if "focal_gamma" in options:
            loss, gradient = (exact_options.focal_loss(row, t, given),
                              exact_options.focal_gradient(row, t, given, classes))  # fmt: skip
        else:
            a = exact_options.factors_of_index(row, t, given)
            loss, gradient = exact_options.loss(row, a, given), exact_options.gradient(row, a, given, classes)
        losses.append(loss if n else None)
        gradients.append(gradient)
    divisor = exact.add(given.weight_of(t) for t, n in zip(targets, counts) if n)
    known = {
        **_means(losses, gradients, divisor),
        "lse": [row.lse() for row in scored],
        "entropy": [row.entropy() for row in scored],
        "target_log_prob": [row.log_probability(t) if n else exact.own(exact.ZERO)
                            for row, t, n in zip(scored, targets, counts)],
        "argmax": [argmax(row.z) for row in scored],
        "target_rank": [sum(v > row.z[t] or (v == row.z[t] and c < t) for c, v in enumerate(row.z)) if n else -1
                        for row, t, n in zip(scored, targets, counts)],
        "correct": [sum(argmax(row.z) == t for row, t, n in zip(scored, targets, counts) if n)],
        "rows_counted": [sum(counts)],
    }  # fmt: skip
    inputs = without_nothing(logits=rows, targets=targets, weight=weight, class_mask=class_mask, row_mask=row_mask)
    return Vector(name, "cross_entropy", dtype, len(rows), 4, inputs, options, known, bound=16 if dtype == "f64" else 0)


def _soft_vector(dtype, rows, options):
    q = cast_rows([[0.25, 0.25, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0], [0.125, 0.5, 0.125, 0.25], [0.0, 0.5, 0.5, 0.0],
                   [0.7, 0.1, 0.1, 0.1]], dtype)  # fmt: skip
    given = exact_options.Options(**options)
    scored = [exact_options.Scored(row, given, dtype) for row in rows]
    factors = [exact_options.factors_of_probabilities(row, p, given) for row, p in zip(scored, q)]
    losses = [exact_options.loss(row, a, given) for row, a in zip(scored, factors)]
    gradients = [exact_options.gradient(row, a, given, range(4)) for row, a in zip(scored, factors)]
    name = "probabilities_smoothed" if options else "probabilities"
    return Vector(name, "cross_entropy", dtype, len(rows), 4, {"logits": rows, "probabilities": q}, options,
                  _means(losses, gradients, mpf(len(rows))), bound=16 if dtype == "f64" else 0)  # fmt: skip


def _divergence_vector(kind, dtype, rows, teacher):
    given = exact_options.Options()
    pairs = [exact_options.divergence(kind, *(exact_options.Scored(x, given, dtype) for x in pair))
             for pair in zip(rows, teacher)]  # fmt: skip
    return Vector(kind, "divergence", dtype, len(rows), 4, {"student": rows, "teacher": teacher},
                  {"divergence": kind} if kind != "kl" else {},
                  _means([loss for loss, _ in pairs], [g for _, g in pairs], mpf(len(rows))),
                  bound=16 if dtype == "f64" else 0)  # fmt: skip


def error_vectors():
    """What a caller can get wrong in every language; sizes that do not fit are for each binding to notice by itself."""
    rows = [[1.0, 2.0, 7.0], [4.0, 7.0, 9.0]]
    bad = "targets[{}] is {}, not in [0, 3) and not ignore_index (-100)"
    for name, function, targets, options, status, row, value, message in (
        ("target_too_large", "cross_entropy", [2, 3], {}, "TARGET", 1, 3, bad.format(1, 3)),
        ("target_negative", "cross_entropy", [-1, 0], {}, "TARGET", 0, -1, bad.format(0, -1)),
        ("target_of_64_bits", "nll", [0, 2**32], {}, "TARGET", 1, 2**32, bad.format(1, 2**32)),
        ("label_smoothing", "cross_entropy", [2, 0], {"label_smoothing": 1.5}, "OPTION", -1, 0,
         "label_smoothing is 1.5, not in [0, 1]"),
        ("together", "cross_entropy", [2, 0], {"label_smoothing": 0.5, "focal_gamma": 2.0}, "UNSUPPORTED", -1, 0,
         "label_smoothing and focal_gamma do not go together"),
    ):  # fmt: skip
        inputs = {"log_probs" if function == "nll" else "logits": rows, "targets": targets}
        error = {"status": f"XENT_ERR_{status}", "row": row, "value": value, "message": message}
        for dtype in ("f32", "f64"):
            yield Vector(name, function, dtype, 2, 3, inputs, options, {"loss": []}, error)


# ---- The file --------------------------------------------------------------------------------------------------------


def as_json(vector):
    case = {"name": vector.name, "function": vector.function, "dtype": vector.dtype, "rows": vector.rows,
            "classes": vector.classes,
            "inputs": {name: array(name, values, vector.dtype) for name, values in vector.inputs.items()},
            "options": vector.options}  # fmt: skip
    if vector.error:
        case["error"] = vector.error
    else:
        found = {n: output(n, results, vector.dtype, vector.bound) for n, results in vector.outputs.items()}
        case["outputs"] = {name: value for name, value in found.items() if value}
        if not case["outputs"]:
            raise ValueError(f"all of {vector.function} {vector.dtype} {vector.name} cancels")
    return case


def vectors_json():
    cases = [as_json(v) for part in (regime_vectors, option_vectors, error_vectors) for v in part()]
    about = "Written by Tests/Golden/generate.py; the format is described in vectors.py beside it"
    lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
    return f'{{"about":"{about}","format":1,"cases":[\n{lines}\n]}}\n'
