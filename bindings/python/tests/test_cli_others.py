# SPDX-License-Identifier: Apache-2.0
"""The report of python -m xent score, and the commands bench and info."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import xent
from xent import metrics
from xent._cli import bench, charts, info
from xent._cli.main import main

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that what is opened is closed, and collects text, ids and links."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.rows = [], set(), [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.add(given.get("id"))
        self.links += [value for name, value in attributes if name in ("href", "src", "xlink:href")]
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def report(tmp_path, logits, target, names=None):
    np.save(tmp_path / "x<1>.npy", logits)
    np.save(tmp_path / "y.npy", target)
    arguments = ["score", str(tmp_path / "x<1>.npy"), str(tmp_path / "y.npy"), "--report", str(tmp_path / "r.html")]
    if names:
        (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
        arguments += ["--class-names", str(tmp_path / "names.txt")]
    assert main(arguments) == 0
    return (tmp_path / "r.html").read_text(encoding="utf-8")


def svg(text, name):
    (part,) = re.findall(rf'<svg id="{name}".*?</svg>', text, re.S)
    return ElementTree.fromstring(part)


@pytest.fixture
def problem(rng):
    logits = (3 * rng.standard_normal((500, 30))).astype(np.float32)
    target = rng.integers(0, 30, 500)
    target[::50] = -100
    return logits, target


def test_report(tmp_path, capsys, problem):
    names = [f"<b>&{n}" for n in range(30)]
    text = report(tmp_path, *problem, names)
    page, score = Page(text), metrics.score(*problem)
    assert {"histogram", "reliability", "classes", "hardest"} <= page.ids
    assert not page.links and "http" not in text and "<script" not in text and "@import" not in text
    assert "$" not in text and "<b>" not in text and "x<1>" not in text
    assert "prefers-color-scheme: dark" in text and "<title>Score of x&lt;1&gt;.npy</title>" in text
    for value in (
        f"{score.loss:.4f}",
        f"{100 * score.accuracy:.2f} %",
        f"{100 * score.expected_calibration_error:.2f} %",
    ):
        assert value in text
    assert "500" in text and "10 ignored" in text

    titles = [e.text for e in svg(text, "histogram").iter("title")]
    assert sum(int(re.search(r"(\d+) rows", t).group(1)) for t in titles) == 490
    bars = [e for e in svg(text, "reliability").iter("rect")]
    filled = int((score.reliability.rows > 0).sum())
    assert [sum(bar.get("class") == kind for bar in bars) for kind in ("bar", "gap", "count")] == [filled] * 3

    assert page.rows[0] == ["row", "target", "prediction", "loss, nats", "p(target)"]
    assert len(page.rows) == 21
    first, hard = page.rows[1], score.hardest[0]
    assert first[:3] == [str(hard.row), names[hard.target], names[hard.prediction]]
    assert first[3] == f"{hard.nll:#.4g}"
    assert text.count('<div class="class"') == 20 and "The 20 classes of the largest loss" in text


@pytest.mark.parametrize(
    ("logits", "target"),
    [
        (np.zeros((4, 3)), [0, 1, 2, 0]),  # one loss
        (np.array([[0.0, -np.inf, 0], [np.nan, 0, 0], [0, -np.inf, 0]]), [1, 1, 0]),
        (np.zeros((2, 3)), [-100, -100]),
        (np.array([[0.0, -np.inf]]), [0]),  # a loss of 0
        (np.array([[0.0, 1e9]] * 3 + [[0.0, -800.0]]), [0, 1, 0, 0]),
        (np.zeros((3, 1)), [0, 0, 0]),
    ],
    ids=["uniform", "not finite", "none counts", "certain", "extreme", "one class"],
)
def test_report_of_what_is_rare(tmp_path, capsys, logits, target):
    text = report(tmp_path, logits, np.array(target))
    Page(text)
    assert ("≤ 10⁻¹⁵" in text) == any(0 <= nll < 1e-15 for nll in losses(logits, target))
    for name in ("histogram", "reliability"):
        if f'id="{name}"' in text:
            for element in svg(text, name).iter():
                numbers = [
                    float(v) for k, v in element.attrib.items() if k in ("x", "y", "width", "height", "x1", "y1")
                ]
                assert all(-20 <= number <= 500 for number in numbers)


def losses(logits, target):
    return xent.cross_entropy(logits, target, reduction="none")[np.array(target) != -100]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567, "1,234,567"), (2.5, "2.500"), (18.0, "18.00"), (123456.7, "123,457"), (1.5e-8, "1.500 × 10⁻⁸"),
     (-0.25, "−0.2500"), (float("inf"), "∞"), (-float("inf"), "−∞"), (float("nan"), "NaN"), (1e20, "1.000 × 10²⁰")],
)  # fmt: skip
def test_numbers_of_the_report(value, text):
    assert charts.number(value) == text


@pytest.mark.parametrize("most", [1, 2, 3, 7, 10, 99, 4321, 10**9])
def test_ticks_are_round_and_enough(most):
    ticks = charts._ticks(most)
    assert ticks[0] == 0 and ticks[-1] >= most and 2 <= len(ticks) <= 6
    assert len({f"{tick:.3g}"[0] for tick in np.diff(ticks)}) == 1


# ---- info and bench ---------------------------------------------------------------------------------------------------


def test_info(capsys, monkeypatch):
    monkeypatch.setenv("XENT_TEST", "seen")
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for name, value in (
        ("xent", xent.__version__),
        ("CPU level", xent.cpu_level()),
        ("threads", xent.get_num_threads()),
    ):
        assert re.search(rf"^{name} +{value}$", out, re.M)
    path = re.search(r"^library path +(.*)$", out, re.M).group(1)
    assert Path(path).is_file()
    assert re.search(r"^XENT_TEST +seen$", out, re.M)
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == info.facts()
    assert info._installed("no-such-package-at-all") == "not installed"


def no_torch(*_):
    """Its import takes longer than the rest of these tests."""
    raise ImportError


def test_bench(capsys, monkeypatch):
    monkeypatch.setattr(bench, "_torch_tasks", no_torch)
    arguments = ["bench", "--rows", "16", "--classes", "100", "--seconds", "0.05", "--threads", "1"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("16 x 100 float32 (0 MB), 1 threads")
    assert re.search(r"^loss +xent +[\d.]+ +[\d.]+ +1\.00$", out, re.M)
    assert re.search(r"^loss and gradient +numpy +[\d.]+ +[\d.]+ +[\d.]+$", out, re.M)
    assert "torch" not in out.split("\n", 2)[2]
    assert main([*arguments, "--json", "--dtype", "float16"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {"xent", "numpy"} <= {line["by"] for line in results} and all(line["ms"] > 0 for line in results)


@pytest.mark.parametrize("option", [("--rows", "0"), ("--classes", "-1"), ("--threads", "-1"), ("--threads", "9999")])
def test_bench_refuses(capsys, monkeypatch, option):
    monkeypatch.setattr(bench, "_torch_tasks", no_torch)
    assert main(["bench", "--seconds", "0", *option]) == 2
    assert re.match(r"^xent bench: [^\n]*\n$", capsys.readouterr().err)


def test_those_compared_compute_the_same(rng):
    logits, target = rng.standard_normal((8, 50)), rng.integers(0, 50, 8)
    done = {key: task() for key, task in bench._contestants(logits, target, 1).items()}
    assert ("loss", "numpy") in done
    loss, grad = xent.cross_entropy_with_grad(logits, target)
    for (work, _), result in done.items():
        if work == "loss":
            assert result.item() == pytest.approx(loss, rel=1e-12)
        else:
            value, gradient = result
            assert value.item() == pytest.approx(loss, rel=1e-12)
            if isinstance(gradient, tuple):
                (gradient,) = gradient
            np.testing.assert_allclose(np.asarray(gradient), grad, rtol=1e-9, atol=1e-15)
