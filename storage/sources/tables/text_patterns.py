"""Text patterns of keys that are made afresh: digits, letters and signs, character by character.

A pattern uses the symbols that `storage.records.schema` lists.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

SHOWN_LENGTH: Final = 24
"""Longer shapes are cut in messages."""
FALLBACK: Final = "aaaaaaaa"
"""For texts that have no shape in common."""

_RUN: Final = re.compile(r"[0-9A-Za-z]+|[^0-9A-Za-z]")
_SYMBOLS: Final = frozenset("9aAfF\\")
_HEX_LOW: Final = frozenset("0123456789abcdef")
_HEX_HIGH: Final = frozenset("0123456789ABCDEF")
_FEWEST_FOR_HEX: Final = 8


def shape(text: str) -> str:
    """Return a text with `9` for digits, `a` and `A` for letters; signs stay."""
    return "".join(_class(character) for character in text)


def shown_shape(text: str) -> str:
    """Return the shape for a message: quoted, and cut when it is long."""
    whole = shape(text)
    return repr(whole if len(whole) <= SHOWN_LENGTH else f"{whole[:SHOWN_LENGTH]}…")


def loose_shape(text: str) -> str:
    """Return the shape with every run of like symbols as one."""
    return re.sub(r"(.)\1+", r"\1", shape(text))


def pattern_of(texts: Sequence[str], min_group: int = 1) -> str:
    """Return the pattern of keys, made from those of the commonest shape.

    What all of them share stays: signs, letters, and whole groups of digits such as a year. Groups
    of hexadecimal digits are recognised by having both digits and the letters a to f. A shape that
    fewer than `min_group` of them have is not shown; `FALLBACK` is returned.
    """
    outlines = Counter(_outline(text) for text in texts)
    best, count = max(outlines.items(), key=lambda item: (item[1], len(item[0]), item[0]))
    if count < min_group:
        return FALLBACK
    alike = [_RUN.findall(text) for text in texts if _outline(text) == best]
    return "".join(_pattern_of_group(column) for column in zip(*alike, strict=True))


def words_of_name(name: str) -> list[str]:
    """Return the words of a column's name in small letters: `order` and `no` of `OrderNo`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[^0-9A-Za-z]+", spaced) if word]


def literal(text: str) -> str:
    """Return the pattern that matches exactly this text."""
    return "".join(f"\\{c}" if c in _SYMBOLS else c for c in text)


def _class(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character


def _outline(text: str) -> str:
    """Return signs as they are and the length of every group of letters and digits."""
    groups = _RUN.findall(text)
    return "".join(f"<{len(group)}>" if group[0].isalnum() else group for group in groups)


def _pattern_of_group(groups: Sequence[str]) -> str:
    if len(set(groups)) == 1 and not (groups[0].isdigit() and len(groups) < _FEWEST_FOR_HEX):
        return literal(groups[0])
    for alphabet, symbol in ((_HEX_LOW, "f"), (_HEX_HIGH, "F")):
        used = set().union(*groups)
        both = any(c.isdigit() for c in used) and sum(c.isalpha() for c in used) >= 3
        if both and used <= alphabet and len(groups) >= _FEWEST_FOR_HEX:
            places = zip(*groups, strict=True)
            return "".join(
                literal(place[0]) if len(set(place)) == 1 else symbol for place in places
            )
    return "".join(_symbol(place) for place in zip(*groups, strict=True))


def _symbol(place: Sequence[str]) -> str:
    """Return the commonest class of a place; a letter that all share stays, a digit does not."""
    classes = Counter(_class(character) for character in place)
    symbol = min(classes, key=lambda name: (-classes[name], name))
    same = len(set(place)) == 1
    return literal(place[0]) if same and symbol != "9" else symbol
