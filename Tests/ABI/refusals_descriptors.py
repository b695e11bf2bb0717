# SPDX-License-Identifier: Apache-2.0
"""The descriptor functions' part of refusals.py: every field of every tensor, option and output."""

import math

from refusals import INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, misaligned, own, real

CODES = {"f32": 1, "f64": 2, "f16": 3, "bf16": 4, "i8": 5, "i16": 6, "i32": 7, "i64": 8, "u8": 9, "u16": 10, "u32": 11, "u64": 12}
FLOATS = ("f32", "f64", "f16", "bf16")
BITS = {name: int(name[1:]) for name in CODES if name not in FLOATS}
OUTER, CLASSES, INNER = 4, 9, 3
EXTENTS = {
    "whole": (OUTER, CLASSES, INNER), "row": (OUTER, 1, INNER), "class": (1, CLASSES, 1), "one": (1, 1, 1),
    "sparse": (OUTER, 3, INNER), "gather": (OUTER, 2, INNER), "top": (OUTER, 5, INNER),
}  # fmt: skip
AXES = ("outer", "classes", "inner")
STRIDES = ("outer_stride", "class_stride", "inner_stride")

FORMS = ("softmax", "index", "sparse", "probs", "nll", "binary", "divergence")
COLUMNS = ("xent_softmax", "index targets", "sparse targets", "probability targets", "xent_nll",
           "xent_binary_cross_entropy", "xent_divergence")  # fmt: skip
FUNCTIONS = {
    "softmax": "xent_softmax", "index": "xent_cross_entropy", "sparse": "xent_cross_entropy",
    "probs": "xent_cross_entropy", "nll": "xent_nll", "binary": "xent_binary_cross_entropy",
    "divergence": "xent_divergence", "log_softmax_grad": "xent_log_softmax_grad", "softmax_grad": "xent_softmax_grad",
}  # fmt: skip
# The arguments: name, extent, and what may be in it.
ARGUMENTS = {
    "softmax": [("logits", "whole", "logits")],
    "index": [("logits", "whole", "logits"), ("targets", "row", "integer")],
    "sparse": [("logits", "whole", "logits"), ("targets", "sparse", "integer")],
    "probs": [("logits", "whole", "logits"), ("targets", "whole", "floating")],
    "nll": [("log_probs", "whole", "logits"), ("targets", "row", "integer")],
    "binary": [("logits", "whole", "logits"), ("targets", "whole", "labels")],
    "divergence": [("student", "whole", "logits"), ("teacher", "whole", "floating")],
    "log_softmax_grad": [("log_probs", "whole", "logits"), ("grad_log_probs", "whole", "floating")],
    "softmax_grad": [("probs", "whole", "logits"), ("grad_probs", "whole", "floating")],
}
# The tensors of xent_options in the order in which they are looked at, and of xent_outputs in the order of overlaps; with
# xent.h's "What goes together": a + for each form that takes it.
OPTIONS = {
    "target_probs": ("sparse", "floating", "- +----"),
    "weight": ("class", "floating", "-+++++-"),
    "pos_weight": ("class", "floating", "-----+-"),
    "row_mask": ("row", "integer", "+++++++"),
    "class_mask": ("class", "integer", "++++--+"),
    "grad_loss": ("row", "floating", "+++++++"),
    "gather": ("gather", "integer", "++++---"),
}
OUTPUTS = {
    "grad_logits": ("whole", "floating", "+++++++"),
    "probs": ("whole", "floating", "++++---"),
    "log_probs": ("whole", "floating", "++++---"),
    "row_loss": ("row", "real", "-++++++"),
    "lse": ("row", "real", "++++---"),
    "entropy": ("row", "real", "++++---"),
    "max_logit": ("row", "real", "++++---"),
    "target_log_prob": ("row", "real", "-+-----"),
    "z_loss": ("row", "real", "++++---"),
    "argmax": ("row", "index", "++++---"),
    "target_rank": ("row", "index", "-+-----"),
    "top_indices": ("top", "index", "++++---"),
    "top_log_probs": ("top", "real", "++++---"),
    "gathered": ("gather", "real", "++++---"),
    "loss": ("one", "real", "-++++++"),
}
SUMS = {"correct": "-+-----", "rows_counted": "-++++++", "loss_sum": "-++++++", "weight_sum": "-++++++"}
# Options that are no tensors: who takes a value that is not the default, which one that could be, and what is wrong.
NOT_01 = "not 0 (NaN) or 1 (zero)"
NAN, INF, TINY = math.nan, math.inf, 5e-324
POSITIVE = "not a positive number"
VALUES = {
    "reduction": ("+++++++", 0, (4, 7, -1, 256, INT32_MIN), "not 0 (none), 1 (mean), 2 (sum) or 3 (mean_rows)"),
    "smoothing": ("-+-----", 1, (2, 3, -1, 256, INT32_MAX), "not 0 (weighted) or 1 (uniform)"),
    "empty_mean": ("+++++++", 1, (2, 3, -1, 256, INT32_MAX), NOT_01),
    "masked_row": ("++++--+", 1, (2, 3, -1, 256, INT32_MAX), NOT_01),
    "divergence": ("------+", 2, (4, 5, -1, 256, INT32_MIN), "not in [0, 3]"),
    "num_threads": ("+++++++", 2, (-1, 1025, INT32_MAX, INT32_MIN), "not in [0, 1024]"),
    "accuracy": ("+++++++", 1, (2, 3, -1, 256, INT32_MAX), "not 0 (faithful) or 1 (fastest)"),
    "reserved": ("+++++++", 0, (1, -1, 256, INT32_MIN), "not 0"),
    "label_smoothing": ("-+++---", 0.1, (1.5, -0.1, NAN, INF, -INF, -TINY), "not in [0, 1]"),
    "temperature": ("++++--+", 2.0, (0.0, -0.0, -1.0, NAN, INF, -INF), f"{POSITIVE}; start from XENT_OPTIONS_INIT"),
    "softcap": ("++++--+", 5.0, (-1.0, -TINY, NAN, INF, -INF), f"{POSITIVE}, or 0"),
    "focal_gamma": ("-+-----", 2.0, (-1.0, -TINY, NAN, INF, -INF), "not 0 or more"),
    "poly_epsilon": ("-+-----", 1.0, (NAN, INF, -INF), "not a finite number"),
    "z_loss": ("++++---", 0.1, (-1.0, -TINY, NAN, INF, -INF), "not 0 or more"),
}
APART = (("label_smoothing", "focal_gamma"), ("label_smoothing", "poly_epsilon"))
KINDS = {
    "logits": "XENT_F32, XENT_F64, XENT_F16 or XENT_BF16", "floating": "a floating dtype", "integer": "an integer dtype",
    "labels": "a floating dtype or XENT_U8", "index": "XENT_I64 or XENT_I32",
}  # fmt: skip
# Layouts that put two elements of (4, n, 3) in one place.
SELF_OVERLAPS = [(0, 3, 1), (27, 0, 1), (27, 3, 0), (1, 1, 1), (0, 0, 0), (27, 3, 3), (27, 2, 1), (26, 3, 1), (1, 3, 1),
                 (1, 9, 9), (27, -1, 1), (-1, 1, 1), (26, -3, -1), (-27, 1, -8)]  # fmt: skip
