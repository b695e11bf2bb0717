# SPDX-License-Identifier: Apache-2.0
"""The package's types, under mypy --strict."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return "--cache-dir", tmp_path_factory.mktemp("mypy")


def check(*arguments, **named):
    return subprocess.run([sys.executable, "-m", "mypy", *map(str, arguments)], capture_output=True, text=True, **named)


def test_package(cache):
    done = check(*cache, "src/xent", cwd=PROJECT)  # strict: pyproject.toml says so
    assert done.returncode == 0, done.stdout


def test_a_user_s_code(tmp_path, cache):
    """py.typed: what a user writes is checked against the package, too."""
    code = tmp_path / "user.py"
    code.write_text(
        "import numpy as np\nimport xent.metrics\n\n"
        "score: xent.metrics.Score = xent.metrics.score(np.zeros((2, 3)), [0, 1])\n"
        "loss: float = score.loss\nlevel: int = xent.cpu_level()\nxent.softmax([1.0], axis='x')\n"
    )
    done = check("--strict", *cache, code, cwd=tmp_path, env={"MYPYPATH": str(PROJECT / "src"), "PATH": ""})
    assert done.returncode == 1
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 2, done.stdout
    assert ":6: error: Incompatible types in assignment" in errors[0]
    assert ':7: error: Argument "axis" to "softmax" has incompatible type "str"' in errors[1]
