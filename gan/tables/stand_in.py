"""A codec that is differentially private: fitted on a stand-in for the training records.

Each column of the real records is counted with noise (`columns.noisy`), and the stand-in's rows are
drawn from these counts alone, column by column. What the codec then learns of them (levels, bins,
rounding, what is shown) takes no more privacy. How columns go together is no part of it: that is
for the network to learn.

Names, types and kinds of the columns, the forms of keys and the constraints that a person declared
are taken as public. What was found in the data is left out.

Shapes: N rows of the stand-in, M parts of a column.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from gan.accounting import CodecBudget
from gan.errors import ConfigError, DataError
from gan.tables.codec import TableCodec
from gan.tables.columns.noisy import (
    BOUNDED_LEVELS,
    OPEN_LEVELS,
    Masses,
    Noise,
    bounds_of,
    noisy_cells,
    noisy_decimals,
    noisy_levels,
    noisy_nulls,
    noisy_step,
)
from gan.tables.columns.values import (
    check_type,
    from_units,
    is_number,
    plain,
    require_metadata,
    to_units,
)
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata, with_table_metadata

Array = np.ndarray[Any, Any]

ROWS: Final = 4_096
"""Of the stand-in: of so many rows the codec makes 64 bins, and what fewer than one in four hundred
hold is no level of its own."""
SMOOTHED: Final = 0.5
"""Added to every code's rows: none is impossible."""
MOMENTS: Final = (pa.types.is_timestamp, pa.types.is_time, pa.types.is_duration)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One column, and how it is counted."""

    column: Column
    kind: Any
    """Its Arrow type, without dictionary."""
    limits: tuple[float | None, float | None]

    @property
    def is_made(self) -> bool:
        """Whether only its nulls are counted: keys and replaced text are made afresh."""
        return self.column.kind in ("key", "text")

    @property
    def is_levels(self) -> bool:
        """Whether its values are counted one by one."""
        by_kind = self.column.kind in ("category", "boolean", "constant")
        return not self.is_made and (by_kind or not is_number(self.kind))

    @property
    def is_float(self) -> bool:
        """Whether its decimals are asked for."""
        return bool(pa.types.is_floating(self.kind))

    @property
    def is_moment(self) -> bool:
        """Whether its step is asked for."""
        return any(test(self.kind) for test in MOMENTS)

    @property
    def questions(self) -> int:
        """How many histograms of it are counted."""
        if self.is_made or self.is_levels:
            return 1
        bounded = None not in self.limits
        levels = BOUNDED_LEVELS if bounded else OPEN_LEVELS
        return levels + int(self.is_float or self.is_moment)


def questions(schema: pa.Schema) -> tuple[int, int]:
    """Return how many histograms are counted of records, and how many of them have a threshold.

    Raises:
        ConfigError: a constraint that is declared cannot be kept.
    """
    asked = _asked(schema)
    return sum(one.questions for one in asked), sum(one.is_levels for one in asked)


def fit_privately(records: pa.Table, label: str | None, budget: CodecBudget) -> TableCodec:
    """Return a codec that is (ε, δ)-differentially private as the budget says.

    Args:
        records: of split train.
        label: name of the label column.
        budget: noise of every count, and what the thresholds may add to δ.

    Raises:
        DataError: a column of which nothing stands out of the noise.
        ConfigError: a constraint that is declared cannot be kept.
    """
    numbers = np.random.default_rng(budget.secret())
    thresholds = max(questions(records.schema)[1], 1)
    noise = Noise(sigma=budget.sigma, delta=budget.delta / thresholds, numbers=numbers)
    arrays = []
    for one in _asked(records.schema):
        field = records.schema.field(one.column.name)
        values = _draw(one, plain(records[field.name]), noise, label=label)
        order_N = pa.array(numbers.permutation(len(values)))
        arrays.append(_typed(values.take(order_N), field.type))
    metadata = _declared(require_metadata(records.schema))
    schema = with_table_metadata(records.schema, metadata)
    stand_in = pa.Table.from_arrays(arrays, schema=schema)
    codec = TableCodec.fit(stand_in, label)
    return replace(codec, shares=_shares(codec, stand_in))


def class_counts(codec: TableCodec, rows: int) -> dict[Any, int]:
    """Return about how many of so many rows each class has, by the codec's noisy counts."""
    index = codec.label_column
    if index is None or not codec.classes:
        return {}
    column = codec.columns[index]
    values = column.vocabulary(str(codec.label)).to_pylist()
    shares = dict.fromkeys(codec.classes, 0.0)
    for code, share in enumerate(codec.shares[index]):
        shares[values[int(column.first_cells[code])]] += share
    return {label: max(round(rows * share), 1) for label, share in shares.items()}


