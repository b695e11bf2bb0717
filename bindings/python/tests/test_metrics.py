# SPDX-License-Identifier: Apache-2.0
"""Scores of data sets and metrics, against the formulas in float64."""

import json
import math

import numpy as np
import pytest

import xent
from xent import metrics

SIZES = ("rows", "rows_ignored", "rows_not_finite", "classes", "accuracy", "top_k_accuracy")
MEANS = ("loss", "nll", "perplexity", "bits_per_token", "entropy")


def data(rng, dtype, rows=257, classes=11):
    logits = (3 * rng.standard_normal((rows, classes))).astype(dtype)
    target = rng.integers(0, classes, rows)
    target[::10] = -100
    return logits, target


def log_probs(logits):
    x = np.asarray(logits, np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def calibration_error(confidence, correct, bins, weight=None):
    weight = np.ones(len(confidence)) if weight is None else weight
    total = 0.0
    for n in range(bins):
        inside = (confidence > n / bins) & (confidence <= (n + 1) / bins)
        total += abs((weight * (correct - confidence.astype(float)))[inside].sum())
    return total / weight.sum()


def test_score_is_what_the_formulas_say(rng, any_dtype):
    logits, target = data(rng, any_dtype)
    score = metrics.score(logits, target, top_k=3, bins=7, hardest=5)
    counts = np.flatnonzero(target != -100)
    wanted, logs = target[counts], log_probs(logits)[counts]
    nll = -logs[np.arange(len(counts)), wanted]
    order = np.argsort(-np.asarray(logits, np.float64)[counts], axis=1, kind="stable")
    correct = order[:, 0] == wanted
    assert (score.rows, score.rows_ignored, score.classes, score.top_k) == (257, 257 - len(counts), 11, 3)
    assert score.loss == score.nll == pytest.approx(nll.mean(), rel=1e-7)
    assert score.perplexity == pytest.approx(math.exp(nll.mean()), rel=1e-6)
    assert score.bits_per_token == pytest.approx(nll.mean() / math.log(2), rel=1e-7)
    assert score.accuracy == correct.mean()
    assert score.top_k_accuracy == (order[:, :3] == wanted[:, None]).any(axis=1).mean()
    assert score.entropy == pytest.approx(-(np.exp(logs) * logs).sum(axis=1).mean(), rel=1e-6)
    confidence = np.exp(logs.max(axis=1))
    assert score.expected_calibration_error == pytest.approx(calibration_error(confidence, correct, 7), abs=1e-7)
    assert score.reliability.rows.sum() == len(counts) and len(score.reliability.rows) == 7
    for c in range(11):
        of_class = wanted == c
        assert score.per_class.rows[c] == of_class.sum()
        assert score.per_class.nll[c] == pytest.approx(nll[of_class].mean(), rel=1e-6)
        assert score.per_class.accuracy[c] == correct[of_class].mean()
    hardest = np.argsort(-nll)[:5]
    assert [hard.row for hard in score.hardest] == counts[hardest].tolist()
    assert [hard.prediction for hard in score.hardest] == order[hardest, 0].tolist()
    assert [hard.target_prob for hard in score.hardest] == pytest.approx(np.exp(-nll[hardest]).tolist(), rel=1e-5)
    edges = score.histogram.edges
    assert edges[0] == pytest.approx(1e-15) and edges[-1] == pytest.approx(1e6)
    assert score.histogram.rows.sum() == len(counts)
    assert (score.histogram.rows == np.histogram(nll, edges)[0]).all()


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"temperature": 2.5, "softcap": 4.0}], ids=str)
def test_options_are_those_of_cross_entropy(rng, options):
    logits, target = data(rng, np.float32)
    weight = np.linspace(0.5, 2, 11)
    score = metrics.score(logits, target, weight=weight, **options)
    assert score.loss == pytest.approx(xent.cross_entropy(logits, target, weight.astype("f4"), **options), rel=1e-6)
    plain = {name: value for name, value in options.items() if name != "label_smoothing"}
    assert score.nll == pytest.approx(xent.cross_entropy(logits, target, **plain), rel=1e-6)
    assert "mean -log p(target)" in str(score) and "mean -log p(target)" not in str(metrics.score(logits, target))


@pytest.mark.parametrize("block", [1, 7, 64, 256])
def test_blocks_of_any_size_make_the_same_score(rng, any_dtype, block):
    logits, target = data(rng, any_dtype)
    logits[::5] = logits[0]  # hard rows that are equal
    target[::5] = target[1]
    whole = metrics.score(logits, target, hardest=30)
    scorer = metrics.Scorer(hardest=30)
    for start in range(0, len(logits), block):
        scorer.update(logits[start : start + block], target[start : start + block])
    parts = scorer.result()
    for name in SIZES:
        assert getattr(parts, name) == getattr(whole, name)
    for name in MEANS:
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=4e-15)  # exp of a last digit
    assert parts.expected_calibration_error == pytest.approx(whole.expected_calibration_error, abs=1e-15)
    assert parts.hardest == whole.hardest
    assert (parts.histogram.rows == whole.histogram.rows).all()
    assert (parts.per_class.rows == whole.per_class.rows).all()
    np.testing.assert_allclose(parts.per_class.nll, whole.per_class.nll, rtol=1e-15)


