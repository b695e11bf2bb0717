# SPDX-License-Identifier: Apache-2.0
"""Arrays of other packages, by DLPack: seen where they lie, written where they may be, and given back."""

import ctypes
import gc
import os
import subprocess
import sys
import weakref
from importlib.util import find_spec

import ml_dtypes
import numpy as np
import pytest

import xent
from xent import _dlpack

TARGET = np.array([0, 2, 1, 1])
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class Exporter:
    """An array that has DLPack and nothing else. NumPy exports no bfloat16, so its bits are exported and renamed."""

    def __init__(self, array, device=(1, 0), versioned=True, read_only=False, **fields):
        self.array, self.device, self.versioned, self.read_only = array, device, versioned, read_only
        self.fields = fields

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **named):
        if not self.versioned and named:
            raise TypeError("__dlpack__() got an unexpected keyword argument")
        bits = self.array.view(np.uint16) if self.array.dtype == BFLOAT16 else self.array
        capsule = bits.__dlpack__(max_version=(1, 0)) if self.versioned else bits.__dlpack__()
        name = b"dltensor_versioned" if self.versioned else b"dltensor"
        struct = _dlpack._Versioned if self.versioned else _dlpack._DLTensor
        struct = struct.from_address(_dlpack._pointer(capsule, name))
        tensor = struct.tensor if self.versioned else struct
        if self.array.dtype == BFLOAT16:
            tensor.code = 4
        if self.read_only:
            struct.flags |= 1
        for field, value in self.fields.items():
            setattr(struct if field == "major" else tensor, field, value)
        return capsule


pytestmark = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="NumPy exports DLPack 1.0 from its version 2.1 on"
)
versions = pytest.mark.parametrize("versioned", [True, False], ids=["1.0", "older"])


@pytest.fixture
def x(rng, any_dtype):
    return (rng.normal(size=(4, 3)) * 3).astype(any_dtype)


def same(got, expected):
    assert got.shape == expected.shape and got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@versions
def test_inputs(versioned, x):
    for array in (x, x[::2], x[:, ::-1], x.T.copy().T, x[:0]):
        shown = Exporter(array, versioned=versioned)
        same(xent.softmax(shown), xent.softmax(array))
        same(xent.softmax(shown, 0), xent.softmax(array, 0))
        target = TARGET[: len(array)]
        loss, grad = xent.cross_entropy_with_grad(shown, Exporter(target, versioned=versioned))
        expected = xent.cross_entropy_with_grad(array, target)
        np.testing.assert_equal(loss, expected[0])
        same(grad, expected[1])
    assert xent.cross_entropy(x, Exporter(TARGET.astype(np.uint8))) == xent.cross_entropy(x, TARGET)
    mask = np.array([True, False, True])
    same(
        np.asarray(xent.cross_entropy(x, TARGET, class_mask=Exporter(mask), reduction="none")),
        np.asarray(xent.cross_entropy(x, TARGET, class_mask=mask, reduction="none")),
    )


def test_an_offset_into_the_memory(x):
    shown = Exporter(x, byte_offset=3 * x.itemsize, ndim=1)
    shown.array = x.ravel()[:3]  # and the offset leads to the second row
    same(xent.softmax(shown), xent.softmax(x[1]))


def test_out(x):
    for layout in (lambda a: a, lambda a: np.zeros((8, 3), a.dtype)[::2], lambda a: np.zeros((3, 4), a.dtype).T):
        memory = layout(np.zeros_like(x))
        out = Exporter(memory)
        assert xent.softmax(x, out=out) is out
        same(np.array(memory), xent.softmax(x))
        loss, grad = xent.cross_entropy_with_grad(x, TARGET, grad_out=out)
        assert grad is out
        same(np.array(memory), xent.cross_entropy_with_grad(x, TARGET)[1])
        memory[...] = x
        assert xent.cross_entropy_with_grad(out, TARGET, grad_out=out)[0] == loss  # in place
        same(np.array(memory), xent.cross_entropy_with_grad(x, TARGET)[1])
    rows = np.zeros(4, np.float64 if x.dtype == np.float64 else np.float32)
    xent.cross_entropy(x, TARGET, reduction="none", out=Exporter(rows))
    same(rows, xent.cross_entropy(x, TARGET, reduction="none"))


def test_what_may_not_be_written_is_not(x):
    before = x.copy()
    for shown in (Exporter(x, read_only=True), Exporter(x, versioned=False)):
        with pytest.raises(ValueError, match="softmax: out is read-only"):
            xent.softmax(x, out=shown)
        with pytest.raises(ValueError, match="cross_entropy_with_grad: grad_out is read-only"):
            xent.cross_entropy_with_grad(x, TARGET, grad_out=shown)
    same(x, before)


