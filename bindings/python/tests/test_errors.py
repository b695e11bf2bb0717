# SPDX-License-Identifier: Apache-2.0
"""What is refused, with which exception and words; and that a refused call writes nothing."""

import ctypes
import re

import numpy as np
import pytest

import xent
from xent import _library

LOGITS = np.array([[1, 2, 7], [4, 7, 9], [8, 3, 4]], np.float32)
TARGETS = np.array([2, 2, 0])
LOG_PROBS = LOGITS - 20
LOSSES = [xent.nll_loss, xent.cross_entropy, xent.cross_entropy_with_grad]
ROWWISE = [xent.softmax, xent.log_softmax, xent.logsumexp]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("bad", [3, -1, -101, 2**31, 2**62, -(2**63)])
def test_target_out_of_range_names_the_row(loss, bad):
    with pytest.raises(IndexError, match=rf"targets\[1\] is {bad}, not in \[0, 3\) and not ignore_index \(-100\)"):
        loss(LOGITS, [2, bad, 0])


def test_target_out_of_range_in_nll_loss_grad():
    with pytest.raises(IndexError, match=r"targets\[0\] is 5, not in \[0, 5\) and not ignore_index \(7\)"):
        xent.nll_loss_grad([5], 5, ignore_index=7)


@pytest.mark.parametrize("bad", [2**63, 2**64 - 100, 2**64 - 1])
def test_unsigned_targets_do_not_wrap(bad):
    targets = np.array([0, 1, bad], np.uint64)  # as int64, 2**64 - 100 would be ignore_index
    with pytest.raises(IndexError, match=rf"cross_entropy: targets\[2\] is {bad}, not in \[0, 3\)"):
        xent.cross_entropy(LOGITS, targets)


def test_a_byte_of_156_is_not_ignore_index():
    with pytest.raises(IndexError, match=r"targets\[1\] is 156"):
        xent.cross_entropy(LOGITS, np.array([0, 156, 1], np.uint8))


@pytest.mark.parametrize("name", ["int64", "int32", "bool", "complex64", "longdouble", "object", "datetime64[s]"])
def test_only_floating_logits(name):
    x = np.zeros((2, 3), name)
    for function in ROWWISE:
        with pytest.raises(TypeError, match=f"{function.__name__}: x is .*, not float32 or float64"):
            function(x)
    for function in LOSSES:
        with pytest.raises(TypeError, match=f"{function.__name__}: (logits|log_probs) is .*, not float32 or float64"):
            function(x, [0, 1])
    with pytest.raises(TypeError, match="dtype is .*, not float32 or float64"):
        xent.nll_loss_grad([0], 2, dtype=name)


def test_half_precision_is_not_there_yet():
    x = np.zeros((2, 3), np.float16)
    for call in (xent.softmax, xent.logsumexp, lambda v: xent.cross_entropy(v, [0, 1])):
        with pytest.raises(NotImplementedError, match="is float16; half precision is not supported yet"):
            call(x)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_shapes_of_losses(loss):
    with pytest.raises(NotImplementedError, match=r"of shape \(1, 3, 4\); only \(N, C\) and \(C,\)"):
        loss(np.zeros((1, 3, 4)), np.zeros((1, 4), int))
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


def test_probability_targets_are_not_there_yet():
    for loss in LOSSES[1:]:
        with pytest.raises(NotImplementedError, match="target is float64; probabilities are not supported yet"):
            loss(LOGITS, np.eye(3))
    with pytest.raises(TypeError, match="target is float64, not an integer dtype"):  # it has none in PyTorch either
        xent.nll_loss(LOGITS, np.eye(3))


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
        with pytest.raises(ValueError, match="reduction is .*, not 'none', 'mean' or 'sum'"):
            loss(LOGITS, TARGETS, reduction=reduction)
    for ignored in (2**63, -(2**63) - 1, 2**64 - 100):
        with pytest.raises(ValueError, match=f"ignore_index is {ignored}, which int64 cannot hold"):
            loss(LOGITS, TARGETS, ignore_index=ignored)
    with pytest.raises(TypeError):
        loss(LOGITS, TARGETS, ignore_index=1.5)


