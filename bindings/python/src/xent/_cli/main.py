# SPDX-License-Identifier: Apache-2.0
"""The command line's arguments, and how each command ends."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from .. import __version__
from . import bench, info, score
from .arrays import InputError, first_line

_INTERRUPTED = 130  # what a shell says of a command that SIGINT ended
_COMMANDS = {"score": score, "bench": bench, "info": info}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="xent",
        description="Softmax cross-entropy: scores of logits in files, speed on this machine, what is installed.",
    )
    top.add_argument("--version", action="version", version=f"xent {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. The exit status: 0 when done, 2 for what is wrong with the input, 130 when interrupted."""
    given = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = given.run
    try:
        run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except InputError as error:
        return _refuse(given.command, str(error))
    except (OSError, MemoryError) as error:
        return _refuse(given.command, first_line(error))
    except KeyboardInterrupt:
        print(f"\nxent {given.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _refuse(command: str, message: str) -> int:
    print(f"xent {command}: {message}", file=sys.stderr)
    return 2
