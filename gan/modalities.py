"""The table of modalities: name → package, imported when it is asked for.

The seam between what every modality is asked and how it is answered: a modality's judge.

A judge is the module `judge` of a modality's package. It knows how records of its kind are
compared; what follows from the numbers (gate, promotion, report) is the same for all.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa

from gan.errors import ConfigError, DataError
from gan.gate import MetricEntry
from gan.protocols import Assess, Modality
from gan.report import BarGroup, CurveGroup, Evaluation, Figure, ReportInputs
from storage.records.schema import ClassCounts

MODALITIES = {"images": "gan.images", "tables": "gan.tables"}
"""Each package offers what `gan.protocols.Modality` lists."""


def load_modality(name: str) -> Modality:
    """Return the package of a modality.

    Raises:
        ConfigError: there is no such modality.
    """
    if name not in MODALITIES:
        msg = f"unknown modality {name!r}: choose one of {', '.join(sorted(MODALITIES))}"
        raise ConfigError(msg)
    return cast("Modality", importlib.import_module(MODALITIES[name]))


Likelihood = Callable[[pa.Table], "np.ndarray[Any, Any] | None"]
"""Records in, log-likelihood of every row in nats out; None where a generator knows none."""

MIN_ROWS = 20
"""Fewest records of validation and of holdout."""


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

    modality: str = "images"
    seed: int = 0
    sets: int = 4
    """How many times the holdout's number of records a candidate is asked for."""
    halves: int = 50
    """Random halves of validation and holdout behind every ceiling."""
    replicates: int = 40
    """Resamples behind every interval."""
    cap: int = 5000
    """Most records compared on each side."""
    overlap_expected: bool = False
    """True where splits are by occurrence, because most records repeat."""
    sdmetrics: bool = False
    """Tables: add the scores of the package `sdmetrics`, where it is installed."""


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


class Judge(Protocol):
    """The module `judge` of a modality."""

    METRICS: tuple[MetricEntry, ...]
    """Every metric that is measured, with its default bounds."""
    BARS: tuple[BarGroup, ...]
    """The bar charts of the metrics."""
    CURVES: tuple[CurveGroup, ...]
    """The charts of what was measured while training."""

    def build_reference(self, splits: Splits, options: Options) -> Reference:
        """Return the real side, measured once for every candidate."""

    def evaluate(
        self, candidate: pa.Table, reference: Any, *, log_likelihood: Likelihood | None = None
    ) -> Evaluation:
        """Return a candidate's measurements against the reference that this judge has built."""

    def build_assess(
        self, train: pa.Table, validation: pa.Table, *, label: str | None, seed: int
    ) -> Assess:
        """Return what measures a generator while it trains."""

    def pictures(self, evaluation: Evaluation, inputs: ReportInputs) -> tuple[Figure, ...]:
        """Return the figures of the records of an evaluated candidate, for the report."""


def load_judge(modality: str) -> Judge:
    """Return the judge of a modality.

    Raises:
        ConfigError: there is no such modality.
    """
    if modality not in MODALITIES:
        msg = f"unknown modality {modality!r}: choose one of {', '.join(sorted(MODALITIES))}"
        raise ConfigError(msg)
    return cast("Judge", importlib.import_module(f"{MODALITIES[modality]}.judge"))


def comparable_rows(splits: Splits, cap: int) -> int:
    """Return n: the smaller of validation and holdout, at most cap.

    Raises:
        DataError: one of them is too small.
    """
    check_rows("validation", splits.validation)
    check_rows("holdout", splits.holdout)
    smaller: int = min(splits.validation.num_rows, splits.holdout.num_rows, cap)
    return smaller


def check_rows(name: str, records: pa.Table) -> None:
    """Refuse a split that is too small to compare anything.

    Raises:
        DataError: it is.
    """
    if records.num_rows < MIN_ROWS:
        msg = (
            f"the {name} split has {records.num_rows} records and needs {MIN_ROWS}: "
            f"bring more records or raise source.split.{name}"
        )
        raise DataError(msg)


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
