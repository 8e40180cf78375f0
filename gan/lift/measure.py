"""Measure lift: arms, choice on validation, one comparison on the holdout."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from gan.lift.config import LiftConfig
from gan.lift.result import Lift
from gan.lift.task import DownstreamTask, Make

NIGHTLY_CPU_S = 120.0
"""Processor seconds that a nightly measurement may take; rows and steps are cut to fit."""


@dataclass(frozen=True, kw_only=True)
class LiftRequest:
    """How thoroughly lift is measured."""

    config: LiftConfig
    seed: int
    """Of the recipe."""
    label: str | None
    """Name of the label column."""
    thorough: bool = False
    """All arms at full size with all models, whatever it costs."""
    curve: bool = False
    """Also with parts of the real records, for a learning curve."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a measurement will take."""

    fits: int
    """Trainings of a downstream model."""
    cpu_s: float
    """Processor seconds, as a short trial on this machine says."""


def estimate(task: DownstreamTask, real: pa.Table, request: LiftRequest) -> Cost:
    """Return what `measure_lift` with these arguments will take."""
    raise NotImplementedError


def measure_lift(
    task: DownstreamTask,
    real: pa.Table,
    make: Make,
    request: LiftRequest,
    progress: Callable[[int], None] = lambda _: None,
) -> Lift:
    """Return whether synthetic records help.

    Args:
        task: what is learned, with the records that score it.
        real: the training records.
        make: synthesizes.
        request: how thoroughly.
        progress: called with the number of further fits that are done.
    """
    raise NotImplementedError
