# SPDX-License-Identifier: Apache-2.0
"""Calls so small that what surrounds the loop over the logits is most of them."""

import gc
import statistics
import time

import numpy as np
from descriptors import library

SHAPES = ((1, 10), (32, 10), (8, 1000))
TURNS = 15


def _arrays(shape):
    random = np.random.default_rng(1)
    return random.standard_normal(shape, np.float32), random.integers(0, shape[1], shape[0])


def _exact(logits, targets):
    x = logits.astype(np.float64)
    return float((np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(x)), targets]).mean())


def _python_calls(shape):
    """{name: call}, or a text instead of the call where there is none."""
    logits, targets = _arrays(shape)
    calls = {}
    try:
        import xent

        calls["Python xent.cross_entropy"] = lambda: xent.cross_entropy(logits, targets)
    except ImportError as error:
        calls["Python xent.cross_entropy"] = f"missing: {error}"
    try:
        import torch

        args = torch.from_numpy(logits), torch.from_numpy(targets)
        calls["torch F.cross_entropy"] = lambda: torch.nn.functional.cross_entropy(*args)
    except ImportError as error:
        calls["torch F.cross_entropy"] = f"missing: {error}"
    return calls


def _each(call, count):
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def measure(native, calls):
    """[{shape, name, seconds or missing}], medians of turns of so many calls."""
    found = []
    for shape in SHAPES:
        logits, targets = _arrays(shape)
        loss = np.zeros(1, np.float32)
        exact = _exact(logits, targets)
        function = library().xent_cross_entropy_f32
        native.call(function, logits, targets, loss, 1)
        if not abs(loss[0] - exact) <= 1e-5 * exact:
            raise ArithmeticError(f"a small call gave {loss[0]}, not {exact}")
        loops = {
            "C, an empty function": lambda: native.call(native.empty, logits, targets, loss, calls),
            "C xent_cross_entropy_f32": lambda: native.call(function, logits, targets, loss, calls),
        }
        for name, call in _python_calls(shape).items():
            if isinstance(call, str):
                found.append({"shape": list(shape), "name": name, "missing": call})
                continue
            if not abs(float(call()) - exact) <= 1e-5 * exact:
                raise ArithmeticError(f"{name} gave {float(call())}, not {exact}")
            loops[name] = lambda call=call: _each(call, max(1, calls // 5))
        seconds = {name: [] for name in loops}
        gc.disable()
        for _ in range(TURNS):
            for name, loop in loops.items():
                seconds[name].append(loop())
        gc.enable()
        found += [{"shape": list(shape), "name": n, "seconds": statistics.median(s)} for n, s in seconds.items()]
    return found
