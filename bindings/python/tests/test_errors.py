# SPDX-License-Identifier: Apache-2.0
"""What this package refuses by itself, with which exception and words; and that a refused call writes nothing. What the C
library refuses is in test_refusals.py."""

import numpy as np
import pytest

import xent

LOGITS = np.array([[1, 2, 7], [4, 7, 9], [8, 3, 4]], np.float32)
TARGETS = np.array([2, 2, 0])
LOG_PROBS = LOGITS - 20
LOSSES = [xent.nll_loss, xent.cross_entropy, xent.cross_entropy_with_grad]
ROWWISE = [xent.softmax, xent.log_softmax, xent.logsumexp]
FLOATING = "not float32, float64, float16 or bfloat16"


@pytest.mark.parametrize("name", ["int64", "int32", "bool", "complex64", "longdouble", "object", "datetime64[s]"])
def test_only_floating_logits(name):
    x = np.zeros((2, 3), name)
    for function in ROWWISE:
        with pytest.raises(TypeError, match=f"{function.__name__}: x is .*, {FLOATING}"):
            function(x)
    for function in LOSSES:
        with pytest.raises(TypeError, match=f"{function.__name__}: (logits|log_probs) is .*, {FLOATING}"):
            function(x, [0, 1])
    with pytest.raises(TypeError, match="binary_cross_entropy_with_logits: logits is .*, not float32"):
        xent.binary_cross_entropy_with_logits(x, x)
    with pytest.raises(TypeError, match="kl_div: student is .*, not float32"):
        xent.kl_div(x, x)
    with pytest.raises(TypeError, match=f"dtype is .*, {FLOATING}"):
        xent.nll_loss_grad([0], 2, dtype=name)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_shapes_of_losses(loss):
    with pytest.raises(ValueError, match=r"target has shape \(1, 3\), not \(1, 4\), for log.* of shape \(1, 3, 4\)"):
        loss(np.zeros((1, 3, 4)), np.zeros((1, 3), int))
    with pytest.raises(ValueError, match="has no dimensions"):
        loss(np.float32(1), 0)
    for target in ([0, 1], [[0, 1, 2]], 0, np.zeros((3, 3), int)):
        with pytest.raises(ValueError, match=r"target has shape .*, not \(3,\)"):
            loss(LOGITS, target)
    with pytest.raises(ValueError, match=r"target has shape \(1,\), not \(\)"):
        loss(LOGITS[0], [0])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_targets_are_integers(loss):
    for target in ([2.0, 2.0, 0.0], [True, False, True], ["0", "1", "2"], [None, None, None]):
        with pytest.raises(TypeError, match="target is .*, not an integer dtype"):
            loss(LOGITS, target)


def test_probabilities():
    for loss in LOSSES[1:]:
        with pytest.raises(TypeError, match="target is float64, and logits is float32"):
            loss(LOGITS, np.eye(3))
        with pytest.raises(TypeError, match="target is float32, not an integer dtype or of the shape of logits"):
            loss(LOGITS, np.eye(3, 4, dtype=np.float32))
        with pytest.raises(ValueError, match="ignore_index and probability targets do not go together"):
            loss(LOGITS, np.eye(3, dtype=np.float32), ignore_index=1)
    with pytest.raises(TypeError, match="target is float64, not an integer dtype$"):  # it has none in PyTorch either
        xent.nll_loss(LOGITS, np.eye(3))


