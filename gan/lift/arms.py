"""The arms of a comparison: real records alone, with synthetic ones, and with what is free.

Synthetic records are made once for each size that is needed; arms of less take a part, another one
for every seed, so that the luck of a draw is part of the spread between seeds. Only the largest arm
takes all of them with every seed: twice as many would double what synthesis costs.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.lift.result import ArmKind
from gan.lift.scoring import Threshold
from gan.lift.task import Array, DownstreamTask, Made, Make, Teach, TrainingSet
from gan.randomness import numpy_stream
from storage.records.schema import ClassCounts, count_classes

RATIOS = (0.25, 1.0, 4.0)
"""Synthetic records for every real one."""
WEIGHTS = (0.5, 0.2)
"""Weights of a synthetic record that the chosen arm is tried with besides 1."""
BALANCED = 0.1
"""Classes that lack less than this share of all records are balanced: nothing is filled."""
SPARE = 2
"""So many times what `fill` takes is made for it, so that seeds can take different ones."""
MANY = 8.0
"""The ratio that is measured besides where a teacher labels, thoroughly: what small models gained
most from."""
TRAINED, PRIOR, CHOSEN = "threshold as trained", "threshold at the prior", "threshold by validation"
TAUGHT = "teacher on real records"
FILL = "real + fill"
PLAIN = (FILL, "real + 1x synthetic")
"""What most do with synthetic records: the first of these that there is."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train."""

    name: str
    kind: ArmKind
    fill: bool = False
    """With what every class lacks to the largest."""
    ratio: float = 0.0
    """Synthetic records for every real one."""
    with_real: bool = True
    weight: float = 1.0
    """Of a synthetic record."""
    copies: int = 1
    remedy: str = ""
    threshold: Threshold | None = None
    """The baseline's scores with another threshold: trains nothing."""
    taught: bool = False
    """Whether real records have a teacher's soft labels, without any generator."""

    @property
    def may_be_chosen(self) -> bool:
        """Whether it is what a user would do: synthetic records alone are only for comparison."""
        return self.kind != "baseline" and self.with_real and self.threshold is None

    def weighing(self, weight: float) -> "Arm":
        """Return the same with another weight of synthetic records."""
        return replace(self, weight=weight, name=f"{self.name} at weight {weight:g}")


