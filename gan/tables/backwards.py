"""Computed columns backwards: from a result that is known to an input that is missing.

A formula is solved for one input: the finest of those that are missing (a price rather than a
count), the last of equals. What is solved for may be computed itself, and is then the known result
of its own rule. What no formula solves, such as the number of a band or the keys of a lookup,
narrows the codes that are drawn instead. Whether a result is met is looked at in the end, as
rounding may leave no value that meets it: a result is taken to lie anywhere in its rounding, each
time it is solved for another input elsewhere.

Shapes: N rows, C cells, J codes of a column, G kept combinations of a lookup.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.tables.columns.arithmetic import compute, rates_of
from gan.tables.columns.derived import Constant, DerivedColumn, Key, Sum, as_numbers
from gan.tables.columns.discrete_rules import Band, Conditional, Lookup
from gan.tables.columns.formulas import Formula, LaterMoment
from gan.tables.columns.moment_part import MomentPart
from gan.tables.columns.moments import finest, from_instants, instants
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.relative import RelativeNumeric
from gan.tables.columns.rounded import RoundedNumeric
from gan.tables.columns.rounding import WAYS, as_floats
from gan.tables.columns.values import LARGEST, Modelled, from_units, plain, to_units
from gan.tables.constraints import violations
from gan.tables.solve_formula import solved_for
from storage.records.constraint import Constraint
from storage.records.moment_parts import MOMENTS, UNIT_SECONDS, WHOLE_UNITS, part_values

if TYPE_CHECKING:
    from gan.tables.codec import TableCodec

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

MOST_ORDERS = 8
"""So many ways to solve several rules one after another are tried."""
UNROUNDED = 99
"""Counts as so many decimals."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Backwards:
    """What is known of computed columns, and which inputs are open."""

    codec: "TableCodec"
    missing: Mapping[str, Mask]
    """Of each column that is filled where it is missing."""
    rows: int
    shift_N: Array | None = None
    """Where in its rounding each result is taken to lie, -0.5 to 0.5; None: in the middle."""

    def open(self) -> dict[str, Mask]:
        """Return of every column where its value is drawn, or computed from one that is."""
        none_N = np.zeros(self.rows, dtype=bool)
        found = {name: self.missing.get(name, none_N) for name in self.codec.schema.names}
        for maker in self.codec.derived:
            if maker.inputs and not isinstance(maker, Conditional):
                drawn_N = np.any([found[name] for name in maker.inputs], axis=0)
                found[maker.name] = found[maker.name] & drawn_N
        return found

    def told(self, maker: DerivedColumn, columns: Mapping[str, Any]) -> Mask:
        """Return where the column of a rule is known and one of its inputs, however far, is not."""
        opened = self.open()
        known_N = plain(columns[maker.name]).is_valid().to_numpy(zero_copy_only=False)
        known_N = known_N & ~opened[maker.name]
        drawn_N = np.any([opened[name] for name in maker.inputs], axis=0)
        told_N: Mask = known_N & drawn_N
        return told_N

    @property
    def makers(self) -> list[DerivedColumn]:
        """The rules whose result may be known."""
        left_out = (Constant, Key, Conditional)
        return [each for each in self.codec.derived if not isinstance(each, left_out)]

    def compute(self, columns: dict[str, Any], drawn: Mapping[str, Any]) -> None:
        """Compute the columns that rules make where they are missing, in place.

        Args:
            columns: plain Arrow columns, whole but for gaps that stay.
            drawn: what was drawn of these columns, such as where they have a value at all.
        """
        for maker in self.codec.derived:
            if maker.name in self.missing and (maker.name in drawn or not self._overwrites(maker)):
                inputs = {name: one for name, one in columns.items() if name != maker.name}
                inputs |= {maker.name: drawn[maker.name]} if maker.name in drawn else {}
                values = maker.make(self.rows, 0, inputs).cast(columns[maker.name].type)
                gaps = pa.array(self.missing[maker.name])
                columns[maker.name] = pc.if_else(gaps, values, columns[maker.name])

    def solve(
        self, columns: dict[str, Any], drawn: Mapping[str, Any], *, alone: bool = False
    ) -> dict[str, Mask]:
        """Give open inputs the values that known results ask for, in place; return where.

        Of several results that one input is solved for, each row takes the one by which the others
        are met as well: a tax says an amount more coarsely than a total does.

        Args:
            columns: plain Arrow columns, whole but for gaps that stay; then computed ones, too.
            drawn: see `compute`.
            alone: only where one input is open, so that nothing drawn decides it.
        """
        makers = self.makers[::-1]
        told = [each for each in makers if self.told(each, columns).any()]
        if not told:
            return {}
        orders = [makers]
        if len(told) > 1:
            orders += [[first, *(e for e in makers if e is not first)] for first in told[1:]]
        best: dict[str, Any] = {}
        fewest_N = np.full(self.rows, np.iinfo(np.int64).max)
        solved: dict[str, Mask] = {}
        for order in orders[:MOST_ORDERS]:
            tried = dict(columns)
            where = self._solve_in(order, tried, alone=alone)
            self.compute(tried, drawn)
            misses_N = np.sum([np.zeros(self.rows), *self.unmet(tried).values()], axis=0)
            better_N = misses_N < fewest_N
            fewest_N = np.minimum(fewest_N, misses_N)
            for name, one in tried.items():
                best[name] = pc.if_else(pa.array(better_N), one, best.get(name, one))
            none_N = np.zeros(self.rows, dtype=bool)
            for name in {*solved, *where}:
                mine_N = solved.get(name, none_N)
                solved[name] = np.where(better_N, where.get(name, none_N), mine_N)
            if not fewest_N.any():
                break
        columns |= best
        return solved

    def _solve_in(
        self, makers: Sequence[DerivedColumn], columns: dict[str, Any], *, alone: bool
    ) -> dict[str, Mask]:
        """Solve rules in an order, in place; return where."""
        opened, solved = self.open(), dict[str, Mask]()
        for maker in makers:
            known_N = columns[maker.name].is_valid().to_numpy(zero_copy_only=False)
            left_N = known_N & ~opened[maker.name]
            names = self._by_fineness(maker)
            for name in names:
                mine_N = left_N & opened[name]
                left_N = left_N & ~mine_N
                if alone:
                    others = [opened[other] for other in names if other != name]
                    mine_N = mine_N & ~np.any([np.zeros_like(mine_N), *others], axis=0)
                if not mine_N.any() or not self._is_alone(name):
                    continue
                values = invert_formula(maker, name, columns, self.shift_N)
                if values is None:
                    continue
                values = self._typed(name, values, columns[name].type)
                mine_N = mine_N & values.is_valid().to_numpy(zero_copy_only=False)
                columns[name] = pc.if_else(pa.array(mine_N), values, columns[name])
                opened[name] = opened[name] & ~mine_N
                solved[name] = solved.get(name, np.zeros(self.rows, dtype=bool)) | mine_N
        return solved

    def unmet(self, columns: Mapping[str, Any]) -> dict[str, Mask]:
        """Return of each rule where its known result is not what the inputs give."""
        found = {}
        for maker in self.makers:
            told_N = self.told(maker, columns)
            if told_N.any():
                found[maker.name] = told_N & _differs(maker, columns)
        return found

    def beyond(self, columns: Mapping[str, Any], solved: Mapping[str, Mask]) -> Mask:
        """Return where what was solved for lies outside the values that train showed."""
        beyond_N = np.zeros(self.rows, dtype=bool)
        for name, mine_N in solved.items():
            column = self._column(name)
            if column is not None and mine_N.any():
                low, high = (as_numbers(each) for each in _ends(column.vocabulary(name)))
                values_N = as_numbers(columns[name])
                beyond_N |= mine_N & ((values_N < low) | (values_N > high))
        return beyond_N

    def allowed(self, column: Modelled, columns: Mapping[str, Any]) -> Mask | None:
        """Return the codes (N, J) by which bands, parts and lookups can be met; None: any can."""
        found = None
        if len(column.fields) > 1:
            return None
        for maker in self.makers:
            if column.name in maker.inputs and _narrows(maker):
                rows_N = self.told(maker, columns) & self.open()[column.name]
                if rows_N.any():
                    fitting = _fitting(maker, column, columns, self.open())
                    fitting[~rows_N | ~fitting.any(axis=1)] = True
                    found = fitting if found is None else found & fitting
        return found

    @staticmethod
    def _overwrites(maker: DerivedColumn) -> bool:
        return isinstance(maker, Conditional)

    def _column(self, name: str) -> Modelled | None:
        return next((each for each in self.codec.columns if name in each.fields), None)

    def _is_alone(self, name: str) -> bool:
        """Whether no other column is learnt together with this one."""
        column = self._column(name)
        return column is None or len(column.fields) == 1

    def _by_fineness(self, maker: DerivedColumn) -> list[str]:
        """Return the inputs of a rule, those that are written to most decimals first."""
        names = list(reversed(dict.fromkeys(maker.inputs)))
        return sorted(names, key=lambda name: -self._decimals(name))

    def _decimals(self, name: str) -> int:
        column = self._column(name)
        if isinstance(column, Numeric | RelativeNumeric | RoundedNumeric):
            kind = column.vocabulary(name).type
            if pa.types.is_decimal(kind):
                return int(kind.scale)
            return UNROUNDED if column.decimals is None else column.decimals
        made = next((each for each in self.codec.derived if each.name == name), None)
        if isinstance(made, Formula):
            return UNROUNDED if made.rounding.way == "none" else made.rounding.decimals
        return 0

    def _typed(self, name: str, values: Any, kind: Any) -> Any:
        """Return values as a column writes them; null where its type cannot."""
        if pa.types.is_temporal(kind):
            return values
        if isinstance(values, np.ndarray):
            values = pa.array(values, mask=~np.isfinite(values))
        decimals = self._decimals(name)
        if pa.types.is_floating(kind):
            units, valid = to_units(values, None if decimals == UNROUNDED else decimals)
            made = from_units(units, None if decimals == UNROUNDED else decimals, kind)
            return pc.if_else(pa.array(valid), made, pa.scalar(None, kind))
        scale = kind.scale if pa.types.is_decimal(kind) else 0
        numbers_N = as_numbers(values) * 10.0**scale
        most = LARGEST if scale or kind.bit_width == 64 else 2 ** (kind.bit_width - 1) - 1
        valid_N = np.abs(numbers_N) <= most
        if pa.types.is_unsigned_integer(kind):
            valid_N &= numbers_N >= 0
        if pa.types.is_decimal(values.type):
            exact = pc.round(values, scale)
            return pc.if_else(pa.array(valid_N), exact, pa.scalar(None, exact.type)).cast(kind)
        units_N = np.rint(np.where(valid_N, numbers_N, 0)).astype(np.int64)
        return pc.if_else(pa.array(valid_N), from_units(units_N, None, kind), pa.scalar(None, kind))


