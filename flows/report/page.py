"""One report, one HTML file: no script, no request, nothing but text, pictures and style.

The page knows the schema of a report and nothing of modalities: sections stand in the order in
which a reader needs them, the verdict first. Figures are drawn in `figures`; what is said of
verdict and metrics is in `verdict`, what is said of lift in `lift`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from flows.report.figures import arranged, wide
from flows.report.html import (
    NOTHING,
    Html,
    element,
    fact,
    instant,
    join,
    number,
    words,
)
from flows.report.lift import TITLE, LiftView, lift_view
from flows.report.lift_panel import lift_panel
from flows.report.verdict import (
    DATA,
    DIRECTIONS,
    OUTCOMES,
    SAID,
    MetricRow,
    VerdictView,
    verdict_view,
)
from gan.report import CEILING_UNIT, Figure, Metric, Outcome, Reason, Report

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


def metrics_table(view: VerdictView) -> Html | None:
    """Return all metrics: those of the whole set in view, those of one class in a fold."""
    if not view.overall and not view.of_parts:
        return None
    fold = None
    if view.of_parts:
        count = element("summary", f"Per {view.part}: {len(view.of_parts)} more metrics")
        fold = element("details", count, _table(view.of_parts, f"Metrics per {view.part}"))
    legend = "; ".join(f"{sign} {text}" for sign, text in DIRECTIONS.values())
    key = (
        f"{legend}. The ceiling is what real data reaches: the same metric between random halves "
        "of real records that training has not seen."
    )
    table = _table(view.overall, "Metrics") if view.overall else None
    return join(table, element("p", key, class_="key"), fold)


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
        data={
            "unit": CEILING_UNIT,
            "bars": rows,
        },
    )


def _table(rows: Sequence[MetricRow], label: str) -> Html:
    head = element("tr", [_table_head(name) for name in _COLUMNS])
    body = [_row(row) for row in rows]
    return wide(join(element("thead", head), element("tbody", body)), label, class_="metrics")


def _table_head(name: str) -> Html:
    numbers = name not in _WORD_COLUMNS
    return element("th", name, scope="col", class_="number" if numbers else None)


def _row(row: MetricRow) -> Html:
    sign, meaning = DIRECTIONS[row.direction]
    arrow = element("span", sign, class_="direction", title=meaning, role="img", aria_label=meaning)
    spread = element("small", f" ({row.ceiling_interval})") if row.ceiling_interval else None
    return element(
        "tr",
        element("th", row.name, " ", arrow, scope="row"),
        element("td", row.scope),
        element("td", element("b", row.value), class_="number"),
        element("td", row.interval, class_="number"),
        element("td", row.ceiling or NOTHING, spread, class_="number"),
        element("td", row.ratio or NOTHING, class_="number"),
        element("td", row.records, class_="number"),
        element("td", _outcome(row), class_="gate"),
    )


def _outcome(row: MetricRow) -> Html | str:
    """Return what the gate says of a metric; why it says nothing is in the list above, and here."""
    if row.outcome is None:
        return NOTHING
    return element("span", row.word, class_=f"badge is-{row.outcome}", title=row.why or None)


TITLES = {
    "samples": "Samples",
    "metrics": "Metrics",
    "columns": "Columns",
    "training": "Training",
    "inside": "Inside the networks",
    "data": "Data",
}
"""Sections of figures in their order; a section that is not named here follows them."""
_FEW = 8


def header(report: Report, title: str) -> Html:
    """Return the title and what the page is about."""
    return element(
        "header",
        element("p", "Synthetic data report", class_="eyebrow"),
        element("h1", title),
        element("p", _subject(report), f" {instant(report.created)}", class_="about"),
    )


def _subject(report: Report) -> Html:
    """Return what was evaluated: a generator, or a data set as it is."""
    if DATA in report.facts:
        data = element("code", str(report.facts[DATA]))
        return join("Data set ", data, ", judged as it is")
    return join("Generator ", element("code", report.generator), ", evaluated")


def verdict(view: VerdictView, lift: LiftView) -> Html:
    """Return the verdict and its reasons, those that decided first, passes last."""
    few = not view.deciding and len(view.passing) <= _FEW
    next_step = element("p", f"Next: {view.next_step}.", class_="meaning")
    return element(
        "section",
        element("h2", _icon(view.verdict), view.word, class_="verdict-word", id="verdict"),
        element("p", view.headline, class_="meaning"),
        next_step if view.next_step else None,
        [element("p", f"{text}.", class_="meaning") for text in view.rows],
        element("p", f"{TITLE} ", element("a", lift.word, href="#lift"), ".", class_="meaning"),
        _reasons((*view.deciding, *view.alarms)),
        _losses(view.losses),
        _passes(view.passing, few=few),
        _unjudged(view.reported),
        class_=f"verdict is-{view.verdict}",
        aria_labelledby="verdict",
    )


def figures(report: Report, name: str) -> Html:
    """Return the figures of one section, without a heading; bars are explained once."""
    return arranged([item for item in report.figures if item.section == name])


def drawn(report: Report, name: str) -> Html | None:
    """Return a section of figures alone, or nothing."""
    return section(TITLES[name], figures(report, name))


def metrics(report: Report, view: VerdictView) -> Html | None:
    """Return the table of metrics and the bars against the ceiling."""
    own = [item for item in report.figures if item.section == "metrics"]
    ratio = ratio_figure(report.metrics)
    if ratio and not any(item.kind == "bars" for item in own):
        own = [ratio, *own]
    return section(TITLES["metrics"], join(metrics_table(view), arranged(own)))


def data(report: Report) -> Html | None:
    """Return figures and notes about the data and the set-up, or nothing."""
    notes = element("ul", [element("li", note) for note in report.notes], class_="notes")
    return section(TITLES["data"], join(figures(report, "data"), notes if report.notes else None))


def others(report: Report) -> list[Html | None]:
    """Return the sections that later measures add, under their own names."""
    names = dict.fromkeys(item.section for item in report.figures if item.section not in TITLES)
    return [section(words(name).capitalize(), figures(report, name)) for name in names]


def events(report: Report) -> Html | None:
    """Return what happened while training, or nothing."""
    entries = [
        element(
            "li",
            element("span", f"{item.samples_seen:,} samples", class_="when"),
            element("b", words(item.kind)),
            element("span", item.text),
        )
        for item in report.events
    ]
    return section("Events", element("ol", entries, class_="events") if entries else None)


def provenance(report: Report) -> Html:
    """Return which generator, data, seed and software the numbers stand for."""
    facts = {
        "name": report.name,
        "generator": report.generator,
        "snapshot digest": report.snapshot_digest,
        "created": report.created,
        "modality": report.modality,
        "schema": report.schema,
        **{key: report.facts[key] for key in sorted(set(report.facts) - SAID)},
    }
    return fact_list(facts)


def fact_list(facts: Mapping[str, Any]) -> Html:
    """Return names and numbers that say where a page is from; an empty text is left out."""
    entries = [
        element("div", element("dt", words(str(key))), element("dd", fact(value)))
        for key, value in facts.items()
        if value != ""
    ]
    return element("section", element("h2", "Provenance"), element("dl", entries, class_="facts"))


def section(title: str, content: Html | None) -> Html | None:
    """Return content under a heading; nothing without content."""
    if not content:
        return None
    return element("section", element("h2", title), content)


def _icon(outcome: Outcome) -> Html:
    return element("span", OUTCOMES[outcome][0], class_=f"icon is-{outcome}", aria_hidden="true")


def _reasons(reasons: Sequence[Reason]) -> Html | None:
    if not reasons:
        return None
    return element("ul", [_reason(reason) for reason in reasons], class_="reasons")


def _reason(reason: Reason) -> Html:
    lead = element("b", f"{OUTCOMES[reason.outcome][1]} ")
    return element("li", _icon(reason.outcome), element("span", lead, reason.text))


def _passes(reasons: Sequence[Reason], *, few: bool) -> Html | None:
    if not reasons:
        return None
    if few:
        return _reasons(reasons)
    count = f"{len(reasons)} rules passed" if len(reasons) > 1 else "1 rule passed"
    return element("details", element("summary", count), _reasons(reasons))


def _losses(texts: Sequence[str]) -> Html | None:
    """Return what privacy takes from the records; open, as no metric shows it."""
    if not texts:
        return None
    items = [element("li", _icon("alarm"), element("span", text)) for text in texts]
    summary = element("summary", "What privacy takes from the records")
    return element("details", summary, element("ul", items, class_="reasons"), open=True)


def _unjudged(reasons: Sequence[Reason]) -> Html | None:
    """Return what was measured without a rule, each with the sentence why."""
    if not reasons:
        return None
    count = (
        f"{len(reasons)} values that no rule judges"
        if len(reasons) > 1
        else "1 value without a rule"
    )
    return element("details", element("summary", count), _reasons(reasons))


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Even if text ever became markup, a browser would load and run nothing."""


