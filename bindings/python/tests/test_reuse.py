# SPDX-License-Identifier: Apache-2.0
"""The memory of large results: whose it is, when another result gets it, and how much is kept for that."""

from __future__ import annotations

import concurrent.futures
import copy
import gc
import multiprocessing
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import xent
from xent import _memory

pytestmark = pytest.mark.skipif(not _memory._HAS_PAGES, reason="results have memory of their own on Linux alone")

MIB = 1 << 20
X = np.random.default_rng(1).normal(size=(1200, 1000)).astype(np.float32)  # 4.6 MiB
PROBS = xent.softmax(X, out=np.empty_like(X))


@pytest.fixture(autouse=True)
def nothing_kept():
    """At the beginning of a test; and the limit is as it was at the end."""
    limit = xent.get_reuse_limit()
    xent.set_reuse_limit(0)
    xent.set_reuse_limit(limit)
    yield
    xent.set_reuse_limit(limit)


def place(array):
    return array.__array_interface__["data"][0]


def kept():
    return sum(map(len, _memory._kept))


def test_memory_comes_back():
    first = xent.softmax(X)
    where = place(first)
    assert kept() == 0
    del first
    assert X.nbytes <= kept() <= X.nbytes + 4 * MIB
    second = xent.log_softmax(X)
    assert place(second) == where and kept() == 0
    third = xent.softmax(X)
    assert place(third) != where and not np.may_share_memory(second, third)
    np.testing.assert_array_equal(third, PROBS)


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a[5:7],
        lambda a: a.T.reshape(1000, 1200)[::2].view(np.int32),
        lambda a: memoryview(a),
        lambda a: np.asarray(a)[3:].base,
        lambda a: a.base,
        lambda a: a.flat,
        lambda a: np.from_dlpack(a),
        lambda a: np.frombuffer(a, np.uint8),
        lambda a: a.ctypes,
        lambda a: [a],
    ],
    ids=["slice", "view", "memoryview", "base of slice", "base", "iterator", "dlpack", "frombuffer", "ctypes", "list"],
)
def test_whatever_shows_it_holds_it(hold):
    result = xent.softmax(X)
    where, held = place(result), hold(result)
    del result
    gc.collect()
    assert kept() == 0
    others = [xent.log_softmax(X) for _ in range(3)]
    assert where not in map(place, others)
    del others, held
    gc.collect()
    assert kept() > 0


def test_views_keep_their_numbers():
    rows = [xent.softmax(X)[i] for i in range(0, 1200, 100)]
    for _ in range(3):
        xent.log_softmax(X)
    np.testing.assert_array_equal(rows, PROBS[::100])


def test_torch_holds_it():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(xent.softmax(X))[5:]
    xent.log_softmax(X)
    np.testing.assert_array_equal(tensor.numpy(), PROBS[5:])
    del tensor
    assert kept() > 2 * X.nbytes


def test_it_is_an_array_like_any_other(any_dtype):
    x = np.random.default_rng(2).normal(size=(5000, 1000)).astype(any_dtype)
    result = xent.softmax(x)
    assert type(result) is np.ndarray and (result.dtype, result.shape) == (x.dtype, x.shape)
    flags = result.flags
    assert flags.c_contiguous and flags.writeable and flags.aligned and place(result) % (2 * MIB) == 0
    copied = result.copy()
    for other in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        np.testing.assert_array_equal(other, result)
        assert not np.may_share_memory(other, result)
    result[:] = 0
    result += result.dtype.type(1)
    assert (result == 1).all() and not (copied == 1).all()
    with pytest.raises(ValueError, match="does not own its data"):
        result.resize((10, 10))


@pytest.mark.parametrize(
    "arrange",
    [
        lambda a: a.T,
        lambda a: a.transpose(1, 2, 0),
        lambda a: a.transpose(2, 0, 1)[::-1],
        lambda a: a[:, ::2],
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: a.swapaxes(0, 1)[:, :, ::-1],
    ],
)
def test_axes_lie_as_in_what_was_given(arrange, monkeypatch):
    monkeypatch.setattr(_memory, "LEAST", 1)
    x = arrange(np.random.default_rng(3).normal(size=(6, 5, 4)))
    result = xent.softmax(x, axis=0)
    assert result.base is not None
    assert result.strides == np.empty_like(x).strides
    np.testing.assert_array_equal(result, xent.softmax(x, axis=0, out=np.empty_like(x)))


