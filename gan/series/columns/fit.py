"""Which variables of series are learnt, and how each is fitted.

Shapes: T steps of all entities, K own codes of a variable.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.series.columns.entities import rows_of_entities, rows_of_levels
from gan.series.columns.variables import Variable
from gan.tables.columns.derived import Constant, DerivedColumn
from gan.tables.columns.fit import fit_key
from gan.tables.columns.levels import Levels
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.values import (
    NumberError,
    check_type,
    find_decimals,
    is_number,
    plain,
    require_described,
    to_units,
)
from storage.records.proposal import left_out
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, read_series_metadata

Array = np.ndarray[Any, Any]

SHARE_DECIMALS = 6
"""Decimals of the shares of codes that are kept."""


def require_series(schema: Any) -> SeriesMetadata:
    """Return the description of the columns in a schema's metadata; see `require_described`."""
    return require_described(read_series_metadata, schema)


class FittedVariables(NamedTuple):
    """The variables of series."""

    variables: tuple[Variable, ...]
    """Those that are learnt."""
    derived: tuple[DerivedColumn, ...]
    """The others: constants, keys, replaced text."""
    groups: tuple[int, ...]
    """Of each learnt one, how many entities must have what is shown."""


def fit_variables(columns: dict[Column, Any], entity_T: Array, min_group: int) -> FittedVariables:
    """Return the variables, without relations.

    Args:
        columns: what each holds, all steps of all entities.
        entity_T: number of the entity of each step.
        min_group: of entities.

    Raises:
        DataError: a variable that cannot be learnt; the sentence says what to do.
    """
    variables, derived, groups = [], list[DerivedColumn](), []
    for column, values in columns.items():
        check_type(column.name, values.type)
        values_T = plain(values)
        if values_T.null_count == len(values_T):
            msg = f"column {column.name!r} is all null in train: leave it out"
            why = "no step of train has a value"
            raise DataError(msg, proposals=[left_out(column.name, why)])
        if column.kind in ("key", "text"):
            derived.append(fit_key(column, values_T.type))
            continue
        group = 1 if column.vocabulary == "public" else min_group
        try:
            own = _own(column, values_T, entity_T, group)
        except NumberError as error:
            msg = f"column {column.name!r} {error}"
            raise DataError(msg, proposals=[left_out(column.name, str(error))]) from error
        if own.cells == 1:
            one = own.vocabularies[0].slice(0, 1)
            derived.append(Constant(name=column.name, kind_name=str(one.type), value=one))
            continue
        variables.append(Variable(own=own, shares=_shares(own, values_T)))
        groups.append(group)
    return FittedVariables(tuple(variables), tuple(derived), tuple(groups))


def _own(column: Column, values_T: Any, entity_T: Array, group: int) -> Numeric | Levels:
    """Return the codes of a variable's own values."""
    if column.kind in ("category", "boolean") or not is_number(values_T.type):
        encoded = values_T.dictionary_encode()
        codes_T = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy()
        rows = rows_of_levels(codes_T, entity_T)
        return Levels.fit(column.name, values_T.take(pa.array(rows)), group)
    units_T, valid_T = to_units(values_T, find_decimals(values_T))
    there_M = np.flatnonzero(valid_T)
    kept = there_M[rows_of_entities(units_T[there_M], entity_T[there_M], group)]
    rows = (
        pa.array(kept) if valid_T.all() else pa.array(np.append(kept, np.flatnonzero(~valid_T)[:1]))
    )
    wanted = 2 * group if group > 1 else 1
    return Numeric.fit(column.name, values_T.take(rows), wanted, limits=(None, None), whole=False)


def _shares(own: Numeric | Levels, values_T: Any) -> tuple[float, ...]:
    """Return the share of the steps that each own code has."""
    codes_T = own.codes_of(own.encode(pa.table({own.name: values_T})))
    shares_K = np.bincount(codes_T, minlength=own.codes) / len(codes_T)
    return tuple(np.round(shares_K, SHARE_DECIMALS).tolist())


def as_gap(name: str) -> Column:
    """Return the column of the ticks since the step before."""
    return Column(name=name, kind="integer", why="ticks since the step before")