def _asked(schema: pa.Schema) -> list[_Asked]:
    metadata = require_metadata(schema)
    _declared(metadata)
    found = []
    for column in metadata.columns:
        kind = schema.field(column.name).type
        check_type(column.name, kind)
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        found.append(_Asked(column=column, kind=kind, limits=_limits(metadata, column.name)))
    return found


def _declared(metadata: TableMetadata) -> TableMetadata:
    """Return the description with the constraints that a person declared, which are ranges.

    Raises:
        ConfigError: another one is declared.
    """
    for each in metadata.named_constraints:
        if each.kind != "range":
            msg = (
                f"privacy.epsilon is set, and source.constraints declares a constraint of kind "
                f"{each.kind!r} on {', '.join(each.columns)}, which a private codec cannot learn: "
                "keep ranges only, or set privacy.epsilon to null"
            )
            raise ConfigError(msg)
    return replace(metadata, constraints=metadata.named_constraints, named=None)


def _limits(metadata: TableMetadata, name: str) -> tuple[float | None, float | None]:
    """Return the narrowest declared range of a column."""
    ranges = [each for each in metadata.named_constraints if each.columns[0] == name]
    lows = [each.low for each in ranges if each.low is not None]
    highs = [each.high for each in ranges if each.high is not None]
    return max(lows, default=None), min(highs, default=None)


def _draw(one: _Asked, values: Any, noise: Noise, *, label: str | None) -> Any:
    """Return the column of the stand-in, sorted."""
    if one.is_made:
        nulls, others = noisy_nulls(values, noise)
        rows = round(ROWS * nulls / max(nulls + others, 1.0))
        words = pa.types.is_string(one.kind) or pa.types.is_large_string(one.kind)
        made = pa.array(["" if words else 0] * (ROWS - rows), one.kind)
        return pa.concat_arrays([made, pa.nulls(rows, one.kind)])
    if one.is_levels:
        masses = noisy_levels(values, noise)
        drawn_N, valid = _places(one, masses, label=label)[0], len(masses.parts)
        indices_N = np.where(drawn_N < valid, drawn_N, 0)
        return _with_nulls(masses.parts.take(pa.array(indices_N)), drawn_N >= valid)
    return _draw_numbers(one, values, noise, label=label)


