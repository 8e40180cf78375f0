"""Filling nulls: every row's known values are its condition, and what is missing is drawn.

Shapes: N rows, M rows with something missing, B rows of one forward pass, D modelled columns, K
codes of all columns side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from gan.errors import ConfigError, DataError
from gan.randomness import stream
from gan.sample import Sampler
from gan.tables.backwards import Backwards
from gan.tables.codec import TableCodec
from gan.tables.columns.derived import Key
from gan.tables.columns.values import Modelled, plain
from gan.tables.constraints import violations

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

PURPOSE = "impute"
DRAWN_AGAIN = frozenset({"inequality", "range", "conditional"})
"""Kinds of constraints that rows are filled again for."""
TURNS = 50
"""Rounds in which rows that break a constraint are filled again, at most."""
WITHIN_TURNS = 20
"""In the first of them also those whose solved values lie beyond what train showed."""
WITHIN_STEP = 0.49
"""A rounded result lies so far from its middle at most."""
MOST_COPIES = 64
"""Of few rows so many are drawn at once."""


def impute(
    sampler: Sampler, records: pa.Table, seed: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the records with nulls filled; whatever was there is there, bit for bit.

    A value that train never had stays and counts as the nearest one that it had. Keys and texts
    are not learnt and never filled; a column that a rule computes is computed from the others.
    Where it is known instead, what it is computed from is solved for or drawn such that the rule
    holds.

    Args:
        sampler: of a generator of tables.
        records: with the columns that the generator was trained on; others pass through.
        seed: equal seeds fill equal values.
        columns: to fill; None = all that can be.

    Raises:
        ConfigError: no generator of tables, or a column that is not there or cannot be filled.
        DataError: the records lack columns, their types differ from those of train, or no values
            were found that give what a computed column holds.
    """
    codec = sampler.snapshot.codec
    if not isinstance(codec, TableCodec):
        msg = f"nulls are filled in tables, and this generator makes {codec.modality}"
        raise ConfigError(msg)
    wanted = _fillable(codec, records, columns)
    codec.check_types(records)
    gaps = {name: _nulls(records[name]) for name in wanted}
    records, missing = _solved(codec, records, gaps)
    known = records.select(codec.schema.names).replace_schema_metadata(codec.schema.metadata)
    cells_ND = codec.encode(known).values
    filling = _Filling(codec, records, known, missing)
    shifts_N = np.zeros(records.num_rows)
    any_N = np.zeros(records.num_rows, dtype=bool)
    for name in {name for each in codec.columns for name in each.fields} & set(missing):
        any_N |= missing[name]
    rows_M = np.flatnonzero(any_N)
    for turn in range(TURNS if len(rows_M) else 0):
        rows_M, unmet = _draw(sampler, filling, cells_ND, shifts_N, rows_M, (seed, turn))
        if not len(rows_M):
            break
    else:
        if len(rows_M):
            _refuse(unmet)
    return _finish(codec, records, missing, cells_ND, shifts_N)[0]


@dataclass(frozen=True)
class _Filling:
    """A table that is filled."""

    codec: TableCodec
    records: pa.Table
    known: pa.Table
    """What the codec knows of them."""
    missing: Mapping[str, Mask]

    def of(self, rows_M: Array) -> "_Filling":
        """Return some of the rows."""
        places = pa.array(rows_M)
        missing = {name: mask[rows_M] for name, mask in self.missing.items()}
        return _Filling(self.codec, self.records.take(places), self.known.take(places), missing)

    def broken(
        self, cells_MD: Array, shift_M: Array | None, turn: int
    ) -> tuple[Mask, dict[str, Mask]]:
        """Return the rows to be filled again, and of them those that miss a known result."""
        filled, backwards, solved = _finish(
            self.codec, self.records, self.missing, cells_MD, shift_M
        )
        rules = [each for each in self.codec.metadata.constraints if each.kind in DRAWN_AGAIN]
        columns = {name: plain(filled[name]) for name in self.codec.schema.names}
        unmet = backwards.unmet(columns)
        none_M = np.zeros(len(cells_MD), dtype=bool)
        broken_M = np.any([none_M, *unmet.values(), *violations(filled, rules)], axis=0)
        if turn < WITHIN_TURNS:
            broken_M |= backwards.beyond(columns, solved)
        return broken_M, unmet


