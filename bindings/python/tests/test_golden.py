# SPDX-License-Identifier: Apache-2.0
"""Every plain function against exact results, at the bounds that xent.h documents."""

import numpy as np
import pytest
from golden import BOUNDS, DTYPES, OUTPUTS, read, ulps

import xent

TWO_INPUTS = {
    "softmax_grad": xent.softmax_grad,
    "log_softmax_grad": xent.log_softmax_grad,
    "logsumexp_grad": xent.logsumexp_grad,
}
LOSSES = {
    "nll": xent.nll_loss,
    "cross_entropy": xent.cross_entropy,
    "cross_entropy_grad": xent.cross_entropy_with_grad,
    "binary_cross_entropy": xent.binary_cross_entropy_with_logits,
    "binary_cross_entropy_grad": xent.binary_cross_entropy_with_logits_with_grad,
}


def run(case):
    """A function's outputs as a tuple."""
    inputs = dict(case.inputs)
    options = {name: inputs.pop(name) for name in ("weight", "pos_weight") if name in inputs}
    options |= {name: getattr(case, name) for name in ("reduction", "ignore_index") if getattr(case, name) is not None}
    if case.function == "nll_grad":
        return (xent.nll_loss_grad(inputs["targets"], case.classes, dtype=case.dtype, **options),)
    function = TWO_INPUTS.get(case.function) or LOSSES.get(case.function) or getattr(xent, case.function)
    got = function(*inputs.values(), **options)
    return got if isinstance(got, tuple) else (got,)


CASES = [case for function in OUTPUTS for case in read(function)]


def test_the_data_is_all_there():
    for suffix in DTYPES:
        counts = {f: sum(case.function == f and case.suffix == suffix for case in CASES) for f in OUTPUTS}
        assert min(counts.values()) >= 10 and sum(counts.values()) >= 400
    for case in CASES:
        assert tuple(case.outputs) == OUTPUTS[case.function]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.function}-{case.suffix}-{case.name}")
def test_golden(case):
    for (name, expected), got in zip(case.outputs.items(), run(case)):
        got = np.asarray(got)
        assert got.dtype == case.dtype_of(name)
        assert got.size == len(expected)
        error = ulps(got, expected)
        worst = int(error.argmax()) if error.size else 0
        assert not error.size or error.flat[worst] <= BOUNDS[case.suffix], (
            f"{name}[{worst}] is {got.flat[worst]!r}, exactly {expected[worst][0]!r}: {error.flat[worst]} ulp"
        )


@pytest.mark.parametrize("suffix", ["f16", "bf16"])
def test_sixteen_bits_are_nearly_always_the_nearest(suffix):
    nearest = elements = 0
    for case in CASES:
        if case.suffix != suffix:
            continue
        for (name, expected), got in zip(case.outputs.items(), run(case)):
            if case.dtype_of(name) == case.dtype:
                error = ulps(np.asarray(got), expected)
                nearest += int((error <= 0.5).sum())
                elements += error.size
    assert elements > 5000
    assert nearest / elements >= 0.999


def test_ulps_sees_errors():
    exact = np.array([[1.0, 2.0**-30, 1.0], [np.inf, 0, 1], [np.nan, 0, 1], [1e39, 0, 1.0], [0.0, 0, 0.0]])
    good = np.array([1.0, np.inf, np.nan, np.inf, 0.0], np.float32)
    assert ulps(good, exact)[0] == pytest.approx(2.0**-7)
    assert (ulps(good, exact)[1:] == 0).all()
    bad = np.array([1 + 2.0**-22, 3e38, 0.0, -np.inf, 2e-45], np.float32)
    assert (ulps(bad, exact) >= [1.9, np.inf, np.inf, np.inf, 1.0]).all()
    for dtype, above in ((DTYPES["f16"], 2.0**-10), (DTYPES["bf16"], 2.0**-7)):
        assert ulps(np.array([1 + above], dtype), exact[:1]) == pytest.approx(1, rel=1e-2)
