"""Two reports side by side: what each measured, and where they differ by more than chance.

Intervals that do not overlap are called a difference; everything else is none. Each is divided by
what real data reaches in its own evaluation, where that can be. Only what both measured is
compared, and the page says where the two were held against different real records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from flows.report.figures import table
from flows.report.html import Html, element, instant, interval, join, number
from flows.report.lift import EFFECT_COLUMNS, TITLE, lift_view
from flows.report.page import document, section
from flows.report.summary import answers
from flows.report.verdict import DIRECTIONS, OUTCOMES, verdict_view
from gan.report import Metric, Report

Better = Literal["first", "second", "no difference", "different"]
"""`different`: no direction says which of the two is better."""
COLUMNS: Final = ("metric", "on", "first", "second", "real data", "better")
HELD_AGAINST: Final = ("compared_rows", "holdout_rows", "evaluation_seed")
"""Facts that must be equal where two reports speak of the same comparison."""


@dataclass(frozen=True, kw_only=True)
class ComparedMetric:
    """One metric that both reports measured."""

    title: str
    scope: str
    first: Metric
    second: Metric
    better: Better

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table with `COLUMNS`."""
        ceilings = [one.ceiling for one in (self.first, self.second) if one.ceiling is not None]
        reached = dict.fromkeys(number(ceiling.value) for ceiling in ceilings)
        return (
            self.title,
            self.scope,
            _shown(self.first),
            _shown(self.second),
            " and ".join(reached),
            self.better,
        )


@dataclass(frozen=True, kw_only=True)
class ReportComparison:
    """What two reports have in common, and what not."""

    first: Report
    second: Report
    metrics: tuple[ComparedMetric, ...]
    notes: tuple[str, ...]
    """Why the two may not be compared number by number."""

    @property
    def differing(self) -> tuple[ComparedMetric, ...]:
        """The metrics that differ by more than chance."""
        return tuple(one for one in self.metrics if one.better != "no difference")


def compare_reports(first: Report, second: Report) -> ReportComparison:
    """Return two reports side by side, whole sets before classes and columns."""
    theirs = {(metric.name, metric.scope): metric for metric in second.metrics}
    titles = {reason.metric: reason.title for reason in first.reasons if reason.title}
    found = [
        ComparedMetric(
            title=titles.get(metric.name) or metric.name.replace("_", " "),
            scope=metric.scope,
            first=metric,
            second=other,
            better=_better(metric, other),
        )
        for metric in first.metrics
        if (other := theirs.get((metric.name, metric.scope))) is not None
    ]
    found.sort(key=lambda one: "/" in one.scope)
    return ReportComparison(
        first=first, second=second, metrics=tuple(found), notes=_notes(first, second, len(found))
    )


def _better(first: Metric, second: Metric) -> Better:
    """Return whose interval lies apart on the better side, each over what real data reaches."""
    sizes = [1.0, 1.0]
    if first.ratio is not None and second.ratio is not None:
        sizes = [one.ceiling.value for one in (first, second) if one.ceiling is not None]
    lows = [first.low / sizes[0], second.low / sizes[1]]
    highs = [first.high / sizes[0], second.high / sizes[1]]
    if lows[0] <= highs[1] and lows[1] <= highs[0]:
        return "no difference"
    if first.direction == "target":
        if first.ratio is None or second.ratio is None:
            return "different"
        return "first" if abs(first.ratio - 1) < abs(second.ratio - 1) else "second"
    first_is_higher = lows[0] > highs[1]
    return "first" if first_is_higher == (first.direction == "higher") else "second"


def _notes(first: Report, second: Report, common: int) -> tuple[str, ...]:
    notes = []
    if first.modality != second.modality:
        notes.append(f"the first speaks of {first.modality}, the second of {second.modality}")
    for name in HELD_AGAINST:
        one, other = first.facts.get(name), second.facts.get(name)
        if one != other:
            notes.append(f"{name.replace('_', ' ')}: {number(one)} and {number(other)}")
    missing = max(len(first.metrics), len(second.metrics)) - common
    if missing:
        notes.append(f"{missing} metrics were measured of one alone and are left out")
    return tuple(notes)


def _shown(metric: Metric) -> str:
    return f"{number(metric.value)} ({interval(metric.low, metric.high)})"


def render_comparison(names: Sequence[str], found: ReportComparison) -> str:
    """Return the page of a comparison.

    Args:
        names: how the two are called.
        found: the comparison.
    """
    sides = (found.first, found.second)
    head = element(
        "header",
        element("p", "Synthetic data, two reports", class_="eyebrow"),
        element("h1", "First and second"),
        element("p", f"{names[0]} and {names[1]}, in this order.", class_="about"),
    )
    cards = [_card(name, side) for name, side in zip(names, sides, strict=True)]
    notes = [element("li", note) for note in found.notes]
    whole = [one.cells for one in found.metrics if "/" not in one.scope]
    parts = [one.cells for one in found.differing if "/" in one.scope]
    return document(
        f"{names[0]} and {names[1]}",
        head,
        element("section", cards, class_="summary"),
        section("Not alike", element("ul", notes, class_="notes") if notes else None),
        section("Metrics", _table(whole, "Metrics of both") if whole else None),
        section("Classes and columns that differ", _table(parts, "Parts") if parts else None),
        section(TITLE, _helps(sides)),
    )


def _card(name: str, report: Report) -> Html:
    view = verdict_view(report)
    mark = OUTCOMES[view.verdict][0]
    icon = element("span", mark, class_=f"icon is-{view.verdict}", aria_hidden="true")
    lines = [
        element("li", element("b", f"{one.question} "), f"{one.word}. {one.text}")
        for one in answers(view, lift_view(report.lift))
    ]
    return element(
        "div",
        element("h2", name),
        element("p", icon, f" {view.word}", class_="answer"),
        element("p", f"Evaluated {instant(report.created)}.", class_="meaning"),
        element("ul", lines, class_="notes"),
        class_=f"card is-{view.verdict}",
    )


def _table(rows: Sequence[Sequence[str]], label: str) -> Html:
    columns = [column.capitalize() for column in COLUMNS]
    signs = "; ".join(f"{sign} {text}" for sign, text in DIRECTIONS.values())
    key = f"Where one is better, the two intervals do not overlap. {signs}."
    shown = table({"columns": columns, "rows": rows, "right": [2, 3, 4]}, label)
    return join(shown, element("p", key, class_="key"))


def _helps(reports: Sequence[Report]) -> Html:
    """Return what the arms of both change, one line each; the sentences are in the cards."""
    columns = ["data", "answer", *EFFECT_COLUMNS, "in"]
    rows: list[tuple[str, ...]] = []
    for name, report in zip(("First", "Second"), reports, strict=True):
        view = lift_view(report.lift)
        cells = [one.cells for one in view.effects] or [("",) * len(EFFECT_COLUMNS)]
        rows += [(name, view.word, *shown, view.subject) for shown in cells]
    numbers = [columns.index(one) for one in EFFECT_COLUMNS[2:]]
    titles = [column.capitalize() for column in columns]
    return table({"columns": titles, "rows": rows, "right": numbers}, TITLE)