def test_every_large_result():
    """Those of all functions, and of no more: their losses are small."""
    target, wide = np.zeros(1200, np.int64), X.astype(np.float64)
    calls = {
        "softmax": lambda: xent.softmax(X),
        "log_softmax_grad": lambda: xent.log_softmax_grad(X, X),
        "logsumexp_grad": lambda: xent.logsumexp_grad(X, X[:, 0]),
        "cross_entropy": lambda: xent.cross_entropy_with_grad(X, target)[1],
        "smoothed": lambda: xent.cross_entropy_with_grad(X, target, label_smoothing=0.1)[1],
        "log_probs": lambda: xent.cross_entropy(wide, target, outputs=("log_probs",)).log_probs,
        "binary": lambda: xent.binary_cross_entropy_with_logits(X, PROBS, reduction="none"),
        "binary gradient": lambda: xent.binary_cross_entropy_with_logits_with_grad(X, PROBS)[1],
        "nll": lambda: xent.nll_loss_grad(target, 1000, dtype=np.float32),
        "rows": lambda: xent.logsumexp(np.zeros((MIB, 1), np.float32)),
    }
    for name, call in calls.items():
        result = call()
        assert result.base is not None and place(result) % (2 * MIB) == 0, name
        again = call()
        np.testing.assert_array_equal(again, result, name)
    assert xent.softmax(X[:1000]).base is None


def test_limit():
    assert xent.get_reuse_limit() == 256 * MIB
    xent.set_reuse_limit(20 * MIB)
    results = [xent.softmax(X) for _ in range(5)]
    last = place(results[-1])
    while results:
        results.pop(0)
        assert kept() <= 20 * MIB
    assert kept() > 10 * MIB
    assert place(xent.softmax(X)) == last
    xent.set_reuse_limit(10 * MIB)
    assert 0 < kept() <= 10 * MIB
    xent.set_reuse_limit(0)
    assert kept() == 0
    xent.softmax(X)
    assert kept() == 0
    xent.set_reuse_limit(1)
    xent.softmax(X)
    assert kept() == 0 and xent.get_reuse_limit() == 1
    with pytest.raises(ValueError, match="num_bytes is -1"):
        xent.set_reuse_limit(-1)
    with pytest.raises(TypeError):
        xent.set_reuse_limit(1.5)
    assert xent.get_reuse_limit() == 1


def test_a_block_is_for_results_of_at_least_half_its_size():
    x = np.zeros((8000, 1000), np.float32)  # 30 MiB
    where = place(xent.softmax(x))
    assert place(xent.softmax(x[:5000])) == where
    small = place(xent.softmax(x[:2000]))
    middle = place(xent.softmax(x[:3500]))
    assert len({where, small, middle}) == 3
    # Of those that fit, the smallest.
    assert place(xent.softmax(x[:2000])) == small
    assert place(xent.softmax(x[:3000])) == middle
    assert place(xent.softmax(x[:7000])) == where


def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


def test_what_is_not_kept_goes_back_to_the_system():
    x = np.zeros((16000, 1000), np.float32)
    before = resident()
    result = xent.softmax(x)
    assert resident() - before > x.nbytes - 4 * MIB
    del result
    assert resident() - before > x.nbytes - 4 * MIB
    xent.set_reuse_limit(0)
    assert resident() - before < 8 * MIB


def test_no_memory(monkeypatch):
    """Where the system has no memory of this kind NumPy's own is taken, and what was kept goes back."""
    del_me = xent.softmax(X)
    del del_me
    assert kept() > 0

    def refuse(*args, **kwargs):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(_memory.mmap, "mmap", refuse)
    got = [xent.softmax(X) for _ in range(2)]
    assert got[0].base is not None and got[1].base is None and kept() == 0
    np.testing.assert_array_equal(got, [PROBS, PROBS])
    with pytest.raises(MemoryError):
        _memory.empty((1 << 60,), np.dtype(np.float32))


