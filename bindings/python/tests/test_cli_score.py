# SPDX-License-Identifier: Apache-2.0
"""python -m xent score: every kind of file, blocks, and what is said of bad input."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import xent
from xent import metrics
from xent._cli import files, score
from xent._cli.main import main

COMMAND = [sys.executable, "-m", "xent"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(xent.__file__).parents[1]))


@pytest.fixture
def problem(rng):
    """Logits and targets, some of them ignored, as .npy files."""
    logits = 2 * rng.standard_normal((100, 7), dtype=np.float32)
    target = rng.integers(0, 7, 100)
    target[3::9] = -100
    np.save("logits.npy", logits)
    np.save("targets.npy", target)
    return logits, target


def scored(capsys, *arguments):
    """What the command prints as JSON, without the names of files."""
    status = main(["score", *map(str, arguments), "--json", "--per-class"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return {name: value for name, value in json.loads(out).items() if name not in ("logits", "targets")}


def expected(logits, target, **options):
    return metrics.score(logits, target, **options).as_dict()


def agrees(got, wanted, rel=1e-14):
    for name, value in wanted.items():
        if isinstance(value, float):
            assert got[name] == pytest.approx(value, rel=rel, abs=1e-15), name
        elif name in ("hardest", "rows", "classes", "rows_ignored"):
            assert got[name] == value, name
    assert got["histogram"]["rows"] == wanted["histogram"]["rows"]
    for one, other in zip(got["per_class"]["nll"], wanted["per_class"]["nll"]):
        assert one == (None if other is None else pytest.approx(other, rel=rel))


# ---- Files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 3, 64, 1000])
def test_npy_in_blocks(problem, capsys, any_dtype, block):
    logits, target = problem[0].astype(any_dtype), problem[1]
    np.save("logits.npy", logits)
    agrees(scored(capsys, "logits.npy", "targets.npy", "--block-rows", block), expected(logits, target))


def test_npy_of_columns_and_of_more_axes(problem, capsys):
    logits, target = problem
    np.save("fortran.npy", np.asfortranarray(logits))
    agrees(scored(capsys, "fortran.npy", "targets.npy", "--block-rows", 9), expected(logits, target))
    np.save("nd.npy", logits.reshape(20, 5, 7))
    np.save("nd_targets.npy", target.reshape(20, 5).astype(np.int16))
    agrees(scored(capsys, "nd.npy", "nd_targets.npy", "--block-rows", 9), expected(logits, target))
    np.save("first.npy", np.moveaxis(logits.reshape(20, 5, 7), -1, 1).copy())
    agrees(scored(capsys, "first.npy", "targets.npy", "--axis", 1, "--block-rows", 9), expected(logits, target))


def write_safetensors(path, **tensors):
    """By the format's definition: the header's size, the header, the data."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (code, array) in tensors.items():
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


def test_safetensors(problem, capsys):
    logits, target = problem
    bf16 = logits.astype(ml_dtypes.bfloat16)
    write_safetensors("both.safetensors", **{"y:0": ("I32", target.astype("i4")), "z": ("BF16", bf16)})
    agrees(scored(capsys, "both.safetensors:z", "both.safetensors:y:0", "--block-rows", 8), expected(bf16, target))
    write_safetensors("one.safetensors", x=("F16", logits.astype("f2")))
    agrees(scored(capsys, "one.safetensors", "targets.npy"), expected(logits.astype("f2"), target))


def test_safetensors_of_the_package_of_that_name(problem, capsys):
    safetensors = pytest.importorskip("safetensors.numpy", reason="the package safetensors is not installed")
    logits, target = problem
    safetensors.save_file({"x": logits, "y": target}, "package.safetensors", metadata={"by": "safetensors"})
    agrees(scored(capsys, "package.safetensors:x", "package.safetensors:y"), expected(logits, target))


@pytest.fixture
def parquet():
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pytest.importorskip("pyarrow.parquet")

    def write(path, **columns):
        pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=37)

    return pyarrow, write


