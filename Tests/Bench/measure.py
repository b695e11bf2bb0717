# SPDX-License-Identifier: Apache-2.0
"""One process with one number of threads: every subject checked, then timed in turns with the others and the roofline.

    measure.py --threads 1 --out build/bench/threads-1.json [--quick]

`run` starts it, with the numbers of threads that libraries only read when they are loaded in the environment.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
from pathlib import Path

import memory
import numpy as np
import scaling
import small
import subjects
from native import LOOPS, MOVED, PASSES, Native
from operations import KINDS, OPERATIONS, Plan, add_plan, shape_name, the_plan
from problems import Problem, aligned
from subjects import Settings, Subject, Unavailable

LEAST_TURNS, MOST_TURNS = 3, 50  # the least also for those that are far too slow to matter
# Libraries' threads spin after a call, on the processor that the next one's would have: measured, with two threads, PyTorch's for 10 ms
# and ONNX Runtime's for 60. Waited for in slices of so many seconds, until one has little of this process's time in it.
SLICE_SECONDS, IDLE_SHARE, MOST_SETTLE_SECONDS = 0.002, 0.2, 0.2


def offered(peers, operation, problem, notes):
    """Subjects of all the forms that give right results; says in notes why the others are not there."""
    found = []
    for name, peer in peers.items():
        forms = peer.forms.get(operation.name, [])
        if not forms:
            notes.append((name, "", "not offered"))
        for form, output, maker, *part in forms:
            try:
                call = maker(problem)
                subject = Subject(name, form, output, call, not part)
                check(subject, problem, OPERATIONS[part[0]] if part else operation)
                found.append(subject)
            except Unavailable as reason:
                notes.append((name, form, str(reason)))
            except Exception as error:  # whatever a library raises is its own result
                notes.append((name, form, f"failed: {type(error).__name__}: {error}".splitlines()[0]))
    return found


def check(subject, problem, operation):
    """Raises unless two calls in a row give the results, the second with what the first left in its arrays."""
    for _ in range(2):
        if subject.call.prepare:
            subject.call.prepare()
        value = subject.call.run()
        subject.error = max(subject.error, problem.compare(operation, subject.call.results(value)))
        del value
        if not subject.error <= 1:
            raise ArithmeticError(f"wrong by {subject.error:.3g} times the tolerance")


def settle():
    """Returns when no thread of this process is busy."""
    end = time.monotonic() + MOST_SETTLE_SECONDS
    while time.monotonic() < end:
        start, used = time.monotonic(), time.process_time()
        time.sleep(SLICE_SECONDS)
        if time.process_time() - used < IDLE_SHARE * (time.monotonic() - start):
            return


def visit(subject, estimate, seconds):
    """Some timed calls after one that is not, which finds the caches, the threads and the branches as they are."""
    call = subject.call
    calls = max(1, min(20, int(seconds / estimate)))
    settle()
    for i in range(calls + (estimate < seconds)):
        if call.prepare:
            call.prepare()
        start = time.perf_counter()
        value = call.run()
        taken = time.perf_counter() - start
        del value  # not while the next one is timed: a fresh result is freed by its owner
        if i or estimate >= seconds:
            subject.seconds.append(taken)


def take_turns(group, limits, plan, seed):
    """Times a group of subjects and passes, all in turn, in another order each time."""
    order = random.Random(seed)
    estimates = {}
    for subject in group:
        if subject.call.prepare:
            subject.call.prepare()
        start = time.perf_counter()
        value = subject.call.run()
        estimates[id(subject)] = max(time.perf_counter() - start, 1e-6)
        del value
    end = time.perf_counter() + plan.seconds
    least = min(estimates.values(), default=0)
    turn = 0
    while turn < plan.turns or (turn < MOST_TURNS and time.perf_counter() < end):
        running = [s for s in group if turn < LEAST_TURNS or estimates[id(s)] < plan.patience * least]
        order.shuffle(running)
        for subject in running:
            visit(subject, estimates[id(subject)], plan.visit_seconds)
        for limit in limits:
            settle()
            limit()
        least = min((statistics.median(s.seconds) for s in group), default=0)
        estimates = {id(s): statistics.median(s.seconds) for s in group}
        turn += 1


def passes_over(problem, native, threads, names):
    """({pass or loop: seconds}, functions that add to it): over the same arrays that the operation reads and writes, or for as many
    elements."""
    seconds = {name: [] for name in names}
    arrays = {
        "read": (problem.out, problem.logits), "copy": (problem.out, problem.logits),
        "copy_nt": (problem.out, problem.logits), "scale": (problem.in_place, problem.in_place),
    }  # fmt: skip

    def adding(name):
        def add():
            repeats = 3 if problem.nbytes > 1 << 25 else 10
            if name in LOOPS:
                found = native.loops(name, threads, problem.logits.size, repeats + 1)
            else:
                found = native.passes(name, threads, *arrays[name], repeats + 1)
            seconds[name] += (found or [])[1:]

        return add

    return seconds, [adding(name) for name in names]


def spread(seconds):
    low, middle, high = np.percentile(seconds, (25, 50, 75))
    return {"seconds": middle, "quartiles": [low, high], "samples": len(seconds)}


def cell(peers, operation, problem, native, threads, plan, seed):
    """One operation on one array: every form of every library."""
    notes = []
    group = offered(peers, operation, problem, notes)
    problem.forget()
    names = {name for limit in (*operation.limits.values(), operation.work) for name in limit}
    needed = sorted({kind for name in names for kind in KINDS.get(name, (name,))})
    passes, limits = passes_over(problem, native, threads, needed)
    gc.collect()
    gc.disable()
    try:
        take_turns(group, limits, plan, seed)
    finally:
        gc.enable()
    for subject in group:
        subject.extra_bytes = None if peers[subject.peer].pools else memory.extra_bytes(subject.call)
    return {
        "shape": list(problem.shape), "dtype": problem.dtype, "threads": threads, "operation": operation.name,
        "bytes": problem.nbytes, "classes": problem.classes,
        "subjects": [
            {"peer": s.peer, "form": s.form, "output": s.output, "whole": s.whole, "error": s.error,
             "extra_bytes": s.extra_bytes, **spread(s.seconds)}
            for s in group
        ],
        "passes": {name: spread(values)["seconds"] for name, values in passes.items() if values},
        "notes": notes,
    }  # fmt: skip


def roofline(native, threads, plan):
    """GB/s of each pass over arrays from 64 KiB to far beyond the caches."""
    points = []
    sizes = [1 << power for power in range(16, plan.pass_power + 1)]
    source, out = aligned(sizes[-1], np.uint8), aligned(sizes[-1], np.uint8)
    for size in sizes:
        for name in PASSES:
            once = native.passes(name, threads, out[:size], source[:size], 2)
            if once is None:
                continue
            repeats = max(5, min(200, int(plan.pass_seconds / once[1])))
            seconds = statistics.median(native.passes(name, threads, out[:size], source[:size], repeats))
            points.append({"pass": name, "threads": threads, "bytes": size, "seconds": seconds,
                           "bytes_per_second": MOVED[name] * size / seconds})  # fmt: skip
    return points


def arithmetic(native, threads):
    """Seconds an element of each loop of arithmetic that this machine has."""
    elements, repeats = 1 << 20, 20
    found = {name: native.loops(name, threads, elements, repeats) for name in LOOPS}
    return {name: statistics.median(seconds) / elements for name, seconds in found.items() if seconds}


def measure(plan, arguments, say):
    """Everything of one process, as results.json has it."""
    end = time.monotonic() + plan.process_seconds
    threads, folder = arguments.threads, arguments.out.parent
    native = Native(folder)
    peers, missing = subjects.load(["xent", *plan.peers], Settings(threads, plan.compiled, str(folder)))
    missing.update((name, "not asked for in this run") for name in Plan.peers if name not in plan.peers)
    for name, reason in missing.items():
        say(f"missing: {name}: {reason}")
    gc.collect()
    gc.freeze()  # what the libraries are made of stays: to go through it takes longer than most of what is measured
    say("loaded")
    results = {
        "threads": threads, "missing": missing,
        "names": {name: peer.name for name, peer in peers.items()},
        "versions": {name: peer.version for name, peer in peers.items()},
        "roofline": roofline(native, threads, plan), "arithmetic": arithmetic(native, threads),
        "small": small.measure(native, plan.small_calls),
        "scaling": scaling.measure(threads, plan.scaling_seconds) if threads > 1 else [], "cells": [], "skipped": [],
    }  # fmt: skip
    say("roofline, small calls, scaling")
    for shape in plan.shapes:
        for dtype, operations in plan.operations.items():
            problem = Problem(shape, dtype, arguments.seed) if time.monotonic() < end else None
            for name in operations:
                if time.monotonic() >= end:
                    results["skipped"].append(f"{dtype} {shape_name(shape)} {name}")
                    continue
                found = cell(peers, OPERATIONS[name], problem, native, threads, plan, arguments.seed)
                results["cells"].append(found)
                gc.collect()
            say(f"{dtype} {shape_name(shape)}")
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    add_plan(parser)
    arguments = parser.parse_args()
    start = time.monotonic()

    def say(text):
        where = f"{arguments.threads} thread{'s' * (arguments.threads > 1)}"
        print(f"{where}, {time.monotonic() - start:.0f} s: {text}", file=sys.stderr, flush=True)

    arguments.out.write_text(json.dumps(measure(the_plan(arguments), arguments, say), indent=1))


if __name__ == "__main__":
    main()
