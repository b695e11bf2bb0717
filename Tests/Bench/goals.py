# SPDX-License-Identifier: Apache-2.0
"""What Xent has to reach, line by line, each computed from a run: the worst of all the arrays it holds for counts."""

from dataclasses import dataclass
from typing import Callable

from lines import all_lines
from operations import FRESH, IN_PLACE, NONE, WARM, shape_name

MIB = 1 << 20
PYTHON_SHAPES = [[1, 10], [32, 10], [8, 1000]]
# In part: of the arrays that the goal is about only some were measured, or smaller ones in their place.
REACHED, PARTLY, UNREACHED, UNMEASURED = "reached", "in part", "NOT reached", "not measured"
LARGE_WORK = 100e-6  # seconds, from which on two threads have to pay


@dataclass(frozen=True)
class Goal:
    what: str
    against: str
    bound: float
    unit: str  # of the bound: "x", "%", "MiB" or "us"
    # Of the results: (value, where, what it would be at the limits of the machine or None) of everything it holds for.
    values: Callable
    needs: tuple = ()  # arrays without which it is only partly measured
    sign: str = ">="

    def holds(self, value):
        return {">=": value >= self.bound, ">": value > self.bound, "<=": value <= self.bound}[self.sign]


def named(line):
    output = "" if line.output == NONE else f", {line.output}"
    return f"{shape_name(line.shape)} {line.dtype} {line.operation}{output}, {line.threads} thr."


def lines_where(results, operations=None, outputs=None, dtype="f32", threads=None, classes=0, shapes=None):
    for line in all_lines(results):
        if (
            (operations is None or line.operation in operations)
            and (outputs is None or line.output in outputs)
            and (dtype is None or line.dtype == dtype)
            and (threads is None or line.threads == threads)
            and line.classes >= classes
            and (shapes is None or tuple(line.shape) in shapes)
        ):
            yield line


def at_limits(value, line):
    """A value that goes up as Xent's time goes down, if that were what its arithmetic and the memory need."""
    return value * line.xent["seconds"] / line.least if line.xent and line.work else None


def against(peer=None, form=None, fastest=False, **where):
    """Ratios to a form of a library, or to the best of all peers; `fastest`: with XENT_ACCURACY_FASTEST."""

    def values(results):
        for line in lines_where(results, **where):
            ratio = line.ratio(line.form(peer, form) if peer else line.best, fastest)
            if ratio is not None:
                other = "" if peer else f" ({line.best['peer']}: {line.best['form']})"
                # The loops are the faithful operations.
                yield ratio, named(line) + other, None if fastest else at_limits(ratio, line)

    return values


def share(**where):
    return lambda results: (
        (100 * line.share, named(line), at_limits(100 * line.share, line)) for line in lines_where(results, **where)
    )


def extra(**where):
    def values(results):
        for line in lines_where(results, **where):
            if line.xent and line.xent["extra_bytes"] is not None:
                yield line.xent["extra_bytes"] / MIB, named(line), None

    return values


def scaling(least=0.0):
    """Speed-ups by threads, where one thread takes at least so many seconds."""

    def values(results):
        for process in results["processes"]:
            for s in process["scaling"]:
                if s["one"] >= least:
                    yield s["one"] / s["all"], f"{shape_name(s['shape'])} {s['operation']}", None

    return values


def _small(results, name):
    for process in results["processes"]:
        for s in process["small"]:
            if s["name"] == name:
                yield process["threads"], s["shape"], s.get("seconds")


def small_seconds(name, shape):
    return lambda results: (
        (seconds * 1e6, f"{shape_name(s)}, {threads} thr.", None)
        for threads, s, seconds in _small(results, name)
        if s == shape and seconds
    )


def small_ratios(results):
    torch = {(threads, *shape): s for threads, shape, s in _small(results, "torch F.cross_entropy")}
    for threads, shape, seconds in _small(results, "Python xent.cross_entropy"):
        if shape in PYTHON_SHAPES and torch.get((threads, *shape)):
            # Without a time of Xent's there is nothing that it reached.
            ratio = torch[threads, *shape] / seconds if seconds else 0.0
            yield ratio, f"{shape_name(shape)}, {threads} thr.", None


FORWARD, GRADIENT = ("forward",), ("gradient",)
SOFTMAXES = ("log_softmax", "softmax")
EAGER, BACKWARD, ALONE = "F.cross_entropy", "F.cross_entropy backward", "log_softmax(out=) alone"
NARROW = ((65536, 10), (8, 21, 256, 256))
WIDE = ((8192, 1000), (4096, 4096), (1024, 32000), (512, 128256), (64, 262144), (1, 262144))
HIGH = WIDE[1:]
ALL = NARROW + WIDE
LARGE = ((512, 128256),)
BEST_TO_FASTEST = "best of all peers, with accuracy fastest"
ALL_BEST, IN_MEMORY = "best of all peers", "extra memory"

