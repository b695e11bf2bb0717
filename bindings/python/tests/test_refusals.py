# SPDX-License-Identifier: Apache-2.0
"""The table of what is refused, Tests/ABI/refusals.txt: as the C library answers through ctypes, and as this package does."""

import ctypes
import inspect

import numpy as np
import pytest
from refusals import CODES, DTYPES, FLOATS, STATUSES, Call, Memory, Row, calls, spelled
from xent._library import TYPED, UNTYPED, library

import xent

CALLS = {call.label: call for call in calls()}


class Error(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("status", ctypes.c_int32), ("reserved", ctypes.c_int32),
                ("row", ctypes.c_int64), ("value", ctypes.c_int64), ("message", ctypes.c_char * 256)]  # fmt: skip


@pytest.fixture(scope="module")
def raw():
    """The library once more, with errno of its own to look at."""
    return ctypes.CDLL(library._name, use_errno=True)


def arguments(memory: Memory, error: Error) -> list:
    """In the order of xent.h."""
    call = memory.call
    arrays = iter(ctypes.c_void_p(address) for address in memory.arguments.values())
    if call.function == "xent_set_num_threads":
        return [ctypes.c_int32(memory.numbers["num_threads"])]
    if call.label in TYPED:
        sizes = iter([ctypes.c_int64(memory.numbers[n]) for n in ("rows", "classes", "ignore_index") if n in memory.numbers])
        reduction = ctypes.c_int32(memory.numbers.get("reduction", 0))
        kinds = {ctypes.c_void_p: lambda: next(arrays), ctypes.c_int64: lambda: next(sizes), ctypes.c_int32: lambda: reduction}
        return [kinds[kind]() for kind in TYPED[call.label]]
    given = list(arrays)
    if len(UNTYPED[call.function.removeprefix("xent_")][1]) > len(given) + 1:
        for struct in ("options", "outputs"):
            given.append(ctypes.c_void_p(ctypes.addressof(getattr(memory, struct)) if memory.has[struct] else None))
    return [*given, ctypes.byref(error)]


def problem(raw: ctypes.CDLL, memory: Memory, row: Row) -> str:
    """What is wrong with the library's answer, or ""."""
    memory.reset()
    for words in row.changes.split():
        memory.change(words)
    arena, structs = memory.arena.copy(), memory.structs.copy()
    error = Error(ctypes.sizeof(Error))
    function = spelled(memory.call.function, memory.dtype)
    given = arguments(memory, error)
    ctypes.set_errno(4711)
    status = raw[function](*given)
    errno = ctypes.get_errno()
    raw.xent_last_error.restype = ctypes.c_char_p
    wanted = f"{function}: {spelled(row.text, memory.dtype)}" if status else ""
    text = raw.xent_last_error().decode() if status else ""
    if status != STATUSES.index(row.status) or text != wanted:
        return f"status {status}, {text!r}"
    if memory.call.label not in (*TYPED, "set_num_threads"):
        if (error.status, error.row, error.value, error.message.decode()) != (status, row.row, row.value, wanted):
            return f"xent_error {error.status}, {error.row}, {error.value}, {error.message!r}"
    if not status:
        memory.allow_outputs(arena)
    if not (np.array_equal(arena, memory.arena) and np.array_equal(structs, memory.structs)):
        return "something is written"
    return "" if errno == 4711 else f"errno {errno}"


@pytest.mark.parametrize("label", CALLS)
def test_c_library(raw, label):
    call, problems, count = CALLS[label], [], 0
    for dtype in FLOATS:
        memory = Memory(call, dtype)
        for row in (Row((dtype,), "OK", "", ""), *call.of(dtype)):
            wrong = problem(raw, memory, row)
            count += 1
            if wrong:
                problems.append(f"{dtype}, {row.changes}: {wrong}, not {row.status}, {row.text!r}")
    assert not problems, f"{len(problems)} of {count}:\n" + "\n".join(problems[:20])
    assert count >= 20


# ---- This package ----------------------------------------------------------------------------------------------------

EXCEPTIONS = {"SIZE": ValueError, "TARGET": IndexError, "OPTION": ValueError, "UNSUPPORTED": ValueError}
WORDS = {
    "reduction": ("none", "mean", "sum", "mean_rows"),
    "smoothing": ("weighted", "uniform"),
    "empty_mean": ("nan", "zero"),
    "masked_row": ("nan", "zero"),
    "accuracy": ("faithful", "fastest"),
    "divergence": ("kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon"),
}
FUNCTIONS = {
    "nll": xent.nll_loss,
    "cross_entropy": xent.cross_entropy,
    "cross_entropy_grad": xent.cross_entropy_with_grad,
    "nll_grad": xent.nll_loss_grad,
    "xent_softmax": xent.statistics,
    "xent_cross_entropy(index)": xent.cross_entropy,
    "xent_cross_entropy(sparse)": xent.cross_entropy,
    "xent_cross_entropy(probs)": xent.cross_entropy,
    "xent_nll": xent.nll_loss,
    "xent_binary_cross_entropy": xent.binary_cross_entropy_with_logits,
    "xent_divergence": xent.divergence,
    "set_num_threads": xent.set_num_threads,
}
# What this package does otherwise: the loss is then that of each row; and it looks at dtypes and shapes itself.
NO_EQUAL = {"options.reduction=0", "target_probs=&"} | {f"targets.dtype={name}" for name in CODES}
NAMES = {"targets": "target", "divergence": "kind", "grad_logits": "grad"}  # where Python has others


