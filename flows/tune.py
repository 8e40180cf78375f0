"""Which settings make a better generator: trials of a recipe, compared on validation.

A trial trains a candidate for its share of the budget on split train, and its rank is that of the
snapshot which training would keep, by the assessment that chooses it (`Assessment.shared_rank`);
the holdout stays unseen. Tried is what the recipe leaves at `auto`: what it says stays. The first
trial is the recipe as it is.

Every finished trial is an object of the lake (`storage.lake.studies`), so whoever runs the same
study again goes on behind it; a trial that was under way is made again. Processes of one machine
share the trials; on two machines they may make the same one, and the first result stands.
"""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.errors import RecipeError
from flows.job import Job, in_lake, judges_folder
from flows.keys import generator_part, reading_part, source_part
from flows.recipe import Recipe, parse_recipe
from flows.report.tuning import outcome_text, render_tuning, settings_text
from flows.train import fit_and_resolve, gpu_lease
from flows.tune_trial import GivenUp, WatchedTrial
from gan.config import ALGORITHM_VERSION
from gan.errors import ConfigError, TrainingError
from gan.tuning.knobs import open_knobs
from gan.tuning.result import FIRST, FinishedTrial, TuningResult
from gan.tuning.study import SearchSpace, Settings, importance, start
from storage.digests import digest_json
from storage.errors import IntegrityError
from storage.lake.studies import agree_study, put_study_report, put_trial, read_trials
from storage.records.durable import hold_lock
from storage.records.modalities import words_of
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.config import ResolvedConfig
    from gan.protocols import Assess, Codec
    from gan.training.loop import TrainResult

