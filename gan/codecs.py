"""What a modality's codec does: the map between records (Arrow) and tensors.

Shapes: N records, C classes, K codes; a modality's own letters are explained in its files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
from torch import Tensor

from storage.records.schema import Condition, Label


class Encoded(NamedTuple):
    """Records as arrays, one row per record."""

    values: np.ndarray[Any, Any]
    """The samples as stored (images: uint8 NHWC); a view of the records where that is possible."""
    labels_N: np.ndarray[Any, np.dtype[np.int64]]
    """Class indexes into `Codec.classes`; zeros when there are no classes."""


@dataclass(frozen=True, kw_only=True)
class ShardRequest:
    """What is asked of the records of one shard, beside their number."""

    labels_N: np.ndarray[Any, np.dtype[np.int64]] | None = None
    """The class of every record; None where the generator draws it."""
    given: tuple[Condition, ...] = ()
    shard: int = 0
    """Number of the shard."""
    shards: int = 1
    """Shards of the data set, made without knowing of each other."""
    exact: bool = False
    """Whether the values meet `given` to the last; else as exactly as codes can say it."""


Resample = Callable[[np.ndarray[Any, np.dtype[np.int64]], int], np.ndarray[Any, Any]]
"""From numbers of records and of a round to fresh values for these records."""


class Repaired(NamedTuple):
    """Valid values, and what it took."""

    values: np.ndarray[Any, Any]
    redrawn: int
    """Records that were drawn more than once."""
    changed: int
    """Records that were altered, because drawing again did not help."""


class Codec(Protocol):
    """The map between records (Arrow) and tensors, fitted on the training records only."""

    @property
    def modality(self) -> str:
        """Name in `storage.records.modalities.MODALITIES`."""

    @property
    def label(self) -> str | None:
        """Name of the label column, None when unconditional."""

    @property
    def classes(self) -> tuple[Label, ...]:
        """Every class, sorted; empty when unconditional."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed of the records so that nothing rare is shown, one sentence each."""

    @classmethod
    def fit(cls, records: pa.Table, label: str | None) -> Self:
        """Learn shapes, types and classes.

        Raises:
            DataError: the records do not fit the modality.
        """

    def encode(self, records: pa.Table) -> Encoded:
        """Return records as arrays.

        Raises:
            DataError: the records differ from those the codec was fitted on.
        """

    def to_samples(self, values: Tensor) -> Tensor:
        """Return stored values as the float samples that networks see."""

    def to_values(self, samples: Tensor) -> np.ndarray[Any, Any]:
        """Return a generator's output as stored values: clamped, rounded, on the processor."""

    def decode(
        self, values: np.ndarray[Any, Any], labels_N: np.ndarray[Any, np.dtype[np.int64]]
    ) -> pa.Table:
        """Return stored values and class indexes as records.

        Args:
            values: one row per record.
            labels_N: class indexes, where they are not among the values.
        """

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON-able data, without any real record."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a codec.

        Raises:
            SnapshotError: the data is not a codec of this modality.
        """


class CodeStrata(NamedTuple):
    """The ways in which records meet conditions, such that each has one of them."""

    allowed: tuple[np.ndarray[Any, np.dtype[np.bool_]], ...]
    """For each, codes as `ConditionalCodec.allowed` returns them."""
    of: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, np.dtype[np.int64]]]
    """From stored values that meet the conditions to the number of their way; -1: of none."""


@runtime_checkable
class ConditionalCodec(Codec, Protocol):
    """A codec whose records can be made under conditions and constraints, and have keys."""

    @property
    def draws_classes(self) -> bool:
        """Whether the class is one of the values that a generator draws, not its input."""

    def decode(
        self,
        values: np.ndarray[Any, Any],
        labels_N: np.ndarray[Any, np.dtype[np.int64]],
        first_row: int = 0,
    ) -> pa.Table:
        """Return stored values and class indexes as records.

        Args:
            values: one row per record.
            labels_N: class indexes, where they are not among the values.
            first_row: number of the first record within its data set; keys are made from it.
        """

    def allowed(
        self, given: Sequence[Condition], *, per_class: bool
    ) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        """Return `allowed_CK`: which codes of a record are allowed; None when all are.

        Args:
            given: conditions on columns.
            per_class: whether every record's class is asked for; row c then belongs to class c.

        Raises:
            ConfigError: the records have no such column or value, or cannot be made without
                saying how many of each class.
        """

    def strata(self, given: Sequence[Condition], *, per_class: bool) -> CodeStrata:
        """Return the ways in which records meet conditions; the arguments are those of `allowed`.

        Together they allow every record that meets them, and some that does not.
        """

    def classes_of(
        self, values: np.ndarray[Any, Any], given: Sequence[Condition], *, per_class: bool
    ) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the class index of stored values, -1 where they do not meet the conditions.

        Without `per_class` 0 takes the place of every class. Asked only where `draws_classes`.
        """

    def repair(
        self, values: np.ndarray[Any, Any], request: ShardRequest, resample: Resample
    ) -> Repaired | None:
        """Make values satisfy what holds in every record; None when there is nothing to satisfy.

        Args:
            values: as drawn, one row per record.
            request: what was asked for.
            resample: draws records again, under the same conditions.

        Raises:
            ConfigError: it cannot be met.
        """

    def check(self, given: Sequence[Condition], rows: int) -> None:
        """Check that so many records can be made under these conditions.

        Raises:
            ConfigError: they cannot; the sentence says why.
        """


@runtime_checkable
class LossyCodec(Codec, Protocol):
    """A codec that does not show everything of the records it was fitted on."""

    def losses(self, records: pa.Table) -> Sequence[tuple[str, str]]:
        """Return the columns that lose something for privacy, each with a sentence.

        The sentence names no value; the column is empty where it is about several.

        Args:
            records: those the codec was fitted on.
        """


@runtime_checkable
class ShrinkableCodec(Codec, Protocol):
    """A codec of records that could be smaller, so that networks are quicker."""

    def smaller(self, times: float) -> str | None:
        """Return the setting of a recipe by which training is about so many times as quick.

        None where the records are as small as they can be.
        """


def losses_of(codec: Codec, records: pa.Table) -> tuple[str, ...]:
    """Return what privacy takes from the records that a codec was fitted on, in sentences."""
    if not isinstance(codec, LossyCodec):
        return ()
    return tuple(text for _, text in codec.losses(records))
