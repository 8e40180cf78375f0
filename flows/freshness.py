"""Whether a generator is to be trained tonight, and the sentence that says why: `training.when`.

changed    when source, split or settings are others than the champion's
interval   when the champion has reached its age; other settings or another split do not wait
always     every night

Due is not the same as trained: what the train key finds in the lake is not trained again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from flows.job import Job
from flows.keys import training_part
from flows.recipe import Recipe
from flows.story import read_story
from storage.lake import promotions
from storage.lake.layout import version_time
from storage.sources.prepare import Prepared


@dataclass(frozen=True, kw_only=True)
class Due:
    """Whether training is due, and why or why not, as one sentence."""

    is_due: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Reigning:
    """The champion, as far as its age and origin go."""

    version: str
    training: Mapping[str, Any]
    """What it was trained on (`flows.keys.training_part`); empty where that was not written."""

    def age_days(self, night: date) -> int:
        """Return its age on a night in days; 0 for one that was made later than that."""
        return max(0, (night - version_time(self.version).date()).days)


def training_due(
    recipe: Recipe, night: date, champion: Reigning | None, today: Mapping[str, Any]
) -> Due:
    """Return whether training is due; pure.

    Args:
        recipe: of the job.
        night: the run's scheduled date.
        champion: None before the first promotion.
        today: what would be trained on now (`flows.keys.training_part`).
    """
    if champion is None:
        return Due(is_due=True, why=f"No generator of {recipe.name} is champion yet: training")
    if recipe.training.when == "always":
        why = f"training.when is always: training a generator of the night {night}"
        return Due(is_due=True, why=why)
    changed = what_changed(champion.training, today)
    if recipe.training.when == "interval" and changed in (None, SOURCE):
        return _by_age(champion, champion.age_days(night), recipe.training.interval_days)
    named = f"champion {champion.version}"
    if changed is None:
        return Due(is_due=False, why=f"Nothing changed since {named} was trained")
    if changed == UNKNOWN:
        return Due(is_due=True, why=f"It is not on record what {named} was trained on: training")
    return Due(is_due=True, why=f"The {changed} changed since {named} was trained: training")


SOURCE, UNKNOWN = "source", "unknown"
_PARTS: Mapping[str, str] = {
    "split_digest": "split rule",
    "algorithm_version": "version of ganmill's algorithms",
}
"""Part of a train key → what it is called; every other one is a setting of the recipe."""


def what_changed(before: Mapping[str, Any], today: Mapping[str, Any]) -> str | None:
    """Return the weightiest difference of two trainings: a setting, split rule, … , the source.

    Returns:
        None when they are equal, UNKNOWN when nothing is known of the first.
    """
    if not before:
        return UNKNOWN
    parts = [part for part in {**before, **today} if before.get(part) != today.get(part)]
    words = {"source" if part == "source_digest" else _PARTS.get(part) for part in parts}
    if None in words:
        return "recipe's settings"
    return min(words, key=lambda word: (word == SOURCE, word), default=None)


def _by_age(champion: Reigning, age_days: int, interval_days: int) -> Due:
    named, left_days = f"Champion {champion.version}", interval_days - age_days
    old = f"{named} is {_days(age_days)} old"
    if left_days <= 0:
        return Due(is_due=True, why=f"{old}, and training is due after {_days(interval_days)}")
    return Due(is_due=False, why=f"{old}; training is due in {_days(left_days)}")


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def due_tonight(job: Job, prepared: Prepared) -> Due:
    """Return whether training is due on this night, by what the lake says of the champion.

    Raises:
        LakeError: the lake failed.
    """
    champion = promotions.champion(job.lake, job.name)
    reigning = None
    if champion is not None:
        story = read_story(job.lake, job.name, champion.version)
        reigning = Reigning(version=champion.version, training=story.training)
    today = training_part(job.recipe, prepared, job.scheduled)
    return training_due(job.recipe, job.scheduled, reigning, today)
