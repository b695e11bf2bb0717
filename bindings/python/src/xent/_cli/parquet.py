# SPDX-License-Identifier: Apache-2.0
"""Logits and targets of Parquet files, batch by batch through pyarrow, which need not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import Array
from .arrays import InputError

_BATCH = 65536  # rows of targets


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"{path}: Parquet files need the package pyarrow: pip install pyarrow") from None
    return pyarrow


def _open(path: Path) -> tuple[Any, Any]:
    """pyarrow, and the file."""
    pyarrow = _pyarrow(path)
    try:
        return pyarrow, pyarrow.parquet.ParquetFile(path, memory_map=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file: {error}") from None


def _listed(fields: list[Any]) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in fields[:20]) + (", ..." if len(fields) > 20 else "")


class ParquetLogits:
    """Logits of one column of lists, a list for each row, or of several columns of numbers, one for each class."""

    axis = 1

    def __init__(self, path: Path, pattern: str | None) -> None:
        self._arrow, self._file = _open(path)
        self.path = path
        types = self._arrow.types

        def is_list(field: Any) -> bool:
            kind = field.type
            lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
            return bool(lists and types.is_floating(kind.value_type))

        fields = list(self._file.schema_arrow)
        chosen = [field for field in fields if pattern is None or fnmatchcase(field.name, pattern)]
        lists = [field for field in chosen if is_list(field)]
        numbers = [field for field in chosen if types.is_floating(field.type)]
        if len(lists) == 1 and (pattern is None or len(chosen) == 1):
            self._columns, self._is_list, kind = [lists[0].name], True, lists[0].type.value_type
        elif numbers and not lists and (pattern is None or len(chosen) == len(numbers)):
            self._columns, self._is_list, kind = [field.name for field in numbers], False, numbers[0].type
        else:
            raise InputError(
                f"{path}: say which column of lists of numbers has the logits, as in {path}:NAME, or by a pattern which "
                f"columns have one class each, as in '{path}:logit_*'; it has {_listed(fields)}"
            )
        self._dtype = np.dtype(kind.to_pandas_dtype())
        self.dtype = self._dtype.name
        self.rows = self._file.metadata.num_rows
        self.classes = len(self._columns)
        if self._is_list:
            first = next(self._file.iter_batches(batch_size=1, columns=self._columns), None)
            self.classes = 0 if first is None else len(first.column(0)[0].as_py() or ())
        self.shape = (self.rows, self.classes)
        self.rows_shape = (self.rows,)
        self.bytes_per_row = self.classes * self._dtype.itemsize

    def blocks(self, rows: int) -> Iterator[Array]:
        """Blocks of at most that many rows, with the classes at axis 1."""
        row = 0
        for batch in self._file.iter_batches(batch_size=rows, columns=self._columns):
            parts = [self._values(column, row, len(batch)) for column in batch.columns]
            yield parts[0] if self._is_list else np.stack(parts, axis=1)
            row += len(batch)

    def _values(self, column: Any, row: int, rows: int) -> Array:
        if column.null_count:
            self._refuse(row, column.is_null(), "is null")
        if not self._is_list:
            return np.asarray(column.to_numpy(zero_copy_only=False), self._dtype)
        lengths = self._arrow.compute.list_value_length(column).to_numpy(zero_copy_only=False)
        if (lengths != self.classes).any():
            wrong = int(np.argmax(lengths != self.classes))
            raise InputError(
                f"{self.path}: row {row + wrong} has {lengths[wrong]} classes, and row 0 has {self.classes}"
            )
        values = column.flatten()
        if values.null_count:
            self._refuse(row, values.is_null(), "has a null", self.classes)
        return np.asarray(values.to_numpy(zero_copy_only=False), self._dtype).reshape(rows, self.classes)

    def _refuse(self, row: int, is_null: Any, what: str, width: int = 1) -> None:
        first = int(np.argmax(is_null.to_numpy(zero_copy_only=False))) // width
        raise InputError(f"{self.path}: row {row + first} {what}")


class ParquetTargets:
    """Targets of one column of integers."""

    def __init__(self, path: Path, name: str | None) -> None:
        self._arrow, self._file = _open(path)
        self.path = path
        fields = list(self._file.schema_arrow)
        chosen = [
            field for field in fields
            if self._arrow.types.is_integer(field.type) and (name is None or field.name == name)
        ]  # fmt: skip
        if len(chosen) != 1:
            raise InputError(
                f"{path}: say which column of integers has the targets, as in {path}:NAME; it has {_listed(fields)}"
            )
        self.shape = (self._file.metadata.num_rows,)
        self._batches = self._file.iter_batches(batch_size=_BATCH, columns=[chosen[0].name])
        self._row = 0
        self._left = np.empty(0, chosen[0].type.to_pandas_dtype())

    def take(self, count: int) -> Array:
        parts = [self._left]
        size = self._left.size
        while size < count:
            batch = next(self._batches, None)
            if batch is None:
                break
            column = batch.column(0)
            if column.null_count:
                first = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
                raise InputError(f"{self.path}: row {self._row + first} is null")
            parts.append(column.to_numpy())
            size += len(column)
            self._row += len(column)
        whole = np.concatenate(parts)
        self._left = whole[count:]
        return whole[:count]
