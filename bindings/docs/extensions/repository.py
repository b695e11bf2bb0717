# SPDX-License-Identifier: Apache-2.0
"""Texts of the repository on the site's pages, so that each is written once. A line of a Markdown page

    @include bindings/r/README.md                     the file without its title
    @include bindings/python/README.md # PyTorch      one section of it, without its heading
    @include bindings/python/README.md without A, B   the file without its title and without the sections A and B
    @include README.md # (beginning)                  what stands between its title and the next heading
    @output bindings/python/examples/five_ways.py     what Python prints for these arguments

is replaced. Links of an included text lead to the page that shows what they name, or else to a copy of the file; those
to folders are taken out.
"""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[3]
INCLUDE = re.compile(r"^@include (\S+)(?: # (.+)| without (.+))?$", re.MULTILINE)
OUTPUT = re.compile(r"^@output (.+)$", re.MULTILINE)
BEGINNING = "(beginning)"
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#+) (.+)$")
# Folders of bindings, each of which has a page of its own.
LANGUAGES = ("c", "cpp", "python", "rust", "swift", "java", "node", "go", "r")
# Which page shows what.
PAGES = {
    "Include/xent.h": "api/c",
    "Include/xent_xla.h": "api/xla",
    "CHANGELOG.md": "changelog",
    "README.md": "index",
    "Sources/XentKernels/NUMERICS.md": "numerics",
    "bindings/README.md": "languages/index",
    "bindings/c/apps": "languages/sql",
    **{f"bindings/{name}": f"languages/{name}" for name in LANGUAGES},
}


class NotThere(Exception):
    """What a page is to show is not in the repository, or not under that name."""


def section(text, title, path):
    """The lines below a heading, up to the next one that is not below it; without a title all but the first heading."""
    kept, level, in_code = [], 0, False
    for line in text.split("\n"):
        in_code ^= line.lstrip().startswith("```")
        heading = None if in_code else HEADING.match(line)
        if heading and level and (len(heading[1]) <= level or title == BEGINNING):
            break
        if heading and not level and title in (None, BEGINNING, heading[2]):
            level = len(heading[1])
        elif level:
            # Headings begin below the page's title, wherever they were.
            kept.append("#" * (len(heading[1]) - level + 1) + f" {heading[2]}" if heading else line)
    if not level:
        raise NotThere(f"{path} has no heading {title or 'at all'}")
    return "\n".join(kept)


def without(text, titles):
    """The text but for the sections that have these titles; those that are not there are not missed."""
    kept, level, in_code = [], 0, False
    for line in text.split("\n"):
        in_code ^= line.lstrip().startswith("```")
        heading = None if in_code else HEADING.match(line)
        if heading and (not level or len(heading[1]) <= level):
            level = len(heading[1]) if heading[2] in titles else 0
        if not level:
            kept.append(line)
    return "\n".join(kept)


def relinked(text, path, docname, pages):
    here = f"/{docname}".rpartition("/")[0]

    def link(match):
        words, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        file, _, anchor = target.partition("#")
        named = os.path.normpath(path.parent / file)
        page = PAGES.get(named)
        if page in pages:
            return f"[{words}]({os.path.relpath('/' + page, here or '/')}.{pages[page]}{'#' * bool(anchor)}{anchor})"
        if not (ROOT / named).exists():
            raise NotThere(f"{path} links to {target}, which is not there")
        if (ROOT / named).is_dir():
            return words
        return f"[{words}]({os.path.relpath(ROOT / named, Path(ROOT, 'bindings/docs', docname).parent)})"

    return LINK.sub(link, text)


def printed(words):
    """As a block of text. The words are paths and options of the repository's own programs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings/python/src"), "COLUMNS": "100"}
    command = [sys.executable, *words.split()]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise NotThere(f"{words}: exit status {done.returncode}\n{done.stderr}")
    return f"```text\n{done.stdout.expandtabs(20)}```"


def replace(app, docname, source):
    pages = {name: Path(app.env.doc2path(name)).suffix[1:] for name in app.env.found_docs}

    def shown(show, match):
        try:
            return show(match)
        except (NotThere, OSError) as error:
            logging.getLogger(__name__).warning("%s", error, location=docname)
            return ""

    def included(match):
        path, title, left_out = Path(match[1]), match[2], (match[3] or "").split(", ")
        app.env.note_dependency(str(ROOT / path))
        return relinked(without(section((ROOT / path).read_text(), title, path), left_out), path, docname, pages)

    text = INCLUDE.sub(partial(shown, included), source[0])
    source[0] = OUTPUT.sub(partial(shown, lambda match: printed(match[1])), text)


def setup(app):
    app.connect("source-read", replace)
    return {"parallel_read_safe": True}
