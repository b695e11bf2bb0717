# SPDX-License-Identifier: Apache-2.0
"""What PyTorch lacks: losses against the formulas of xent.h (reference.py), gradients against finite differences.

Finite differences are taken of the library's own losses in float64, which the same test compares with the formulas.
"""

import numpy as np
import pytest
import reference
from differential import DTYPES, LAYOUTS, assert_near

import xent

SHAPE, AXIS = (3, 5, 2), 1
ROWS = (3, 2)
REDUCTIONS = ("none", "mean", "sum", "mean_rows")
STEP = 2.0**-16
CLASS_MASK = np.array([1, 1, 0, 1, 1])
ROW_MASK = np.array([[1, 0], [1, 1], [1, 0]])

# name -> (kind of target, options, what else); all three have a weight but where it says so
CROSS_ENTROPY = {
    "nothing": ("index", {}),
    "focal 2": ("index", {"focal_gamma": 2.0}),
    "focal 0.5": ("index", {"focal_gamma": 0.5}),
    "focal 1": ("index", {"focal_gamma": 1.0}),
    "poly 1": ("index", {"poly_epsilon": 1.0}),
    "poly -0.5": ("index", {"poly_epsilon": -0.5}),
    "focal and poly": ("index", {"focal_gamma": 1.5, "poly_epsilon": 0.8}),
    "focal, z-loss": ("index", {"focal_gamma": 2.0, "z_loss": 0.1}),
    "z-loss": ("index", {"z_loss": 0.1}),
    "z-loss, smoothing": ("index", {"z_loss": 0.01, "label_smoothing": 0.2}),
    "temperature": ("index", {"temperature": 0.6}),
    "softcap": ("index", {"softcap": 4.0}),
    "softcap, temperature": ("index", {"softcap": 4.0, "temperature": 2.0, "label_smoothing": 0.1}),
    "unweighted smoothing": ("index", {"label_smoothing": 0.3, "smoothing": "uniform"}),
    "unweighted smoothing 1": ("index", {"label_smoothing": 1.0, "smoothing": "uniform"}),
    "class mask": ("index", {"class_mask": CLASS_MASK}),
    "class mask, smoothing": ("index", {"class_mask": CLASS_MASK, "label_smoothing": 0.2}),
    "row mask": ("index", {"row_mask": ROW_MASK}),
    "row mask, ignored": ("index", {"row_mask": ROW_MASK, "ignore_index": 3}),
    "probabilities": ("probabilities", {}),
    "probabilities, everything": ("probabilities", {"class_mask": CLASS_MASK, "row_mask": ROW_MASK, "z_loss": 0.05,
                                                    "label_smoothing": 0.1, "temperature": 1.5, "softcap": 6.0}),
    "sparse": ("sparse", {}),
    "sparse, smoothing": ("sparse", {"label_smoothing": 0.1}),
    "sparse, everything": ("sparse", {"class_mask": CLASS_MASK, "row_mask": ROW_MASK, "z_loss": 0.05,
                                      "label_smoothing": 0.1, "temperature": 1.5}),
}  # fmt: skip
DIVERGENCES = {
    "nothing": {},
    "temperature": {"temperature": 2.5},
    "softcap": {"softcap": 3.0},
    "class mask": {"class_mask": CLASS_MASK},
    "row mask": {"row_mask": ROW_MASK},
    "everything": {"class_mask": CLASS_MASK, "row_mask": ROW_MASK, "temperature": 0.5, "softcap": 4.0},
}
KINDS = ("kl", "reverse_kl", "soft_cross_entropy", "jensen_shannon")
ABOVE = np.array([[0.7, -1.5], [0.0, 2.0], [1.0, 0.25]])


def target_of(kind, rng, options):
    """(target, target_probs) of a kind; sparse ones have repeated indices and entries that are none."""
    if kind == "probabilities":
        return rng.random(SHAPE), None
    if kind == "sparse":
        index = rng.integers(0, SHAPE[AXIS], (3, 4, 2))
        index[0, 1], index[1, :, 0] = -100, -100
        index[2, 0] = index[2, 1]
        return index, rng.random(index.shape)
    allowed = np.flatnonzero(options.get("class_mask", np.ones(SHAPE[AXIS])))
    return rng.choice(allowed, ROWS), None


def as_rows(array):
    return None if array is None else reference.rows_of(array, AXIS)


def reference_options(options, weight, target_probs, above, reduction):
    per_row = {name: np.ravel(options[name]) for name in ("row_mask",) if name in options}
    return reference.Options(**{**options, **per_row}, weight=weight, target_probs=as_rows(target_probs),
                             grad_loss=None if above is None else np.ravel(above), reduction=reduction)  # fmt: skip


def slopes(objective, x):
    """d objective / d x by central differences."""
    slope = np.empty_like(x)
    for at in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[at] += STEP
        down[at] -= STEP
        slope[at] = (objective(up) - objective(down)) / (up[at] - down[at])
    return slope