def test_sums_are_compensated():
    scorer = metrics.Scorer()
    for _ in range(3):
        scorer.update(np.array([[0.0, 1e16]]), [0])
    for _ in range(1000):
        scorer.update(np.array([[0.0, 1.0]]), [0])
    assert scorer.result().loss == math.fsum([3e16] + 1000 * [math.log1p(math.e)]) / 1003


def test_class_axis_of_any_place(rng):
    logits, target = data(rng, np.float32, rows=24)
    flat = metrics.score(logits, target)
    images = np.ascontiguousarray(np.moveaxis(logits.reshape(4, 6, 11), -1, 1))
    nd = metrics.score(images, target.reshape(4, 6), axis=1)
    assert str(nd) == str(flat) and nd.hardest == flat.hardest


def test_rows_that_are_no_numbers_stand_out():
    logits = np.array([[0, np.nan, 0], [0, 1, 2], [-np.inf, 0, 1], [0, 0, 0]], np.float32)
    score = metrics.score(logits, [1, 2, 0, -100])
    assert (score.rows, score.rows_ignored, score.rows_not_finite) == (4, 1, 2)
    assert math.isnan(score.loss) and math.isnan(score.entropy)
    assert score.accuracy == 1 / 3  # NaN predicts nothing
    assert [(hard.row, str(hard.nll)) for hard in score.hardest[:2]] == [(0, "nan"), (2, "inf")]
    assert score.histogram.rows.sum() == 1 and score.reliability.rows.sum() == 2
    assert "rows of infinite or NaN loss      2" in str(score)
    text = json.dumps(score.as_dict(), allow_nan=False)
    assert json.loads(text)["loss"] is None
    infinite = metrics.score(logits[2:3], [0])
    assert infinite.loss == infinite.perplexity == math.inf


def test_no_row_counts():
    score = metrics.score(np.zeros((2, 3)), [-100, -100])
    assert score.rows == score.rows_ignored == 2 and score.hardest == ()
    assert all(math.isnan(getattr(score, name)) for name in (*MEANS, "accuracy", "expected_calibration_error"))
    with pytest.raises(ValueError, match="no block of rows yet"):
        metrics.Scorer().result()


def test_a_refused_block_is_not_added():
    scorer = metrics.Scorer(ignore_index=7)
    scorer.update(np.zeros((4, 3), np.float32), [0, 1, 2, 7])
    before = scorer.result()
    for logits, target, error, message in (
        (
            np.zeros((3, 3), np.float32),
            [0, 7, 3],
            IndexError,
            r"the target of row 6 is 3, not in \[0, 3\) and not igno",
        ),
        (np.zeros((3, 3), np.float32), [0, -1, 3], IndexError, "the target of row 5 is -1, "),
        (np.zeros((3, 4), np.float32), [0, 1, 2], ValueError, "logits has 4 classes, and had 3 before"),
        (np.zeros((3, 3), np.float32), [0, 1], ValueError, "target has shape"),
        (np.zeros((3, 3), np.float32), [0.0, 1, 2], TypeError, "target is float64, not an integer dtype"),
        (np.zeros((3, 3), int), [0, 1, 2], TypeError, "logits is int64"),
        (np.zeros((3, 0), np.float32), [0, 1, 2], ValueError, "had 3 before"),
    ):
        with pytest.raises(error, match=message):
            scorer.update(logits, target)
    assert str(scorer.result()) == str(before) and scorer.rows == 4


@pytest.mark.parametrize("option", [{"top_k": 0}, {"top_k": 65}, {"bins": 0}, {"hardest": -1}], ids=str)
def test_scorer_refuses(option):
    (name,) = option
    with pytest.raises(ValueError, match=f"Scorer: {name} is {option[name]}, "):
        metrics.Scorer(**option)


# ---- Metrics in scikit-learn's way ------------------------------------------------------------------------------------

NAMES = np.array(["bee", "ant", "dog", "cat"])


def labelled(rng, rows=200):
    logits = 2 * rng.standard_normal((rows, 4))
    target = rng.integers(0, 4, rows)
    return NAMES[target], logits, target, rng.random(rows)