def render(report: Report, *, title: str | None = None) -> str:
    """Return the page of a report; equal reports give equal pages.

    Args:
        report: What was measured.
        title: The heading; the report's name when None.

    Raises:
        ValueError: a figure is of an unknown kind or its picture cannot be read.
    """
    heading, view, lift = title or report.name, verdict_view(report), lift_view(report.lift)
    return document(
        f"{heading}: {view.word.lower()}",
        header(report, heading),
        verdict(view, lift),
        lift_panel(lift),
        drawn(report, "samples"),
        metrics(report, view),
        drawn(report, "columns"),
        drawn(report, "training"),
        drawn(report, "inside"),
        data(report),
        *others(report),
        events(report),
        provenance(report),
    )


def document(title: str, *parts: Html | None) -> str:
    """Return a whole page of these parts; None is nothing."""
    body = element("body", element("main", *parts))
    page = element("html", _page_head(title), body, lang="en")
    return f"<!doctype html>\n{page}\n"


INTERNAL = "Internal edition: shows real records, not to be passed on"


def render_internal(name: str, generator: str, created: str, items: Sequence[Figure]) -> str:
    """Return the internal edition: the figures that show real records, which no report holds.

    Args:
        name: the generator's name.
        generator: its version.
        created: UTC, ISO 8601.
        items: the figures.

    Raises:
        ValueError: a figure is of an unknown kind or its picture cannot be read.
    """
    about = ("Generator ", element("code", generator), f", evaluated {instant(created)}")
    head = element(
        "header",
        element("p", INTERNAL, class_="eyebrow"),
        element("h1", name),
        element("p", about, class_="about"),
    )
    sections = [
        section(words(title).capitalize(), arranged([one for one in items if one.section == title]))
        for title in dict.fromkeys(item.section for item in items)
    ]
    return document(f"{name}: internal edition", head, *sections)


GENERATED = element("meta", name="generator", content="ganmill")
"""How every page says what wrote it."""


def _page_head(title: str) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        GENERATED,
        element("title", title),
        join(element("style", _style())),
    )


@cache
def _style() -> Html:
    """Return the style sheet, our own file, without comments and blank space."""
    text = files("flows.report").joinpath("style.css").read_text(encoding="utf-8")
    return Html(re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip())
