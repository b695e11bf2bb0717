# SPDX-License-Identifier: Apache-2.0
"""Tests/ABI/refusals.txt, whose first lines say what is in it: its calls, and the memory for one."""

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import ml_dtypes
import numpy as np
from xent._descriptors import Options, Outputs, Tensor

TABLE = Path(__file__).resolve().parents[3] / "Tests" / "ABI" / "refusals.txt"
FLOATS = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
CODES = {name: code for code, name in enumerate([*FLOATS, *"i8 i16 i32 i64 u8 u16 u32 u64".split()], 1)}
DTYPES = {**{name: np.dtype(kind) for name, kind in FLOATS.items()},
          **{name: np.dtype(name[0] + str(int(name[1:]) // 8)) for name in CODES if name not in FLOATS}}  # fmt: skip
STATUSES = ("OK", "NULL", "SIZE", "TARGET", "OPTION", "OVERLAP", "NO_MEMORY", "DTYPE", "UNSUPPORTED")
SLOT, START, TAIL, UNTOUCHED = 2048, 512, 64, 0x5C


@dataclass
class Part:
    kind: str
    name: str
    of: str  # of what a tensor or a sum is; that of an array is ""
    dtype: str = "i64"
    sizes: tuple[int, ...] = ()
    is_output: bool = True


@dataclass
class Row:
    dtypes: tuple[str, ...]
    status: str
    changes: str
    text: str
    row: int = -1
    value: int = 0


@dataclass
class Call:
    label: str
    function: str
    parts: list[Part] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def add(self, line: str) -> None:
        kind, name, *words = line.split()
        if kind == "number":
            self.numbers[name] = int(words[0])
        elif kind == "array":
            self.parts.append(Part(kind, name, "", words[0], (int(words[1]),), words[2] == "out"))
        elif kind == "tensor":
            sizes = tuple(map(int, words[2:5]))
            self.parts.append(Part(kind, name, words[0], words[1], sizes, words[5] == "out"))
        else:
            self.parts.append(Part(kind, name, words[0], sizes=(1,)))

    def of(self, dtype: str) -> Iterator[Row]:
        return (row for row in self.rows if dtype in row.dtypes)


def spelled(text: str, dtype: str) -> str:
    real = "f64" if dtype == "f64" else "f32"
    for short, name in (("d", dtype), ("r", real)):
        text = text.replace(f"{{{short}}}", name).replace(f"{{{short.upper()}}}", f"XENT_{name.upper()}")
    return text


@cache
def calls() -> list[Call]:
    found: list[Call] = []
    for line in TABLE.read_text().splitlines():
        if line.startswith("call "):
            found.append(Call(*line.split()[1:]))
        elif line.startswith("  "):
            found[-1].add(line)
        elif line and not line.startswith("#"):
            dtypes, status, changes, text, *place = line.split("\t")
            names = tuple(FLOATS) if dtypes == "*" else tuple(dtypes.split(","))
            found[-1].rows.append(Row(names, status, changes, text, *map(int, place)))
    return found


class Memory:
    """A call in one of its dtypes. Every array lies in a slot of its own between bytes that are nobody's."""

    def __init__(self, call: Call, dtype: str) -> None:
        self.call, self.dtype = call, dtype
        parts = call.parts
        self.places = {part.name: k for k, part in enumerate(parts)}
        self.arena = np.full(max(len(parts), 1) * SLOT, UNTOUCHED, np.uint8)
        # All structs in one block, with room for a tail each: outputs, options, then tensors.
        self.structs = np.zeros((len(parts) + 2) * 256, np.uint8)
        self.options = Options.from_buffer(self.structs.data, 0)
        self.outputs = Outputs.from_buffer(self.structs.data, 256)
        self.tensors = [Tensor.from_buffer(self.structs.data, 512 + 256 * k) for k in range(len(parts))]
        self.arguments: dict[str, int | None] = {}
        Options.__init__(self.options, ctypes.sizeof(Options), reduction=1, ignore_index=-100, temperature=1.0)
        self.outputs.struct_size = ctypes.sizeof(Outputs)
        for k, part in enumerate(parts):
            name = spelled(part.dtype, dtype)
            outer, classes, inner = (*part.sizes, 1, 1)[:3]
            self.tensors[k].__init__(ctypes.sizeof(Tensor), self.slot(part.name), CODES[name], 0,  # type: ignore[misc]
                                     outer, classes, inner, classes * inner, inner, 1)  # fmt: skip
            if not part.is_output:
                elements = np.full(outer * classes * inner, 1.5 if name in FLOATS else 1, DTYPES[name])
                self.arena[k * SLOT + START :][: elements.nbytes] = elements.view(np.uint8)
            if part.of != "spare":
                self.point(part.name, self.address(part.name))
        self.right = (self.arena.copy(), self.structs.copy(), dict(self.arguments), dict(call.numbers))
        self.reset()

    def reset(self) -> None:
        """The call that is right."""
        self.arena[:], self.structs[:] = self.right[:2]
        self.arguments, self.numbers = dict(self.right[2]), dict(self.right[3])
        self.has = {"options": True, "outputs": True}

    def slot(self, name: str) -> int:
        return self.arena.ctypes.data + self.places[name] * SLOT + START

    def address(self, name: str) -> int:
        """What points to a part has this."""
        is_tensor = self.call.parts[self.places[name]].kind == "tensor"
        return ctypes.addressof(self.tensors[self.places[name]]) if is_tensor else self.slot(name)

    def point(self, name: str, to: int | None) -> None:
        of = self.call.parts[self.places[name]].of
        if of in ("", "argument"):
            self.arguments[name] = to
        elif of == "options" or (of == "spare" and hasattr(self.options, name) and name != "z_loss"):
            setattr(self.options, name, to)
        else:
            setattr(self.outputs, name, to)

    def change(self, words: str) -> None:
        left, value = words.split("=")
        element = re.fullmatch(r"(\w+)\[([\d,]+)\]", left)
        name, _, member = left.partition(".")
        if element:
            self.set_element(element[1], [int(n) for n in element[2].split(",")], int(value))
        elif name in self.has and not member:
            self.has[name] = False
        elif name in self.numbers and not member:
            self.numbers[name] = int(value)
        elif not member:
            self.point(name, self.address(name) if value == "&" else self.pointer(value))
        else:
            struct = getattr(self, name) if name in self.has else self.tensors[self.places[name]]
            self.set_member(struct, member, value)

    def pointer(self, text: str) -> int | None:
        if text == "NULL":
            return None
        name, offset = re.fullmatch(r"@(\w+)([+-]\d+)", text).groups()  # type: ignore[union-attr]
        return self.slot(name) + int(offset)

    def set_element(self, name: str, at: list[int], value: int) -> None:
        part, tensor = self.places[name], self.tensors[self.places[name]]
        dtype = DTYPES[list(CODES)[tensor.dtype - 1]]
        steps = (tensor.outer_stride, tensor.class_stride, tensor.inner_stride)
        start = part * SLOT + START + sum(n * step for n, step in zip(at, steps)) * dtype.itemsize
        self.arena[start : start + dtype.itemsize] = np.array([value], dtype).view(np.uint8)

    def set_member(self, struct: ctypes.Structure, member: str, value: str) -> None:
        if member == "tail":
            size, nonzero = map(int, value.split(":"))
            known = ctypes.sizeof(struct)
            struct.struct_size = known + size
            if nonzero < size:
                at = ctypes.addressof(struct) - self.structs.ctypes.data + known + nonzero
                self.structs[at] = 1
        elif member == "data":
            struct.data = self.pointer(value)
        elif value in CODES:
            setattr(struct, member, CODES[value])
        else:
            is_real = any(f[0] == member and f[1] is ctypes.c_double for f in struct._fields_)
            setattr(struct, member, float(value) if is_real else int(value))

    def allow_outputs(self, before: np.ndarray) -> None:
        """Copies what a call may have written from the arena."""
        for part, tensor in zip(self.call.parts, self.tensors):
            start: int | None = self.slot(part.name)
            if part.kind == "tensor":
                start = tensor.data
            elif part.kind == "array":
                start = self.arguments[part.name]
            if not part.is_output or part.of == "spare" or not start:
                continue
            at = start - self.arena.ctypes.data
            end = at + int(np.prod(part.sizes)) * DTYPES[spelled(part.dtype, self.dtype)].itemsize
            before[at:end] = self.arena[at:end]
