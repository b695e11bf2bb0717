# SPDX-License-Identifier: Apache-2.0
"""Xent: its C library by ctypes, arguments made beforehand, and its Python package."""

import ctypes
import os
import sys
from pathlib import Path

import numpy as np
from descriptors import descriptor, library
from lines import FASTEST_FORM
from operations import FRESH, IN_PLACE, OPERATIONS
from subjects import Call, Peer, Unavailable

MEAN = 1
FASTEST = 1  # XENT_ACCURACY_FASTEST: of f32 gradients and probabilities
NO_WEIGHT = None


def _plain(name, problem, destination):
    """(function's name, its arguments after the logits) for contiguous rows."""
    shape = (problem.rows, problem.classes)
    targets, labels = problem.targets.ctypes.data, problem.labels.ctypes.data
    index = (targets, *shape, NO_WEIGHT, -100, MEAN)
    # Element by element: any two factors of the size will do.
    binary = (labels, problem.shape[0], problem.logits.size // problem.shape[0], NO_WEIGHT, NO_WEIGHT, MEAN)
    return {
        "forward": ("cross_entropy", (*index, destination["loss"])),
        "gradient": ("cross_entropy_grad", (*index, destination["loss"], destination["grad"])),
        "log_softmax": ("log_softmax", (*shape, destination["log_probs"])),
        "softmax": ("softmax", (*shape, destination["probs"])),
        "logsumexp": ("logsumexp", (*shape, destination["lse"])),
        "binary": ("binary_cross_entropy", (*binary, destination["loss"])),
        "binary gradient": ("binary_cross_entropy_grad", (*binary, destination["loss"], destination["grad"])),
    }[name]


def c_call(operation, output, problem, accuracy=0):
    loss, lse = np.zeros(1, np.float32), np.zeros(problem.targets.shape, np.float32)
    logits = problem.in_place if output == IN_PLACE else problem.logits
    large = problem.in_place if output == IN_PLACE else problem.out
    arrays = {"loss": loss, "lse": lse, "grad": large, "log_probs": large, "probs": large}
    if not accuracy and (len(problem.shape) == 2 or operation.targets == "binary"):
        addresses = {name: array.ctypes.data for name, array in arrays.items()}
        name, rest = _plain(operation.name, problem, addresses)
        function = getattr(library(), f"xent_{name}_{problem.dtype}")
        given = (logits.ctypes.data, *rest)
        args = tuple(kind(value) for kind, value in zip(_types(name), given))
    else:
        function, args = descriptor(operation, problem, logits, arrays, accuracy=accuracy)

    def results(status):
        if status:
            raise RuntimeError(library().xent_last_error().decode())
        return {name: loss[0] if name == "loss" else arrays[name] for name in operation.outputs}

    def run():
        return function(*args)

    return Call(run, results, problem.restore if output == IN_PLACE else None)


def _types(name):
    array, size, option = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    if name.startswith("binary"):
        return array, array, size, size, array, array, option, array, array
    if name.startswith("cross"):
        return array, array, size, size, array, size, option, array, array
    return array, size, size, array


def _package():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bindings/python/src"))
    os.environ.setdefault("XENT_LIBRARY", library()._name)
    import xent

    return xent


def _python_forms(xent):
    """operation: function of a problem and an array or None, that gives the results in order; None for an array that
    it makes. Into one that is there Python adds some microseconds to the C call, which small.py measures."""
    return {
        "gradient": lambda p, out: xent.cross_entropy_with_grad(p.logits, p.targets, grad_out=out),
        "log_softmax": lambda p, out: (xent.log_softmax(p.logits, axis=1, out=out),),
        "softmax": lambda p, out: (xent.softmax(p.logits, axis=1, out=out),),
        "binary gradient": lambda p, out: xent.binary_cross_entropy_with_logits_with_grad(
            p.logits, p.labels, grad_out=out
        ),
    }


def _c_maker(operation, output):
    return lambda problem: c_call(operation, output, problem)


def _fastest_forms(operation):
    """Where the accuracy makes a difference."""
    if operation.name in ("gradient", "softmax"):
        for output in operation.limits:
            if output != FRESH:
                yield FASTEST_FORM, output, lambda problem, output=output: c_call(operation, output, problem, FASTEST)


def _python_makers(operation, function, xent):
    """(form, maker): with memory of the package's, which keeps it, and with NumPy's, which is new each time."""

    def forget():
        limit = xent.get_reuse_limit()
        xent.set_reuse_limit(0)
        xent.set_reuse_limit(limit)

    def results(got):
        return dict(zip(operation.outputs, got))

    return (
        ("Python", lambda problem: Call(lambda: function(problem, None), results, forget=forget)),
        ("Python, out=np.empty", lambda problem: Call(lambda: function(problem, np.empty_like(problem.logits)), results)),
    )


def _missing(reason):
    def maker(problem):
        raise Unavailable(reason)

    return maker


def peer(settings):
    lib = library()
    lib.xent_set_num_threads(settings.threads)
    major, rest = divmod(lib.xent_version(), 10000)
    try:
        package, reason = _package(), None
    except ImportError as error:
        package, reason = None, f"Python package: {error}"

    def python_forms(operation):
        if FRESH not in operation.limits:
            return ()
        if reason:
            return (("Python", _missing(reason)),)
        return _python_makers(operation, _python_forms(package)[operation.name], package)

    forms = {
        name: [
            *(("C", output, _c_maker(operation, output)) for output in operation.limits if output != FRESH),
            *((form, FRESH, maker) for form, maker in python_forms(operation)),
            *_fastest_forms(operation),
        ]
        for name, operation in OPERATIONS.items()
    }  # fmt: skip
    return Peer("Xent", f"{major}.{rest // 100}.{rest % 100} ({lib.xent_cpu_level().decode()})", forms)
