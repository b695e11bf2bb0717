# SPDX-License-Identifier: Apache-2.0
"""Reads the golden data (Tests/Golden) and measures errors in ulps."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[3] / "Tests" / "Golden"
DTYPES = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
BOUNDS = {"f32": 1.0, "f64": 2.0}  # ulps, as xent.h promises
OUTPUTS = {
    "softmax": ("probs",),
    "log_softmax": ("log_probs",),
    "logsumexp": ("lse",),
    "nll": ("loss",),
    "cross_entropy": ("loss",),
    "cross_entropy_grad": ("loss", "grad_logits"),
    "log_softmax_grad": ("grad_logits",),
    "nll_grad": ("grad_log_probs",),
}
REDUCTIONS = ("none", "mean", "sum")


class Case:
    def __init__(self, head):
        words = head.split()
        self.name, self.function, self.suffix = words[1:4]
        options = dict(zip(words[4::2], map(int, words[5::2])))
        self.rows, self.classes = options["rows"], options["classes"]
        self.ignore_index = options.get("ignore_index")
        self.reduction = REDUCTIONS[options["reduction"]] if "reduction" in options else None
        self.dtype = DTYPES[self.suffix]
        self.inputs, self.outputs = {}, {}

    def add(self, line):
        name, *words = line.split()
        if name in OUTPUTS[self.function]:
            self.outputs[name] = np.array([float.fromhex(w) for w in words]).reshape(-1, 3)
        elif name == "targets":
            self.inputs[name] = np.array(words, np.int64)
        elif words == ["none"]:
            self.inputs[name] = None
        else:
            values = np.array([float.fromhex(w) for w in words]).astype(self.dtype)
            self.inputs[name] = values if name == "weight" else values.reshape(self.rows, self.classes)


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
    dtype = got.dtype
    hi, lo, scale = (column.reshape(got.shape) for column in expected.T)
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = hi.astype(dtype)
        step = np.spacing(scale.astype(dtype)).astype(np.longdouble)
        error = np.abs((got.astype(np.longdouble) - hi) - lo) / step
    special = ~np.isfinite(nearest)
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    return np.where(special, np.where(same, 0, np.inf), np.where(np.isfinite(got), error, np.inf)).astype(float)
