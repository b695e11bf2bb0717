# SPDX-License-Identifier: Apache-2.0
"""The same bits whatever does the work: any number of threads, any CPU level, many callers at once, a forked child."""

import hashlib
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ml_dtypes import bfloat16

import xent

# Many rows, few rows, one row: each is worth sharing out, in its own way.
SHAPES = [(60_000, 10), (2_000, 1_000), (3, 300_000), (1, 1_000_003)]


@pytest.fixture(autouse=True)
def automatic_threads():
    yield
    xent.set_num_threads(0)


def problem(shape, dtype):
    rng = np.random.default_rng(99)
    x = rng.normal(size=shape).astype(dtype) * 4
    targets = rng.integers(0, shape[1], shape[0])
    targets[::7] = -100
    targets[0] = shape[1] - 1
    return x, targets, rng.uniform(0.5, 2, shape[1]).astype(dtype)


def results(x, targets, weight):
    """What every function makes of one problem."""
    log_probs = xent.log_softmax(x)
    arrays = [xent.softmax(x), log_probs, xent.logsumexp(x), xent.log_softmax_grad(log_probs, x)]
    for reduction in ("none", "mean", "sum"):
        named = {"weight": weight, "reduction": reduction}
        arrays += xent.cross_entropy_with_grad(x, targets, **named)
        arrays += [xent.cross_entropy(x, targets, **named), xent.nll_loss(log_probs, targets, **named)]
        arrays.append(xent.nll_loss_grad(targets, x.shape[1], dtype=x.dtype, **named))
    return arrays + described(x, targets, weight)


def described(x, targets, weight):
    """What the descriptor calls make of it, of rows that lie apart and of their 16-bit halves."""
    teacher = x[::-1, ::-1]
    names = ("loss", "grad", "lse", "entropy", "argmax", "target_rank", "top_log_probs", "loss_sum", "weight_sum")
    options = {"label_smoothing": 0.1, "z_loss": 1e-3, "temperature": 1.5, "top_k": min(5, x.shape[1])}
    arrays = [*xent.cross_entropy(teacher, targets[::-1], weight, outputs=names, **options)]
    for half in (np.float16, bfloat16):
        arrays += xent.cross_entropy_with_grad(teacher.astype(half), targets.astype(np.int32), weight.astype(half))
    arrays += xent.divergence(x, teacher, "jensen_shannon", outputs=("loss", "grad"))
    arrays += xent.binary_cross_entropy_with_logits(x, teacher > 0, weight, outputs=("loss", "grad"))
    return arrays


def digest(arrays):
    """A hash of the bits, in which every NaN counts as the same."""
    total = hashlib.sha256()
    for array in arrays:
        array = np.array(array)
        if array.dtype.kind != "i":
            array[np.isnan(array)] = np.nan
        total.update(array.tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_number_of_threads(shape, dtype):
    x, targets, weight = problem(shape, dtype)
    seen = {}
    for number in (1, 2, 3, 8):
        xent.set_num_threads(number)
        assert xent.get_num_threads() == number
        seen[number] = digest(results(x, targets, weight))
    assert len(set(seen.values())) == 1, seen


def child(code, **environment):
    """Runs Python in a new process, with this one's xent."""
    here = os.path.dirname(__file__)
    path = os.pathsep.join([os.path.dirname(os.path.dirname(xent.__file__)), here])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_cpu_levels():
    code = (
        "import numpy as np, xent\n"
        "from test_threads import digest, problem, results\n"
        "shapes = [(500, 10), (40, 1000), (2, 30000)]\n"
        "all = [digest(results(*problem(s, d))) for s in shapes for d in (np.float32, np.float64)]\n"
        "print(xent.cpu_level(), *all)\n"
    )
    answers = {}
    for level in ("baseline", "v3", "v4", "no such level"):
        done = child(code, XENT_CPU_LEVEL=level)
        assert done.returncode == 0, done.stderr
        used, *digests = done.stdout.split()
        answers[level] = digests
        assert used == level or level != "baseline"
    assert len(answers["baseline"]) == 6
    assert all(digests == answers["baseline"] for digests in answers.values()), answers


def test_threads_from_the_environment():
    code = "import xent; print(xent.get_num_threads())"
    assert child(code, XENT_NUM_THREADS="3").stdout == "3\n"
    automatic = child(code, XENT_NUM_THREADS="").stdout
    assert int(automatic) >= 1
    for bad in ("0", "-1", "1025", "two", "3x"):
        assert child(code, XENT_NUM_THREADS=bad).stdout == automatic
    assert child("import xent; xent.set_num_threads(5); " + code, XENT_NUM_THREADS="3").stdout == "5\n"


def test_many_callers_at_once(dtype):
    x, targets, weight = problem((600, 500), dtype)
    expected = digest(results(x, targets, weight))
    failures, start = [], threading.Barrier(8)

    def call(which):
        start.wait()
        for turn in range(4):
            if digest(results(x, targets, weight)) != expected:
                failures.append((which, turn))
            try:
                xent.cross_entropy(x, targets * 0 + 1000 + which)
            except IndexError as error:  # each thread has its own error text
                if f"targets[0] is {1000 + which}," not in str(error):
                    failures.append((which, str(error)))

    callers = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=120)
    assert not any(caller.is_alive() for caller in callers)
    assert not failures


def test_changing_the_number_while_others_call():
    x, targets, weight = problem((4_000, 100), np.float32)
    expected = digest(results(x, targets, weight))
    wrong, stop = [], threading.Event()

    def call():
        while not stop.is_set():
            if digest(results(x, targets, weight)) != expected:
                wrong.append(xent.get_num_threads())

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    for turn in range(60):
        xent.set_num_threads((1, 2, 5, 0)[turn % 4])
    stop.set()
    for caller in callers:
        caller.join(timeout=120)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong


def test_the_gil_is_released():
    x = np.zeros((2_000, 5_000), np.float32)
    xent.set_num_threads(1)
    done = threading.Event()
    worker = threading.Thread(target=lambda: (xent.softmax(x, out=x), done.set()))
    switch = sys.getswitchinterval()
    turns = 0
    worker.start()
    while not done.is_set():
        turns += 1
        time.sleep(0.0005)
    worker.join()
    assert turns > 3, f"Python could run only {turns} times beside a call that takes longer than {switch} s"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_forked_child_goes_on_calling(number):
    x, targets, weight = problem((20_000, 40), np.float32)
    xent.set_num_threads(number)
    expected = digest(results(x, targets, weight))  # the library's threads now exist, and the child will not have them
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                xent.set_num_threads(number)
                code = 0 if digest(results(x, targets, weight)) == expected else 2
            finally:
                os._exit(code)
        deadline = time.monotonic() + 60
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > deadline:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                pytest.fail("the child hangs")
            time.sleep(0.002)
        assert os.waitstatus_to_exitcode(status) == 0
    assert digest(results(x, targets, weight)) == expected  # and the parent is none the worse
