# SPDX-License-Identifier: Apache-2.0
"""Two charts of a run: how near to the machine's memory, and how far ahead of the best peer."""

import math

import matplotlib

matplotlib.use("Agg")
import numpy as np
from lines import all_lines
from matplotlib import pyplot as plt
from matplotlib.colors import TwoSlopeNorm
from matplotlib.lines import Line2D
from operations import IN_PLACE, NONE, WARM, shape_name

# What is drawn together: the passes that are the limit, and the lines of the table that have it.
FAMILIES = (
    ("forward", NONE, {"read": "-"}, "reads"),
    ("gradient", IN_PLACE, {"scale": "-"}, "reads and writes"),
    ("log_softmax", WARM, {"copy": "-", "copy_nt": "--"}, "reads, writes elsewhere"),
)
LIMIT, XENT, PEER = "0.35", "tab:blue", "tab:orange"
FACTOR = 16  # the colours of the ratios end at this factor and its inverse
plt.rcParams.update({"font.size": 9, "svg.hashsalt": "xent", "axes.spines.top": False, "axes.spines.right": False})


def _bytes(value, _=None):
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


def _roofline_panel(axes, results, process, operation, output, passes):
    """Bytes a second over the size of all arrays that a pass or an operation goes through."""
    for name, style in passes.items():
        points = [(p["bytes"] * (1 + name.startswith("copy")), p["bytes_per_second"] / 1e9)
                  for p in process["roofline"] if p["pass"] == name]  # fmt: skip
        axes.plot(*zip(*points), style, color=LIMIT, lw=1.4)
    for line in all_lines(results):
        if (line.operation, line.output, line.threads, line.dtype) != (operation, output, process["threads"], "f32"):
            continue
        size = line.bytes * (1 + (output == WARM))
        pair = [(s, colour) for s, colour in ((line.best, PEER), (line.xent, XENT)) if s]
        axes.plot([size] * len(pair), [line.moved(s) / 1e9 for s, _ in pair], color="0.8", lw=1, zorder=1)
        for subject, colour in pair:
            axes.plot(size, line.moved(subject) / 1e9, "o", color=colour, ms=6, mec="white", mew=0.6)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(_bytes)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(True, which="major", lw=0.3)


def roofline(results):
    processes = results["processes"]
    figure, panels = plt.subplots(
        len(FAMILIES), len(processes), figsize=(4.8 * len(processes), 2.7 * len(FAMILIES) + 0.7), sharex=True,
        sharey="row", squeeze=False, layout="constrained",
    )  # fmt: skip
    for (operation, output, passes, does), row in zip(FAMILIES, panels):
        for axes, process in zip(row, processes):
            _roofline_panel(axes, results, process, operation, output, passes)
        row[0].set_ylabel(f"{operation}{'' if output == NONE else ', ' + output}:\n{does}, GB/s")
    for axes, process in zip(panels[0], processes):
        axes.set_title(f"{process['threads']} thread{'s' * (process['threads'] > 1)}")
    for axes in panels[-1]:
        axes.set_xlabel("bytes of the arrays, f32")
    handles = [
        Line2D([], [], color=LIMIT, label="what the memory allows"),
        Line2D([], [], color=LIMIT, ls="--", label="with non-temporal stores"),
        *(Line2D([], [], color=colour, marker="o", ls="", label=label)
          for colour, label in ((XENT, "Xent"), (PEER, "the fastest other library, in its best form"))),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _ratio_text(value):
    if math.isnan(value):
        return ""
    return f"{value:.2f}"[1:] if value < 0.995 else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _ratio_panel(axes, lines, rows, columns, title):
    grid = np.full((len(rows), len(columns)), np.nan)
    for line in lines:
        ratio = line.ratio(line.best)
        if ratio:
            grid[rows.index((line.operation, line.output)), columns.index(tuple(line.shape))] = ratio
    limit = math.log(FACTOR)
    image = axes.imshow(np.log(grid), aspect="auto", cmap="RdBu", norm=TwoSlopeNorm(0, -limit, limit))
    for (i, j), value in np.ndenumerate(grid):
        strong = not math.isnan(value) and abs(math.log(value)) > 0.6 * limit
        axes.text(j, i, _ratio_text(value), ha="center", va="center", color="white" if strong else "black")
    axes.set_xticks(range(len(columns)), [shape_name(c) for c in columns], rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), [f"{name}{'' if output == NONE else ', ' + output}" for name, output in rows])
    axes.tick_params(length=0)
    axes.set_title(title)
    return image


def ratios(results):
    lines = all_lines(results)
    rows = list(dict.fromkeys((line.operation, line.output) for line in lines))
    columns = list(dict.fromkeys(tuple(line.shape) for line in lines))
    kinds = list(dict.fromkeys((line.dtype, line.threads) for line in lines))
    across = min(2, len(kinds))
    down = -(-len(kinds) // across)
    size = (1.5 + across * (0.5 + 0.62 * len(columns)), 1.6 + down * (0.6 + 0.27 * len(rows)))
    figure, panels = plt.subplots(down, across, figsize=(max(size[0], 7), size[1]), sharex=True, sharey=True,
                                  squeeze=False, layout="constrained")  # fmt: skip
    # By dtype downwards and by threads across, as the kinds come sorted.
    for axes, (dtype, threads) in zip(panels.flat, sorted(kinds, key=lambda kind: (kind[0] != "f32", *kind))):
        some = [line for line in lines if (line.dtype, line.threads) == (dtype, threads)]
        image = _ratio_panel(axes, some, rows, columns, f"{dtype}, {threads} thread{'s' * (threads > 1)}")
    for axes in list(panels.flat)[len(kinds):]:
        axes.set_visible(False)
    powers = [f for f in (1 / 16, 1 / 4, 1, 4, 16)]
    bar = figure.colorbar(image, ax=panels, ticks=[math.log(f) for f in powers], shrink=0.6, pad=0.02)
    bar.ax.set_yticklabels(["1/16", "1/4", "1", "4", "16"])
    figure.suptitle("Times as fast as the fastest other library, in its best form")
    return figure


def draw(results, folder):
    """Writes the charts and gives their paths."""
    written = []
    if not any(process["cells"] for process in results["processes"]):
        return written
    for name, chart in (("roofline", roofline), ("ratios", ratios)):
        figure = chart(results)
        for kind, more in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
            written.append(folder / f"{name}.{kind}")
            figure.savefig(written[-1], **more)
        plt.close(figure)
    return written
