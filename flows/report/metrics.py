"""The metrics of a report as tables: by what they speak of, and against what real data reaches."""

from collections.abc import Mapping, Sequence
from typing import Final

from flows.report.figures import wide
from flows.report.html import NOTHING, Html, element, fold, folds, join, number, short, words
from flows.report.summary import worst
from flows.report.verdict import (
    DECIDING,
    DIRECTIONS,
    OUTCOMES,
    UNJUDGED,
    MetricRow,
    VerdictView,
)
from gan.report import CEILING_UNIT, Aspect, Figure, Metric, Outcome, Reason

_WORD_COLUMNS = ("Metric", "On", "Gate")
_COLUMNS = (
    "Metric",
    "On",
    "Value",
    "95 % interval",
    "Ceiling",
    "Value ÷ ceiling",
    "Records",
    "Gate",
)
ASPECTS: Final[Mapping[Aspect | None, str]] = {
    "fidelity": "Like real records",
    "usefulness": "Models that learn from them",
    "validity": "Valid records",
    None: "All metrics",
}
"""What metrics speak of, privacy apart → the heading of their table."""
_FEW_PARTS: Final = 4
"""So many classes or columns that miss a rule are in view, the worst first."""
_SCORED: Final[frozenset[Outcome]] = DECIDING | {"pass"}
_SHOWN: Final[frozenset[Outcome | None]] = DECIDING | {"alarm"}


def scores(view: VerdictView) -> Html | None:
    """Return a line for everything metrics speak of but privacy: how many rules are met.

    Metrics that a rule does not find met, or that stand out, follow their line; the others are in
    the charts, and in the tables of `metric_tables`.
    """
    lines = []
    for aspect, heading in ASPECTS.items():
        reasons = [one for one in view.reasons if one.aspect == aspect and one.outcome in _SCORED]
        if reasons:
            lines.append(_score(heading, reasons))
        found = [row for row in view.overall if row.aspect == aspect and row.outcome in _SHOWN]
        parts = [row for row in view.of_parts if row.aspect == aspect and row.outcome in _SHOWN]
        parts.sort(key=lambda row: -row.badness)
        if found or parts:
            shown = [*found, *parts[:_FEW_PARTS]]
            lines.append(metric_table(shown, f"{heading}: not met, unknown or standing out"))
        if len(parts) > _FEW_PARTS:
            more = f"{len(parts) - _FEW_PARTS} more are in the table per {view.part}."
            lines.append(element("p", more, class_="key"))
    tables = any("<table" in line for line in lines)
    inner = join(*lines, explained() if tables else None)
    return element("div", inner, class_="scores") if lines else None


def _score(heading: str, reasons: Sequence[Reason]) -> Html:
    outcome = worst(reasons) or "pass"
    mark = element("span", OUTCOMES[outcome][0], class_=f"icon is-{outcome}", aria_hidden="true")
    said = f"{sum(one.outcome == 'pass' for one in reasons)} of {len(reasons)} rules met"
    return element("p", mark, element("b", heading), element("span", said), class_="score")


def metric_tables(view: VerdictView, *more: Html) -> Html | None:
    """Return every metric but those on privacy as tables, and more, each behind a click."""
    tables = []
    for aspect, heading in ASPECTS.items():
        own = [row for row in view.overall if row.aspect == aspect]
        if own:
            many = f"{len(own)} metrics" if len(own) > 1 else "1 metric"
            table = metric_table(own, heading)
            tables.append(fold(f"{heading}: {many} as a table", table, explained()))
    others = [row for row in view.of_parts if row.aspect != "privacy"]
    if others:
        title = f"Per {view.part}: {len(others)} more metrics"
        table = metric_table(others, f"Metrics per {view.part}")
        tables.append(fold(title, table, explained()))
    return folds(*tables, *more)


