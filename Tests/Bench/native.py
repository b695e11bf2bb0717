# SPDX-License-Identifier: Apache-2.0
"""native.c, compiled at run time: passes over arrays, which are the roofline, loops of arithmetic, and loops of small calls."""

import ctypes
import os
import subprocess
from pathlib import Path

PASSES = ("read", "copy", "copy_nt", "scale")  # as in native.c
LOOPS = ("largest", "sum", "share", "kept_share", "log_share")  # as in arithmetic.h
# How many of a pass's bytes move: a copy reads and writes, and so does a scale in place.
MOVED = {"read": 1, "copy": 2, "copy_nt": 2, "scale": 2}
# Without the last one GCC makes calls of memcpy of the copy, and memcpy has a policy of its own.
FLAGS = "-std=gnu11 -O3 -march=native -Wall -Wextra -Werror -shared -fPIC -pthread".split()
FLAGS += ["-fno-tree-loop-distribute-patterns"]


class Native:
    def __init__(self, folder):
        source = Path(__file__).with_name("native.c")
        built = Path(folder) / "native.so"
        newest = max(path.stat().st_mtime for path in (source, source.with_name("arithmetic.h")))
        if not built.exists() or built.stat().st_mtime < newest:
            subprocess.run([*os.environ.get("CC", "cc").split(), *FLAGS, source, "-o", built], check=True)
        library = ctypes.CDLL(str(built))
        self._pass = library.bench_pass
        self._pass.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
                               ctypes.c_int, ctypes.POINTER(ctypes.c_double)]  # fmt: skip
        self._calls = library.bench_calls
        self._calls.restype = ctypes.c_double
        self._calls.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
        self.empty = library.bench_empty

    def passes(self, name, threads, out, source, repeats):
        """Seconds of each of several passes over two arrays of one size, or None where there is no such pass."""
        return self._times(name, threads, out.ctypes.data, source.ctypes.data, source.nbytes, repeats)

    def loops(self, name, threads, elements, repeats):
        """The same of a loop of arithmetic for so many elements of f32."""
        return self._times(name, threads, None, None, 4 * elements, repeats)

    def _times(self, name, threads, out, source, nbytes, repeats):
        seconds = (ctypes.c_double * repeats)()
        number = (*PASSES, *LOOPS).index(name)
        return None if self._pass(number, threads, out, source, nbytes, repeats, seconds) else list(seconds)

    def call(self, function, logits, targets, loss, calls):
        """Seconds per call of a function of xent_cross_entropy_f32's type, in a compiled loop."""
        address = ctypes.cast(function, ctypes.c_void_p)
        arrays = (logits.ctypes.data, targets.ctypes.data)
        each = self._calls(address, *arrays, *logits.shape, calls, loss.ctypes.data)
        if each < 0:
            raise RuntimeError("a small call failed")
        return each