def _draw_numbers(one: _Asked, values: Any, noise: Noise, *, label: str | None) -> Any:
    """Return numbers, dates or times from cells: even inside a cell, rounded as most are."""
    decimals = noisy_decimals(values, noise) if one.is_float else 0
    units_N, valid_N = to_units(values, decimals)
    whole = units_N.dtype.kind == "i"
    step = noisy_step(units_N[valid_N], one.kind, noise) if one.is_moment else 1
    scale = one.kind.scale if pa.types.is_decimal(one.kind) else decimals or 0
    bounds = bounds_of(one.limits, scale)
    masses = noisy_cells(units_N[valid_N], values.null_count, noise, bounds, whole=whole)
    drawn_N, inside_N = _places(one, masses, label=label)
    nulls_N = drawn_N >= len(masses.parts)
    cells_M2 = masses.parts if bounds is not None else _inner(masses.parts, whole=whole)
    low_N, high_N = cells_M2[np.where(nulls_N, 0, drawn_N)].T
    found_N = low_N + inside_N * (high_N - low_N)
    if whole:
        found_N = np.clip(np.minimum(np.floor(found_N), high_N - 1), *_room(one.kind))
        found_N = (found_N // step * step).astype(np.int64)
    return _with_nulls(from_units(found_N, decimals, one.kind), nulls_N)


def _inner(cells_M2: Array, *, whole: bool) -> Array:
    """Return cells of which the outermost two lose their outer half.

    Where in them the last real value lies is not known, and what lies beyond it is invalid.
    """
    cells_M2 = cells_M2.copy()
    first, last = int(cells_M2[:, 0].argmin()), int(cells_M2[:, 1].argmax())
    for cell, end in ((first, 0), (last, 1)):
        low, high = cells_M2[cell]
        if first != last and (high - low > 1 or not whole):
            middle = (low + high) / 2
            cells_M2[cell, end] = np.floor(middle) if whole else middle
    return cells_M2


def _room(kind: Any) -> tuple[float, float]:
    """Return the least and the most that a type holds, in its units."""
    if pa.types.is_integer(kind):
        info = np.iinfo(kind.to_pandas_dtype())
        return float(max(info.min, -(2**61))), float(min(info.max, 2**61))
    if pa.types.is_decimal(kind):
        most = min(10.0**kind.precision - 1, 2.0**61)
        return -most, most
    if pa.types.is_time(kind):
        return 0.0, 86_400.0 * {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[str(kind.unit)] - 1
    if pa.types.is_date32(kind):
        return -(2.0**31), 2.0**31 - 1
    return -(2.0**61), 2.0**61


def _places(one: _Asked, masses: Masses, *, label: str | None) -> tuple[Array, Array]:
    """Return the part of every row of the stand-in and its place inside; nulls are the last part.

    Raises:
        DataError: nothing stands out of the noise.
    """
    nulls = 0.0 if one.column.name == label else masses.nulls
    counts_M = np.append(masses.counts_M, nulls)
    if not len(masses.parts):
        msg = (
            f"of column {one.column.name!r} nothing stands out of the noise that privacy.epsilon "
            "takes: raise privacy.epsilon, declare its range in source.constraints, or leave the "
            "column out by source.exclude"
        )
        raise DataError(msg)
    ends_M = counts_M.cumsum()
    at_N = (np.arange(ROWS) + 0.5) / ROWS * ends_M[-1]
    drawn_N = np.searchsorted(ends_M, at_N, side="right").clip(max=len(counts_M) - 1)
    start_N = ends_M[drawn_N] - counts_M[drawn_N]
    inside_N = (at_N - start_N) / np.maximum(counts_M[drawn_N], 1e-12)
    return drawn_N, inside_N.clip(0.0, 1.0 - 1e-9)


def _with_nulls(values: Any, nulls_N: Array) -> Any:
    return pc.if_else(pa.array(nulls_N), pa.scalar(None, values.type), values)


def _typed(values: Any, kind: Any) -> Any:
    """Return values as the records have them."""
    if pa.types.is_dictionary(kind):
        return values.dictionary_encode().cast(kind)
    return values


def _shares(codec: TableCodec, stand_in: pa.Table) -> tuple[tuple[float, ...], ...]:
    """Return the share of every code of every column in the stand-in."""
    cells_ND = torch.from_numpy(codec.encode(stand_in).values)
    codes_ND = codec.to_samples(cells_ND).numpy()
    found = []
    for codes_N, codes in zip(codes_ND.T, codec.code_counts, strict=True):
        rows_J = np.bincount(codes_N, minlength=codes) + SMOOTHED
        found.append(tuple(float(share) for share in rows_J / rows_J.sum()))
    return tuple(found)