def test_metrics_are_what_the_formulas_say(rng):
    true, logits, target, weight = labelled(rng)
    logs = log_probs(logits)
    nll = -logs[np.arange(len(target)), target]
    correct = logs.argmax(axis=1) == target
    second = (np.argsort(-logs, axis=1)[:, :2] == target[:, None]).any(axis=1)
    for w in (None, weight):
        given = {"labels": NAMES, "sample_weight": w}
        average = np.average(nll, weights=w)
        assert metrics.log_loss_from_logits(true, logits, **given) == pytest.approx(average, rel=1e-14)
        assert metrics.perplexity(true, logits, **given) == pytest.approx(math.exp(average), rel=1e-14)
        assert metrics.accuracy(true, logits, **given) == pytest.approx(np.average(correct, weights=w), rel=1e-14)
        share = metrics.top_k_accuracy(true, logits, k=2, **given)
        assert share == pytest.approx(np.average(second, weights=w), rel=1e-14)
        error = metrics.expected_calibration_error(true, logits, bins=9, **given)
        assert error == pytest.approx(calibration_error(np.exp(logs.max(axis=1)), correct, 9, w), abs=1e-14)
    assert metrics.log_loss_from_logits(true, logits, labels=NAMES, normalize=False) == pytest.approx(nll.sum())
    assert metrics.accuracy(true, logits, labels=NAMES, normalize=False) == correct.sum()


def test_labels_are_the_sorted_ones_there_are(rng):
    true, logits, _, _ = labelled(rng)
    order = np.argsort(NAMES)
    with_labels = metrics.log_loss_from_logits(true, logits[:, order], labels=NAMES[order])
    assert metrics.log_loss_from_logits(true, logits[:, order]) == with_labels


def test_one_logit_is_of_the_second_of_two_classes():
    logits = np.array([3.0, -80.0, 1.0])
    loss = metrics.log_loss_from_logits([True, False, False], logits, normalize=False)
    assert loss == pytest.approx(math.log1p(math.exp(-3)) + math.exp(-80) + math.log1p(math.e), rel=1e-15)
    assert metrics.accuracy(["yes", "no", "no"], logits) == 2 / 3


def test_metrics_refuse(rng):
    logits = rng.standard_normal((3, 4))
    for y_true, y_logits, named, message in (
        ([0, 1, 2], logits, {}, "3 labels in y_true; labels= says which label each column has, and y_logits has 4"),
        ([0, 1, 2], logits, {"labels": range(5)}, "5 labels, and y_logits has 4 columns"),
        ([0, 1, 9], logits, {"labels": range(4)}, r"y_true has .*9.*, which is not one of the labels"),
        ([0, 1], logits, {}, r"y_true has shape \(2,\), not \(3,\)"),
        ([0, 1, 2], logits[None], {}, r"y_logits has shape \(1, 3, 4\)"),
        ([0, 1, 2], logits, {"labels": range(4), "sample_weight": [1]}, r"sample_weight has shape \(1,\), not \(3,\)"),
    ):
        for function in (metrics.log_loss_from_logits, metrics.accuracy, metrics.expected_calibration_error):
            with pytest.raises(ValueError, match=f"^{function.__name__}: .*{message}"):
                function(y_true, y_logits, **named)
    with pytest.raises(ValueError, match="top_k_accuracy: k is 65"):
        metrics.top_k_accuracy([0], logits[:1], k=65, labels=range(4))
    with pytest.raises(ValueError, match="bins is 0"):
        metrics.expected_calibration_error([0], logits[:1], bins=0, labels=range(4))
    with pytest.raises(TypeError, match="y_logits is int64"):
        metrics.accuracy([0, 1], np.array([1, 2]))


def test_scikit_learn_s_own_numbers(rng):
    theirs = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    true, logits, _, weight = labelled(rng)
    order = np.argsort(NAMES)
    logits, labels = logits[:, order], NAMES[order]
    probs = np.exp(log_probs(logits))
    for w in (None, weight):
        given = {"labels": labels, "sample_weight": w}
        assert metrics.log_loss_from_logits(true, logits, **given) == pytest.approx(
            theirs.log_loss(true, probs, **given), rel=1e-12
        )
        assert metrics.top_k_accuracy(true, logits, k=2, **given) == pytest.approx(
            theirs.top_k_accuracy_score(true, logits, k=2, **given), rel=1e-12
        )


def test_scikit_learn_s_scorers(rng):
    theirs = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    for classes in (2, 3):
        points = rng.standard_normal((300, 5))
        true = NAMES[(points @ rng.standard_normal((5, classes))).argmax(axis=1)]
        ours = theirs.make_scorer(
            metrics.log_loss_from_logits, response_method="decision_function", greater_is_better=False
        )
        model = LogisticRegression()
        np.testing.assert_allclose(
            cross_val_score(model, points, true, scoring=ours), cross_val_score(model, points, true, scoring="neg_log_loss"),
            rtol=1e-6,
        )  # fmt: skip
