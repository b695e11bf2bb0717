#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The formulas that NUMERICS.md rejects, in NumPy, and how far off they are beside Xent's.

    PYTHONPATH=bindings/python/src python3 Tests/Accuracy/alternatives.py

f32 logits, errors in ulps of f32 against Xent's own f64 result on the same logits, which the accuracy tests hold to 2 ulp
of f64. Prints the largest error for each formula and regime as a Markdown table.
"""

import numpy as np
import xent

ROWS = 4000


def plain_f32(x, t):
    """The usual one: everything in f32, the maximum taken out."""
    m = x.max(axis=1)
    total = np.exp(x - m[:, None]).sum(axis=1, dtype=np.float32)
    return np.log(total) - (x[np.arange(len(t)), t] - m)


def shifted_sum(x, t):
    """One sum in f64 over all classes, the maximum taken out, log at the end: nothing but the formula is at fault."""
    x = x.astype(np.float64)
    m = x.max(axis=1)
    return np.log(np.exp(x - m[:, None]).sum(axis=1)) - (x[np.arange(len(t)), t] - m)


def others_f32(x, t):
    """log1p of the others' sum relative to the target, in f32."""
    rows = np.arange(len(t))
    terms = np.exp(x - x[rows, t][:, None])
    terms[rows, t] = 0
    return np.log1p(terms.sum(axis=1, dtype=np.float32))


def exact_loss(x, t):
    return xent.cross_entropy(x.astype(np.float64), t, reduction="none")


def xent_loss(x, t):
    return xent.cross_entropy(x, t, reduction="none")


def at_target(gradient, t):
    return gradient[np.arange(len(t)), t]


def p_minus_1_f32(x, t):
    return at_target(xent.softmax(x), t) - np.float32(1)


def p_minus_1_f64(x, t):
    return at_target(xent.softmax(x.astype(np.float64)), t) - 1


def exact_gradient(x, t):
    return at_target(xent.cross_entropy_with_grad(x.astype(np.float64), t, reduction="sum")[1], t)


def xent_gradient(x, t):
    return at_target(xent.cross_entropy_with_grad(x, t, reduction="sum")[1], t)


def regimes(random):
    """name -> logits and targets"""
    rows = np.arange(ROWS)
    targets = random.integers(0, 300, ROWS)
    normal = random.standard_normal((ROWS, 300)).astype(np.float32)
    for gap in (0, 15, 28, 77):
        x = normal.copy()
        x[rows, targets] += np.float32(gap)
        yield f"normal logits, the target {gap} higher", x, targets
    yield "all near 1e8", (normal + np.float32(1e8)).astype(np.float32), targets
    ties = np.repeat(random.uniform(-20, 20, (ROWS, 1)).astype(np.float32), 129, axis=1)
    ties[:, 0] += np.float32(10)
    yield "128 ties under the target", ties, np.zeros(ROWS, np.int64)


def ulps(got, exact):
    """The largest error; infinite where a finite value was missed altogether."""
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float32).astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))
    return np.inf if np.isnan(error).any() else error.max()


LOSSES = {"plain f32": plain_f32, "shifted sum in f64": shifted_sum, "others in f32": others_f32, "Xent": xent_loss}
GRADIENTS = {"p − 1, f32": p_minus_1_f32, "p − 1, f64": p_minus_1_f64, "Xent": xent_gradient}


def main():
    random = np.random.default_rng(1)
    print("| largest error in ulps | " + " | ".join([*LOSSES, *(f"gradient: {name}" for name in GRADIENTS)]) + " |")
    print("|---" * (1 + len(LOSSES) + len(GRADIENTS)) + "|")
    with np.errstate(over="ignore", divide="ignore"):
        for name, x, t in regimes(random):
            cells = [ulps(formula(x, t), exact_loss(x, t)) for formula in LOSSES.values()]
            cells += [ulps(formula(x, t), exact_gradient(x, t)) for formula in GRADIENTS.values()]
            print(f"| {name} | " + " | ".join(f"{cell:.2f}" if cell < 100 else f"{cell:.1e}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
