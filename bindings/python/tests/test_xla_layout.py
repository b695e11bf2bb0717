# SPDX-License-Identifier: Apache-2.0
"""Sources/CXentSystem/xla_ffi.h, written by hand, against the header of the jaxlib that is installed."""

import os
import re
import shutil
import subprocess

import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

# Our struct, XLA's, and its fields where they have other names there.
STRUCTS = {
    "extension_base": ("Extension_Base", {}),
    "api_version": ("Api_Version", {}),
    "metadata": ("Metadata", {}),
    "metadata_extension": ("Metadata_Extension", {}),
    "error_create_args": ("Error_Create_Args", {}),
    "api": ("Api", {"error_create": "XLA_FFI_Error_Create"}),
    "buffer": ("Buffer", {}),
    "byte_span": ("ByteSpan", {}),
    "scalar": ("Scalar", {}),
    "values": ("Args", {"values": "args"}),
    "values ": ("Rets", {"values": "rets"}),
    "attrs": ("Attrs", {}),
    "call_frame": ("CallFrame", {}),
}
CONSTANTS = {
    "EXTENSION_METADATA": "Extension_Metadata",
    "STAGE_EXECUTE": "ExecutionStage_EXECUTE",
    "ERROR_INVALID_ARGUMENT": "Error_Code_INVALID_ARGUMENT",
    "ATTR_SCALAR": "AttrType_SCALAR",
    "ATTR_STRING": "AttrType_STRING",
    **{
        kind: f"DataType_{kind}"
        for kind in ("PRED", "S8", "S16", "S32", "S64", "U8", "U16", "U32", "U64", "F16", "F32", "F64", "BF16")
    },
}


def checks(header):
    """C's static assertions, one for each field and constant of our header."""
    bodies = dict(re.findall(r"^typedef struct xents_xla_(\w+) \{(.*?)^\}", header, re.S | re.M))
    assert set(bodies) == {name.strip() for name in STRUCTS}
    for name, (theirs, renamed) in STRUCTS.items():
        name = name.strip()
        fields = [
            re.findall(r"(\w+)(?=\)\(|$)", part)[0]
            for line in bodies[name].split(";")
            if line.strip()
            for part in line.strip().split(",")
        ]
        assert len(fields) > 1
        for field in fields:
            other = renamed.get(field, field)
            ours, xla = f"xents_xla_{name}", f"XLA_FFI_{theirs}"
            size = f"sizeof((({ours} *)0)->{field}) == sizeof((({xla} *)0)->{other})"
            # A struct within another ends where ours does; behind it nothing is read but by its own offset.
            same = f"offsetof({ours}, {field}) == offsetof({xla}, {other})"
            yield f'_Static_assert({same} && {size}, "{name}.{field}");'
    used = set(re.findall(r"\bXENTS_XLA_(\w+)(?= =)", header)) - {"API_MAJOR", "API_MINOR"}
    assert used == set(CONSTANTS)
    for ours, theirs in CONSTANTS.items():
        yield f'_Static_assert((int)XENTS_XLA_{ours} == (int)XLA_FFI_{theirs}, "{ours}");'
    yield '_Static_assert(XENTS_XLA_API_MAJOR == XLA_FFI_API_MAJOR, "another major version");'
    yield '_Static_assert(XENTS_XLA_API_MINOR <= XLA_FFI_API_MINOR, "an older version");'


def compile_checks(header, folder):
    """What the compiler says."""
    (folder / "ours.h").write_text(header)
    lines = ['#include "xla/ffi/api/c_api.h"', '#include "ours.h"', *checks(header)]
    (folder / "layout.c").write_text("\n".join(lines) + "\n")
    command = [*os.environ.get("CC", "cc").split(), "-std=c11", "-fsyntax-only", "-D_Nonnull=", "-D_Nullable="]
    command += [f"-I{jax.ffi.include_dir()}", str(folder / "layout.c")]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})


@pytest.fixture
def header(checkout):
    if not shutil.which(os.environ.get("CC", "cc").split()[0]):
        pytest.skip("there is no C compiler")
    return (checkout / "Sources/CXentSystem/xla_ffi.h").read_text()


def test_layout(header, tmp_path):
    found = compile_checks(header, tmp_path)
    assert found.returncode == 0, found.stderr
    assert len(list(checks(header))) > 70


@pytest.mark.parametrize(
    "right, wrong, named",
    [
        ("int64_t rank;", "int32_t rank;", "buffer.rank"),
        ("void *_Nullable ctx;\n", "", "call_frame.stage"),
        ("XENTS_XLA_BF16 = 16", "XENTS_XLA_BF16 = 17", "BF16"),
        ("XENTS_XLA_API_MAJOR = 0", "XENTS_XLA_API_MAJOR = 1", "another major version"),
    ],
)
def test_a_difference_is_noticed(header, tmp_path, right, wrong, named):
    assert right in header
    found = compile_checks(header.replace(right, wrong), tmp_path)
    assert found.returncode and named in found.stderr
