# SPDX-License-Identifier: Apache-2.0
"""The C library: where it is found, the prototypes of its functions, and the one gate from status to exception."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from operator import index
from pathlib import Path
from typing import Any

_NAME = "libxent.so"
_MAJOR = 1

_array = ctypes.c_void_p
_size = ctypes.c_int64
_index = ctypes.c_int64
_option = ctypes.c_int32
_status = ctypes.c_int32

# The functions that exist once for each dtype: xent.h's parameters in order. All of them return a status.
_ROWWISE = (_array, _size, _size, _array)
_LOSS = (_array, _array, _size, _size, _array, _index, _option, _array)
_BINARY = (_array, _array, _size, _size, _array, _array, _option, _array)
TYPED: dict[str, tuple[Any, ...]] = {
    "softmax": _ROWWISE,
    "log_softmax": _ROWWISE,
    "logsumexp": _ROWWISE,
    "nll": _LOSS,
    "cross_entropy": _LOSS,
    "binary_cross_entropy": _BINARY,
    "cross_entropy_grad": (*_LOSS, _array),
    "binary_cross_entropy_grad": (*_BINARY, _array),
    "softmax_grad": (_array, *_ROWWISE),
    "log_softmax_grad": (_array, *_ROWWISE),
    "logsumexp_grad": (_array, *_ROWWISE),
    "nll_grad": (_array, _size, _size, _array, _index, _option, _array),
}
SUFFIXES = ("f32", "f64", "f16", "bf16")
# The others: (result, parameters). Those that take descriptors take them by their addresses.
UNTYPED: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "softmax": (_status, (_array,) * 4),
    "cross_entropy": (_status, (_array,) * 5),
    "nll": (_status, (_array,) * 5),
    "binary_cross_entropy": (_status, (_array,) * 5),
    "divergence": (_status, (_array,) * 5),
    "softmax_grad": (_status, (_array,) * 4),
    "log_softmax_grad": (_status, (_array,) * 4),
    "status_string": (ctypes.c_char_p, (_status,)),
    "last_error": (ctypes.c_char_p, ()),
    "version": (ctypes.c_int32, ()),
    "cpu_level": (ctypes.c_char_p, ()),
    "set_num_threads": (_status, (ctypes.c_int32,)),
    "get_num_threads": (ctypes.c_int32, ()),
}

OVERLAP = 5  # XENT_ERR_OVERLAP
_EXCEPTIONS = {
    1: ValueError,  # XENT_ERR_NULL
    2: ValueError,  # XENT_ERR_SIZE
    3: IndexError,  # XENT_ERR_TARGET
    4: ValueError,  # XENT_ERR_OPTION
    OVERLAP: ValueError,
    6: MemoryError,  # XENT_ERR_NO_MEMORY
    7: TypeError,  # XENT_ERR_DTYPE
    8: ValueError,  # XENT_ERR_UNSUPPORTED
}


def _places() -> list[Path]:
    """Where the library may be, best first. XENT_LIBRARY is an order, not a hint: nothing else is tried then."""
    asked = os.environ.get("XENT_LIBRARY")
    if asked:
        return [Path(asked)]
    here = Path(__file__).resolve().parent
    places = [here / _NAME]
    checkout = here.parents[3] if len(here.parents) > 3 else here
    if (checkout / "Include" / "xent.h").is_file():
        places.append(checkout / "build" / "lib" / _NAME)
    return places


def _load() -> ctypes.CDLL:
    failures = []
    for place in _places():
        try:
            loaded = ctypes.CDLL(str(place))
            _declare(loaded)
        except (OSError, ImportError) as error:
            failures.append(f"\n  {place}: {error}")
        else:
            return loaded
    raise ImportError(
        f"xent cannot load its C library, {_NAME}. Tried:{''.join(failures)}\n"
        "Install a wheel of xent, run `make` in its checkout, or set XENT_LIBRARY to the path of the library."
    )


def _declare(loaded: ctypes.CDLL) -> None:
    """Gives every function its argument types; refuses a library that is not the one of xent.h 1.x."""
    prototypes = {f"xent_{name}": prototype for name, prototype in UNTYPED.items()}
    for name, parameters in TYPED.items():
        prototypes.update({f"xent_{name}_{suffix}": (_status, parameters) for suffix in SUFFIXES})
    try:
        functions = {name: getattr(loaded, name) for name in prototypes}
    except AttributeError as error:
        raise ImportError(f"not a libxent that this package can use: {error}") from None
    for name, (result, parameters) in prototypes.items():
        functions[name].restype = result
        functions[name].argtypes = parameters
    major = loaded.xent_version() // 10000
    if major != _MAJOR:
        raise ImportError(f"it is version {major}, and this package needs version {_MAJOR}")


library = _load()
_last_error = library.xent_last_error
_status_string = library.xent_status_string


# What typed functions take, ready-made: sizes and options recur, and to make one takes longer than to find it.
int64 = lru_cache(4096)(ctypes.c_int64.from_param)
int32 = lru_cache(ctypes.c_int32.from_param)


def typed(name: str) -> dict[str, Any]:
    """suffix -> the C function of that name for it.

    Its arguments have to be ready-made: `pointer` of an array, `int64`, `int32`, or None for NULL. To convert them, as
    ctypes does by argtypes, takes longer than all else about a small call.
    """
    functions = {suffix: library[f"xent_{name}_{suffix}"] for suffix in SUFFIXES}
    for function in functions.values():
        function.restype = _status
    return functions


def fail(status: int) -> None:
    """Raises the exception of a status that is not XENT_OK, with the library's own text."""
    text = _last_error().decode() or _status_string(status).decode()
    raise _EXCEPTIONS.get(status, RuntimeError)(text)


def succeeds(status: int) -> bool:
    """Whether a plain function did it; where only its arrays overlap it did not, and a descriptor call can."""
    if status and status != OVERLAP:
        fail(status)
    return not status


def version() -> str:
    """The version of the C library that was loaded, as "major.minor.patch".

    >>> xent.version().split(".")[0]
    '1'
    """
    number = library.xent_version()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def cpu_level() -> str:
    """The instruction set that the library uses: "baseline", "v3" (AVX2 and FMA) or "v4" (AVX-512).

    The environment variable ``XENT_CPU_LEVEL``, read once, lowers it. Results do not depend on it.

    >>> xent.cpu_level() in ("baseline", "v3", "v4")
    True
    """
    level: bytes = library.xent_cpu_level()
    return level.decode()


def set_num_threads(num_threads: int) -> None:
    """Sets how many threads one call may use, the calling thread included, for the whole process.

    Parameters
    ----------
    num_threads : int
        1 keeps every call in its own thread. 0 is automatic: the environment variable ``XENT_NUM_THREADS``, or else
        the processors that this process may run on. Automatic is what the process starts with.

    Raises
    ------
    ValueError
        If it is negative or more than 1024.
    MemoryError
        If memory or threads could not be had; the setting is unchanged.

    Notes
    -----
    Results have the same bits for every number of threads.

    >>> xent.set_num_threads(2)
    >>> xent.get_num_threads()
    2
    >>> xent.set_num_threads(0)
    """
    number = index(num_threads)
    if not -(2**31) <= number < 2**31:  # ctypes would cut it to 32 bits
        raise ValueError(f"set_num_threads: num_threads is {number}, not in [0, 1024]")
    status = library.xent_set_num_threads(number)
    if status:
        fail(status)


def get_num_threads() -> int:
    """How many threads a call may use now: at least 1, with automatic resolved to a number.

    >>> xent.get_num_threads() >= 1
    True
    """
    number: int = library.xent_get_num_threads()
    return number
