"""Which entity is trained on, chosen by, or held out.

The content of an entity is what is known of it but its name, its label and the moments: its statics
and the values of all its steps in order. Equal entities are on one side, whatever they are called
and whenever they live. Where entities grow, `split.group_by` with the key keeps each on its side.

Shape legend: N entities, T steps of all entities together, 16 bytes of a digest.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.series import SeriesMetadata
from storage.sources.checks import MIN_RECORDS
from storage.sources.series.panel import Panel, value_codes
from storage.sources.series.reading import Series
from storage.sources.series.windows import BLOCK, check_sides, crossing, sides
from storage.sources.split import (
    DIGEST_BYTES,
    HOLDOUT,
    SALT,
    SplitConfig,
    as_digests,
    row_texts,
    split_rule,
)
from storage.sources.split_assignment import (
    LEFT_OUT,
    SplitAssignment,
    SplitInputs,
    assign_splits,
)
from storage.sources.split_classes import Classes
from storage.sources.tables.label import NO_CONTENT

_BLOCK_STEPS: Final = 1 << 17
OWNERS: Final = "entities that windows are of"
BLOCKS: Final = "blocks of time"
"""What windows are split by, where the recipe names no column."""


def content_names(metadata: SeriesMetadata, label: str | None) -> tuple[list[str], list[str]]:
    """Return the statics and the variables that are content."""
    statics = [
        one.name for one in metadata.statics if one.kind not in NO_CONTENT and one.name != label
    ]
    return statics, [one.name for one in metadata.variables]


def entity_digests(
    panel: Panel, statics: Collection[str], variables: Collection[str]
) -> NDArray[np.uint8]:
    """Digest N entities: the texts of their statics, then of their steps, a line each.

    Returns:
        uint8 array of shape (N, 16).
    """
    heads = _lines(panel.firsts(list(statics)), statics, np.arange(len(panel.lengths_N) + 1))
    bounds_N = np.append(panel.starts_N, len(panel.steps))
    found = bytearray()
    for head, steps in zip(heads, _lines(panel.steps, variables, bounds_N), strict=True):
        content = SALT + head + b"\n" + steps
        found += blake2b(content, digest_size=DIGEST_BYTES).digest()
    return as_digests(bytes(found))


def _lines(
    table: pa.Table, columns: Collection[str], bounds_N: NDArray[np.int64]
) -> Iterator[bytes]:
    """Yield the texts of the rows between each two bounds, joined by line ends."""
    count, begin = len(bounds_N) - 1, 0
    if not columns:
        yield from (b"" for _ in range(count))
        return
    while begin < count:
        last = int(np.searchsorted(bounds_N, bounds_N[begin] + _BLOCK_STEPS, side="right")) - 1
        end = min(max(last, begin + 1), count)
        low, high = int(bounds_N[begin]), int(bounds_N[end])
        blocks = list(row_texts(table.slice(low, high - low), list(columns)))
        offsets = pa.array((bounds_N[begin : end + 1] - low).astype(np.int32))
        lists = pa.ListArray.from_arrays(offsets, pa.concat_arrays(blocks))
        yield from pc.binary_join(lists, b"\n").to_pylist()
        begin = end


def divide(series: Series, classes: Classes | None) -> SplitAssignment:
    """Return the split of every entity.

    Args:
        series: N of them.
        classes: of their labels; None where there are none.

    Raises:
        SourceError: a column that decides has several values in an entity, or a split is empty.
    """
    config = series.config.split
    statics, variables = content_names(series.metadata, series.config.label)
    digests = entity_digests(series.panel, statics, variables)
    chosen = _chosen(series, statics, variables)
    kept_N = np.flatnonzero(~chosen.crossing_N)
    held_out_N = series.held_out_N[kept_N]
    by_blocks = chosen.split.column == BLOCKS
    own = pa.array(kept_N if by_blocks else kept_N[~held_out_N])
    inputs = SplitInputs(
        digests=digests[kept_N],
        final_digests=digests[kept_N],
        deciding=None if chosen.deciding is None else chosen.deciding.take(own),
        held_out=held_out_N,
        classes=None if classes is None else classes.take(kept_N),
    )
    assignment = assign_splits(chosen.split, inputs, refuse_leaks=not by_blocks)
    splits_N = np.full(len(digests), LEFT_OUT, np.uint8)
    splits_N[kept_N] = assignment.splits_N
    left_out = series.metadata.order, series.described.dropped
    rule = {**assignment.rule, "without": sorted({*chain(*left_out)} - {*statics, *variables})}
    if by_blocks:
        rule |= {"by": BLOCKS, "block": BLOCK, "column": None}
        rule |= {"holdout": None if config.holdout_uri else config.holdout}
        rule |= {"holdout_uri_digest": split_rule(config)["holdout_uri_digest"]}
    if series.windows is not None:
        rule["window"] = series.config.window.model_dump(mode="json")
    return SplitAssignment(splits_N=splits_N, rule=rule, notes=(*assignment.notes, *chosen.notes))


@dataclass(frozen=True, kw_only=True)
class DividedBy:
    """By what entities are divided."""

    split: SplitConfig
    deciding: pa.Array | None
    """Its value for every entity, (N,); None where it is their content."""
    crossing_N: NDArray[np.bool_]
    """Windows that are on two sides."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Say how many are left out."""
        crossing = int(self.crossing_N.sum())
        if not crossing:
            return ()
        note = (
            f"Left out, as they reach over a boundary of the splits: {crossing:,} of "
            f"{len(self.crossing_N):,} windows."
        )
        return (note,)


