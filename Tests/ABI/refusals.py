#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes refusals.txt: every parameter of xent.h with every kind of wrong value, and what the library says to it.

    python3 Tests/ABI/refusals.py            rewrites Tests/ABI/refusals.txt
    python3 Tests/ABI/refusals.py --check    compares; also that no parameter or field of xent.h is left out

refusals.c runs the table, and bindings/python/tests/test_refusals.py does so from Python. What the statuses and texts are
to be is said here and in refusals_descriptors.py, from xent.h, and not asked of the library.
"""

import argparse
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER / "refusals.txt"
XENT_H = FOLDER.parents[1] / "Include/xent.h"

DTYPES = ("f32", "f64", "f16", "bf16")
SIZES = {"f32": 4, "f64": 8, "f16": 2, "bf16": 2}
INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX = -(2**31), 2**31 - 1, -(2**63), 2**63 - 1

HEADER = """\
# Every parameter of xent.h with every kind of wrong value: the status, and the text that xent_last_error() has to give.
# Written by Tests/ABI/refusals.py; do not edit. Run by refusals.c, and from Python by test_refusals.py.
#
#   call <label> <function>    a call that is right, made of what follows it up to the next one. It stands for four, one
#                              for each dtype: {d} is f32, f64, f16 or bf16, {D} is XENT_F32, ..., and {r}, {R} the same
#                              of the losses' dtype
#     number <name> <value>                          an argument
#     array <name> <dtype> <count> <in|out>          an argument: a plain array
#     tensor <name> <of> <dtype> <outer> <classes> <inner> <in|out>    contiguous; <of> is argument, options or outputs,
#                              or spare: it has memory, and nothing points to it
#     sum <name>                                     8 bytes of xent_outputs
#   Floating inputs are 1.5, integers 1. Then its rows, with a tab between the columns:
#   <dtypes, or *> <status> <changes> <text without "function: ">, and for TARGET the row and the value of xent_error
#
# The changes are made one after the other. a=NULL, a=@b+8 (8 bytes behind the start of b's memory) and a.data=... are
# pointers; a=& connects a spare tensor; a.field=1 sets a field, a number or a dtype; a[2]=7 and a[0,1,2]=7 an element;
# a.tail=40:13 makes a struct 40 bytes longer than this header's, all 0 but number 13 (40:40: all 0). OK says that a value
# only looks wrong; then nothing beside the outputs is written.
"""


class Table:
    def __init__(self):
        self.blocks = []
        self.seen = set()  # (function, parameter) and (struct, field)

    def block(self, label, function, parts, rows):
        """rows: the function that gives (status, changes, text[, row, value]) for a dtype."""
        merged = {}
        for dtype in DTYPES:
            for row in rows(dtype):
                status, changes, text, *rest = row
                assert all("\t" not in word for word in (changes, text))
                merged.setdefault((status, changes, symbolic(text, dtype), *map(str, rest)), []).append(dtype)
        lines = [f"call {label} {function}", *("  " + part for part in parts)]
        for row, dtypes in merged.items():
            lines.append("\t".join(("*" if len(dtypes) == 4 else ",".join(dtypes), *row)))
            # Names of arrays by themselves, of fields by what they are fields of.
            for change in row[1].split():
                name, *field = re.split(r"\.|\[", change.split("=")[0])
                self.seen.add((function, name))
                if row[0] != "OK":
                    self.seen.add((function, name, *field[:1]))
        self.blocks.append("\n".join(lines))

    def text(self):
        return HEADER + "\n" + "\n\n".join(self.blocks) + "\n"


def symbolic(text, dtype):
    """With the call's dtype as {D} and that of losses as {R}, where own() and real() have marked them."""
    return text.replace(own(dtype), "{D}").replace(real(dtype), "{R}")


def own(dtype):
    return f"\1XENT_{dtype.upper()}"


def real(dtype):
    return "\2XENT_F64" if dtype == "f64" else "\2XENT_F32"


# ---- Plain functions -------------------------------------------------------------------------------------------------

