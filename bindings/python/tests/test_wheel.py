# SPDX-License-Identifier: Apache-2.0
"""The wheel and the sdist: built, checked, installed away from the checkout and from Swift, and used there."""

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import lru_cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel
PROJECT = Path(__file__).parents[1]
# The oldest NumPy that the package says it takes, on the oldest Python; elsewhere the newest that there is.
NUMPY = {"3.9": "numpy==1.21.0"}
USE = """
import doctest, pathlib, sys
import numpy as np, xent, xent.metrics
assert pathlib.Path(xent.__file__).is_relative_to(sys.prefix), xent.__file__
assert xent._library.library._name == str(pathlib.Path(xent.__file__).with_name("libxent.so"))
failed = attempted = 0
public = [getattr(xent, name) for name in xent.__all__] + [getattr(xent.metrics, name) for name in xent.metrics.__all__]
for item in [xent, xent.metrics, *public]:
    for part in doctest.DocTestFinder(recurse=False).find(item, item.__name__, globs={"np": np, "xent": xent}):
        done = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(part)
        failed, attempted = failed + done.failed, attempted + done.attempted
assert not failed and attempted > 60, (failed, attempted)
logits = np.array([[1, 2, 7], [4, 7, 9], [8, 3, 4]], np.float32)
np.save("logits.npy", logits), np.save("targets.npy", np.array([2, 2, 0]))
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


@lru_cache(maxsize=None)
def interpreter(version):
    """A Python of this version on this machine, or None: by its name, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [sys.executable, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
    for path in filter(None, found):
        code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([path, "-c", code], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return path
    return None


def install_and_use(folder, python, package, environment, numpy="numpy"):
    """Installs in a new environment of an interpreter, and uses it there with nothing else on the PATH."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    inside = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", inside, "install", numpy, package, cwd="/", env=environment)
    clean = {"PATH": str(inside.parent), "HOME": str(folder)}
    out = run(inside, "-W", "error", "-c", USE, cwd=folder, env=clean)
    printed = run(inside.with_name("xent"), "score", "logits.npy", "targets.npy", "--json", cwd=folder, env=clean)
    assert f"{json.loads(printed)['loss']:.4f}" == "0.0556"
    assert "3 x 3, float32" in run(
        inside, "-m", "xent", "score", "logits.npy", "targets.npy", "--report", "report.html", cwd=folder, env=clean
    )
    assert "</html>" in (folder / "report.html").read_text()
    return out


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, PROJECT, env=environment)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "-o", folder, PROJECT, env=environment)
    (path,) = folder.glob("xent-*.tar.gz")
    return path


def test_wheel_holds_what_it_should(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if name.startswith("xent/")}
    sources = PROJECT / "src"
    files = {path for end in ("py", "html", "typed") for path in (sources / "xent").rglob(f"*.{end}")}
    assert package == {str(path.relative_to(sources)) for path in files} | {"xent/libxent.so"}
    assert "xent/_cli/report.html" in package and "xent/py.typed" in package
    assert any(name.endswith("/LICENSE") for name in names)


def test_wheel_s_tag_is_what_the_library_s_symbols_allow(wheel):
    tag = re.fullmatch(r"xent-1\.0\.0-py3-none-(manylinux_2_\d+_\w+)\.whl", wheel.name).group(1)
    said = " ".join(run(sys.executable, "-m", "auditwheel", "show", wheel).split())
    assert f'is consistent with the following platform tag: "{tag}"' in said
    assert f'This constrains the platform tag to "{tag}"' in said


def test_wheel_has_a_bill_of_materials(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("sboms/xent.cdx.json")]
        bill = json.loads(archive.read(name))
        library = hashlib.sha256(archive.read("xent/libxent.so")).hexdigest()
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["version"] == "1.0.0"
    assert library in [each["content"] for part in bill["components"] for each in part.get("hashes", [])]


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler to make libraries with")
def test_tag_of_other_libraries(tmp_path):
    """Of old symbols it is the oldest tag that there is; with more than glibc's libraries there is none."""
    spec = importlib.util.spec_from_file_location("hatch_build", PROJECT / "hatch_build.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    (tmp_path / "other.c").write_text("int other(void) { return 1; }\n")
    (tmp_path / "old.c").write_text("#include <stdio.h>\nint old(void) { return puts(\"\"); }\n")
    build = ("cc", "-shared", "-fPIC", "-Wl,--no-as-needed")
    run(*build, "-o", "libother.so", "other.c", cwd=tmp_path)
    run(*build, "-o", "libold.so", "old.c", cwd=tmp_path)
    run(*build, "-o", "libboth.so", "old.c", "-L.", "-lother", cwd=tmp_path)
    machine = f"linux_{platform.machine()}"
    assert hook.platform(tmp_path / "libold.so") == f"many{machine}".replace("linux", "linux_2_17", 1)
    assert hook.platform(tmp_path / "libboth.so") == machine


def test_index_would_take_them(wheel, sdist):
    said = run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    assert said.count("PASSED") == 2


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_wheel_works(wheel, version, tmp_path, environment):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    numpy = NUMPY.get(version, "numpy")
    assert install_and_use(tmp_path, python, wheel, environment, numpy) == "0.0556 1.0.0\n"


def test_sdist_builds_and_works(sdist, tmp_path, environment):
    """Unpacked, so that what was built stays beside it: Tests/run goes on with it."""
    with tarfile.open(sdist) as archive:
        assert not any(".build/" in name or "/Golden/" in name for name in archive.getnames())
    shutil.unpack_archive(sdist, tmp_path)
    (sources,) = tmp_path.glob("xent-*")
    assert install_and_use(tmp_path / "venv", sys.executable, sources, environment) == "0.0556 1.0.0\n"
