# SPDX-License-Identifier: Apache-2.0
"""The arrays of one measurement, and the exact results that everybody's are held to before they are timed."""

import numpy as np

try:
    import ml_dtypes

    BF16 = np.dtype(ml_dtypes.bfloat16)
except ImportError:
    BF16 = None

PAGE = 4096
BLOCK = 1 << 19  # elements that are compared at a time: the f64 copies stay in the cache

# Largest relative error allowed. The bounds only have to tell a result from a wrong one: f32 libraries are off by 1e-6,
# bf16 ones by a few steps of 1/256, and some add millions of f32 losses up one by one.
TOLERANCE = {"f32": 1e-4, "bf16": 5e-2}
LOSS_TOLERANCE = {"f32": 1e-2, "bf16": 5e-2}


def aligned(shape, dtype):
    """An array that begins on a page, so that nobody has an advantage by how an allocator was asked."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + PAGE, np.uint8)  # empty, not zeros: NumPy asks for huge pages only there
    raw[:] = 0
    start = -raw.ctypes.data % PAGE
    return raw[start : start + size].view(dtype).reshape(shape)


def element(dtype):
    if dtype == "f32":
        return np.dtype(np.float32)
    if BF16 is None:
        raise ImportError("bf16 needs ml_dtypes")
    return BF16


class Problem:
    """logits, targets (class indices), labels (0 or 1 for each logit), and two arrays to write to: out, in_place."""

    def __init__(self, shape, dtype, seed):
        self.shape, self.dtype, self.element = shape, dtype, element(dtype)
        self.rows, self.classes = int(np.prod(shape)) // shape[1], shape[1]
        random = np.random.default_rng([seed, *shape])
        self.logits = self.array()
        self.labels = self.array()
        for block in self.blocks():
            self.logits[block] = 3 * random.standard_normal(self.logits[block].shape, np.float32)
            self.labels[block] = random.random(self.labels[block].shape, np.float32) < 0.25
        self.targets = random.integers(0, self.classes, (shape[0], *shape[2:]))
        self.out, self.in_place = self.array(), self.array()
        self._found, self._kept = {}, (None, [])

    def array(self):
        return aligned(self.shape, self.element)

    def restore(self):
        np.copyto(self.in_place, self.logits)

    @property
    def nbytes(self):
        return self.logits.nbytes

    def blocks(self):
        """Slices of the first axis."""
        step = max(1, BLOCK // int(np.prod(self.shape[1:])))
        return [slice(i, min(i + step, self.shape[0])) for i in range(0, self.shape[0], step)]

    def exact(self, name):
        """"lse", "loss" or "binary loss" in f64."""
        if name not in self._found:
            lse, total, binary = [], 0.0, 0.0
            for block in self.blocks():
                x = self.logits[block].astype(np.float64)
                top = x.max(axis=1)
                lse.append(top + np.log(np.exp(x - top[:, None]).sum(axis=1)))
                picked = np.take_along_axis(x, self.targets[block][:, None], axis=1)[:, 0]
                total += float((lse[-1] - picked).sum())
                y = self.labels[block].astype(np.float64)
                binary += float((np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))).sum())
            self._found = {"lse": np.concatenate(lse), "loss": total / self.rows,
                           "binary loss": binary / self.logits.size}  # fmt: skip
        return self._found[name]

    def compare(self, operation, results):
        """The largest error of any of the results, 1 being the largest that is allowed; infinite for a NaN."""
        return max(self._compare(operation, name, results[name]) for name in operation.outputs)

    def _compare(self, operation, name, got):
        binary = operation.targets == "binary"
        if name == "loss":
            value = self.exact("binary loss" if binary else "loss")
            return _worst(abs(float(got) - value) / (LOSS_TOLERANCE[self.dtype] * value))
        got = np.asarray(got)
        shape = self.targets.shape if name == "lse" else self.shape
        if got.shape != shape:
            raise ValueError(f"{name} has shape {got.shape}, not {shape}")
        if name == "lse":
            value = self.exact("lse")
            allowed = TOLERANCE[self.dtype] * np.maximum(1, np.abs(value))
            return _worst(np.abs(got.astype(np.float64) - value) / allowed)
        worst = 0.0
        for block, (value, allowed) in zip(self.blocks(), self._large("binary grad" if binary else name)):
            errors = got[block].astype(np.float64)
            errors -= value
            np.abs(errors, out=errors)
            errors /= allowed
            worst = max(worst, _worst(errors))
        return worst

    def _large(self, name):
        """[(exact values, errors allowed)] for each block; kept for the last name asked for, as many ask in a row."""
        if self._kept[0] != name:
            self._kept = (None, [])  # before the next ones are made: they are twice the logits' size or more
            find = {"log_probs": self._log_probs, "probs": self._probs, "grad": self._grad,
                    "binary grad": self._binary_grad}[name]  # fmt: skip
            limit = TOLERANCE[self.dtype]
            pairs = []
            for block in self.blocks():
                value, scale = find(block)
                pairs.append((value, (limit * scale).astype(np.float32)))
            self._kept = (name, pairs)
        return self._kept[1]

    def forget(self):
        self._kept = (None, [])

    # Each gives the exact values and what an error is relative to.

    def _log_probs(self, block):
        value = self.logits[block].astype(np.float64) - self.exact("lse")[block][:, None]
        return value, np.maximum(1, np.abs(value))

    def _probs(self, block):
        value = np.exp(self._log_probs(block)[0])
        # In bf16 an exponent of -20 is off by 1/16 before the exponential is taken.
        return value, value + (1e-2 * value.max(axis=1, keepdims=True) if self.dtype == "bf16" else 0)

    def _grad(self, block):
        value, scale = self._probs(block)
        picked = self.targets[block][:, None]
        at_target = np.take_along_axis(value, picked, axis=1)
        np.put_along_axis(value, picked, at_target - 1, axis=1)
        np.put_along_axis(scale, picked, 1, axis=1)  # p - 1 is how everybody else gets it
        return value / self.rows, scale / self.rows

    def _binary_grad(self, block):
        s = 1 / (1 + np.exp(-self.logits[block].astype(np.float64)))
        value = s - self.labels[block]
        # Others take s - 1 in the dtype itself.
        floor = 0.5 if self.dtype == "bf16" else 1e-2
        return value / self.logits.size, np.maximum(np.abs(value), floor) / self.logits.size


def _worst(errors):
    # NaN compares with nothing; as an infinite error it is not overlooked.
    worst = float(np.max(errors))
    return float("inf") if np.isnan(worst) else worst
