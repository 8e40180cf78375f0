"""The stage between evaluation and gate: does training on the synthetic records help?

Downstream models are trained with and without them (`gan.lift`). The answer is kept with the
generator, under the key of everything that decides it, and read from there on the nights on which
nothing changed: so the report that holds it, to which decisions of people are bound, stays the same
report. What cannot be measured is an answer too, and never ends a job.

The candidate's lift is measured, and the champion's where it would publish in its place.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Self

from flows.decision import gate
from flows.evaluate import splits_of
from flows.job import Assessed, Candidate, Job, Judged, now
from flows.keys import lift_key, lift_seed
from flows.report.page import render
from flows.snapshots import load_sampler
from flows.teacher import can_teach, labeller_of, picks_of, teacher_of
from gan.errors import ConfigError, DataError, OutdatedError
from gan.gate import gate_record, judge_lift
from gan.lift.answer import unknown
from gan.lift.result import Effect, Lift
from gan.lift.task import Array, DownstreamTask, Made, Make, Teach
from gan.report import Report
from storage.digests import canonical_json, sha256_hex
from storage.errors import ObjectNotFoundError
from storage.lake import registry
from storage.lake.layout import generator_internal_key, generator_report_key
from storage.lake.synthesis import apportion, resolve_balance
from storage.records.modalities import words_of
from storage.records.schema import ClassCounts
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    import pyarrow as pa

    from gan.lift.measure import LiftRequest
    from gan.modalities import Splits
    from gan.sample import Sampler
    from gan.teacher import Labeller, Teacher


def lift(job: Job, prepared: Prepared, assessed: Assessed) -> Assessed:
    """Return what was assessed, with reports that say whether it helps.

    Raises:
        ConfigError: `lift.models` names a downstream model that there is not.
        SnapshotDamagedError: a generator's files are not those that were judged.
        LakeError: the lake failed.
    """
    if job.recipe.lift.when == "never":
        return assessed
    lifter = Lifter(job=job, prepared=prepared)
    found = dataclasses.replace(assessed, challenger=lifter.lifted(assessed.challenger))
    if found.champion is None or not _may_step_in(job, found):
        return found
    return dataclasses.replace(found, champion=lifter.lifted(found.champion))


def is_known(job: Job, prepared: Prepared, assessed: Assessed) -> bool:
    """Say whether `lift` has nothing to measure; reads only."""
    if job.recipe.lift.when == "never":
        return True
    lifter = Lifter(job=job, prepared=prepared)
    kept = lifter.find(assessed.challenger)
    if kept is None:
        return False
    found = dataclasses.replace(assessed, challenger=lifter.with_lift(assessed.challenger, kept))
    if found.champion is None or not _may_step_in(job, found):
        return True
    return lifter.find(found.champion) is not None


def _may_step_in(job: Job, assessed: Assessed) -> bool:
    """Say whether the champion publishes in the candidate's place, or may when a person says so."""
    choice = gate(job, assessed)
    if choice.question is not None:
        return choice.question.champion is not None
    return choice.kind == "kept"


