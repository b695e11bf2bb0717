# SPDX-License-Identifier: Apache-2.0
"""The five ways agree, and the table beside the C program tells when they do not. `make run` runs digits.py."""

import importlib.util
import math
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def five_ways():
    path = Path(__file__).parents[1] / "examples" / "five_ways.py"
    spec = importlib.util.spec_from_file_location("five_ways", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exact():
    """The worked example by the definition, in Python's own numbers."""
    rows = [([1, 2, 7], 2), ([4, 7, 9], 2), ([8, 3, 4], 0)]
    losses = [math.log(sum(math.exp(v - x[t]) for v in x)) for x, t in rows]
    for sample, part in (("single", losses[:1]), ("batch", losses)):
        yield sample, "none", " ".join(f"{loss:.4f}" for loss in part)
        yield sample, "mean", f"{sum(part) / len(part):.4f}"
        yield sample, "sum", f"{sum(part):.4f}"


def test_numbers(five_ways):
    lines = list(five_ways.lines())
    expected = {(sample, reduction): numbers for sample, reduction, numbers in exact()}
    assert len(lines) == 2 * 5 * 3 + 2
    for sample, _, reduction, numbers in lines[:-2]:
        assert numbers == expected[sample, reduction]
    assert lines[-2:] == [
        ("naive", "[1000, 2000, 7000]", "nan nan nan"),
        ("xent", "[1000, 2000, 7000]", "0.0000 0.0000 1.0000"),
    ]


def test_beside(five_ways, tmp_path, capsys):
    text = "\n".join("\t".join(line) for line in five_ways.lines()) + "\n"
    other = tmp_path / "c.txt"
    other.write_text(text)
    assert five_ways.beside(other)
    assert "C and Python agree in every number (32 lines)." in capsys.readouterr().out
    for wrong in (
        text.replace("0.0556", "0.0557", 1),
        text.replace("xent\t", "", 1),
        text.split("\n", 1)[1],
        text + text,
    ):
        other.write_text(wrong)
        assert not five_ways.beside(other)
        assert "do not agree" in capsys.readouterr().out
