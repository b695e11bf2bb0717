# SPDX-License-Identifier: Apache-2.0
"""Every function against exact results, at the bounds that xent.h documents."""

import numpy as np
import pytest
from golden import BOUNDS, OUTPUTS, read, ulps

import xent


def options(case):
    names = {"weight": case.inputs["weight"], "ignore_index": case.ignore_index, "reduction": case.reduction}
    return (case.inputs["targets"],), names


def run(case):
    first = next(iter(case.inputs.values()))
    if case.function in ("softmax", "log_softmax", "logsumexp"):
        return (getattr(xent, case.function)(first),)
    if case.function == "log_softmax_grad":
        return (xent.log_softmax_grad(first, case.inputs["grad_log_probs"]),)
    (targets,), named = options(case)
    if case.function == "nll":
        return (xent.nll_loss(first, targets, **named),)
    if case.function == "cross_entropy":
        return (xent.cross_entropy(first, targets, **named),)
    if case.function == "cross_entropy_grad":
        return xent.cross_entropy_with_grad(first, targets, **named)
    return (xent.nll_loss_grad(targets, case.classes, dtype=case.dtype, **named),)


CASES = [case for function in OUTPUTS for case in read(function)]


def test_the_data_is_all_there():
    counts = {function: sum(case.function == function for case in CASES) for function in OUTPUTS}
    assert min(counts.values()) >= 20 and sum(counts.values()) >= 800
    for case in CASES:
        assert tuple(case.outputs) == OUTPUTS[case.function]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.function}-{case.suffix}-{case.name}")
def test_golden(case):
    for (name, expected), got in zip(case.outputs.items(), run(case)):
        got = np.asarray(got)
        assert got.dtype == case.dtype
        assert got.size == len(expected)
        error = ulps(got, expected)
        worst = int(error.argmax()) if error.size else 0
        assert not error.size or error.flat[worst] <= BOUNDS[case.suffix], (
            f"{name}[{worst}] is {got.flat[worst]!r}, exactly {expected[worst][0]!r}: {error.flat[worst]} ulp"
        )


def test_ulps_sees_errors():
    exact = np.array([[1.0, 2.0**-30, 1.0], [np.inf, 0, 1], [np.nan, 0, 1], [1e39, 0, 1.0], [0.0, 0, 0.0]])
    good = np.array([1.0, np.inf, np.nan, np.inf, 0.0], np.float32)
    assert ulps(good, exact)[0] == pytest.approx(2.0**-7)
    assert (ulps(good, exact)[1:] == 0).all()
    bad = np.array([1 + 2.0**-22, 3e38, 0.0, -np.inf, 2e-45], np.float32)
    assert (ulps(bad, exact) >= [1.9, np.inf, np.inf, np.inf, 1.0]).all()
