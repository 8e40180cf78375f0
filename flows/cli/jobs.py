"""The commands that run a recipe, the whole job or one stage, and the screenful at its end."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from flows.cli.output import Output
from flows.errors import BLOCKED, DONE
from flows.job import Job, Outcome, Published, cost_text, opened
from flows.nightly import (
    evaluate_alone,
    find_finished,
    nightly,
    plain_stages,
    synthesize_alone,
    train_alone,
)
from flows.prefect_defaults import apply_defaults
from flows.progress import records_word, shards_words
from flows.recipe import Recipe, load_recipe
from flows.report.html import words
from flows.report.lift import EFFECT_COLUMNS, TITLE, LiftView, lift_view
from flows.report.verdict import NEXT_STEPS, OUTCOMES, MetricRow, verdict_view
from gan.lift.result import lift_record
from gan.report import Outcome as GateOutcome
from gan.report import Report, Verdict
from storage.lake.announce import has_pending

STYLES: dict[Verdict, str] = {"pass": "bold green", "warn": "bold yellow", "block": "bold red"}
SHOWN_REASONS = 6
SHOWN_CLASSES = 20
METRIC_COLUMNS = ("metric", "on", "value", "95 % interval", "real data", "value / real", "gate")


def show_outcome(outcome: Outcome, output: Output, *, next_seed: int) -> None:
    """Write verdict, reasons, numbers, and how to read what was published."""
    output.line()
    show_verdict(outcome.report, output, headline=_headline(outcome), reason=outcome.reason)
    output.line()
    if outcome.published is not None:
        _show_published(outcome.published, records_word(outcome.report.modality), output)
    output.line(f"Report    {outcome.report_page}")
    output.line(f"Cost      {cost_text(outcome.cost)}")
    for text in next_steps(outcome, next_seed):
        output.line(f"Next      {text}")


def show_verdict(report: Report, output: Output, *, headline: str, reason: str = "") -> None:
    """Write the verdict, its reasons and the overall metrics; the rest is in the report."""
    view = verdict_view(report)
    output.line(f"{view.word.upper()}  {headline}", STYLES[view.verdict])
    if reason:
        output.line(f"      {reason}")
    judged = (*view.deciding, *view.passing)
    for each in (*judged[:SHOWN_REASONS], *view.alarms):
        output.line(f"    {OUTCOMES[each.outcome][0]} {each.text}")
    if len(judged) > SHOWN_REASONS:
        output.line(f"      and {len(judged) - SHOWN_REASONS} more in the report")
    output.line()
    show_lift(lift_view(report.lift), output)
    output.line()
    output.table(METRIC_COLUMNS, [_metric_cells(row) for row in view.overall])
    for each in view.reported:
        output.line(f"    {OUTCOMES[each.outcome][0]} {words(each.metric)}: not judged: {each.why}")
    for text in view.rows:
        output.line(f"    {text}")
    for text in view.first_losses(SHOWN_REASONS):
        output.line(f"    privacy takes: {text}")


LIFT_STYLES: dict[GateOutcome, str] = {
    "pass": "bold green",
    "block": "bold red",
    "unknown": "bold yellow",
    "reported": "bold",
}


def show_lift(view: LiftView, output: Output) -> None:
    """Write whether the records help, with the best free remedy first where it wins."""
    style = None if view.outcome is None else LIFT_STYLES[view.outcome]
    output.line(f"{TITLE}  {view.word.upper()}", style)
    output.line(f"      {view.text}")
    if view.effects:
        output.table(EFFECT_COLUMNS, [row.cells for row in view.effects])
        output.line(f"    {view.subject}; {view.price}")


def _metric_cells(row: MetricRow) -> tuple[str, ...]:
    gate = f"{row.mark} {row.word}" if row.outcome else ""
    return row.name, row.scope, row.value, row.interval, row.ceiling, row.ratio, gate


def _headline(outcome: Outcome) -> str:
    if outcome.status == "blocked":
        return f"{outcome.name}: nothing was published"
    if outcome.status == "present":
        return f"{outcome.name}: everything was done before"
    if outcome.choice == "kept":
        return f"{outcome.name}: published from champion {outcome.generator}"
    return f"{outcome.name}: published from generator {outcome.generator}"


def _show_published(published: Published, word: str, output: Output) -> None:
    size = f"{published.total_bytes / 2**20:,.1f} MiB"
    output.line(f"Data set  {published.rows:,} {word} in {shards_words(published.shards)}, {size}")
    counts = published.class_counts
    if 0 < len(counts) <= SHOWN_CLASSES:
        output.line("          " + ", ".join(f"{label}: {count:,}" for label, count in counts))
    for text in published.composition:
        output.line(f"          {text}")
    output.line(f"Version   {published.version}")
    for lead, line in zip_longest(("Read it   ",), published.reading, fillvalue=" " * 10):
        output.line(lead + line, "bold")


def next_steps(outcome: Outcome, next_seed: int) -> list[str]:
    """Return what a newcomer may want to do now."""
    if outcome.status == "blocked":
        look = "open the report: it shows every number beside what real data reaches"
        return [look, *(text for text in (NEXT_STEPS.get(outcome.verdict),) if text)]
    name = outcome.name
    return [
        f"ganmill datasets show {name}",
        f"another version beside this one: run again with --set synthesis.seed={next_seed}",
    ]


def run_job(
    path: Path, changes: Sequence[str], *, track: bool, api_url: str | None, as_json: bool
) -> int:
    """Do the whole job; as a flow run where `track` or a Prefect API says so."""
    recipe = load_recipe(path, changes)
    with opened(recipe) as job:
        if track or api_url:
            outcome = _tracked(job, api_url or None)
        else:
            outcome = nightly(job, plain_stages(job))
    return _finish(recipe, outcome, as_json=as_json)


def train_only(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Train, and leave the candidate in the lake."""
    with opened(load_recipe(path, changes)) as job:
        candidate = train_alone(plain_stages(job))
    output = Output()
    if as_json:
        found = {"name": job.name, "version": candidate.version, "trained": candidate.trained}
        output.json(found | {"snapshot_digest": candidate.snapshot_digest})
        return DONE
    output.line(f"Candidate {job.name}/{candidate.version} is in {job.recipe.output.lake}")
    output.line(f"Next      ganmill evaluate {path}")
    return DONE


