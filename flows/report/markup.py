"""Escaped HTML from plain functions: what is not `Html` is text, and text is always escaped."""

import html
from collections.abc import Iterable

VOID_TAGS = frozenset({"br", "hr", "img", "link", "meta"})


class Html(str):
    """Markup that was built here; every other string is text."""

    __slots__ = ()


Child = str | Iterable[str | None] | None
Attribute = str | int | float | bool | None


def escape(text: str) -> Html:
    """Return the text as markup that shows it, quotes included."""
    return text if isinstance(text, Html) else Html(html.escape(text, quote=True))


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