def invert_formula(
    maker: DerivedColumn, name: str, columns: Mapping[str, Any], shift_N: Array | None = None
) -> Any:
    """Return the values of an input that give a rule's result with the others; None: not solvable.

    Args:
        maker: of the result.
        name: of the input.
        columns: plain Arrow columns by name.
        shift_N: see `Backwards`.

    Returns:
        Arrow moments or exact decimals, or floats of numpy, NaN where there is none.
    """
    if isinstance(maker, Sum):
        others = [columns[part] for part in maker.parts if part != name]
        return _rest(columns[maker.name], others, columns[name].type)
    if isinstance(maker, LaterMoment):
        number, earlier = maker.inputs
        if name == number:
            return compute(maker.rule, columns).numbers_N
        return _moment(columns[maker.name], columns[number], -1, maker.rule, columns[name].type)
    if isinstance(maker, MomentPart) and maker.rule.part in MOMENTS:
        back = -maker.rule.offset
        return part_values(columns[maker.name], "moment", columns[name].type, offset=back)
    if not isinstance(maker, Formula) or maker.rule.whole_days or maker.rule.unit in WHOLE_UNITS:
        return None
    rule, result = maker.rule, columns[maker.name]
    if rule.kind == "difference":
        _, later, earlier = rule.columns
        start, sign = (columns[earlier], 1) if name == later else (columns[later], -1)
        return _moment(start, result, sign, rule, columns[name].type)
    return _solved(maker, name, columns, shift_N)


