# SPDX-License-Identifier: Apache-2.0
"""The pictures of a report: SVG and HTML whose colours are the page's, so that they follow its light or dark theme."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from .._arrays import Array
from .._scoring import Histogram, PerClass, Reliability

_WIDTH, _HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 20, 22, 44
_MOST_BARS = 42


def number(value: float, digits: int = 4) -> str:
    """A number for a person, of so many digits, and whole ones with their thousands separated."""
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value) or not value:
        return "∞" if value > 0 else "−∞" if value else "0"
    if 10 ** (digits - 1) <= abs(value) < 1e15:
        return f"{value:,.0f}".replace("-", "−")
    mantissa, _, exponent = f"{value:#.{digits}g}".partition("e")
    text = f"{mantissa} × 10{_superscript(int(exponent))}" if exponent else mantissa
    return text.replace("-", "−")


def percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.2f} %"


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _short(count: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.3g}"


def _ticks(most: float, about: int = 4) -> list[float]:
    """Round numbers from 0 to at least most."""
    step: float = 10 ** math.floor(math.log10(most / about)) if most > 0 else 1
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor * about >= most)
    step = max(step, 1) if most >= 1 else step
    return [step * n for n in range(math.ceil(most / step) + 1)]


class _Frame:
    """The part of a picture with the axes: from data to the picture's units."""

    def __init__(self, xs: tuple[float, float], ys: tuple[float, float], top: float, bottom: float) -> None:
        self.xs, self.ys, self.top, self.bottom = xs, ys, top, bottom

    def x(self, value: float) -> float:
        share = (value - self.xs[0]) / (self.xs[1] - self.xs[0])
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 2)

    def y(self, value: float) -> float:
        share = (value - self.ys[0]) / (self.ys[1] - self.ys[0])
        return round(self.bottom - share * (self.bottom - self.top), 2)

    def bar(self, x0: float, x1: float, y0: float, y1: float, kind: str, title: str) -> str:
        left, right, high, low = self.x(x0), self.x(x1), self.y(max(y0, y1)), self.y(min(y0, y1))
        # A count that there is can be seen, however small it is beside the others.
        height = max(low - high, 1.5) if y0 != y1 else 0
        gap = min(1.0, (right - left) / 6)
        return (
            f'<rect class="{kind}" x="{left + gap / 2:.2f}" y="{low - height:.2f}" width="{right - left - gap:.2f}" '
            f'height="{height:.2f}"><title>{escape(title)}</title></rect>'
        )

    def y_axis(self, ticks: Iterable[tuple[float, str]]) -> str:
        return "".join(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{self.y(at)}" y2="{self.y(at)}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{self.y(at) + 4}" text-anchor="end">{text}</text>'
            for at, text in ticks
        )

    def x_axis(self, ticks: Iterable[tuple[float, str]], label: str) -> str:
        base = f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{self.bottom}" y2="{self.bottom}"/>'
        parts = [
            f'<text class="tick" x="{self.x(at)}" y="{self.bottom + 17}" text-anchor="middle">{text}</text>'
            for at, text in ticks
        ]
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        return base + "".join(parts) + _text("label", middle, self.bottom + 37, label, "middle")


def _text(kind: str, x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, name: str, description: str, parts: Iterable[str]) -> str:
    return (
        f'<svg id="{name}" viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{escape(description)}">'
        f"{''.join(parts)}</svg>"
    )


def loss_histogram(histogram: Histogram, mean: float) -> str:
    """How many rows have which loss, over a logarithmic axis."""
    occupied = histogram.rows.nonzero()[0]
    if not occupied.size:
        return '<p class="empty">No row has a finite loss.</p>'
    decades = [math.log10(edge) for edge in histogram.edges]
    per_decade = round(1 / (decades[1] - decades[0]))
    span = int(occupied[-1] - occupied[0]) + 1
    merge = next((n for n in (1, 2, 5) if span <= n * _MOST_BARS), per_decade)
    first, last = int(occupied[0]) // merge * merge, (int(occupied[-1]) // merge + 1) * merge
    first, last = max(0, first - 2 * merge), min(histogram.rows.size, last + 2 * merge)
    counts = [int(histogram.rows[n : n + merge].sum()) for n in range(first, last, merge)]

    ticks = _ticks(max(counts))
    frame = _Frame((decades[first], decades[last]), (0, ticks[-1]), _TOP, _HEIGHT - _BOTTOM)
    parts = [frame.y_axis((tick, _short(tick)) for tick in ticks)]
    for n, count in enumerate(counts):
        low, high = first + n * merge, min(first + (n + 1) * merge, last)
        low_edge, high_edge = float(histogram.edges[low]), float(histogram.edges[high])
        if count:
            begin = f"{number(low_edge, 3)} to" if low else "up to"
            title = f"{begin} {number(high_edge, 3)} nats: {count:,} rows"
            parts.append(frame.bar(decades[low], decades[high], 0, count, "bar", title))
    x_ticks = _decade_ticks(decades[first], decades[last])
    if not first:  # all that is smaller is in the first bar
        x_ticks[0] = (decades[0], f"≤ 10{_superscript(round(decades[0]))}")
    parts.append(frame.x_axis(x_ticks, "−log p(target), nats (logarithmic axis)"))
    if mean > 0 and decades[first] <= math.log10(mean) <= decades[last]:
        x = frame.x(math.log10(mean))
        parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{frame.top}" y2="{frame.bottom}"/>')
        is_right = x > _WIDTH * 0.6
        parts.append(
            _text("note", x - 6 if is_right else x + 6, 13, f"mean {number(mean)}", "end" if is_right else "start")
        )
    return _svg(_HEIGHT, "histogram", "Histogram of the rows by loss", parts)


