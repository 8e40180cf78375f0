"""What a person asks for in the UI, on a recipe that is deployed: one stage, or one move."""

from typing import Annotated, Any

from prefect import Flow, flow
from prefect.artifacts import create_markdown_artifact

from flows.announce import announce
from flows.approval import LONGEST_REASON
from flows.errors import BlockedError
from flows.generator_moves import promote_by_hand, roll_back
from flows.job import Job
from flows.single_stages import evaluate_alone, synthesize_alone, train_alone
from flows.tracked import show
from flows.tracked.deployed import open_named, run_name
from flows.tracked.form import RecipeName, titled
from flows.tracked.maintain import maintain_flow
from flows.tracked.stages import tracked_stages
from flows.tracked.survive import in_a_sentence
from storage.errors import IntegrityError
from storage.lake import datasets
from storage.lake.promotions import Promotion

Generator = Annotated[str, titled("Generator version", min_length=1)]
Person = Annotated[str, titled("Your name", min_length=1)]
Reason = Annotated[str, titled("Reason", min_length=1, max_length=LONGEST_REASON)]

SHOWN = 100
"""As many problems of a version are listed in its artifact."""


@flow(name="train", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def train_flow(recipe: RecipeName) -> None:
    """Train the generator of a recipe; it becomes a candidate in the lake.

    Nothing is decided and nothing published: `evaluate` judges it, the next night decides.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    candidate = train_alone(tracked_stages(job))
    trained = "trained" if candidate.trained else "was there already"
    text = (
        f"# Candidate `{job.name}/{candidate.version}`\n\nIt {trained}; run *evaluate* to judge it."
    )
    create_markdown_artifact(text, key=f"{job.name}-candidate")


@flow(name="evaluate", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def evaluate_flow(recipe: RecipeName) -> None:
    """Judge the trained candidate of a recipe on the holdout; decides and publishes nothing.

    The run shows as failed when the verdict is block, with the reasons.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    judged = evaluate_alone(job, tracked_stages(job))
    if judged.judgement.verdict == "block":
        reasons = "; ".join(reason.text for reason in judged.judgement.reasons)
        msg = f"the verdict on {job.name}/{judged.version} is block: {reasons}"
        raise BlockedError(msg)


@flow(name="synthesize", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def synthesize_flow(recipe: RecipeName) -> None:
    """Publish a data set version from the champion of a recipe; trains nothing.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    show.show_outcome(job.name, synthesize_alone(job, tracked_stages(job)))


@flow(name="verify", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def verify_flow(
    recipe: RecipeName, version: Annotated[str | None, titled("Version")] = None
) -> None:
    """Read every file of a published version and name each one that is not as committed.

    The run shows as failed when there is one.

    Args:
        recipe: Name of a deployed recipe, such as `digits`; its data set is read.
        version: Which one; null takes the latest.
    """
    job = open_named(recipe)
    problems = datasets.verify(job.lake, job.name, version)
    of = f"version {version}" if version else "the latest version"
    if not problems:
        job.reporter.say(f"{of} of {job.name} is as it was committed")
        return
    rows = [f"- `{each.key}`: {each.what}" for each in problems[:SHOWN]]
    text = "\n".join([f"# {len(problems)} problems in {of} of {job.name}", "", *rows, ""])
    create_markdown_artifact(text, key=f"{job.name}-problems")
    others = f" (and {len(problems) - 1} more, see the artifact)" if problems[1:] else ""
    msg = f"{of} of {job.name} is damaged: {problems[0].key}: {problems[0].what}{others}"
    raise IntegrityError(msg)


@flow(name="promote", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def promote_flow(recipe: RecipeName, version: Generator, by: Person, reason: Reason) -> None:
    """Make a generator of a recipe champion on a person's word; trains and publishes nothing.

    Where the gate refused the generator this overrides it, and every listing says so.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        version: Of the generator, as the log of its run and `ganmill generators list` show it.
        by: Your name; it goes into the log of promotions.
        reason: Why, in writing; it goes into the log of promotions.
    """
    job = open_named(recipe)
    _tell(job, promote_by_hand(job.lake, job.name, version, by=by, reason=reason))


@flow(name="rollback", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def rollback_flow(
    recipe: RecipeName,
    by: Person,
    reason: Reason,
    version: Annotated[str | None, titled("Generator version")] = None,
) -> None:
    """Make a former champion of a recipe champion again; trains and publishes nothing.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        by: Your name; it goes into the log of promotions.
        reason: Why, in writing; it goes into the log of promotions.
        version: A former champion; null takes the one before today's.
    """
    job = open_named(recipe)
    _tell(job, roll_back(job.lake, job.name, version, by=by, reason=reason))


def _tell(job: Job, record: Promotion) -> None:
    """Show who is champion now, and send the event."""
    announce(job)
    who = f"# Champion `{job.name}/{record.version}`"
    what = f"Record {record.number}: {record.kind} by {record.by}, {record.reason}"
    create_markdown_artifact(f"{who}\n\n{what}\n", key=f"{job.name}-champion")
    job.reporter.say(f"Champion {job.name}/{record.version}; {what}")


ON_DEMAND: tuple[Flow[Any, Any], ...] = (
    train_flow,
    evaluate_flow,
    synthesize_flow,
    promote_flow,
    rollback_flow,
    verify_flow,
    maintain_flow,
)
"""In the order in which the UI's reader meets them in the docs."""