def _chosen(series: Series, statics: Collection[str], variables: Collection[str]) -> DividedBy:
    """Return by what the entities are divided.

    Raises:
        SourceError: a column has several values in an entity, or a side has no window.
    """
    config, windows = series.config.split, series.windows
    nothing = np.zeros(len(series.panel.lengths_N), np.bool_)
    by = config.column or config.group_by
    if by is not None:
        deciding, several_N = _said(series, by)
        return DividedBy(split=config, deciding=deciding, crossing_N=several_N)
    if windows is None:
        return DividedBy(split=config, deciding=None, crossing_N=nothing)
    if len(series.whole.lengths_N) >= MIN_RECORDS:
        whole = entity_digests(series.whole, statics, variables)
        keys = [digest.tobytes().hex() for digest in whole]
        deciding = pa.array([keys[owner] for owner in windows.owner_N.tolist()])
        split = config.model_copy(update={"group_by": OWNERS})
        return DividedBy(split=split, deciding=deciding, crossing_N=nothing)
    fractions = {
        "validation": config.validation,
        "holdout": 0.0 if config.holdout_uri else config.holdout,
    }
    found = np.array(sides(windows.first_N.tolist(), **fractions))
    found = np.where(series.held_out_N, HOLDOUT, found)
    crossing_N = crossing(windows, **fractions) & ~series.held_out_N
    check_sides(found[~crossing_N].tolist(), series.config.uri)
    split = config.model_copy(update={"column": BLOCKS, "holdout_uri": None})
    return DividedBy(split=split, deciding=pa.array(found.tolist()), crossing_N=crossing_N)


def _said(series: Series, name: str) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Return the value per entity of the column that decides, and which windows have several.

    Raises:
        SourceError: an entity that is no window has several.
    """
    panel, known = series.panel, series.rows.deciding
    rows_known = 0 if known is None else len(known)
    own_T = (panel.row_T >= 0) & (panel.row_T < rows_known)
    values = pa.nulls(rows_known) if known is None else known
    values = values.take(pa.array(panel.row_T, mask=~own_T))
    codes_T = value_codes(pa.chunked_array([values]))
    other_T = own_T & (codes_T != codes_T[panel.starts_N][panel.entity_T])
    several_N = np.zeros(len(panel.lengths_N), np.bool_)
    several_N[panel.entity_T[other_T]] = True
    if several_N.any() and series.windows is None:
        msg = (
            f"The column {name!r} decides the split and changes within {int(several_N.sum()):,} of "
            f"{len(several_N):,} entities of the source {series.config.uri!r}, and no entity is on "
            "two sides; name a column with one value per entity."
        )
        raise SourceError(msg)
    return values.take(pa.array(panel.starts_N)), several_N
