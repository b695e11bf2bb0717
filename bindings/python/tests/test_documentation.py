# SPDX-License-Identifier: Apache-2.0
"""The examples in the documentation run, and everything public is documented."""

import doctest
import inspect
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import xent
from xent import metrics
from xent._cli.main import _COMMANDS, main

PUBLIC = [xent, *(getattr(xent, name) for name in xent.__all__)]
NAMES = {"np": np, "xent": xent}
# The modules for other packages, where those are installed.
FRAMEWORKS = [import_module(f"xent.{name}") for name in ("torch", "jax") if find_spec(name)]
for framework in FRAMEWORKS:
    PUBLIC += [framework, *(getattr(framework, name) for name in framework.__all__)]
    NAMES.update({name: getattr(framework, name) for name in ("torch", "jnp") if hasattr(framework, name)})
METRICS = [getattr(metrics, name) for name in metrics.__all__]
FUNCTIONS = [*(item for item in PUBLIC if not inspect.ismodule(item)), *filter(inspect.isfunction, METRICS)]


@pytest.mark.parametrize("item", [xent, metrics, metrics.Scorer, *FRAMEWORKS, *FUNCTIONS], ids=lambda item: item.__name__)
def test_doctest(item):
    parts = doctest.DocTestFinder(recurse=False).find(item, item.__name__, globs=dict(NAMES))
    examples = [part for part in parts if part.examples]
    quiet = item in (xent.get_num_threads,)
    assert examples, f"{item.__name__} has no example"
    for part in examples:
        result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=quiet).run(part)
        assert result.failed == 0


def test_every_parameter_is_described():
    for item in [*FUNCTIONS, metrics.Scorer, metrics.Scorer.update]:
        text = inspect.getdoc(item)
        for name in inspect.signature(item).parameters.keys() - {"self"}:
            inherited = "Parameters, errors and result are those of `softmax`" in text
            assert inherited or re.search(rf"(^|, ){name}( :|,|$)", text, re.M), f"{item.__name__}: {name}"


def test_all_is_what_is_public():
    public = {name for name, item in vars(xent).items() if inspect.isfunction(item)}
    assert public == set(xent.__all__)
    own = (
        item for item in vars(metrics).values() if getattr(item, "__module__", "") in ("xent.metrics", "xent._scoring")
    )
    assert {item.__name__ for item in own if item.__name__[0] != "_"} == set(metrics.__all__)
    assert all(inspect.getdoc(item) for item in METRICS)


SECTIONS = ("Parameters", "Returns", "Raises", "Examples")
SHORTER = {
    "version",
    "cpu_level",
    "get_num_threads",
    "get_reuse_limit",
    "set_num_threads",
    "set_reuse_limit",
    "log_softmax",
    "CrossEntropyLoss",
}  # little to say


@pytest.mark.parametrize("item", FUNCTIONS, ids=lambda item: item.__name__)
def test_sections(item):
    text = inspect.getdoc(item)
    found = re.findall(r"^(\w+)\n-+$", text, re.M)
    assert item.__name__ in SHORTER or [name for name in found if name != "Notes"] == list(SECTIONS)
    assert text.split("\n")[0].endswith(".")


def test_readme():
    """Its code runs, and gives the numbers in its comments."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    codes = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(codes) == 3
    installed = [code for code in codes if not {"torch", "jax"} & set(re.findall(r"\bxent\.(\w+)$", code, re.M))]
    installed += [code for code in codes for module in FRAMEWORKS if f"import {module.__name__}\n" in code]
    numbers = []
    for code in installed:
        names = {}
        exec(code, names)
        found = re.findall(r"^(?:\w+ = )?(\S.*?) +# (\d+\.\d{4})\b", code, re.M)
        for expression, number in found:
            assert f"{float(eval(expression, names)):.4f}" == number
        numbers += found
        assert names["grad"].shape == (3, 3)
    assert len(numbers) == 3 + len(FRAMEWORKS)


def test_readme_names_every_function():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    quoted = set(re.findall(r"`(\w+)`", text))
    library = {"version", "cpu_level", "get_num_threads", "set_num_threads", "get_reuse_limit"}
    assert set(xent.__all__) - library - {"binary_cross_entropy_with_logits_with_grad"} <= quoted


def test_readme_s_command_line(tmp_path, monkeypatch, capsys):
    """The command that it shows prints what it shows, of the arrays above it; metrics and commands are named."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    ((command, printed),) = re.findall(r"```console\n\$ python -m xent (score \S+ \S+)\n(.*?)```", text, re.S)
    code = re.findall(r"```python\n(.*?)```", text, re.S)[0]
    names = {}
    exec(code, names)
    monkeypatch.chdir(tmp_path)
    np.save("logits.npy", names["logits"])
    np.save("targets.npy", names["target"])
    assert main(command.split()) == 0
    assert capsys.readouterr().out == printed
    assert {f"metrics.{item.__name__}" for item in FUNCTIONS if item.__module__ == "xent.metrics"} <= set(
        re.findall(r"`([\w.]+)`", text)
    )
    for name in _COMMANDS:
        assert f"python -m xent {name}" in text
