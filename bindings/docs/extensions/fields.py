# SPDX-License-Identifier: Apache-2.0
"""The fields of named tuples and dataclasses, with the comments that stand behind them in the source: a list in the
documentation of the class."""

import ast
import inspect
import re
import textwrap

FIELD_OF_TUPLE = re.compile(r"Alias for field number \d+$")


def fields(source):
    """(name, type, comment) of a class."""
    source = textwrap.dedent(source)
    lines = source.splitlines()
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign):
            comment = re.search(r"  # (.*)$", lines[node.end_lineno - 1])
            yield node.target.id, ast.unparse(node.annotation), comment[1] if comment else ""


def add_fields(app, what, name, item, options, lines):
    if what != "class" or not (issubclass(item, tuple) or hasattr(item, "__dataclass_fields__")):
        return
    lines += ["", ".. rst-class:: terms", ""]
    for field, kind, comment in fields(inspect.getsource(item)):
        kind = re.sub(r"\bArray\b", "array", kind)
        lines += [f"``{field}``", f"   *{kind}*" + f" – {comment}" * bool(comment)]


def skip_aliases(app, what, name, item, skip, options):
    return True if FIELD_OF_TUPLE.match(inspect.getdoc(item) or "") else None


def setup(app):
    app.connect("autodoc-process-docstring", add_fields)
    app.connect("autodoc-skip-member", skip_aliases)
    return {"parallel_read_safe": True}
