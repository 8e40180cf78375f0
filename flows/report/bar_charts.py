"""Rows of values against their bounds, as inline SVG and HTML that need no script.

A row shows the value as a dot with its 95 % whisker, the region inside the pass bounds as a
tint and the block bounds as ticks, on an axis that all rows share. The axis is logarithmic when the
values reach beyond ten, and a bound far off the values is not drawn. A row gives its bounds as
`pass_low`, `pass_high`, `block_low` and `block_high`, each a number or null; or, where there is one
of a kind, as `pass_bound` and `block_bound`: a block bound below the pass bound means that more is
better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from flows.report.html import Html, element, fold, interval, join, number, short, words
from flows.report.scales import Scale, finite, linear_scale, log_scale, x_ticks
from gan.report import CEILING_UNIT

_MOST_BARS = 12
"""Rows in view; of more the others are behind a click, which says how many are out of bounds."""
_DECADE = 10.0
_FAR = 100.0
"""A bound more than so many times the largest value is off the axis."""


def bars(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `bars` data (see `gan.report.Figure`).

    An optional `reference` {"value": float, "text": str} draws a line through all rows; in the unit
    of the ceiling there always is one at 1.
    """
    rows: Sequence[Mapping[str, Any]] = data["bars"]
    if not rows:
        return element("p", "No values were recorded.", class_="empty")
    reference = _reference(data)
    scale, unit = _scale(rows, reference), str(data.get("unit", ""))
    shown, rest = _first_rows(rows)
    parts = [
        element(
            "div",
            [_row(row, scale, reference) for row in part],
            _axis(scale, unit),
            class_="bars",
            role="img",
            aria_label=alt,
        )
        for part in (shown, rest)
        if part
    ]
    return join(parts[0], fold(_more(rest), parts[1]) if rest else None)


def _more(rows: Sequence[Mapping[str, Any]]) -> str:
    bad = sum(not _is_calm(row) for row in rows)
    outside = f", {bad:,} of them outside a pass bound" if bad else ""
    return f"{len(rows):,} more{outside}"


def _is_calm(row: Mapping[str, Any]) -> bool:
    return _bounds(row).state(row["value"]) in ("pass", "plain")


