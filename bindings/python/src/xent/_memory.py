# SPDX-License-Identifier: Apache-2.0
"""The memory of large results: on huge pages, and used again when nobody looks at them any more.

The first write to a page of new memory makes the system find and clear it. That takes as long as a softmax does, or
several times as long where pages are small; and malloc gives large arrays back to the system at once.
"""

from __future__ import annotations

import mmap
import os
import weakref
from contextlib import suppress
from math import prod
from operator import index
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LEAST = 4 << 20  # bytes; NumPy as well asks for huge pages from here on, and malloc keeps most of what is smaller
_PAGE = 2 << 20
_HAS_PAGES = hasattr(mmap, "MADV_HUGEPAGE") and hasattr(mmap, "MADV_FREE")

# Blocks that no array uses, those given back last at the end. A signal's handler, or a collection of garbage, may give
# one back in the middle of anything: so the lock is one that a thread may take twice.
_kept: list[mmap.mmap] = []
_lock = RLock()
_limit = 256 << 20


def set_reuse_limit(num_bytes: int) -> None:
    """Sets how much memory of results that are gone may be kept for the next ones, for the whole process.

    Parameters
    ----------
    num_bytes : int
        0 keeps nothing, and gives back at once what was kept. The process starts with 268435456, which is 256 MiB.

    Raises
    ------
    ValueError
        If it is negative.

    Notes
    -----
    An array of 4 MiB or more that a function of this package makes for a result has memory of its own: on huge pages,
    begun on one. It is the array's, and that of its views, as long as there is any of them; then it is kept, and a
    later result of at least half the size may have it. While it is kept the system may take it whenever memory runs
    short (``MADV_FREE``), but until then tools count it as the process's. A forked process begins with nothing kept.

    >>> xent.set_reuse_limit(0)
    >>> xent.get_reuse_limit()
    0
    >>> xent.set_reuse_limit(256 << 20)
    """
    global _limit
    number = index(num_bytes)
    if number < 0:
        raise ValueError(f"set_reuse_limit: num_bytes is {number}, which is negative")
    with _lock:
        _limit = number
        _trim()


def get_reuse_limit() -> int:
    """How many bytes of results that are gone may be kept for the next ones.

    >>> xent.get_reuse_limit() >> 20
    256
    """
    return _limit


def empty(shape: tuple[int, ...], dtype: Any, like: Array | None = None) -> Array:
    """A new array, not initialised, with its axes in memory in the order of those of another of its shape."""
    size = prod(shape) * dtype.itemsize
    block = _block(size) if size >= LEAST else None
    if block is None:
        return np.empty(shape, dtype) if like is None else np.empty_like(like, dtype=dtype, subok=False)
    # NumPy makes it the base of all views, so that it goes last.
    owner = np.frombuffer(block, np.uint8)
    weakref.finalize(owner, _keep, block).atexit = False
    strides = None if like is None or like.flags.c_contiguous else _strides(like, dtype.itemsize)
    return np.ndarray(shape, dtype, owner, -owner.ctypes.data % _PAGE, strides)


def _strides(like: Array, step: int) -> tuple[int, ...]:
    """Those of np.empty_like."""
    strides = [0] * like.ndim
    for axis in sorted(range(like.ndim), key=lambda axis: (abs(like.strides[axis]), -axis)):
        strides[axis] = step
        step *= like.shape[axis]
    return tuple(strides)


def _block(size: int) -> mmap.mmap | None:
    """Memory for so many bytes from its first huge page on; None if there is none of this kind."""
    if not _HAS_PAGES:
        return None
    length = (size + _PAGE - 1) // _PAGE * _PAGE + _PAGE
    with _lock:
        fitting = [block for block in reversed(_kept) if length <= len(block) <= 2 * length]
        if fitting:
            best = min(fitting, key=len)  # and of those the one given back last, which may be in a cache
            with suppress(ValueError):  # gone to somebody who came in between, in this thread
                _kept.remove(best)
                return best
    try:
        block = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a system without huge pages
            block.madvise(mmap.MADV_HUGEPAGE)
        return block
    except (OSError, OverflowError):
        with _lock:
            _kept.clear()
        return None  # NumPy's own way may do, or it says what it wanted


def _keep(block: mmap.mmap) -> None:
    """Takes back the memory of an array that is gone."""
    if len(block) > _limit:
        return
    with suppress(OSError):
        block.madvise(mmap.MADV_FREE)
    with _lock:
        _kept.append(block)
        _trim()


def _trim() -> None:
    while _kept and sum(map(len, _kept)) > _limit:
        _kept.pop(0)


def _after_fork() -> None:
    """In the child, where another thread may have had the lock, and to write to what is kept would copy it first."""
    global _lock
    _lock = RLock()
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