def _solved(
    maker: Formula, name: str, columns: Mapping[str, Any], shift_N: Array | None
) -> Array | None:
    """Return the input of a formula of numbers that gives its result."""
    rule, result_N = maker.rule, as_floats(columns[maker.name])
    if shift_N is not None and maker.rounding.way in WAYS:
        result_N = result_N + shift_N * 10.0**-maker.rounding.decimals
    if rule.kind == "rates":  # a level is not solved for
        rates_N = rates_of(rule, columns)
        number_N = result_N / np.where(rates_N == 0, np.nan, rates_N)
        return number_N if name == rule.columns[2] else None
    inputs = {each: as_floats(columns[each]) for each in rule.columns[1:]}
    return solved_for(rule, name, result_N, inputs, shift_N=shift_N, skips_null=maker.skips_null)


def _moment(start: Any, number: Any, sign: int, rule: Constraint, kind: Any) -> Any:
    """Return a moment so many units of a rule after another one; before it where sign is -1."""
    per_second = finest(kind, start.type)
    starts_N, valid_N = instants(start, per_second)
    units_N = as_floats(number)
    valid_N = valid_N & np.isfinite(units_N)
    parts_N = np.where(valid_N, units_N, 0.0) * UNIT_SECONDS[rule.unit or "seconds"] * per_second
    moments = from_instants(starts_N + sign * np.rint(parts_N).astype(np.int64), per_second, kind)
    return pc.if_else(pa.array(valid_N), moments, pa.scalar(None, kind))


