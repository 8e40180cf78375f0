"""Numbers, dates and times: atoms, quantile bins with a grid of cells in each, and null.

The values are first made such that every one may be shown (`groups`). A value with a fixed share of
the rows is an atom, a code of its own; in a column with few distinct values all are. The rest is
cut, between the atoms and at wide gaps, into bins of about equal numbers of rows. Each bin has up
to `CELLS` cells, all equally likely: points of a quantile function that passes through what may be
shown (`curve`), rounded as the values of that range are (`habits`, `cells`). The null's code comes
last.

Encoding: an atom's value is that atom; another value goes to the nearest cell of the bins between
the two atoms around it, or to the nearer atom where no bin lies between; what is outside, to the
outermost cell.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.tables.columns.cells import (
    Range,
    learn_in_ranges,
    make_cells,
    producible,
    with_units,
)
from gan.tables.columns.curve import (
    Pieces,
    ProducibleRange,
    ShownValues,
    draw_pieces,
    fill_between,
    thin,
)
from gan.tables.columns.groups import Limits, shown_values, wide_gaps
from gan.tables.columns.habits import Habit
from gan.tables.columns.values import (
    LARGEST,
    MONTHS,
    Modelled,
    NumberError,
    are_months,
    find_decimals,
    from_plain,
    from_units,
    parse_type,
    to_plain,
    to_units,
)

Array = np.ndarray[Any, Any]

ATOM_SHARE = 0.01
"""A value with this share of the rows, and half as many as a bin, is an atom."""
FEW_VALUES = 100
"""In a column with at most so many distinct values (and at most two per bin that its rows would
have) each is an atom."""
FEWEST_BINS, MOST_BINS = 8, 128
FEWEST_ROWS = 25
"""There are as many bins as the square root of the rows, within these limits, and of at least so
many rows each: inside a bin a value depends on no other column, so that wide bins show, while
networks share strength between narrow ones."""
WIDE = 4.0
"""A bin that spans so many times what most bins do is cut, as far as its rows suffice."""
CELLS = 1024
"""Cells of one bin, at most."""
LABEL_CLASSES = 50
"""An integer label with more distinct values is a number, not a class."""


class QuantileCurve(NamedTuple):
    """All that is stored of a column's values, the null apart."""

    pieces: Pieces
    """The quantile function; atoms and bins are its bins."""
    sizes: tuple[int, ...]
    """Cells of every code."""
    atoms: tuple[bool, ...]
    """Whether each code is an atom."""
    decimals: int | None
    """Of floats; None = floats without a step. 0 for all other types, or MONTHS."""
    ranges: tuple[Range, ...]
    """How many values there are and how they are rounded, in ranges; none without a step."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Numeric(Modelled):
    """A column of numbers, dates or times."""

    type_name: ClassVar[str] = "numeric"

    curve: "QuantileCurve"

    @classmethod
    def fit(
        cls,
        name: str,
        column: Any,
        g: int,
        *,
        limits: Limits,
        whole: bool,
        months: bool = False,
    ) -> Self:
        """Learn atoms, bins and cells.

        Args:
            name: of the column.
            column: Arrow, without dictionary, some of it not null.
            g: a value that fewer rows hold is not shown.
            limits: smallest and largest value to produce, in numbers; None = open.
            whole: every value is an atom, as the classes of a label are.
            months: whether whole numbers that are all months are counted in months.

        Raises:
            DataError: nothing of it may be shown, or nothing lies within the limits.
        """
        in_months = months and not whole and limits == (None, None) and are_months(column)
        decimals = MONTHS if in_months else find_decimals(column)
        units_N, valid_N = to_units(column, decimals)
        scale = column.type.scale if pa.types.is_decimal(column.type) else max(decimals or 0, 0)
        ends = _in_units(limits, scale, whole=units_N.dtype.kind == "i")
        units = np.sort(_within(name, units_N[valid_N], ends, limits))
        if len(units) < g:
            msg = (
                f"column {name!r} has {len(units)} values in train, fewer than privacy.min_group "
                f"{g}: leave it out, or set its vocabulary to public"
            )
            raise DataError(msg)
        found = _classes(name, units, g) if whole else None
        if found is None:
            shown = shown_values(units, g)
            found = _atoms(units, shown, len(units_N)), shown, ()
        atoms, shown, notes = found
        kind = column.type
        bounds = producible(units, float(shown[0]), g, ends, kind, decimals)
        pieces, sizes, flags = _codes(units, shown, atoms, g, bounds, ends)
        ranges = () if decimals is None else learn_in_ranges(units, pieces, sizes, g, kind)
        curve = QuantileCurve(pieces, tuple(sizes), tuple(flags), decimals, ranges)
        return cls._build(name, kind, curve, notes, null=not valid_N.all())

    @classmethod
    def _build(
        cls, name: str, kind: Any, curve: "QuantileCurve", notes: tuple[str, ...], *, null: bool
    ) -> Self:
        """Return the column of a curve."""
        cells, sizes = make_cells(curve.pieces, curve.sizes, curve.ranges, kind), curve.sizes
        values = from_units(cells, curve.decimals, kind)
        if null:
            values, sizes = pa.concat_arrays([values, pa.nulls(1, kind)]), (*sizes, 1)
        return cls(
            name=name,
            kind="numeric",
            fields=(name,),
            vocabularies=(values,),
            first_cells=np.cumsum([0, *sizes], dtype=np.int32),
            notes=notes,
            curve=curve,
        )

    @property
    def decimals(self) -> int | None:
        """Of floats; None = floats without a step. 0 for all other types."""
        return self.curve.decimals

    @cached_property
    def widths(self) -> Array:
        """Distance of the first and the last cell of every code, in units; 0 for atoms and null."""
        units, _ = to_units(self.vocabularies[0], self.decimals)
        widths: Array = units[self.first_cells[1:] - 1] - units[self.first_cells[:-1]]
        return widths

    @cached_property
    def cell_bounds(self) -> tuple[Array, Array]:
        """Return the smallest value of each distinct cell (from the second), and the cells."""
        units, _ = to_units(self.vocabularies[0].drop_null(), self.decimals)
        distinct, first = np.unique(units, return_index=True)
        atom = np.array(self.curve.atoms)[self.code_of_cell[first]]
        below, above = distinct[:-1], distinct[1:]
        if units.dtype.kind == "f":
            middle, next_up = below + (above - below) / 2, np.nextafter(below, np.inf)
        else:
            middle, next_up = below + (above - below + 1) // 2, below + 1
        bounds = np.where(atom[:-1] == atom[1:], middle, np.where(atom[:-1], next_up, above))
        return bounds, first.astype(np.int32)

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N`: see the module; a null that train never had is the middle cell."""
        try:
            units_N, valid_N = to_units(records[self.name], self.decimals)
        except NumberError as error:
            msg = f"column {self.name!r} {error}"
            raise DataError(msg) from error
        bounds, first = self.cell_bounds
        cells_N: Array = first[np.searchsorted(bounds, units_N, side="right")]
        has_null = self.vocabularies[0].null_count > 0
        cells_N[~valid_N] = self.cells - 1 if has_null else self.cells // 2
        return cells_N

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        kind, pieces = self.vocabularies[0].type, self.curve.pieces
        ends = (to_plain(from_units(e, self.decimals, kind)) for e in (pieces.low_P, pieces.high_P))
        return {
            "column": self.type_name,
            "name": self.name,
            "type": str(kind),
            "decimals": self.decimals,
            "null": self.vocabularies[0].null_count > 0,
            "sizes": list(self.curve.sizes),
            "atoms": [int(atom) for atom in self.curve.atoms],
            "pieces": np.bincount(pieces.bin_P).tolist(),
            "shares": pieces.rows_P.tolist(),
            **dict(zip(("low", "high"), ends, strict=True)),
            "held": pieces.held_P.astype(int).tolist(),
            "points": [each.points for each in self.curve.ranges],
            "habits": [[list(habit) for habit in each.habits] for each in self.curve.ranges],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        kind, decimals = parse_type(data["type"]), data["decimals"]
        low_P, high_P = (
            to_units(from_plain(data[end], kind), decimals)[0] for end in ("low", "high")
        )
        pieces = Pieces(
            np.array(data["shares"], dtype=np.float64),
            low_P,
            high_P,
            np.array(data["held"], dtype=bool),
            np.repeat(np.arange(len(data["pieces"])), data["pieces"]),
        )
        curve = QuantileCurve(
            pieces,
            tuple(data["sizes"]),
            tuple(bool(atom) for atom in data["atoms"]),
            decimals,
            tuple(
                Range(points, tuple(Habit(*habit) for habit in habits))
                for points, habits in zip(data["points"], data["habits"], strict=True)
            ),
        )
        return cls._build(data["name"], kind, curve, tuple(data["notes"]), null=data["null"])


def _in_units(limits: Limits, scale: int, *, whole: bool) -> tuple[float | None, float | None]:
    """Return the bounds of a range constraint in units, which are 10^-scale."""
    low, high = (None if limit is None else limit.scaleb(scale) for limit in limits)
    if whole:
        return (
            None if low is None else _clamped(math.ceil(low)),
            None if high is None else _clamped(math.floor(high)),
        )
    return None if low is None else float(low), None if high is None else float(high)


def _within(
    name: str, units: Array, ends: tuple[float | None, float | None], limits: Limits
) -> Array:
    """Return the values within a range constraint."""
    keep = np.ones(len(units), dtype=bool)
    if ends[0] is not None:
        keep &= units >= ends[0]
    if ends[1] is not None:
        keep &= units <= ends[1]
    if not keep.any():
        msg = (
            f"no value of column {name!r} in train lies in the range {limits[0]} to {limits[1]} of "
            "its constraint: correct the constraint"
        )
        raise DataError(msg)
    return units[keep]


def _clamped(bound: int) -> int:
    """Return a bound that 64 bits hold."""
    return max(min(bound, LARGEST + 1), -LARGEST - 1)


def _classes(name: str, units: Array, g: int) -> tuple[Array, Array, tuple[str, ...]] | None:
    """Return the classes of an integer label, what each value becomes, and what to note of it.

    A value that fewer than g rows hold becomes the nearest class. None when there is no class.
    """
    distinct, counts = np.unique(units, return_counts=True)
    classes = distinct[counts >= g]
    if not len(classes):
        return None
    middles = classes[:-1] + (classes[1:] - classes[:-1] + 1) // 2
    shown = classes[np.searchsorted(middles, units, side="right")]
    changed = units != shown
    if not changed.any():
        return classes, shown, ()
    note = (
        f"{name}: {len(np.unique(units[changed]))} values that fewer than {g} rows hold "
        f"({100 * changed.mean():.2g} % of the rows) became the nearest other value"
    )
    return classes, shown, (note,)


def _atoms(units: Array, shown: Array, rows: int) -> Array:
    """Return the values that are atoms; a mean of several values never is.

    Args:
        units: sorted values.
        shown: what they are shown as.
        rows: of the column, nulls too.
    """
    same = units == shown
    distinct, inverse, counts = np.unique(shown, return_inverse=True, return_counts=True)
    bins = wanted_bins(len(units))
    atom = counts >= max(ATOM_SHARE * rows, _half_bin(len(units)))
    rest = ~atom[inverse]
    exact = not rest.any() or float(np.mean(same[rest])) >= 1 / 2
    if exact and len(distinct) <= min(FEW_VALUES, 2 * bins):
        atom[:] = True
    return distinct[atom & np.isin(distinct, shown[same])]


def wanted_bins(rows: int) -> float:
    """Return the number of bins for so many rows."""
    return float(np.clip(min(np.sqrt(rows), rows / FEWEST_ROWS), FEWEST_BINS, MOST_BINS))


def _codes(
    units: Array,
    shown: Array,
    atoms: Array,
    g: int,
    bounds: ProducibleRange,
    ends: tuple[float | None, float | None],
) -> tuple[Pieces, list[int], list[bool]]:
    """Return the quantile function, cells per code, and whether each code is an atom.

    Args:
        units: sorted values.
        shown: what they are shown as, sorted.
        atoms: those of the shown values that have a code of their own.
        g: rows of the smallest group.
        bounds: what may be produced.
        ends: of a range constraint, in units.
    """
    distinct, first, counts = np.unique(shown, return_index=True, return_counts=True)
    real, rows = np.unique(units, return_counts=True)
    held = np.isin(distinct, real[rows >= g]) | np.isin(distinct, atoms)
    atom = np.isin(distinct, atoms)
    gap = wide_gaps(units, max(_half_bin(len(units)), g))[first]
    slices = _slices(_bins(distinct, atom, counts, gap))
    number = np.repeat(np.arange(len(slices)), [end - start for start, end in slices])
    gap |= wide_gaps(units, max(g, 1))[first]
    whole = units.dtype.kind == "i"
    offsets = (
        (distinct - distinct[0]).astype(np.float64)
        if whole
        else distinct.astype(np.float64) - float(distinct[0])
    )
    offered = ShownValues(offsets, counts, held, gap, number)
    if whole:
        offered = fill_between(offered, distinct - distinct[0], units - distinct[0], atom, g)
    pieces = with_units(thin(draw_pieces(offered, g, bounds)), distinct[0], distinct[held], ends)
    sizes = [1 if len(part.rows_P) == 1 and part.held_P[0] else CELLS for part in pieces.of_bins()]
    return pieces, sizes, [bool(atom[start]) for start, _ in slices]


def _half_bin(rows: int) -> int:
    """Return half the rows of a bin."""
    return max(int(rows / (2 * wanted_bins(rows))), 1)


def _bins(values: Array, atom: Array, counts: Array, gap: Array) -> Array:
    """Return a number for each distinct value: equal for the values of one bin, rising.

    Args:
        values: distinct, sorted.
        atom: which of them are atoms.
        counts: rows of each value.
        gap: before which values there is a gap that no bin shall straddle.
    """
    rest = int(counts[~atom].sum())
    per_bin = max(rest / wanted_bins(rest), 1.0)
    after_atom = np.append(False, atom[:-1])
    region = np.cumsum(atom | after_atom | gap) - int((atom | gap)[0])
    mass = np.bincount(region, weights=counts)
    before = np.cumsum(mass) - mass
    middle = np.cumsum(counts) - counts / 2 - before[region]
    bins = np.maximum(np.rint(mass / per_bin), 1)
    inside = np.floor(middle / mass[region] * bins[region])
    return _cut_wide(region * (MOST_BINS + 1.0) + np.where(atom, 0, inside), values, counts)


def _cut_wide(bin_of: Array, values: Array, counts: Array) -> Array:
    """Return the numbers of bins after cutting those that span much more than most do.

    They are the tails, where a bin's width is much of a column's variance. Each part keeps
    about FEWEST_ROWS rows or more.
    """
    slices = _slices(bin_of)
    widths = np.array([float(values[end - 1] - values[start]) for start, end in slices])
    usual = float(np.median(widths[widths > 0])) if (widths > 0).any() else math.inf
    number_of, first = np.empty(len(bin_of), dtype=np.int64), 0
    for (start, end), width in zip(slices, widths, strict=True):
        rows = counts[start:end]
        wanted = math.ceil(width / (WIDE * usual))
        parts = int(max(min(wanted, rows.sum() // FEWEST_ROWS), 1))
        middle = np.cumsum(rows) - rows / 2
        number_of[start:end] = first + np.floor(middle / rows.sum() * parts)
        first += parts
    return number_of


def _slices(bin_of: Array) -> list[tuple[int, int]]:
    """Return where each bin starts and ends."""
    starts = [0, *(np.flatnonzero(np.diff(bin_of)) + 1).tolist()]
    return list(pairwise([*starts, len(bin_of)]))