def _decade_ticks(low: float, high: float) -> list[tuple[float, str]]:
    whole = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    if len(whole) < 3:  # a narrow range: 1, 2 and 5 of each decade
        fine = [
            (n + math.log10(m), m * 10.0**n) for n in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)
        ]
        return [(at, f"{value:g}") for at, value in fine if low <= at <= high]
    step = math.ceil(len(whole) / 8)
    return [(n, f"{10.0**n:g}" if -3 <= n <= 3 else f"10{_superscript(n)}") for n in whole if n % step == 0]


def reliability(bins: Reliability) -> str:
    """Accuracy over confidence with the gap between them, and below how many rows each bin has."""
    total = int(bins.rows.sum())
    if not total:
        return '<p class="empty">No row has a finite confidence.</p>'
    size = len(bins.rows)
    frame = _Frame((0, 1), (0, 1), _TOP - 8, 260)
    parts = [frame.y_axis((n / 5, f"{20 * n} %") for n in range(6))]
    for n, count in enumerate(bins.rows):
        if not count:
            continue
        right, sure = float(bins.accuracy[n]), float(bins.confidence[n])
        title = (
            f"confidence {percent(n / size)} to {percent((n + 1) / size)}: {int(count):,} rows, "
            f"mean confidence {percent(sure)}, accuracy {percent(right)}"
        )
        parts.append(frame.bar(n / size, (n + 1) / size, 0, right, "bar", title))
        parts.append(frame.bar(n / size, (n + 1) / size, right, sure, "gap", title))
    parts.append(f'<line class="diagonal" x1="{frame.x(0)}" y1="{frame.y(0)}" x2="{frame.x(1)}" y2="{frame.y(1)}"/>')
    parts.append(frame.x_axis([], ""))

    ticks = _ticks(int(bins.rows.max()), 2)
    below = _Frame((0, 1), (0, ticks[-1]), 276, 336)
    parts.append(below.y_axis((tick, _short(tick)) for tick in ticks))
    for n, count in enumerate(bins.rows):
        if count:
            title = f"{int(count):,} rows, {percent(int(count) / total)} of all"
            parts.append(below.bar(n / size, (n + 1) / size, 0, int(count), "count", title))
    parts.append(
        below.x_axis(((n / 5, f"{20 * n} %") for n in range(6)), "confidence: the probability of the predicted class")
    )
    return _svg(380, "reliability", "Reliability diagram: accuracy over confidence, and rows in each bin", parts)


def worst_classes(per_class: PerClass, names: list[str] | None, most: int) -> str:
    """The classes of the largest mean loss, as bars."""
    order = _worst(per_class, most)
    if not order:
        return '<p class="empty">No row counts.</p>'
    largest = max((loss for loss in map(float, per_class.nll[order]) if math.isfinite(loss)), default=0.0)
    lines = []
    for c in order:
        loss, count = float(per_class.nll[c]), int(per_class.rows[c])
        share = 100 * loss / largest if math.isfinite(loss) and largest else 100 if loss == math.inf else 0
        title = escape(f"{count:,} rows, accuracy {percent(float(per_class.accuracy[c]))}")
        lines.append(
            f'<div class="class" title="{title}"><span class="name">{escape(class_name(c, names))}</span>'
            f'<span class="track"><span class="fill" style="width:{share:.2f}%"></span></span>'
            f'<span class="value">{number(loss, 3)}</span><span class="rows">{count:,}</span></div>'
        )
    head = (
        '<div class="class head"><span class="name">class</span><span></span>'
        '<span class="value">nats</span><span class="rows">rows</span></div>'
    )
    return f'<div id="classes">{head}{"".join(lines)}</div>'


def _worst(per_class: PerClass, most: int) -> list[int]:
    present = per_class.rows.nonzero()[0]
    loss: Array = per_class.nll[present]
    keys = [(0 if math.isnan(x) else 1, -x, int(c)) for x, c in zip(loss.tolist(), present)]
    return [c for *_, c in sorted(keys)[:most]]


def class_name(c: int, names: list[str] | None) -> str:
    if c < 0:
        return "–"
    return names[c] if names else str(c)