def test_without_huge_pages(monkeypatch):
    class Plain(_memory.mmap.mmap):
        def madvise(self, *args):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(_memory.mmap, "mmap", Plain)
    where = place(xent.softmax(X))
    result = xent.softmax(X)
    assert place(result) == where
    np.testing.assert_array_equal(result, PROBS)


def test_threads():
    """Each has its own results, whoever frees which."""
    inputs = [X + np.float32(i) * X for i in range(4)]
    wanted = [xent.softmax(x, out=np.empty_like(x)) for x in inputs]
    passed = []

    def work(number):
        for turn in range(12):
            i = (number + turn) % 4
            result = xent.softmax(inputs[i])
            passed.append((i, result[1:]))
            j, other = passed.pop(0)  # freed here, made anywhere
            assert (result == wanted[i]).all() and (other == wanted[j][1:]).all()
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8), timeout=120))
    passed.clear()
    assert 0 < kept() <= xent.get_reuse_limit()
    assert len(set(map(id, _memory._kept))) == len(_memory._kept)


def test_given_back_in_the_middle_of_anything():
    """As by a collection of garbage or a signal's handler, in a thread that has the lock."""
    results = [xent.softmax(X) for _ in range(3)]
    with _memory._lock:
        results.pop()
        assert kept() > 0
        results[0] = xent.softmax(X)
    ready, over = threading.Event(), threading.Event()

    def holding():
        with _memory._lock:
            ready.set()
            over.wait(60)

    thread = threading.Thread(target=holding)
    thread.start()
    ready.wait(60)
    threading.Timer(0.1, over.set).start()
    results.clear()
    thread.join(60)
    assert not thread.is_alive() and kept() > 0


def child(_):
    found = kept()
    first = xent.softmax(X)
    same = (first == PROBS).all()
    del first
    return found, bool(same), kept() > 0


def test_a_forked_process_begins_with_nothing_kept():
    held = xent.softmax(X)
    xent.log_softmax(X)
    before = kept()
    assert before > 0
    ready, over = threading.Event(), threading.Event()

    def holding():
        with _memory._lock:
            ready.set()
            over.wait(60)

    thread = threading.Thread(target=holding)
    thread.start()
    ready.wait(60)  # the child is born with the lock taken by a thread that it does not have
    try:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(child, range(4)).get(timeout=60)[0][1:] == (True, True)
    finally:
        over.set()
        thread.join(60)
    assert kept() == before
    np.testing.assert_array_equal(held, PROBS)


def test_a_forked_process_has_its_own_copy():
    held = xent.softmax(X)
    read, write = multiprocessing.get_context("fork").Pipe(False)

    def work():
        write.send((kept(), bool((held == PROBS).all())))
        held[:] = 0
        write.send(0)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    assert read.recv() == (0, True)
    assert read.recv() == 0
    process.join(60)
    np.testing.assert_array_equal(held, PROBS)


@pytest.mark.parametrize("threads", [0, 3])
def test_end_of_the_interpreter(threads):
    """With results alive in modules and in cycles, freed by an object's last words, and made by threads that go on."""
    code = """
        import sys, threading, time, numpy as np, xent
        x = np.ones((1200, 1000), np.float32)
        sys.held = xent.softmax(x)
        cycle = [xent.softmax(x)]
        cycle.append(cycle)
        class Late:
            def __init__(self):
                self.result = xent.softmax(x)
            def __del__(self):
                del self.result
                print("late")
        late = Late()
        def work():
            while True:
                xent.log_softmax(x)
        for _ in range(THREADS):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.1)
        print("over")
    """
    code = textwrap.dedent(code).replace("THREADS", str(threads))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    # With threads in the middle of a call Python does not get as far as the object.
    words = ["over"] if threads else ["over", "late"]
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, words, "")