def test_sparse_targets():
    probs = np.full((3, 2), 0.5, np.float32)
    for target in (np.zeros((3, 2, 1), int), np.zeros((4, 2), int), TARGETS):
        with pytest.raises(ValueError, match=r"target has shape .*, not \(3, k\) with any k"):
            xent.cross_entropy(LOGITS, target, target_probs=probs)
    with pytest.raises(ValueError, match=r"target_probs has shape \(3, 2\), not \(3, 1\), the shape of target"):
        xent.cross_entropy(LOGITS, TARGETS[:, None], target_probs=probs)
    with pytest.raises(TypeError, match="target is float32, not an integer dtype"):
        xent.cross_entropy(LOGITS, probs, target_probs=probs)
    with pytest.raises(TypeError, match="target_probs is float64, and logits is float32"):
        xent.cross_entropy(LOGITS, np.zeros((3, 2), int), target_probs=probs.astype(float))
    with pytest.raises(IndexError, match=r"targets\[1\]\[1\] is 3, not in \[0, 3\) and not ignore_index"):
        xent.cross_entropy(LOGITS, np.array([[0, 1], [2, 3], [0, 0]]), target_probs=probs)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_weights(loss):
    for weight in (np.ones(3), np.ones(3, int), np.ones(3, bool)):
        with pytest.raises(TypeError, match=f"weight is {weight.dtype.name}, and (logits|log_probs) is float32"):
            loss(LOGITS, TARGETS, weight)
    for shape in ((2,), (4,), (1, 3), (), (0,)):
        with pytest.raises(ValueError, match=r"weight has shape .*, not \(3,\)"):
            loss(LOGITS, TARGETS, np.ones(shape, np.float32))
    with pytest.raises(ValueError, match=r"weight has shape \(2,\)"):
        loss(LOGITS, TARGETS, [1.0, 2.0])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_options(loss):
    for reduction in ("avg", "MEAN", None, 1, ["mean"]):
        with pytest.raises(ValueError, match="reduction is .*, not 'none', 'mean', 'sum' or 'mean_rows'"):
            loss(LOGITS, TARGETS, reduction=reduction)
    for ignored in (2**63, -(2**63) - 1, 2**64 - 100):
        with pytest.raises(ValueError, match=f"ignore_index is {ignored}, which int64 cannot hold"):
            loss(LOGITS, TARGETS, ignore_index=ignored)
    with pytest.raises(TypeError):
        loss(LOGITS, TARGETS, ignore_index=1.5)


WRONG_OPTIONS = [
    ("label_smoothing", (-0.1, 1.5, float("nan")), r"label_smoothing is .*, not in \[0, 1\]"),
    ("temperature", (0, -1.0, float("inf")), "temperature is .*, not a positive number"),
    ("softcap", (-1.0, float("nan")), "softcap is .*, not a positive number, or 0"),
    ("focal_gamma", (-1.0,), "focal_gamma is .*, not 0 or more"),
    ("poly_epsilon", (float("inf"),), "poly_epsilon is .*, not a finite number"),
    ("z_loss", (-1e-4,), "z_loss is .*, not 0 or more"),
    ("smoothing", ("none", 1), "smoothing is .*, not 'weighted' or 'uniform'"),
    ("accuracy", ("fast", None, 1), "accuracy is .*, not 'faithful' or 'fastest'"),
    ("masked_row", ("0", None), "masked_row is .*, not 'nan' or 'zero'"),
    ("empty_mean", ("0", None), "empty_mean is .*, not 'nan' or 'zero'"),
    ("num_threads", (-1, 1025), r"num_threads is .*, not in \[0, 1024\]"),
    ("num_threads", (2**31,), "num_threads is 2147483648, which int32 cannot hold"),
]