def privacy_tables(view: VerdictView) -> tuple[Html, Html | None]:
    """Return what was measured of copies, nearness and membership, and what no rule judges."""
    own = [row for row in (*view.overall, *view.of_parts) if row.aspect == "privacy"]
    facts = [one for one in view.judged if one.aspect == "privacy"]
    named = {words(one.metric) for one in facts} - {row.name for row in own}
    said = [one.text for one in facts if words(one.metric) in named]
    texts = [element("p", f"{text[:1].upper()}{text[1:]}.") for text in said]
    shown, rest = _judged_first(own, "Privacy")
    return join(*texts, shown), rest


def _judged_first(rows: Sequence[MetricRow], label: str) -> tuple[Html | None, Html | None]:
    """Return the rows that a rule judges or that stand out, and the others in a fold."""
    shown = [row for row in rows if row.outcome not in UNJUDGED or row.outcome == "alarm"]
    rest = [row for row in rows if row not in shown]
    count = f"{len(rest)} values that no rule judges" if len(rest) > 1 else "1 value without a rule"
    below = fold(count, metric_table(rest, count)) if rest else None
    return (metric_table(shown, label) if shown else None), below


def metric_table(rows: Sequence[MetricRow], label: str) -> Html:
    """Return metrics as a table; a phone shows each as a card."""
    head = element("tr", [_head(name) for name in _COLUMNS])
    body = [_row(row) for row in rows]
    return wide(join(element("thead", head), element("tbody", body)), label, class_="metrics cards")


def ratio_figure(metrics: Sequence[Metric]) -> Figure | None:
    """Return value ÷ ceiling of every metric of the whole set as `bars`, or None without any."""
    rows: list[dict[str, str | float | None]] = []
    alts: list[str] = []
    for metric in metrics:
        ratio, ceiling = metric.ratio, metric.ceiling
        if ratio is None or ceiling is None or "/" in metric.scope:
            continue
        label = f"{words(metric.name)}, {metric.scope}"
        alts.append(f"{label}: {number(ratio)} of the ceiling")
        low, high = metric.low / ceiling.value, metric.high / ceiling.value
        rows.append({"label": label, "value": ratio, "low": low, "high": high})
    if not rows:
        return None
    return Figure(
        id="ratios",
        section="metrics",
        caption="Every metric of the whole set, divided by what real data reaches.",
        alt="; ".join(alts),
        kind="bars",
        data={"unit": CEILING_UNIT, "bars": rows},
    )


def explained() -> Html:
    """Return what the signs and columns of a table of metrics mean."""
    legend = "; ".join(f"{sign} {text}" for sign, text in DIRECTIONS.values())
    said = (
        f"{legend}. The ceiling is what real data reaches: the same metric between random halves "
        "of real records that training has not seen."
    )
    return element("p", said, class_="key")


def _head(name: str) -> Html:
    numbers = name not in _WORD_COLUMNS
    return element("th", name, scope="col", class_="number" if numbers else None)


def _row(row: MetricRow) -> Html:
    sign, meaning = DIRECTIONS[row.direction]
    arrow = element("span", sign, class_="direction", title=meaning, role="img", aria_label=meaning)
    spread = element("small", f" ({row.ceiling_interval})") if row.ceiling_interval else None
    own = element("small", f" {row.name}") if row.title != row.name else None
    cells = (
        short(row.scope),
        element("b", row.value),
        join(row.interval),
        join(row.ceiling or NOTHING, spread),
        join(row.ratio or NOTHING),
        join(row.records),
        join(_outcome(row)),
    )
    return element(
        "tr",
        element("th", row.title, " ", arrow, own, scope="row"),
        [
            element("td", cell, class_=_class_of(name), data_label=name)
            for name, cell in zip(_COLUMNS[1:], cells, strict=True)
        ],
    )


def _class_of(name: str) -> str | None:
    if name == "Gate":
        return "gate"
    return None if name in _WORD_COLUMNS else "number"


def _outcome(row: MetricRow) -> Html | str:
    """Return what the gate says of a metric; why it says nothing is in the list above, and here."""
    if row.outcome is None:
        return NOTHING
    return element("span", row.word, class_=f"badge is-{row.outcome}", title=row.why or None)