BASELINE = Arm(name="real", kind="baseline")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Which arms there are."""

    missing: ClassCounts
    """What every class lacks; empty where nothing is filled."""
    ratios: tuple[float, ...] = RATIOS
    """Synthetic records for every real one."""
    has_teacher: bool = False
    """Whether a teacher can answer of real records."""
    has_threshold: bool = False
    """Whether the primary metric asks for the predicted class: every arm is compared with the
    threshold that validation says, and the baseline is shown with others too."""


def arms_of(task: DownstreamTask, model: str, offer: Offer) -> tuple[Arm, ...]:
    """Return every arm for a model, the baseline first."""
    arms, missing = [BASELINE], offer.missing
    if missing:
        arms.append(Arm(name=FILL, kind="synthetic", fill=True))
    arms += [
        Arm(name=f"real + {ratio:g}x synthetic", kind="synthetic", ratio=ratio)
        for ratio in offer.ratios
    ]
    arms.append(Arm(name="synthetic alone", kind="synthetic", ratio=1.0, with_real=False))
    arms.append(Arm(name="real twice", kind="free", copies=2))
    arms += [Arm(name=name, kind="free", remedy=name) for name in task.remedies(model)]
    if task.goal == "classes":
        if offer.has_teacher:
            arms.append(Arm(name=TAUGHT, kind="free", taught=True))
        arms.append(Arm(name=PRIOR, kind="free", threshold="prior"))
        other: tuple[str, Threshold] = (
            (TRAINED, "trained") if offer.has_threshold else (CHOSEN, "chosen")
        )
        arms.append(Arm(name=other[0], kind="free", threshold=other[1]))
    return tuple(arms)


def missing_rows(real: pa.Table, label: str | None, task: DownstreamTask) -> ClassCounts:
    """Return what every class lacks to the largest; empty for numbers and for balanced classes."""
    if label is None or task.goal != "classes":
        return ()
    counts = count_classes(real[label].drop_null())
    largest = max((count for _, count in counts), default=0)
    lacking = tuple((value, largest - count) for value, count in counts if count < largest)
    total = sum(count for _, count in lacking)
    return lacking if total >= BALANCED * real.num_rows else ()


def synthetic_rows(arm: Arm, real_rows: int, missing: ClassCounts) -> int:
    """Return how many synthetic records an arm takes."""
    return sum(count for _, count in missing) if arm.fill else round(arm.ratio * real_rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Supply:
    """Real and synthetic records for every arm."""

    real: pa.Table
    label: str | None
    """Name of the label column."""
    make: Make
    missing: ClassCounts
    most: int
    """Synthetic records that the largest arm takes, as the generator makes them."""
    seed: int
    teach: Teach | None = None
    """What a teacher says of real records; None without one."""
    taken: dict[str, int] = field(default_factory=dict)
    """Arm → synthetic records that it was trained on."""

    @cached_property
    def filling(self) -> Made:
        """What every class lacks, `SPARE` times over."""
        return self.make(tuple((value, SPARE * count) for value, count in self.missing))

    @cached_property
    def plain(self) -> Made:
        """Records as the generator makes them."""
        return self.make(self.most)

    def rows_of(self, arm: Arm | None) -> int:
        """Return how many synthetic records an arm takes: before it is trained as planned."""
        if arm is None:
            return 0
        return self.taken.get(arm.name, synthetic_rows(arm, self.real.num_rows, self.missing))

    def is_whole(self, arm: Arm) -> bool:
        """Return whether an arm takes all records that are made, with every seed the same."""
        return not arm.fill and 0 < self.most <= self.rows_of(arm)

    def training_set(self, arm: Arm, index: int, real: pa.Table | None = None) -> TrainingSet:
        """Return what an arm learns from.

        Args:
            arm: the arm.
            index: number of the seed; decides which part of the synthetic records is taken.
            real: other real records than all.
        """
        rows = self.real if real is None else real
        made = self._made(arm, index)
        self.taken[arm.name] = 0 if made is None else made.records.num_rows
        return TrainingSet(
            real=rows if arm.with_real else rows.slice(0, 0),
            real_probabilities_NC=self._taught(rows) if arm.taught else None,
            synthetic=None if made is None else made.records,
            probabilities_NC=None if made is None else made.probabilities_NC,
            synthetic_weight=arm.weight,
            copies=arm.copies,
            remedy=arm.remedy,
        )

    def _taught(self, rows: pa.Table) -> Array:
        """Return what the teacher says of real records; asked once for all of them."""
        if rows is not self.real:
            return self._answers(rows)
        return self._all_taught

    @cached_property
    def _all_taught(self) -> Array:
        return self._answers(self.real)

    def _answers(self, rows: pa.Table) -> Array:
        if self.teach is None:
            msg = "there is no teacher"
            raise DataError(msg)
        return self.teach(rows)

    def _made(self, arm: Arm, index: int) -> Made | None:
        """Return the synthetic records of an arm; every seed takes others of them."""
        numbers = numpy_stream(self.seed, "lift-part", index)
        if arm.fill:
            return _of_every_class(self.filling, self.label, self.missing, numbers)
        wanted = synthetic_rows(arm, self.real.num_rows, self.missing)
        if not wanted:
            return None
        order = numbers.permutation(self.plain.records.num_rows)
        return _taken(self.plain, order[:wanted])


def _of_every_class(
    made: Made, label: str | None, wanted: ClassCounts, numbers: np.random.Generator
) -> Made:
    """Return so many records of every class, as far as there are."""
    labels = np.array(made.records[label].to_pylist(), dtype=object)
    chosen = [
        numbers.permutation(np.flatnonzero(labels == value))[:count] for value, count in wanted
    ]
    return _taken(made, np.concatenate(chosen))


def _taken(made: Made, chosen_M: Array) -> Made:
    """Return some of the records, in the order in which they were made."""
    chosen_M = np.sort(chosen_M)
    soft_NC = made.probabilities_NC
    return Made(
        made.records.take(pa.array(chosen_M)), None if soft_NC is None else soft_NC[chosen_M]
    )
