"""Markdown in which text stays text: names of columns and classes come from anywhere."""

import base64
import html
import re
from collections.abc import Collection, Sequence

_SPECIAL = re.compile(r"[\\`*_\[\]|#~!]")
LONGEST = 80
"""Letters of a name or value that is shown; the rest is in the report."""


def plain(text: object, longest: int | None = None) -> str:
    """Return text on one line that Markdown shows as it is, cut after `longest` letters."""
    line = " ".join(str(text).split())
    if longest is not None and len(line) > longest:
        line = line[: longest - 1] + "…"
    return _SPECIAL.sub(r"\\\g<0>", html.escape(line, quote=False))


def code(text: str) -> str:
    """Return text as code on one line; a backtick in it becomes an apostrophe."""
    return "`" + " ".join(text.split()).replace("`", "'") + "`"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], right: Collection[int] = ()
) -> str:
    """Return a table; the columns of these numbers stand at the right."""
    rule = "|" + "|".join("---:" if index in right else "---" for index in range(len(columns)))
    return "\n".join([_row(columns), f"{rule}|", *(_row(row) for row in rows)])


def picture(data: bytes, kind: str, alt: str) -> str:
    """Return an image that brings its own bytes; `kind` is its media type, such as image/png."""
    content = base64.b64encode(data).decode("ascii")
    return f"![{plain(alt, 2 * LONGEST)}](data:{kind};base64,{content})"


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(plain(cell, LONGEST) for cell in cells) + " |"
