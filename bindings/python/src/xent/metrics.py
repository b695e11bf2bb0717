# SPDX-License-Identifier: Apache-2.0
"""How well logits predict targets: scores of a data set, and metrics with the parameters of scikit-learn's.

The metrics take ``(y_true, y_logits)``, in scikit-learn's order, and work with `sklearn.metrics.make_scorer`::

    make_scorer(xent.metrics.log_loss_from_logits, response_method="decision_function", greater_is_better=False)

`score` and `Scorer` take ``(logits, target)``, as the rest of xent does, and give everything at once.

>>> import xent.metrics
>>> logits = np.array([[1, 2, 7], [4, 7, 9], [8, 3, 4]], np.float32)
>>> score = xent.metrics.score(logits, [2, 2, 0])
>>> print(f"{score.loss:.4f} {score.perplexity:.4f} {score.accuracy}")
0.0556 1.0572 1.0
"""

from __future__ import annotations

import math
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import Array, as_array, floats
from ._cross_entropy import cross_entropy
from ._request import _MOST_TOP
from ._scoring import HardRow, Histogram, PerClass, Reliability, Score, Scorer

__all__ = [
    "HardRow",
    "Histogram",
    "PerClass",
    "Reliability",
    "Score",
    "Scorer",
    "accuracy",
    "expected_calibration_error",
    "log_loss_from_logits",
    "perplexity",
    "score",
    "top_k_accuracy",
]


def score(
    logits: ArrayLike,
    target: ArrayLike,
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
) -> Score:
    """Everything that ``python -m xent score`` prints and draws, of logits in memory. `Scorer` takes them in blocks.

    Parameters
    ----------
    logits : array_like of float32, float64, float16 or bfloat16
        With the C classes at the class axis. A row is the classes at one place.
    target : array_like of any integer dtype
        Of the shape of logits without the class axis: each in [0, C), or ignore_index.
    weight, ignore_index, label_smoothing, temperature, softcap, num_threads
        As in `xent.cross_entropy`.
    axis, top_k, bins, hardest
        As in `Scorer`.

    Returns
    -------
    Score
        Its numbers are attributes, and `str` of it is a table.

    Raises
    ------
    IndexError, TypeError, ValueError
        As in `xent.cross_entropy`.

    Examples
    --------
    >>> print(xent.metrics.score(np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0]]), [2, 1], top_k=2))
    rows                               2
    rows ignored                       0
    classes                            3
    mean loss                    1.07101 nats
    perplexity                   2.91833
    bits per token               1.54514
    accuracy                       50.00 %
    top-2 accuracy                100.00 %
    mean entropy                0.228318 nats
    expected calibration error     44.24 %
    """
    scorer = Scorer(
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        axis=axis,
        top_k=top_k,
        bins=bins,
        hardest=hardest,
        num_threads=num_threads,
    )
    scorer.update(logits, target)
    return scorer.result()


