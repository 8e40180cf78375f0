"""A verdict as it is shown: its words, marks, reasons and metrics, once for every renderer.

The HTML page, the Markdown artifact and the terminal render one `VerdictView`: they decide on
layout and colour, and on nothing that is said.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flows.report.html import interval, number, words
from gan.bounds import Bounds
from gan.metrics.direction import Direction
from gan.report import Aspect, Metric, Outcome, Reason, Report, Verdict
from storage.records.modalities import words_of

VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    "pass": ("Pass", "Every rule of the gate is met."),
    "warn": ("Warn", "No rule blocks, but something is outside a pass bound or cannot be known."),
    "block": ("Block", "At least one rule of the gate blocks this generator."),
}
"""Verdict → its word, and what it means."""
OUTCOMES: Mapping[Outcome, tuple[str, str]] = {
    "block": ("✗", "Blocks"),
    "unknown": ("?", "Unknown"),
    "warn": ("!", "Warns"),
    "alarm": ("▲", "Stands out"),
    "pass": ("✓", "Passes"),
    "reported": ("·", "Not judged"),
}
"""Outcome of one metric → its mark and its word; the worst first."""
DECIDING: frozenset[Outcome] = frozenset({"block", "unknown", "warn"})
UNJUDGED: frozenset[Outcome] = frozenset({"alarm", "reported"})

JUDGED, PUBLISHED_ROWS, LOSSES = "judged", "published_rows", "losses"
GUARANTEE, COPIES = "differential_privacy", "published_copies"
"""Facts of a report: of which records the verdict speaks; beside a published version, what was
re-weighted after it."""
DATA = "data"
"""A fact of a report: the data set that was judged as it is, where there is no generator."""
SAID = frozenset({JUDGED, PUBLISHED_ROWS, LOSSES, GUARANTEE, COPIES})
"""Facts that are said beside the verdict, and nowhere else."""
DIRECTIONS: Mapping[Direction, tuple[str, str]] = {
    "higher": ("↑", "higher is better"),
    "lower": ("↓", "lower is better"),
    "target": ("≈", "the nearer to the ceiling, the better"),
}
"""Direction of a metric → its mark, and what it means."""

NEXT_STEPS: Mapping[Verdict, str] = {
    "block": "a larger training.budget_samples or budget of time (with privacy.epsilon: a larger "
    "one), another generator.preset or more data usually help; "
    "the bounds that it missed are the metrics' own, or those of gate.bounds",
}
"""Verdict → what may change it."""


BoundsOf = Callable[[Metric], Bounds | None]
"""Returns the bounds of a metric in its own units, None for one that is only reported."""


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric as text; what there is not is empty."""

    name: str
    """In words."""
    title: str
    """What it is called in a sentence; its name where it has no other."""
    aspect: Aspect | None
    """None where the report does not say."""
    scope: str
    direction: Direction
    value: str
    interval: str
    ceiling: str
    ceiling_interval: str
    ratio: str
    """Value ÷ ceiling."""
    records: str
    champion: str
    """The champion's value on the same records."""
    passes: str
    """Where it passes, such as `≥ 0.73`; `↑` says that the upper end of the interval decides."""
    blocks: str
    badness: float
    """Grows as it falls behind real data, whatever its direction; compares parts of one metric."""
    used: float | None
    """Share of its pass bound that it uses up: 1 is at the bound, more is past it."""
    outcome: Outcome | None
    """None where the report does not say."""
    why: str
    """Why no rule judges it; empty where one does."""

    @property
    def mark(self) -> str:
        """The mark of the outcome; empty where there is none."""
        return "" if self.outcome is None else OUTCOMES[self.outcome][0]

    @property
    def word(self) -> str:
        """The outcome in words; empty where there is none."""
        return "not judged" if self.outcome in UNJUDGED else self.outcome or ""

    @property
    def part(self) -> str:
        """The class or column that it is about; empty for the whole set."""
        return self.scope.partition("/")[2]


