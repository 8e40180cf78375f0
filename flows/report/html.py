"""Escaped HTML from plain functions, facts and numbers as text.

What is not `Html` is text, and text is always escaped. Everything is pure.
"""

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

VOID_TAGS = frozenset({"br", "hr", "img", "link", "meta"})


LONGEST_NAME = 60
"""Letters of a name that are shown where it is not what the reader reads."""
_LONG_WORD = 24
"""A word of more letters may be broken anywhere; shorter ones stay whole."""
_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Characters that turn the text after them around, whatever it says."""


class Html(str):
    """Markup that was built here; every other string is text."""

    __slots__ = ()


Child = str | Iterable[str | None] | None
Attribute = str | int | float | bool | None


def escape(text: str) -> Html:
    """Return the text as markup that shows it, quotes included, marks of direction left out."""
    if isinstance(text, Html):
        return text
    return Html(html.escape(text.translate(_DIRECTIONS), quote=True))


def short(text: str, most: int = LONGEST_NAME) -> Html:
    """Return a name from data, cut where it is long; a browser shows all of it at a touch."""
    if isinstance(text, Html):
        return text
    breaks = "long" if any(len(word) > _LONG_WORD for word in text.split()) else None
    if len(text) > most:
        return element("span", cut(text, most), title=text, class_=breaks)
    return element("span", text, class_=breaks) if breaks else escape(text)


def cut(text: str, most: int = LONGEST_NAME) -> str:
    """Return a name without the letters beyond so many."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def join(*children: Child) -> Html:
    """Return the children one after the other; strings are escaped, None is nothing."""
    return Html("".join(_flat(child) for child in children))


def element(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """Return one element.

    Args:
        tag: A tag name from our own code, never from data.
        *children: Markup, text (escaped), None (nothing), or iterables of them.
        **attributes: `class_` is written `class`, underscores become hyphens; None and False are
            left out, True is written without a value.
    """
    head = f"<{tag}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if tag in VOID_TAGS:
        return Html(head)
    return Html(f"{head}{join(*children)}</{tag}>")


def fold(title: Child, *content: Child) -> Html:
    """Return content that opens at a click on its title."""
    return element("details", element("summary", title), *content)


def folds(*parts: Child) -> Html | None:
    """Return folds side by side where there is room, an open one over the whole width."""
    inner = join(*parts)
    return element("div", inner, class_="folds") if inner else None


def _flat(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, str):
        return escape(child)
    return "".join(_flat(item) for item in child if item is not None)


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


NOTHING = "—"
_LONG = 1e7
"""From here on the ends of an interval are written with an exponent."""
_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float | int | None, digits: int = 3) -> str:
    """Return a number a person reads: about three significant digits, thousands separated."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not finite"
    size = abs(value)
    if size >= 10 ** (digits + 4) or 0 < size < 10**-digits / 10:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{decimals(value, digits)}f}"


def decimals(value: float, digits: int = 3) -> int:
    """Return how many decimals show `digits` significant digits of the value."""
    if value == 0 or not math.isfinite(value):
        return digits - 1
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), digits + 1)


def interval(low: float, high: float) -> str:
    """Return an interval, both ends with the decimals of the larger one."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOTHING
    if max(abs(low), abs(high)) >= _LONG:
        return f"{number(low)} to {number(high)}"
    places = decimals(max(abs(low), abs(high)))
    return f"{low:,.{places}f} to {high:,.{places}f}"


def compact(value: float) -> str:
    """Return a short number for an axis: 1200 is `1.2k`, 0.05 is `0.05`."""
    for factor, suffix in _SUFFIXES:
        if abs(value) >= factor:
            return f"{value / factor:.5g}{suffix}"
    return f"{value:.5g}"


def instant(text: str) -> str:
    """Return an ISO 8601 instant as `20 November 2026, 02:00 UTC`; other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return text
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def fact(value: Any) -> str:
    """Return any fact as text: numbers as above, mappings as `key value`, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return " · ".join(f"{key} {_inner(value[key])}" for key in sorted(value)) or NOTHING
    if isinstance(value, Sequence):
        return " · ".join(_inner(item) for item in value) or NOTHING
    return str(value)


def words(name: str) -> str:
    """Return a name as words: `label_accuracy` is `label accuracy`."""
    return name.replace("_", " ")


def _inner(item: Any) -> str:
    if isinstance(item, Mapping):
        return json.dumps(item, ensure_ascii=False, default=str)
    if isinstance(item, Sequence) and not isinstance(item, str):
        return " ".join(_inner(part) for part in item)
    return fact(item)