ROWS, CLASSES = 4, 3
COUNTS = {"matrix": ROWS * CLASSES, "row": ROWS, "class": CLASSES, "loss": ROWS, "matrix loss": ROWS * CLASSES}
WEIGHT = ("weight", "{r}", "class", "in?")
TARGETS = ("targets", "i64", "row", "in")
ROWWISE = "rows classes"
LOSS = "rows classes weight ignore_index reduction"
BINARY = "rows classes weight pos_weight reduction"


def matrix(name, direction="in"):
    return (name, "{d}", "matrix", direction)


BINARY_ARRAYS = (matrix("logits"), matrix("targets"), WEIGHT, ("pos_weight", "{r}", "class", "in?"))
# The arrays in the order of their parameters (an output that has "?" may be NULL), and which inputs the last of them may be.
PLAIN = {
    "softmax": ([matrix("logits"), matrix("probs", "out")], ["logits"]),
    "log_softmax": ([matrix("logits"), matrix("log_probs", "out")], ["logits"]),
    "logsumexp": ([matrix("logits"), ("lse", "{r}", "row", "out")], []),
    "nll": ([matrix("log_probs"), TARGETS, WEIGHT, ("loss", "{r}", "loss", "out")], []),
    "cross_entropy": ([matrix("logits"), TARGETS, WEIGHT, ("loss", "{r}", "loss", "out")], []),
    "cross_entropy_grad": (
        [matrix("logits"), TARGETS, WEIGHT, ("loss", "{r}", "loss", "out?"), matrix("grad_logits", "out")],
        ["logits"],
    ),
    "log_softmax_grad": (
        [matrix("log_probs"), matrix("grad_log_probs"), matrix("grad_logits", "out")],
        ["log_probs", "grad_log_probs"],
    ),
    "nll_grad": ([TARGETS, WEIGHT, matrix("grad_log_probs", "out")], []),
    "softmax_grad": ([matrix("probs"), matrix("grad_probs"), matrix("grad_logits", "out")], ["probs", "grad_probs"]),
    "logsumexp_grad": ([matrix("logits"), ("grad_lse", "{r}", "row", "in"), matrix("grad_logits", "out")], ["logits"]),
    "binary_cross_entropy": ([*BINARY_ARRAYS, ("loss", "{r}", "matrix loss", "out")], []),
    "binary_cross_entropy_grad": (
        [*BINARY_ARRAYS, ("loss", "{r}", "matrix loss", "out?"), matrix("grad_logits", "out")],
        ["logits"],
    ),
}  # fmt: skip
# In the order in which overlaps are looked for.
PLAIN_OUTPUTS = ("grad_logits", "grad_log_probs", "probs", "log_probs", "loss", "lse")
REDUCTION = "not 0 (none), 1 (mean), 2 (sum) or 3 (mean_rows)"
WRONG_TARGETS = (7, 3, -1, -99, INT64_MIN, INT64_MAX, 2**32 + 1, 255)


def count(shape, rows, classes, reduction):
    if shape == "loss":
        return rows if reduction == 0 else 1
    if shape == "matrix loss":
        return rows * classes if reduction == 0 else 1
    return {"matrix": rows * classes, "row": rows, "class": classes}[shape]