class Given:
    """The arguments of one of the package's functions, for a row of the table; `can` says whether it has such a call."""

    def __init__(self, call: Call, dtype: str) -> None:
        self.call, self.function = call, FUNCTIONS[call.label]
        self.parameters = inspect.signature(self.function).parameters
        self.dtype, self.can = dtype, True
        self.arrays = {part.name: self.array(part) for part in call.parts if not part.is_output and part.of != "spare"}
        for name in ("gather", "weight", "pos_weight", "row_mask", "class_mask", "grad_loss"):
            self.arrays.pop(name, None)
        self.named: dict = {}
        self.outputs: list[str] = []
        if call.label == "nll_grad":
            self.named = {"classes": 3, "dtype": FLOATS[dtype], "target": None}
        if "reduction" in call.numbers:
            self.named["reduction"] = "none"
        if call.label == "xent_softmax":
            self.outputs, self.named = ["lse"], {"axis": 1}

    def array(self, part):
        name = spelled(part.dtype, self.dtype)
        shape = (4, 3) if part.sizes == (12,) else part.sizes
        if part.name in ("targets", "row_mask", "grad_loss") and len(shape) == 3 and shape[1] == 1:
            shape = (shape[0], shape[2])
        if len(shape) == 3 and shape[0] == shape[2] == 1:
            shape = shape[1:2]
        return np.full(shape, 1.5 if name in FLOATS else 1, DTYPES[name])

    def change(self, words: str) -> None:
        left, value = words.split("=")
        name, _, member = left.partition(".")
        if left.endswith("]"):
            name, _, indices = left[:-1].partition("[")
            at = [int(n) for n in indices.split(",")]
            array = self.arrays.setdefault(name, self.array(next(p for p in self.call.parts if p.name == name)))
            array[tuple(at if array.ndim == len(at) else (at[0], at[2]))] = int(value)
            if name == "gather":
                self.outputs = [*dict.fromkeys([*self.outputs, "gathered"])]
        elif member == "dtype" and value in CODES and value not in FLOATS:
            part = next(p for p in self.call.parts if p.name == name)
            self.arrays[name] = self.array(part).astype(DTYPES[value])
        elif name == "options" and member or name in ("reduction", "ignore_index", "num_threads"):
            self.option(member or name, value)
        elif value == "&":
            part = next(p for p in self.call.parts if p.name == name)
            if not part.is_output:
                self.arrays[name] = self.array(part)
            elif "outputs" in self.parameters and name not in ("top_indices", "top_log_probs", "gathered"):
                self.outputs.append(NAMES.get(name, name))
            else:
                self.can = False
        else:
            self.can = False

    def option(self, name: str, value: str) -> None:
        if name in WORDS:
            number = int(value)
            self.can &= 0 <= number < len(WORDS[name])
            self.named[NAMES.get(name, name)] = WORDS[name][number] if self.can else None
        elif name in ("ignore_index", "num_threads"):
            self.named[name] = int(value)
        elif name == "struct_size" or name == "tail":
            self.can = False
        else:
            self.named[name] = float(value)

    def make(self):
        named = {**self.named, **{NAMES.get(name, name): array for name, array in self.arrays.items()}}
        if self.outputs:
            named["outputs"] = tuple(self.outputs)
        elif "outputs" in self.parameters and self.call.label not in TYPED:
            # More than the plain functions have, so that a descriptor call is made.
            named["outputs"] = ("loss", "rows_counted")
        order = list(self.parameters)
        if order[0] not in named:
            named[order[0]] = named.pop(next(iter(self.arrays)))
        if not named.keys() <= self.parameters.keys():
            return None
        first = [named.pop(name) for name in order[:2] if name in named and name != "outputs"]
        return lambda: self.function(*first, **named)


def equal_calls(label):
    """(the package's call, the row, and the text)"""
    call = CALLS[label]
    for dtype in FLOATS:
        for row in call.of(dtype):
            if row.status not in EXCEPTIONS or row.changes in NO_EQUAL:
                continue
            given = Given(call, dtype)
            for words in row.changes.split():
                if given.can:
                    given.change(words)
            made = given.make() if given.can else None
            if made:
                yield made, row, f"{spelled(call.function, dtype)}: {spelled(row.text, dtype)}"


# How many rows there have to be at least, so that none is lost unseen.
@pytest.mark.parametrize(("label", "least"), [
    ("nll", 200), ("cross_entropy", 200), ("cross_entropy_grad", 200), ("nll_grad", 200), ("xent_softmax", 100),
    ("xent_cross_entropy(index)", 250), ("xent_cross_entropy(sparse)", 250), ("xent_cross_entropy(probs)", 150),
    ("xent_nll", 150), ("xent_binary_cross_entropy", 20), ("xent_divergence", 20), ("set_num_threads", 16)])  # fmt: skip
def test_package(label, least):
    problems, count = [], 0
    for made, row, wanted in equal_calls(label):
        count += 1
        try:
            made()
        except EXCEPTIONS[row.status] as error:
            if str(error) != wanted:
                problems.append(f"{row.changes}: {error}, not {wanted}")
        except Exception as error:
            problems.append(f"{row.changes}: {type(error).__name__} {error}, not {row.status} {wanted}")
        else:
            problems.append(f"{row.changes}: no error, not {wanted}")
    assert not problems, f"{len(problems)} of {count}:\n" + "\n".join(problems[:20])
    assert count >= least
