# SPDX-License-Identifier: Apache-2.0
"""Which library is loaded, and what is said when none can be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xent
from xent import _library

PACKAGE = Path(xent.__file__).parent


def load(path, **environment):
    """Imports xent from a folder in a new process; the library it loaded, or the last line of the error."""
    code = "import xent; print(xent._library.library._name)"
    given = {k: v for k, v in os.environ.items() if k not in ("XENT_LIBRARY", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**given, "PYTHONPATH": str(path), **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def elsewhere(tmp_path):
    """The package outside any checkout, without a library of its own."""
    shutil.copytree(PACKAGE, tmp_path / "xent", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return tmp_path


def test_xent_library_comes_first():
    library = _library.library._name
    assert load(PACKAGE.parent, XENT_LIBRARY=library).stdout.strip() == library


def test_xent_library_is_an_order(tmp_path):
    done = load(PACKAGE.parent, XENT_LIBRARY=str(tmp_path / "missing.so"))
    assert done.returncode != 0
    assert f"ImportError: xent cannot load its C library, libxent.so. Tried:\n  {tmp_path}/missing.so:" in done.stderr
    assert done.stderr.count("libxent.so") == 1 + 0  # nothing else was tried


def test_the_package_s_own(elsewhere):
    shutil.copy(_library.library._name, elsewhere / "xent" / "libxent.so")
    assert load(elsewhere).stdout.strip() == str(elsewhere / "xent" / "libxent.so")


def test_no_library(elsewhere):
    done = load(elsewhere)
    assert done.returncode != 0
    assert f"Tried:\n  {elsewhere}/xent/libxent.so:" in done.stderr
    assert "Install a wheel of xent, run `make` in its checkout, or set XENT_LIBRARY" in done.stderr


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler to make a wrong library with")
@pytest.mark.parametrize(
    ("version", "complete", "message"),
    [(20000, True, "it is version 2, and this package needs version 1"), (10000, False, "not a libxent that this")],
)
def test_a_wrong_library(tmp_path, version, complete, message):
    names = [f"xent_{n}" for n in _library.UNTYPED if n != "version"]
    names += [f"xent_{n}_{s}" for n in _library.TYPED for s in _library.SUFFIXES]
    source = tmp_path / "wrong.c"
    text = f"int xent_version(void) {{ return {version}; }}\n"
    source.write_text(text + "".join(f"int {n}(void) {{ return 0; }}\n" for n in names if complete))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "wrong.so", source], check=True)
    done = load(PACKAGE.parent, XENT_LIBRARY=str(tmp_path / "wrong.so"))
    assert done.returncode != 0
    assert message in done.stderr


def test_what_the_library_says_of_itself():
    assert xent.version() == xent.__version__ == "1.0.0"
    assert xent.cpu_level() in ("baseline", "v3", "v4")
    assert xent.get_num_threads() >= 1
