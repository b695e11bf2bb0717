# SPDX-License-Identifier: Apache-2.0
"""What surprises people, one test each: what PyTorch does beside what we do, or how we differ and why."""

import ml_dtypes
import numpy as np
import pytest
from differential import assert_near, tensor, torch

import xent

F = torch.nn.functional
INF, NAN = np.inf, np.nan
X = np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0], [0.5, -1.0, 0.0]])
T = np.array([2, 0, 0, 1])
W = np.array([0.5, 2.0, 10.0])


def both(*given, **named):
    """Our loss and PyTorch's, which have to be near each other."""
    array = lambda value: tensor(value) if isinstance(value, np.ndarray) else value
    ours = xent.cross_entropy(*given, **named)
    theirs = F.cross_entropy(*map(array, given), **{name: array(value) for name, value in named.items()})
    assert_near(ours, theirs)
    return ours


def log_probs(x=X):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def test_a_mean_with_weights_divides_by_the_sum_of_the_weights():
    each = both(X, T, weight=W, reduction="none")
    mean = both(X, T, weight=W)
    assert mean == pytest.approx(each.sum() / W[T].sum(), rel=1e-14)
    assert mean != pytest.approx(each.mean())
    assert xent.cross_entropy(X, T, weight=W, reduction="mean_rows") == pytest.approx(each.mean(), rel=1e-14)


def test_a_mean_of_probabilities_divides_by_the_number_of_rows():
    q = np.eye(3)[T]
    each = both(X, q, weight=W, reduction="none")
    np.testing.assert_allclose(each, both(X, T, weight=W, reduction="none"), rtol=1e-14)
    assert both(X, q, weight=W) == pytest.approx(each.mean(), rel=1e-14)
    assert both(X, q, weight=W) != pytest.approx(both(X, T, weight=W))


def test_label_smoothing_with_weights_and_ignore_index():
    """The smooth part has the weight of each class, but both parts are divided by the weights of the targets."""
    eps, lp, counts = 0.3, log_probs(), T != 0
    nll = -W[T] * lp[range(4), T]
    smooth = -(W * lp).sum(axis=1)
    loss = ((1 - eps) * nll + eps / 3 * smooth)[counts].sum() / W[T][counts].sum()
    assert both(X, T, weight=W, ignore_index=0, label_smoothing=eps) == pytest.approx(loss, rel=1e-14)
    uniform = ((1 - eps) * nll - eps / 3 * W[T] * lp.sum(axis=1))[counts].sum() / W[T][counts].sum()
    ours = xent.cross_entropy(X, T, W, ignore_index=0, label_smoothing=eps, smoothing="uniform")
    assert ours == pytest.approx(uniform, rel=1e-14)


def test_ignore_index_inside_the_class_range():
    """Its rows do not count, but the class is still one of those that the others compete with."""
    each = both(X, T, ignore_index=0, reduction="none")
    assert (each[T == 0] == 0).all() and (each[T != 0] > 0).all()
    assert both(X, T, ignore_index=0) == pytest.approx(each[T != 0].mean(), rel=1e-14)
    _, grad = xent.cross_entropy_with_grad(X, T, ignore_index=0)
    assert not grad[T == 0].any() and (grad[T != 0][:, 0] > 0).all()


def test_a_target_that_is_masked_out():
    """Loss +inf by class_mask as by a logit of -inf; the gradient is that of the others, and 0 at the masked class."""
    masked = X.copy()
    masked[:, 2] = -INF
    loss, grad = xent.cross_entropy_with_grad(X, T, class_mask=[1, 1, 0], reduction="none")
    assert loss[0] == INF and np.isfinite(loss[1:]).all()
    np.testing.assert_array_equal(loss, both(masked, T, reduction="none"))
    np.testing.assert_allclose(grad[0], [*xent.softmax(X[0, :2]), 0], rtol=1e-15)
    _, with_inf = xent.cross_entropy_with_grad(masked, T, reduction="none")
    np.testing.assert_array_equal(with_inf[:, :2], grad[:, :2])
    assert with_inf[0, 2] == -1 and not grad[:, 2].any()


def test_masked_classes_with_zero_labels():
    """A probability of 0 at a logit of -inf adds 0, where PyTorch has 0 * inf = NaN."""
    x, q = np.array([[1.0, -INF, 2.0]]), np.array([[0.25, 0.0, 0.75]])
    assert F.cross_entropy(tensor(x), tensor(q)).isnan()
    loss, grad = xent.cross_entropy_with_grad(x, q)
    np.testing.assert_array_equal(loss, xent.cross_entropy(x[:, ::2], q[:, ::2]))
    assert grad[0, 1] == 0 and np.isfinite(grad).all()
    y = np.array([[0.0, 1.0]])
    loss, grad = xent.binary_cross_entropy_with_logits_with_grad(np.array([[-INF, INF]]), y, reduction="none")
    np.testing.assert_array_equal(loss, [[0, 0]])
    np.testing.assert_array_equal(grad, [[0, 0]])


def test_probabilities_that_do_not_sum_to_1():
    q = np.array([[0.5, 2.0, 1.0], [0.1, 0.0, 0.2], [0.0, 0.0, 0.0], [-1.0, 0.5, 0.25]])
    np.testing.assert_allclose(both(X, q, reduction="none"), -(q * log_probs()).sum(axis=1), rtol=1e-13, atol=1e-15)
    _, grad = xent.cross_entropy_with_grad(X, q, reduction="sum")
    np.testing.assert_allclose(grad, xent.softmax(X) * q.sum(axis=1, keepdims=True) - q, rtol=1e-13, atol=1e-15)
    assert grad.sum(axis=1) == pytest.approx([0, 0, 0, 0], abs=1e-15)


