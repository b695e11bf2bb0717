# SPDX-License-Identifier: Apache-2.0
"""Arrays that lie in files, .npy and .safetensors: mapped, so that only what is being read is in memory.

The header of a safetensors file is read here: the package of that name copies what it reads, and has no bfloat16 for
NumPy.
"""

from __future__ import annotations

import json
import mmap
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .._arrays import Array
from .._dlpack import BFLOAT16_BITS


class InputError(Exception):
    """What is wrong with an argument or a file, in one line for the user."""


_SAFETENSORS: dict[str, Any] = {
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    "BF16": BFLOAT16_BITS,
}
_MOST_HEADER = 100_000_000  # of a safetensors file, by its definition


def dtype_name(dtype: Any) -> str:
    return "bfloat16" if dtype == BFLOAT16_BITS else str(dtype.name)


class MappedArray:
    """A read-only array over a part of a file."""

    def __init__(self, path: Path, file: BinaryIO, offset: int, dtype: Any, shape: tuple[int, ...], order: Any) -> None:
        size = prod(shape) * dtype.itemsize
        self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if offset + size > len(self._memory):
            missing = offset + size - len(self._memory)
            raise InputError(f"{path}: the file is cut off, {missing:,} bytes are missing")
        self.array: Array = np.ndarray(shape, dtype, self._memory, offset, order=order)

    def forget(self) -> None:
        """Gives back the memory of what was read; it is still in the system's cache of files."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED)


def map_npy(path: Path, name: str | None) -> MappedArray:
    if name is not None:
        raise InputError(f"{path}:{name}: a .npy file has one array, and no names")
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
            elif version == (2, 0):
                shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
            else:
                raise InputError(f"{path}: version {version[0]}.{version[1]} of the .npy format, not 1.0 or 2.0")
        except ValueError as error:
            raise InputError(f"{path}: not a .npy file: {error}") from None
        if dtype == np.dtype("V2"):  # what np.save makes of ml_dtypes.bfloat16
            dtype = BFLOAT16_BITS
        if dtype.hasobject:
            raise InputError(f"{path}: an array of Python objects, not of numbers")
        return MappedArray(path, file, file.tell(), dtype, shape, "F" if is_fortran else "C")


def map_safetensors(path: Path, name: str | None) -> MappedArray:
    with open(path, "rb") as file:
        try:
            size = int.from_bytes(file.read(8), "little")
            if size > _MOST_HEADER:
                raise ValueError("its header is too long")
            tensors = json.loads(file.read(size))
            tensors.pop("__metadata__", None)
            entry = tensors[_one_name(path, sorted(tensors), name)]
            code, shape = entry["dtype"], tuple(map(int, entry["shape"]))
            begin, end = map(int, entry["data_offsets"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: not a .safetensors file: {error}") from None
        if code not in _SAFETENSORS:
            raise InputError(f"{path}: the tensor is {code}, not one of {', '.join(_SAFETENSORS)}")
        dtype = _SAFETENSORS[code]
        if begin < 0 or min(shape, default=0) < 0 or end - begin != prod(shape) * dtype.itemsize:
            raise InputError(f"{path}: not a .safetensors file: the shape of a tensor does not go with its size")
        return MappedArray(path, file, 8 + size + begin, dtype, shape, "C")


def _one_name(path: Path, names: list[str], name: str | None) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return str(name)
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    if name is None:
        raise InputError(f"{path}: say which tensor, as in {path}:NAME; it has {listed or 'none'}")
    raise InputError(f"{path}: there is no tensor {name!r}; it has {listed or 'none'}")


MAPPED = {".npy": map_npy, ".safetensors": map_safetensors}


def split(text: str) -> tuple[Path, str | None]:
    """The path and the name of FILE or FILE:NAME. Either may have colons: what is a file is the path."""
    cuts = [len(text), *(n for n, letter in enumerate(text) if letter == ":")]
    for cut in cuts:
        path = Path(text[:cut])
        if path.is_file():
            return path, text[cut + 1 :] or None
    problem = "is a folder" if Path(text).is_dir() else "there is no such file"
    raise InputError(f"{text}: {problem}")


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    return (str(error).strip() or type(error).__name__).split("\n")[0]
