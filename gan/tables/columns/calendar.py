"""A date or time whose day of the week, or hour of the day, follows the other columns.

A bin of a date spans days of every kind: who arrives on a Friday stays over the weekend, shops
sell on Saturdays, machines run by night. So where the phase of a cycle is seen to go with another
column, each bin is parted by it: a code is "these three weeks, a Friday". Networks learn what a
phase is like over all bins, and what a bin is like over all phases (`CodePlaces`).

A code has `g` rows or more: bins are joined until their phases can have so many, and phases that
still have fewer are one code together. What is drawn, shown and asked for is what it was; only
which values share a code differs.

Shapes: N rows, M of them, C cells, K codes, G joined bins, P phases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa

from gan.tables.columns.habits import day_units
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.partners import SAMPLE, information, rank_classes
from gan.tables.columns.reordered import Reordered
from gan.tables.columns.values import CodePlaces, Modelled, to_units

Array = np.ndarray[Any, Any]

CycleName = Literal["weekday", "hour", "three hours", "six hours"]
PHASES: Mapping[CycleName, int] = {"weekday": 7, "hour": 24, "three hours": 8, "six hours": 4}
MONDAY = 3
"""Days from the Monday before 1 January 1970 to it."""
SIGMAS = 6.0
"""A phase goes with a column if the likelihood ratio lies so many standard deviations above chance
(G test: Wilks 1938, Annals of Mathematical Statistics 9:60-62)."""
ROWS_OF_PHASE = 2.0
"""A bin holds so many times `g` rows of each phase, were all alike."""
FEWEST_GROUPS = 4
"""A cycle that would leave fewer bins is none; coarser parts of the day may do."""


def phases_of(units_N: Array, cycle: CycleName, kind: Any) -> Array:
    """Return the phase of moments, from 0: Monday, or the hours after midnight (UTC)."""
    day = day_units(kind)
    part = day // PHASES[cycle]
    phases_N: Array = (units_N // day + MONDAY) % 7 if cycle == "weekday" else units_N % day // part
    return phases_N.astype(np.int64)


class _Entry(NamedTuple):
    """A code: some cells of the column, in their order."""

    group: int
    """-1: an atom or null."""
    phase: int
    """-1: of several."""
    cells: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class CalendarNumeric(Reordered):
    """A column of dates or times, each of its bins parted by the phase of a cycle."""

    type_name: ClassVar[str] = "calendar"

    cycle: CycleName
    groups: tuple[int, ...]
    """Of every code of `own`: which joined bin it is of; -1 for atoms and null."""
    parted: tuple[tuple[int, int], ...]
    """Which phase of which joined bin has a code."""
    entries: tuple[tuple[int, int], ...]
    """Joined bin and phase of every code, see `_Entry`."""

    @classmethod
    def of(
        cls,
        own: Numeric,
        cycle: CycleName,
        groups: Sequence[int],
        parted: Sequence[tuple[int, int]],
    ) -> Self:
        """Part the bins of a column."""
        entries = list(_entries(own, cycle, groups, frozenset(parted)))
        order_C = np.concatenate([entry.cells for entry in entries])
        sizes = [len(entry.cells) for entry in entries]
        return cls(
            **cls.fields_of(own, order_C, sizes),
            cycle=cycle,
            groups=tuple(groups),
            parted=tuple(parted),
            entries=tuple((entry.group, entry.phase) for entry in entries),
        )

    @cached_property
    def places(self) -> CodePlaces:
        """Where every code lies: phases of one bin at one place."""
        groups = np.array([group for group, _ in self.entries])
        new = np.append(False, (groups[1:] != groups[:-1]) | (groups[1:] < 0))
        phases = tuple(phase for _, phase in self.entries)
        return CodePlaces(tuple(np.cumsum(new).tolist()), phases)

    @cached_property
    def _code_of_phase(self) -> Array:
        """The code of every phase of every joined bin, else that of the rest; -1: neither."""
        codes_GP = np.full((max(self.groups) + 1, PHASES[self.cycle]), -1)
        for code, (group, phase) in enumerate(self.entries):
            if group >= 0 and phase < 0:
                codes_GP[group] = code
        for code, (group, phase) in enumerate(self.entries):
            if phase >= 0:
                codes_GP[group, phase] = code
        return codes_GP

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N`: of the phase's code the nearest cell, where the bin has one."""
        units_N, valid_N = to_units(records[self.name], self.decimals)
        own_N = self.own.encode(records)
        cells_N: Array = self.cells_of_own[own_N]
        group_N = np.array(self.groups)[self.own.codes_of(own_N)]
        phases_N = phases_of(units_N, self.cycle, self.vocabularies[0].type)
        codes_N = np.where(valid_N & (group_N >= 0), self._code_of_phase[group_N, phases_N], -1)
        rows_M = np.flatnonzero(codes_N >= 0)
        codes_M = codes_N[rows_M]
        cells_N[rows_M] = self.nearest(codes_M, units_N[rows_M])
        return cells_N

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {
            "column": self.type_name,
            "own": self.own.to_json(),
            "cycle": self.cycle,
            "groups": list(self.groups),
            "parted": [list(each) for each in self.parted],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        parted = [(group, phase) for group, phase in data["parted"]]
        return cls.of(Numeric.from_json(data["own"]), data["cycle"], data["groups"], parted)


def _entries(
    own: Numeric, cycle: CycleName, groups: Sequence[int], parted: frozenset[tuple[int, int]]
) -> list[_Entry]:
    """Return the codes of a column whose bins are parted."""
    units, _ = to_units(own.vocabularies[0].drop_null(), own.decimals)
    phases_C = phases_of(units, cycle, own.vocabularies[0].type)
    by_group: dict[int, list[int]] = {}
    for code, group in enumerate(groups):
        by_group.setdefault(group, []).append(code)
    found = []
    for code, group in enumerate(groups):
        if group < 0:
            cells = np.arange(own.first_cells[code], own.first_cells[code + 1])
            found.append(_Entry(-1, -1, cells))
        elif by_group[group][0] == code:
            ends = [(own.first_cells[one], own.first_cells[one + 1]) for one in by_group[group]]
            cells = np.concatenate([np.arange(start, end) for start, end in ends])
            cells = cells[np.argsort(units[cells], kind="stable")]
            keys = np.array([p if (group, p) in parted else -1 for p in phases_C[cells].tolist()])
            found += [_Entry(group, p, cells[keys == p]) for p in np.unique(keys).tolist()]
    return found


def find_calendars(
    columns: Sequence[Modelled], records: pa.Table, group: int, fixed: Sequence[str]
) -> dict[str, CalendarNumeric]:
    """Return, by name, the dates and times whose phase goes with another column, parted by it.

    Args:
        columns: as fitted.
        records: the training records.
        group: rows that a code must have.
        fixed: names of columns that stay as they are.
    """
    offered = [
        column
        for column in columns
        if isinstance(column, Numeric)
        and pa.types.is_temporal(kind := column.vocabularies[0].type)
        and not pa.types.is_time(kind)
        and not pa.types.is_duration(kind)
        and column.name not in fixed
    ]
    if not offered:
        return {}
    step = max(records.num_rows // SAMPLE, 1)
    some = records.take(pa.array(np.arange(0, records.num_rows, step)))
    classes = {
        column.name: rank_classes(column.codes_of(column.encode(some)), column.codes)
        for column in columns
    }
    found = {}
    for column in offered:
        others = [each_N for name, each_N in classes.items() if name != column.name]
        cycles = _cycles_seen(column, some, others)
        parts = (_part(column, cycle, records, group) for cycle in cycles)
        parted = next((each for each in parts if each is not None), None)
        if parted is not None:
            found[column.name] = parted
    return found


def _cycles_seen(column: Numeric, some: pa.Table, others: Sequence[Array]) -> list[CycleName]:
    """Return the cycles whose phases go with another column, the most telling first."""
    units_N, valid_N = to_units(some[column.name], column.decimals)
    kind, rows = column.vocabularies[0].type, int(valid_N.sum())
    if not rows:
        return []
    seen: dict[CycleName, float] = {}
    for cycle, many in PHASES.items():
        if cycle != "weekday" and day_units(kind) < many:
            continue
        phases_M = phases_of(units_N[valid_N], cycle, kind)
        for classes_N in others:
            classes_M = classes_N[valid_N]
            free = float((len(np.unique(phases_M)) - 1) * (len(np.unique(classes_M)) - 1))
            above = 2 * rows * information(phases_M, classes_M, many) - free
            if above > SIGMAS * np.sqrt(2 * free):
                seen[cycle] = max(seen.get(cycle, 0.0), above)
    return sorted(seen, key=lambda cycle: -seen[cycle])


def _part(own: Numeric, cycle: CycleName, records: pa.Table, group: int) -> CalendarNumeric | None:
    """Return a column parted by a cycle; None where the rows do not suffice."""
    units_N, valid_N = to_units(records[own.name], own.decimals)
    units_M = units_N[valid_N]
    codes_M = own.codes_of(own.encode(records))[valid_N]
    phases_M = phases_of(units_M, cycle, own.vocabularies[0].type)
    bins = [code for code, atom in enumerate(own.curve.atoms) if not atom]
    rows = np.bincount(codes_M, minlength=own.codes)[bins]
    wanted = ROWS_OF_PHASE * group * len(np.unique(phases_M))
    number = np.floor((np.cumsum(rows) - rows / 2) / max(wanted, rows.max(initial=1)))
    number = np.unique(number, return_inverse=True)[1]
    if not len(bins) or number[-1] + 1 < FEWEST_GROUPS:
        return None
    groups = np.full(own.codes, -1)
    groups[bins] = number
    counts_GP = np.zeros((number[-1] + 1, PHASES[cycle]), dtype=np.int64)
    inside_M = groups[codes_M] >= 0
    np.add.at(counts_GP, (groups[codes_M][inside_M], phases_M[inside_M]), 1)
    parted = [
        (one, phase)
        for one, counts_P in enumerate(counts_GP)
        for phase in _held_apart(counts_P, group)
    ]
    return CalendarNumeric.of(own, cycle, groups.tolist(), parted)


def _held_apart(counts_P: Array, group: int) -> list[int]:
    """Return the phases of a bin that have rows enough; the others are none or as many together."""
    order = np.argsort(counts_P, kind="stable")
    reached_P = np.cumsum(counts_P[order])
    together = int(np.searchsorted(counts_P[order], group))
    if together and 0 < reached_P[together - 1] < group:
        together = int(np.searchsorted(reached_P, group)) + 1
    return sorted(order[together:].tolist())
