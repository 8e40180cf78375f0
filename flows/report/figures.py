"""The figures of a report as HTML: pictures, tables, and charts by their kind."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flows.report.bar_charts import bars, bars_key
from flows.report.html import Html, cut, element, escape, fold, join, number, short
from flows.report.line_charts import lines
from flows.report.maps import WIDE, heatmap, scatter
from flows.report.panel_charts import panels
from gan.report import Figure

_PICTURE_WIDTH, _PICTURE_HEIGHT = 640, 480
"""Small pictures are magnified by a whole factor to about this many CSS pixels at most."""
_MOST_ROWS = 10
"""A table of more rows is behind its caption; of samples, the rows beyond. Where a table says how
many rows are `shown`, the rows beyond those, and all of it where that is none."""
_LABEL, _CELL = 28, 140
"""Letters of a name beside a value, and of a text in a table."""
_BLOCKS = frozenset("▁▂▃▄▅▆▇█")
"""Of a cell that draws a small line: browsers would break it anywhere."""
_LONGEST_TITLE = 60
"""Letters of a caption's first sentence, where that alone is what a click opens."""
SAMPLES = "samples"
"""The section of the records themselves, which are always in view."""
_MOST_LABELS = 24
"""More labels than this along one side of a picture are left to the caption."""


def figure(item: Figure) -> Html:
    """Return one figure with its caption.

    Raises:
        ValueError: the kind is unknown, or a picture is not base64 text.
    """
    if item.kind not in KINDS:
        msg = f"figure {item.id!r} has kind {item.kind!r}; known are {', '.join(sorted(KINDS))}"
        raise ValueError(msg)
    body = figure_body(item)
    if item.kind == "table":
        shown = _rows_in_view(item)
        if not shown:
            title, rest = _first_sentence(item.caption)
            below = element("figcaption", rest) if rest else None
            return element("figure", fold(title, body, below), class_="figure-folded")
        if item.section != SAMPLES:
            return _on_phones_folded(item, _first_rows(item, shown))
        body = _first_rows(item, shown)
    if item.kind == "scatter":
        return _on_phones_folded(item, body)
    caption = element("figcaption", item.caption)
    wide = " figure-wide" if len(item.data.get("names", ())) > WIDE else ""
    return element("figure", body, caption, class_=f"figure-{item.kind}{wide}")


def _on_phones_folded(item: Figure, body: Html) -> Html:
    """Return a figure with its caption, which phones have behind a click."""
    summary = element("summary", _first_sentence(item.caption)[0])
    caption = element("figcaption", item.caption)
    inner = element("details", summary, body, caption, class_="phone-fold")
    return element("figure", inner, class_=f"figure-{item.kind}")


def _rows_in_view(item: Figure) -> int:
    """Return how many rows of a table are in view; 0 where it is behind its caption."""
    said, rows = item.data.get("shown"), len(item.data["rows"])
    if said is not None:
        return min(int(said), _MOST_ROWS)
    return _MOST_ROWS if rows <= _MOST_ROWS or item.section == SAMPLES else 0


def _first_rows(item: Figure, shown: int) -> Html:
    """Return a table whose rows beyond the first are behind a click."""
    rows = item.data["rows"]
    first = table({**item.data, "rows": rows[:shown]}, item.alt)
    rest = rows[shown:]
    if not rest:
        return first
    more = f"{len(rest):,} more"
    return join(first, fold(more, table({**item.data, "rows": rest}, f"{item.alt}, {more}")))


def _first_sentence(caption: str) -> tuple[str, str]:
    """Return what a click opens, in a few words, and what is said of it below."""
    for sign in (": ", ". "):
        title, found, rest = caption.partition(sign)
        if found and len(title) <= _LONGEST_TITLE:
            return title, f"{rest[:1].upper()}{rest[1:]}"
    return caption, ""


def figure_body(item: Figure) -> Html:
    """Return one figure without its caption."""
    return KINDS[item.kind](item.data, item.alt)