def test_out_of_another_dtype_or_shape(x):
    other = np.zeros((4, 3), np.float32 if x.dtype != np.float32 else np.float16)
    with pytest.raises(TypeError, match=f"out is {other.dtype.name}, not {x.dtype.name}"):
        xent.softmax(x, out=Exporter(other))
    with pytest.raises(ValueError, match=r"out has shape \(3, 4\), not \(4, 3\)"):
        xent.softmax(x, out=Exporter(np.zeros((3, 4), x.dtype)))


@pytest.mark.parametrize("device", [(2, 0), (7, 0), (13, 0)])
def test_other_devices(device):
    with pytest.raises(TypeError, match=rf"x is on a device \(DLPack's type {device[0]}\), not in the CPU's memory"):
        xent.softmax(Exporter(np.zeros(3), device=device))


@pytest.mark.parametrize("device", [(3, 0), (11, 0)])
def test_memory_pinned_for_a_device_is_the_host_s(device):
    same(xent.softmax(Exporter(np.zeros(3), device=device)), xent.softmax(np.zeros(3)))


def test_what_is_not_understood():
    with pytest.raises(TypeError, match="x comes by DLPack 2.0, not 1.x"):
        xent.softmax(Exporter(np.zeros(3), major=2))
    for code, bits, lanes in ((10, 8, 1), (4, 32, 1), (2, 32, 4), (0, 4, 1)):
        with pytest.raises(TypeError, match=f"x is of DLPack's type {code} with {bits} bits, which NumPy has not"):
            xent.softmax(Exporter(np.zeros(3), code=code, bits=bits, lanes=lanes))
    with pytest.raises(TypeError, match="x is complex128, not float32"):
        xent.softmax(Exporter(np.zeros(3, complex)))

    class Refuses(Exporter):
        def __dlpack__(self, **named):
            raise BufferError("not today")

    with pytest.raises(ValueError, match="softmax: x cannot be looked at: not today"):
        xent.softmax(Refuses(np.zeros(3)))


@versions
def test_memory_is_kept_for_the_call_and_given_back(versioned):
    class Owner(np.ndarray):
        pass

    class Temporary(Exporter):
        """Nothing but the capsule keeps the array."""

        def __dlpack__(self, **named):
            if named and not versioned:
                raise TypeError("no versions here")
            self.array = np.random.default_rng(1).normal(size=(50, 40)).view(Owner)
            alive.append(weakref.ref(self.array))
            capsule = super().__dlpack__(**named)
            del self.array
            gc.collect()
            return capsule

    alive = []
    expected = xent.softmax(np.random.default_rng(1).normal(size=(50, 40)))
    for _ in range(3):
        same(xent.softmax(Temporary(None, versioned=versioned)), expected)
    gc.collect()
    assert len(alive) == 3 and not any(ref() is not None for ref in alive)


def test_a_failed_call_gives_the_memory_back():
    x = np.zeros((4, 3))
    count = sys.getrefcount(x)
    for _ in range(10):
        with pytest.raises(IndexError):
            xent.cross_entropy(Exporter(x), [0, 1, 2, 3])
        with pytest.raises(TypeError):
            xent.softmax(Exporter(x, code=10))
    gc.collect()
    assert sys.getrefcount(x) == count


def apart(code):
    """What a new process prints."""
    path = os.path.dirname(os.path.dirname(xent.__file__))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WITHOUT = """
import sys
sys.modules["ml_dtypes"] = None  # as if it were not installed
import numpy as np
import xent

bits = np.array([[0x3F80, 0x4000, 0x40E0]], np.uint16)  # 1, 2, 7
class Exporter:
    def __init__(self, bits):
        self.bits = bits
    def __dlpack_device__(self):
        return 1, 0
    def __dlpack__(self, **named):
        capsule = self.bits.__dlpack__(max_version=(1, 0))
        xent._dlpack._Versioned.from_address(xent._dlpack._pointer(capsule, b"dltensor_versioned")).tensor.code = 4
        return capsule

print(xent.cross_entropy(Exporter(bits), [2]))
out = Exporter(np.zeros_like(bits))
loss, grad = xent.cross_entropy_with_grad(Exporter(bits), [2], grad_out=out)
assert grad is out
print([hex(n) for n in out.bits[0]])
turned = Exporter(np.zeros((3, 1), np.uint16).T)
xent.softmax(Exporter(bits), out=turned)
print([hex(n) for n in turned.bits[0]])
xent.softmax(Exporter(bits), out=turned)
for call in (lambda: xent.softmax(Exporter(bits)), lambda: xent.cross_entropy_with_grad(Exporter(bits), [2])):
    try:
        call()
    except ImportError as error:
        print(error)
try:
    xent.softmax(Exporter(bits), out=np.zeros((1, 3)))
except TypeError as error:
    print(error)
assert "ml_dtypes" not in sys.modules or sys.modules["ml_dtypes"] is None
"""


