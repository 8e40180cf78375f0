"""A study: the recipe that is tuned, what is tried of it, for how long, and its identity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from flows.errors import RecipeError
from flows.job import Job
from flows.keys import generator_part, reading_part, source_part
from flows.recipe import Recipe, parse_recipe
from flows.train import fit_and_resolve
from gan.config import ALGORITHM_VERSION
from gan.errors import ConfigError
from gan.report import EVALUATION_VERSION
from gan.tuning.knobs import open_knobs
from gan.tuning.result import FinishedTrial, budget_text
from gan.tuning.study import SearchSpace, Settings
from storage.digests import digest_json
from storage.records.modalities import words_of
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.codecs import Codec
    from gan.config import ResolvedConfig

TUNING_VERSION: Final = 2
"""Raised when the same study would try or measure otherwise."""
FEWEST_TRIALS, MOST_TRIALS = 2, 10_000
SHORTEST_TRIAL_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class TuneRequest:
    """How much tuning is asked for."""

    trials: int
    budget_s: float
    """Seconds of training, of all trials together: of processor time, on a GPU of wall time."""

    def __post_init__(self) -> None:
        """Refuse what nothing can be learned from.

        Raises:
            RecipeError: too few trials, or too little time for each.
        """
        if not FEWEST_TRIALS <= self.trials <= MOST_TRIALS:
            msg = (
                f"tuning takes {FEWEST_TRIALS} to {MOST_TRIALS:,} trials, not {self.trials}: the "
                "first one trains the recipe as it is, the others are compared with it"
            )
            raise RecipeError(msg)
        if not (math.isfinite(self.budget_s) and self.trial_s >= SHORTEST_TRIAL_S):
            msg = (
                f"a budget of {self.budget_s:g} s gives each of {self.trials} trials "
                f"{self.trial_s:.3g} s, and a trial needs at least {SHORTEST_TRIAL_S:g} s: raise "
                "the budget or ask for fewer trials"
            )
            raise RecipeError(msg)

    @property
    def trial_s(self) -> float:
        """Seconds of training of one trial."""
        return round(self.budget_s / self.trials, 3)

    @property
    def most(self) -> int:
        """Trials at most, with those that are refused: they cost nothing and come on top."""
        return 2 * self.trials


@dataclass(frozen=True, kw_only=True)
class TuneStudy:
    """What the trials of a recipe have in common."""

    job: Job
    prepared: Prepared
    request: TuneRequest

    @cached_property
    def device(self) -> str:
        """Where the trials train: what is best depends on what a budget buys there.

        Raises:
            ConfigError: CUDA was asked for and is missing.
        """
        from gan.device import choose_device

        return choose_device(self.job.recipe.training.device)

    @property
    def counted(self) -> str:
        """The budget of `training` that a trial has."""
        return "budget_cpu_s" if self.device == "cpu" else "budget_s"

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe with the budget of a trial: processor time, on a GPU wall time.

        So a trial that shares the processor with others is trained as much as one that does not.
        None ends at the targets of `training.until`: all are compared at the same budget. Each is
        trained on one device: what is quick on one is quick on several.
        """
        budget: dict[str, Any] = dict.fromkeys(("budget_samples", "budget_s", "budget_cpu_s"))
        budget |= {self.counted: self.request.trial_s, "until": (), "devices": 1}
        training = self.job.recipe.training.model_copy(update=budget)
        return self.job.recipe.model_copy(update={"training": training})

    @cached_property
    def codec(self) -> "Codec":
        """The codec, the same for every trial.

        Raises:
            ConfigError: the recipe as it is cannot be trained.
        """
        return fit_and_resolve(self.recipe, self.prepared)[0]

    @cached_property
    def space(self) -> SearchSpace:
        """What is tried.

        Raises:
            RecipeError: the recipe leaves nothing open.
            ConfigError: nothing of these records is tuned.
        """
        from gan.modalities import load_modality

        known = load_modality(self.prepared.modality).knobs
        if not known:
            msg = f"{words_of(self.prepared.modality).records} have no settings that tuning tries"
            raise ConfigError(msg)
        found = open_knobs(known, self.recipe.generator, self.recipe.training)
        if not found:
            names = ", ".join(knob.setting for knob in known)
            msg = f"the recipe says all that tuning would try: leave one of {names} at auto"
            raise RecipeError(msg)
        return SearchSpace(knobs=found, resolve=self.resolve)

    def resolve(self, settings: Settings) -> "ResolvedConfig":
        """Return the complete configuration of a trial.

        Raises:
            ConfigError: the settings do not go together.
        """
        from gan.modalities import load_modality

        try:
            recipe = with_settings(self.recipe, settings)
        except RecipeError as error:  # out of the range that the recipe takes
            raise ConfigError(str(error)) from None
        return load_modality(self.prepared.modality).resolve(
            recipe.generator,
            recipe.training,
            self.codec,
            train_rows=self.prepared.rows["train"],
            seed=recipe.seed,
        )

    def check(self) -> None:
        """Check that there is something to try, and that the recipe as it is can be trained.

        Raises:
            RecipeError: the recipe leaves nothing open, or its preset has nothing of that.
            ConfigError: it cannot, or nothing of these records is tuned.
        """
        config = self.space.resolve({})
        if self.space.is_empty(config):
            names = ", ".join(knob.setting for knob in self.space.knobs)
            msg = (
                f"preset {config.preset!r} has nothing of what tuning would try ({names}): leave "
                "generator.preset at auto, or name another"
            )
            raise RecipeError(msg)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides a study, JSON-able: its digest is the key."""
        recipe, prepared = self.recipe, self.prepared
        training = {
            "batch_size": recipe.training.batch_size,
            self.counted: self.request.trial_s,
        }
        return {
            "tuning_version": TUNING_VERSION,
            "algorithm_version": ALGORITHM_VERSION,
            "evaluation_version": EVALUATION_VERSION,
            "source_digest": prepared.source_digest,
            "split_digest": prepared.split_digest,
            "source": source_part(recipe, prepared),
            **reading_part(prepared),
            "generator": generator_part(recipe),
            "training": training,
            "space": self.space.describe(),
            "device": self.device,
            "seed": recipe.seed,
        }

    @cached_property
    def key(self) -> str:
        """The digest of the study."""
        return digest_json(self.identity)

    def cost(self, before: Sequence[FinishedTrial]) -> str:
        """Return what tuning will cost, how much of it is done, and what is tried."""
        asked = self.request
        each, all_ = (
            budget_text(seconds, self.device) for seconds in (asked.trial_s, asked.budget_s)
        )
        done = f"; {len(before)} are done" if before else ""
        tried = ", ".join(knob.setting for knob in self.space.knobs)
        return (
            f"{asked.trials} trials x {each} of training = {all_} on {self.device}{done}; "
            f"preparing, and finishing what is trained, come on top. Tried: {tried}"
        )


def with_settings(recipe: Recipe, settings: Settings) -> Recipe:
    """Return a recipe with settings of a trial.

    Raises:
        RecipeError: a value is out of its range.
    """
    raw = recipe.model_dump(mode="json", exclude_defaults=True)
    for setting, value in settings.items():
        section, _, key = setting.partition(".")
        raw.setdefault(section, {})[key] = value
    return parse_recipe(raw, where="a trial")
