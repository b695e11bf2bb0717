# SPDX-License-Identifier: Apache-2.0
"""What xent.h says, for whoever shows it: the manual page (man/generate) and the documentation site (../docs).

A comment of the header is read as it looks: an empty line ends a paragraph; "name  text", with the text's further lines
under the text, is an entry of a list; other lines that are indented are formulas.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "Include/xent.h"
DTYPES = ("f32", "f64", "f16", "bf16")
# The table of what goes together, under names that leave room for it.
TABLE = "What goes together"
COLUMNS = ["", "softmax", "index", "sparse", "probs", "nll", "binary", "diverg."]
ENTRY = re.compile(r"( *)([\w.*-]+(?:,? [\w.*-]+)*)  +(\S.*)")
FUNCTION = re.compile(r"^(?P<type>[\w ]+?[\w*]) ?\*?(?P<name>xent_\w+)\((?P<parameters>[^)]*)\);", re.MULTILINE)


def items(header):
    """(comment, the code that follows it) in order; a comment that names a section has no code."""
    for match in re.finditer(r"^/\*(.*?)\*/[ ]*\n(.*?)(?=^/\*|\Z)", header, re.MULTILINE | re.DOTALL):
        comment = [re.sub(r"^ ?\* ?", "", line) for line in match[1].split("\n")]
        comment[0] = comment[0].strip()
        code = re.sub(r" XENT_(NULLABLE|NONNULL)\b|XENT_(NULLABLE|NONNULL) ?", "", match[2])
        yield [line.rstrip() for line in comment], code


def functions(code):
    for match in FUNCTION.finditer(code):
        parameters = [re.sub(r"\s+", " ", p).strip() for p in match["parameters"].split(",")]
        star = "*" if code[: match.start("name")].endswith("*") else ""
        yield f"{match['type']} {star}".strip(), match["name"], parameters


def sections(header):
    """{name of the section: its items}; "" is what stands before the first."""
    found = {"": []}
    for comment, code in items(header):
        title = re.fullmatch(r"-{4} (.*?) -+", comment[0])
        if title:
            found[title[1]] = []
        if not title or code.strip():
            list(found.values())[-1].append(([] if title else comment, code))
    return found


def conventions(found):
    """The lines of the first comment from which on it is about all functions, given what `sections` found."""
    first = found[""][0][0]
    return first[next(k for k, line in enumerate(first) if line.startswith("Conventions")) + 1 :]


# ---- A comment -------------------------------------------------------------------------------------------------------


def sentences(lines):
    # A sentence that begins a line may do without the full stop before it.
    ended = [re.sub(r"(?<=[\w)\]])$", ".", line) if re.match(r"(A|With|The) [a-z]", following) else line
             for line, following in zip(lines, [*lines[1:], ""])]  # fmt: skip
    text = re.sub(r"\s+", " ", " ".join(ended)).strip()
    return re.split(r"(?<=[\w)\]\"'][.?!]) (?=[A-Z\"(-])", text)


def blocks(lines):
    """[(kind, content)] of a comment's lines: "prose", "display" and "table" have lines, "list" pairs of a term and its
    lines, which are blocks in turn, and "break" is the end of a paragraph before more prose."""
    found, k = [], 0
    while k < len(lines):
        entry, line = ENTRY.fullmatch(lines[k]), lines[k]
        if not line:
            k += 1
            if found and k < len(lines) and not lines[k].startswith("  ") and not ENTRY.fullmatch(lines[k]):
                found.append(("break", []))
        elif entry and not re.search(r"\S {2,}\S", entry[3]):
            content, k = entries(lines, k)
            found.append(("list", content))
        elif line.startswith("  ") and not (found and found[-1][0] == "list" and lines[k - 1]):
            end = next((j for j in range(k, len(lines)) if not lines[j].startswith("  ")), len(lines))
            found.append(("table" if "xent_softmax  xent_cross" in line else "display", lines[k:end]))
            k = end
        else:
            margin = re.match(" *", line)[0]
            end = next((j for j in range(k + 1, len(lines)) if not lines[j] or ENTRY.fullmatch(lines[j])
                        or lines[j].startswith(margin + "  ") and not lines[j - 1].endswith(",")), len(lines))  # fmt: skip
            found.append(("prose", lines[k:end]))
            k = end
    return found


def entries(lines, k):
    """The list that begins at line k, and where it ends."""
    margin = len(ENTRY.fullmatch(lines[k])[1])
    found = []
    while k < len(lines):
        entry = ENTRY.fullmatch(lines[k])
        if not entry or len(entry[1]) != margin:
            break
        column, body = entry.start(3), [entry[3]]
        k += 1
        while k < len(lines) and lines[k].startswith(" " * (margin + 2)):
            body.append(lines[k][column:] if not lines[k][:column].strip() else lines[k].strip())
            k += 1
        found.append((entry[2], body))
    return found, k


def table(lines):
    """The rows of the table of what goes together, each of as many cells as there are COLUMNS."""
    rows, name = [], []
    for line in lines:
        cells = re.fullmatch(r" *(\S.*?) {2,}(\S+(?: +\S+){%d})" % (len(COLUMNS) - 2), line)
        if not cells and rows:
            name.append(line.strip())  # the first line of a name that takes two
        elif cells and not cells[1].startswith("xent_"):
            rows.append([" ".join([*name, cells[1]]), *cells[2].split()])
            name = []
        elif not cells and not rows and re.match(r" {3}\w", line):
            sys.exit(f"xent.h: the table has another number of columns than header.py expects: {line}")
    if name or len(rows) < 10:
        sys.exit("xent.h: the table of what goes together is not as header.py expects it")
    return rows


# ---- What a comment is about -----------------------------------------------------------------------------------------


def enumerators(code):
    """(name, value, meaning)"""
    return re.findall(r"^ +(XENT_\w+) = (-?\d+),? *(?:/\* (.*?) \*/)?$", code, re.MULTILINE)


def struct(code):
    """(name, its declaration without comments), or None"""
    found = re.search(r"^typedef struct (\w+) \{.*?^\} \1;", code, re.MULTILINE | re.DOTALL)
    return (found[1], re.sub(r" */\*.*?\*/", "", found[0])) if found else None


def typedefs(code):
    """(type, name)"""
    return re.findall(r"^typedef (\w+) (\w+);", code, re.MULTILINE)


def macros(code):
    """Names, with their parameters if they have some; but the guard, and those that other compilers than Clang do without."""
    defines = re.findall(r"^#define (XENT_\w+(?:\([\w, ]+\))?)", code, re.MULTILINE)
    return [name for name in defines if not re.match("XENT_(NULLABLE|NONNULL)|.*_H$", name)]


def subject(comment, values):
    """What enumerators without a type are: "reduction", for a comment that begins with it or values named so."""
    word = re.match(r"[a-z_]+(?=:)", comment[0])
    return word[0] if word else values[1][0].split("_")[1].lower()
