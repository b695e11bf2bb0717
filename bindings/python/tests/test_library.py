# SPDX-License-Identifier: Apache-2.0
"""The C functions as they are: their errors, which the NumPy layer never lets happen, prototypes, structs, numbers."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest

from xent import _arrays, _descriptors, _library, _request


def raw(name, *arguments):
    status = getattr(_library.library, f"xent_{name}")(*arguments)
    if status:
        _library.fail(status)


@pytest.fixture
def buffers(dtype):
    suffix = {4: "f32", 8: "f64"}[dtype.itemsize]
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


def test_status_dtype_and_unsupported():
    x = np.zeros((2, 3), np.float32)
    for code, exception, message in (
        (13, TypeError, "logits.dtype is 13, not XENT_F32"),
        (8, TypeError, "logits.dtype is XENT_I64, not XENT_F32"),
        (1, ValueError, "loss and xent_softmax do not go together"),
    ):
        call = _descriptors.Call(x.shape, 1)
        call.input(x, code, 1)
        call.output("loss", np.zeros((), np.float32), 1, None, has_rows=False)
        with pytest.raises(exception, match=message):
            call.run(_library.library.xent_softmax)


def test_unknown_status():
    with pytest.raises(RuntimeError):
        _library.fail(99)


def test_every_function_of_the_header_has_a_prototype(checkout):
    header = (checkout / "Include" / "xent.h").read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    declared = set(re.findall(r"\bxent_[a-z0-9_]+(?=\()", header))
    bound = {f"xent_{name}" for name in _library.UNTYPED}
    bound |= {f"xent_{name}_{suffix}" for name in _library.TYPED for suffix in _library.SUFFIXES}
    assert bound == declared
    for name in bound:
        parameters = re.search(rf"\b{name}\((.*?)\);", header, re.S).group(1)
        count = 0 if parameters.strip() == "void" else parameters.count(",") + 1
        function = getattr(_library.library, name)
        assert len(function.argtypes) == count, name
        for kind, text in zip(function.argtypes, parameters.split(",")):
            expected = ctypes.c_void_p if "*" in text else ctypes.c_int64 if "int64_t" in text else ctypes.c_int32
            assert kind is expected, (name, text)


NUMBERS = {
    **{f"XENT_{name}": code for name, code in (("BF16", 4), ("U8", _arrays._INTEGERS["b"][1]))},
    **{f"XENT_{kind.suffix.upper()}": kind.code for kind in (_arrays._F32, _arrays._F64, _arrays._F16)},
    **{f"XENT_{k.upper()}{8 * size}": code for k in "iu" for size, code in _arrays._INTEGERS[k].items()},
    **{f"XENT_REDUCTION_{word.upper()}": n for n, word in enumerate(_request._CHOICES["reduction"])},
    **{f"XENT_SMOOTHING_{word.upper()}": n for n, word in enumerate(_request._CHOICES["smoothing"])},
    **{f"XENT_{word.upper()}": n for n, word in enumerate(_request._CHOICES["masked_row"])},
    **{f"XENT_ACCURACY_{word.upper()}": n for n, word in enumerate(_request._CHOICES["accuracy"])},
    **{f"XENT_{word.upper()}": n for n, word in enumerate(_request._CHOICES["kind"])},
    "XENT_ERR_OVERLAP": _library.OVERLAP,
    "XENT_MAX_TOP": _request._MOST_TOP,
    "XENT_VERSION_MAJOR": _library._MAJOR,
    "XENT_I64": _request._INT64_CODE,
}
STRUCTS = {
    "xent_tensor": _descriptors.Tensor,
    "xent_options": _descriptors.Options,
    "xent_outputs": _descriptors.Outputs,
}


def test_structs_and_numbers_are_the_header_s(checkout, tmp_path):
    compiler = shutil.which("cc")
    assert compiler, "the test needs a C compiler, cc"
    expected = dict(NUMBERS)
    for struct, mirror in STRUCTS.items():
        expected[f"sizeof({struct})"] = ctypes.sizeof(mirror)
        for name, *_ in mirror._fields_:
            expected[f"offsetof({struct}, {name})"] = getattr(mirror, name).offset
    lines = "".join(f'  printf("%lld\\n", (long long)({text}));\n' for text in expected)
    source = tmp_path / "numbers.c"
    source.write_text(f"#include <stddef.h>\n#include <stdio.h>\n#include <xent.h>\nint main(void) {{\n{lines}}}\n")
    subprocess.run([compiler, f"-I{checkout / 'Include'}", "-o", tmp_path / "numbers", source], check=True)
    done = subprocess.run([tmp_path / "numbers"], check=True, capture_output=True, text=True)
    assert dict(zip(expected, map(int, done.stdout.split()))) == expected


def test_every_status_of_the_header_is_an_exception(checkout):
    header = (checkout / "Include" / "xent.h").read_text()
    codes = {int(code) for name, code in re.findall(r"\b(XENT_ERR_[A-Z_]+) = (\d+)", header)}
    assert codes == set(_library._EXCEPTIONS)


def test_default_options_are_the_header_s(checkout):
    header = (checkout / "Include" / "xent.h").read_text()
    text = re.search(r"#define XENT_OPTIONS_INIT\s*\\\s*\{(.*?)\}", header, re.S).group(1).replace("\\", "")
    words = [word.strip() for word in text.split(",")]
    options = _descriptors.Call((2, 3), 1).options
    numbers = {**NUMBERS, "XENT_IGNORE_INDEX": -100, "NULL": None, "sizeof(xent_options)": options.struct_size}
    assert len(words) == len(options._fields_)
    for (name, _), word in zip(options._fields_, words):
        expected = numbers[word] if word in numbers else float(word)
        assert getattr(options, name) == expected, name
