# SPDX-License-Identifier: Apache-2.0
"""The reference of C, from the header itself: its comments become text, its declarations entries of Sphinx's C domain.

    .. c-conventions::            what xent.h says of all functions
    .. c-sections:: typed         its sections of functions that end in a dtype; "descriptors": of those that take
                                  descriptors; "other": the rest. A new section of the header finds its page by itself.
    .. c-header:: xent_xla.h      another header, whole
"""

import re
import sys
import textwrap
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "c"))
import header as xent_h  # noqa: E402

# In prose: statements, names, array elements, calls, and shapes.
CODE = re.compile(
    r"`(?P<quoted>[^`]+)`|\bxent_\w+ \w+ = [^;]+;|(?P<name>\b(?:xent|XENT)_\w*[a-zA-Z0-9]\b)(?P<call>\(\))?|"
    r"\w+(?:->\w+)?(?:\[[\w, +]*(?:\[\w+\])?\])+|\b\w+\(\w*\)|\b\w+->\w+|\[\w+(?:, \w+)*\]|\b\w+\.h\b|"
    r"\b(?:\w+\.)*\w+_(?:\w+|\.\.\.)|(?<!\w)_\w+"
)
KINDS = ("typed", "descriptors", "other")


class Names:
    """The role with which each name of the headers is linked."""

    def __init__(self):
        self.roles = {}
        for path in headers():
            for _, code in xent_h.items(path.read_text()):
                self.roles.update({name: "c:func" for _, name, _ in xent_h.functions(code)})
                self.roles.update({name: "c:type" for _, name in xent_h.typedefs(code)})
                self.roles.update({name: "c:enumerator" for name, *_ in xent_h.enumerators(code)})
                self.roles.update({name.partition("(")[0]: "c:macro" for name in xent_h.macros(code)})
                if xent_h.struct(code):
                    self.roles[xent_h.struct(code)[0]] = "c:struct"


def headers():
    return sorted(xent_h.PATH.parent.glob("*.h"))


# ---- Text ------------------------------------------------------------------------------------------------------------


def marked(text, names):
    """A text with its code marked, and all else as it is."""
    out, at = "", 0
    for match in CODE.finditer(text):
        out += re.sub(r"([\\*`|_])", r"\\\1", text[at : match.start()])
        role = names.roles.get(match["name"])
        if role:
            call = match["call"] or ""
            code = f":{role}:`{match['name']}{call} <{match['name']}>`" if call else f":{role}:`{match['name']}`"
        else:
            code = f"``{match['quoted'] or match[0]}``"
        before = "" if not out or out[-1].isspace() else r"\ "
        at = match.end()
        after = "" if at == len(text) or text[at].isspace() else r"\ "
        out += before + code + after
    out += re.sub(r"([\\*`|_])", r"\\\1", text[at:])
    return re.sub(r"^(?=[-+•] )", r"\\", out)  # which would begin a list


def indented(lines, by="   "):
    return [by + line if line else "" for line in lines]


def formula(lines):
    lines = textwrap.dedent("\n".join(lines)).strip("\n").split("\n")
    return [".. code-block:: none", "   :class: formula", "", *indented(lines), ""]


def table(lines):
    rows = [xent_h.COLUMNS, *xent_h.table(lines)]
    out = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", "   :class: goes-together", ""]
    for row in rows:
        for k, cell in enumerate(row):
            if k and row is not rows[0]:
                cell = re.sub(r"^(\+?)(\d?)$", lambda m: m[1].replace("+", "✓") + (f" ({m[2]})" if m[2] else ""), cell).strip()
                cell = "–" if cell == "-" else re.sub(r"^\(", r"\\(", cell)  # "(1)" would begin a list
            shown = re.sub(r"[a-z_]*_[a-z_.]*|\b[a-z]+\b", lambda m: f"``{m[0]}``", cell) if not k and cell else cell
            out.append(f"   {'  ' if k else '* '}- {shown}")
    return [*out, ""]


def blocks(lines, names, fields=()):
    """A comment's lines as reStructuredText; an entry that is a field of the struct becomes a member of it."""
    out, found = [], xent_h.blocks(lines)
    for k, (kind, content) in enumerate(found):
        if kind == "prose":
            # Above a list of fields, what is no sentence is their title.
            if fields and found[k + 1 :] and found[k + 1][0] == "list" and not content[-1].endswith("."):
                out += [".. rst-class:: fields-title", ""]
            out += [marked(" ".join(xent_h.sentences(content)), names), ""]
        elif kind == "table":
            out += table(content)
        elif kind == "display":
            out += formula(content)
        elif kind == "list":
            is_members = all(term in fields for term, _ in content)
            if not is_members:
                out += [".. rst-class:: terms", ""]
            for term, body in content:
                if is_members:
                    out += [f".. c:member:: {fields[term]}", ""]
                else:
                    out += [term if " " in term or not re.search("[a-z_]", term) else f"``{term}``" if term[0].islower()
                            else term]  # fmt: skip
                out += [*indented(blocks(body, names)), ""]
    return out


# ---- Entries ---------------------------------------------------------------------------------------------------------


def fields_of(declaration):
    """{name: declaration} of a struct's fields."""
    found = {}
    for kind, declarators in re.findall(r"^  ((?:const )?\w+) (.*);$", declaration, re.MULTILINE):
        for declarator in declarators.split(", "):
            found[re.search(r"\w+", declarator)[0]] = f"{kind} {declarator}"
    return found


