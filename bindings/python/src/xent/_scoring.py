# SPDX-License-Identifier: Apache-2.0
"""Scores of a data set that comes in blocks: what is kept of a block is a few sums, so that any size fits.

Sums are compensated, and nearly all that is added up is rounded to float32 before: a score is the same for blocks of
any size, but for the last digit of a float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import Array, as_array, class_axis, floats
from ._cross_entropy import cross_entropy
from ._request import _MOST_TOP

# The histogram's bins: 10 to a decade of nats. What is smaller is in the first, what is larger in the last.
_FIRST_DECADE, _LAST_DECADE, _PER_DECADE = -15, 6, 10


class Reliability(NamedTuple):
    """Rows by their confidence, the probability of the predicted class: bin i of n has ``(i / n, (i + 1) / n]``."""

    rows: Array
    confidence: Array  # the mean in each bin, NaN in an empty one
    accuracy: Array  # the share of rows predicted right, NaN in an empty one


class PerClass(NamedTuple):
    """Rows by their target: arrays with an entry for each class."""

    rows: Array
    nll: Array  # the mean, NaN for a class without rows
    accuracy: Array


class Histogram(NamedTuple):
    """Rows by -log p[target]: ``rows[i]`` of them in ``[edges[i], edges[i + 1])``, smaller ones in the first."""

    edges: Array
    rows: Array


class HardRow(NamedTuple):
    """A row with one of the largest -log p[target]."""

    row: int
    target: int
    prediction: int
    nll: float
    target_prob: float


@dataclass(frozen=True, eq=False)
class Score:
    """How well logits predict targets. Means are over the rows that count, NaN if there are none."""

    rows: int
    rows_ignored: int
    rows_not_finite: int  # rows that count and have an infinite or NaN -log p[target]
    classes: int
    loss: float  # the mean loss as weight and label_smoothing make it, nats
    nll: float  # the mean of -log p[target], nats: the same without those two
    perplexity: float  # exp(nll)
    bits_per_token: float  # nll / log(2)
    accuracy: float
    top_k: int
    top_k_accuracy: float
    entropy: float  # the mean entropy of the predictions, nats
    expected_calibration_error: float
    reliability: Reliability
    per_class: PerClass
    histogram: Histogram
    hardest: tuple[HardRow, ...]

    def lines(self) -> list[tuple[str, str]]:
        """(name, value) of each number, as a person reads it."""
        lines = [
            ("rows", f"{self.rows:,}"),
            ("rows ignored", f"{self.rows_ignored:,}"),
            ("classes", f"{self.classes:,}"),
            ("mean loss", f"{self.loss:.6g} nats"),
            ("perplexity", f"{self.perplexity:.6g}"),
            ("bits per token", f"{self.bits_per_token:.6g}"),
            ("accuracy", _percent(self.accuracy)),
            (f"top-{self.top_k} accuracy", _percent(self.top_k_accuracy)),
            ("mean entropy", f"{self.entropy:.6g} nats"),
            ("expected calibration error", _percent(self.expected_calibration_error)),
        ]
        if f"{self.nll:.6g}" != f"{self.loss:.6g}":
            lines.insert(4, ("mean -log p(target)", f"{self.nll:.6g} nats"))
        if self.rows_not_finite:
            lines.insert(2, ("rows of infinite or NaN loss", f"{self.rows_not_finite:,}"))
        return lines

    def __str__(self) -> str:
        names, values = zip(*self.lines())
        left, right = max(map(len, names)), max(map(len, (value.split()[0] for value in values)))
        lines = []
        for name, value in zip(names, values):
            number, *unit = value.split()
            lines.append(" ".join([f"{name:<{left}}  {number:>{right}}", *unit]))
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts, fit for JSON: what is infinite or NaN is None."""
        return {name: _plain(value) for name, value in vars(self).items()}


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Sum:
    """A compensated sum (Neumaier's) of float64 numbers, or of arrays of one shape."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.high, self.low = np.zeros(shape), np.zeros(shape)

    def add(self, numbers: Any) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            total = self.high + numbers
            is_larger = np.abs(self.high) >= np.abs(numbers)
            lost = np.where(is_larger, (self.high - total) + numbers, (numbers - total) + self.high)
            self.low = self.low + np.where(np.isfinite(total), lost, 0)
            self.high = total

    @property
    def value(self) -> Array:
        return np.asarray(self.high + self.low)


class Scorer:
    """Scores logits against targets, block by block, in memory that does not grow with the number of rows.

    Parameters
    ----------
    weight, ignore_index, label_smoothing, temperature, softcap, num_threads
        As in `xent.cross_entropy`.
    axis : int
        The class axis.
    top_k : int
        How many of the most probable classes the target has to be among for `Score.top_k_accuracy`; at most 64.
    bins : int
        How many bins of equal width the confidences are sorted in, for the calibration error.
    hardest : int
        How many of the rows with the largest loss are kept.

    Examples
    --------
    >>> scorer = xent.metrics.Scorer(top_k=2)
    >>> scorer.update(np.array([[1, 2, 7], [4, 7, 9]], np.float32), [2, 1])
    >>> scorer.update(np.array([[8, 3, 4]], np.float32), [-100])
    >>> score = scorer.result()
    >>> score.rows, score.rows_ignored, score.accuracy, score.top_k_accuracy
    (3, 1, 0.5, 1.0)
    >>> print(round(score.loss, 4), round(score.perplexity, 4))
    1.071 2.9183
    """

    def __init__(
        self,
        *,
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        softcap: float = 0.0,
        axis: int = -1,
        top_k: int = 5,
        bins: int = 15,
        hardest: int = 20,
        num_threads: int = 0,
    ) -> None:
        for name, value, most in (("top_k", top_k, _MOST_TOP), ("bins", bins, 10**6)):
            if not 1 <= value <= most:
                raise ValueError(f"Scorer: {name} is {value}, not in [1, {most}]")
        if hardest < 0:
            raise ValueError(f"Scorer: hardest is {hardest}, must not be negative")
        self.weight = None if weight is None else np.asarray(weight)
        self.ignore_index, self.top_k, self.bins, self.axis = ignore_index, top_k, bins, axis
        self._options: dict[str, Any] = {
            "ignore_index": ignore_index,
            "label_smoothing": label_smoothing,
            "temperature": temperature,
            "softcap": softcap,
            "num_threads": num_threads,
        }
        self._is_plain = weight is None and not label_smoothing
        self._most_hard = hardest
        self.classes = -1  # not known yet
        self.rows = 0

    def _begin(self, classes: int) -> None:
        self.classes = classes
        self._counted = self._correct = self._in_top = self._not_finite = 0
        self._loss, self._weight, self._nll, self._entropy = _Sum(), _Sum(), _Sum(), _Sum()
        self._bin_count, self._bin_correct = np.zeros((2, self.bins), np.int64)
        self._bin_confidence = _Sum((self.bins,))
        self._class_count, self._class_correct = np.zeros((2, classes), np.int64)
        self._class_nll = _Sum((classes,))
        self._histogram = np.zeros((_LAST_DECADE - _FIRST_DECADE) * _PER_DECADE, np.int64)
        self._hardest: list[HardRow] = []

    def update(self, logits: ArrayLike, target: ArrayLike) -> None:
        """Adds a block of rows.

        Parameters
        ----------
        logits : array_like of float32, float64, float16 or bfloat16
            With the classes at the class axis. A row is the classes at one place.
        target : array_like of any integer dtype
            Of the shape of logits without the class axis: each in [0, C), or ignore_index.

        Raises
        ------
        IndexError, TypeError, ValueError
            As in `xent.cross_entropy`, and ValueError for another number of classes than before. The row that an
            IndexError names is counted from the first block's first. Nothing of the block has been added.
        """
        array, kind = floats(logits, "Scorer.update", "logits")
        axis = class_axis(array, self.axis, "Scorer.update", "logits")
        classes = array.shape[axis]
        if self.classes not in (-1, classes):
            raise ValueError(f"Scorer.update: logits has {classes} classes, and had {self.classes} before")
        if not classes:
            raise ValueError("Scorer.update: logits has no classes")
        wanted = as_array(target, "Scorer.update", "target")
        if wanted.dtype.kind not in "iu":
            raise TypeError(f"Scorer.update: target is {wanted.dtype.name}, not an integer dtype")
        weight = None if self.weight is None else self.weight.astype(kind.real.dtype)
        try:
            got = cross_entropy(
                array,
                wanted,
                weight,
                axis=axis,
                top_k=min(self.top_k, classes),
                outputs=("target_log_prob", "entropy", "top_indices", "top_log_probs", "loss_sum", "weight_sum"),
                **self._options,
            )
        except IndexError as error:
            raise self._out_of_range(wanted.reshape(-1), classes) or error from None
        if self.classes < 0:
            self._begin(classes)
        self._loss.add(got.loss_sum)
        self._weight.add(got.weight_sum)
        top = np.moveaxis(got.top_indices, axis, -1).reshape(-1, min(self.top_k, classes))
        confidence = np.moveaxis(got.top_log_probs, axis, -1).reshape(top.shape)[:, 0]
        flat = wanted.reshape(-1)
        self._add_rows(flat, top, np.exp(confidence), -got.target_log_prob.reshape(-1), got.entropy.reshape(-1))
        self.rows += flat.size

    def _out_of_range(self, target: Array, classes: int) -> IndexError | None:
        wrong = (target != self.ignore_index) & ((target < 0) | (target >= classes))
        if not wrong.any():
            return None
        first = int(np.argmax(wrong))
        return IndexError(
            f"the target of row {self.rows + first} is {target[first]}, "
            f"not in [0, {classes}) and not ignore_index ({self.ignore_index})"
        )

    def _add_rows(self, target: Array, top: Array, confidence: Array, nll: Array, entropy: Array) -> None:
        """Adds rows that count: their targets, most probable classes and the probability of the first."""
        counts = np.flatnonzero(target != self.ignore_index)
        target, top, confidence = target[counts].astype(np.int64), top[counts], confidence[counts]
        nll, entropy = nll[counts], entropy[counts]
        is_number = ~np.isnan(confidence)  # a row with NaN predicts nothing
        in_top = (top == target[:, None]) & is_number[:, None]
        correct = in_top[:, 0]
        is_finite = np.isfinite(nll)
        self._counted += counts.size
        self._correct += int(correct.sum())
        self._in_top += int(in_top.sum())
        self._not_finite += int((~is_finite).sum())
        self._nll.add(nll.sum(dtype=np.float64))
        self._entropy.add(entropy.sum(dtype=np.float64))

        confident = confidence[is_number].astype(np.float32)
        place = np.clip(np.ceil(confident.astype(np.float64) * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        self._bin_count += np.bincount(place, minlength=self.bins)
        self._bin_correct += np.bincount(place[correct[is_number]], minlength=self.bins)
        self._bin_confidence.add(np.bincount(place, confident, self.bins))

        self._class_count += np.bincount(target, minlength=self.classes)
        self._class_correct += np.bincount(target[correct], minlength=self.classes)
        self._class_nll.add(np.bincount(target, nll, self.classes))

        with np.errstate(divide="ignore"):
            decade = np.log10(nll[is_finite].astype(np.float64))
        last = self._histogram.size - 1
        place = np.floor(np.clip((decade - _FIRST_DECADE) * _PER_DECADE, 0, last)).astype(np.int64)
        self._histogram += np.bincount(place, minlength=last + 1)
        self._keep_hardest(counts, target, top[:, 0], nll)

    def _keep_hardest(self, rows: Array, target: Array, prediction: Array, nll: Array) -> None:
        most = min(self._most_hard, rows.size)
        if not most:
            return
        hardness = np.where(np.isnan(nll), np.inf, nll)
        least = np.partition(hardness, hardness.size - most)[hardness.size - most]
        harder = np.flatnonzero(hardness > least)
        as_hard = np.flatnonzero(hardness == least)[: most - harder.size]  # of equals the first
        for n in (*harder, *as_hard):
            row, loss = self.rows + int(rows[n]), float(nll[n])
            self._hardest.append(HardRow(row, int(target[n]), int(prediction[n]), loss, math.exp(-loss)))
        self._hardest.sort(key=lambda row: (-math.inf if math.isnan(row.nll) else -row.nll, row.row))
        del self._hardest[self._most_hard :]

    def result(self) -> Score:
        """The score of all rows so far.

        Raises
        ------
        ValueError
            If there was no block yet, and so no number of classes.
        """
        if self.classes < 0:
            raise ValueError("Scorer.result: there was no block of rows yet")
        counted = self._counted
        loss = _ratio(self._loss.value, self._weight.value)
        nll = loss if self._is_plain else _ratio(self._nll.value, counted)
        in_bins = int(self._bin_count.sum())
        gaps = float(np.abs(self._bin_correct - self._bin_confidence.value).sum())
        decades = np.arange(self._histogram.size + 1) / _PER_DECADE + _FIRST_DECADE
        return Score(
            rows=self.rows,
            rows_ignored=self.rows - counted,
            rows_not_finite=self._not_finite,
            classes=self.classes,
            loss=loss,
            nll=nll,
            perplexity=_exp(nll),
            bits_per_token=nll / math.log(2),
            accuracy=_ratio(self._correct, counted),
            top_k=self.top_k,
            top_k_accuracy=_ratio(self._in_top, counted),
            entropy=_ratio(self._entropy.value, counted),
            expected_calibration_error=_ratio(gaps, in_bins),
            reliability=Reliability(
                self._bin_count.copy(),
                _ratios(self._bin_confidence.value, self._bin_count),
                _ratios(self._bin_correct, self._bin_count),
            ),
            per_class=PerClass(
                self._class_count.copy(),
                _ratios(self._class_nll.value, self._class_count),
                _ratios(self._class_correct, self._class_count),
            ),
            histogram=Histogram(10.0**decades, self._histogram.copy()),
            hardest=tuple(self._hardest),
        )


def _ratios(sums: Any, counts: Any) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.true_divide(sums, counts))


def _ratio(total: Any, count: Any) -> float:
    return float(_ratios(total, count))


def _exp(number: float) -> float:
    return math.exp(number) if number < 709 or math.isnan(number) else math.inf
