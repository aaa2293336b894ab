# SPDX-License-Identifier: LGPL-2.1-or-later

"""Reads the headers and the man pages of section 3, for the programs in this folder."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
HEADERS = [TOP / "libluo/libluo.h", TOP / "libluo/libluo-manager.h"]
SYMBOLS = TOP / "libluo/libluo.sym"
MAN = TOP / "docs/man"
FUNCTION = r"libluo_[a-z0-9_]+"
ERROR = r"E[A-Z0-9]+"


def normal(prototype):
    """A prototype in one line, with white space where C needs it only."""
    return re.sub(r"\s*([(),*\[\]+])\s*", r"\1", " ".join(prototype.split()))


def header_functions():
    """(name, prototype, comment) of each function; one comment may stand above several functions."""
    return [function for header in HEADERS for function in functions_of(header)]


def functions_of(header):
    """The same for one header."""
    text = header.read_text()
    comment = ""
    found = []
    # Comments and declarations of functions, in turn; anything else in between ends what a comment belongs to
    token = re.compile(
        rf"/\*(?P<comment>.*?)\*/|^(?P<prototype>\w[\w *]*?\b(?P<name>{FUNCTION})\([^;{{]*\));|(?P<other>\S[^\n]*)",
        re.S | re.M,
    )
    for m in token.finditer(text):
        if m["comment"] is not None:
            comment = re.sub(r"^ ?\* ?", "", m["comment"], flags=re.M)
        elif m["prototype"]:
            if f"{m['name']}()" not in comment.split(": ", 1)[0]:
                sys.exit(f"{header}: the comment above {m['name']}() does not begin with its name")
            found.append((m["name"], normal(m["prototype"]), comment))
        else:
            comment = ""
    return found


def header_errors():
    """{function: set of errors} by the comments, where "the errors of libluo_x()" stands for those of another one."""
    comments = {name: comment for name, _, comment in header_functions()}

    def errors(name, above=()):
        if name in above:
            sys.exit(f"the errors of {name}() refer to themselves")
        comment = " ".join(comments[name].split())
        found = set(re.findall(rf"(?<!\w)-({ERROR})\b", comment))
        for other in re.findall(rf"[Tt]he errors of ({FUNCTION})\(\)", comment):
            found |= errors(other, (*above, name))
        return found

    return {name: errors(name) for name in comments}


def symbol_versions():
    """{function: "1.0"} of libluo.sym: since when it is there. What is in the static library only has no version."""
    versions = {name: None for name, _, _ in functions_of(HEADERS[1])}
    for version, body in re.findall(r"^LIBLUO_([0-9.]+) \{(.*?)\}", SYMBOLS.read_text(), re.S | re.M):
        versions |= {name: version for name in re.findall(rf"^\s*({FUNCTION});$", body, re.M)}
    return versions


def page_list():
    """{page: [functions that have a link to it]} of docs/man/pages."""
    lines = (MAN / "pages").read_text().replace("\\\n", "").splitlines()
    return {page: links.split() for page, links in (line.split(":") for line in lines if line and line[0] != "#")}


class Page:
    """What a man page says, by its mdoc source."""

    def __init__(self, name):
        self.name = name
        self.names = []  # of the NAME section
        self.prototypes = {}
        self.errors = {}  # function: list of errors; "": those under no function's heading
        self.examples = []
        self.history = []  # lines of the HISTORY section
        self.references = []  # all of .Xr, as "name(section)"
        self.text = (MAN / f"{name}.3").read_text()
        self.read()

    def read(self):
        section, function, function_type, example = "", "", "", None
        for line in self.text.replace("\\\n", "").splitlines():
            macro, _, rest = line.partition(" ")
            words = rest.split()
            if example is not None:
                if macro == ".Ed":
                    self.examples.append("\n".join(example) + "\n")
                    example = None
                else:
                    example.append(line.replace("\\&", "").replace("\\-", "-").replace("\\e", "\\"))
            elif macro == ".Sh":
                section, function = rest, ""
            elif macro == ".Xr":
                self.references.append(f"{words[0]}({words[1]})")
            elif section == "NAME" and macro == ".Nm":
                self.names.append(words[0])
            elif section == "SYNOPSIS" and macro == ".Ft":
                function_type = rest
            elif section == "SYNOPSIS" and macro == ".Fn":
                arguments = re.findall(r'"([^"]*)"', rest)
                self.prototypes[words[0]] = normal(f"{function_type} {words[0]}({', '.join(arguments)})")
            elif section == "ERRORS" and macro == ".Ss":
                function = rest
            elif section == "ERRORS" and line.startswith(".It Bq Er "):
                self.errors.setdefault(function, []).append(words[2])
            elif section == "HISTORY":
                self.history.append(line)
            elif section == "EXAMPLES" and macro == ".Bd":
                example = []


def pages():
    return [Page(name) for name in page_list()]


def manual_errors():
    """{function: set of errors} by the man pages; functions that cannot fail have an empty one."""
    found = {}
    for page in pages():
        for function in page.prototypes:
            found[function] = set(page.errors.get(function, []))
    return found
