"""One report, one HTML file: no script, no request, nothing but text, pictures and style.

The page knows the schema of a report and nothing of modalities: sections stand in the order in
which a reader needs them: four answers, the verdict with its reasons, pictures, numbers, and what
few people look for behind a click. Figures are drawn in `figures`, metrics in `metrics`; what is
said is in `summary`, `verdict` and `lift`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from flows.report.figures import arranged, figure_body
from flows.report.html import Html, element, fact, fold, folds, instant, join, short, words
from flows.report.lift import TITLE, LiftView, lift_view
from flows.report.lift_panel import lift_panel
from flows.report.metrics import metric_tables, privacy_tables, ratio_figure, scores
from flows.report.summary import answers
from flows.report.verdict import DATA, OUTCOMES, SAID, VerdictView, verdict_view
from gan.report import ENDS, Figure, Outcome, Reason, Report

TITLES = {
    "samples": "Samples",
    "columns": "Columns",
    "metrics": "Metrics",
    "privacy": "Privacy",
    "nights": "Nights",
    "training": "Training",
    "inside": "Inside the networks",
    "data": "Data",
}
"""Sections of figures in their order; a section that is not named here follows them."""
_LONGEST_HEADING = 120
_FEW = 8
_FEW_PARTS = 3
"""So many classes or columns are in view where more of them miss one rule."""


def header(report: Report, title: str) -> Html:
    """Return the title and what the page is about."""
    return element(
        "header",
        element("p", "Synthetic data report", class_="eyebrow"),
        element("h1", short(title, _LONGEST_HEADING)),
        element("p", _subject(report), f" {instant(report.created)}", class_="about"),
    )


def _subject(report: Report) -> Html:
    """Return what was evaluated: a generator, or a data set as it is."""
    if DATA in report.facts:
        data = element("code", str(report.facts[DATA]))
        return join("Data set ", data, ", judged as it is")
    return join("Generator ", element("code", report.generator), ", evaluated")


def contents(parts: Sequence[tuple[str, str]]) -> Html | None:
    """Return links to the parts of the page: (id, heading) of each."""
    links = [element("a", short(heading), href=f"#{anchor}") for anchor, heading in parts]
    return element("nav", links, class_="contents", aria_label="Contents")


def summary(view: VerdictView, lift: LiftView) -> Html:
    """Return the four answers, each with the mark of its worst reason."""
    cards = [
        element(
            "div",
            element("h2", element("a", one.question, href=f"#{one.anchor}")),
            element("p", _icon(one.outcome), f" {one.word}", class_="answer"),
            element("p", one.text, class_="meaning"),
            class_=f"card is-{one.outcome}",
        )
        for one in answers(view, lift)
    ]
    return element("section", cards, class_="summary", aria_label="Summary")


def verdict(view: VerdictView) -> Html:
    """Return the verdict and its reasons, those that decided first, passes last."""
    few = not view.deciding and len(view.passing) <= _FEW
    next_step = element("p", f"Next: {view.next_step}.", class_="meaning")
    return element(
        "section",
        element("h2", _icon(view.verdict), view.word, class_="verdict-word", id="verdict"),
        element("p", view.headline, class_="meaning"),
        next_step if view.next_step else None,
        [element("p", f"{text}.", class_="meaning") for text in view.rows[1:]],
        _grouped(view.worst_first((*view.deciding, *view.alarms))),
        _reasons(view.passing) if few else None,
        folds(None if few else _passes(view.passing), _unjudged(view.reported)),
        class_=f"verdict is-{view.verdict}",
        aria_labelledby="verdict",
    )


def figures(report: Report, name: str) -> Html:
    """Return the figures of one section, without a heading; bars are explained once."""
    return arranged([item for item in report.figures if item.section == name])


def drawn(report: Report, name: str, *, folded: bool = False) -> Html | None:
    """Return a section of figures alone, or nothing."""
    return section(TITLES[name], figures(report, name), anchor=name, folded=folded)


def metrics(report: Report, view: VerdictView) -> Html | None:
    """Return the metrics by what they speak of, privacy apart, and the bars."""
    own = [item for item in report.figures if item.section == "metrics"]
    charts = [item for item in own if item.kind != "table"]
    ratio = ratio_figure(report.metrics)
    if ratio and not any(item.kind == "bars" for item in charts):
        charts = [ratio, *charts]
    tables = [item for item in own if item.kind == "table"]
    meanings = [fold(item.caption.rstrip("."), figure_body(item)) for item in tables]
    content = join(scores(view), arranged(charts), metric_tables(view, *meanings))
    return section(TITLES["metrics"], content, anchor="metrics")


def privacy(report: Report, view: VerdictView) -> Html | None:
    """Return what was measured of those whom the records come from, and what is not shown."""
    measured, unjudged = privacy_tables(view)
    if not measured and not unjudged:
        measured = element("p", "Nothing about it was measured.")
    below = folds(unjudged, _losses(view.losses))
    content = join(_guarantee(view), measured, below, figures(report, "privacy"))
    return section(TITLES["privacy"], content, anchor="privacy")


NO_GUARANTEE = (
    "No differential privacy: what was tried is below, and nothing is promised against the rest."
)


def _guarantee(view: VerdictView) -> Html:
    """Return what is guaranteed and spent, and the copies among all published records."""
    said = view.guarantee
    texts = [*said["sentences"], f"{said['spent']}."] if said else [NO_GUARANTEE]
    copies = view.copies
    if copies:
        texts.append(f"Of all that is published: {copies['text']}.")
    return join(*[element("p", text) for text in texts])


def data(report: Report) -> Html | None:
    """Return figures and notes about the data and the set-up, or nothing."""
    notes = element("ul", [element("li", note) for note in report.notes], class_="notes")
    content = join(figures(report, "data"), notes if report.notes else None)
    return section(TITLES["data"], content, anchor="data", folded=True)


def others(report: Report) -> dict[str, tuple[str, Html | None]]:
    """Return the sections that later measures add: anchor → heading and section."""
    names = dict.fromkeys(item.section for item in report.figures if item.section not in TITLES)
    found = {}
    for number, name in enumerate(names):
        anchor, title = f"more-{number}", words(name).capitalize()
        found[anchor] = (title, section(title, figures(report, name), anchor=anchor))
    return found


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
    shown = element("ol", entries, class_="events") if entries else None
    quiet = ENDS | {"machine"}
    return section("Events", shown, folded=all(item.kind in quiet for item in report.events))


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
    inner = element("dl", entries, class_="facts")
    return element("section", fold(element("h2", "Provenance"), inner), class_="folded")


def section(
    title: str, content: Html | None, *, anchor: str | None = None, folded: bool = False
) -> Html | None:
    """Return content under a heading, behind it where it is folded; nothing without content."""
    if not content:
        return None
    heading = element("h2", short(title, _LONGEST_HEADING), id=anchor)
    if not folded:
        return element("section", heading, content)
    return element("section", fold(heading, content), class_="folded")


def _icon(outcome: Outcome) -> Html:
    return element("span", OUTCOMES[outcome][0], class_=f"icon is-{outcome}", aria_hidden="true")


def _reasons(reasons: Sequence[Reason]) -> Html | None:
    if not reasons:
        return None
    return element("ul", [_reason(reason) for reason in reasons], class_="reasons")


def _grouped(reasons: Sequence[Reason]) -> Html | None:
    """Return reasons; of many on parts of one metric the first ones, the others behind a click."""
    if not reasons:
        return None
    groups: dict[tuple[str, str], list[Reason]] = {}
    for reason in reasons:
        groups.setdefault((reason.metric, reason.outcome), []).append(reason)
    items: list[Html] = []
    for group in groups.values():
        first = len(group) if len(group) <= _FEW_PARTS + 1 else _FEW_PARTS
        items += [_reason(reason) for reason in group[:first]]
        if rest := group[first:]:
            said = OUTCOMES[rest[0].outcome][1].lower()
            title = f"{len(rest)} more of {rest[0].title or words(rest[0].metric)}: {said}"
            items.append(element("li", fold(title, _reasons(rest)), class_="more"))
    return element("ul", items, class_="reasons")


def _reason(reason: Reason) -> Html:
    lead = element("b", f"{OUTCOMES[reason.outcome][1]} ")
    return element("li", _icon(reason.outcome), element("span", lead, reason.text))


def _passes(reasons: Sequence[Reason]) -> Html | None:
    if not reasons:
        return None
    count = f"{len(reasons)} rules passed" if len(reasons) > 1 else "1 rule passed"
    return fold(count, _reasons(reasons))


def _losses(texts: Sequence[str]) -> Html | None:
    """Return what privacy takes from the records, as the first answer says in short."""
    if not texts:
        return None
    items = [element("li", _icon("alarm"), element("span", text)) for text in texts]
    title = f"What privacy takes from the records: {len(texts)} columns or groups of them"
    return fold(title, element("ul", items, class_="reasons"))


def _unjudged(reasons: Sequence[Reason]) -> Html | None:
    """Return what was measured without a rule, each with the sentence why."""
    if not reasons:
        return None
    many = f"{len(reasons)} values that no rule judges"
    return fold(many if len(reasons) > 1 else "1 value without a rule", _reasons(reasons))


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
    parts = {
        "verdict": ("Verdict", verdict(view)),
        "samples": ("Samples", drawn(report, "samples")),
        "columns": ("Columns", drawn(report, "columns")),
        "metrics": ("Metrics", metrics(report, view)),
        "privacy": ("Privacy", privacy(report, view)),
        "lift": (TITLE, lift_panel(lift)),
        "nights": ("Nights", drawn(report, "nights")),
        **others(report),
    }
    last = {
        "training": ("Training", drawn(report, "training", folded=True)),
        "inside": ("Inside", drawn(report, "inside", folded=True)),
        "data": ("Data", data(report)),
    }
    shown = [(anchor, word) for anchor, (word, part) in (parts | last).items() if part]
    return document(
        f"{heading}: {view.word.lower()}",
        header(report, heading),
        contents(shown),
        summary(view, lift),
        *(part for _, part in parts.values()),
        element(
            "div",
            [part for _, part in last.values()],
            events(report),
            provenance(report),
            class_="folds last",
        ),
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