def plain_rows(name, dtype):
    arrays, in_place = PLAIN[name]
    names = [array[0] for array in arrays]
    has_reduction, has_index = "loss" in names or name == "nll_grad", TARGETS in arrays
    for array, element, _, direction in arrays:
        yield ("OK", f"{array}=NULL", "") if "?" in direction else ("NULL", f"{array}=NULL", f"{array} is NULL")
        yield from misaligned(array, array, element, "targets[0]", CLASSES)
    # NULL is right where there are no elements, and only there: a reduced loss has one, however few the rows.
    for rows, classes in ((0, 0), (0, 3), (2, 0)):
        if has_index and rows:  # every target would be outside
            continue
        for reduction in range(4 if has_reduction else 1):
            sizes = f"rows={rows} classes={classes}" + (f" reduction={reduction}" if has_reduction else "")
            counts = {a: count(shape, rows, classes, reduction) for a, _, shape, _ in arrays}
            empty = "".join(f" {a}=NULL" for a in names if not counts[a])
            yield "OK", sizes + empty, ""
            for array, *_, direction in arrays:
                if counts[array] and "?" not in direction:
                    yield "NULL", f"{sizes}{empty} {array}=NULL", f"{array} is NULL"
    for size in ("rows", "classes"):
        for value in (-1, -4, INT64_MIN):
            yield "SIZE", f"{size}={value}", f"{size} is {value}, must not be negative"
    # The product wraps to 0, to a small number, to a negative one; or only the bytes do.
    large = [(2**32, 2**32), (2**31, 2**31), (2**62 + 1, 4), (4, 2**62 + 1), (INT64_MAX, 2), (2, INT64_MAX),
             (INT64_MAX, INT64_MAX), (INT64_MAX, 1), (1, INT64_MAX), (3, INT64_MAX // 3 // SIZES[dtype] + 1)]  # fmt: skip
    for rows, classes in large:
        yield "SIZE", f"rows={rows} classes={classes}", f"rows * classes ({rows} * {classes}) is too large"
    # No elements, but an array of rows or of classes that would not fit.
    has_rows = any(shape in ("row", "loss") for _, _, shape, _ in arrays)
    is_checked = {"rows": has_rows, "classes": has_rows or "weight" in names}
    for size, other in (("rows", "classes"), ("classes", "rows")):
        for value in (INT64_MAX, INT64_MAX // 8 + 1):
            text = f"{size} is {value}, too large" if is_checked[size] else ""
            yield "SIZE" if text else "OK", f"{size}={value} {other}=0", text
    for value in (7, 4, -1, INT32_MIN, INT32_MAX, 256) if has_reduction else ():
        yield "OPTION", f"reduction={value}", f"reduction is {value}, {REDUCTION}"
    if has_index:
        yield from plain_targets()
    for output, *_, direction in arrays:
        for other in names if "out" in direction else ():
            if other == output:
                continue
            if output == names[-1] and other in in_place:
                yield "OK", f"{output}=@{other}+0", ""
                step = 8
            else:
                step = 0
            pair = sorted((output, other), key=lambda n: PLAIN_OUTPUTS.index(n) if is_output(arrays, n) else 99)
            # An input is named last; of two outputs, the one that comes later in the list is found over the other.
            text = f"{output} overlaps {other}" if not is_output(arrays, other) else f"{pair[1]} overlaps {pair[0]}"
            yield "OVERLAP", f"{output}=@{other}+{step}", text


def misaligned(name, pointer, dtype, at, classes):
    """One byte off is not refused: what lies there is taken as it is. Of ones in int64 it is the eighth byte."""
    if dtype != "i64" or name not in ("targets", "gather"):
        yield "OK", f"{pointer}=@{name}+1", ""
        return
    rest = " and not ignore_index (-100)" if name == "targets" else ""
    yield "TARGET", f"{pointer}=@{name}+1", f"{at} is {2**56}, not in [0, {classes}){rest}", 0, 2**56


def is_output(arrays, name):
    return any(a == name and "out" in direction for a, _, _, direction in arrays)


def plain_targets():
    def text(row, value, ignored=-100, classes=CLASSES):
        return f"targets[{row}] is {value}, not in [0, {classes}) and not ignore_index ({ignored})"

    # The low 32 bits of one are a class; a row behind the first wrong one is wrong too.
    for value in WRONG_TARGETS:
        for row in range(ROWS):
            behind = f" targets[{row + 1}]=5" if row + 1 < ROWS else ""
            yield "TARGET", f"targets[{row}]={value}{behind}", text(row, value), row, value
    # -100 is an ordinary wrong target as soon as another value is ignored.
    for ignored in (1, 0, -1, INT64_MAX, INT64_MIN):
        for reduction in range(4):
            changes = f"ignore_index={ignored} reduction={reduction} targets[3]=-100"
            yield "TARGET", changes, text(3, -100, ignored), 3, -100
    yield "OK", "ignore_index=1", ""
    yield "TARGET", "classes=0", text(0, 1, classes=0), 0, 1
    yield "OK", "targets[0]=-100 targets[1]=-100", ""


def plain(table):
    for name, (arrays, _) in PLAIN.items():
        header = {a: f"array {a} {dtype} {COUNTS[shape]} {way[:3].strip('?')}" for a, dtype, shape, way in arrays}
        numbers = ["number rows 4", "number classes 3"]
        if TARGETS in arrays:
            numbers.append("number ignore_index -100")
        if "loss" in header or name == "nll_grad":
            numbers.append("number reduction 0")
        table.block(name, f"xent_{name}_{{d}}", [*header.values(), *numbers], lambda dtype: plain_rows(name, dtype))


def threads(table):
    def rows(_):
        for value in (-1, 1025, INT32_MIN, INT32_MAX):
            yield "OPTION", f"num_threads={value}", f"num_threads is {value}, not in [0, 1024]"

    table.block("set_num_threads", "xent_set_num_threads", ["number num_threads 1"], rows)


# ---- Whether anything is left out ------------------------------------------------------------------------------------

# What has no wrong value, and why.
NEVER_WRONG = {
    ("xent_error", "*"): "an output; descriptors_structs.c",
    ("xent_status_string", "status"): "any value has a sentence; errors.c",
    ("xent_options", "ignore_index"): "any value may be ignored",
    ("*", "ignore_index"): "any value may be ignored",
    ("*", "error"): "may be NULL; descriptors_structs.c",
    ("*", "options"): "fields, below",
}


def left_out(table):
    """Parameters and fields of xent.h that no row makes wrong."""
    header = re.sub(r"/\*.*?\*/|XENT_NULLABLE|XENT_NONNULL", "", XENT_H.read_text(), flags=re.DOTALL)
    seen = {(function.replace("{d}", "f32"), *rest) for function, *rest in table.seen}
    missing = []
    for function, parameters in re.findall(r"^xent_status (xent_\w+)\(([^)]*)\)", header, re.MULTILINE):
        if re.search("_(f64|f16|bf16)$", function):  # in the same rows
            continue
        for parameter in parameters.split(","):
            name = re.search(r"(\w+)\s*$", parameter).group(1)
            known = {(function, name), ("*", name)}
            if not known & NEVER_WRONG.keys() and (function, name) not in {row[:2] for row in seen}:
                missing.append(f"{function}: {name}")
    fields = {}
    for struct, body in re.findall(r"^typedef struct (xent_\w+) \{(.*?)^\}", header, re.MULTILINE | re.DOTALL):
        names = [n for line in body.split(";") for n in re.findall(r"(\w+)\s*(?:\[\d+\])?\s*(?:,|$)", line.strip())]
        fields[struct] = [n for n in names if n != "size_t"]
    tensor_fields = {row[2] for row in seen if len(row) == 3}
    missing += [f"xent_tensor.{f}" for f in fields["xent_tensor"] if f not in tensor_fields]
    for struct, name in (("xent_options", "options"), ("xent_outputs", "outputs")):
        wrong = {row[2] for row in seen if len(row) == 3 and row[1] == name} | {row[1] for row in seen}
        missing += [f"{struct}.{f}" for f in fields[struct] if f not in wrong and (struct, f) not in NEVER_WRONG]
    return missing


def main():
    from refusals_descriptors import descriptors

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    table = Table()
    plain(table)
    threads(table)
    descriptors(table)
    problems = [f"no row for {what}" for what in left_out(table)]
    if not check:
        TABLE.write_text(table.text())
    elif TABLE.read_text() != table.text():
        problems.append(f"{TABLE.name} is not what refusals.py writes")
    for problem in problems:
        print(f"not ok - {problem}")
    print(f"{int(not problems)} passed, {len(problems)} failed")
    return len(problems) > 0


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER))
    sys.modules["refusals"] = sys.modules["__main__"]
    sys.exit(main())
