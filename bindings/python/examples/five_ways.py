#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One loss, five ways: cross-entropy in one call, and put together from its parts.

    python five_ways.py                  prints lines of: sample, way, reduction, numbers (tabs between)
    python five_ways.py --beside FILE    prints a table beside FILE, the output of bindings/c/five_ways.c;
                                         exit status 1 if any number differs

All five are the same formula. Only the first stays right for every input: the last lines show what exp and sum alone
make of large logits.
"""

import argparse
import sys

import numpy as np

import xent

SAMPLES = {
    "single": (np.array([[1, 2, 7]], np.float32), np.array([2])),
    "batch": (np.array([[1, 2, 7], [4, 7, 9], [8, 3, 4]], np.float32), np.array([2, 2, 0])),
}


def in_one_call(logits, targets, reduction):
    return xent.cross_entropy(logits, targets, reduction=reduction)


def by_log_softmax(logits, targets, reduction):
    return xent.nll_loss(xent.log_softmax(logits), targets, reduction=reduction)


def by_log_of_softmax(logits, targets, reduction):
    return xent.nll_loss(np.log(xent.softmax(logits)), targets, reduction=reduction)


def by_logsumexp(logits, targets, reduction):
    return xent.nll_loss(logits - xent.logsumexp(logits)[:, None], targets, reduction=reduction)


def by_hand(logits, targets, reduction):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return xent.nll_loss(log_probs, targets, reduction=reduction)


WAYS = {
    "cross_entropy": in_one_call,
    "log_softmax + nll": by_log_softmax,
    "log of softmax": by_log_of_softmax,
    "x - logsumexp": by_logsumexp,
    "max by hand": by_hand,
}


def numbers(values):
    return " ".join(f"{v:.4f}" for v in np.atleast_1d(values))


def lines():
    for sample, (logits, targets) in SAMPLES.items():
        for way, loss in WAYS.items():
            for reduction in ("none", "mean", "sum"):
                yield sample, way, reduction, numbers(loss(logits, targets, reduction))
    large = np.array([1000, 2000, 7000], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        naive = np.exp(large) / np.exp(large).sum()
    yield "naive", "[1000, 2000, 7000]", numbers(naive)
    yield "xent", "[1000, 2000, 7000]", numbers(xent.softmax(large))


def table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def beside(path):
    """Prints both programs' numbers side by side; whether they agree."""
    with open(path, encoding="utf-8") as file:
        other = [tuple(line.rstrip("\n").split("\t")) for line in file]
    from_c = {line[:-1]: line[-1] for line in other}
    ours = {line[:-1]: line[-1] for line in lines()}
    rows = [("sample", "way", "reduction", "C", "Python", "")]
    for key in [*ours, *(key for key in from_c if key not in ours)]:
        c, python = from_c.get(key, "missing"), ours.get(key, "missing")
        names = key if len(key) == 3 else (key[0], f"softmax of {key[-1]}", "")
        rows.append((*names, c, python, "" if c == python else "<- differ"))
    print("One loss, five ways, from C and from Python\n")
    print("\n".join(table(rows)))
    differ = sum(bool(row[-1]) for row in rows)
    agree = not differ and len(other) == len(ours)
    if agree:
        print(f"\nC and Python agree in every number ({len(ours)} lines).")
    else:
        print(f"\nC and Python do not agree: {differ} lines differ; C has {len(other)} lines, Python {len(ours)}.")
    return agree


def main():
    parser = argparse.ArgumentParser(description="One loss, five ways.")
    parser.add_argument("--beside", metavar="FILE", help="output of the C program to show beside this one's")
    path = parser.parse_args().beside
    if path is None:
        print("\n".join("\t".join(line) for line in lines()))
    elif not beside(path):
        sys.exit(1)


if __name__ == "__main__":
    main()
