"""Text in Markdown that stays text.

Names of columns and classes come from data and reasons from people: in a card, a report or the UI
they are shown and never become a link, a picture, HTML, a heading or a cell of their own.
"""

import html
import re
import unicodedata
from typing import Final

from storage.masking import masked

_SPECIAL: Final = re.compile(r"[\\`*\[\]|#~!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LIST_ITEM: Final = re.compile(r"^([-+]|\d+[.)])(?=\s)")
_ADDRESS: Final = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp)(?=:)|\bwww(?=\.)")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, marks of direction and width, and what is no character."""
_JOINERS: Final = "\u200c\u200d"
"""Unseen, and part of words in some scripts."""


def one_line(text: object) -> str:
    """Return text on one line, without logins and without characters that cannot be seen."""
    line = " ".join(str(text).split())
    if not line.isascii() or not line.isprintable():
        line = "".join(sign for sign in line if sign in _JOINERS or not _is_unseen(sign))
    return masked(line)


def _is_unseen(sign: str) -> bool:
    return unicodedata.category(sign) in _UNSEEN


def plain(text: object, longest: int | None = None) -> str:
    """Return text on one line that Markdown shows as it is, cut after `longest` letters."""
    line = one_line(text)
    if longest is not None and len(line) > longest:
        line = line[: longest - 1] + "…"
    escaped = _SPECIAL.sub(r"\\\g<0>", html.escape(line, quote=False))
    escaped = _LIST_ITEM.sub(lambda item: f"{item[1][:-1]}\\{item[1][-1]}", escaped)
    return _ADDRESS.sub(r"\g<0>\\", escaped)