@pytest.mark.parametrize("rows", [0, 3])
def test_a_mean_over_nothing(rows):
    x, t = np.ones((rows, 4)), np.full(rows, -100)
    assert np.isnan(both(x, t)) and both(x, t, reduction="sum") == 0
    assert np.isnan(xent.cross_entropy(x, t, reduction="mean_rows"))
    for reduction in ("mean", "mean_rows"):
        loss, grad = xent.cross_entropy_with_grad(x, t, empty_mean="zero", reduction=reduction)
        assert loss == 0 and not grad.any() and grad.shape == x.shape


def test_smoothing_over_a_mask_is_infinite():
    """Each class gets some of the label, also one of probability 0; class_mask takes it out of the sum."""
    x = np.array([[1.0, -INF, 2.0]])
    assert both(x, np.array([0]), label_smoothing=0.1) == INF
    assert xent.cross_entropy(x, np.array([[1.0, 0.0, 0.0]]), label_smoothing=0.1) == INF
    masked = xent.cross_entropy(x, [0], label_smoothing=0.1, class_mask=[1, 0, 1])
    assert masked == xent.cross_entropy(x[:, ::2], [0], label_smoothing=0.1)


def test_the_binary_mean_divides_by_the_elements():
    """Weights or not; mean_rows divides by the rows."""
    y = np.eye(3)[T]
    theirs = F.binary_cross_entropy_with_logits(tensor(X), tensor(y), tensor(W))
    each = xent.binary_cross_entropy_with_logits(X, y, W, "none")
    assert_near(xent.binary_cross_entropy_with_logits(X, y, W), theirs)
    assert xent.binary_cross_entropy_with_logits(X, y, W) == pytest.approx(each.sum() / 12, rel=1e-14)
    assert xent.binary_cross_entropy_with_logits(X, y, W, "mean_rows") == pytest.approx(each.sum() / 4, rel=1e-14)


def test_a_row_of_nothing_but_masks():
    x, t = np.array([[-INF, -INF], [1.0, 2.0]]), np.array([0, 1])
    assert np.isnan(both(x, t, reduction="none")[0])
    got = xent.cross_entropy(x, t, masked_row="zero", outputs=("loss", "row_loss", "grad", "probs", "rows_counted"))
    assert got.loss == got.row_loss[1] and got.row_loss[0] == 0 and got.rows_counted == 1
    assert not got.grad[0].any() and not got.probs[0].any()


def test_without_a_reduction_the_gradient_is_that_of_the_sum():
    grads = [xent.cross_entropy_with_grad(X, T, W, reduction=reduction)[1] for reduction in ("none", "sum")]
    np.testing.assert_array_equal(*grads)


def test_a_target_of_the_logits_shape_is_probabilities_and_floating():
    with pytest.raises((TypeError, ValueError), match="target"):
        xent.cross_entropy(X, np.eye(3, dtype=int)[T])
    with pytest.raises(RuntimeError):
        F.cross_entropy(tensor(X), tensor(np.eye(3, dtype=int)[T]))


def test_ignore_index_does_not_go_with_probabilities():
    both(X, np.eye(3)[T], ignore_index=-5)
    with pytest.raises(ValueError, match="ignore_index"):
        xent.cross_entropy(X, np.eye(3)[T], ignore_index=1)


def test_targets_are_compared_as_64_bits():
    """156 is -100 modulo 256, and 2^32 is 0 modulo 2^32: neither is what it looks like."""
    for target in (np.array([2, 156, 0, 1], np.uint8), np.array([2, 2**32, 0, 1]), np.array([2**63] * 4, np.uint64)):
        with pytest.raises(IndexError, match=r"target\w*\["):
            xent.cross_entropy(X, target)


def test_a_nan_stays_in_its_row():
    x = X.copy()
    x[1, 2] = NAN
    loss, grad = xent.cross_entropy_with_grad(x, T, reduction="none")
    np.testing.assert_array_equal(np.isnan(loss), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(grad), np.isnan(loss)[:, None] & np.ones(3, bool))
    assert np.isnan(both(x, T)) and np.isfinite(both(x, np.array([2, -100, 0, 1])))


def test_a_weight_of_0_does_not_hide_a_nan():
    """In the binary loss a factor of 0 makes 0 of an infinite logarithm, but a NaN stays one."""
    x, y = np.array([[NAN, INF, -INF, 1.0]]), np.array([[1.0, 0.0, 1.0, 0.0]])
    loss, grad = xent.binary_cross_entropy_with_logits_with_grad(x, y, np.zeros(4), "none")
    np.testing.assert_array_equal(loss, [[NAN, 0, 0, 0]])
    np.testing.assert_array_equal(grad, [[NAN, 0, 0, 0]])
    loss, grad = xent.binary_cross_entropy_with_logits_with_grad(x, y, None, "none", np.zeros(4))
    np.testing.assert_array_equal(np.isnan(loss), [[True, False, False, False]])
    np.testing.assert_array_equal(np.isnan(grad), [[True, False, False, False]])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_losses_of_16_bits_are_float32(dtype):
    """A mean in bfloat16 would be a number of two digits, and a sum of 70000 no number in float16."""
    x, t = np.zeros((70000, 2), dtype), np.zeros(70000, np.int8)
    total = xent.cross_entropy(x, t, reduction="sum")
    assert total.dtype == np.float32 and total == np.float32(70000 * np.log(2))


def test_a_soft_cap_keeps_masks_and_has_no_infinite_logits():
    x = np.array([[-INF, 1.0, INF]])
    got = xent.statistics(x, ("probs", "max_logit"), softcap=2.0)
    capped = 2 * np.tanh(np.array([0.5, INF]))
    np.testing.assert_allclose(got.probs, [[0, *xent.softmax(capped)]], rtol=1e-14)
    assert got.max_logit == [2.0]
