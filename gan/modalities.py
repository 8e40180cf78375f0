"""The gan half of a modality: the one seam between what is the same for all and what is not.

`load_modality(name)` offers codec, presets, networks and judge of a row of
`storage.records.modalities.MODALITIES`; its modules are imported when they are asked for. A judge
knows how records of its kind are compared; what follows from the numbers (gate, promotion, report)
is the same for all.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch

from gan.accounting import Counting, check_installed, plan_counting
from gan.bounds import MetricEntry
from gan.codecs import Codec
from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.errors import ConfigError, DataError
from gan.evaluation.foresight import Foresight, foresee
from gan.evaluation.published_copies import CopyCounter, Hashes
from gan.gate import GateConfig, in_force
from gan.lift.task import DownstreamTask
from gan.protocols import Assess, Frame, Networks, PresetEntry
from gan.report import BarGroup, CurveGroup, Evaluation, Figure, ReportInputs
from gan.targets import check_until
from gan.teacher import Teacher
from gan.tuning.knobs import Knob
from storage.records.modalities import MODALITIES, Modality, load_code
from storage.records.proposal import Proposal
from storage.records.schema import ClassCounts, Label

Likelihood = Callable[[pa.Table], "np.ndarray[Any, Any] | None"]
"""Records in, log-likelihood of every row in nats out; None where a generator knows none."""

MIN_ROWS = 20
"""Fewest records of validation and of holdout."""
ROOM = 1.4
"""The fraction that is proposed gives so many times the fewest records, more or less, by hash."""
MOST_OF_ALL = 0.45
"""No larger fraction is proposed."""
LARGE, FEW = 1_000, 20
"""From so many compared records on so few halves and resamples are enough."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The real records: train was seen by the generator, the other two were not."""

    train: pa.Table
    validation: pa.Table
    holdout: pa.Table
    label: str | None = None
    """Name of the label column; None when unconditional."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an evaluation is carried out; the bounds are the gate's."""

    seed: int = 0
    sets: int = 4
    """How many times the holdout's number of records a candidate is asked for."""
    halves: int = 50
    """Random halves of validation and holdout behind every ceiling."""
    replicates: int = 40
    """Resamples behind every interval."""
    cap: int = 5000
    """Most records compared on each side."""
    sides_by_chance: bool = True
    """Whether chance alone put each record into train or among the unseen; not so where groups stay
    together, or where the user's own split decides."""
    overlap_expected: bool = False
    """True where splits are by occurrence, because most records repeat."""
    cache: Path | None = None
    """Folder of this machine in which a judge may keep what it learned of the real records."""
    quasi_identifiers: tuple[str, ...] = ()
    """Columns by which a person may be known to others; empty: any may be."""
    groups: tuple[str, ...] = ()
    """Columns of a table whose values are groups that the report compares one by one."""

    def halves_for(self, n: int) -> int:
        """Return how many halves stand behind a ceiling of n records on each side."""
        return self.halves if n < LARGE else min(self.halves, FEW)

    def replicates_for(self, n: int) -> int:
        """Return how many resamples stand behind an interval of n records on each side."""
        return self.replicates if n < LARGE else min(self.replicates, FEW)


class Reference(Protocol):
    """The real side of an evaluation, as far as it is the same for every modality."""

    @property
    def options(self) -> Options:
        """How the evaluation is carried out."""

    @property
    def wanted(self) -> ClassCounts | int:
        """What to synthesize for a candidate: rows per class, or rows."""

    @property
    def n(self) -> int:
        """Records on each side of a comparison."""

    @property
    def holdout_rows(self) -> int:
        """All records of the holdout."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Plain sentences on how it is measured, for the report."""


