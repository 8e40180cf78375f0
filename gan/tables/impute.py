"""Filling nulls: every row's known values are its condition, and what is missing is drawn.

Shapes: N rows, M rows with something missing, B rows of one forward pass, D modelled columns, K
codes of all columns side by side.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import ConfigError, DataError
from gan.randomness import stream
from gan.sample import Sampler
from gan.tables.codec import TableCodec
from gan.tables.columns.derived import Constant, Sum
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.values import Modelled, from_units, plain, to_units
from gan.tables.constraints import violations
from storage.records.schema import Constraint

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

PURPOSE = "impute"
TURNS = 50
"""Rounds in which rows that break a constraint are filled again, at most."""


def impute(
    sampler: Sampler, records: pa.Table, seed: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the records with nulls filled; whatever was there is there, bit for bit.

    A value that train never had keeps its place and counts as the nearest one that it had. Keys
    and texts are made up and never filled; a total is filled with the sum of its parts.

    Args:
        sampler: of a generator of tables.
        records: with the columns that the generator was trained on; others pass through.
        seed: equal seeds fill equal values.
        columns: to fill; None = all that can be.

    Raises:
        ConfigError: no generator of tables, or a column that is not there or cannot be filled.
        DataError: the records lack columns, or their types differ from those of train.
    """
    codec = sampler.snapshot.codec
    if not isinstance(codec, TableCodec):
        msg = f"nulls are filled in tables, and this generator makes {codec.modality}"
        raise ConfigError(msg)
    wanted = _fillable(codec, records, columns)
    known = records.select(codec.schema.names).replace_schema_metadata(codec.schema.metadata)
    cells_ND = codec.encode(known).values
    missing = {name: _nulls(records[name]) for name in wanted}
    drawn = [each for each in codec.columns if any(name in missing for name in each.fields)]
    any_N = np.zeros(records.num_rows, dtype=bool)
    for name in {name for each in drawn for name in each.fields} & set(missing):
        any_N |= missing[name]
    rules = [each for each in codec.metadata.constraints if each.kind in ("inequality", "range")]
    rows_M = np.flatnonzero(any_N)
    for turn in range(TURNS):
        if not len(rows_M):
            break
        places = pa.array(rows_M)
        gaps = {name: mask[rows_M] for name, mask in missing.items()}
        allowed = Allowed(codec, known.take(places), gaps, cells_ND[rows_M])
        cells_ND[rows_M] = cells_MD = _draw(sampler, allowed, seed, turn)
        filled = _finish(codec, records.take(places), gaps, cells_MD)
        rows_M = rows_M[_breaks(filled, rules)]
    return _finish(codec, records, missing, cells_ND)


