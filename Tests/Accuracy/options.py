# SPDX-License-Identifier: Apache-2.0
"""Errors of the descriptor calls: options, soft targets, statistics and divergences, each on rows of several regimes.

A setting is a name and the options of one call. It is measured in the loss of each row, the mean and the gradient; and
where it changes what the logits are, in what is known of them without a target.
"""

from dataclasses import dataclass, field
from typing import Optional

import numpy as np
from measure import Errors, columns, error  # which finds Tests/Golden
from mpmath import mp

import exact
import exact_options as formula
from rounding import real_dtype

ROWS = 3  # of a batch
BITS = 400  # equal logits and a far one differ in a divergence by the square of its probability
CLASSES = 130  # and no more
REGIMES = (
    "worked example", "spread 1", "spread 10", "spread 100", "nearly equal", "loss about 1e-9", "loss about 1e-30",
    "loss down to least normal", "subnormal results", "offset 1e4", "around 2^15", "largest finite", "ties",
    "subnormal logits", "masks and non-finite",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    options: dict = field(default_factory=dict)
    target: str = "index"  # or probabilities, sparse
    is_weighted: bool = False
    masked: Optional[int] = None  # a class in so many is masked out

    @property
    def has_statistics(self):
        """Whether entropy and the like differ from those of other settings."""
        return not self.options.keys() - {"temperature", "softcap"}

    @property
    def has_factor(self):
        """Whether the loss is a function of the target's probability, not a sum of logarithms."""
        return bool(self.options.get("focal_gamma") or self.options.get("poly_epsilon"))


SETTINGS = {
    "no option": Setting(),
    "smoothing 0.1": Setting({"label_smoothing": 0.1}),
    "smoothing 0.3, weighted": Setting({"label_smoothing": 0.3}, is_weighted=True),
    "smoothing 1": Setting({"label_smoothing": 1.0}),
    "smoothing 0.2, uniform": Setting({"label_smoothing": 0.2, "smoothing": "uniform"}, is_weighted=True),
    "probabilities": Setting(target="probabilities"),
    "probabilities, smoothing": Setting({"label_smoothing": 0.1}, "probabilities", is_weighted=True),
    "sparse": Setting(target="sparse"),
    "sparse, smoothing": Setting({"label_smoothing": 0.1}, "sparse", is_weighted=True),
    "focal 2": Setting({"focal_gamma": 2.0}),
    "focal 0.5, weighted": Setting({"focal_gamma": 0.5}, is_weighted=True),
    "poly 1": Setting({"poly_epsilon": 1.0}),
    "focal 1.5, poly -0.7": Setting({"focal_gamma": 1.5, "poly_epsilon": -0.7}),
    "z-loss": Setting({"z_loss": 1e-2}),
    "z-loss, smoothing": Setting({"z_loss": 1e-4, "label_smoothing": 0.1}),
    "temperature 0.7": Setting({"temperature": 0.7}),
    "temperature 5": Setting({"temperature": 5.0}),
    "temperature 3, probabilities": Setting({"temperature": 3.0, "label_smoothing": 0.1}, "probabilities"),
    "softcap 30": Setting({"softcap": 30.0}),
    "class mask": Setting(masked=3),
    "softcap 2, temperature 0.5": Setting({"softcap": 2.0, "temperature": 0.5}),
    "softcap 5, smoothing": Setting({"softcap": 5.0, "label_smoothing": 0.1}),
    "class mask, smoothing": Setting({"label_smoothing": 0.1}, masked=3),
}
KINDS = ("kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon")
DIVERGENCES = {
    **{kind: {} for kind in KINDS},
    **{f"{kind}, temperature 2": {"temperature": 2.0} for kind in KINDS},
    "kl, softcap 5": {"softcap": 5.0},
}
LOSSES = ("loss", "mean", "gradient")
CLASSWISE = ("probs", "log_probs")
STATISTICS = ("entropy", "lse", "target_log_prob", *CLASSWISE)
OPERATIONS = (
    *(f"{name}: {output}" for name in SETTINGS for output in (*LOSSES, "z_loss", *STATISTICS)),
    *(f"{name}: {output}" for name in DIVERGENCES for output in ("loss", "gradient")),
)


def is_real(operation):
    """Whether it gives float for logits of 16 bits."""
    return not operation.endswith(("gradient", *CLASSWISE))


class Tally:
    """Errors by the name of what is measured."""

    def __init__(self, batch, number):
        self.batch, self.number = batch, number
        self.found = {}

    def add(self, name, place, got, result):
        dtype = real_dtype(self.batch.dtype) if is_real(name) else self.batch.dtype
        tally = self.found.setdefault(("xent", name), Errors())
        tally.add(*error(float(got), result, dtype), (self.number, *place), float(got), result.value)


def measure_options(batch, number, xent):
    """{("xent", operation): Errors} of a batch's first rows."""
    tally = Tally(batch, number)
    if batch.logits.shape[1] <= CLASSES:
        with mp.workprec(BITS):
            for name, setting in SETTINGS.items():
                measure_setting(tally, name, setting, xent)
            for name, given in DIVERGENCES.items():
                measure_divergence(tally, name, given, xent)
    return tally.found


def _targets(setting, batch, rows):
    """(the call's target, target_probs or None, and by row either a class or all classes' probabilities)"""
    soft = batch.soft[:rows]
    if setting.target == "index":
        return batch.targets[:rows], None, batch.targets[:rows].tolist()
    if setting.target == "probabilities":
        return soft, None, soft.astype(float).tolist()
    # The two largest probabilities of a row and once more the first: repeated entries add up. One entry is none.
    largest = np.argsort(-soft.astype(float), axis=1)[:, :2]
    index = np.concatenate([largest, largest[:, :1], np.full((rows, 1), -100)], axis=1)
    probs = np.take_along_axis(soft, np.maximum(index, 0), axis=1)
    return index, probs, [
        formula.dense(i, p, soft.shape[1], -100) for i, p in zip(index.tolist(), probs.astype(float).tolist())
    ]


def measure_setting(tally, name, setting, xent):
    batch = tally.batch
    rows, classes = min(ROWS, len(batch.logits)), batch.logits.shape[1]
    x = batch.logits[:rows]
    target, target_probs, by_row = _targets(setting, batch, rows)
    mask = None if setting.masked is None else (np.arange(classes) % setting.masked != setting.masked - 1)
    named = {**setting.options, "weight": batch.weight if setting.is_weighted else None, "class_mask": mask,
             "target_probs": target_probs}  # fmt: skip
    wanted = ["row_loss", "grad", *(STATISTICS if setting.has_statistics and setting.target == "index" else ())]
    wanted += ["z_loss"] * ("z_loss" in setting.options)
    got = xent.cross_entropy(x, target, reduction="sum", outputs=wanted, **named)
    mean = xent.cross_entropy(x, target, reduction="mean", **named)

    options = formula.Options(
        **setting.options, weight=batch.weight.tolist() if setting.is_weighted else None,
        class_mask=None if mask is None else mask.tolist())  # fmt: skip
    losses = []
    for i, logits in enumerate(x.astype(float)):
        scored = formula.Scored(logits.tolist(), options, batch.dtype)
        chosen = columns(logits, batch.targets[i], np.random.default_rng(0))
        losses.append(measure_row(tally, name, setting, options, scored, by_row[i], (i, got), chosen))
    weights = [options.weight_of(t) if setting.target == "index" else exact.ONE for t in by_row]
    whole = exact.reduced([loss.value for loss in losses], weights, exact.MEAN)[0]
    scale = exact.add(loss.scale for loss in losses) / exact.add(weights)
    tally.add(f"{name}: mean", (None, None), mean, exact.Exact(whole.value, scale))


def measure_row(tally, name, setting, options, scored, target, at, chosen):
    """Measures one row; gives its loss. chosen are the classes to look at."""
    i, got = at
    if setting.has_factor:
        loss = formula.focal_loss(scored, target, options)
        gradient = formula.focal_gradient(scored, target, options, chosen)
    else:
        by_index = setting.target == "index"
        factors = formula.factors_of_index if by_index else formula.factors_of_probabilities
        a = factors(scored, target, options)
        loss, gradient = formula.loss(scored, a, options), formula.gradient(scored, a, options, chosen)
        if by_index and not options.label_smoothing and not options.z_loss:
            # One class alone: nothing cancels, and the ulp is the value's own.
            plain = [options.weight_of(target) * scored.row.grad(c, target) * scored.slope[c] for c in chosen]
            gradient = [scored.relative(value, abs(value)) for value in plain]
    place = (i, target if isinstance(target, int) else None)
    tally.add(f"{name}: loss", place, got.row_loss[i], loss)
    for c, value in zip(chosen, gradient):
        tally.add(f"{name}: gradient", (i, c), got.grad[i, c], value)
    if hasattr(got, "entropy"):
        tally.add(f"{name}: entropy", place, got.entropy[i], scored.entropy())
        tally.add(f"{name}: lse", place, got.lse[i], scored.lse())
        tally.add(f"{name}: target_log_prob", place, got.target_log_prob[i], scored.log_probability(target))
        for c in chosen:
            tally.add(f"{name}: probs", (i, c), got.probs[i, c], scored.probability(c))
            tally.add(f"{name}: log_probs", (i, c), got.log_probs[i, c], scored.log_probability(c))
    if options.z_loss:
        lse = scored.row.lse()
        tally.add(f"{name}: z_loss", place, got.z_loss[i], exact.own(options.z_loss * lse * lse))
    return loss


def measure_divergence(tally, name, given, xent):
    batch = tally.batch
    rows = min(ROWS, len(batch.logits))
    kind = name.split(",")[0]
    got = xent.divergence(
        batch.logits[:rows], batch.teacher[:rows], kind, "sum", outputs=("row_loss", "grad"), **given)  # fmt: skip
    options = formula.Options(**given)
    for i in range(rows):
        student, teacher = (
            formula.Scored(logits[i].astype(float).tolist(), options, batch.dtype)
            for logits in (batch.logits, batch.teacher)
        )
        loss, gradient = formula.divergence(kind, student, teacher)
        tally.add(f"{name}: loss", (i, None), got.row_loss[i], loss)
        for c, value in enumerate(gradient):
            tally.add(f"{name}: gradient", (i, c), got.grad[i, c], value)
