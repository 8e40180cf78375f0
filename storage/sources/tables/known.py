"""A table that is understood: kinds, splits and structure; what all its ways to be read end in.

N rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.records.schema import Column
from storage.sources.builder import PrepareJob
from storage.sources.checks import class_needs
from storage.sources.split import SPLITS, TRAIN
from storage.sources.split_assignment import SplitAssignment
from storage.sources.split_classes import Classes, ClassNeeds, code_classes
from storage.sources.streams.seen import SeenRecords
from storage.sources.tables.kinds import Inferred
from storage.sources.tables.label import MAX_CLASSES, classes_of
from storage.sources.tables.structure.find import Structure, find_structure


@dataclass(frozen=True, kw_only=True)
class KnownTable:
    """N rows to be written, and everything that is known of them."""

    table: pa.Table
    inferred: Inferred
    assignment: SplitAssignment
    structure: Structure
    metadata: Mapping[bytes, bytes]
    """For the schema of the records."""
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    """Sentences that come before those on kinds, structure and splits."""
    seen: SeenRecords | None = None
    """Of all rows, where these are a sample."""


def is_public(label: str | None, columns: Sequence[Column]) -> bool:
    """Say whether every class may be shown, however small."""
    return any(one.name == label and one.vocabulary == "public" for one in columns)


def label_needs(job: PrepareJob, columns: Sequence[Column]) -> ClassNeeds:
    """Return how many rows of a class each split should hold."""
    train = 1 if is_public(job.config.label, columns) else job.min_group
    return class_needs("tables", train=train)


def label_classes(job: PrepareJob, table: pa.Table, columns: Sequence[Column]) -> Classes | None:
    """Return the class of every row; None where the label is a quantity or there is none."""
    counts = classes_of(job.config, table, tuple(columns))
    if not 0 < len(counts) <= MAX_CLASSES:
        return None
    return code_classes(table.column(job.config.label), label_needs(job, columns))


def structure_of(
    job: PrepareJob, table: pa.Table, columns: Sequence[Column], splits_N: NDArray[np.uint8]
) -> Structure:
    """Return what holds between the columns, unless nobody wants to know."""
    if job.config.structure == "off":
        return Structure()
    return find_structure(
        table,
        columns,
        label=job.config.label,
        constraints=job.config.constraints,
        min_group=job.min_group,
        train_N=splits_N == SPLITS.index(TRAIN),
    )
