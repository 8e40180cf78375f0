"""The nights of a data set: what its last versions measured, side by side, oldest first.

They are read from the reports that lie beside the versions, and become figures of the newest one:
how near each came to real records, what it did for a downstream model, and which generator made it.
Nothing is measured again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flows.report.html import number
from flows.report.lift import between, lift_view, signed
from flows.report.verdict import VERDICTS
from gan.lift.answer import title_of
from gan.lift.result import Estimate
from gan.report import CEILING_UNIT, Figure, Metric, Report
from storage.errors import ObjectNotFoundError
from storage.lake.datasets import versions
from storage.lake.layout import meta_key
from storage.stores.interface import ObjectStore

SECTION: Final = "nights"
ID: Final = "nights-quality"
"""Of the figure whose first curve is the trend."""
MOST: Final = 14
"""Versions that are read, the newest."""
_MOST_TICKS: Final = 5
_MOST_TIMES: Final = 3
"""Of ticks that say the time of day, too."""
_SHOWN: Final = 3
"""Rows of the table in view, the newest."""
_MOST_CURVES: Final = 4


@dataclass(frozen=True, kw_only=True)
class Night:
    """One version, and the report it was published with."""

    version: str
    report: Report

    def created(self, *, timed: bool = False) -> str:
        """Return when the generator was evaluated: day and month, with `timed` the time, too."""
        try:
            moment = datetime.fromisoformat(self.report.created)
        except ValueError:
            return self.version[:8]
        return f"{moment.day} {moment:%b}{f' {moment:%H:%M}' if timed else ''}"

    @property
    def effect(self) -> Estimate | None:
        """What the records did for a downstream model."""
        lift = self.report.lift
        return None if lift is None or lift.effect is None else lift.effect.effect


def read_nights(lake: ObjectStore, name: str, *, before: str = "") -> tuple[Night, ...]:
    """Return the last versions of a data set that have a report, oldest first.

    Args:
        lake: of the data set.
        name: of the data set.
        before: a version that is left out with all that came after it; empty for all.

    Raises:
        LakeError: the lake failed.
    """
    known = [one.version for one in versions(lake, name)]
    if before in known:
        known = known[: known.index(before)]
    found = []
    for version in known[-MOST:]:
        try:
            report = Report.from_json(lake.get(meta_key(name, version, "report.json")))
        except (ObjectNotFoundError, ValueError, TypeError, KeyError):
            continue  # of another version of ganmill, or damaged: verification says so
        found.append(Night(version=version, report=report))
    return tuple(found)


def nights_figures(nights: Sequence[Night]) -> tuple[Figure, ...]:
    """Return quality, lift and generator over the versions; nothing of a single one."""
    if len(nights) < 2:
        return ()
    found = (_quality(nights), _lift(nights), _table(nights))
    return tuple(figure for figure in found if figure is not None)


def trend_of(report: Report) -> tuple[str, tuple[float, ...]] | None:
    """Return name and values of the first curve over the nights that a report shows."""
    for figure in report.figures:
        if figure.id == ID:
            curve = figure.data["series"][0]
            return str(curve["name"]), tuple(one for one in curve["y"] if one is not None)
    return None


def _quality(nights: Sequence[Night]) -> Figure | None:
    """Return the primary metrics of likeness of every night ÷ what real data reached."""
    curves: dict[str, list[float | None]] = {}
    for place, night in enumerate(nights):
        for title, ratio in _ratios(night.report).items():
            curves.setdefault(title, [None] * len(nights))[place] = ratio
    drawn = dict(list(curves.items())[:_MOST_CURVES])
    if not drawn:
        return None
    return _lines(
        nights,
        ID,
        "Likeness to real records night by night: at 1 it is that of real data. A line marks the "
        "first version of another generator.",
        CEILING_UNIT,
        drawn,
    )


def _ratios(report: Report) -> Mapping[str, float]:
    """Return the primary metrics of likeness of the whole set ÷ ceiling, by name and scope."""
    from gan.modalities import load_modality

    entries = load_modality(report.modality).metrics
    primary = {one.name for one in entries if one.is_primary and one.aspect == "fidelity"}
    found = {}
    for metric in report.metrics:
        if metric.name in primary and "/" not in metric.scope and metric.ratio is not None:
            found[_title(metric)] = metric.ratio
    return found


def _title(metric: Metric) -> str:
    name = metric.name.replace("_", " ")
    return name if metric.scope == "all" else f"{name}, {metric.scope}"


def _lift(nights: Sequence[Night]) -> Figure | None:
    """Return the effect on a downstream model with its interval; None where none was measured."""
    effects = [night.effect for night in nights]
    if not any(effects):
        return None
    columns: dict[str, list[float | None]] = {
        name: [None if one is None else one[index] for one in effects]
        for index, name in enumerate(("effect", "lower end", "upper end"))
    }
    measured = dict.fromkeys(
        title_of(night.report.lift.effect.metric)
        for night in nights
        if night.report.lift is not None and night.report.lift.effect is not None
    )
    unit = f"change of {', '.join(measured)}"
    text = "Does it help, night by night: change of a downstream model with its 95 % interval."
    return _lines(nights, "nights-lift", text, unit, columns, marked=False)


def _lines(
    nights: Sequence[Night],
    name: str,
    caption: str,
    unit: str,
    curves: Mapping[str, Sequence[float | None]],
    *,
    marked: bool = True,
) -> Figure:
    """Return curves over the nights, with a mark where another generator begins."""
    x = [float(index) for index in range(len(nights))]
    last = "; ".join(
        f"{title} {number(values[0])} to {number(values[-1])}" for title, values in curves.items()
    )
    days = [night.created() for night in nights]
    timed = len(set(days)) < len(days)
    times = [night.created(timed=timed) for night in nights]
    step = -(-len(nights) // (_MOST_TIMES if timed else _MOST_TICKS))
    return Figure(
        id=name,
        section=SECTION,
        caption=caption,
        alt=f"{len(nights)} versions. {last}",
        kind="lines",
        data={
            "x_label": "evaluated",
            "y_label": unit,
            "log_y": False,
            "series": [
                {"name": title, "x": x, "y": list(values)} for title, values in curves.items()
            ],
            "marks": [
                {"x": float(place), "text": f"{times[place]}: generator {night.report.generator}"}
                for place, night in enumerate(nights)
                if marked and place and night.report.generator != nights[place - 1].report.generator
            ],
            "ticks": [
                {"at": float(place), "text": times[place]}
                for place in range(len(nights) - 1, -1, -step)
            ][::-1],
        },
    )


def _table(nights: Sequence[Night]) -> Figure:
    titles = list(dict.fromkeys(title for night in nights for title in _ratios(night.report)))
    rows: list[list[Any]] = []
    for night in reversed(nights):
        ratios = _ratios(night.report)
        lift = lift_view(night.report.lift).word
        if night.effect is not None:
            lift = f"{lift}: {signed(night.effect.value)} ({between(night.effect)})"
        word = VERDICTS[night.report.verdict][0].lower()
        shown = [ratios.get(title) for title in titles]
        rows.append([night.version, night.report.generator, word, *shown, lift])
    return Figure(
        id="nights-table",
        section=SECTION,
        caption=f"The last {len(nights)} versions: which generator made each, what the gate said "
        "of it, likeness ÷ ceiling, and whether it helped.",
        alt=f"Table of {len(nights)} versions",
        kind="table",
        data={
            "columns": ["version", "generator", "verdict", *titles, "does it help"],
            "rows": rows,
            "shown": _SHOWN,
        },
    )