def macro(name, code):
    definition = re.search(rf"^#define {re.escape(name)} +(\(?-?\w+\)?)$", code, re.MULTILINE)
    return [f".. c:macro:: {name}", "", *([f"   ``{definition[1].strip('()')}``", ""] if definition else [])]


def heading(comment, code):
    """The title of an entry, for the list of what is on a page."""
    functions = [name for _, name, _ in xent_h.functions(code)]
    values = xent_h.enumerators(code)
    if comment and comment[0].startswith(xent_h.TABLE):
        title = xent_h.TABLE
    elif functions:
        stem = functions[0].rpartition("_")[0]
        is_one = {name.removeprefix(stem + "_") for name in functions} == set(xent_h.DTYPES)
        title = stem if is_one else ", ".join(functions)
    elif xent_h.struct(code) or xent_h.typedefs(code):
        title = xent_h.struct(code)[0] if xent_h.struct(code) else ", ".join(name for _, name in xent_h.typedefs(code))
    elif values:
        fields = re.findall(r"(?:^|; )([a-z_]+):", " ".join(comment))
        title = ", ".join(fields) or xent_h.subject(comment, values)
    else:
        title = ", ".join(name.partition("(")[0] for name in xent_h.macros(code))
    return [title, "~" * len(title), ""] if title and comment else []


def described(comment, code, names):
    functions = [f"{kind} {name}({', '.join(parameters)})" for kind, name, parameters in xent_h.functions(code)]
    struct, values, macros = xent_h.struct(code), xent_h.enumerators(code), xent_h.macros(code)
    out = []
    if functions:
        body = blocks(comment, names)
        separator = "\n" + " " * len(".. c:function:: ")
        out += [*(".. c:function:: " + separator.join(functions)).split("\n"), "", *indented(body)]
        macros_body = [line for name in macros for line in macro(name, code)]
        return out + macros_body
    if comment and comment[0].startswith(xent_h.TABLE):
        legend = re.sub(r"^.*?: ", "", comment[0]).replace("+ yes, - no", "✓ yes, – no")
        return blocks([legend, *comment[1:]], names)
    if struct:
        declaration = re.search(rf"^typedef struct {struct[0]} .*?^}} {struct[0]};", code, re.MULTILINE | re.DOTALL)[0]
        body = [".. code-block:: c", "", *indented(declaration.split("\n")), ""]
        body = [*body, *blocks(comment, names, fields_of(struct[1]))]
        out += [f".. c:struct:: {struct[0]}", "", *indented(body)]
    elif macros:
        separator = "\n" + " " * len(".. c:macro:: ")
        out += [*(".. c:macro:: " + separator.join(macros)).split("\n"), "", *indented(blocks(comment, names))]
        if len(macros) == 1:
            out += indented(macro(macros[0], code)[2:])
        macros = []
    elif xent_h.typedefs(code):
        for kind, name in xent_h.typedefs(code):
            out += [f".. c:type:: {kind} {name}", "", *indented(blocks(comment, names))]
    elif values:
        out += blocks(comment, names)
    for name, value, meaning in values:
        out += [f".. c:enumerator:: {name} = {value}", "", *([f"   {marked(meaning, names)}", ""] if meaning else [])]
    for name in macros:
        out += macro(name, code)
    return out


def kind_of(parts):
    functions = [name for _, code in parts for _, name, _ in xent_h.functions(code)]
    if functions and all(name.endswith(tuple("_" + dtype for dtype in xent_h.DTYPES)) for name in functions):
        return "typed"
    return "descriptors" if any("xent_tensor" in code for _, code in parts) else "other"


def sections(kind, names):
    found = xent_h.sections(xent_h.PATH.read_text())
    out = []
    for title, parts in found.items():
        if kind_of(parts) == kind:
            # What stands before the first section is the conventions, the version, and what compilers need.
            title, parts = (title, parts) if title else ("Version", parts[1:])
            out += [title, "-" * len(title), ""]
            for comment, code in parts:
                out += heading(comment, code) + described(comment, code, names)
    return out


# ---- Directives ------------------------------------------------------------------------------------------------------


class FromHeader(SphinxDirective):
    def run(self):
        for path in headers():
            self.env.note_dependency(str(path))
        lines = self.lines(Names())
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Conventions(FromHeader):
    def lines(self, names):
        return blocks(xent_h.conventions(xent_h.sections(xent_h.PATH.read_text())), names)


class Sections(FromHeader):
    required_arguments = 1

    def lines(self, names):
        if self.arguments[0] not in KINDS:
            raise self.error(f"c-sections is one of {', '.join(KINDS)}")
        return sections(self.arguments[0], names)


class Header(FromHeader):
    required_arguments = 1

    def lines(self, names):
        ((first, code), *rest) = xent_h.items((xent_h.PATH.parent / self.arguments[0]).read_text())
        begin = next(k for k, line in enumerate(first) if line.startswith(self.arguments[0])) + 1
        out = blocks(first[begin:], names)
        for comment, code in [([], code), *rest]:
            out += described(comment, code, names)
        return out


def setup(app):
    app.add_directive("c-conventions", Conventions)
    app.add_directive("c-sections", Sections)
    app.add_directive("c-header", Header)
    return {"parallel_read_safe": True}
