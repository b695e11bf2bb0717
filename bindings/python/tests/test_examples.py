# SPDX-License-Identifier: Apache-2.0
"""The five ways agree, and the table beside the C program tells when they do not; two trainings with PyTorch agree, and
the script tells when they do not. `make run` runs digits.py."""

import importlib.util
import math
import re
from pathlib import Path

import pytest


def example(name):
    path = Path(__file__).parents[1] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def five_ways():
    return example("five_ways")


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


@pytest.fixture
def torch_digits(monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    module = example("torch_digits")
    monkeypatch.setattr(module, "LARGE", (8, 32000))
    return module


def test_torch_digits(torch_digits, tmp_path, capsys):
    """The same curve with PyTorch's loss and with xent's, and what both took."""
    torch_digits.main(["--epochs", "4", "--picture", str(tmp_path / "curves.png")])
    out = capsys.readouterr().out
    curve = [[float(n) for n in line.split()] for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert [epoch for epoch, _, _ in curve] == [1, 2, 3, 4]
    assert curve[-1][1] < 1.2 < 2 < curve[0][1]
    assert all(abs(theirs - ours) < 1e-4 for _, theirs, ours in curve)
    for line in (r"training +\S+ s +\S+ s", r"loss, here +\S+ ms +\S+ ms", r"loss, 8 x 32,000 +\S+ ms +\S+ ms"):
        assert re.search(line, out)


def test_torch_digits_notices_another_loss(torch_digits, tmp_path, monkeypatch):
    other = torch_digits.nn.CrossEntropyLoss
    monkeypatch.setattr(torch_digits.xent.torch, "CrossEntropyLoss", lambda label_smoothing: other())
    with pytest.raises(SystemExit, match="differently"):
        torch_digits.main(["--epochs", "2", "--picture", str(tmp_path / "curves.png")])