@dataclass(frozen=True)
class GanModality:
    """What gan offers for one modality; each member is the function of that name of its modules."""

    row: Modality

    @property
    def codec(self) -> type[Codec]:
        """The codec's class."""
        codec: type[Codec] = load_code(self.row.codec)
        return codec

    @property
    def presets(self) -> Mapping[str, PresetEntry]:
        """Name of each preset that a user may choose, and what it is."""
        presets: Mapping[str, PresetEntry] = load_code(self.row.presets).PRESETS
        return presets

    def resolve(
        self,
        generator: GeneratorConfig,
        training: TrainingConfig,
        codec: Any,
        *,
        train_rows: int,
        seed: int,
    ) -> ResolvedConfig:
        """Return a complete configuration; its notes say what `auto` picked and why.

        Raises:
            ConfigError: the preset does not exist, CUDA was asked for and is missing, or nothing
                measures a target of `training.until`.
        """
        if training.until:
            asked = [one.metric for one in training.until]
            check_until(asked, self.metrics, classes=len(codec.classes))
        presets = load_code(self.row.presets)
        config: ResolvedConfig = presets.resolve(
            generator, training, codec, train_rows=train_rows, seed=seed
        )
        return config

    def begin_private(
        self, generator: GeneratorConfig, schema: pa.Schema, *, epsilon: float, delta: float
    ) -> Counting:
        """Return how a private codec counts records of a schema, and with what noise.

        Raises:
            ConfigError: nothing of this modality is differentially private, an extra is missing,
                or the records have what cannot be counted.
        """
        if self.row.private is None:
            private = [name for name, row in MODALITIES.items() if row.private is not None]
            msg = (
                f"privacy.epsilon is set, and no preset for {self.row.words.records} is "
                f"differentially private, only for {', '.join(private)}: set it to null"
            )
            raise ConfigError(msg)
        load_code(self.row.presets).check_private(generator)
        check_installed()
        asked: int = load_code(self.row.private).questions(schema)[0]
        return plan_counting(epsilon, delta, asked)

    def fit_privately(self, records: pa.Table, label: str | None, counting: Counting) -> Codec:
        """Return a codec fitted with noise; another one at every call.

        Raises:
            DataError: a column of which nothing stands out of the noise.
        """
        codec: Codec = load_code(str(self.row.private)).fit_privately(
            records, label, counting.budget
        )
        return codec

    def resolve_private(
        self,
        generator: GeneratorConfig,
        training: TrainingConfig,
        codec: Any,
        *,
        train_rows: int,
        seed: int,
    ) -> ResolvedConfig:
        """Return a complete configuration for a private training, without its noise.

        Raises:
            ConfigError: the recipe asks for what a private training cannot have.
        """
        config: ResolvedConfig = load_code(self.row.presets).resolve_private(
            generator, training, codec, train_rows=train_rows, seed=seed
        )
        return config

    def private_class_counts(self, codec: Any, rows: int) -> ClassCounts:
        """Return about how many of so many records each class has, as a private codec counted."""
        counts: Mapping[Label, int] = load_code(str(self.row.private)).class_counts(codec, rows)
        return tuple(sorted(counts.items()))

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """What tuning tries for these records; empty where it tries nothing."""
        return () if self.row.knobs is None else tuple(load_code(self.row.knobs))

    def build(self, config: ResolvedConfig, codec: Any, stream: torch.Generator) -> Networks:
        """Return the networks on the processor, initialised from the stream alone."""
        networks: Networks = load_code(self.row.networks).build(config, codec, stream)
        return networks

    @property
    def has_pictures(self) -> bool:
        """Whether records are pictures, so that what a generator makes can be seen at a glance."""
        return self.row.pictures is not None

    @property
    def metrics(self) -> tuple[MetricEntry, ...]:
        """Every metric that is measured, with its default bounds."""
        metrics: tuple[MetricEntry, ...] = load_code(self.row.judge).METRICS
        return metrics

    @property
    def bars(self) -> tuple[BarGroup, ...]:
        """The bar charts of the metrics."""
        bars: tuple[BarGroup, ...] = load_code(self.row.judge).BARS
        return bars

    @property
    def curves(self) -> tuple[CurveGroup, ...]:
        """The charts of what was measured while training."""
        curves: tuple[CurveGroup, ...] = load_code(self.row.judge).CURVES
        return curves

    def foresee(self, splits: Splits, options: Options, gate: GateConfig) -> Foresight:
        """Return what the gate will not be able to know, whatever candidate comes.

        Raises:
            DataError: validation or holdout is too small to compare anything.
            ConfigError: the recipe's bounds do not fit the metrics.
        """
        judge = load_code(self.row.judge)
        metrics = in_force(judge.METRICS, gate)
        return foresee(judge.foresee(splits, options), metrics, gate)

    def build_reference(self, splits: Splits, options: Options) -> Reference:
        """Return the real side, measured once for every candidate.

        Raises:
            DataError: validation or holdout is too small to compare anything, or does not fit
                train.
        """
        reference: Reference = load_code(self.row.judge).build_reference(splits, options)
        return reference

    def evaluate(
        self, candidate: pa.Table, reference: Any, *, log_likelihood: Likelihood | None = None
    ) -> Evaluation:
        """Return a candidate's measurements against the holdout.

        Args:
            candidate: at least `reference.n` records, best `reference.wanted` of the generator.
            reference: the real side, from `build_reference` of this modality.
            log_likelihood: of the candidate's generator, where it knows one.

        Raises:
            DataError: too few records, or of another shape or type than the training records.
        """
        judge = load_code(self.row.judge)
        found: Evaluation = judge.evaluate(candidate, reference, log_likelihood=log_likelihood)
        return found

    def count_copies(self, splits: Splits, rows: int) -> CopyCounter:
        """Return what counts copies of training records among all rows of a version.

        Args:
            splits: the real records.
            rows: of the version.
        """
        hashes: Hashes = load_code(self.row.judge).record_hashes(splits)
        unseen = pa.concat_tables([splits.validation, splits.holdout])
        return CopyCounter(hashes, splits.train, unseen, rows)

    def build_assess(
        self,
        train: pa.Table,
        validation: pa.Table,
        *,
        label: str | None,
        seed: int,
        cache: Path | None = None,
    ) -> Assess:
        """Return what measures a generator at a tick of its training; the holdout stays unseen.

        Args:
            train: records that the generator learns from.
            validation: records that it is measured on.
            label: name of the label column; None when unconditional.
            seed: of everything random.
            cache: folder of this machine in which a judge may keep what it learned of them.

        Raises:
            DataError: validation is too small to compare anything, or does not fit train.
        """
        judge = load_code(self.row.judge)
        assess: Assess = judge.build_assess(train, validation, label=label, seed=seed, cache=cache)
        return assess

    def build_task(self, splits: Splits, *, seed: int) -> DownstreamTask | None:
        """Return what downstream models learn from these records; None where there is nothing.

        Raises:
            DataError: a split is too small to learn or to score anything.
        """
        if self.row.downstream is None:
            return None
        task: DownstreamTask | None = load_code(self.row.downstream).build_task(splits, seed=seed)
        return task

    def check_teacher(self, train: pa.Table, *, label: str, classes: Sequence[Label]) -> None:
        """Check that a teacher can learn the label from these records.

        Raises:
            ConfigError: these records have no teacher, or a library is missing.
            DataError: nothing can be learned.
        """
        self._teacher().check(train, label=label, classes=classes)

    def fit_teacher(
        self, train: pa.Table, *, label: str, classes: Sequence[Label], seed: int
    ) -> bytes:
        """Return what learned the label from these records, as one file without code.

        Equal arguments give equal bytes.

        Args:
            train: the records that it learns from.
            label: the column to predict.
            classes: its classes; empty for a number.
            seed: root of all randoms.

        Raises:
            ConfigError: these records have no teacher, or a library is missing.
            DataError: nothing can be learned.
        """
        fitted: bytes = self._teacher().fit(train, label=label, classes=classes, seed=seed)
        return fitted

    def load_teacher(self, data: bytes) -> Teacher:
        """Return the teacher of a file that `fit_teacher` wrote.

        Raises:
            ConfigError: these records have no teacher, or a library is missing.
            SnapshotError: these bytes are something else.
        """
        teacher: Teacher = self._teacher().load(data)
        return teacher

    @property
    def teacher_schema(self) -> str:
        """Return the name of the format and method of its teachers.

        Raises:
            ConfigError: these records have no teacher.
        """
        schema: str = self._teacher().SCHEMA
        return schema

    @property
    def teacher_libraries(self) -> tuple[str, ...]:
        """Return the packages that a teacher's answers rest on, beyond those of every job.

        Raises:
            ConfigError: these records have no teacher.
        """
        libraries: tuple[str, ...] = self._teacher().LIBRARIES
        return libraries

    def _teacher(self) -> Any:
        if self.row.teacher is None:
            msg = f"{self.row.words.records} have no teacher: set synthesis.labels to generator"
            raise ConfigError(msg)
        return load_code(self.row.teacher)

    def figures(self, evaluation: Evaluation, inputs: ReportInputs) -> tuple[Figure, ...]:
        """Return the figures of the records of an evaluated candidate, for the report.

        Raises:
            DataError: the candidate has no records to show.
        """
        figures: tuple[Figure, ...] = load_code(self.row.judge).figures(evaluation, inputs)
        return figures

    def strip_figure(self, film: Any, titles: Sequence[str]) -> Figure | None:
        """Return a training's strip as one picture; None where there is nothing to see.

        Args:
            film: a `gan.training.strip.Filmstrip`, None where nothing was kept.
            titles: names of the classes, by their indexes.
        """
        if film is None or self.row.pictures is None:
            return None
        figure: Figure | None = load_code(self.row.pictures).strip(film, titles)
        return figure

    def draw_frame(self, frame: Frame) -> bytes:
        """Return one frame of a strip as a PNG; asked only where records are pictures."""
        png: bytes = load_code(self.row.pictures or "").frame(frame)
        return png

    def neighbours(self, inputs: ReportInputs) -> Figure | None:
        """Return synthetic records beside the REAL ones nearest to them, for owners' eyes alone.

        None where records are no pictures, or the real ones are not at hand.
        """
        if self.row.pictures is None:
            return None
        figure: Figure | None = load_code(self.row.pictures).neighbours(inputs)
        return figure

    def preview(self, records: pa.Table, label: str | None, per_class: int) -> bytes | None:
        """Return a PNG that shows records, one row per class; None where only figures show them.

        Raises:
            DataError: there is no record, or no such label column.
        """
        if self.row.preview is None:
            return None
        png: bytes = load_code(self.row.preview)(records, label, per_class)
        return png