@pytest.mark.parametrize(("name", "values", "message"), WRONG_OPTIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_values_of_options(name, values, message):
    for loss in LOSSES[1:]:
        for value in values:
            with pytest.raises(ValueError, match=message):
                loss(LOGITS, TARGETS, **{name: value})
            for other in ({"z_loss": 0.1}, {"row_mask": [1, 0, 1]}):  # no way around the check
                with pytest.raises(ValueError, match=message):
                    loss(LOGITS, TARGETS, **{**other, name: value})


OPTIONS_WITH_SHAPES = [
    ("weight", np.ones(2, np.float32), r"weight has shape \(2,\), not \(3,\)"),
    ("class_mask", np.ones((3, 1), bool), r"class_mask has shape \(3, 1\), not \(3,\)"),
    ("row_mask", np.ones(4, int), r"row_mask has shape \(4,\), not \(3,\)"),
    ("grad_loss", np.ones(2, np.float32), r"grad_loss has shape \(2,\), not \(3,\)"),
    ("gather", np.ones((2, 3), int), r"gather has shape \(2, 3\), not \(3, k\)"),
]


@pytest.mark.parametrize(("name", "value", "message"), OPTIONS_WITH_SHAPES, ids=[row[0] for row in OPTIONS_WITH_SHAPES])
def test_shapes_of_options(name, value, message):
    with pytest.raises(ValueError, match=message):
        xent.cross_entropy(LOGITS, TARGETS, **{name: value})


def test_dtypes_of_options():
    for name, message in (
        ("weight", "weight is float64, and logits is float32"),
        ("grad_loss", "grad_loss is float64, and logits is float32"),
        ("class_mask", "class_mask is float64, not bool or an integer dtype"),
        ("row_mask", "row_mask is float64, not bool or an integer dtype"),
        ("gather", "gather is float64, not an integer dtype"),
    ):
        with pytest.raises(TypeError, match=message):
            xent.cross_entropy(LOGITS, TARGETS, **{name: np.ones(3)})


def test_outputs():
    with pytest.raises(TypeError, match=r"outputs is 'loss', not a sequence of names; \('loss',\) is one"):
        xent.cross_entropy(LOGITS, TARGETS, outputs="loss")
    with pytest.raises(ValueError, match="outputs has 'gradient', not one of loss, row_loss, grad, "):
        xent.cross_entropy(LOGITS, TARGETS, outputs=("loss", "gradient"))
    with pytest.raises(ValueError, match="duplicate field name: 'lse'"):
        xent.statistics(LOGITS, ("lse", "lse"))
    with pytest.raises(ValueError, match="correct and xent_softmax do not go together"):
        xent.statistics(LOGITS, ("correct",))
    with pytest.raises(ValueError, match="lse and xent_nll do not go together"):
        xent.nll_loss(LOGITS, TARGETS, outputs=("lse",))
    for k in (0, 4, 65, -1, 2**40):
        with pytest.raises(ValueError, match=rf"top_k is {k}, not in \[1, 3\], for the output 'top_indices'"):
            xent.cross_entropy(LOGITS, TARGETS, outputs=("top_indices",), top_k=k)
    with pytest.raises(ValueError, match=r"top_k is 65, not in \[1, 64\]"):
        xent.top_k_log_probs(np.zeros(100), 65)
    with pytest.raises(ValueError, match="top_k is 2, and outputs has no 'top_indices' or 'top_log_probs'"):
        xent.cross_entropy(LOGITS, TARGETS, top_k=2)
    with pytest.raises(ValueError, match="outputs has 'gathered', and gather is not given"):
        xent.cross_entropy(LOGITS, TARGETS, outputs=("gathered",))
    with pytest.raises(ValueError, match="gather is given, and outputs has no 'gathered'"):
        xent.cross_entropy(LOGITS, TARGETS, gather=TARGETS[:, None])
    with pytest.raises(IndexError, match=r"gather\[1\]\[0\] is 3, not in \[0, 3\)"):
        xent.statistics(LOGITS, ("gathered",), gather=[[0], [3], [1]])


def test_out_without_its_output():
    grad = np.zeros_like(LOGITS)
    for call in (
        lambda **named: xent.cross_entropy(LOGITS, TARGETS, **named),
        lambda **named: xent.nll_loss(LOGITS, TARGETS, **named),
        lambda **named: xent.kl_div(LOGITS, LOGITS, **named),
        lambda **named: xent.binary_cross_entropy_with_logits(LOGITS, LOGITS, **named),
    ):
        with pytest.raises(ValueError, match="grad_out is given, and outputs has no 'grad'"):
            call(grad_out=grad)
        with pytest.raises(ValueError, match="out is given, and outputs has no 'loss'"):
            call(out=np.zeros((), np.float32), outputs=("grad",))
    assert not grad.any()


def test_binary_cross_entropy():
    loss = xent.binary_cross_entropy_with_logits
    with pytest.raises(ValueError, match=r"target has shape \(3,\), not \(3, 3\), for logits of shape \(3, 3\)"):
        loss(LOGITS, LOGITS[0])
    with pytest.raises(TypeError, match="target is int64, and logits is float32"):
        loss(LOGITS, LOGITS.astype(int))
    for name in ("weight", "pos_weight"):
        with pytest.raises(ValueError, match=rf"{name} has shape \(2,\), which does not broadcast to \(3, 3\)"):
            loss(LOGITS, LOGITS, **{name: np.ones(2, np.float32)})
        with pytest.raises(TypeError, match=f"{name} is float64, and logits is float32"):
            loss(LOGITS, LOGITS, **{name: np.ones(3)})
    with pytest.raises(ValueError, match="logits has no dimensions"):
        loss(np.float32(1), np.float32(1))


def test_divergence():
    with pytest.raises(
        ValueError, match="kind is 'js', not 'kl', 'reverse_kl', 'soft_cross_entropy' or 'jensen_shannon'"
    ):
        xent.divergence(LOGITS, LOGITS, "js")
    with pytest.raises(ValueError, match=r"teacher has shape \(3,\), not \(3, 3\), for student of shape \(3, 3\)"):
        xent.kl_div(LOGITS, LOGITS[0])
    with pytest.raises(TypeError, match="teacher is float64, and student is float32"):
        xent.js_div(LOGITS, LOGITS.astype(float))


def test_axis():
    for function in ROWWISE:
        for axis in (2, -3, 100):
            with pytest.raises(ValueError, match="axis") as caught:
                function(LOGITS, axis=axis)
            assert type(caught.value).__name__ == "AxisError"
        with pytest.raises(ValueError, match="out of bounds|zero-dimensional|axis"):
            function(np.float64(3))
        with pytest.raises(TypeError):
            function(LOGITS, axis=0.5)


def test_gradients_of_two_inputs():
    with pytest.raises(TypeError, match="grad_log_probs is float64, and log_probs is float32"):
        xent.log_softmax_grad(LOG_PROBS, LOG_PROBS.astype(float))
    with pytest.raises(ValueError, match=r"grad_log_probs has shape \(2, 3\), and log_probs \(3, 3\)"):
        xent.log_softmax_grad(LOG_PROBS, LOG_PROBS[:2])
    with pytest.raises(ValueError, match=r"grad_lse has shape \(2,\), not \(3,\), for x of shape \(3, 3\)"):
        xent.logsumexp_grad(LOGITS, LOG_PROBS[0, :2])
    with pytest.raises(TypeError, match="grad_probs is float64, and probs is float32"):
        xent.softmax_grad(LOG_PROBS, LOG_PROBS.astype(float))
    with pytest.raises(ValueError, match="classes is -1"):
        xent.nll_loss_grad([0], -1)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        xent.nll_loss_grad([0], 3, axis=2)


def test_masked_arrays_are_refused():
    masked = np.ma.masked_less(LOGITS, 2)
    with pytest.raises(TypeError, match="x is a masked array"):
        xent.softmax(masked)
    with pytest.raises(TypeError, match="target is a masked array"):
        xent.cross_entropy(LOGITS, np.ma.masked_equal(TARGETS, 0))


@pytest.mark.parametrize("number", [-1, 1025, 2**31, -(2**40)])
def test_num_threads(number):
    before = xent.get_num_threads()
    with pytest.raises(ValueError, match=rf"set_num_threads: num_threads is {number}, not in \[0, 1024\]"):
        xent.set_num_threads(number)
    assert xent.get_num_threads() == before
    with pytest.raises(TypeError):
        xent.set_num_threads(1.5)


def test_an_error_writes_nothing(dtype):
    logits = np.full((4, 3), 0.25, dtype)
    grad = np.full((4, 3), -7.0, dtype)
    with pytest.raises(IndexError, match=r"targets\[3\]"):
        xent.cross_entropy_with_grad(logits, [0, 1, 2, 3], grad_out=grad)
    assert (grad == -7).all()
    with pytest.raises(IndexError, match=r"targets\[3\]"):
        xent.cross_entropy_with_grad(logits, [0, 1, 2, 3], grad_out=logits)
    assert (logits == 0.25).all()
