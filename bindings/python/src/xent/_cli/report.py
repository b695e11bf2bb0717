# SPDX-License-Identifier: Apache-2.0
"""A score as one HTML page that needs nothing beside it: no network, no script, no other file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import Any

from .._library import cpu_level, version
from .._scoring import Score
from .charts import class_name, loss_histogram, number, percent, reliability, worst_classes

_MOST_CLASSES = 20
_TEMPLATE = Path(__file__).with_name("report.html")


def page(score: Score, about: dict[str, Any], names: list[str] | None) -> str:
    """The page. about: what was scored, as in the JSON; names: those of the classes."""
    logits, targets = about["logits"], about["targets"]
    counted = score.rows - score.rows_ignored
    shown = min(_MOST_CLASSES, int((score.per_class.rows > 0).sum()))
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(Path(logits["file"]).name),
        logits=escape(logits["file"]),
        targets=escape(targets["file"]),
        shape=" × ".join(f"{size:,}" for size in logits["shape"]),
        dtype=escape(logits["dtype"]),
        tiles="".join(_tile(*tile) for tile in _tiles(score)),
        warning=_warning(score),
        histogram=loss_histogram(score.histogram, score.nll),
        reliability=reliability(score.reliability),
        ece=percent(score.expected_calibration_error),
        classes=worst_classes(score.per_class, names, _MOST_CLASSES),
        classes_title="Loss by class" if shown == score.classes else f"The {shown} classes of the largest loss",
        classes_note=f"Mean −log p(target) of the rows with this target, of {score.classes:,} classes.",
        rows=_hardest(score, names),
        rows_title=f"The {len(score.hardest)} hardest rows" if score.hardest else "The hardest rows",
        options=escape(_options(about["options"])),
        counted=f"{counted:,}",
        version=version(),
        level=cpu_level(),
    )


def _tiles(score: Score) -> list[tuple[str, str, str]]:
    """(name, value, what it means)"""
    counted = f"{score.rows_ignored:,} ignored" if score.rows_ignored else "none ignored"
    tiles = [
        ("Mean loss", number(score.loss, 5), "nats"),
        ("Perplexity", number(score.perplexity, 5), f"of {score.classes:,} classes"),
        ("Bits per token", number(score.bits_per_token, 5), "log₂ of the perplexity"),
        ("Accuracy", percent(score.accuracy), "the target is the most probable"),
        (f"Top-{score.top_k} accuracy", percent(score.top_k_accuracy), f"among the {score.top_k} most probable"),
        ("Entropy", number(score.entropy, 5), "nats, mean of the predictions"),
        ("Calibration error", percent(score.expected_calibration_error), "expected, of confidence"),
        ("Rows", f"{score.rows:,}", counted),
    ]
    if f"{score.nll:.6g}" != f"{score.loss:.6g}":
        tiles[0] = ("Mean loss", number(score.loss, 5), f"nats; {number(score.nll, 5)} without weights and smoothing")
    return tiles


def _tile(name: str, value: str, note: str) -> str:
    return (
        f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(value)}</dd><dd class="note">{escape(note)}</dd></div>'
    )


def _warning(score: Score) -> str:
    if not score.rows_not_finite:
        return ""
    rows = "1 row has" if score.rows_not_finite == 1 else f"{score.rows_not_finite:,} rows have"
    return f'<p class="warning">{rows} an infinite or NaN loss: they count in the means and are left out of the histogram.</p>'


def _hardest(score: Score, names: list[str] | None) -> str:
    return "".join(
        f"<tr><td>{hard.row:,}</td><td>{escape(class_name(hard.target, names))}</td>"
        f"<td>{escape(class_name(hard.prediction, names))}</td><td>{number(hard.nll)}</td>"
        f"<td>{number(hard.target_prob, 3)}</td></tr>"
        for hard in score.hardest
    )


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in options.items() if value is not None)