def load_modality(name: str) -> GanModality:
    """Return what gan offers for a modality.

    Raises:
        ConfigError: there is no such modality.
    """
    if name not in MODALITIES:
        msg = f"unknown modality {name!r}: choose one of {', '.join(sorted(MODALITIES))}"
        raise ConfigError(msg)
    return GanModality(MODALITIES[name])


def comparable_rows(splits: Splits, cap: int) -> int:
    """Return n: the smaller of validation and holdout, at most cap.

    Raises:
        DataError: one of them is too small.
    """
    seen = splits.train.num_rows + splits.validation.num_rows
    check_rows("validation", splits.validation, of=seen)
    check_rows("holdout", splits.holdout, of=seen + splits.holdout.num_rows)
    smaller: int = min(splits.validation.num_rows, splits.holdout.num_rows, cap)
    return smaller


def check_rows(name: str, records: pa.Table, *, of: int = 0) -> None:
    """Refuse a split that is too small to compare anything.

    Of so many records a larger fraction is proposed for it, where that can be enough.

    Raises:
        DataError: it is.
    """
    if records.num_rows < MIN_ROWS:
        msg = (
            f"the {name} split has {records.num_rows} records and needs {MIN_ROWS}: "
            f"bring more records or raise source.split.{name}"
        )
        fraction = math.ceil(100 * ROOM * MIN_ROWS / max(of, 1)) / 100
        why = f"for at least {MIN_ROWS} records to compare with"
        larger = Proposal(setting=f"source.split.{name}", value=fraction, why=why)
        raise DataError(msg, proposals=(larger,) if fraction < MOST_OF_ALL else ())


def check_candidate(rows: int, needed: int) -> None:
    """Refuse a candidate with fewer records than it is compared with.

    Raises:
        DataError: it has.
    """
    if rows < needed:
        msg = (
            f"the candidate has {rows} records and is compared with {needed} of the "
            f"holdout: synthesize at least as many"
        )
        raise DataError(msg)