@pytest.mark.parametrize("kind", ["fixed", "list", "columns", "pattern"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_parquet(problem, capsys, parquet, kind, dtype):
    pyarrow, write = parquet
    logits, target = problem[0].astype(dtype), problem[1]
    flat = pyarrow.array(logits.reshape(-1))
    if kind == "fixed":
        columns = {"z": pyarrow.FixedSizeListArray.from_arrays(flat, 7)}
    elif kind == "list":
        columns = {"z": pyarrow.ListArray.from_arrays(np.arange(0, 701, 7, np.int32), flat)}
    else:
        columns = {f"logit_{c}": logits[:, c] for c in range(7)}
    if kind == "pattern":
        columns["weight"] = np.ones(100)
    write("data.parquet", id=np.array(["x"] * 100), y=target, **columns)
    name = "data.parquet:logit_*" if kind == "pattern" else "data.parquet"
    agrees(scored(capsys, name, "data.parquet:y", "--block-rows", 8), expected(logits, target))
    agrees(scored(capsys, name, "targets.npy"), expected(logits, target))


def test_targets_of_text(problem, capsys):
    logits, target = problem
    with open("t.txt", "w") as file:
        file.write("\n\n".join(map(str, target)) + "\n")
    with open("t.csv", "w") as file:
        file.write("id,class\n" + "".join(f'"row, {n}",{t}\n' for n, t in enumerate(target)))
    with open("bare.csv", "w") as file:
        file.write("".join(f"{t}\n" for t in target))
    with open("named.csv", "w") as file:
        file.write("\ufeffclass\r\n" + "".join(f"{t}\r\n" for t in target))
    for name in ("t.txt", "t.csv:class", "bare.csv", "named.csv", "named.csv:class"):
        agrees(scored(capsys, "logits.npy", name, "--block-rows", 9), expected(logits, target))


def test_options(problem, capsys):
    logits, target = problem
    weight = np.linspace(0.5, 2, 7)
    np.save("w.npy", weight)
    with open("w.txt", "w") as file:
        file.writelines(f"{w!r}\n" for w in weight.tolist())
    wanted = expected(
        logits, np.where(target == -100, 3, target), weight=weight, ignore_index=3, label_smoothing=0.2,
        temperature=1.5, softcap=9.0, top_k=2, bins=4, hardest=3,
    )  # fmt: skip
    np.save("targets.npy", np.where(target == -100, 3, target))
    for name in ("w.npy", "w.txt"):
        got = scored(
            capsys, "logits.npy", "targets.npy", "--weight", name, "--ignore-index", 3, "--label-smoothing", 0.2,
            "--temperature", 1.5, "--softcap", 9, "--top-k", 2, "--bins", 4, "--hardest", 3, "--threads", 1,
        )  # fmt: skip
        agrees(got, wanted)
        assert len(got["hardest"]) == 3 and len(got["reliability"]["rows"]) == 4


def test_memory_does_not_grow_with_the_file():
    """512 MiB of zeros (a file with a hole) by a process that never has half of it."""
    rows, classes = 2048, 65536
    np.lib.format.open_memmap("large.npy", "w+", np.float32, (rows, classes)).flush()
    np.save("targets.npy", np.zeros(rows, np.int64))
    code = (
        "import re, sys; from xent._cli.main import main; status = main(sys.argv[1:]);"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read()).group(1)); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "score", "large.npy", "targets.npy"], capture_output=True, text=True, timeout=300
    )
    os.remove("large.npy")
    assert done.returncode == 0, done.stderr
    *_, kibibytes = done.stdout.split()
    assert int(kibibytes) < 256 * 1024
    assert f"{np.log(65536):.6g} nats" in done.stdout


# ---- Output -----------------------------------------------------------------------------------------------------------


