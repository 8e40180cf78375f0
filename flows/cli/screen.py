"""The screenful at the end of a job."""

from collections.abc import Sequence
from itertools import islice, zip_longest

from flows.cli.output import Output
from flows.cost import cost_text
from flows.outcome import Outcome, Published
from flows.words import records_word
from gan.report import Metric, Verdict

VERDICTS: dict[Verdict, tuple[str, str]] = {
    "pass": ("PASS", "bold green"),
    "warn": ("WARN", "bold yellow"),
    "block": ("BLOCK", "bold red"),
}
SHOWN_REASONS = 6
SHOWN_CLASSES = 20
METRIC_COLUMNS = ("metric", "on", "value", "95 % interval", "real data", "value / real")


def show_outcome(outcome: Outcome, output: Output, *, next_seed: int) -> None:
    """Write verdict, reasons, numbers, and how to read what was published."""
    word, style = VERDICTS[outcome.verdict]
    output.line()
    output.line(f"{word}  {_headline(outcome)}", style)
    output.line(f"      {outcome.reason}")
    _show_reasons(outcome, output)
    output.line()
    show_metrics(outcome.report.metrics, output)
    output.line()
    if outcome.published is not None:
        _show_published(outcome.published, records_word(outcome.report.modality), output)
    output.line(f"Report    {outcome.report_page}")
    output.line(f"Cost      {cost_text(outcome.cost.to_json())}")
    for text in next_steps(outcome, next_seed):
        output.line(f"Next      {text}")


def show_metrics(metrics: Sequence[Metric], output: Output) -> None:
    """Write the overall metrics; those of single classes are in the report."""
    overall = [metric for metric in metrics if "/" not in metric.scope]
    output.table(METRIC_COLUMNS, [_metric_row(metric) for metric in overall])


def _headline(outcome: Outcome) -> str:
    if outcome.status == "blocked":
        return f"{outcome.name}: nothing was published"
    if outcome.status == "present":
        return f"{outcome.name}: everything was done before"
    if outcome.choice == "kept":
        return f"{outcome.name}: published from champion {outcome.generator}"
    return f"{outcome.name}: published from generator {outcome.generator}"


def _show_reasons(outcome: Outcome, output: Output) -> None:
    marks = {"block": "✗", "unknown": "?", "warn": "!", "pass": "✓"}
    reasons = outcome.report.reasons
    for reason in islice(reasons, SHOWN_REASONS):
        output.line(f"    {marks[reason.outcome]} {reason.text}")
    if len(reasons) > SHOWN_REASONS:
        output.line(f"      and {len(reasons) - SHOWN_REASONS} more in the report")


def _metric_row(metric: Metric) -> tuple[str, ...]:
    ceiling, ratio = metric.ceiling, metric.ratio
    return (
        metric.name.replace("_", " "),
        metric.scope,
        f"{metric.value:.3f}",
        f"{metric.low:.3f} to {metric.high:.3f}",
        "" if ceiling is None else f"{ceiling.value:.3f}",
        "" if ratio is None else f"{ratio:.2f}",
    )


def _show_published(published: Published, word: str, output: Output) -> None:
    size = f"{published.total_bytes / 2**20:,.1f} MiB"
    output.line(f"Data set  {published.rows:,} {word} in {published.shards} shards, {size}")
    counts = published.class_counts
    if 0 < len(counts) <= SHOWN_CLASSES:
        output.line("          " + ", ".join(f"{label}: {count:,}" for label, count in counts))
    output.line(f"Version   {published.version}")
    for lead, line in zip_longest(("Read it   ",), published.reading, fillvalue=" " * 10):
        output.line(lead + line, "bold")


def next_steps(outcome: Outcome, next_seed: int) -> list[str]:
    """Return what a newcomer may want to do now."""
    if outcome.status == "blocked":
        return [
            "open the report: it shows which number failed, beside what real data reaches",
            "more training.budget_samples or more data usually help; gate.* holds the bounds",
        ]
    name = outcome.name
    return [
        f"ganmill datasets show {name}",
        f"another version beside this one: run again with --set synthesis.seed={next_seed}",
    ]