def _fillable(
    codec: TableCodec, records: pa.Table, columns: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the columns to fill."""
    absent = [name for name in codec.schema.names if name not in records.column_names]
    if absent:
        msg = (
            f"the records lack column {absent[0]!r}, which the generator was trained on: add it, "
            "filled with nulls where it is not known"
        )
        raise DataError(msg)
    known = [name for each in codec.columns for name in each.fields]
    known += [each.name for each in codec.derived if isinstance(each, Constant | Sum)]
    if columns is None:
        return tuple(name for name in codec.schema.names if name in known)
    for name in columns:
        if name not in known:
            why = "is a key or text" if name in codec.schema.names else "is not in the table"
            msg = f"column {name!r} {why} and cannot be filled: choose of {', '.join(known)}"
            raise ConfigError(msg)
    return tuple(dict.fromkeys(columns))


def _nulls(column: Any) -> Mask:
    """Return where a column has a null or NaN."""
    mask: Mask = plain(column).is_null().to_numpy(zero_copy_only=False)
    return mask


class Allowed:
    """The codes that each row with gaps may have."""

    def __init__(
        self,
        codec: TableCodec,
        known: pa.Table,
        gaps: Mapping[str, Mask],
        cells_MD: Array,
    ) -> None:
        """Take the rows.

        Args:
            codec: of the records.
            known: their values, in the columns of the codec.
            gaps: for each column to fill, where its value is missing.
            cells_MD: of the rows, encoded.
        """
        self.codec, self.known, self.gaps, self.cells_MD = codec, known, gaps, cells_MD

    def rows(self, start: int, end: int) -> Mask:
        """Return `allowed_BK` of some rows."""
        parts = []
        for index, column in enumerate(self.codec.columns):
            codes_B = column.code_of_cell[self.cells_MD[start:end, index]]
            allowed_BJ = codes_B[:, None] == np.arange(column.codes)
            allowed_BJ[self._unheard(column)[start:end]] = True
            names = [name for name in column.fields if name in self.gaps]
            free_B = np.zeros(end - start, dtype=bool)
            for name in names:
                free_B |= self.gaps[name][start:end]
            allowed_BJ[free_B] = self._free(column, names, start + np.flatnonzero(free_B))
            parts.append(allowed_BJ)
        return np.concatenate(parts, axis=1)

    def _unheard(self, column: Modelled) -> Mask:
        """Return the rows with a null that is to stay, where train had none: it says nothing."""
        if any(vocabulary.null_count for vocabulary in column.vocabularies):
            return np.zeros(len(self.cells_MD), dtype=bool)
        unheard_M = np.zeros(len(self.cells_MD), dtype=bool)
        for name in column.fields:
            unheard_M |= _nulls(self.known[name])
        return unheard_M

    def _free(self, column: Modelled, names: Sequence[str], rows_F: Array) -> Mask:
        """Return the codes of a column whose value is missing in these rows, (F, J).

        Null is none of them where it is to be filled. Of a joint column the codes agree with what
        is known of the row, if there are such.
        """
        filled_FJ = np.ones((len(rows_F), column.codes), dtype=bool)
        agrees_FJ = filled_FJ.copy()
        for name, vocabulary in zip(column.fields, column.vocabularies, strict=True):
            gap_F = self.gaps[name][rows_F] if name in names else np.zeros(len(rows_F), dtype=bool)
            present_J = _per_code(column, vocabulary.is_valid().to_numpy(zero_copy_only=False))
            filled_FJ[gap_F] &= present_J
            if len(column.fields) > 1:
                agrees_FJ[~gap_F] &= self._same(name, vocabulary, rows_F[~gap_F])
        both_FJ = filled_FJ & agrees_FJ
        return np.where(both_FJ.any(axis=1, keepdims=True), both_FJ, filled_FJ)

    def _same(self, name: str, vocabulary: Any, rows: Array) -> Mask:
        """Return which codes of a joint column have the value that each row has."""
        values = plain(self.known[name]).take(pa.array(rows))
        found = vocabulary.unique()
        of_row = pc.index_in(values, value_set=found).fill_null(-1).to_numpy()
        of_code = pc.index_in(vocabulary, value_set=found).fill_null(-2).to_numpy()
        same: Mask = of_row[:, None] == of_code
        return same


def _per_code(column: Modelled, cells: Mask) -> Mask:
    """Return which codes have such a cell."""
    counts = np.bincount(column.code_of_cell[cells], minlength=column.codes)
    mask: Mask = counts > 0
    return mask


def _draw(sampler: Sampler, allowed: Allowed, seed: int, turn: int) -> Array:
    """Return `cells_MD` drawn under every row's own conditions, a forward pass at a time."""
    size, rows = sampler.snapshot.config.sampling_batch, len(allowed.cells_MD)
    parts = []
    for number, start in enumerate(range(0, rows, size)):
        allowed_BK = allowed.rows(start, min(start + size, rows))
        draw = sampler.generator.conditioned(allowed_BK)
        numbers = stream(seed, f"{PURPOSE}/{turn}", number)
        parts.append(sampler.values(np.arange(len(allowed_BK)), numbers, draw))
    return np.concatenate(parts)


def _finish(
    codec: TableCodec, records: pa.Table, missing: Mapping[str, Mask], cells_ND: Array
) -> pa.Table:
    """Return the records with cells in the gaps, sums that are met, and constants."""
    found: dict[str, Any] = {}
    for column, cells_N in zip(codec.columns, cells_ND.T, strict=True):
        for name in column.fields:
            found[name] = column.vocabulary(name).take(pa.array(np.ascontiguousarray(cells_N)))
    totals = [maker for maker in codec.derived if isinstance(maker, Sum)]
    derived = {maker.name for maker in codec.derived}
    whole = {
        name: _put(records[name], values, missing.get(name))
        for name, values in found.items()
        if name not in derived
    }
    for total in totals:
        _meet(codec, total, records[total.name], whole, missing)
    for maker in codec.derived:
        if maker.name in missing:
            made = maker.make(records.num_rows, 0, {**found, **whole})
            whole[maker.name] = _put(records[maker.name], made, missing[maker.name])
    arrays = [whole.get(name, records[name]) for name in records.column_names]
    return pa.Table.from_arrays(arrays, schema=records.schema)


def _meet(
    codec: TableCodec, total: Sum, known: Any, whole: dict[str, Any], missing: Mapping[str, Mask]
) -> None:
    """Where a total is known, make the last part that is filled what is left of it, in place."""
    there_N = plain(known).is_valid().to_numpy(zero_copy_only=False)
    for place, name in enumerate(total.parts):
        later = [missing[part] for part in total.parts[place + 1 :] if part in missing]
        if name not in missing or not isinstance(whole.get(name), pa.ChunkedArray):
            continue
        last_N = np.logical_and.reduce([missing[name], there_N, *(~gap for gap in later)])
        others = [plain(whole[part]) for part in total.parts if part != name]
        whole[name] = _put(whole[name], _left(codec, name, plain(known), others), last_N)


def _left(codec: TableCodec, name: str, total: Any, others: Sequence[Any]) -> Any:
    """Return a total less the other parts, as the values of a column are written."""
    column = next(each for each in codec.columns if name in each.fields)
    kind = column.vocabulary(name).type
    floats = any(pa.types.is_floating(each.type) for each in (total, *others)) or (
        pa.types.is_floating(kind)
    )
    wide = pa.float64() if floats else pa.decimal256(60, 9)
    left = total.cast(wide)
    for other in others:
        left = pc.subtract(left, pc.fill_null(other.cast(wide), 0)).cast(wide)
    decimals = column.decimals if isinstance(column, Numeric) else None
    if pa.types.is_floating(kind):
        units, valid = to_units(left, decimals)
        return pc.if_else(pa.array(valid), from_units(units, decimals, kind), None)
    return pc.round(left, 0 if pa.types.is_integer(kind) else kind.scale).cast(kind)


def _put(column: Any, values: Any, gaps: Mask | None) -> Any:
    """Return a column with values in its gaps, in its own type."""
    if gaps is None or not gaps.any():
        return column
    kind = column.type
    filled = pc.if_else(pa.array(gaps), values.cast(plain(column).type), _flat(column))
    return filled.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else filled


def _flat(column: Any) -> Any:
    """Return a column without its dictionary, its bits as they are."""
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _breaks(records: pa.Table, rules: Sequence[Constraint]) -> Mask:
    """Return the rows that break one of the constraints."""
    broken_N = np.zeros(records.num_rows, dtype=bool)
    for mask_N in violations(records, rules):
        broken_N |= mask_N
    return broken_N
