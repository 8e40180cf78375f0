"""The sections of the page, in the order a reader needs them: the verdict first."""

from collections.abc import Sequence

from flows.report.bars import bars_key
from flows.report.figures import figure
from flows.report.markup import Html, element, join
from flows.report.metrics import metrics_table, ratio_figure
from flows.report.numbers import fact, instant, words
from gan.report import Figure, Outcome, Reason, Report, Verdict

VERDICTS: dict[Verdict, tuple[str, str]] = {
    "pass": ("Pass", "Every rule of the gate is met."),
    "warn": ("Warn", "No rule blocks, but something is outside a pass bound or cannot be known."),
    "block": ("Blocked", "At least one rule of the gate blocks this generator."),
}
OUTCOMES: dict[Outcome, tuple[str, str]] = {
    "block": ("✕", "Blocks"),
    "unknown": ("?", "Unknown"),
    "warn": ("!", "Warns"),
    "pass": ("✓", "Passes"),
}
TITLES = {
    "samples": "Samples",
    "metrics": "Metrics",
    "columns": "Columns",
    "training": "Training",
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
        element(
            "p",
            "Generator ",
            element("code", report.generator),
            f", evaluated {instant(report.created)}",
            class_="about",
        ),
    )


def verdict(report: Report) -> Html:
    """Return the verdict and its reasons, those that decided first, passes last."""
    word, meaning = VERDICTS[report.verdict]
    deciding = [reason for reason in report.reasons if reason.outcome != "pass"]
    deciding.sort(key=lambda reason: list(OUTCOMES).index(reason.outcome))
    passing = [reason for reason in report.reasons if reason.outcome == "pass"]
    return element(
        "section",
        element("h2", _icon(report.verdict), word, class_="verdict-word", id="verdict"),
        element("p", meaning, class_="meaning"),
        _reasons(deciding),
        _passes(passing, few=not deciding and len(passing) <= _FEW),
        class_=f"verdict is-{report.verdict}",
        aria_labelledby="verdict",
    )


def figures(report: Report, name: str) -> Html:
    """Return the figures of one section, without a heading; bars are explained once."""
    return arranged([item for item in report.figures if item.section == name])


def arranged(items: Sequence[Figure]) -> Html:
    """Return figures, curves side by side where there is room."""
    if not items:
        return Html("")
    charts = [item.data for item in items if item.kind == "bars"]
    key = bars_key(charts) if charts else None
    return join(element("div", [figure(item) for item in items], class_="figures"), key)


def samples(report: Report) -> Html | None:
    """Return the pictures of samples, or nothing."""
    return _section(TITLES["samples"], figures(report, "samples"))


def metrics(report: Report) -> Html | None:
    """Return the table of metrics and the bars against the ceiling."""
    own = [item for item in report.figures if item.section == "metrics"]
    ratio = ratio_figure(report.metrics)
    if ratio and not any(item.kind == "bars" for item in own):
        own = [ratio, *own]
    return _section(TITLES["metrics"], join(metrics_table(report), arranged(own)))


def columns(report: Report) -> Html | None:
    """Return what is drawn of single columns and of their pairs, or nothing."""
    return _section(TITLES["columns"], figures(report, "columns"))


def training(report: Report) -> Html | None:
    """Return the training curves, or nothing."""
    return _section(TITLES["training"], figures(report, "training"))


def data(report: Report) -> Html | None:
    """Return figures and notes about the data and the set-up, or nothing."""
    notes = element("ul", [element("li", note) for note in report.notes], class_="notes")
    return _section(TITLES["data"], join(figures(report, "data"), notes if report.notes else None))


def others(report: Report) -> list[Html | None]:
    """Return the sections that later measures add, under their own names."""
    names = dict.fromkeys(item.section for item in report.figures if item.section not in TITLES)
    return [_section(words(name).capitalize(), figures(report, name)) for name in names]


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
    return _section("Events", element("ol", entries, class_="events") if entries else None)


def provenance(report: Report) -> Html:
    """Return which generator, data, seed and software the numbers stand for."""
    facts = {
        "name": report.name,
        "generator": report.generator,
        "snapshot digest": report.snapshot_digest,
        "created": report.created,
        "modality": report.modality,
        "schema": report.schema,
        **{key: report.facts[key] for key in sorted(report.facts)},
    }
    entries = [
        element("div", element("dt", words(str(key))), element("dd", fact(value)))
        for key, value in facts.items()
    ]
    return element("section", element("h2", "Provenance"), element("dl", entries, class_="facts"))


def _section(title: str, content: Html | None) -> Html | None:
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
    """Return one reason; the sentence gets a subject when it does not name its metric itself."""
    subject = f"{words(reason.metric)} ({reason.scope}): "
    named = reason.metric in reason.text or words(reason.metric) in reason.text
    return element(
        "li",
        _icon(reason.outcome),
        element(
            "span",
            element("b", f"{OUTCOMES[reason.outcome][1]} "),
            None if named else subject,
            reason.text,
        ),
    )


def _passes(reasons: Sequence[Reason], *, few: bool) -> Html | None:
    if not reasons:
        return None
    if few:
        return _reasons(reasons)
    count = f"{len(reasons)} rules passed" if len(reasons) > 1 else "1 rule passed"
    return element("details", element("summary", count), _reasons(reasons))
