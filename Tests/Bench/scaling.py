# SPDX-License-Identifier: Apache-2.0
"""All threads against one, in one process and in turns, for arrays that fit the caches: what threads gain and cost."""

import gc
import statistics
import time

import numpy as np
from descriptors import descriptor, library
from operations import IN_PLACE, OPERATIONS, WARM
from problems import Problem

# From calls that no thread could help with to some milliseconds; 8192x1000 has 16 MiB in the half of it that is used.
SHAPES = ((1, 10), (32, 10), (8, 1000), (64, 1000), (256, 1000), (1, 262144), (65536, 10), (4096, 1000))
FORMS = (("forward", None), ("gradient", IN_PLACE), ("log_softmax", WARM), ("logsumexp", None))
MIN_VISIT = 0.002


def _calls(operation, output, problem, threads):
    """{number of threads: a function of one call}; the same arrays for all."""
    arrays = {"loss": np.zeros(1, np.float32), "lse": np.zeros(problem.targets.shape, np.float32)}
    logits = problem.in_place if output == IN_PLACE else problem.logits
    large = problem.in_place if output == IN_PLACE else problem.out
    arrays.update(dict.fromkeys(("grad", "log_probs", "probs"), large))
    calls = {}
    for number in (1, threads):
        function, args = descriptor(operation, problem, logits, arrays, number)
        calls[number] = lambda function=function, args=args: function(*args)
        problem.restore()
        if calls[number]():
            raise RuntimeError(library().xent_last_error().decode())
        error = problem.compare(operation, {n: arrays[n][0] if n == "loss" else arrays[n] for n in operation.outputs})
        if not error <= 1:
            raise ArithmeticError(f"{operation.name} with {number} threads is wrong by {error:.3g} times the tolerance")
    return calls


def _visit(call, problem, output, repeats):
    taken = []
    for _ in range(repeats + 1):
        if output == IN_PLACE:
            problem.restore()
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken[1:]


def measure(threads, seconds):
    """[{shape, operation, output, one, all}] in seconds per call."""
    library().xent_set_num_threads(threads)
    found = []
    for shape in SHAPES:
        problem = Problem(shape, "f32", 1)
        for name, output in FORMS:
            calls = _calls(OPERATIONS[name], output, problem, threads)
            estimate = statistics.median(_visit(calls[1], problem, output, 5))
            repeats = max(3, min(1000, int(MIN_VISIT / estimate)))
            taken = {number: [] for number in calls}
            end = time.perf_counter() + seconds
            gc.disable()
            while time.perf_counter() < end or len(taken[1]) < 3 * repeats:
                for number, call in calls.items():
                    taken[number] += _visit(call, problem, output, repeats)
            gc.enable()
            found.append({"shape": list(shape), "operation": name, "output": output, "threads": threads,
                          "one": statistics.median(taken[1]), "all": statistics.median(taken[threads])})  # fmt: skip
    return found
