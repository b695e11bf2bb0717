# SPDX-License-Identifier: Apache-2.0
"""The tables that a run prints."""

from lines import all_lines
from operations import NONE, shape_name

MIB = 1 << 20
HEAD = (
    "", "array", "operation", "result", "thr.", "Xent", "best peer", "", "ratio", "fastest", "roof", "work", "Xent", "peer",
)  # fmt: skip
UNITS = ("", "", "", "", "", "ms", "", "ms", "", "ratio", "%", "%", "MiB", "MiB")
MISSING = "-"


def _table(rows, left):
    """Lines of columns as wide as they need to be; those numbered in left begin at the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (t.ljust(w) if i in left else t.rjust(w) for i, (t, w) in enumerate(zip(row, widths)))
        yield "  ".join(cells).rstrip()


def _milliseconds(subject):
    return f"{1e3 * subject['seconds']:.3f}" if subject else MISSING


def _mebibytes(size):
    return MISSING if size is None else f"{size / MIB:.1f}"


def lines_table(results):
    names = {name: text for process in results["processes"] for name, text in process["names"].items()}
    rows = [HEAD, UNITS]
    for line in all_lines(results):
        ratio = line.ratio(line.best)
        best = f"{names[line.best['peer']]}: {line.best['form']}" if line.best else "none"
        rows.append((
            line.dtype, shape_name(line.shape), line.operation, line.output, str(line.threads),
            _milliseconds(line.xent), best, _milliseconds(line.best), MISSING if ratio is None else f"{ratio:.2f}",
            f"{line.ratio(line.best, fastest=True):.2f}" if line.best and line.fastest else MISSING,
            f"{100 * line.share:.0f}", f"{100 * line.work / line.xent['seconds']:.0f}" if line.xent and line.work else MISSING,
            *map(_mebibytes, line.peak),
        ))  # fmt: skip
    return _table(rows, (0, 1, 2, 3, 6))


def peers_table(results):
    """Every form of every library, for who asks why a line of the other table is what it is."""
    rows = [("", "array", "operation", "thr.", "library", "form", "result", "ms", "quartiles", "n", "MiB")]
    for process in results["processes"]:
        for cell in process["cells"]:
            for s in sorted(cell["subjects"], key=lambda s: s["seconds"]):
                low, high = (f"{1e3 * q:.3f}" for q in s["quartiles"])
                form = s["form"] + ("" if s["whole"] else " (a part)")
                rows.append((
                    cell["dtype"], shape_name(cell["shape"]), cell["operation"], str(cell["threads"]),
                    process["names"][s["peer"]], form, s["output"], _milliseconds(s), f"{low}-{high}",
                    str(s["samples"]), _mebibytes(s["extra_bytes"]),
                ))  # fmt: skip
    return _table(rows, (0, 1, 2, 4, 5, 6))


def roofline_table(results):
    """GB/s of the passes, over arrays of some sizes."""
    for process in results["processes"]:
        points = {(p["pass"], p["bytes"]): p["bytes_per_second"] / 1e9 for p in process["roofline"]}
        sizes = sorted({size for _, size in points})[::2]
        titles = [f"{size >> 20} MiB" if size >= MIB else f"{size >> 10} KiB" for size in sizes]
        rows = [(f"GB/s, {process['threads']} thr.", *titles)]
        for name in ("read", "copy", "copy_nt", "scale"):
            rows.append((name, *(f"{points[name, s]:.1f}" if (name, s) in points else MISSING for s in sizes)))
        yield from _table(rows, (0,))
        yield ""


def arithmetic_table(results):
    """Nanoseconds an element of the loops of arithmetic."""
    names = list(dict.fromkeys(name for process in results["processes"] for name in process.get("arithmetic", ())))
    if names:
        rows = [("ns an element", "thr.", *names)]
        for process in results["processes"]:
            found = process.get("arithmetic", {})
            rows.append(("", str(process["threads"]), *(f"{1e9 * found[n]:.4f}" if n in found else MISSING for n in names)))
        yield from _table(rows, (0,))
        yield ""


def small_table(results):
    rows = [("us per call", "thr.", *("1x10", "32x10", "8x1000"))]
    for process in results["processes"]:
        calls = {(s["name"], shape_name(s["shape"])): s for s in process["small"]}
        for name in dict.fromkeys(name for name, _ in calls):
            found = (calls[name, shape].get("seconds") for shape in rows[0][2:])
            times = ("missing" if s is None else f"{1e6 * s:.3f}" for s in found)
            rows.append((name, str(process["threads"]), *times))
    return _table(rows, (0,))


def scaling_table(results):
    rows = [("threads in cache", "operation", "result", "1 thr., us", "all, us", "speed-up")]
    for process in results["processes"]:
        for s in process["scaling"]:
            rows.append((
                shape_name(s["shape"]), s["operation"], s["output"] or NONE, f"{1e6 * s['one']:.1f}",
                f"{1e6 * s['all']:.1f}", f"{s['one'] / s['all']:.2f}",
            ))  # fmt: skip
    return _table(rows, (0, 1, 2))


def _amount(value, unit):
    return MISSING if value is None else f"{value:.2f} {unit}" if unit != "%" else f"{value:.0f} %"


def goals_table(judged):
    rows = [("what it must reach", "against", "bound", "worst", "", "at the limits", "lines", "arrays", "the worst one")]
    for goal in judged:
        arrays = f"{goal['arrays'] - len(goal['missing'])} of {goal['arrays']}" if goal["arrays"] else ""
        rows.append((
            goal["what"], goal["against"], f"{goal['sign']} {goal['bound']:g} {goal['unit']}",
            _amount(goal["value"], goal["unit"]), goal["word"],
            "" if goal["limit"] is None else _amount(goal["limit"], goal["unit"]), str(goal["values"]), arrays, goal["where"],
        ))  # fmt: skip
    return _table(rows, (0, 1, 4, 8))


def missing_lines(results):
    """What was not measured, and why: said once for each library and reason, with the operations."""
    found = {}
    for process in results["processes"]:
        for name, reason in process["missing"].items():
            found.setdefault((name, "", f"missing, {reason}"), [])
        for cell in process["cells"]:
            for peer, form, reason in cell["notes"]:
                found.setdefault((process["names"][peer], form, reason), []).append(cell["operation"])
        if process["skipped"]:
            found[f"{process['threads']} thr.", "", "not measured, out of time"] = process["skipped"]
    for (name, form, reason), operations in found.items():
        where = ", ".join(dict.fromkeys(operations))
        yield f"{name}{': ' + form if form else ''}: {reason}{' (' + where + ')' if where else ''}"


def full(results, judged, peers=False):
    yield from missing_lines(results)
    yield ""
    yield from roofline_table(results)
    yield from arithmetic_table(results)
    yield from lines_table(results)
    yield ""
    if peers:
        yield from peers_table(results)
        yield ""
    yield from small_table(results)
    yield ""
    yield from scaling_table(results)
    yield ""
    yield from goals_table(judged)
