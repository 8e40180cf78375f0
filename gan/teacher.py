"""A teacher: what learned the label from real records, and says it of synthetic ones.

A generator draws a record and its label together, and the label is only as good as a generator of
whole records learned it. A model that learned nothing but the label knows it better, and its
probabilities say more than a class: a model that learns from them on synthetic records is
compressed from the teacher (Bucilă, Caruana & Niculescu-Mizil, "Model compression", KDD 2006).

Shapes: N records, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch

from gan.errors import DataError
from gan.randomness import stream
from storage.records.schema import ClassCounts, Label

Array = np.ndarray[Any, Any]

PURPOSE = "teacher"
DECIMALS = 6
"""Of probabilities as they are written."""
LEAST_WEIGHT = 1e-6
"""Of a record whose class the teacher rules out: it is picked where there are no others."""


class Teacher(Protocol):
    """A fitted ensemble for one label; equal records give equal answers."""

    @property
    def label(self) -> str:
        """The column that it predicts."""

    @property
    def classes(self) -> Sequence[Label]:
        """Its classes, in the order of the columns of probabilities; empty for a number."""

    def predict(self, records: pa.Table) -> Array:
        """Return probabilities (N, C), or expected numbers (N,); float64.

        Raises:
            DataError: the records have other columns than those it learned from.
        """


@dataclass(frozen=True, kw_only=True)
class Labeller:
    """Writes beside every record of a shard what a teacher says of it."""

    teacher: Teacher
    columns: Sequence[str]
    """Names for its probabilities, or for the expected number."""
    relabels: bool
    """Whether the label is drawn from the probabilities; else it stays."""
    seed: int
    """Of the synthesis."""
    picks: int = 1
    """Records that are drawn for one of a class that was asked for."""

    def draws(self, rows: ClassCounts | int) -> ClassCounts | int:
        """Return what to draw so that so many rows of each class, or rows, can be picked."""
        if isinstance(rows, int):
            return rows
        return tuple((label, count * self.picks) for label, count in rows)

    def __call__(self, records: pa.Table, rows: ClassCounts | int, index: int) -> pa.Table:
        """Return the records of shard `index` with the teacher's columns behind their own.

        Args:
            records: so many as `draws` says.
            rows: of each class, or their number, as they are wanted.
            index: of the shard; equal arguments give equal records.

        Raises:
            DataError: the records are of another kind than those the teacher learned from.
        """
        records, found = self.label(records, rows, index)
        if self.teacher.classes:
            found = np.round(found, DECIMALS)
        for name, values_N in zip(self.columns, np.atleast_2d(found.T), strict=True):
            records = records.append_column(pa.field(name, pa.float64()), pa.array(values_N))
        return records

    def label(
        self, records: pa.Table, rows: ClassCounts | int, index: int
    ) -> tuple[pa.Table, Array]:
        """Return the records with the label they are published with, and the teacher's answer.

        Of a class that was asked for, one record of `picks` is left. Arguments as above.

        Raises:
            DataError: the records are of another kind than those the teacher learned from.
        """
        found = self.teacher.predict(records)
        if isinstance(rows, int):
            return self._relabelled(records, found, index) if self.relabels else records, found
        if self.picks > 1:
            kept_M = self._picked(records[self.teacher.label], found, index)
            return records.take(pa.array(kept_M)), found[kept_M]
        return records, found

    def _picked(self, labels: pa.ChunkedArray, probabilities_NC: Array, index: int) -> Array:
        """Return the rows that are kept: one of `picks` of each class, drawn without replacement.

        Their weights are the probabilities of their own class (sampling and importance resampling:
        Rubin 1987; the draw: Efraimidis & Spirakis, "Weighted random sampling with a reservoir",
        2006).
        """
        numbers = stream(self.seed, f"{PURPOSE}-picks", index)
        uniform_N = torch.rand(len(labels), generator=numbers, dtype=torch.float64).numpy()
        names = [str(one) for one in labels.to_pylist()]
        own = {str(one): column for column, one in enumerate(self.teacher.classes)}
        column_N = np.array([own[name] for name in names], dtype=np.int64)
        weights_N = np.maximum(probabilities_NC[np.arange(len(names)), column_N], LEAST_WEIGHT)
        keys_N = np.log(np.maximum(uniform_N, np.finfo(np.float64).tiny)) / weights_N
        kept = []
        for column in range(len(self.teacher.classes)):
            rows = np.flatnonzero(column_N == column)
            best = np.argsort(-keys_N[rows], kind="stable")[: len(rows) // self.picks]
            kept.append(rows[best])
        return np.sort(np.concatenate(kept))

    def taught(
        self, records: pa.Table, rows: ClassCounts | int, index: int, classes: Sequence[str]
    ) -> tuple[pa.Table, Array | None]:
        """Return records as a downstream model learns from them, with their soft labels.

        Where the label is a number, the expected number takes its place.

        Args:
            records: of one request, so many as `draws` says.
            rows: of each class, or their number, as they are wanted.
            index: of the request; equal arguments give equal labels.
            classes: names of the classes in the order of the columns that are wanted; what the
                teacher knows beyond them goes to the last.

        Raises:
            DataError: the records are of another kind than those the teacher learned from, or it
                learned a number and classes are wanted.
        """
        if classes and not self.teacher.classes:
            msg = (
                f"the teacher learned {self.teacher.label!r} as a number, and downstream models "
                "learn its classes; give it another kind in source.columns, or set "
                "synthesis.labels to generator"
            )
            raise DataError(msg)
        records, found = self.label(records, rows, index)
        if self.teacher.classes:
            return records, _in_order(found, self.teacher, classes)
        place = records.column_names.index(self.teacher.label)
        field = pa.field(self.teacher.label, pa.float64())
        return records.set_column(place, field, pa.array(found)), None

    def _relabelled(self, records: pa.Table, probabilities_NC: Array, index: int) -> pa.Table:
        """Return the records with a label drawn for each from its probabilities."""
        numbers = stream(self.seed, PURPOSE, index)
        uniform_N = torch.rand(len(records), generator=numbers, dtype=torch.float64).numpy()
        ends_NC = probabilities_NC.cumsum(axis=1)
        drawn_N = (uniform_N[:, None] * ends_NC[:, -1:] >= ends_NC).sum(axis=1)
        last = probabilities_NC.shape[1] - 1
        place = records.column_names.index(self.teacher.label)
        field = records.schema.field(place)
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        classes = pa.array(list(self.teacher.classes), type=plain)
        labels = classes.take(pa.array(np.minimum(drawn_N, last))).cast(field.type)
        return records.set_column(place, field, labels)


def soft_labels(teacher: Teacher, records: pa.Table, classes: Sequence[str]) -> Array:
    """Return what a teacher of classes says of records, in the order of `classes`; (N, C).

    What it knows beyond them goes to the last.

    Raises:
        DataError: the records are of another kind than those the teacher learned from.
    """
    return _in_order(teacher.predict(records), teacher, classes)


def _in_order(probabilities_NC: Array, teacher: Teacher, wanted: Sequence[str]) -> Array:
    """Return the teacher's columns in the order of `wanted`, others added to the last."""
    found = np.zeros((len(probabilities_NC), len(wanted)))
    for column, name in enumerate(str(one) for one in teacher.classes):
        place = wanted.index(name) if name in wanted else len(wanted) - 1
        found[:, place] += probabilities_NC[:, column]
    return found