@pytest.mark.parametrize("name", CROSS_ENTROPY)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy(name, reduction):
    kind, options = CROSS_ENTROPY[name]
    rng = np.random.default_rng(len(name))
    x = rng.normal(size=SHAPE) * 2
    target, target_probs = target_of(kind, rng, options)
    weight = rng.uniform(0.3, 2, SHAPE[AXIS])
    names = ("row_loss", "grad", "weight_sum", "rows_counted")
    for n, above in enumerate((None, ABOVE)):
        call = lambda x: xent.cross_entropy(x, target, weight, reduction=reduction, target_probs=target_probs,
                                            **options, grad_loss=above, outputs=names)  # fmt: skip
        got = call(list(LAYOUTS.values())[n + 1](x))
        divisor = {"mean": got.weight_sum, "mean_rows": got.rows_counted}.get(reduction, 1)
        g = 1 if above is None else above
        slope = slopes(lambda x: (g * call(x).row_loss).sum() / divisor, x)
        np.testing.assert_allclose(got.grad, slope, rtol=1e-7, atol=1e-8)

        plain = reference_options(options, weight, target_probs, above, reduction)
        exact = reference.cross_entropy(as_rows(x), np.ravel(target) if kind == "index" else as_rows(target), plain)
        np.testing.assert_allclose(np.ravel(got.row_loss), exact["row_loss"].astype(float), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(as_rows(got.grad), exact["grad"].astype(float), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", CROSS_ENTROPY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_every_dtype(name, dtype):
    """Loss, mean and gradient against the formulas, from the numbers as the dtype has them."""
    kind, options = CROSS_ENTROPY[name]
    rng = np.random.default_rng(len(name) + 1)
    x = (rng.normal(size=SHAPE) * 3).astype(DTYPES[dtype])
    target, target_probs = target_of(kind, rng, options)
    if kind == "probabilities":
        target = target.astype(x.dtype)
    elif kind == "sparse":
        target_probs = target_probs.astype(x.dtype)
    weight = rng.uniform(0.3, 2, SHAPE[AXIS]).astype(x.dtype)
    for layout in LAYOUTS.values():
        got = xent.cross_entropy(layout(x), target, weight, target_probs=target_probs, **options,
                                 outputs=("loss", "row_loss", "grad"))  # fmt: skip
        plain = reference_options(options, weight, target_probs, None, "mean")
        exact = reference.cross_entropy(as_rows(x), np.ravel(target) if kind == "index" else as_rows(target), plain)
        assert_near(got.loss, float(exact["loss"]), what="loss")
        assert_near(np.ravel(got.row_loss), exact["row_loss"].astype(float), what="row_loss")
        assert_near(as_rows(got.grad), exact["grad"].astype(float), what="grad")


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("kind", KINDS)
def test_divergence(name, kind):
    options = DIVERGENCES[name]
    rng = np.random.default_rng(len(name) + 2)
    x, teacher = rng.normal(size=SHAPE) * 2, rng.normal(size=SHAPE) * 2
    for reduction, above in (("none", ABOVE), ("mean", None), ("mean", ABOVE), ("sum", None), ("mean_rows", None)):
        call = lambda x: xent.divergence(x, teacher, kind, reduction, **options, grad_loss=above,
                                         outputs=("row_loss", "grad", "rows_counted"))  # fmt: skip
        got = call(x)
        divisor = got.rows_counted if "mean" in reduction else 1
        g = 1 if above is None else above
        slope = slopes(lambda x: (g * call(x).row_loss).sum() / divisor, x)
        np.testing.assert_allclose(got.grad, slope, rtol=1e-7, atol=1e-8)
        plain = reference_options(options, None, None, above, reduction)
        exact = reference.divergence(as_rows(x), as_rows(teacher), kind, plain)
        np.testing.assert_allclose(np.ravel(got.row_loss), exact["row_loss"].astype(float), rtol=1e-13)
        np.testing.assert_allclose(as_rows(got.grad), exact["grad"].astype(float), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("options", [{}, {"z_loss": 0.1}, {"temperature": 2.0, "z_loss": 0.1}, {"softcap": 3.0},
                                     {"class_mask": CLASS_MASK}, {"row_mask": ROW_MASK}], ids=str)  # fmt: skip
def test_gradient_of_lse(options):
    """statistics: the gradient of the sum of grad_loss * (lse + z_loss * lse^2) over the rows that count."""
    x = np.random.default_rng(6).normal(size=SHAPE)
    factor, counts = options.get("z_loss", 0.0), options.get("row_mask", np.ones(ROWS))

    def objective(x):
        lse = xent.statistics(x, ("lse",), axis=AXIS, **options).lse
        return (counts * ABOVE * (lse + factor * lse**2)).sum()

    grad = xent.statistics(x, ("grad",), axis=AXIS, grad_loss=ABOVE, **options).grad
    np.testing.assert_allclose(grad, slopes(objective, x), rtol=1e-7, atol=1e-8)
