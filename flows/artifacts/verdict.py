"""The verdict: reasons on top, then every overall metric beside champion, ceiling and bounds."""

import math
from collections.abc import Sequence

from flows.artifacts.markdown import LONGEST, code, plain, table
from flows.report.metrics import PARTS, outcomes_of
from flows.report.numbers import interval, number, words
from flows.results import Assessed
from gan.gate import Bounds, GateConfig, bounds_of
from gan.report import Event, Metric, Reason, Report

SHOWN_REASONS = 8
SHOWN_EVENTS = 12
SHOWN_PARTS = 5
LONGEST_REASON = 400
MARKS = {"pass": "✓", "warn": "!", "unknown": "?", "block": "✗"}
LEGEND = (
    "✓ passes, ! warns, ? cannot be known, ✗ blocks; the others are only shown. "
    "↑ is the upper end of the interval."
)
ENDS = frozenset({"stop", "choice"})
"""Kinds of events that every training ends with."""


def verdict_markdown(assessed: Assessed, gate: GateConfig, report_page: str) -> str:
    """Return the verdict on the candidate as one page.

    Args:
        assessed: the candidate's report, and the champion's where it is another generator.
        gate: the recipe's bounds.
        report_page: where the whole report is, as a person types it.
    """
    report = assessed.challenger.report
    champion = None if assessed.champion is None else assessed.champion.report
    sections = [
        f"# {report.verdict.upper()}: {report.name}",
        f"Generator {code(report.generator)}. {_standing(assessed)}",
        _reasons(report),
        "## Metrics",
        _metrics(report, champion, gate),
        _worst_parts(report, gate),
        "## Interventions while training",
        _events(report.events),
        f"Report: {code(report_page)}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def verdict_line(report: Report) -> str:
    """Return the verdict and its first reason in a line, for listings."""
    failing = [reason.text for reason in report.reasons if reason.outcome != "pass"]
    more = f", and {len(failing) - 1} more" if len(failing) > 1 else ""
    told = plain(f"{failing[0]}{more}", LONGEST_REASON) if failing else "nothing stands against it"
    return f"**{report.verdict.upper()}** {told}"


def _standing(assessed: Assessed) -> str:
    champion = assessed.standing.champion
    if assessed.is_reigning:
        return "It is the champion."
    if champion is None:
        return "There is no champion yet."
    if assessed.champion is None:
        return f"The champion {code(champion.version)} cannot be judged on today's records."
    verdict = assessed.champion.report.verdict.upper()
    return f"The champion is {code(champion.version)}, today {verdict}."


def _reasons(report: Report) -> str:
    """Return what does not pass, worst first, and the names of what does."""
    failing = [reason for reason in report.reasons if reason.outcome != "pass"]
    lines = [_reason(reason) for reason in failing[:SHOWN_REASONS]]
    if len(failing) > SHOWN_REASONS:
        lines.append(f"- and {len(failing) - SHOWN_REASONS} more in the report")
    passing = [words(reason.metric) for reason in report.reasons if reason.outcome == "pass"]
    if passing:
        lines.append(f"- **pass** {plain(', '.join(dict.fromkeys(passing)))}")
    return "\n".join(lines)


def _reason(reason: Reason) -> str:
    return f"- **{reason.outcome}** {plain(reason.text, LONGEST_REASON)}"


def _metrics(report: Report, champion: Report | None, gate: GateConfig) -> str:
    """Return the metrics of the whole set; those of classes and columns are in the report."""
    theirs = {} if champion is None else {_name(metric): metric for metric in champion.metrics}
    outcomes = outcomes_of(report)
    columns = ["metric", "value (95 % interval)"]
    columns += ["champion"] * bool(theirs) + ["real data", "passes", "blocks"]
    rows = []
    for metric in report.metrics:
        if "/" in metric.scope:
            continue
        rival = theirs.get(_name(metric))
        mark = MARKS.get(outcomes.get(_name(metric), ""), "")
        row = [f"{mark} {words(metric.name)}, {metric.scope}"]
        row.append(f"{number(metric.value)} ({interval(metric.low, metric.high)})")
        row += [number(None if rival is None else rival.value)] * bool(theirs)
        row.append("" if metric.ceiling is None else number(metric.ceiling.value))
        rows.append([*row, *_limits(bounds_of(metric, gate))])
    shown = table(columns, rows, right=range(1, len(columns)))
    rivals = " The champion is judged on the same records." if theirs else ""
    return f"{shown}\n\n{LEGEND}{rivals}"


def _name(metric: Metric) -> tuple[str, str]:
    return metric.name, metric.scope


def _limits(bounds: Bounds | None) -> tuple[str, str]:
    """Return where a metric passes and where it blocks, in signs."""
    if bounds is None:
        return "", ""
    end = " ↑" if bounds.upper_end else ""
    passes = [f"≥ {number(bounds.pass_low)}"] * math.isfinite(bounds.pass_low)
    passes += [f"≤ {number(bounds.pass_high)}{end}"] * math.isfinite(bounds.pass_high)
    blocks = [f"< {number(bounds.block_low)}"] * math.isfinite(bounds.block_low)
    blocks += [f"> {number(bounds.block_high)}"] * math.isfinite(bounds.block_high)
    return ", ".join(passes), ", ".join(blocks)


def _worst_parts(report: Report, gate: GateConfig) -> str:
    """Return the classes or columns that come nearest to their bounds, or are past them."""
    worst: dict[str, tuple[float, Metric, Bounds]] = {}
    for metric in report.metrics:
        _, _, part = metric.scope.partition("/")
        bounds = bounds_of(metric, gate)
        if part and bounds is not None:
            strain = _strain(metric, bounds)
            if part not in worst or strain > worst[part][0]:
                worst[part] = strain, metric, bounds
    if not worst:
        return ""
    chosen = sorted(worst.items(), key=lambda item: item[1][0], reverse=True)[:SHOWN_PARTS]
    plural = {"class": "classes"}.get(_part(report), f"{_part(report)}s")
    lines = [
        f"- **{plain(part, LONGEST)}** {plain(words(metric.name))} {number(metric.value)}, "
        f"passes {plain(_limits(bounds)[0])}"
        for part, (_, metric, bounds) in chosen
    ]
    return "\n".join([f"Worst {plural} of {len(worst):,}:", "", *lines])


def _part(report: Report) -> str:
    return PARTS.get(report.modality, "part")


def _strain(metric: Metric, bounds: Bounds) -> float:
    """Return how much of its pass bound a metric uses up: 1 is at the bound, more is past it."""
    judged = metric.high if bounds.upper_end else metric.value
    used = 0.0
    if math.isfinite(bounds.pass_high) and bounds.pass_high > 0:
        used = judged / bounds.pass_high
    if math.isfinite(bounds.pass_low) and bounds.pass_low > 0:
        used = max(used, bounds.pass_low / judged if judged > 0 else math.inf)
    return used


def _events(events: Sequence[Event]) -> str:
    """Return what the watch did, and below it how the training ended."""
    done = [event for event in events if event.kind not in ENDS]
    lines = [_event(event) for event in done[:SHOWN_EVENTS]] or ["none"]
    if len(done) > SHOWN_EVENTS:
        lines.append(f"- and {len(done) - SHOWN_EVENTS} more in the report")
    ends = "; ".join(plain(event.text, LONGEST_REASON) for event in events if event.kind in ENDS)
    return "\n".join([*lines, *(["", f"The end: {ends}."] if ends else [])])


def _event(event: Event) -> str:
    return f"- at {event.samples_seen:,} samples: {plain(event.text, LONGEST_REASON)}"
