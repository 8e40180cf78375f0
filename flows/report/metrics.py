"""The table of metrics, and the picture of each metric against its ceiling."""

from collections.abc import Mapping, Sequence

from flows.report.bars import CEILING_UNIT
from flows.report.figures import wide
from flows.report.markup import Html, element, join
from flows.report.numbers import NOTHING, interval, number, words
from gan.report import Figure, Metric, Outcome, Report

DIRECTIONS = {
    "higher": ("↑", "higher is better"),
    "lower": ("↓", "lower is better"),
    "target": ("≈", "the nearer to the ceiling, the better"),
}
PARTS: Mapping[str, str] = {"images": "class", "tables": "column"}
"""Modality → what a scope names after its slash."""
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


def metrics_table(report: Report) -> Html | None:
    """Return all metrics: those of the whole set in view, those of one class in a fold."""
    outcomes = outcomes_of(report)
    whole = [metric for metric in report.metrics if "/" not in metric.scope]
    parts = [metric for metric in report.metrics if "/" in metric.scope]
    if not report.metrics:
        return None
    fold = None
    if parts:
        part = PARTS.get(report.modality, "part")
        count = element("summary", f"Per {part}: {len(parts)} more metrics")
        fold = element("details", count, _table(parts, outcomes, f"Metrics per {part}"))
    legend = "; ".join(f"{sign} {text}" for sign, text in DIRECTIONS.values())
    key = (
        f"{legend}. The ceiling is the same metric of real validation records against the "
        "holdout: what real data itself reaches."
    )
    table = _table(whole, outcomes, "Metrics") if whole else None
    return join(table, element("p", key, class_="key"), fold)


def outcomes_of(report: Report) -> Mapping[tuple[str, str], Outcome]:
    """Return what the gate said of every metric that it judges, by name and scope.

    The gate names whatever does not pass, and a metric that passes everywhere once; so a metric it
    judges and does not name here has passed. One without a ceiling is only shown.
    """
    named = {(reason.metric, reason.scope): reason.outcome for reason in report.reasons}
    judged = {reason.metric for reason in report.reasons}
    passed: dict[tuple[str, str], Outcome] = {
        (metric.name, metric.scope): "pass"
        for metric in report.metrics
        if metric.name in judged and metric.ceiling is not None
    }
    return {**passed, **named}


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


def _table(
    metrics: Sequence[Metric], outcomes: Mapping[tuple[str, str], Outcome], label: str
) -> Html:
    head = element("tr", [_head(name) for name in _COLUMNS])
    body = [_row(metric, outcomes.get((metric.name, metric.scope))) for metric in metrics]
    return wide(join(element("thead", head), element("tbody", body)), label, class_="metrics")


def _head(name: str) -> Html:
    numbers = name not in _WORD_COLUMNS
    return element("th", name, scope="col", class_="number" if numbers else None)


def _row(metric: Metric, outcome: Outcome | None) -> Html:
    sign, meaning = DIRECTIONS[metric.direction]
    arrow = element("span", sign, class_="direction", title=meaning, role="img", aria_label=meaning)
    ceiling, ratio = metric.ceiling, metric.ratio
    return element(
        "tr",
        element("th", words(metric.name), " ", arrow, scope="row"),
        element("td", metric.scope),
        element("td", element("b", number(metric.value)), class_="number"),
        element("td", interval(metric.low, metric.high), class_="number"),
        element("td", _ceiling(metric), class_="number"),
        element("td", NOTHING if ceiling is None else number(ratio), class_="number"),
        element("td", number(metric.n), class_="number"),
        element("td", _outcome(outcome)),
    )


def _ceiling(metric: Metric) -> Html | str:
    if metric.ceiling is None:
        return NOTHING
    ends = interval(metric.ceiling.low, metric.ceiling.high)
    return join(number(metric.ceiling.value), element("small", f" ({ends})"))


def _outcome(outcome: Outcome | None) -> Html | str:
    if outcome is None:
        return NOTHING
    return element("span", outcome, class_=f"badge is-{outcome}")