NOT_A_SIZE = "not the size of a struct; start from its initialiser"


class Tensor:
    def __init__(self, name, of, extent, kind):
        self.name, self.of, self.sizes, self.kind = name, of, EXTENTS[extent], kind
        self.is_output = of == "outputs" or name == "grad_logits"
        default = {"integer": "u8" if "mask" in name else "i64", "index": "i64", "real": "{r}"}
        self.dtype = default.get(kind, "{d}" if extent == "whole" else "{r}")

    def part(self, of=None):
        sizes = " ".join(map(str, self.sizes))
        return f"tensor {self.name} {of or self.of} {self.dtype} {sizes} {'out' if self.is_output else 'in'}"


class Form:
    """A call with everything that it takes."""

    def __init__(self, form):
        self.form = form
        self.has_options = form in FORMS
        self.column = FORMS.index(form) if self.has_options else None
        self.arguments = [Tensor(name, "argument", *rest) for name, *rest in ARGUMENTS[form]]
        self.input = self.arguments[0]
        self.options = self.taken(OPTIONS, "options")
        self.outputs = self.taken(OUTPUTS, "outputs")
        # An output that is called as the input is (xent_nll's log_probs) is in descriptors_options.c.
        self.spare = [t for t in self.taken({**OPTIONS, **OUTPUTS}, "options", "-") if t.name != self.input.name]
        for t in self.spare:
            t.of, t.is_output = ("options", False) if t.name in OPTIONS else ("outputs", True)
        self.sums = [name for name, cells in SUMS.items() if self.has_options and cells[self.column] == "+"]
        if not self.has_options:
            self.outputs = [Tensor("grad_logits", "argument", "whole", "floating")]
        if form == "binary":
            next(t for t in self.outputs if t.name == "row_loss").sizes = EXTENTS["whole"]
        self.tensors = [*self.arguments, *self.options, *self.outputs]

    def taken(self, specs, of, cell="+"):
        rows = specs.items() if self.has_options else ()
        return [Tensor(name, of, extent, kind) for name, (extent, kind, cells) in rows if cells[self.column] == cell]

    def parts(self):
        spare_sums = [f"sum {name} spare" for name in SUMS if self.has_options and name not in self.sums]
        return [*(t.part() for t in self.tensors), *(t.part("spare") for t in self.spare),
                *(f"sum {name} outputs" for name in self.sums), *spare_sums]  # fmt: skip

    def has_entries(self, t):
        return t.name == "gather" or t.name == "targets" and self.form == "sparse"

    def has_two_shapes(self, t):
        return self.form == "binary" and t.name in ("weight", "pos_weight", "grad_loss")

    def rows(self, dtype):
        for t in self.tensors:
            yield from self.pointers(t)
            yield from self.dtypes(t, dtype)
            yield from self.sizes(t)
            yield from self.strides(t)
            yield from structs(t.name, 72)
        yield from self.overlaps()
        yield from self.indices()
        if self.has_options:
            yield "NULL", "outputs=NULL", "outputs is NULL"
            yield from structs("options", 152)
            yield from structs("outputs", 160)
            yield from self.entries()
            yield from self.values()
            yield from self.together()

    def pointers(self, t):
        name = t.name
        if t.of == "argument":
            yield "NULL", f"{name}=NULL", f"{name} is NULL"
        elif name == "gather":
            yield "NULL", "gather=NULL", "gather is NULL"
        elif name == "target_probs":  # then it is no such call
            yield "SIZE", "target_probs=NULL", "targets.classes is 3, not 1"
        else:
            yield "OK", f"{name}=NULL", ""
        yield "NULL", f"{name}.data=NULL", f"{name}.data is NULL"
        yield from misaligned(name, f"{name}.data", t.dtype, f"{name}[0][0]" if self.has_entries(t) else f"{name}[0]", CLASSES)
        for value in (1, -1, INT32_MIN):
            yield "OPTION", f"{name}.reserved={value}", f"{name}.reserved is {value}, not 0"

    def dtypes(self, t, dtype):
        """What `name` may not be. Where another dtype makes another call of it, what is wrong with that."""
        name, wanted = t.name, real(dtype) if t.kind == "real" else KINDS[t.kind]
        for code in (0, -1, 13, INT32_MIN, INT32_MAX):
            kind = KINDS["integer"] if name == "targets" and self.form == "probs" else wanted
            yield "DTYPE", f"{name}.dtype={code}", f"{name}.dtype is {code}, not {kind}"
        for given in CODES:
            change, is_float = f"{name}.dtype={given}", given in FLOATS
            mixes = is_float and (given == "f64") != (dtype == "f64")
            status, text = "DTYPE", f"{name}.dtype is XENT_{given.upper()}, not {wanted}"
            is_cross_entropy = self.form in ("index", "sparse", "probs")
            if t.kind == "logits" and is_float:
                if not mixes:
                    continue
                other = next((o for o in self.tensors[1:] if o.kind in ("floating", "labels")), None)
                others = own(dtype) if other.dtype == "{d}" else real(dtype)
                text = f"{other.name} of {others} and {name} of XENT_{given.upper()} do not go together"
                yield "UNSUPPORTED", change, text
                continue
            if name == "targets" and is_cross_entropy:
                if is_float == (self.form == "probs") and not mixes:
                    continue
                status, text = "SIZE", f"targets.classes is {t.sizes[1]}, not {CLASSES if is_float else 1}"
            elif t.kind == "integer" and not is_float or t.kind == "index" and given in ("i32", "i64"):
                continue
            elif t.kind == "real" and given == ("f64" if dtype == "f64" else "f32"):
                continue
            elif t.kind in ("floating", "labels") and (is_float and not mixes or t.kind == "labels" and given == "u8"):
                continue
            if mixes and (t.kind in ("floating", "labels") or name == "targets" and is_cross_entropy):
                status = "UNSUPPORTED"
                text = f"{name} of XENT_{given.upper()} and {self.input.name} of {own(dtype)} do not go together"
            yield status, change, text

    def sizes(self, t):
        """Every size one too many, none, negative, and more than there can be."""
        name = t.name
        for axis, right in enumerate(t.sizes):
            for value in (right + 1, 0, -1, INT64_MIN, INT64_MAX):
                given = tuple(value if k == axis else size for k, size in enumerate(t.sizes))
                change = f"{name}.{AXES[axis]}={value}"
                negative = f"{name}.{AXES[axis]} is {value}, must not be negative"
                product = " * ".join(map(str, given))
                large = f"{name}: outer * classes * inner ({product}), or its strides, are too large"
                if t is self.input:
                    if value < 0 or value == INT64_MAX:
                        yield "SIZE", change, negative if value < 0 else large
                    else:
                        yield "SIZE", change, self.first_misfit(given)
                elif self.has_two_shapes(t):
                    whole = EXTENTS["whole"]
                    k = next(k for k in range(3) if given[k] != whole[k])
                    yield "SIZE", change, f"{name}.{AXES[k]} is {given[k]}, not {whole[k]}"
                elif axis == 1 and self.has_entries(t):
                    # How many entries a row has is for these to say, and then it is the other of two that is wrong.
                    if value < 0 or value == INT64_MAX:
                        yield "SIZE", change, negative if value < 0 else large
                    else:
                        other = "gathered" if name == "gather" else "target_probs"
                        yield "SIZE", change, f"{other}.classes is {right}, not {value}"
                elif axis == 1 and name == "top_indices":
                    apart = " top_indices.outer_stride=1000 top_indices.class_stride=10" if value > 0 else ""
                    text = f"top_indices.classes is {value}, not in [0, {CLASSES}]"
                    if 0 <= value <= CLASSES:
                        text = f"top_log_probs.classes is {right}, not {value}"
                    yield "SIZE", change + apart, text
                else:
                    yield "SIZE", change, f"{name}.{AXES[axis]} is {value}, not {right}"
        if t is self.input:
            large = " ".join(f"{name}.{axis}={2**21}" for axis in AXES)
            product = f"{2**21} * {2**21} * {2**21}"
            yield "SIZE", large, f"{name}: outer * classes * inner ({product}), or its strides, are too large"

    def first_misfit(self, given):
        """What is said of the first tensor that does not fit an input of other sizes."""
        for t in self.tensors[1:]:
            wanted = tuple(given[k] if t.sizes[k] == EXTENTS["whole"][k] else t.sizes[k] for k in range(3))
            if wanted != t.sizes:
                if self.has_two_shapes(t):
                    wanted = given
                k = next(k for k in range(3) if t.sizes[k] != wanted[k])
                return f"{t.name}.{AXES[k]} is {t.sizes[k]}, not {wanted[k]}"
        raise AssertionError

    def strides(self, t):
        name, product = t.name, " * ".join(map(str, t.sizes))
        large = f"{name}: outer * classes * inner ({product}), or its strides, are too large"
        for axis, size in enumerate(t.sizes):
            for value in (INT64_MAX, INT64_MIN, 2**62, -(2**62)) if size > 1 else ():
                yield "SIZE", f"{name}.{STRIDES[axis]}={value}", large
        for steps in SELF_OVERLAPS if t.is_output else ():
            grid = [(o, c, i) for o in range(t.sizes[0]) for c in range(t.sizes[1]) for i in range(t.sizes[2])]
            places = {sum(n * step for n, step in zip(at, steps)) for at in grid}
            if len(places) < len(grid):
                change = " ".join(f"{name}.{field}={step}" for field, step in zip(STRIDES, steps))
                yield "OVERLAP", change, f"{name} overlaps itself: its strides put several elements in one place"

    def overlaps(self):
        """Every output over every other tensor, exactly where it begins; or where in place is allowed, 8 bytes on."""
        names = [t.name for t in self.outputs] + self.sums
        places = {"grad_logits", "probs", "log_probs"} & set(names)
        for o, output in enumerate(names):
            data = f"{output}.data" if o < len(self.outputs) else output
            for other in [t.name for t in (*self.arguments, *self.options)]:
                may_be = output in places and (
                    other == self.input.name or not self.has_options and other == self.arguments[1].name)  # fmt: skip
                if may_be:
                    yield "OK", f"{data}=@{other}+0", ""
                yield "OVERLAP", f"{data}=@{other}+{8 if may_be else 0}", f"{output} overlaps {other}"
            for other in names[:o]:
                yield "OVERLAP", f"{data}=@{other}+0", f"{output} overlaps {other}"

    def indices(self):
        """Indices of every dtype outside of the classes: the largest and the smallest that it has, and a class more."""
        for t in self.tensors:
            if t.kind != "integer" or "mask" in t.name:
                continue
            last = t.sizes[1] - 1
            for given, bits in BITS.items():
                is_signed = given[0] == "i"
                limits = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -1) if is_signed else (2**bits - 1, 2 ** (bits - 1))
                for value in (*limits, CLASSES):
                    at = f"{t.name}[2][{last}]" if self.has_entries(t) else f"{t.name}[2]"
                    rest = "" if t.name == "gather" else " and not ignore_index (-100)"
                    change = f"{t.name}.dtype={given} {t.name}[0,{last},2]={value} {t.name}[1,0,1]=99"
                    as_int64 = value - 2**64 if value >= 2**63 else value
                    yield "TARGET", change, f"{at} is {value}, not in [0, {CLASSES}){rest}", 2, as_int64
            if t.name == "gather":
                continue
            at = "targets[11][2]" if self.form == "sparse" else "targets[11]"
            for ignored in (0, INT64_MAX, INT64_MIN, -1):
                change = f"options.ignore_index={ignored} targets[3,{last},2]=-100"
                yield "TARGET", change, f"{at} is -100, not in [0, {CLASSES}) and not ignore_index ({ignored})", 11, -100
            # As many bits as 2^64 - 100 has, but not that number.
            change = f"targets.dtype=u64 targets[3,{last},2]={2**64 - 100}"
            text = f"{at} is {2**64 - 100}, not in [0, {CLASSES}) and not ignore_index (-100)"
            yield "TARGET", change, text, 11, -100

    def entries(self):
        names = {t.name for t in self.outputs}
        if "top_indices" not in names:
            return
        for name, rest in (("top_indices", ""), ("top_log_probs", "top_indices=NULL ")):
            for k in (10, 65, -1, INT64_MIN):
                yield "SIZE", f"{rest}{name}.classes={k}", f"{name}.classes is {k}, not in [0, {CLASSES}]"

    def values(self):
        for name, (_, _, wrong, text) in VALUES.items():
            for value in wrong:
                yield "OPTION", f"options.{name}={value!r}", f"{name} is {number(value)}, {text}"
        if self.form == "sparse":  # then it is no such call
            yield "SIZE", "options=NULL", "targets.classes is 3, not 1"
        elif any(t.name == "gather" for t in self.options):
            yield "NULL", "options=NULL", "gather is NULL"
        else:
            yield "OK", "options=NULL", ""

    def together(self):
        column = COLUMNS[self.column]
        for name, (cells, value, *_) in VALUES.items():
            if cells[self.column] == "-":
                yield "UNSUPPORTED", f"options.{name}={value!r}", f"{name} and {column} do not go together"
        for name in [t.name for t in self.spare] + [name for name in SUMS if name not in self.sums]:
            yield "UNSUPPORTED", f"{name}=&", f"{name} and {column} do not go together"
        for pair in APART:
            if all(VALUES[name][0][self.column] == "+" for name in pair):
                change = " ".join(f"options.{name}={VALUES[name][1]!r}" for name in pair)
                yield "UNSUPPORTED", change, f"{pair[0]} and {pair[1]} do not go together"
        if self.form == "probs":
            for value in (0, 3, INT64_MAX):
                yield "UNSUPPORTED", f"options.ignore_index={value}", f"ignore_index and {column} do not go together"
        if self.form != "softmax":
            text = "loss and reduction none; row_loss has the loss of each row: they do not go together"
            yield "UNSUPPORTED", "options.reduction=0", text


def structs(name, known):
    for size in (0, 1, 7, 2**64 - 1, 2**63):
        signed = size - 2**64 if size >= 2**63 else size
        yield "SIZE", f"{name}.struct_size={size}", f"{name}.struct_size is {signed}, {NOT_A_SIZE}"
    for byte in (0, 13, 39):
        text = f"{name}.struct_size is {known + 40}, and what is beyond {known} bytes is not zero: this library is older than its caller"
        yield "UNSUPPORTED", f"{name}.tail=40:{byte}", text
    yield "OK", f"{name}.tail=40:40", ""


def number(value):
    """As texts have it."""
    if isinstance(value, int) or math.isinf(value):
        return str(value)
    if math.isnan(value):
        return "NaN"
    return f"{value:.7g}" if value else "0"


def descriptors(table):
    for form in (*FORMS, "log_softmax_grad", "softmax_grad"):
        f = Form(form)
        label = f"{FUNCTIONS[form]}({form})" if FUNCTIONS[form] == "xent_cross_entropy" else FUNCTIONS[form]
        table.block(label, FUNCTIONS[form], f.parts(), f.rows)
