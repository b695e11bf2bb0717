# SPDX-License-Identifier: Apache-2.0
"""What a library has to offer to be measured, and which libraries there are.

Each peer_<name>.py has `peer(settings)`, which gives a Peer or raises ImportError: its forms are rows

    operation: [(form, where the result goes, maker), ...]

and a maker turns a Problem into a Call, or raises Unavailable with the reason, which ends up in the report. A row may
name another operation last: it does only that, and is timed beside the others without counting as one of them.
"""

import importlib
from dataclasses import dataclass, field
from typing import Callable, Optional

XENT = "xent"


class Unavailable(Exception):
    """The library does not do this; the text says what is missing."""


@dataclass(frozen=True)
class Settings:
    threads: int
    compiled: bool = True
    folder: str = "build/bench"


@dataclass
class Call:
    run: Callable[[], object]  # what is timed
    results: Callable[[object], dict]  # from what run gave to NumPy arrays, by the names of Operation.outputs
    prepare: Optional[Callable[[], None]] = None  # before each run, not timed
    forget: Optional[Callable[[], None]] = None  # gives back memory that is kept for the next run


@dataclass
class Peer:
    name: str
    version: str
    forms: dict = field(default_factory=dict)
    pools: bool = False  # keeps freed memory for itself, so that nobody can see what a call takes


@dataclass
class Subject:
    """A form of a library's operation, ready to be timed, and what was found."""

    peer: str
    form: str
    output: str
    call: Call
    whole: bool = True  # or only a part of the operation
    error: float = 0.0
    seconds: list = field(default_factory=list)
    extra_bytes: Optional[int] = None


def load(names, settings):
    """({name: Peer}, {name: why it is missing})"""
    found, missing = {}, {}
    for name in names:
        try:
            found[name] = importlib.import_module(f"peer_{name}").peer(settings)
        except (ImportError, OSError) as error:
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found, missing
