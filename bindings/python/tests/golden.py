# SPDX-License-Identifier: Apache-2.0
"""Reads the golden data (Tests/Golden) and measures errors in ulps."""

from pathlib import Path

import ml_dtypes
import numpy as np

FOLDER = Path(__file__).resolve().parents[3] / "Tests" / "Golden"
DTYPES = {
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
}
# Bits of the fraction, and the exponent of the smallest normal number.
FORMATS = {"float32": (23, -126), "float64": (52, -1022), "float16": (10, -14), "bfloat16": (7, -126)}
# In ulps, as xent.h promises: a 16-bit number within 1 ulp is the nearest or its neighbour.
BOUNDS = {"f32": 1.0, "f64": 2.0, "f16": 1.0, "bf16": 1.0}
OUTPUTS = {
    "softmax": ("probs",),
    "log_softmax": ("log_probs",),
    "logsumexp": ("lse",),
    "nll": ("loss",),
    "cross_entropy": ("loss",),
    "binary_cross_entropy": ("loss",),
    "cross_entropy_grad": ("loss", "grad_logits"),
    "binary_cross_entropy_grad": ("loss", "grad_logits"),
    "softmax_grad": ("grad_logits",),
    "log_softmax_grad": ("grad_logits",),
    "logsumexp_grad": ("grad_logits",),
    "nll_grad": ("grad_log_probs",),
}
REDUCTIONS = ("none", "mean", "sum", "mean_rows")
REAL = ("loss", "lse")  # outputs of the dtype of losses; the others have the logits'


class Case:
    def __init__(self, head):
        words = head.split()
        self.name, self.function, self.suffix = words[1:4]
        options = dict(zip(words[4::2], map(int, words[5::2])))
        self.rows, self.classes = options["rows"], options["classes"]
        self.ignore_index = options.get("ignore_index")
        self.reduction = REDUCTIONS[options["reduction"]] if "reduction" in options else None
        self.dtype = DTYPES[self.suffix]
        self.real = DTYPES["f64" if self.suffix == "f64" else "f32"]
        self.inputs, self.outputs = {}, {}

    def add(self, line):
        name, *words = line.split()
        if name in OUTPUTS[self.function]:
            self.outputs[name] = np.array([float.fromhex(w) for w in words]).reshape(-1, 3)
        elif name == "targets" and "binary" not in self.function:
            self.inputs[name] = np.array(words, np.int64)
        elif words == ["none"]:
            self.inputs[name] = None
        else:
            values = np.array([float.fromhex(w) for w in words])
            if name in ("weight", "pos_weight", "grad_lse"):
                self.inputs[name] = values.astype(self.real)
            else:
                self.inputs[name] = values.astype(self.dtype).reshape(self.rows, self.classes)

    def dtype_of(self, output):
        return self.real if output in REAL else self.dtype


def read(function):
    """Every case of a function, in the order of the file."""
    cases = []
    for line in (FOLDER / f"{function}.txt").read_text().splitlines():
        if line.startswith("case "):
            cases.append(Case(line))
        elif line and not line.startswith("#") and line != "end":
            cases[-1].add(line)
    return cases


def ulps(got, expected):
    """The error of each element; infinite where a NaN or an infinity is missing or out of place."""
    bits, smallest = FORMATS[got.dtype.name]
    hi, lo, scale = (column.reshape(got.shape) for column in expected.T)
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = hi.astype(got.dtype).astype(float)
        exponent = np.where(scale == 0, smallest, np.maximum(np.frexp(scale)[1] - 1, smallest))
        step = np.ldexp(np.longdouble(1), exponent - bits)
        error = np.abs((got.astype(np.longdouble) - hi) - lo) / step
    special = ~np.isfinite(nearest)
    values = got.astype(float)
    same = (values == nearest) | (np.isnan(values) & np.isnan(nearest))
    return np.where(special, np.where(same, 0, np.inf), np.where(np.isfinite(values), error, np.inf)).astype(float)