def test_bfloat16_without_ml_dtypes():
    x = np.array([[1, 2, 7]], BFLOAT16)
    loss, grad, probs, *errors = apart(WITHOUT).splitlines()
    expected, expected_grad = xent.cross_entropy_with_grad(x, [2])
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    for got, bits in ((grad, expected_grad), (probs, xent.softmax(x))):
        assert got == str([hex(n) for n in bits.view(np.uint16)[0]])
    assert errors[0].startswith("softmax: a result is bfloat16, which NumPy has only with the package ml_dtypes")
    assert errors[1].startswith("cross_entropy_with_grad: a result is bfloat16")
    assert errors[2] == "softmax: out is float64, not bfloat16"


def test_torch(any_dtype, rng):
    torch = pytest.importorskip("torch", reason="PyTorch, whose tensors are taken as they are, is not installed")
    values = (rng.normal(size=(4, 3, 2)) * 3).astype(any_dtype)
    x = torch.from_numpy(values.astype(float)).to(getattr(torch, any_dtype.name))
    target = torch.tensor([[0, 2], [1, 1], [2, 0], [0, -100]])
    expected = xent.cross_entropy_with_grad(values, target.numpy())
    grad = torch.zeros_like(x)
    loss, got = xent.cross_entropy_with_grad(x, target, grad_out=grad)
    assert loss == expected[0] and got is grad
    np.testing.assert_array_equal(grad.double().numpy(), expected[1].astype(float))
    same(xent.cross_entropy_with_grad(x, target)[1], expected[1])
    last = torch.zeros(4, 2, 3, dtype=x.dtype).permute(0, 2, 1)
    xent.softmax(x, axis=1, out=last)
    np.testing.assert_array_equal(last.double().numpy(), xent.softmax(values, axis=1).astype(float))
    assert xent.softmax(x[:, :0]).shape == (4, 0, 2)
    with pytest.raises(ValueError, match="x cannot be looked at: .*requires? grad"):
        xent.softmax(torch.zeros(3, requires_grad=True))
    xent.softmax(x, out=x)  # in place
    np.testing.assert_array_equal(x.double().numpy(), xent.softmax(values).astype(float))


JAX = """
import jax.numpy, ml_dtypes, numpy as np, xent

target = np.array([0, 2, 1, 1])
for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
    values = np.random.default_rng(1).normal(size=(4, 3)).astype(dtype)
    x = jax.numpy.asarray(values)
    np.testing.assert_array_equal(xent.softmax(x), xent.softmax(values))
    assert xent.softmax(x).dtype == values.dtype
    assert xent.cross_entropy(x, jax.numpy.asarray(target)) == xent.cross_entropy(values, target)
    try:
        xent.softmax(values, out=x)
    except ValueError as error:
        print(error)
    np.testing.assert_array_equal(np.asarray(x), values)
"""


@pytest.mark.skipif(not find_spec("jax"), reason="JAX, whose arrays are taken as they are, is not installed")
def test_jax():
    """In a process of its own: with JAX's threads in this one, other tests could not fork."""
    assert apart(JAX) == "softmax: out is read-only\n" * 3  # JAX's arrays never change


def test_pyarrow():
    pyarrow = pytest.importorskip("pyarrow", reason="PyArrow, whose arrays are taken as they are, is not installed")
    values = np.array([1.0, 2.0, 7.0])
    same(xent.softmax(pyarrow.array(values)), xent.softmax(values))
    same(xent.softmax(pyarrow.array(values)[1:]), xent.softmax(values[1:]))
    weight = pyarrow.array(np.array([0.5, 1.0, 2.0]))
    assert xent.cross_entropy(values[None], pyarrow.array([2]), weight) == xent.cross_entropy(values[None], [2])
    with pytest.raises(ValueError, match="out is read-only"):
        xent.softmax(values, out=pyarrow.array(values))
    with pytest.raises(TypeError, match="x cannot be looked at: .* null"):  # a missing number is no number
        xent.softmax(pyarrow.array([1.0, None]))


def test_structs_are_dlpack_s():
    assert ctypes.sizeof(_dlpack._DLTensor) == 48
    assert _dlpack._Versioned.tensor.offset == 32