def _rest(total: Any, others: Sequence[Any], kind: Any) -> Any:
    """Return a total less the other parts; a part that is null counts as nothing."""
    kinds = (kind, total.type, *(other.type for other in others))
    floats = any(pa.types.is_floating(each) for each in kinds)
    wide = pa.float64() if floats else pa.decimal256(60, 9)
    rest = total.cast(wide)
    for other in others:
        rest = pc.subtract(rest, pc.fill_null(other.cast(wide), 0)).cast(wide)
    return rest


def _differs(maker: DerivedColumn, columns: Mapping[str, Any]) -> Mask:
    """Return where a rule's column is another than what its inputs give; nulls differ from none."""
    column = columns[maker.name]
    rows = len(column)
    if isinstance(maker, Sum):
        parts = (maker.name, *maker.parts)
        table = pa.table({name: columns[name] for name in parts})
        return violations(table, [Constraint(kind="sum", columns=parts)])[0]
    if isinstance(maker, Formula):
        found = compute(maker.rule, columns, skips_null=maker.skips_null)
        return maker.rounding.missed(found.numbers_N, column, found.size_N)
    others = {name: one for name, one in columns.items() if name != maker.name}
    equal = pc.equal(maker.make(rows, 0, others), column)
    return ~np.asarray(pc.fill_null(equal, True).to_numpy(zero_copy_only=False), dtype=bool)


def _narrows(maker: DerivedColumn) -> TypeGuard[Band | Lookup | MomentPart]:
    """Return whether a known result says which codes of an input there may be."""
    return isinstance(maker, Lookup) or (
        isinstance(maker, Band | MomentPart) and len(maker.inputs) == 1
    )


def _fitting(
    maker: Band | Lookup | MomentPart,
    column: Modelled,
    columns: Mapping[str, Any],
    opened: Mapping[str, Mask],
) -> Mask:
    """Return the codes (N, J) of an input by which a band, part or lookup has its known result."""
    result = columns[maker.name]
    own = ~column.relative
    if not isinstance(maker, Lookup):
        makes = maker.make(column.cells, 0, {column.name: column.vocabularies[0]})
        levels = result.unique()
        fits = np.stack([_equal(makes, level) for level in levels]) | column.relative
        codes_of = np.stack([_codes(column, one) for one in fits])
        found: Mask = codes_of[pc.index_in(result, value_set=levels).to_numpy()]
        return found
    places = np.ones((len(result), len(maker.answers)), dtype=bool)
    checked = {name: maker.keys.vocabulary(name) for name in maker.inputs}
    for name, known in ((maker.name, maker.answers), *checked.items()):
        there = columns[name]
        distinct = pa.concat_arrays([known, plain(there).cast(known.type)]).unique()
        of_row = pc.index_in(there, value_set=distinct).to_numpy()
        agrees = of_row[:, None] == pc.index_in(known, value_set=distinct).to_numpy()
        places &= agrees | opened[name][:, None] if name != maker.name else agrees
    keys = checked[column.name]
    of_cell = pc.index_in(column.vocabularies[0], value_set=keys.unique()).fill_null(-1).to_numpy()
    of_key = pc.index_in(keys, value_set=keys.unique()).to_numpy()
    reached = np.zeros((len(result), len(keys.unique()) + 1), dtype=bool)
    for place in range(len(keys)):
        reached[:, of_key[place]] |= places[:, place]
    codes = np.zeros((len(result), column.codes), dtype=bool)
    for cell in np.flatnonzero(own & (of_cell >= 0)):
        codes[:, column.code_of_cell[cell]] |= reached[:, of_cell[cell]]
    return codes


def _codes(column: Modelled, cells: Mask) -> Mask:
    """Return which codes have one of these cells."""
    found: Mask = np.bincount(column.code_of_cell[cells], minlength=column.codes) > 0
    return found


def _equal(values: Any, scalar: Any) -> Mask:
    equal = pc.equal(values, scalar) if scalar.is_valid else values.is_null()
    return np.asarray(pc.fill_null(equal, False).to_numpy(zero_copy_only=False), dtype=bool)


def _ends(values: Any) -> tuple[Any, Any]:
    """Return the smallest and the largest of some values, as Arrow arrays of one."""
    found = pc.min_max(values)
    return tuple(pa.array([found[end]], type=values.type) for end in ("min", "max"))
