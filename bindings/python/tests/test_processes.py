# SPDX-License-Identifier: Apache-2.0
"""Python's ways of having more than one of something: processes, threads, interpreters; and the end of an interpreter
with calls in flight."""

import concurrent.futures
import multiprocessing
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import xent
from xent import _library


def problem(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(700, 300)).astype(np.float32) * 4, rng.integers(0, 300, 700)


def loss_and_gradient(seed):
    loss, grad = xent.cross_entropy_with_grad(*problem(seed))
    return loss.tobytes() + grad.tobytes()


def forward_only(seed):
    return xent.softmax(problem(seed)[0]).tobytes()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method):
    xent.set_num_threads(3)
    wanted = [loss_and_gradient(seed) for seed in range(6)]  # the parent's threads are in use by now
    with multiprocessing.get_context(method).Pool(2) as pool:
        got = pool.map_async(loss_and_gradient, range(6)).get(timeout=60)
    assert got == wanted
    xent.set_num_threads(0)


def test_process_executor_while_threads_call():
    wanted = [forward_only(seed) for seed in range(4)]
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        busy = [threads.submit(loss_and_gradient, seed % 4) for seed in range(40)]
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as processes:
            assert list(processes.map(forward_only, range(4), timeout=60)) == wanted
        assert len({future.result(timeout=60) for future in busy}) == 4


def test_thread_executor():
    wanted = [loss_and_gradient(seed) for seed in range(8)]
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        assert list(threads.map(loss_and_gradient, list(range(8)) * 4, timeout=60)) == wanted * 4


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True,
                          timeout=60)  # fmt: skip
    return done.returncode, done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize("round", range(3))
def test_interpreter_ends_with_calls_in_flight(round):
    code = """
        import threading, time, numpy as np, xent
        x = np.ones((3000, 400), np.float32)
        t = np.zeros(3000, np.int64)
        def work():
            while True:
                xent.cross_entropy_with_grad(x, t)
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.1)
        print("over")
    """
    assert run(code) == (0, "over", "")


def test_calls_from_atexit():
    code = """
        import atexit, threading, numpy as np, xent
        def last():
            loss = xent.cross_entropy(np.zeros((5000, 100), np.float32), np.zeros(5000, np.int64))
            print(round(float(loss), 4))
        atexit.register(last)
        xent.set_num_threads(4)
        last()
    """
    assert run(code) == (0, "4.6052\n4.6052", "")


def test_sub_interpreters():
    """With ctypes alone: NumPy is for one interpreter."""
    try:
        import _interpreters  # noqa: F401
    except ImportError:
        pytest.importorskip("_xxsubinterpreters")
    code = """
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        body = '''if True:
            import ctypes
            library = ctypes.CDLL(PATH)
            x = (ctypes.c_float * 3)(1, 2, 7)
            target = (ctypes.c_int64 * 1)(2)
            loss = ctypes.c_float()
            call = library.xent_cross_entropy_f32
            call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
                             ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p]
            assert library.xent_set_num_threads(3) == 0
            for _ in range(100):
                assert call(x, target, 1, 3, None, -100, 1, ctypes.byref(loss)) == 0
            assert abs(loss.value - 0.009174) < 1e-5, loss.value
            print("right", flush=True)
        '''
        body = body.replace("PATH", repr(sys.argv[1]))
        exec(body)
        for _ in range(5):
            each = interpreters.create()
            problem = interpreters.run_string(each, body)
            assert problem is None, problem
            interpreters.destroy(each)
    """
    status, output, errors = run(code, _library.library._name)
    assert (status, output.split()) == (0, ["right"] * 6), errors
