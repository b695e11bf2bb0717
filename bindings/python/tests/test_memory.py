# SPDX-License-Identifier: Apache-2.0
"""Without memory: set_num_threads raises MemoryError, and everything else goes on."""

import os
import shutil
import subprocess
import sys

import pytest

import xent

# Python asks for memory all the time, so the failing begins and ends in C, around one call of the library.
SHIM = """
#include <stdint.h>
void failing_malloc_after(long n);

int32_t set_num_threads(int32_t (*function)(int32_t), long successes, int32_t num_threads) {
  failing_malloc_after(successes);
  int32_t status = function(num_threads);
  failing_malloc_after(-1);
  return status;
}

typedef int32_t loss_grad(const float *, const int64_t *, int64_t, int64_t, const float *, int64_t, int32_t, float *,
                          float *);

int32_t cross_entropy_grad(loss_grad *function, const float *logits, const int64_t *targets, int64_t rows,
                           int64_t classes, float *loss, float *grad) {
  failing_malloc_after(0);
  int32_t status = function(logits, targets, rows, classes, 0, -100, 1, loss, grad);
  failing_malloc_after(-1);
  return status;
}
"""

CODE = """
import ctypes
import numpy as np
import xent
from xent._library import library

shim = ctypes.CDLL(None)
address = lambda function: ctypes.cast(function, ctypes.c_void_p)
rows, classes = 3000, 400
x = np.random.default_rng(1).normal(size=(rows, classes)).astype(np.float32)
targets = np.zeros(rows, np.int64)
xent.set_num_threads(1)
expected, grad = xent.cross_entropy_with_grad(x, targets)
again = np.empty_like(x)

real = library.xent_set_num_threads
refused = 0
for successes in range(1000):
    wanted = 2 + successes % 60
    xent.set_num_threads(1)
    library.xent_set_num_threads = lambda n: shim.set_num_threads(address(real), ctypes.c_long(successes), n)
    try:
        xent.set_num_threads(wanted)
    except MemoryError as error:
        assert str(error) == f"xent_set_num_threads: out of memory for {wanted} threads", error
        refused += 1
    else:
        break
    finally:
        library.xent_set_num_threads = real
    assert xent.get_num_threads() == 1, "the setting is unchanged"
    assert xent.cross_entropy_with_grad(x, targets, grad_out=again)[0] == expected
    assert (again == grad).all()
assert xent.get_num_threads() == wanted
print("refused", refused)

# With the threads there and no memory left a call still works: it asks for none.
loss = np.empty((), np.float32)
again[:] = 0
pointers = [ctypes.c_void_p(a.ctypes.data) for a in (x, targets, loss, again)]
sizes = ctypes.c_int64(rows), ctypes.c_int64(classes)
status = shim.cross_entropy_grad(address(library.xent_cross_entropy_grad_f32), *pointers[:2], *sizes, *pointers[2:])
assert status == 0 and loss == expected and (again == grad).all()
print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD is how memory is made to fail")
def test_no_memory(tmp_path, checkout):
    compiler = shutil.which("cc")
    assert compiler, "the test needs a C compiler, cc"
    shim = tmp_path / "failing_malloc.so"
    around = tmp_path / "around.c"
    around.write_text(SHIM)
    source = checkout / "Tests" / "ABI" / "failing_malloc.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, source, around, "-ldl"], check=True)
    path = os.path.dirname(os.path.dirname(xent.__file__))
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.splitlines()
    assert int(first.split()[1]) >= 1  # memory was asked for, and refused
    assert second == "done"