@dataclass(frozen=True, kw_only=True)
class KeptLift:
    """A measurement of lift as it lies beside its generator."""

    measured: str
    """When, UTC, ISO 8601."""
    lift: Lift

    def to_json(self) -> bytes:
        """Return canonical JSON."""
        return canonical_json({"measured": self.measured, "lift": self.lift.to_plain()})

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote."""
        raw = json.loads(data)
        return cls(measured=raw["measured"], lift=Lift.from_json(json.dumps(raw["lift"]).encode()))


@dataclass(frozen=True, kw_only=True)
class Lifter:
    """Measures the lift of generators on one source; what the lake holds is read."""

    job: Job
    prepared: Prepared
    thorough: bool = False
    """All arms at full size, whatever it costs."""
    curve: bool = False
    """Also with parts of the real records."""
    splits: "Splits | None" = None
    """The real records, where not all of their columns are learned from."""

    @property
    def _splits(self) -> "Splits":
        return splits_of(self.prepared) if self.splits is None else self.splits

    @property
    def request(self) -> "LiftRequest":
        """How thoroughly it is measured."""
        from gan.lift.measure import LiftRequest

        recipe = self.job.recipe
        return LiftRequest(
            config=recipe.lift,
            seed=lift_seed(recipe, self.job.scheduled),
            label=self.prepared.label,
            thorough=self.thorough,
            curve=self.curve,
            labels=recipe.synthesis.labels,
            has_teacher=(self.thorough or recipe.synthesis.labels == "teacher")
            and can_teach(recipe, self.prepared),
            picks=picks_of(recipe, self.prepared),
            groups=recipe.report.groups,
        )

    @cached_property
    def task(self) -> DownstreamTask | None:
        """What downstream models learn; None where there is nothing.

        Raises:
            DataError: a split is too small to learn or to score anything.
            ConfigError: `lift.models` names a model that there is not.
        """
        from gan.lift.plan import models_of
        from gan.modalities import load_modality

        modality = load_modality(self.prepared.modality)
        task = modality.build_task(self._splits, seed=self.request.seed)
        if task is not None:
            models_of(task, self.job.recipe.lift)
        return task

    def lifted(self, judged: Judged) -> Judged:
        """Return a judged generator whose report says whether it helps; the report is stored."""
        found = self.with_lift(judged, self.kept(judged))
        lake, name = self.job.lake, self.job.name
        key = generator_report_key(name, judged.version, found.report_digest, "report.json")
        if lake.stat(key) is None:
            page = render(found.report).encode()
            files = {"report.json": found.report.to_json(), "report.html": page}
            registry.put_report(lake, name, judged.version, files)
        return found

    def find(self, generator: Candidate | Judged) -> KeptLift | None:
        """Return the measurement that the lake holds; None when there is none."""
        try:
            return KeptLift.from_json(self.job.lake.get(self._place(generator)))
        except ObjectNotFoundError:
            return None

    def with_lift(self, judged: Judged, kept: KeptLift) -> Judged:
        """Return a judged generator with report and judgement that know its lift; pure."""
        config = self.job.recipe.gate
        judgement = judge_lift(judged.judgement, kept.lift, config)
        facts = {**judged.report.facts, "gate": gate_record(judgement.metrics, config)}
        report = dataclasses.replace(
            judged.report,
            created=max(judged.report.created, kept.measured),
            verdict=judgement.verdict,
            reasons=(*judgement.reasons, *judgement.unjudged),
            facts=facts,
            lift=kept.lift,
        )
        return dataclasses.replace(
            judged, judgement=judgement, report=report, report_digest=report_digest(report)
        )

    def kept(self, generator: Candidate | Judged) -> KeptLift:
        """Return the measurement that the lake holds; where there is none, measure and keep it.

        What only this machine or the recipe stands in the way of is measured again next time.
        """
        found = self.find(generator)
        if found is not None:
            return found
        maker = _Maker(self, generator)
        lift, lasts = self._answer(maker.make, maker.teach)
        if not lasts:  # at the time of the report, so that it stays the same report
            known = generator.report.created if isinstance(generator, Judged) else None
            return KeptLift(measured=known or now().isoformat(), lift=lift)
        found = KeptLift(measured=now().isoformat(), lift=lift)
        data = self.job.lake.put_or_adopt(self._place(generator), found.to_json())
        return KeptLift.from_json(data)

    def measure_made(self, make: Make, teach: Teach | None = None) -> Lift:
        """Measure the lift of records that `make` returns; what stands in the way is the answer.

        Args:
            make: makes or takes them.
            teach: what says the class of real records; without it a teacher learns for this alone.

        Raises:
            ConfigError: `lift.models` names a downstream model that there is not.
        """
        return self._answer(make, teach)[0]

    def _answer(self, make: Make, teach: Teach | None) -> tuple[Lift, bool]:
        """Return the lift, and whether it lasts: another machine would say the same."""
        try:
            task = self.task
        except DataError as error:
            return unknown("", str(error).rstrip(".")), True
        if task is None:
            return unknown("", self._nothing), True
        try:
            return finite(self._measure(make, task, teach or self.teach_anew)), True
        except (DataError, ConfigError, OutdatedError) as error:
            return unknown("", str(error).rstrip(".")), not isinstance(error, ConfigError)

    def teach_anew(self, real: "pa.Table") -> Array:
        """Return what a teacher says of real records that learned from them just now."""
        seed, train = self.job.recipe.seed, self._splits.train
        return self.taught_by(teacher_of(self.prepared, train, seed), real)

    def taught_by(self, teacher: "Teacher", real: "pa.Table") -> Array:
        """Return what a teacher says of real records, in the order of the task's classes."""
        from gan.teacher import soft_labels

        return soft_labels(teacher, real, () if self.task is None else self.task.classes)

    def _measure(self, make: Make, task: DownstreamTask, teach: Teach) -> Lift:
        from gan.device import choose_device
        from gan.lift.measure import forecast, measure_lift

        job, real, request = self.job, self._splits.train, self.request
        fits = forecast(task, real, request).fits
        with (
            job.reporter.meter("Measuring whether it helps", "fits", fits) as meter,
            job.spent.using(choose_device(job.recipe.training.device)),
        ):
            done = _Sum(meter.update)
            return measure_lift(task, real, make, request, done.add, teach)

    def foresee(self, *, timed: bool = False) -> str:
        """Return what measuring will do, and roughly what it costs, as a sentence.

        Args:
            timed: whether a short trial says how fast this machine is; else constants do.

        Raises:
            ConfigError: `lift.models` names a downstream model that there is not.
        """
        from gan.lift.measure import estimate, forecast
        from gan.lift.plan import models_of

        real = self._splits.train
        try:
            task = self.task
            if task is None:
                return f"cannot be known: {self._nothing}"
            cost = (estimate if timed else forecast)(task, real, self.request)
        except DataError as error:
            return f"cannot be known: {error}"
        names = ", ".join(models_of(task, self.job.recipe.lift))
        said = f"{task.what}: at most {cost.fits:,} trainings of {names}, about"
        least, most = (f"{one:,.0f}" for one in (cost.least_cpu_s, cost.cpu_s))
        if least == most:
            return f"{said} {most} CPU-s"
        return f"{said} {least} to {most} CPU-s, by which of them is best on real records"

    @property
    def _nothing(self) -> str:
        if self.prepared.label is None:
            return "no label says what a downstream model predicts (source.label)"
        return f"there is nothing to predict of {words_of(self.prepared.modality).records}"

    def _place(self, generator: Candidate | Judged) -> str:
        key = lift_key(
            self.job.recipe,
            self.prepared,
            generator.snapshot_digest,
            self.job.scheduled,
            thorough=self.thorough,
            curve=self.curve,
        )
        return generator_internal_key(self.job.name, generator.version, f"lift-{key[:16]}.json")