def picture(data: Mapping[str, Any], alt: str) -> Html:
    """Return a PNG as a data URI, with the names of its columns and rows beside it.

    Raises:
        ValueError: `png` is not base64 text.
    """
    try:
        base64.b64decode(data["png"], validate=True)
    except (binascii.Error, ValueError) as error:
        msg = f"a picture's png is not base64 text: {error}"
        raise ValueError(msg) from error
    width, height = int(data["width"]), int(data["height"])
    shown = width * max(1, round(min(_PICTURE_WIDTH / width, _PICTURE_HEIGHT / height)))
    image = element(
        "img",
        src=f"data:image/png;base64,{data['png']}",
        alt=alt,
        width=width,
        height=height,
        class_="magnified" if shown > width else None,
    )
    columns = _labels(data.get("columns", ()), "columns")
    rows = _labels(data.get("rows", ()), "rows")
    corner = element("span") if rows and columns else None
    inner = join(corner, columns, rows, element("div", image, class_="picture-image"))
    names = " with-rows" if rows else ""
    return element("div", inner, class_=f"picture{names}", style=f"max-width:{shown}px")


def table(data: Mapping[str, Any], alt: str) -> Html:
    """Return a table; the first column names the row, numbers stand at the right."""
    rows: Sequence[Sequence[Any]] = data["rows"]
    right = set(data.get("right", ()))
    texts = {index for row in rows for index, cell in enumerate(row) if isinstance(cell, str)} | {0}
    names = [str(name) for name in data["columns"]]
    heads = [
        element("th", short(name), scope="col", class_=_side(left=index in texts - right))
        for index, name in enumerate(names)
    ]
    body = [element("tr", _cells(row, right, texts, names)) for row in rows]
    head = element("thead", element("tr", heads))
    style = "dense cards" if data.get("dense") else "cards"
    return wide(join(head, element("tbody", body)), alt, class_=style)


def wide(rows: Html, label: str, class_: str | None = None) -> Html:
    """Return a table that scrolls by itself where the page is narrower than it."""
    inner = element("table", rows, class_=class_)
    return element("div", inner, class_="wide", role="region", aria_label=label, tabindex="0")


def _cells(
    row: Sequence[Any], right: set[int], texts: set[int], names: Sequence[str]
) -> list[Html]:
    """Return the cells of a row; one without a value stands as the texts of its column do."""
    first, *rest = row
    lefts = [
        index not in right and (isinstance(value, str) or (value is None and index in texts))
        for index, value in enumerate(rest, start=1)
    ]
    return [element("th", _cell(first), scope="row")] + [
        element("td", _cell(value), class_=_side(left=left), data_label=cut(name, _LABEL))
        for value, left, name in zip(rest, lefts, names[1:], strict=True)
    ]


def _side(*, left: bool) -> str | None:
    return None if left else "number"


def _cell(value: Any) -> Html:
    if isinstance(value, str) and _BLOCKS & set(value) and " " not in value:
        return element("span", short(value, _CELL), class_="small-line")
    return short(value, _CELL) if isinstance(value, str) else escape(number(value))


def _labels(names: Sequence[str], side: str) -> Html | None:
    if not names or len(names) > _MOST_LABELS:
        return None
    return element(
        "div", [element("span", short(str(name), _LABEL)) for name in names], class_=side
    )


KINDS: Mapping[str, Callable[[Mapping[str, Any], str], Html]] = {
    "image": picture,
    "lines": lines,
    "bars": bars,
    "table": table,
    "panels": panels,
    "heatmap": heatmap,
    "scatter": scatter,
}


def arranged(items: Sequence[Figure]) -> Html:
    """Return figures, curves side by side where there is room; the key of bars below the last."""
    if not items:
        return Html("")
    bars_at = [index for index, item in enumerate(items) if item.kind == "bars"]
    if not bars_at:
        return element("div", [figure(item) for item in items], class_="figures")
    shown, others = items[: bars_at[-1] + 1], items[bars_at[-1] + 1 :]
    key = bars_key([items[index].data for index in bars_at])
    rest = arranged(others) if others else None
    return join(element("div", [figure(item) for item in shown], class_="figures"), key, rest)
