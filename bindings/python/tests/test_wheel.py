# SPDX-License-Identifier: Apache-2.0
"""The wheel and the sdist: built, installed away from the checkout, and used there."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel
PROJECT = Path(__file__).parents[1]
USE = """
import pathlib, sys
import numpy as np, xent
assert pathlib.Path(xent.__file__).is_relative_to(sys.prefix), xent.__file__
assert xent._library.library._name == str(pathlib.Path(xent.__file__).with_name("libxent.so"))
logits = np.array([[1, 2, 7], [4, 7, 9], [8, 3, 4]], np.float32)
print(f"{xent.cross_entropy(logits, [2, 2, 0]):.4f}", xent.version())
"""


def run(*command, **named):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **named)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def environment():
    """The environment without what could lead back to the checkout."""
    return {k: v for k, v in os.environ.items() if k not in ("XENT_LIBRARY", "PYTHONPATH")}


@pytest.fixture(scope="module")
def python(tmp_path_factory, environment):
    """The interpreter of a fresh environment, with this one's NumPy."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True, system_site_packages=True)
    return folder / "bin" / "python"


def use(python, package, environment):
    run(python, "-m", "pip", "install", "--no-deps", "--force-reinstall", package, cwd="/", env=environment)
    return run(python, "-c", USE, cwd="/", env=environment)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, PROJECT, env=environment)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_holds_what_it_should(wheel):
    assert wheel.name.startswith("xent-1.0.0-py3-none-linux_")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if name.startswith("xent/")}
    modules = {f"xent/{path.name}" for path in (PROJECT / "src" / "xent").glob("*.py")}
    assert package == modules | {"xent/libxent.so", "xent/py.typed"}
    assert any(name.endswith("/LICENSE") for name in names)


def test_wheel_has_a_bill_of_materials(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("sboms/xent.cdx.json")]
        bill = json.loads(archive.read(name))
        library = hashlib.sha256(archive.read("xent/libxent.so")).hexdigest()
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["version"] == "1.0.0"
    assert library in [each["content"] for part in bill["components"] for each in part.get("hashes", [])]


def test_wheel_works(wheel, python, environment):
    assert use(python, wheel, environment) == "0.0556 1.0.0\n"


def test_sdist_builds_and_works(tmp_path, python, environment):
    run(sys.executable, "-m", "venv", tmp_path / "build")
    builder = tmp_path / "build" / "bin" / "python"
    run(builder, "-m", "pip", "install", "build", env=environment)
    run(builder, "-m", "build", "--sdist", "-o", tmp_path, PROJECT, env=environment)
    (sdist,) = tmp_path.glob("xent-*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not any(".build/" in name or "/Golden/" in name for name in archive.getnames())
    assert use(python, sdist, environment) == "0.0556 1.0.0\n"
