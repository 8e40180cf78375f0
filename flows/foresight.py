"""What a job will not be able to know, or to publish, said before it trains for hours.

The numbers are the judge's and the rule is the gate's own (`gan.evaluation.foresight`): what is
said here is what the verdict would say of any generator.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING

from flows.errors import BlockedError
from flows.evaluate import options_of, splits_of
from flows.job import Job
from flows.lift import check_models
from flows.recipe import Recipe
from storage.errors import LakeError
from storage.lake import promotions
from storage.records.modalities import MODALITIES
from storage.records.schema import Label
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.evaluation.foresight import Foresight

MARGIN = 1.2
"""A hash gives a class a few records more or less than its fraction."""
MOST_UNSEEN = 0.8
"""Largest part for validation and holdout that is proposed."""
ALONE_HOLDOUT = 0.4
"""Part of a small class that may be held out where the judge compares class by class."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is known before there is a generator."""

    notes: tuple[str, ...] = ()
    """What no verdict will know."""
    obstacle: str | None = None
    """Why nothing can be published by this recipe, and what to do; None where something can."""


def look_ahead(job: Job, prepared: Prepared) -> Outlook:
    """Return what a run of this job will not be able to know or to publish.

    Raises:
        ConfigError: a bound of the gate does not fit the metrics of these records, or
            `lift.models` names a downstream model that there is not.
        DataError: validation or holdout is too small to compare anything.
    """
    if find_spec("torch") is None:
        return Outlook()
    from gan.modalities import load_modality

    recipe = job.recipe
    if recipe.lift.when != "never" and recipe.lift.models != "auto":
        check_models(job, prepared)
    found = load_modality(prepared.modality).foresee(
        splits_of(prepared), options_of(recipe, prepared), recipe.gate
    )
    notes = tuple(reason.text for reason in found.reasons)
    if not found.hidden or not _is_final(job):
        return Outlook(notes=notes)
    why = "; ".join(reason.text for reason in found.reasons if reason.metric in found.hidden)
    obstacle = f"no generator of this recipe can be promoted, so nothing would be published: {why}"
    return Outlook(notes=notes, obstacle=f"{obstacle}; {_remedy(recipe, prepared, found)}")


def check_outlook(job: Job, prepared: Prepared) -> None:
    """Say what will not be known, before a training.

    Raises:
        BlockedError: nothing that is trained can be published.
    """
    outlook = look_ahead(job, prepared)
    if outlook.obstacle is not None:
        raise BlockedError(outlook.obstacle)
    for note in outlook.notes:
        job.reporter.say(f"  {note}")


def _is_final(job: Job) -> bool:
    """Say whether a refusal leaves nobody who publishes: no person is asked, no champion goes on.

    A lake that does not answer may hold a champion.
    """
    if job.recipe.gate.on_reject != "keep-champion":
        return job.recipe.gate.on_reject == "stop"
    try:
        return promotions.champion(job.lake, job.name) is None
    except LakeError:
        return False


def _remedy(recipe: Recipe, prepared: Prepared, found: "Foresight") -> str:
    """Return what a person can do, with the numbers that would be enough."""
    split, judged = recipe.source.split, MODALITIES[prepared.modality].judged_class
    of_classes = any(each.scope != "all" for each in found.reasons if each.metric in found.hidden)
    small = _smallest_class(prepared, judged.holdout) if of_classes else None
    ways = []
    if split.column is not None or split.holdout_uri is not None:
        ways.append("hold out more records")
    elif small is None:
        ways.append("raise source.split.holdout")
    else:
        wanted = ceil(100 * MARGIN * judged.holdout / small[1]) / 100
        if split.holdout < wanted <= MOST_UNSEEN - split.validation:
            ways.append(f"raise source.split.holdout to {wanted:g}")
    if small is None:
        ways.append("bring more records")
    else:
        part = max(split.holdout, ALONE_HOLDOUT) if judged.alone else split.holdout
        needed = ceil(MARGIN * judged.holdout / part)
        ways.append(f"bring more records, of {small[0]!r} about {needed} instead of {small[1]}")
        ways.append("merge or exclude small classes")
    ways.append(
        f"set gate.accept_unknown: true to publish without knowing {' and '.join(found.hidden)}"
    )
    return f"{', '.join(ways)}, or set gate.on_reject to ask, so that a person decides"


def _smallest_class(prepared: Prepared, needed: int) -> tuple[Label, int] | None:
    """Return the smallest class that the holdout has too few records of, and its records."""
    held, totals = dict(prepared.class_counts.get("holdout", ())), dict[Label, int]()
    for counts in prepared.class_counts.values():
        for label, count in counts:
            totals[label] = totals.get(label, 0) + count
    few = [(count, label) for label, count in totals.items() if held.get(label, 0) < needed]
    if len(totals) < 2 or not few:
        return None
    count, label = min(few, key=lambda each: (each[0], str(each[1])))
    return label, count