TUNING_VERSION: Final = 1
"""Raised when the same study would try or measure otherwise."""
FEWEST_TRIALS, MOST_TRIALS = 2, 10_000
SHORTEST_TRIAL_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class TuneRequest:
    """How much tuning is asked for."""

    trials: int
    budget_s: float
    """Seconds of training, of all trials together."""

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
        return self.budget_s / self.trials

    @property
    def most(self) -> int:
        """Trials at most, with those that are refused: they cost nothing and come on top."""
        return 2 * self.trials


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came of tuning."""

    result: TuningResult
    page: bytes
    """The report, HTML."""
    report_key: str
    """Of the same page in the lake."""
    made: int
    """Trials that this run made; the lake had the others."""


def tune(job: Job, prepared: Prepared, request: TuneRequest) -> Tuned:
    """Make the trials that the lake has not, and return what all of them found.

    What it will cost is said first.

    Raises:
        RecipeError: the recipe leaves nothing open.
        ConfigError: the recipe cannot be trained, or nothing of its records is tuned.
        DataError: validation is too small to compare anything.
        TrainingError: no trial had a usable snapshot.
        Interrupted: a stop was asked for; finished trials are kept.
        LakeError: the lake failed.
    """
    tuner = Tuner(job=job, prepared=prepared, request=request)
    agree_study(job.lake, tuner.key, tuner.identity)
    made = tuner.make_trials()
    result = tuner.result()
    if result.best is None:
        msg = (
            f"none of {len(result.trials)} trials of {request.trial_s:,.0f} s had a usable "
            "snapshot: raise the budget"
        )
        raise TrainingError(msg)
    page = render_tuning(result).encode()
    return Tuned(
        result=result,
        page=page,
        report_key=put_study_report(job.lake, tuner.key, page),
        made=made,
    )


@dataclass(kw_only=True)
class Tuner:
    """Makes the trials of one study."""

    job: Job
    prepared: Prepared
    request: TuneRequest
    _known: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe with the budget of a trial."""
        budget = {"budget_samples": None, "budget_cpu_s": None, "budget_s": self.request.trial_s}
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

    @cached_property
    def device(self) -> str:
        """Where the trials train: what is best depends on what a budget buys there."""
        from gan.device import choose_device

        return choose_device(self.recipe.training.device)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides a study, JSON-able: its digest is the key."""
        recipe, prepared = self.recipe, self.prepared
        training = {"batch_size": recipe.training.batch_size, "budget_s": self.request.trial_s}
        return {
            "tuning_version": TUNING_VERSION,
            "algorithm_version": ALGORITHM_VERSION,
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

    @property
    def folder(self) -> Path:
        """Of this machine: locks, and the trial under way."""
        return self.job.work / "tuning" / self.key

    @cached_property
    def assess(self) -> "Assess":
        """What measures every trial, on validation.

        Raises:
            DataError: validation is too small to compare anything.
        """
        from gan.modalities import load_modality

        with self.job.reporter.meter("Preparing the assessment", "records"):
            return load_modality(self.prepared.modality).build_assess(
                self.prepared.records["train"],
                self.prepared.records["validation"],
                label=self.prepared.label,
                seed=self.recipe.seed,
                cache=judges_folder(self.job),
            )

    def finished(self) -> list[FinishedTrial]:
        """Return every trial that is over, by number.

        Raises:
            IntegrityError: one cannot be read.
        """
        self._known = read_trials(self.job.lake, self.key, self._known)
        return [self._read(raw) for _, raw in sorted(self._known.items())]

    def _read(self, raw: Mapping[str, Any]) -> FinishedTrial:
        try:
            return FinishedTrial.from_json(raw)
        except (ValueError, KeyError, TypeError) as error:
            msg = (
                f"trial {raw.get('number')} of study {self.key} is of another version of ganmill "
                f"({error!r}); delete it and run again"
            )
            raise IntegrityError(msg) from error

    def result(self) -> TuningResult:
        """Return what the trials so far found."""
        finished = self.finished()
        return TuningResult(
            name=self.job.name,
            study=self.key,
            modality=self.prepared.modality,
            trial_s=self.request.trial_s,
            trials=tuple(finished),
            importance=importance(self.space, finished),
        )

    def make_trials(self) -> int:
        """Make trials until there are as many as asked for, and return how many were made here."""
        job, before = self.job, self.finished()
        job.reporter.say(f"At most {self._cost(before)}")
        if self._is_enough(before):
            return 0
        _ = self.assess
        made = 0
        with gpu_lease(job, self.device), job.stop.asking(), job.spent.using(self.device):
            while not self._is_enough(finished := self.finished()):
                with self._claimed(finished) as number:
                    finished = self.finished()
                    if number in {one.number for one in finished}:
                        continue  # another process made it meanwhile
                    self._say(self._keep(self.make_trial(number, finished)))
                    made += 1
        return made

    def _cost(self, before: Sequence[FinishedTrial]) -> str:
        trials, trial_s = self.request.trials, self.request.trial_s
        done = f"; {len(before)} are done" if before else ""
        tried = ", ".join(knob.setting for knob in self.space.knobs)
        return (
            f"{trials} trials x {trial_s:,.3g} s of training = {trials * trial_s:,.0f} s on "
            f"{self.device}{done}. Tried: {tried}"
        )

    def _is_enough(self, finished: Sequence[FinishedTrial]) -> bool:
        asked = self.request
        return _trained(finished) >= asked.trials or len(finished) >= asked.most

    @contextmanager
    def _claimed(self, finished: Sequence[FinishedTrial]) -> Iterator[int]:
        """Yield the number of a trial that no process of this machine is making.

        Where others are making all that is missing, wait for the first of them: it may be killed.
        """
        done = {one.number for one in finished}
        free = [number for number in range(FIRST, self.request.most + 1) if number not in done]
        missing = self.request.trials - _trained(finished)
        for number in free[:missing]:
            with hold_lock(self._lock(number), wait=False) as held:
                if held:
                    yield number
                    return

        def waiting() -> None:
            self.job.reporter.say("Other processes make the last trials; waiting for them")

        with hold_lock(self._lock(free[0]), on_wait=waiting):
            yield free[0]

    def _lock(self, number: int) -> Path:
        return self.folder / f"{number:08d}.lock"

    def make_trial(self, number: int, finished: Sequence[FinishedTrial]) -> FinishedTrial:
        """Draw the settings of a trial, train with them, and return how it ended.

        Raises:
            ConfigError: the recipe as it is cannot be trained.
            Interrupted: a stop was asked for; nothing of the trial is kept.
        """
        trial = start(self.space, finished, number, self.recipe.seed)
        try:
            config = trial.draw(self.space)
        except ConfigError as error:
            return trial.ended("refused", why=str(error))
        watched = WatchedTrial(trial, self.assess)
        folder = self.folder / f"{number:08d}"
        shutil.rmtree(folder, ignore_errors=True)  # of a trial that was killed
        try:
            return watched.complete(self.train(config, folder, watched))
        except GivenUp:
            return watched.ended("pruned", why="others were better by then")
        except ConfigError as error:
            if number == FIRST:  # the recipe itself is wrong
                raise
            return watched.ended("refused", why=str(error))
        except TrainingError as error:
            return watched.ended("failed", why=str(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def train(self, config: "ResolvedConfig", folder: Path, watched: WatchedTrial) -> "TrainResult":
        """Train with the settings of a trial.

        Raises:
            GivenUp: the others are better.
            TrainingError: training failed.
            Interrupted: a stop was asked for.
        """
        from gan.protocols import Hooks
        from gan.training.loop import train as run_loop

        records, title = self.prepared.records["train"], f"Trial {watched.trial.number}"
        with self.job.reporter.meter(title, "samples") as meter:
            hooks = Hooks(
                assess=watched.measure,
                on_tick=watched.on_tick,
                on_progress=watched.shown_by(meter),
                should_stop=self.job.stop,
            )
            return run_loop(config, self.codec, records, folder, hooks=hooks, device=self.device)

    def _keep(self, ended: FinishedTrial) -> FinishedTrial:
        return self._read(put_trial(self.job.lake, self.key, ended.number, ended.to_json()))

    def _say(self, ended: FinishedTrial) -> None:
        changes = settings_text(ended.settings) or "as the recipe says"
        self.job.reporter.say(f"Trial {ended.number}: {outcome_text(ended)} ({changes})")


def _trained(finished: Sequence[FinishedTrial]) -> int:
    """Return how many of the trials count: those that were refused cost nothing."""
    return sum(one.state != "refused" for one in finished)


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


def tuning_page(job: Job, tuned: Tuned) -> str:
    """Return the report in the lake, as the user would type it."""
    return in_lake(job, tuned.report_key)