def _draw(
    sampler: Sampler,
    filling: _Filling,
    cells_ND: Array,
    shifts_N: Array,
    rows_M: Array,
    seed_and_turn: tuple[int, int],
) -> tuple[Array, dict[str, int]]:
    """Draw cells for rows, in place; return those to be drawn again, and why some must.

    Of few rows several are drawn at once, as a pass is that large anyway, and the first that is
    whole is taken.
    """
    size, (seed, turn) = sampler.snapshot.config.sampling_batch, seed_and_turn
    copies = max(min(size // len(rows_M), MOST_COPIES), 1) if turn else 1
    left, unmet = [], dict[str, int]()
    for number, start in enumerate(range(0, len(rows_M), size)):
        rows_B = rows_M[start : start + size]
        some = filling.of(np.repeat(rows_B, copies))
        before_BD = cells_ND[np.repeat(rows_B, copies)]
        allowed_BK = _allowed(some.codec, some.known, some.missing, before_BD)
        draw = sampler.generator.conditioned(allowed_BK)
        numbers = stream(seed, f"{PURPOSE}/{turn}", number)
        drawn = sampler.values(np.arange(len(before_BD)), numbers, draw)
        shift = torch.rand(len(drawn), generator=numbers, dtype=torch.float64).numpy() - 0.5
        if turn == 0:
            shift = np.zeros(len(drawn))
        broken, why = some.broken(drawn, shift, turn)
        first_B = np.argmin(broken.reshape(-1, copies), axis=1) + np.arange(len(rows_B)) * copies
        cells_ND[rows_B], shifts_N[rows_B] = drawn[first_B], shift[first_B]
        left.append(rows_B[broken[first_B]])
        for name, mask in why.items():
            unmet[name] = unmet.get(name, 0) + int(mask[first_B].sum())
    return np.concatenate(left), unmet


def _solved(
    codec: TableCodec, records: pa.Table, missing: Mapping[str, Mask]
) -> tuple[pa.Table, dict[str, Mask]]:
    """Return the records with the inputs that known results alone decide, and what is left."""
    rows = records.num_rows
    backwards = Backwards(codec=codec, missing=missing, rows=rows)
    start = {name: plain(records[name]) for name in codec.schema.names}
    backwards.compute(start, {})
    columns = dict(start)
    solved = backwards.solve(columns, {}, alone=True)
    for end in (-WITHIN_STEP, WITHIN_STEP):  # a result that is rounded may have several solutions
        tried, shift_N = dict(start), np.full(rows, end)
        again = replace(backwards, shift_N=shift_N).solve(tried, {}, alone=True)
        for name, solved_N in solved.items():
            equal = pc.fill_null(pc.equal(tried[name], columns[name]), False)
            sure_N = again.get(name, np.zeros(rows, dtype=bool)) & equal.to_numpy(False)
            solved[name] = solved_N & sure_N
    unmet = backwards.unmet(columns).values()
    met_N = ~np.any([np.zeros(rows, dtype=bool), *unmet], axis=0)
    kept = dict(missing)
    for name, solved_N in solved.items():
        mine_N = solved_N & met_N
        if name in kept and mine_N.any():
            place = records.schema.get_field_index(name)
            field = records.schema.field(place)
            filled = _put(records[name], columns[name], mine_N)
            records = records.set_column(place, field, filled)
            kept[name] = kept[name] & ~mine_N
    return records, kept


def _refuse(unmet: Mapping[str, int]) -> None:
    """Raise if there are rows whose known result no values were found for.

    Raises:
        DataError: there are.
    """
    named = [
        f"{name!r} in {count:,} row{'s' if count > 1 else ''}"
        for name, count in unmet.items()
        if count
    ]
    if named:
        msg = (
            f"no values were found for what is missing that give {' and '.join(named)}, in {TURNS} "
            "draws: correct these cells, or empty them so that they are computed"
        )
        raise DataError(msg)


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
    backwards = Backwards(codec=codec, missing=gaps, rows=known.num_rows)
    columns = {name: plain(known[name]) for name in codec.schema.names}
    for column, cells_B in zip(codec.columns, cells_BD.T, strict=True):
        allowed_BJ = column.codes_of(cells_B)[:, None] == np.arange(column.codes)
        if not column.has_null:
            # A null that is to stay where train had none says nothing of the other columns.
            for name in column.fields:
                allowed_BJ[_nulls(known[name])] = True
        none_B = np.zeros(len(cells_BD), dtype=bool)
        gaps_B = {name: gaps.get(name, none_B) for name in column.fields}
        rows_F = np.flatnonzero(np.any(list(gaps_B.values()), axis=0))
        of_rows = {name: gap_B[rows_F] for name, gap_B in gaps_B.items()}
        allowed_BJ[rows_F] = _fitting_codes(column, known.take(pa.array(rows_F)), of_rows)
        meets_BJ = backwards.allowed(column, columns)
        if meets_BJ is not None:
            both_BJ = allowed_BJ & meets_BJ
            allowed_BJ = np.where(both_BJ.any(axis=1, keepdims=True), both_BJ, allowed_BJ)
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
    codec: TableCodec,
    records: pa.Table,
    missing: Mapping[str, Mask],
    cells_ND: Array,
    shift_N: Array | None = None,
) -> tuple[pa.Table, Backwards, dict[str, Mask]]:
    """Return the records with cells in the gaps, results met and computed; and what was solved."""
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
    columns = {name: plain(whole.get(name, records[name])) for name in codec.schema.names}
    backwards = Backwards(codec=codec, missing=missing, rows=records.num_rows, shift_N=shift_N)
    backwards.compute(columns, found)
    solved = backwards.solve(columns, found)
    for name, mine_N in solved.items():
        if name in whole:
            whole[name] = _put(whole[name], columns[name], mine_N)
    for name in derived & set(missing):
        whole[name] = _put(records[name], columns[name], missing[name])
    arrays = [whole.get(name, records[name]) for name in records.column_names]
    return pa.Table.from_arrays(arrays, schema=records.schema), backwards, solved


def _put(column: Any, values: Any, gaps: Mask | None) -> Any:
    """Return a column with values in its gaps, in its own type."""
    if gaps is None or not gaps.any():
        return column
    kind, values = column.type, values.cast(plain(column).type)
    if not pa.types.is_dictionary(kind):
        return pc.if_else(pa.array(gaps), values, column)
    filled = pc.if_else(pa.array(gaps), values, column.cast(kind.value_type))
    return filled.dictionary_encode().cast(kind)
