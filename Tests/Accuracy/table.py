# SPDX-License-Identifier: Apache-2.0
"""The measurements as text: every line for the reader of the log, and the Markdown of the README."""

import math
from collections import defaultdict

import options
from measure import OPERATIONS, Errors

FULL = "{:<44} {:<4} {:<26} {:>8} {:>10} {:>9} {:>10}"
README_OPERATIONS = {
    "loss": ["loss", "loss, weighted"],
    "loss reduced": ["loss, sum", "loss, mean", "loss, weighted sum", "loss, weighted mean"],
    "log_softmax": ["log_softmax"],
    "softmax": ["softmax"],
    "logsumexp": ["logsumexp"],
    "gradient": ["gradient", "gradient at target", "gradient, weighted mean"],
}
DOUBLE = "all of these, f64"
TELLING = ("loss about 1e-9", "loss about 1e-30")
# Not in the README's table: libraries follow different conventions for masks, and what is near the largest number
# overflows in all others, which would leave "inf" and hide how they do on numbers that occur.
ASIDE = ("masks and non-finite", "largest finite", "weights of every magnitude")


def number(value):
    """An error in ulps in few characters."""
    if math.isinf(value):
        return "inf"
    return f"{value:.3f}" if value < 1000 else f"{value:.1e}".replace("e+0", "e").replace("e+", "e")


def share(value):
    # Rounded down: only all of them are 100 %.
    return f"{math.floor(value * 1000) / 10:.1f} %"


def full(found, subject):
    """Lines of operation x dtype x regime, and then each operation's worst regime."""
    yield FULL.format("operation", "", "regime", "values", "max ulp", "mean ulp", "correct")
    worst = {}
    for (who, operation, dtype, regime), errors in sorted(found.items(), key=lambda item: _place(item[0])):
        if who != subject:
            continue
        yield FULL.format(operation, dtype, regime, errors.values, number(errors.largest), number(errors.mean),
                          share(errors.share))  # fmt: skip
        total, _, named = worst.setdefault((operation, dtype), [Errors(), -1.0, ""])
        total.merge(errors)
        if errors.largest > worst[operation, dtype][1]:
            worst[operation, dtype][1:] = errors.largest, regime
    yield ""
    yield FULL.format("operation", "", "worst regime", "values", "max ulp", "mean ulp", "correct")
    for (operation, dtype), (total, _, regime) in worst.items():
        yield FULL.format(operation, dtype, regime, total.values, number(total.largest), number(total.mean),
                          share(total.share))  # fmt: skip


def _place(key):
    return key[2], PLACES.index(key[1])


PLACES = (*OPERATIONS, *options.OPERATIONS)


def readme(found, names):
    """Markdown: the largest error of each library over all regimes but ASIDE, and the share correctly rounded."""
    sums = defaultdict(Errors)
    for (who, operation, dtype, regime), errors in found.items():
        if regime in ASIDE or dtype not in ("f32", "f64"):
            continue
        for title, operations in README_OPERATIONS.items():
            if operation in operations:
                sums[who, title if dtype == "f32" else DOUBLE].merge(errors)
        if operation == "loss" and dtype == "f32" and regime in TELLING:
            sums[who, regime].merge(errors)
    yield "| max ulp, share correctly rounded | " + " | ".join(names.values()) + " |"
    yield "|---|" + "---|" * len(names)
    for row in (*README_OPERATIONS, *TELLING, DOUBLE):
        yield f"| {row} | " + " | ".join(_cell(sums.get((who, row))) for who in names) + " |"


def _cell(errors):
    if not errors:
        return "–"
    size = f"{errors.largest:.2f}" if errors.largest < 100 else number(errors.largest)
    return f"{size}, {share(errors.share)}"