def _first_rows(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """Return the rows that are in view, and the rest: those outside a pass bound come first."""
    if len(rows) <= _MOST_BARS:
        return rows, ()
    places = sorted(range(len(rows)), key=lambda place: _is_calm(rows[place]))[:_MOST_BARS]
    shown = [row for place, row in enumerate(rows) if place in places]
    return shown, [row for place, row in enumerate(rows) if place not in places]


def bars_key(figures: Sequence[Mapping[str, Any]]) -> Html:
    """Return the sentence that explains the charts of these `bars` data."""
    rows = [row for data in figures for row in data["bars"]]
    entries = ["dot: the value, with its 95 % interval"]
    bounds = [_bounds(row) for row in rows]
    if finite(bound for one in bounds for bound in (one.pass_low, one.pass_high)):
        entries.append("tinted: inside the pass bounds")
    if finite(bound for one in bounds for bound in (one.block_low, one.block_high)):
        entries.append("thick tick: a block bound")
    references = {reference["text"] for data in figures if (reference := _reference(data))}
    if references:
        entries.append(f"long line: {', '.join(sorted(references))}")
    return element("p", "; ".join(entries) + ".", class_="key")


def _reference(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    known: Mapping[str, Any] | None = data.get("reference")
    if known is None and data.get("unit") == CEILING_UNIT:
        return {"value": 1.0, "text": "the ceiling"}
    return known


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    """The bounds of one row; None where there is none."""

    pass_low: float | None = None
    pass_high: float | None = None
    block_low: float | None = None
    block_high: float | None = None

    @property
    def known(self) -> list[float]:
        """Every bound that there is."""
        return finite([self.pass_low, self.pass_high, self.block_low, self.block_high])

    def state(self, value: float) -> str:
        """Return the colour class of a value: where it stands between the bounds."""
        if not self.known:
            return "plain"
        if _within(value, self.pass_low, self.pass_high):
            return "pass"
        return "warn" if _within(value, self.block_low, self.block_high) else "block"


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _bounds(row: Mapping[str, Any]) -> _Bounds:
    names = [field.name for field in fields(_Bounds)]
    if any(name in row for name in names):
        return _Bounds(**{name: row.get(name) for name in names})
    passing, blocking = row.get("pass_bound"), row.get("block_bound")
    if passing is not None and blocking is not None and blocking < passing:
        return _Bounds(pass_low=passing, block_low=blocking)
    return _Bounds(pass_high=passing, block_high=blocking)


def _scale(rows: Sequence[Mapping[str, Any]], reference: Mapping[str, Any] | None) -> Scale:
    values = finite(row.get(key) for row in rows for key in ("value", "low", "high"))
    values += finite([reference["value"]]) if reference else []
    bounds = [bound for row in rows for bound in _bounds(row).known]
    largest = max((abs(value) for value in values), default=1.0) or 1.0
    values += [bound for bound in bounds if abs(bound) <= _FAR * largest]
    positive = [value for value in values if value > 0]
    wide = bool(positive) and max(positive) > _DECADE * max(min(positive), 1.0)
    if wide and min(values) >= 0:
        floor = max(positive) / 1000
        return log_scale([max(value, floor) for value in positive])
    return linear_scale(values, zero=True)


def _row(row: Mapping[str, Any], scale: Scale, reference: Mapping[str, Any] | None) -> Html:
    value, bounds = row["value"], _bounds(row)
    passes, blocks = (bounds.pass_low, bounds.pass_high), (bounds.block_low, bounds.block_high)
    numbers = join(
        element("b", number(value)),
        " ",
        element("small", interval(row["low"], row["high"])),
    )
    drawing = element(
        "svg",
        _pass_region(bounds, scale),
        element("line", x1="0", x2="100%", y1="50%", y2="50%", class_="grid"),
        _tick(reference["value"], scale, "reference", "0") if reference else None,
        [_tick(bound, scale, "pass-bound", "15%") for bound in finite(passes)],
        [_tick(bound, scale, "block-bound", "15%") for bound in finite(blocks)],
        _whisker(row, scale),
        element(
            "circle", cx=scale.percent(value), cy="50%", r="5", class_=f"dot {bounds.state(value)}"
        )
        if finite([value])
        else None,
        width="100%",
        height="100%",
        overflow="visible",
    )
    return element(
        "div",
        element("div", short(words(str(row["label"]))), class_="bar-label"),
        element("div", numbers, class_="bar-value"),
        element("div", drawing, class_="bar-track"),
        class_="bar-row",
    )


def _pass_region(bounds: _Bounds, scale: Scale) -> Html | None:
    """Tint what lies inside the pass bounds."""
    low, high = bounds.pass_low, bounds.pass_high
    if low is None and high is None:
        return None
    start = 0.0 if low is None else scale.at(low)
    end = 1.0 if high is None else scale.at(high)
    return element(
        "rect",
        x=f"{100 * start:.2f}%",
        width=f"{100 * (end - start):.2f}%",
        y="15%",
        height="70%",
        class_="pass-region",
    )


def _tick(value: float, scale: Scale, name: str, top: str) -> Html | None:
    if not scale.low <= value <= scale.high:
        return None
    place = scale.percent(value)
    bottom = "100%" if top == "0" else "85%"
    return element("line", x1=place, x2=place, y1=top, y2=bottom, class_=name)


def _whisker(row: Mapping[str, Any], scale: Scale) -> Html | None:
    if len(finite([row["low"], row["high"]])) < len(("low", "high")):
        return None
    low, high = scale.percent(row["low"]), scale.percent(row["high"])
    return element("line", x1=low, x2=high, y1="50%", y2="50%", class_="whisker")


def _axis(scale: Scale, unit: str) -> Html:
    return element(
        "div",
        element("div", x_ticks(scale), class_="x-ticks"),
        element("div", short(unit), class_="bar-value axis-label"),
        class_="bar-row bar-axis",
    )
