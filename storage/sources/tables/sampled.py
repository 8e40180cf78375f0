"""Tables of more rows than are kept: a uniform sample of them, and facts about all of them.

Three passes over the rows: their digests choose the sample; the sample is taken; and all rows are
read with the types that the sample proves, counted, divided and compared with every rule. Rows that
do not fit join the sample while types are decided, and the last pass is made again; so it is where
all rows show a column to be of another kind than the sample does. In memory lie the sample, as
often as a whole table would, and one block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.schema import count_classes
from storage.sources.builder import PrepareJob
from storage.sources.checks import advice, check_kept_classes
from storage.sources.config import SourceConfig
from storage.sources.split import SPLITS, TRAIN
from storage.sources.streams.divide import DIVIDE_WORDS, StreamClasses, divide
from storage.sources.streams.seen import SeenRecords, error_note
from storage.sources.streams.spill import Spill
from storage.sources.tables.cells import CellReader
from storage.sources.tables.chosen import ChosenRows, SampledTable, choose_sample
from storage.sources.tables.column_facts import ColumnFacts
from storage.sources.tables.kinds import Inferred, infer
from storage.sources.tables.known import KnownTable, label_needs, structure_of
from storage.sources.tables.label import (
    CLASS_KINDS,
    MAX_CLASSES,
    check_label_kind,
    check_unlabelled,
)
from storage.sources.tables.row_stream import RowStream
from storage.sources.tables.rows import (
    Rows,
    assign_rows,
    content_columns,
    present_columns,
    read_rows,
    said_split,
    table_source,
    with_reading,
)
from storage.sources.tables.source import (
    check_kept,
    check_usable,
)
from storage.sources.tables.structure.find import Structure
from storage.sources.tables.sweep import Sweep, SweptTable

MOST_PASSES: Final = 8
"""So often are types and kinds decided again before a source is refused."""


def understand_stream(job: PrepareJob, stream: RowStream, folder: Path) -> KnownTable:
    """Return the sample of a stream, and what is known of all its rows.

    Args:
        job: with one source.
        stream: its rows.
        folder: for what does not fit into memory; it is empty again at the end.

    Raises:
        SourceError: the source is unfit.
    """
    chosen = choose_sample(job, stream, folder)
    evidence: list[pa.Table] = []
    facts: Mapping[str, ColumnFacts] | None = None
    for _ in range(MOST_PASSES):
        view = _view(job, stream, chosen, evidence, facts)
        with Spill(folder, "content", DIVIDE_WORDS) as spill:
            swept = view.sweep(job, stream, folder).run(spill, job.progress, chosen.rows)
            if not isinstance(swept, SweptTable):
                evidence, facts = [*evidence, *swept], None
                continue
            _check_all(job, swept)
            facts = swept.facts
            inferred = infer(view.rows.table, view.present, job.min_group, facts)
            if view.inferred is not None and _kinds(inferred) == _kinds(view.inferred):
                return _known(job, replace(view, inferred=inferred), chosen, swept, spill)
    msg = (
        f"What the columns of the source {job.config.uri!r} hold is not settled after "
        f"{MOST_PASSES} passes over its rows; say the kinds in source.columns, or raise "
        "source.max_rows."
    )
    raise SourceError(msg)


@dataclass(frozen=True, kw_only=True)
class SampleView:
    """The sample as it is understood."""

    rows: Rows
    present: SourceConfig
    """Without what the recipe says of columns that are not there."""
    places_K: NDArray[np.int64]
    """Where the rows are in the source."""
    inferred: Inferred | None
    """None: only all rows can say what the columns are."""
    content: list[str]
    structure: Structure
    cells: CellReader

    def sweep(self, job: PrepareJob, stream: RowStream, folder: Path) -> Sweep:
        """Return the pass over all rows that compares them with this view."""
        rules = (*self.structure.kept, *self.structure.named)
        named = [one for one in job.config.constraints if one.kind != "combinations"]
        found = [rule.constraint for rule in rules]
        return Sweep(
            stream=stream,
            reader=self.cells,
            content=self.content,
            label=job.config.label,
            constraints=list(dict.fromkeys([*named, *found])),
            sample=self.rows.table,
            folder=folder,
        )


def _view(
    job: PrepareJob,
    stream: RowStream,
    chosen: ChosenRows,
    evidence: Sequence[pa.Table],
    facts: Mapping[str, ColumnFacts] | None,
) -> SampleView:
    """Understand the sample by its own values, or with the facts of all rows."""
    config = job.config
    source = table_source(job.sources[0])
    sampled = SampledTable(source, stream, chosen, evidence, config.label)
    rows = read_rows(replace(job, sources=(sampled,)))
    present = present_columns(config, rows.table)
    loose = frozenset(one.name for one in config.columns if one.kind == "integer")
    cells = CellReader(
        rows.table.schema.with_metadata(dict(rows.metadata)),
        pa.concat_tables([*chosen.pieces, *evidence]) if stream.csv else rows.table,
        loose,
        csv=stream.csv,
    )
    inferred, structure = None, Structure()
    try:
        inferred = infer(rows.table, present, job.min_group, facts)
    except SourceError:  # what a sample cannot be may hold of all rows
        if facts is not None:
            raise
    content = [name for name in rows.table.column_names if name != config.label]
    if inferred is not None:
        content = content_columns(config, inferred)
        table = rows.table.select([column.name for column in inferred.columns])
        check_kept(config, table.column_names)
        check_label_kind(config, inferred.columns)
        splits_K = assign_rows(config, rows, table, inferred, None).splits_N
        structure = structure_of(job, table, inferred.columns, splits_K)
    return SampleView(
        rows=rows,
        present=present,
        places_K=chosen.places_K[sampled.kept_K][rows.labelled],
        inferred=inferred,
        content=content,
        structure=structure,
        cells=cells,
    )


def _check_all(job: PrepareJob, swept: SweptTable) -> None:
    """Check what must be so in all rows.

    Raises:
        SourceError: it is not.
    """
    check_unlabelled(job.config, swept.unlabelled, swept.rows)
    check_usable(job.config.uri, swept.unusable)
    broken = [one for one in job.config.constraints if one in swept.broken]
    if broken:
        names = ", ".join(map(repr, broken[0].columns))
        msg = (
            f"The constraint {broken[0].kind!r} on {names} in source.constraints does not hold in "
            f"all rows of the source {job.config.uri!r}: {_reason(swept.broken[broken[0]])}; "
            "correct the rows, or remove the constraint."
        )
        raise SourceError(msg)


def _reason(why: str) -> str:
    return why.replace("rows outside the sample break it", "some rows break it")


def _kinds(inferred: Inferred) -> list[tuple[str, str]]:
    return [(column.name, column.kind) for column in inferred.columns]


def _known(
    job: PrepareJob, view: SampleView, chosen: ChosenRows, swept: SweptTable, spill: Spill
) -> KnownTable:
    """Return the sample with its splits, and in words what was seen."""
    inferred, rows = view.inferred, view.rows
    if inferred is None:
        raise TypeError(inferred)
    classes = _classes(job, inferred, swept)
    if classes is not None:
        counted = zip(classes.values, classes.counts_C.tolist(), strict=True)
        kept_counts = count_classes(rows.table.column(job.config.label))
        check_kept_classes(job.config, tuple(counted), kept_counts, job.min_group, "tables")
    divided = divide(spill, view.places_K, job.config.split, classes)
    seen = SeenRecords(
        rows=swept.rows - swept.unlabelled,
        kept=len(view.places_K),
        most=chosen.most,
        by_split=divided.rows,
        class_counts=divided.class_counts,
    )
    splits_K = divided.assignment.splits_N
    kept = {name: int((splits_K == number).sum()) for number, name in enumerate(SPLITS)}
    structure, broken = _unbroken(view.structure, swept)
    return KnownTable(
        table=rows.table.select([column.name for column in inferred.columns]),
        inferred=inferred,
        assignment=with_reading(divided.assignment, job.config, rows, inferred),
        structure=structure,
        metadata=rows.metadata,
        skipped=(),
        notes=(
            *seen.notes("rows", kept, "kinds of columns, classes, constraints and splits"),
            error_note(kept[TRAIN], len(inferred.columns)),
            *rows.notes,
            *map(advice, said_split(rows.table, job.config)),
            *_unlabelled_note(job.config, swept),
            *broken,
        ),
        seen=seen,
    )


def _unlabelled_note(config: SourceConfig, swept: SweptTable) -> list[str]:
    if not swept.unlabelled:
        return []
    return [
        f"Skipped for want of a value of {config.label!r}: {swept.unlabelled:,} of {swept.rows:,} "
        "rows."
    ]


def _unbroken(structure: Structure, swept: SweptTable) -> tuple[Structure, list[str]]:
    """Return the rules that hold in all rows, and what to say of the others."""
    kept = [one for one in structure.kept if one.constraint not in swept.broken]
    named = [one for one in structure.named if one.constraint not in swept.broken]
    gone = len(structure.kept) - len(kept)
    said = [f"{gone} rules that hold in the sample do not hold in all rows, and are not kept."]
    return replace(structure, kept=tuple(kept), named=tuple(named)), said if gone else []


def _classes(job: PrepareJob, inferred: Inferred, swept: SweptTable) -> StreamClasses | None:
    """Return the classes of all rows; None where the label is a quantity or there is none."""
    kinds = {column.name: column.kind for column in inferred.columns}
    label = job.config.label
    if label is None or kinds[label] not in CLASS_KINDS or not 0 < len(swept.labels) <= MAX_CLASSES:
        return None
    values = tuple(sorted(swept.labels, key=str))
    return StreamClasses(
        values=values,
        counts_C=np.array([swept.labels[value] for value in values], np.int64),
        places_C=np.array([values.index(label) for label in swept.labels], np.int64),
        needs=label_needs(job, inferred.columns),
    )