def test_table(problem):
    done = subprocess.run([*COMMAND, "score", "logits.npy", "targets.npy"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"logits.npy: 100 x 7, float32\n\n{metrics.score(*problem)}\n"


def test_json(problem, capsys):
    assert main(["score", "logits.npy", "targets.npy", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["logits"] == {"file": "logits.npy", "shape": [100, 7], "dtype": "float32"}
    assert out["options"]["ignore_index"] == -100 and out["xent"] == xent.version()
    assert "per_class" not in out and len(out["hardest"]) == 20
    assert set(metrics.Score.__dataclass_fields__) - {"per_class"} <= set(out)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_bar(problem, capsys, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["score", "logits.npy", "targets.npy", "--block-rows", "10", "--no-progress"]) == 0
    assert terminal.getvalue() == ""
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    assert main(["score", "logits.npy", "targets.npy", "--block-rows", "10"]) == 0
    assert re.search(r"/100.* rows/s", terminal.getvalue())


def test_without_tqdm_there_is_no_bar(problem, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["score", "logits.npy", "targets.npy"]) == 0
    assert sys.stderr.getvalue() == ""


# ---- What cannot be done ----------------------------------------------------------------------------------------------


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


def save(path, array, **named):
    np.save(path, array, **named)
    return path


X, Y = "logits.npy", "targets.npy"
REFUSED = {
    "there is no such file": lambda: ("none.npy", Y),
    "is a folder": lambda: (".", Y),
    r"b.npy: not a .npy file: ": lambda: (write("b.npy", "nothing of the kind"), Y),
    r"n.npy:x: a .npy file has one array": lambda: (save("n.npy", np.ones(3)) + ":x", Y),
    r"cut.npy: the file is cut off, 10 bytes are missing": lambda: (cut("logits.npy", "cut.npy"), Y),
    "logits come from .npy, .safetensors or .parquet files": lambda: (write("x.bin", ""), Y),
    "targets come from .npy, .safetensors, .parquet, .txt or .csv": lambda: (X, write("y.bin", "")),
    "logits of int64, not float32, float64": lambda: (save("i.npy", np.ones((2, 2), int)), Y),
    r"logits of shape \(3,\), not \(rows, classes\)": lambda: (save("one.npy", np.ones(3)), Y),
    "an array of Python objects": lambda: (save("o.npy", np.array([[None]]), allow_pickle=True), Y),
    "--axis: ": lambda: (X, Y, "--axis", "2"),
    "with the classes along axis 0": lambda: (X, Y, "--axis", "0"),
    "e.npy: there are no logits": lambda: (save("e.npy", np.ones((3, 0))), Y),
    "z.npy: there are no logits": lambda: (save("z.npy", np.ones((0, 3))), Y),
    "targets of float64, not an integer dtype": lambda: (X, save("f.npy", np.ones(100))),
    r"targets of shape \(3,\), not \(100,\)": lambda: (X, save("s.npy", np.ones(3, int))),
    r"targets of shape \(10, 10\), not \(100,\)": lambda: (X, save("s.npy", np.ones((10, 10), int))),
    "t.txt: 2 targets, for 100 rows": lambda: (X, write("t.txt", "1\n2\n")),
    "t.txt: more targets than the 100 rows": lambda: (X, write("t.txt", "1\n" * 101)),
    "t.txt: line 2 is 'two', not an integer": lambda: (X, write("t.txt", "1\ntwo\n")),
    "an integer that int64 cannot hold": lambda: (X, write("t.txt", "9" * 30)),
    "say which column, as in t.csv:NAME; it has a, b": lambda: (X, write("t.csv", "a,b\n1,2\n")),
    "there is no column 'c'; it has a, b": lambda: (X, write("t.csv", "a,b\n1,2\n") + ":c"),
    "line 2 has 1 columns": lambda: (X, write("t.csv", "a,b\n1\n") + ":b"),
    r"the target of row 99 is 9, not in \[0, 7\) and not ignore_index \(-100\)": lambda: (
        X, save("r.npy", np.array([0] * 99 + [9])), "--block-rows", "8"),
    "not a .safetensors file": lambda: (write("x.safetensors", "not at all"), Y),
    r"say which tensor, as in m.safetensors:NAME; it has a, b": lambda: (two("m.safetensors"), Y),
    r"there is no tensor 'c'; it has a, b": lambda: (two("m.safetensors") + ":c", Y),
    "the tensor is F8_E4M3, not one of": lambda: (two("m.safetensors", "F8_E4M3") + ":a", Y),
    "the shape of a tensor does not go with its size": lambda: (two("m.safetensors", "F64") + ":a", Y),
    r"weights of shape \(3,\), not \(7,\)": lambda: (X, Y, "--weight", save("w.npy", np.ones(3))),
    "could not convert string to float: 'heavy'": lambda: (X, Y, "--weight", write("w.txt", "heavy\n")),
    "n.txt: 2 names, and there are 7 classes": lambda: (X, Y, "--class-names", write("n.txt", "a\nb\n")),
    "there is no such folder": lambda: (X, Y, "--report", "nowhere/r.html"),
    "label_smoothing is 1.5, not in": lambda: (X, Y, "--label-smoothing", "1.5"),
    "temperature is 0": lambda: (X, Y, "--temperature", "0"),
    "top_k is 65, not in": lambda: (X, Y, "--top-k", "65"),
    "bins is 0, not in": lambda: (X, Y, "--bins", "0"),
    "--block-rows is 0, must be at least 1": lambda: (X, Y, "--block-rows", "0"),
    "--threads is -1, must be at least 0": lambda: (X, Y, "--threads", "-1"),
}  # fmt: skip


def cut(source, target):
    with open(source, "rb") as file:
        data = file.read()
    with open(target, "wb") as file:
        file.write(data[:-10])
    return target


def two(path, code="F32"):
    write_safetensors(path, a=(code, np.ones((2, 2), "f4")), b=("F32", np.ones((2, 2), "f4")))
    return path


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_one_line(problem, capsys, message):
    arguments = REFUSED[message]()
    assert main(["score", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.match(rf"^xent score: .*{message}", err), err
    assert err.count("\n") == 1 and err.endswith("\n")


def test_bad_parquet_is_one_line(problem, capsys, parquet):
    pyarrow, file = parquet
    ragged = pyarrow.array([[1.0, 2.0], [3.0]] * 50)
    gaps = pyarrow.array([[1.0, 2.0], None] * 50)
    holes = pyarrow.array([[1.0, 2.0], [1.0, None]] * 50)
    nulls = pyarrow.array([None, [1.0, 2.0]] * 50)
    file("p.parquet", ragged=ragged, gaps=gaps, holes=holes, nulls=nulls, y=problem[1], z=pyarrow.array([1, None] * 50))
    write("q.parquet", "not a table")
    for x, y, message in (
        ("p.parquet", Y, "say which column of lists of numbers has the logits, .* it has ragged"),
        ("p.parquet:y", Y, "say which column of lists"),
        ("p.parquet:ragged", Y, "row 1 has 1 classes, and row 0 has 2"),
        ("p.parquet:gaps", "p.parquet:y", "row 1 is null"),
        ("p.parquet:nulls", "p.parquet:y", "there are no logits"),
        ("p.parquet:holes", "p.parquet:y", "row 1 has a null"),
        (X, "p.parquet", "say which column of integers has the targets"),
        (X, "p.parquet:z", "row 1 is null"),
        ("q.parquet", Y, "not a Parquet file"),
    ):
        assert main(["score", x, y]) == 2
        assert re.match(rf"^xent score: .*{message}[^\n]*\n$", capsys.readouterr().err)


def test_parquet_without_pyarrow(problem, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["score", write("p.parquet", ""), Y]) == 2
    assert "Parquet files need the package pyarrow: pip install pyarrow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "stream", "text"),
    [
        (["score", "x.npy"], 2, "err", "required: TARGETS"),
        ([], 2, "err", "required: COMMAND"),
        (["score", "--help"], 0, "out", "--ignore-index"),
        (["--version"], 0, "out", f"xent {xent.__version__}\n"),
    ],
    ids=str,
)
def test_usage(capsys, arguments, status, stream, text):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == status and text in getattr(capsys.readouterr(), stream)


def test_interrupted(problem, capsys, monkeypatch):
    def update(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(score.Scorer, "update", update)
    assert main(["score", X, Y]) == 130
    assert capsys.readouterr().err == "\nxent score: interrupted\n"


def test_a_reader_that_has_enough(problem):
    read, write_end = os.pipe()
    os.close(read)
    with os.fdopen(write_end, "wb") as closed:
        done = subprocess.run([*COMMAND, "score", X, Y], stdout=closed, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_colon_may_be_in_a_path(problem):
    os.rename(X, "a:b.npy")
    assert files.split("a:b.npy")[1] is None
    assert files.split("a:b.npy:c:d")[1] == "c:d"
