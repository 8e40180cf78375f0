"""The page of a lake as HTML: a card for the newest version of every data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flows.report.html import Html, element, instant, join, number
from flows.report.lift import OUTCOME_OF, TITLE
from flows.report.page import document
from flows.report.scales import BOX
from flows.report.verdict import OUTCOMES, VERDICTS
from gan.report import Outcome
from storage.records.modalities import words_of

_OUTCOMES: Final[dict[str, Outcome]] = {"pass": "pass", "warn": "warn", "block": "block"}


@dataclass(frozen=True, kw_only=True)
class LakeRow:
    """The newest version of one data set, as the page shows it."""

    name: str
    version: str
    created: str
    """When it was committed, UTC, ISO 8601."""
    modality: str
    rows: int
    total_bytes: int
    verdict: str
    overridden: bool
    """Whether a person published it against the gate."""
    helps: str
    """The answer of lift; empty where nothing was measured."""
    report: str
    """Key of its report, relative to the page."""
    preview: str | None
    """A PNG as base64 text."""
    trend: Sequence[float] = ()
    """Likeness of the last versions ÷ what real data reached, oldest first."""
    trend_name: str = ""
    """What was measured."""


def render_lake(rows: Sequence[LakeRow]) -> str:
    """Return the page; the newest version first, equal rows give an equal page."""
    ordered = sorted(rows, key=lambda row: (row.created, row.name), reverse=True)
    count = f"{len(rows):,} data sets" if len(rows) != 1 else "1 data set"
    head = element(
        "header",
        element("p", "Synthetic data", class_="eyebrow"),
        element("h1", "Data sets of this lake"),
        element("p", f"{count}, the newest version of each.", class_="about"),
    )
    cards = element("section", [_card(row) for row in ordered], class_="summary")
    return document("Data sets of this lake", head, cards if rows else _nothing())


def _nothing() -> Html:
    return element("p", "Nothing was published yet.", class_="empty")


def _card(row: LakeRow) -> Html:
    outcome = _OUTCOMES.get(row.verdict, "unknown")
    icon = element("span", OUTCOMES[outcome][0], class_=f"icon is-{outcome}", aria_hidden="true")
    word = next((word for key, (word, _) in VERDICTS.items() if key == row.verdict), "Not judged")
    signed = ", overridden by a person" if row.overridden else ""
    size = f"{row.rows:,} {words_of(row.modality).records}, {row.total_bytes / 2**20:,.1f} MiB"
    return element(
        "div",
        element("h2", element("a", row.name, href=row.report)),
        element("p", icon, f" {word}{signed}", class_="answer"),
        element("p", f"{TITLE} {row.helps or 'not measured'}", class_=_tone(row.helps)),
        element("p", size, class_="meaning"),
        element("p", f"{instant(row.created)}, ", element("code", row.version), class_="meaning"),
        _trend(row),
        _picture(row),
        class_=f"card is-{outcome}",
    )


def _trend(row: LakeRow) -> Html | None:
    """Return the likeness of the last versions as a small line, with its ends in numbers."""
    if len(row.trend) < 2:
        return None
    low, high = min(*row.trend, 1.0), max(*row.trend, 1.0)
    size = (high - low) or 1.0
    points = [
        f"{BOX * place / (len(row.trend) - 1):.0f},{BOX * (1 - (value - low) / size):.0f}"
        for place, value in enumerate(row.trend)
    ]
    real = f"{BOX * (1 - (1.0 - low) / size):.0f}"
    ends = f"{number(row.trend[0])} to {number(row.trend[-1])}"
    text = f"{row.trend_name} ÷ ceiling over {len(row.trend)} versions: {ends}"
    drawing = element(
        "svg",
        element("line", x1="0", x2=BOX, y1=real, y2=real, class_="grid"),
        element("polyline", points=" ".join(points), class_="curve style-0"),
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        role="img",
        aria_label=text,
        class_="trend",
    )
    return join(element("p", text, class_="meaning"), drawing)


def _tone(helps: str) -> str:
    outcome = next((outcome for answer, outcome in OUTCOME_OF.items() if answer == helps), None)
    return f"meaning is-{outcome}" if outcome else "meaning"


def _picture(row: LakeRow) -> Html | None:
    if row.preview is None:
        return None
    source = f"data:image/png;base64,{row.preview}"
    return element("img", src=source, alt=f"Samples of {row.name}", class_="preview")