def log_loss_from_logits(
    y_true: ArrayLike,
    y_logits: ArrayLike,
    *,
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """Cross-entropy loss: `sklearn.metrics.log_loss` of logits instead of probabilities, so that none is ever clipped.

    Parameters
    ----------
    y_true : array_like of shape (n_samples,)
        The right labels, of any dtype.
    y_logits : array_like of shape (n_samples, n_classes) or (n_samples,)
        What a classifier's ``decision_function`` gives. One dimension is the logit of the second of two classes.
    normalize : bool
        The mean over the samples; False: the sum.
    sample_weight : array_like of shape (n_samples,), optional
        The weights of the samples.
    labels : array_like of shape (n_classes,), optional
        The label of each column. Without it they are the sorted distinct labels of y_true.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError
        If shapes do not fit, the number of labels is not that of the columns, or y_true has a label that is none.
    TypeError
        If y_logits is not floating.

    Examples
    --------
    >>> logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    >>> round(xent.metrics.log_loss_from_logits(["ant", "cat"], logits, labels=["ant", "bee", "cat"]), 4)
    1.2056
    >>> round(xent.metrics.log_loss_from_logits([1, 0], np.array([50.0, -50.0])), 25)  # not 0
    1.929e-22
    """
    loss = _rows("log_loss_from_logits", y_true, y_logits, labels, ("row_loss",)).row_loss
    return _reduce("log_loss_from_logits", loss, sample_weight, normalize)


def perplexity(
    y_true: ArrayLike,
    y_logits: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """The exponential of the mean loss: between how many classes a prediction wavers.

    Parameters
    ----------
    y_true, y_logits, sample_weight, labels
        As in `log_loss_from_logits`.

    Returns
    -------
    float
        At least 1.

    Raises
    ------
    ValueError, TypeError
        As in `log_loss_from_logits`.

    Examples
    --------
    >>> round(xent.metrics.perplexity([0, 1], np.zeros((2, 8)), labels=range(8)), 12)
    8.0
    """
    loss = _rows("perplexity", y_true, y_logits, labels, ("row_loss",)).row_loss
    mean = _reduce("perplexity", loss, sample_weight)
    return math.exp(mean) if not mean >= 709 else math.inf


def accuracy(
    y_true: ArrayLike,
    y_logits: ArrayLike,
    *,
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """The share of samples whose largest logit is that of the right label; of equal logits the first one counts.

    Parameters
    ----------
    y_true, y_logits, normalize, sample_weight, labels
        As in `log_loss_from_logits`.

    Returns
    -------
    float
        In [0, 1], or for normalize=False the number of these samples.

    Raises
    ------
    ValueError, TypeError
        As in `log_loss_from_logits`.

    Examples
    --------
    >>> xent.metrics.accuracy([0, 2], np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]]), labels=[0, 1, 2])
    0.5
    """
    return _top_k("accuracy", y_true, y_logits, 1, normalize, sample_weight, labels)


def top_k_accuracy(
    y_true: ArrayLike,
    y_logits: ArrayLike,
    *,
    k: int = 2,
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """The share of samples whose right label is among those of the k largest logits.

    Parameters
    ----------
    y_true, y_logits, normalize, sample_weight, labels
        As in `log_loss_from_logits`.
    k : int
        At most 64.

    Returns
    -------
    float
        In [0, 1], or for normalize=False the number of these samples.

    Raises
    ------
    ValueError, TypeError
        As in `log_loss_from_logits`, and ValueError for a k out of range.

    Examples
    --------
    >>> xent.metrics.top_k_accuracy([0, 2], np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]]), labels=[0, 1, 2])
    1.0
    """
    return _top_k("top_k_accuracy", y_true, y_logits, k, normalize, sample_weight, labels)


def expected_calibration_error(
    y_true: ArrayLike,
    y_logits: ArrayLike,
    *,
    bins: int = 15,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """How far confidence is from accuracy (Guo et al. 2017): the mean over bins of the gap between the two.

    Samples are sorted by their confidence, the probability of the predicted class, in bins of equal width. A bin's gap
    is weighted by its samples.

    Parameters
    ----------
    y_true, y_logits, sample_weight, labels
        As in `log_loss_from_logits`.
    bins : int
        How many bins.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError, TypeError
        As in `log_loss_from_logits`, and ValueError if bins is not positive.

    Examples
    --------
    >>> logits = np.log([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.8, 0.2]])
    >>> round(xent.metrics.expected_calibration_error([0, 0, 0, 1], logits), 4)  # 0.8 sure, and 0.75 right
    0.05
    """
    function = "expected_calibration_error"
    if index(bins) < 1:
        raise ValueError(f"{function}: bins is {bins}, must be positive")
    got = _rows(function, y_true, y_logits, labels, ("target_rank", "top_log_probs"), top_k=1)
    confidence = np.exp(got.top_log_probs[:, 0].astype(np.float64))
    if np.isnan(confidence).any():
        return math.nan
    weight = _sample_weight(function, sample_weight, confidence)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, weight * ((got.target_rank == 0) - confidence), bins)
    return float(np.abs(gaps).sum() / weight.sum())


def _top_k(
    function: str, y_true: Any, y_logits: Any, k: int, normalize: bool, sample_weight: Any, labels: Any
) -> float:
    if not 1 <= index(k) <= _MOST_TOP:
        raise ValueError(f"{function}: k is {k}, not in [1, {_MOST_TOP}]")
    got = _rows(function, y_true, y_logits, labels, ("target_rank", "row_loss"))
    return _reduce(function, (got.target_rank < k) & ~np.isnan(got.row_loss), sample_weight, normalize)


def _rows(function: str, y_true: Any, y_logits: Any, labels: Any, outputs: tuple[str, ...], top_k: int = 0) -> Any:
    """The outputs of cross_entropy for labels of any kind."""
    logits, _ = floats(y_logits, function, "y_logits")
    if logits.ndim == 1:  # of two classes: 0 for the first
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    if logits.ndim != 2:
        raise ValueError(f"{function}: y_logits has shape {logits.shape}, not (n_samples, n_classes) or (n_samples,)")
    true = as_array(y_true, function, "y_true")
    if true.shape != logits.shape[:1]:
        raise ValueError(f"{function}: y_true has shape {true.shape}, not {logits.shape[:1]}, for y_logits' rows")
    columns = np.unique(true) if labels is None else np.asarray(labels)
    if columns.shape != logits.shape[1:]:
        hint = "" if labels is not None else " in y_true; labels= says which label each column has"
        raise ValueError(f"{function}: {columns.size} labels{hint}, and y_logits has {logits.shape[1]} columns")
    order = np.argsort(columns, kind="stable")
    place = np.clip(np.searchsorted(columns, true, sorter=order), 0, columns.size - 1)
    target = order[place]
    wrong = columns[target] != true
    if wrong.any():
        raise ValueError(f"{function}: y_true has {true[wrong][0]!r}, which is not one of the labels")
    return cross_entropy(logits, target, ignore_index=-1, outputs=outputs, top_k=top_k)


def _sample_weight(function: str, given: Any, rows: Array) -> Array:
    weight = np.ones(rows.shape) if given is None else np.asarray(given, np.float64)
    if weight.shape != rows.shape:
        raise ValueError(f"{function}: sample_weight has shape {weight.shape}, not {rows.shape}")
    return weight


def _reduce(function: str, values: Array, sample_weight: Any, normalize: bool = True) -> float:
    weight = _sample_weight(function, sample_weight, values)
    total = float((weight * values).sum())
    if not normalize:
        return total
    return total / float(weight.sum()) if weight.sum() else math.nan
