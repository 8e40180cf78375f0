"""Which settings make a better generator: trials of a recipe, compared on validation.

A trial trains a candidate for its share of the budget on split train, and its rank is that of the
snapshot which training would keep, by the assessment that chooses it (`Assessment.shared_rank`);
the holdout stays unseen. Tried is what the recipe leaves at `auto`: what it says stays. The first
trial is the recipe as it is.

Every finished trial is an object of the lake (`storage.lake.studies`), so whoever runs the same
study again goes on behind it; a trial that was under way is made again. Processes of one machine
share the trials; on two machines they may make the same one, and the first result stands.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.job import Job, in_lake, judges_folder
from flows.report.tuning import outcome_text, render_tuning, settings_text
from flows.train import gpu_lease
from flows.tune_study import TuneRequest, TuneStudy
from flows.tune_trial import GivenUp, WatchedTrial
from gan.errors import ConfigError, MemoryLimitError, TrainingError
from gan.tuning.result import FIRST, FinishedTrial, TuningResult
from gan.tuning.study import Exhausted, importance, start
from storage.errors import IntegrityError
from storage.lake.studies import agree_study, put_study_report, put_trial, read_trials
from storage.records.durable import hold_lock
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.config import ResolvedConfig
    from gan.protocols import Assess
    from gan.training.result import TrainResult


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
        TrainingError: no trial had a usable snapshot, or this machine has too little memory.
        Interrupted: a stop was asked for; finished trials are kept.
        LakeError: the lake failed.
    """
    if job.recipe.privacy.epsilon is not None:
        msg = (
            "privacy.epsilon is set, and every trial of a tuning would spend it once more: tune "
            "on data that may be looked at, or set it to null"
        )
        raise ConfigError(msg)
    study = TuneStudy(job=job, prepared=prepared, request=request)
    study.check()
    agree_study(job.lake, study.key, study.identity)
    tuner = Tuner(study=study)
    made = tuner.make_trials()
    result = tuner.result()
    if result.best is None:
        msg = (
            f"none of {len(result.trials)} trials of {result.budget} had a usable snapshot: raise "
            "the budget"
        )
        raise TrainingError(msg)
    page = render_tuning(result).encode()
    return Tuned(
        result=result,
        page=page,
        report_key=put_study_report(job.lake, study.key, page),
        made=made,
    )


@dataclass(kw_only=True)
class Tuner:
    """Makes the trials of one study."""

    study: TuneStudy
    _known: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def job(self) -> Job:
        """Whose recipe is tuned."""
        return self.study.job

    @property
    def prepared(self) -> Prepared:
        """Its records."""
        return self.study.prepared

    @property
    def key(self) -> str:
        """The digest of the study."""
        return self.study.key

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
                seed=self.study.recipe.seed,
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
            device=self.study.device,
            trial_s=self.study.request.trial_s,
            trials=tuple(finished),
            importance=importance(self.study.space, finished),
        )

    def make_trials(self) -> int:
        """Make trials until there are as many as asked for, and return how many were made here."""
        study, job, before = self.study, self.job, self.finished()
        job.reporter.say(f"About {study.cost(before)}")
        if self._is_enough(before):
            return 0
        _ = self.assess
        made = 0
        while not self._is_enough(finished := self.finished()):
            with self._claimed(finished) as number:
                finished = self.finished()
                if number in {one.number for one in finished}:
                    continue  # another process made it meanwhile
                try:
                    with gpu_lease(job, study.device), job.spent.using(study.device):
                        ended = self.make_trial(number, finished)
                except Exhausted as error:
                    job.reporter.say(f"No trial {number}: {error}; tuning ends here")
                    break
                self._say(self._keep(ended))
                made += 1
        return made

    def _is_enough(self, finished: Sequence[FinishedTrial]) -> bool:
        asked = self.study.request
        return _trained(finished) >= asked.trials or len(finished) >= asked.most

    @contextmanager
    def _claimed(self, finished: Sequence[FinishedTrial]) -> Iterator[int]:
        """Yield the number of a trial that no process of this machine is making.

        Where others are making all that is missing, wait for the first of them: it may be killed.
        """
        done = {one.number for one in finished}
        free = [
            number for number in range(FIRST, self.study.request.most + 1) if number not in done
        ]
        missing = self.study.request.trials - _trained(finished)
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
            Exhausted: nothing is left to try.
            MemoryLimitError: this machine has too little memory now; nothing of the trial is kept.
            Interrupted: a stop was asked for; nothing of the trial is kept.
        """
        trial = start(self.study.space, finished, number, self.study.recipe.seed)
        try:
            config = trial.draw(self.study.space)
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
        except MemoryLimitError:  # says something of this machine, not of the settings
            raise
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
        job = self.job
        with job.reporter.meter(title, "samples") as meter, job.stop.asking():
            hooks = Hooks(
                assess=watched.measure,
                on_tick=watched.on_tick,
                on_progress=watched.shown_by(meter),
                should_stop=job.stop,
            )
            return run_loop(
                config, self.study.codec, records, folder, hooks=hooks, device=self.study.device
            )

    def _keep(self, ended: FinishedTrial) -> FinishedTrial:
        return self._read(put_trial(self.job.lake, self.key, ended.number, ended.to_json()))

    def _say(self, ended: FinishedTrial) -> None:
        changes = settings_text(ended.settings) or "as the recipe says"
        self.job.reporter.say(f"Trial {ended.number}: {outcome_text(ended)} ({changes})")


def _trained(finished: Sequence[FinishedTrial]) -> int:
    """Return how many of the trials count: those that were refused cost nothing."""
    return sum(one.state != "refused" for one in finished)


def tuning_page(job: Job, tuned: Tuned) -> str:
    """Return the report in the lake, as the user would type it."""
    return in_lake(job, tuned.report_key)
