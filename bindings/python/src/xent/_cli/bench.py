# SPDX-License-Identifier: Apache-2.0
"""``python -m xent bench``: xent beside NumPy's formula, SciPy and PyTorch, on the user's own machine.

One thing is timed after the other, round after round, and the medians are compared: what else the machine does then
falls on all of them alike.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from statistics import median
from typing import Any, Callable

import numpy as np

from .. import _cross_entropy as xent
from .._arrays import Array
from .._library import cpu_level, get_num_threads, version
from .arrays import InputError

SUMMARY = "the speed of the loss on this machine, beside NumPy, SciPy and PyTorch"
DESCRIPTION = "Times the mean cross-entropy of random logits, alone and with its gradient. Peers are those installed."
_LEAST_ROUNDS = 3
_DTYPES = ("float32", "float64", "float16")

Task = Callable[[], Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=512, metavar="N", help="(512)")
    parser.add_argument("--classes", type=int, default=32768, metavar="N", help="(32768)")
    parser.add_argument("--dtype", choices=_DTYPES, default="float32", help="of the logits (float32)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="for xent and PyTorch (0: all processors)")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S", help="how long about (6)")
    parser.add_argument("--json", action="store_true", help="prints JSON")


def _numpy_tasks(logits: Array, target: Array) -> dict[str, Task]:
    rows = np.arange(len(target))

    def parts() -> tuple[Array, Any, Any]:
        shifted = logits - logits.max(axis=1, keepdims=True)
        exps = np.exp(shifted)
        total = exps.sum(axis=1, keepdims=True)
        return exps, total, (np.log(total[:, 0]) - shifted[rows, target]).mean()

    def loss_and_grad() -> Any:
        grad, total, loss = parts()
        grad /= total
        grad[rows, target] -= 1
        grad /= len(target)
        return loss, grad

    return {"loss": lambda: parts()[-1], "loss and gradient": loss_and_grad}


def _scipy_tasks(logits: Array, target: Array) -> dict[str, Task]:
    logsumexp = importlib.import_module("scipy.special").logsumexp
    rows = np.arange(len(target))
    return {"loss": lambda: (logsumexp(logits, axis=1) - logits[rows, target]).mean()}


def _torch_tasks(logits: Array, target: Array, threads: int) -> dict[str, Task]:
    torch: Any = importlib.import_module("torch")
    if threads:
        torch.set_num_threads(threads)
    leaf, index = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(target)

    def loss() -> Any:
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(leaf, index)

    def loss_and_grad() -> Any:
        value = torch.nn.functional.cross_entropy(leaf, index)
        return value, torch.autograd.grad(value, leaf)

    return {"loss": loss, "loss and gradient": loss_and_grad}


def _xent_tasks(logits: Array, target: Array, threads: int) -> dict[str, Task]:
    return {
        "loss": lambda: xent.cross_entropy(logits, target, num_threads=threads),
        "loss and gradient": lambda: xent.cross_entropy_with_grad(logits, target, num_threads=threads),
    }


def _contestants(logits: Array, target: Array, threads: int) -> dict[tuple[str, str], Task]:
    """(what is computed, who computes it) -> how."""
    makers: dict[str, Callable[[], dict[str, Task]]] = {
        "xent": lambda: _xent_tasks(logits, target, threads),
        "numpy": lambda: _numpy_tasks(logits, target),
        "scipy": lambda: _scipy_tasks(logits, target),
        "torch": lambda: _torch_tasks(logits, target, threads),
    }
    found = {}
    for name, make in makers.items():
        try:
            tasks = make()
        except ImportError:
            continue
        found.update({(work, name): task for work, task in tasks.items()})
    return dict(sorted(found.items(), key=lambda item: item[0][0] != "loss"))


def measure(tasks: dict[tuple[str, str], Task], seconds: float) -> dict[tuple[str, str], float]:
    """The median time of each, in seconds."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in tasks}
    end = time.monotonic() + seconds
    for task in tasks.values():  # memory, threads and caches are got ready
        task()
    rounds = 0
    while rounds < _LEAST_ROUNDS or time.monotonic() < end:
        for key, task in tasks.items():
            start = time.perf_counter()
            task()
            times[key].append(time.perf_counter() - start)
        rounds += 1
    return {key: median(values) for key, values in times.items()}


def run(arguments: argparse.Namespace) -> None:
    for name, least in (("rows", 1), ("classes", 1), ("threads", 0)):
        if getattr(arguments, name) < least:
            raise InputError(f"--{name} is {getattr(arguments, name)}, must be at least {least}")
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((arguments.rows, arguments.classes), np.float32).astype(arguments.dtype)
    target = rng.integers(0, arguments.classes, arguments.rows)
    try:
        medians = measure(_contestants(logits, target, arguments.threads), arguments.seconds)
    except ValueError as error:  # more threads than there can be
        raise InputError(str(error)) from None
    threads = arguments.threads or get_num_threads()
    lines = [
        {
            "work": work,
            "by": name,
            "ms": round(1e3 * seconds, 4),
            # The loss has to read the logits once; the gradient is as much again to write.
            "GB/s": round(logits.nbytes * (1 if work == "loss" else 2) / seconds / 1e9, 3),
            "times xent": round(seconds / medians[work, "xent"], 2),
        }
        for (work, name), seconds in medians.items()
    ]
    about = {
        "rows": arguments.rows,
        "classes": arguments.classes,
        "dtype": arguments.dtype,
        "threads": threads,
        "CPU level": cpu_level(),
        "xent": version(),
    }
    if arguments.json:
        print(json.dumps({**about, "results": lines}, indent=2))
        return
    print(
        f"{arguments.rows:,} x {arguments.classes:,} {arguments.dtype} ({logits.nbytes / 1e6:,.0f} MB), {threads} threads "
        f"for xent and torch, CPU level {cpu_level()}, xent {version()}\n"
    )
    print(f"{'':<18} {'':<6} {'median ms':>10} {'GB/s':>7} {'times xent':>11}")
    for line in lines:
        print(
            f"{line['work']:<18} {line['by']:<6} {line['ms']:>10.3f} {line['GB/s']:>7.2f} {line['times xent']:>11.2f}"
        )
