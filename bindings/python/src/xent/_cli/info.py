# SPDX-License-Identifier: Apache-2.0
"""``python -m xent info``: what a report of a problem should say."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib import metadata

import numpy as np

from .. import __version__
from .._library import cpu_level, get_num_threads, library, version

SUMMARY = "version, CPU level, threads, where the library is"
DESCRIPTION = "Says what is installed and what it found: put this in a report of a problem."
_OPTIONAL = ("ml_dtypes", "tqdm", "pyarrow", "torch", "jax", "scipy", "scikit-learn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="prints JSON")


def facts() -> dict[str, str]:
    """What is to be said, by its name."""
    return {
        "xent": __version__,
        "library": version(),
        "library path": str(library._name),
        "CPU level": cpu_level(),
        "threads": str(get_num_threads()),
        "processors": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "Python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        **{name: _installed(name) for name in _OPTIONAL},
        **{name: os.environ[name] for name in sorted(os.environ) if name.startswith("XENT_")},
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def run(arguments: argparse.Namespace) -> None:
    said = facts()
    if arguments.json:
        print(json.dumps(said, indent=2))
        return
    width = max(map(len, said))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in said.items()))