GOALS = (
    Goal("forward, C >= 1000, 1 thread", "F.cross_entropy", 10, "x",
         against("torch", EAGER, operations=FORWARD, classes=1000, threads=1), WIDE),
    Goal("", ALL_BEST, 2.5, "x", against(operations=FORWARD, classes=1000, threads=1), WIDE),
    Goal("", "PyTorch log_softmax(out=) alone", 4, "x",
         against("torch", ALONE, operations=FORWARD, classes=1000, threads=1), WIDE),
    Goal("forward, C >= 4096, 1 thread", "read roofline", 70, "%",
         share(operations=FORWARD, classes=4096, threads=1), HIGH),
    Goal("forward, C >= 4096, 2 threads", "read roofline", 80, "%",
         share(operations=FORWARD, classes=4096, threads=2), HIGH),
    Goal("forward, 65536x10 and 8x21x256x256", ALL_BEST, 4, "x", against(operations=FORWARD, shapes=NARROW), NARROW),
    Goal("gradient, C >= 1000, in place", "PyTorch forward + backward", 14, "x",
         against("torch", BACKWARD, operations=GRADIENT, outputs=(IN_PLACE,), classes=1000), WIDE),
    Goal("", ALL_BEST, 5, "x", against(operations=GRADIENT, outputs=(IN_PLACE,), classes=1000), WIDE),
    Goal("", BEST_TO_FASTEST, 5, "x", against(fastest=True, operations=GRADIENT, outputs=(IN_PLACE,), classes=1000), WIDE),
    Goal("gradient, C >= 1000, out of place", "PyTorch forward + backward", 10, "x",
         against("torch", BACKWARD, operations=GRADIENT, outputs=(WARM,), classes=1000), WIDE),
    Goal("", ALL_BEST, 3, "x", against(operations=GRADIENT, outputs=(WARM,), classes=1000), WIDE),
    Goal("", BEST_TO_FASTEST, 3, "x", against(fastest=True, operations=GRADIENT, outputs=(WARM,), classes=1000), WIDE),
    Goal("gradient, 65536x10", ALL_BEST, 3, "x",
         against(operations=GRADIENT, outputs=(IN_PLACE, WARM), shapes=NARROW[:1]), NARROW[:1]),
    Goal("(log_)softmax, C >= 1000, warm", ALL_BEST, 1.6, "x",
         against(operations=SOFTMAXES, outputs=(WARM,), classes=1000), WIDE),
    Goal("(log_)softmax, C >= 1000, fresh from Python", ALL_BEST, 2, "x",
         against(operations=SOFTMAXES, outputs=(FRESH,), classes=1000), WIDE),
    Goal("every operation, bf16", "best peer in bf16", 5, "x", against(dtype="bf16"), ALL),
    Goal("every operation and array", ALL_BEST, 1, "x", against(dtype=None), ALL, ">"),
    Goal("forward, 512x128256", IN_MEMORY, 1, "MiB", extra(operations=FORWARD, shapes=LARGE), LARGE, "<="),
    Goal("gradient in place, 512x128256", IN_MEMORY, 1, "MiB",
         extra(operations=GRADIENT, outputs=(IN_PLACE,), shapes=LARGE), LARGE, "<="),
    Goal("two threads, in cache, above 100 us of work", "one thread", 1.8, "x", scaling(LARGE_WORK)),
    Goal("two threads, any size in cache", "one thread", 0.95, "x", scaling()),
    Goal("1x10 through C", "(an empty call: see above)", 0.2, "us",
         small_seconds("C xent_cross_entropy_f32", [1, 10]), sign="<="),
    Goal("Python calls, 1x10, 32x10, 8x1000", "torch F.cross_entropy", 1, "x", small_ratios, sign=">"),
)  # fmt: skip


def judge(results):
    """[{what, against, sign, bound, unit, value, where, limit, word, values, arrays, missing}], one for each goal."""
    measured = {tuple(cell["shape"]) for process in results["processes"] for cell in process["cells"]}
    judged, title = [], ""
    for goal in GOALS:
        title = goal.what or title
        values = list(goal.values(results))
        worst = max if goal.sign == "<=" else min
        value, where, limit = worst(values, key=lambda found: found[0], default=(None, "", None))
        lacking = [shape_name(shape) for shape in goal.needs if shape not in measured]
        word = UNMEASURED if value is None else UNREACHED if not goal.holds(value) else PARTLY if lacking else REACHED
        judged.append({
            "what": title, "against": goal.against, "sign": goal.sign, "bound": goal.bound, "unit": goal.unit,
            "value": value, "where": where, "limit": limit, "word": word, "values": len(values), "arrays": len(goal.needs),
            "missing": lacking,
        })  # fmt: skip
    return judged
