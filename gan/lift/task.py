"""The seam of lift: what a modality brings so that downstream models can be trained and scored.

Shapes: N rows to learn from, E rows of validation or holdout, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from storage.records.schema import ClassCounts

Array = np.ndarray[Any, Any]
Split = Literal["validation", "holdout"]
Goal = Literal["classes", "numbers"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """What a downstream model learns from; the modality's usual augmentation is always on."""

    real: pa.Table
    """May have no rows, where synthetic ones alone are learned from."""
    real_probabilities_NC: Array | None = None
    """Of the real rows, by a teacher; None: their label column counts."""
    synthetic: pa.Table | None = None
    """With the real schema; soft labels in `probabilities_NC` where a teacher gave them."""
    probabilities_NC: Array | None = None
    """Of the synthetic rows; None: their label column counts."""
    synthetic_weight: float = 1.0
    """Of a synthetic row, where a real one weighs 1."""
    copies: int = 1
    """How often every real row is there."""
    remedy: str = ""
    """One of `DownstreamTask.remedies`, or empty."""


class Made(NamedTuple):
    """Synthetic records for a training set."""

    records: pa.Table
    probabilities_NC: Array | None = None
    """A teacher's soft labels; None: the label column counts."""


Make = Callable[[ClassCounts | int], Made]
"""From rows of each class, or a number of rows as the generator makes them, to records: as the
recipe's `synthesis` makes them, from a stream of their own."""


Teach = Callable[[pa.Table], Array]
"""From real records to a teacher's soft labels (N, C), in the order of the task's classes."""


class DownstreamTask(Protocol):
    """One learning task on the real records of a modality.

    Every fit takes equally many optimiser steps (or trees), whatever the size of its training set;
    equal arguments give equal scores.
    """

    @property
    def goal(self) -> Goal:
        """Whether classes or numbers are predicted."""

    @property
    def what(self) -> str:
        """What is predicted, for people."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes in the order of the columns of scores; empty for numbers."""

    @property
    def models(self) -> Mapping[str, str]:
        """Name of each downstream model → one sentence on it; the first is the main one."""

    def remedies(self, model: str) -> Mapping[str, str]:
        """Return the free remedies that this model can take, each with one sentence.

        Without threshold at the prior, which `gan.lift` does to the scores of any classifier.
        """

    def targets(self, split: Split) -> Array:
        """Return class indexes, int64 (E,), or numbers, float64 (E,)."""

    def scores(self, model: str, data: TrainingSet, seed: int) -> Mapping[Split, Array]:
        """Train once and return probabilities (E, C), or predicted numbers (E,), of both splits.

        Raises:
            DataError: nothing can be learned from these rows, such as one class alone.
        """


@runtime_checkable
class Grouped(Protocol):
    """A task that knows in which groups the records are that it is scored on."""

    def groups(self, column: str) -> Mapping[str, Array]:
        """Return the groups of a column that may be named: which holdout records are in each.

        The largest first; bool (E,). Empty where the column is the one that is predicted.
        """


@runtime_checkable
class Priced(Protocol):
    """A task that says what a fit takes, so that a nightly measurement can be cut to its budget.

    By constants, never by the clock: equal records give equal plans on any machine.
    """

    @property
    def record_s(self) -> float:
        """Processor seconds that making one synthetic record takes, roughly."""

    def cost_s(self, model: str, rows: int, remedy: str = "") -> float:
        """Return the processor seconds of one fit on so many rows, with scoring both splits."""