@dataclass(frozen=True, kw_only=True)
class VerdictView:
    """What every renderer says of one report."""

    verdict: Verdict
    """The colour class too."""
    word: str
    headline: str
    """What the verdict means, one sentence."""
    reasons: tuple[Reason, ...]
    """Worst first; every text names its metric."""
    overall: tuple[MetricRow, ...]
    """The metrics of the whole set."""
    of_parts: tuple[MetricRow, ...]
    """The metrics of single classes or columns."""
    part: str
    """What parts are called: class, column."""
    next_step: str
    """What may change the verdict; empty when nothing has to."""
    rows: tuple[str, ...]
    """Of which records it speaks, and what was re-weighted since, a sentence each."""
    losses: tuple[str, ...] = ()
    """What privacy takes from the records, a sentence for each column: no metric shows it."""
    guarantee: Mapping[str, Any] = field(default_factory=dict)
    """Of differential privacy: `short`, `sentences`, `spent`; empty where nothing is guaranteed."""
    copies: Mapping[str, Any] = field(default_factory=dict)
    """Of training records among all that are published: `holds`, `text`, and the counts; empty
    where nothing was published."""

    def first_losses(self, most: int) -> tuple[str, ...]:
        """Return so many of the sentences on what privacy takes, and how many more there are."""
        more = len(self.losses) - most
        return (*self.losses[:most], *((f"{more} more in the report",) if more > 0 else ()))

    def worst_first(self, reasons: Iterable[Reason]) -> list[Reason]:
        """Return reasons in their order, those on parts of one metric the worst part first."""
        badness = {(row.name, row.scope): row.badness for row in self.of_parts}
        places: dict[tuple[str, str], list[Reason]] = {}
        for reason in reasons:
            places.setdefault((reason.metric, reason.outcome), []).append(reason)
        for group in places.values():
            group.sort(key=lambda one: -badness.get((words(one.metric), one.scope), math.inf))
        return [reason for group in places.values() for reason in group]

    @property
    def deciding(self) -> tuple[Reason, ...]:
        """The reasons of rules that are not met, or cannot be known to be."""
        return tuple(reason for reason in self.reasons if reason.outcome in DECIDING)

    @property
    def judged(self) -> tuple[Reason, ...]:
        """The reasons of all rules."""
        return (*self.deciding, *self.passing)

    @property
    def passing(self) -> tuple[Reason, ...]:
        """The reasons of rules that are met."""
        return tuple(reason for reason in self.reasons if reason.outcome == "pass")

    @property
    def alarms(self) -> tuple[Reason, ...]:
        """What no rule judges and stands out."""
        return tuple(reason for reason in self.reasons if reason.outcome == "alarm")

    @property
    def reported(self) -> tuple[Reason, ...]:
        """What else no rule judges."""
        return tuple(reason for reason in self.reasons if reason.outcome == "reported")


ALONE = "1 value that no rule judges stands"


def verdict_view(
    report: Report,
    *,
    champion: Report | None = None,
    bounds_of: BoundsOf = lambda _: None,
) -> VerdictView:
    """Return what is shown of a report.

    Args:
        report: of the candidate.
        champion: on the same records.
        bounds_of: what the gate holds a metric against; without it no bounds are shown.
    """
    theirs = {} if champion is None else {_key(metric): metric for metric in champion.metrics}
    outcomes = outcomes_of(report)
    subjects = {reason.metric: reason for reason in report.reasons if reason.aspect}
    rows = [
        _row(
            metric,
            subjects.get(metric.name),
            theirs.get(_key(metric)),
            bounds_of(metric),
            outcomes.get(_key(metric)),
            _why(metric, report),
        )
        for metric in report.metrics
    ]
    word, headline = VERDICTS[report.verdict]
    if DATA in report.facts:
        headline = headline.replace("this generator", "this data set")
    alarms = sum(reason.outcome == "alarm" for reason in report.reasons)
    if alarms:
        many = f"{alarms} values that no rule judges stand" if alarms > 1 else ALONE
        headline = f"{headline} {many} out."
    judged = str(report.facts.get(JUDGED, ""))
    order = list(OUTCOMES)
    return VerdictView(
        verdict=report.verdict,
        word=word,
        headline=headline,
        reasons=tuple(
            sorted(map(_in_words, report.reasons), key=lambda each: order.index(each.outcome))
        ),
        overall=tuple(row for row in rows if not row.part),
        of_parts=tuple(row for row in rows if row.part),
        part=words_of(report.modality).part,
        next_step="" if DATA in report.facts else NEXT_STEPS.get(report.verdict, ""),
        rows=(*[judged] * bool(judged), *map(str, report.facts.get(PUBLISHED_ROWS, ()))),
        losses=tuple(map(str, report.facts.get(LOSSES, ()))),
        guarantee=report.facts.get(GUARANTEE, {}),
        copies=report.facts.get(COPIES, {}),
    )