def report_digest(report: Report) -> str:
    """Return the digest under which the lake keeps a report."""
    return sha256_hex(report.to_json())


def check_models(job: Job, prepared: Prepared) -> None:
    """Refuse, before a training, downstream models that there are not.

    Raises:
        ConfigError: `lift.models` names one.
    """
    with suppress(DataError):  # then there is no task, and that is the answer
        _ = Lifter(job=job, prepared=prepared).task


def finite(lift: Lift) -> Lift:
    """Return lift without the numbers that are none, such as an interval that has no end."""
    arms = [
        dataclasses.replace(
            arm,
            validation={name: one for name, one in arm.validation.items() if _is_finite(*one)},
            holdout={name: one for name, one in arm.holdout.items() if _is_finite(*one)},
        )
        for arm in lift.arms
    ]
    curve = [one for one in lift.curve if _is_finite(*one.real, *one.best)]
    groups = [dataclasses.replace(one, effect=_known(one.effect)) for one in lift.groups]
    return dataclasses.replace(
        lift,
        effect=_known(lift.effect),
        remedy=_known(lift.remedy),
        arms=tuple(arms),
        curve=tuple(curve),
        groups=tuple(groups),
    )


def _known(effect: Effect | None) -> Effect | None:
    known = effect is not None and _is_finite(*effect.effect, effect.detectable)
    return effect if known else None


def _is_finite(*values: float) -> bool:
    return all(map(math.isfinite, values))


@dataclass
class _Sum:
    """Adds up what is reported piece by piece."""

    update: Callable[[int], None]
    done: int = 0

    def add(self, further: int) -> None:
        self.done += further
        self.update(self.done)


@dataclass
class _Maker:
    """Makes the synthetic records of the arms; each call has a stream of its own."""

    lifter: Lifter
    generator: Candidate | Judged
    calls: "count[int]" = field(default_factory=count)

    @cached_property
    def _sampler(self) -> "Sampler":
        job, made = self.lifter.job, self.generator
        return load_sampler(job, made.version, made.snapshot_digest)

    @cached_property
    def _seed(self) -> int:
        from gan.randomness import derive

        return derive(self.lifter.request.seed, "lift")

    @cached_property
    def _labeller(self) -> "Labeller | None":
        lifter = self.lifter
        return labeller_of(lifter.job, lifter.prepared, self.generator.version, seed=self._seed)

    def make(self, rows: ClassCounts | int) -> Made:
        """Return so many records, as the recipe's `synthesis` makes them.

        Raises:
            DataError: the generator cannot make these.
        """
        index, labeller, task = next(self.calls), self._labeller, self.lifter.task
        wanted = self._classes(rows) if isinstance(rows, int) else rows
        if labeller is not None and isinstance(rows, int) and self._keeps_shares:
            labeller = dataclasses.replace(labeller, picks=1)  # as they are published
        try:
            records = self._sampler.records(
                wanted if labeller is None else labeller.draws(wanted),
                seed=self._seed,
                index=index,
                given=self.lifter.job.recipe.synthesis.given,
            )
        except ConfigError as error:  # what cannot be made fails the arms that ask for it, alone
            raise DataError(str(error)) from error
        if labeller is None or task is None:
            return Made(records)
        return Made(*labeller.taught(records, wanted, index, task.classes))

    def teach(self, real: "pa.Table") -> Array:
        """Return what the teacher of its labels says of real records, or one for this alone."""
        if self._labeller is None:
            return self.lifter.teach_anew(real)
        return self.lifter.taught_by(self._labeller.teacher, real)

    @property
    def _keeps_shares(self) -> bool:
        lifter = self.lifter
        synthesis = resolve_balance(lifter.job.recipe.synthesis, lifter.prepared.modality)
        return synthesis.balance == "real"

    def _classes(self, rows: int) -> ClassCounts | int:
        """Return rows with the shares of the real classes, where the generator draws no classes."""
        codec, real = self._sampler.codec, self.lifter.prepared.class_counts["train"]
        if not codec.classes or getattr(codec, "draws_classes", False):
            return rows
        counts = apportion([amount for _, amount in real], rows)
        return tuple((one, n) for (one, _), n in zip(real, counts, strict=True) if n)
