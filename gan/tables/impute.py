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
from gan.tables.columns.derived import Key, Sum
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.relative import RelativeNumeric
from gan.tables.columns.values import Modelled, from_units, plain, to_units
from gan.tables.constraints import violations

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

PURPOSE = "impute"
DRAWN_AGAIN = frozenset({"inequality", "range", "conditional"})
"""Kinds of constraints that rows are filled again for."""
TURNS = 50
"""Rounds in which rows that break a constraint are filled again, at most."""


def impute(
    sampler: Sampler, records: pa.Table, seed: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the records with nulls filled; whatever was there is there, bit for bit.

    A value that train never had stays and counts as the nearest one that it had. Keys and texts
    are not learnt and never filled; a column that a rule computes is computed from the others.

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
    any_N = np.zeros(records.num_rows, dtype=bool)
    for name in {name for each in codec.columns for name in each.fields} & set(missing):
        any_N |= missing[name]
    size = sampler.snapshot.config.sampling_batch
    rules = [each for each in codec.metadata.constraints if each.kind in DRAWN_AGAIN]
    rows_M = np.flatnonzero(any_N)
    for turn in range(TURNS if len(rows_M) else 0):
        for number, start in enumerate(range(0, len(rows_M), size)):
            rows_B = rows_M[start : start + size]
            gaps = {name: mask[rows_B] for name, mask in missing.items()}
            allowed_BK = _allowed(codec, known.take(pa.array(rows_B)), gaps, cells_ND[rows_B])
            draw = sampler.generator.conditioned(allowed_BK)
            numbers = stream(seed, f"{PURPOSE}/{turn}", number)
            cells_ND[rows_B] = sampler.values(np.arange(len(rows_B)), numbers, draw)
        gaps = {name: mask[rows_M] for name, mask in missing.items()}
        filled = _finish(codec, records.take(pa.array(rows_M)), gaps, cells_ND[rows_M])
        broken_M = np.any([np.zeros(len(rows_M), dtype=bool), *violations(filled, rules)], axis=0)
        rows_M = rows_M[broken_M]
        if not len(rows_M):
            break
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
    known += [each.name for each in codec.derived if not isinstance(each, Key)]
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


def _allowed(codec: TableCodec, known: pa.Table, gaps: Mapping[str, Mask], cells_BD: Array) -> Mask:
    """Return the codes that each row with gaps may have, `allowed_BK`.

    Args:
        codec: of the records.
        known: values of the rows, in the columns of the codec.
        gaps: for each column to fill, where its value is missing.
        cells_BD: of the rows, encoded.
    """
    parts = []
    for column, cells_B in zip(codec.columns, cells_BD.T, strict=True):
        allowed_BJ = column.code_of_cell[cells_B][:, None] == np.arange(column.codes)
        if not column.has_null:
            # A null that is to stay where train had none says nothing of the other columns.
            for name in column.fields:
                allowed_BJ[_nulls(known[name])] = True
        none_B = np.zeros(len(cells_BD), dtype=bool)
        gaps_B = {name: gaps.get(name, none_B) for name in column.fields}
        rows_F = np.flatnonzero(np.any(list(gaps_B.values()), axis=0))
        of_rows = {name: gap_B[rows_F] for name, gap_B in gaps_B.items()}
        allowed_BJ[rows_F] = _fitting_codes(column, known.take(pa.array(rows_F)), of_rows)
        parts.append(allowed_BJ)
    return np.concatenate(parts, axis=1)


def _fitting_codes(column: Modelled, known: pa.Table, gaps: Mapping[str, Mask]) -> Mask:
    """Return the codes that a column may take in rows where its value is missing, (F, J).

    Null is none of them where it is to be filled. Of a joint column the codes agree with what is
    known of the row, if there are such.
    """
    filled_FJ = np.ones((known.num_rows, column.codes), dtype=bool)
    agrees_FJ = filled_FJ.copy()
    for name, vocabulary in zip(column.fields, column.vocabularies, strict=True):
        present = vocabulary.is_valid().to_numpy(zero_copy_only=False) | column.relative
        counts_J = np.bincount(column.code_of_cell[present], minlength=column.codes)
        filled_FJ[gaps[name]] &= counts_J > 0
        if len(column.fields) > 1:
            values = plain(known[name].filter(pa.array(~gaps[name])))
            distinct = vocabulary.unique()
            of_row = pc.index_in(values, value_set=distinct).fill_null(-1).to_numpy()
            of_code = pc.index_in(vocabulary, value_set=distinct).fill_null(-2).to_numpy()
            agrees_FJ[~gaps[name]] &= of_row[:, None] == of_code
    both_FJ = filled_FJ & agrees_FJ
    return np.where(both_FJ.any(axis=1, keepdims=True), both_FJ, filled_FJ)


def _finish(
    codec: TableCodec, records: pa.Table, missing: Mapping[str, Mask], cells_ND: Array
) -> pa.Table:
    """Return the records with cells in the gaps, sums that are met, and constants."""
    derived = {each.name for each in codec.derived}
    found: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for index in codec.decoding_order:
        column = codec.columns[index]
        cells_N = np.ascontiguousarray(cells_ND[:, index])
        for name, values in zip(column.fields, column.decode(cells_N, whole), strict=True):
            found[name] = values
            if name not in derived:
                whole[name] = _put(records[name], values, missing.get(name))
    for each in codec.derived:
        if isinstance(each, Sum):
            _complete_sum(codec, each, records, whole, missing)
    columns = {name: plain(whole.get(name, records[name])) for name in codec.schema.names}
    for each in codec.derived:
        if each.name in missing:
            drawn = {name: one for name, one in columns.items() if name != each.name}
            drawn |= {each.name: found[each.name]} if each.name in found else {}
            values = each.make(records.num_rows, 0, drawn)
            whole[each.name] = _put(records[each.name], values, missing[each.name])
            columns[each.name] = plain(whole[each.name])
    arrays = [whole.get(name, records[name]) for name in records.column_names]
    return pa.Table.from_arrays(arrays, schema=records.schema)


def _complete_sum(
    codec: TableCodec,
    total: Sum,
    records: pa.Table,
    whole: dict[str, Any],
    missing: Mapping[str, Mask],
) -> None:
    """Where a total is known, fill the last missing part with the rest of it, in place.

    Not where a part that is computed itself is missing.
    """
    known = records[total.name]
    known_N = plain(known).is_valid().to_numpy(zero_copy_only=False)
    for name in set(total.parts) & set(missing) - set(whole):
        known_N &= ~missing[name]
    for index, name in enumerate(total.parts):
        later = [missing[part] for part in total.parts[index + 1 :] if part in missing]
        if name not in missing or not isinstance(whole.get(name), pa.ChunkedArray):
            continue
        last_N = np.logical_and.reduce([missing[name], known_N, *(~gap for gap in later)])
        others = [plain(whole.get(part, records[part])) for part in total.parts if part != name]
        whole[name] = _put(whole[name], _rest(codec, name, plain(known), others), last_N)


def _rest(codec: TableCodec, name: str, total: Any, others: Sequence[Any]) -> Any:
    """Return a total less the other parts, as the values of a column are written."""
    column = next(each for each in codec.columns if name in each.fields)
    kind = column.vocabulary(name).type
    floats = any(pa.types.is_floating(each.type) for each in (total, *others)) or (
        pa.types.is_floating(kind)
    )
    wide = pa.float64() if floats else pa.decimal256(60, 9)
    rest = total.cast(wide)
    for other in others:
        rest = pc.subtract(rest, pc.fill_null(other.cast(wide), 0)).cast(wide)
    decimals = column.decimals if isinstance(column, Numeric | RelativeNumeric) else None
    if pa.types.is_floating(kind):
        units, valid = to_units(rest, decimals)
        return pc.if_else(pa.array(valid), from_units(units, decimals, kind), None)
    return pc.round(rest, 0 if pa.types.is_integer(kind) else kind.scale).cast(kind)


def _put(column: Any, values: Any, gaps: Mask | None) -> Any:
    """Return a column with values in its gaps, in its own type."""
    if gaps is None or not gaps.any():
        return column
    kind, values = column.type, values.cast(plain(column).type)
    if not pa.types.is_dictionary(kind):
        return pc.if_else(pa.array(gaps), values, column)
    filled = pc.if_else(pa.array(gaps), values, column.cast(kind.value_type))
    return filled.dictionary_encode().cast(kind)
