#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A search for the largest f32 error where it could be: rows in which all roundings of the sum go the same way.

    PYTHONPATH=bindings/python/src python3 Tests/Accuracy/ties.py [seed]

Equal logits, nearly equal ones, and logits at two distances, under a target that stands higher by several gaps: what F of
NUMERICS.md rounds is then the same in every lane and strip. Errors in ulps of f32 against Xent's own f64 result on the
same logits. Prints the largest of the loss and of the softmax for each kind of row; fails past 1.
"""

import sys

import numpy as np
import xent

WIDTHS = (1, 2, 3, 5, 8, 15, 16, 17, 24, 40, 63, 64, 65, 100, 120, 127, 128, 256, 1000, 2048, 4096)
GAPS = (0, 3, 10, 60)
VALUES = 2_000_000  # logits for each width and kind


def rows(kind, width, random):
    count = max(200, VALUES // (width + 1))
    x = np.repeat(random.uniform(-20, 20, (count, 1)).astype(np.float32), width + 1, axis=1)
    if kind == "nearly equal":
        x += (random.standard_normal(x.shape) * 1e-3).astype(np.float32)
    if kind == "two distances":
        x[:, ::2] += np.float32(np.log(2) / 16 * random.choice([1, 3, 5]))
    return x


def largest_error(got, exact):
    return (np.abs(got.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))).max()


def main():
    random = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    failed = 0
    for kind in ("equal", "nearly equal", "two distances"):
        loss = softmax = 0.0
        for width in WIDTHS:
            x = rows(kind, width, random)
            base, target = x[:, 1].copy(), np.zeros(len(x), np.int64)
            for gap in GAPS:
                x[:, 0] = base + np.float32(gap)
                wide = x.astype(np.float64)
                exact = xent.cross_entropy(wide, target, reduction="none")
                loss = max(loss, largest_error(xent.cross_entropy(x, target, reduction="none"), exact))
                softmax = max(softmax, largest_error(xent.softmax(x), xent.softmax(wide)))
        print(f"{kind:<14} loss {loss:.3f} ulp, softmax {softmax:.3f} ulp")
        failed += int(loss > 1 or softmax > 1)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