def outcomes_of(report: Report) -> Mapping[tuple[str, str], Outcome]:
    """Return what the gate said of every metric that it judges, by name and scope.

    The gate names whatever does not pass, and a metric that passes everywhere once; so a metric it
    judges and does not name here has passed. What no rule judges is named in a scope at least.
    """
    named = {(reason.metric, reason.scope): reason.outcome for reason in report.reasons}
    unjudged = {reason.metric for reason in report.reasons if reason.outcome in UNJUDGED}
    judged = {reason.metric for reason in report.reasons} - unjudged
    reported: dict[tuple[str, str], Outcome] = {
        _key(metric): "reported" for metric in report.metrics if metric.name in unjudged
    }
    passed: dict[tuple[str, str], Outcome] = {
        _key(metric): "pass"
        for metric in report.metrics
        if metric.name in judged and metric.ceiling is not None
    }
    return {**passed, **reported, **named}


def _why(metric: Metric, report: Report) -> str:
    """Return why no rule judges a metric; empty where one does."""
    found = [one for one in report.reasons if one.metric == metric.name and one.outcome in UNJUDGED]
    own = [one for one in found if one.scope == metric.scope]
    plain = [one for one in found if one.outcome == "reported"]
    return next((one.why for one in (*own, *plain, *found)), "")


def _key(metric: Metric) -> tuple[str, str]:
    return metric.name, metric.scope


def _in_words(reason: Reason) -> Reason:
    """Return the reason as a person says it: by the title of its metric, with a subject."""
    if reason.metric not in reason.text and words(reason.metric) not in reason.text:
        subject = reason.title or words(reason.metric)
        return replace(reason, text=f"{subject} ({reason.scope}): {reason.text}")
    if not reason.title:
        return reason
    text = reason.text.replace(f"{reason.metric} of column ", f"{reason.title}, column ", 1)
    text = text.replace(f"{reason.metric} (all) ", f"{reason.title} ", 1)
    return replace(reason, text=text.replace(f"{reason.metric} (", f"{reason.title} (", 1))


def _row(
    metric: Metric,
    subject: Reason | None,
    rival: Metric | None,
    bounds: Bounds | None,
    outcome: Outcome | None,
    why: str,
) -> MetricRow:
    ceiling, ratio = metric.ceiling, metric.ratio
    passes, blocks = ("", "") if bounds is None else _limits(bounds)
    return MetricRow(
        name=words(metric.name),
        title=(subject and subject.title) or words(metric.name),
        aspect=None if subject is None else subject.aspect,
        scope=metric.scope,
        direction=metric.direction,
        value=number(metric.value),
        interval=interval(metric.low, metric.high),
        ceiling="" if ceiling is None else number(ceiling.value),
        ceiling_interval="" if ceiling is None else interval(ceiling.low, ceiling.high),
        ratio="" if ratio is None else number(ratio),
        records=number(metric.n),
        champion="" if rival is None else number(rival.value),
        passes=passes,
        blocks=blocks,
        badness=_badness(metric),
        used=None if bounds is None else _used(metric, bounds),
        outcome=outcome,
        why=why,
    )


def _badness(metric: Metric) -> float:
    value = metric.value if metric.ratio is None else metric.ratio
    if not math.isfinite(value):
        return math.inf
    if metric.direction == "target":
        return abs(value - 1)
    return value if metric.direction == "lower" else -value


def _limits(bounds: Bounds) -> tuple[str, str]:
    """Return where a metric passes and where it blocks, in signs."""
    end = " ↑" if bounds.upper_end else ""
    passes = [f"≥ {number(bounds.pass_low)}"] * math.isfinite(bounds.pass_low)
    passes += [f"≤ {number(bounds.pass_high)}{end}"] * math.isfinite(bounds.pass_high)
    blocks = [f"< {number(bounds.block_low)}"] * math.isfinite(bounds.block_low)
    blocks += [f"> {number(bounds.block_high)}"] * math.isfinite(bounds.block_high)
    return ", ".join(passes), ", ".join(blocks)


def _used(metric: Metric, bounds: Bounds) -> float:
    """Return how much of its pass bound a metric uses up: 1 is at the bound, more is past it."""
    judged = metric.high if bounds.upper_end else metric.value
    used = 0.0
    if math.isfinite(bounds.pass_high) and bounds.pass_high > 0:
        used = judged / bounds.pass_high
    if math.isfinite(bounds.pass_low) and bounds.pass_low > 0:
        used = max(used, bounds.pass_low / judged if judged > 0 else math.inf)
    return used
