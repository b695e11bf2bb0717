# SPDX-License-Identifier: Apache-2.0
"""What is scored: logits, which come in blocks of rows, and targets, of which as many are taken as a block has."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import TextIO

import numpy as np

from .._arrays import Array, class_axis, is_floating
from .arrays import MAPPED, InputError, MappedArray, dtype_name, split
from .parquet import ParquetLogits, ParquetTargets


class MappedLogits:
    """Logits of a mapped array, with the classes at any axis but the first."""

    def __init__(self, path: Path, mapped: MappedArray, axis: int) -> None:
        array = mapped.array
        self.path, self._mapped = path, mapped
        self.shape, self.dtype = array.shape, dtype_name(array.dtype)
        if not is_floating(array.dtype):
            raise InputError(f"{path}: logits of {self.dtype}, not float32, float64, float16 or bfloat16")
        if array.ndim < 2:
            raise InputError(f"{path}: logits of shape {array.shape}, not (rows, classes)")
        try:
            axis = class_axis(array, axis, "score", "logits")
        except ValueError as error:
            raise InputError(f"{path}: --axis: {error}") from None
        self.classes = array.shape[axis]
        self.rows_shape = array.shape[:axis] + array.shape[axis + 1 :]
        if axis == array.ndim - 1 and array.flags.c_contiguous:
            array, axis = array.reshape(prod(self.rows_shape), self.classes), 1
        if not axis:
            raise InputError(
                f"{path}: with the classes along axis 0 the file cannot be read by rows; store it transposed"
            )
        self._array, self.axis = array, axis
        self.rows = prod(self.rows_shape)
        self.bytes_per_row = self.classes * array.dtype.itemsize

    def blocks(self, rows: int) -> Iterator[Array]:
        """Blocks of about that many rows, with the classes at self.axis."""
        step = max(1, rows * len(self._array) // max(1, self.rows))
        for start in range(0, len(self._array) if self.rows else 0, step):
            yield self._array[start : start + step]
            self._mapped.forget()


class MappedTargets:
    """Targets of a mapped array, in the order of its elements."""

    def __init__(self, path: Path, mapped: MappedArray) -> None:
        array = mapped.array
        if array.dtype.kind not in "iu":
            raise InputError(f"{path}: targets of {dtype_name(array.dtype)}, not an integer dtype")
        self.path, self.shape, self._array = path, array.shape, array.reshape(-1)
        self._place = 0

    def take(self, count: int) -> Array:
        start, self._place = self._place, self._place + count
        return self._array[start : self._place]


class TextTargets:
    """Targets of a text file: an integer on each line, or a column of a .csv file."""

    shape = None  # how many there are is not known before the end

    def __init__(self, path: Path, name: str | None) -> None:
        self.path = path
        self._numbers = self._column(name) if path.suffix.lower() == ".csv" else self._lines(name)

    def _lines(self, name: str | None) -> Iterator[int]:
        if name is not None:
            raise InputError(f"{self.path}:{name}: a .txt file has one integer on each line, and no names")
        with self._open() as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield self._integer(line, number)

    def _open(self) -> TextIO:
        return open(self.path, newline="", encoding="utf-8-sig")

    def _column(self, name: str | None) -> Iterator[int]:
        with self._open() as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if name is not None and name not in header:
                raise InputError(f"{self.path}: there is no column {name!r}; it has {', '.join(header)}")
            if name is None and len(header) > 1:
                raise InputError(f"{self.path}: say which column, as in {self.path}:NAME; it has {', '.join(header)}")
            column = 0 if name is None else header.index(name)
            if name is None and header and _is_integer(header[0]):  # the column has no name
                yield int(header[0])
            for cells in reader:
                if cells:
                    if column >= len(cells):
                        raise InputError(f"{self.path}: line {reader.line_num} has {len(cells)} columns")
                    yield self._integer(cells[column], reader.line_num)

    def _integer(self, text: str, line: int) -> int:
        if not _is_integer(text):
            raise InputError(f"{self.path}: line {line} is {text.strip()[:40]!r}, not an integer")
        return int(text)

    def take(self, count: int) -> Array:
        try:
            return np.fromiter(islice(self._numbers, count), np.int64)
        except OverflowError:
            raise InputError(f"{self.path}: an integer that int64 cannot hold") from None
        except UnicodeDecodeError:
            raise InputError(f"{self.path}: not a text file") from None


def _is_integer(text: str) -> bool:
    digits = text.strip()
    return digits[digits[:1] in ("-", "+") :].isdecimal()


def open_logits(text: str, axis: int) -> MappedLogits | ParquetLogits:
    path, name = split(text)
    kind = path.suffix.lower()
    if kind in MAPPED:
        return MappedLogits(path, MAPPED[kind](path, name), axis)
    if kind == ".parquet":
        return ParquetLogits(path, name)
    raise InputError(f"{path}: logits come from .npy, .safetensors or .parquet files")


def open_targets(text: str) -> MappedTargets | ParquetTargets | TextTargets:
    path, name = split(text)
    kind = path.suffix.lower()
    if kind in MAPPED:
        return MappedTargets(path, MAPPED[kind](path, name))
    if kind == ".parquet":
        return ParquetTargets(path, name)
    if kind in (".txt", ".csv"):
        return TextTargets(path, name)
    raise InputError(f"{path}: targets come from .npy, .safetensors, .parquet, .txt or .csv files")


def read_weight(text: str, classes: int) -> Array:
    """The weights of the classes, from an array or from the lines of a text file."""
    path, name = split(text)
    kind = path.suffix.lower()
    if kind in MAPPED:
        array = MAPPED[kind](path, name).array
        if array.dtype.kind not in "fiu":
            raise InputError(f"{path}: weights of {dtype_name(array.dtype)}, not of numbers")
    else:
        try:
            array = np.array([float(line) for line in read_lines(text)])
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
    if array.shape != (classes,):
        raise InputError(f"{path}: weights of shape {array.shape}, not ({classes},), one for each class")
    return array


def read_lines(text: str) -> list[str]:
    path, _ = split(text)
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