def evaluate_only(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Judge the candidate of a recipe; its report is stored, no decision is made."""
    with opened(load_recipe(path, changes)) as job:
        judged = evaluate_alone(job, plain_stages(job))
    output, verdict = Output(), judged.judgement.verdict
    if as_json:
        output.json(
            {
                "name": job.name,
                "version": judged.version,
                "verdict": verdict,
                "reasons": [reason.text for reason in judged.judgement.reasons],
                "lift": lift_record(judged.lift),
                "report_digest": judged.report_digest,
            }
        )
    else:
        show_verdict(judged.report, output, headline=f"{job.name}/{judged.version}")
    return BLOCKED if verdict == "block" else DONE


def synthesize_only(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Publish a version from the champion of the recipe's name."""
    recipe = load_recipe(path, changes)
    with opened(recipe) as job:
        outcome = synthesize_alone(job, plain_stages(job))
    return _finish(recipe, outcome, as_json=as_json)


def _tracked(job: Job, api_url: str | None) -> Outcome:
    """Run as a flow run, unless there is nothing to do: no server is started for that."""
    to_announce = api_url is not None and has_pending(job.lake, job.name)
    finished = None if to_announce else find_finished(job, plain_stages(job))
    if finished is not None:
        return finished
    apply_defaults(api_url)
    job.reporter.say("Starting Prefect ...")
    from flows.tracked.nightly import run_tracked

    return run_tracked(job)


def _finish(recipe: Recipe, outcome: Outcome, *, as_json: bool) -> int:
    output = Output()
    if as_json:
        output.json(outcome.to_json())
    else:
        seed = recipe.synthesis.seed
        show_outcome(outcome, output, next_seed=0 if seed == "night" else seed + 1)
    return BLOCKED if outcome.status == "blocked" else DONE