def test_label_smoothing():
    for loss in LOSSES[1:]:
        with pytest.raises(NotImplementedError, match="label_smoothing is 0.1; only 0 is supported yet"):
            loss(LOGITS, TARGETS, label_smoothing=0.1)
        for value in (-0.1, 1.5, float("nan")):
            with pytest.raises(ValueError, match=r"label_smoothing is .*, not in \[0, 1\]"):
                loss(LOGITS, TARGETS, label_smoothing=value)


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
    with pytest.raises(ValueError, match="classes is -1"):
        xent.nll_loss_grad([0], -1)
    with pytest.raises(NotImplementedError, match=r"target of shape \(1, 2\)"):
        xent.nll_loss_grad([[0, 1]], 3)


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


# What the NumPy layer never lets through: the C functions as they are, and the gate behind them.


def raw(name, *arguments):
    status = getattr(_library.library, f"xent_{name}")(*arguments)
    if status:
        _library.fail(status)


@pytest.fixture
def buffers(dtype):
    suffix = _library.DTYPES[dtype]
    x, probs = np.ones((2, 3), dtype), np.full((2, 3), 5.0, dtype)
    yield suffix, x, probs
    assert (probs == 5).all()


def test_status_null(buffers):
    suffix, x, probs = buffers
    with pytest.raises(ValueError, match=f"^xent_softmax_{suffix}: logits is NULL$"):
        raw(f"softmax_{suffix}", None, 2, 3, probs.ctypes.data)


def test_status_size(buffers):
    suffix, x, probs = buffers
    with pytest.raises(ValueError, match=f"^xent_softmax_{suffix}: rows is -1, must not be negative$"):
        raw(f"softmax_{suffix}", x.ctypes.data, -1, 3, probs.ctypes.data)
    with pytest.raises(ValueError, match=f"^xent_log_softmax_{suffix}: rows \\* classes .* is too large$"):
        raw(f"log_softmax_{suffix}", x.ctypes.data, 2**40, 2**40, probs.ctypes.data)


def test_status_option(buffers):
    suffix, x, probs = buffers
    targets = np.zeros(2, np.int64)
    with pytest.raises(ValueError, match=f"^xent_nll_{suffix}: reduction is 7, not 0"):
        raw(f"nll_{suffix}", x.ctypes.data, targets.ctypes.data, 2, 3, None, -100, 7, probs.ctypes.data)


def test_status_overlap(buffers):
    suffix, x, probs = buffers
    with pytest.raises(ValueError, match=f"^xent_softmax_{suffix}: probs overlaps logits$"):
        raw(f"softmax_{suffix}", x.ctypes.data, 1, 3, x.ctypes.data + x.itemsize)
    assert (x == 1).all()


def test_unknown_status():
    with pytest.raises(RuntimeError):
        _library.fail(99)


def test_every_function_of_the_header_has_a_prototype(checkout):
    header = (checkout / "Include" / "xent.h").read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    declared = set(re.findall(r"\bxent_[a-z0-9_]+(?=\()", header))
    bound = {f"xent_{name}" for name in _library.UNTYPED}
    bound |= {f"xent_{name}_{suffix}" for name in _library.TYPED for suffix in _library.DTYPES.values()}
    assert bound == declared
    for name in bound:
        parameters = re.search(rf"\b{name}\((.*?)\);", header, re.S).group(1)
        count = 0 if parameters.strip() == "void" else parameters.count(",") + 1
        function = getattr(_library.library, name)
        assert len(function.argtypes) == count, name
        for kind, text in zip(function.argtypes, parameters.split(",")):
            expected = ctypes.c_void_p if "*" in text else ctypes.c_int64 if "int64_t" in text else ctypes.c_int32
            assert kind is expected, (name, text)
