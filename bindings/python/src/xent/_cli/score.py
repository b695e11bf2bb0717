# SPDX-License-Identifier: Apache-2.0
"""``python -m xent score``: how well the logits in one file predict the targets in another."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, Callable

from .._library import version
from .._scoring import Score, Scorer
from . import report
from .arrays import InputError, first_line
from .files import open_logits, open_targets, read_lines, read_weight

SUMMARY = "scores logits against targets, from files of any size"
DESCRIPTION = """\
Scores logits against targets: mean loss, perplexity, bits per token, accuracy, top-k accuracy, entropy and calibration.
The files may be larger than memory: they are read in blocks, and a few sums are kept of each.

  LOGITS   .npy, .safetensors (also of float16 and bfloat16) or .parquet (with pyarrow), of shape (rows, classes), or of
           more axes with the classes last. FILE:NAME chooses a tensor of several, or a column of lists, or by a pattern
           such as 'FILE:logit_*' the columns that have one class each.
  TARGETS  the class of each row, integers: .npy, .safetensors, .parquet, .txt (one a line) or .csv. FILE:NAME as above.
"""
_BLOCK_BYTES, _BLOCK_ROWS = 64 * 1024 * 1024, 65536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logits", metavar="LOGITS")
    parser.add_argument("targets", metavar="TARGETS")
    loss = parser.add_argument_group("the loss")
    loss.add_argument(
        "--ignore-index", type=int, default=-100, metavar="N", help="rows with this target do not count (-100)"
    )
    loss.add_argument("--label-smoothing", type=float, default=0.0, metavar="EPS", help="in [0, 1] (0)")
    loss.add_argument("--temperature", type=float, default=1.0, metavar="T", help="divides the logits (1)")
    loss.add_argument(
        "--softcap", type=float, default=0.0, metavar="S", help="caps the logits smoothly at +-S (0: does not)"
    )
    loss.add_argument("--weight", metavar="FILE", help="the weight of each class: .npy, .safetensors, or one a line")
    loss.add_argument("--axis", type=int, default=-1, metavar="N", help="the class axis (-1)")
    scores = parser.add_argument_group("the scores")
    scores.add_argument("--top-k", type=int, default=5, metavar="K", help="the target is among the K most probable (5)")
    scores.add_argument("--bins", type=int, default=15, metavar="N", help="bins of confidence for the calibration (15)")
    scores.add_argument(
        "--hardest", type=int, default=20, metavar="N", help="how many of the hardest rows to keep (20)"
    )
    output = parser.add_argument_group("the output")
    output.add_argument("--json", action="store_true", help="prints JSON instead of the table; null is infinite or NaN")
    output.add_argument("--per-class", action="store_true", help="puts the scores of each class in the JSON, too")
    output.add_argument("--report", metavar="FILE", help="writes a page with pictures, one .html file for any browser")
    output.add_argument("--class-names", metavar="FILE", help="a name for each class, one a line, for the report")
    output.add_argument("--no-progress", action="store_true", help="no progress bar (it needs the package tqdm)")
    work = parser.add_argument_group("the work")
    work.add_argument(
        "--block-rows", type=int, metavar="N", help="rows in memory at a time (64 MiB of them, at most 65536)"
    )
    work.add_argument("--threads", type=int, default=0, metavar="N", help="threads to use (0: all processors)")


def run(arguments: argparse.Namespace) -> None:
    for name in ("block_rows", "threads"):
        value, least = getattr(arguments, name), int(name == "block_rows")
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} is {value}, must be at least {least}")
    logits, targets = open_logits(arguments.logits, arguments.axis), open_targets(arguments.targets)
    if not logits.rows or not logits.classes:
        raise InputError(f"{logits.path}: there are no logits")
    if targets.shape is not None and not _fit(targets.shape, logits.rows_shape):
        raise InputError(
            f"{targets.path}: targets of shape {targets.shape}, not {logits.rows_shape}, for logits of {logits.shape}"
        )
    names = None if arguments.class_names is None else read_lines(arguments.class_names)
    if names is not None and len(names) != logits.classes:
        raise InputError(f"{arguments.class_names}: {len(names)} names, and there are {logits.classes} classes")
    if arguments.report is not None and not Path(arguments.report).absolute().parent.is_dir():
        raise InputError(f"{arguments.report}: there is no such folder")
    score = _score(arguments, logits, targets)

    about = {
        "logits": {"file": arguments.logits, "shape": list(logits.shape), "dtype": logits.dtype},
        "targets": {"file": arguments.targets},
        "options": _options(arguments),
        "xent": version(),
    }
    if arguments.json:
        numbers = score.as_dict()
        if not arguments.per_class:
            del numbers["per_class"]
        print(json.dumps({**about, **numbers}, indent=2, allow_nan=False))
    else:
        shape = " x ".join(f"{size:,}" for size in logits.shape)
        print(f"{arguments.logits}: {shape}, {logits.dtype}\n\n{score}")
    if arguments.report is not None:
        Path(arguments.report).write_text(report.page(score, about, names), encoding="utf-8")


def _fit(shape: tuple[int, ...], rows_shape: tuple[int, ...]) -> bool:
    """Targets have the rows' shape, or all of them in one row."""
    return shape in (rows_shape, (prod(rows_shape),))


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("ignore_index", "label_smoothing", "temperature", "softcap", "weight", "top_k", "bins")
    return {name: getattr(arguments, name) for name in names}


def _score(arguments: argparse.Namespace, logits: Any, targets: Any) -> Score:
    weight = None if arguments.weight is None else read_weight(arguments.weight, logits.classes)
    rows = arguments.block_rows or min(max(1, _BLOCK_BYTES // logits.bytes_per_row), _BLOCK_ROWS)
    try:
        scorer = Scorer(
            weight=weight,
            ignore_index=arguments.ignore_index,
            label_smoothing=arguments.label_smoothing,
            temperature=arguments.temperature,
            softcap=arguments.softcap,
            axis=logits.axis,
            top_k=arguments.top_k,
            bins=arguments.bins,
            hardest=arguments.hardest,
            num_threads=arguments.threads,
        )
        with _progress(logits.rows, arguments.no_progress) as advance:
            for block in logits.blocks(rows):
                count = block.size // logits.classes
                taken = targets.take(count)
                if taken.size < count:
                    raise InputError(f"{targets.path}: {scorer.rows + taken.size:,} targets, for {logits.rows:,} rows")
                shape = block.shape[: logits.axis] + block.shape[logits.axis + 1 :]
                scorer.update(block, taken.reshape(shape))
                advance(count)
        if targets.take(1).size:
            raise InputError(f"{targets.path}: more targets than the {logits.rows:,} rows of {logits.path}")
        return scorer.result()
    except IndexError as error:
        raise InputError(f"{targets.path}: {first_line(error)}") from None
    except ValueError as error:  # an option has no such value
        raise InputError(first_line(error)) from None


@contextmanager
def _progress(rows: int, is_off: bool) -> Iterator[Callable[[int], Any]]:
    """What is told how many rows were done: a progress bar where someone looks on."""
    bar_type = None if is_off or not sys.stderr.isatty() else _tqdm()
    if bar_type is None:
        yield lambda count: None
        return
    with bar_type(total=rows, unit=" rows", unit_scale=True, leave=False, dynamic_ncols=True) as bar:
        yield bar.update


def _tqdm() -> Any:
    """The class of progress bars, or None where it is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
