"""Numbers whose roundness follows the other columns: each bin parted by whether a value is round.

Payments by hand are whole hundreds, electronics cost .99, one team books quarters of an hour. A bin
of such a column holds round values and others, and which is which would be drawn by chance. So
where a habit of rounding (`habits`) is seen to go with another column beyond what the bin says, the
bins are parted by it. Habits are tried in turn, each beyond those before; a value's phase is the
first of them whose lattice it lies on, coarse ones first, or the last phase, none. Atoms stay codes
of their own and are of the phase that their value has, but zero, which is nothing, not round.

Shapes: N rows, M of them, L lattices, S strata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa

from gan.tables.columns.numeric import Numeric
from gan.tables.columns.reordered import Reordered
from gan.tables.columns.values import CodePlaces, to_units

Array = np.ndarray[Any, Any]


class ValueLattice(NamedTuple):
    """Every `step`-th value from `rest`, in units."""

    step: int
    rest: int

    def holds(self, units_N: Array) -> Array:
        """Return which values lie on it."""
        on_N: Array = units_N % self.step == self.rest
        return on_N


def phases_of(units_N: Array, lattices: Sequence[ValueLattice]) -> Array:
    """Return the index of the first lattice that holds each value, else their number."""
    phases_N = np.full(len(units_N), len(lattices))
    for number, lattice in reversed(list(enumerate(lattices))):
        phases_N[lattice.holds(units_N)] = number
    return phases_N


def _phases_of_codes(own: Numeric, lattices: Sequence[ValueLattice]) -> Array:
    """Return the phase of codes of one value; -1 for bins, null, zero and what is not round."""
    alone_K = np.diff(own.first_cells) == 1
    firsts = own.vocabularies[0].take(pa.array(own.first_cells[:-1]))
    units_K, valid_K = to_units(firsts, own.decimals)
    phases_K = phases_of(units_K, lattices)
    phases_K[~alone_K | ~valid_K | (units_K == 0) | (phases_K == len(lattices))] = -1
    return phases_K


class Run(NamedTuple):
    """A code of round values: those of one phase in the parted bins among neighbouring codes."""

    phase: int
    first: int
    """The first of the column's own codes."""
    last: int

    @property
    def middle(self) -> int:
        """The own code behind which it lies."""
        return (self.first + self.last) // 2


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundedNumeric(Reordered):
    """A column of numbers, some of whose bins are parted by which lattice a value lies on."""

    type_name: ClassVar[str] = "rounded"

    lattices: tuple[ValueLattice, ...]
    """Coarse ones first."""
    opened: tuple[int, ...]
    """Codes of `own` that are parted."""
    runs: tuple[Run, ...]
    code_KP: Array
    """This column's code of every code of `own` and phase."""
    lies: CodePlaces
    """Where every code lies; codes of one value have a phase, too."""

    @classmethod
    def of(
        cls,
        own: Numeric,
        lattices: Sequence[ValueLattice],
        opened: Sequence[int],
        runs: Sequence[Run],
    ) -> Self:
        """Part the bins of a column; each run behind the code in its middle."""
        runs = sorted(runs, key=lambda run: (run.middle, run.phase))
        known, _ = to_units(own.vocabularies[0].drop_null(), own.decimals)
        phases_C = phases_of(known, lattices)
        middles, own_K = np.array([run.middle for run in runs]), np.arange(own.codes)
        base_K, of_run = own_K + np.searchsorted(middles, own_K), middles + 1 + own_K[: len(runs)]
        code_KP = np.repeat(base_K[:, None], len(lattices) + 1, axis=1)
        for code, run in zip(of_run.tolist(), runs, strict=True):
            shown = own.code_of_cell[: len(known)][phases_C == run.phase]
            inside = np.intersect1d(opened, shown)
            inside = inside[(inside >= run.first) & (inside <= run.last)]
            code_KP[inside, run.phase] = code
        codes_C = base_K[own.code_of_cell]
        codes_C[: len(known)] = code_KP[own.code_of_cell[: len(known)], phases_C]
        order_C = np.argsort(codes_C, kind="stable")
        sizes = np.bincount(codes_C, minlength=own.codes + len(runs))
        along, phases = np.empty((2, len(sizes)), dtype=np.int64)
        along[base_K], along[of_run] = own_K, middles
        phases[base_K], phases[of_run] = _phases_of_codes(own, lattices), [r.phase for r in runs]
        return cls(
            **cls.fields_of(own, order_C, sizes),
            lattices=tuple(lattices),
            opened=tuple(opened),
            runs=tuple(runs),
            code_KP=code_KP,
            lies=CodePlaces(tuple(along.tolist()), tuple(phases.tolist())),
        )

    @property
    def places(self) -> CodePlaces:
        """Where every code lies, for networks that let alike ones share strength."""
        return self.lies

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N`: in parted bins the nearest cell of the phase's code."""
        units_N, valid_N = to_units(records[self.name], self.decimals)
        own_N = self.own.encode(records)
        cells_N: Array = self.cells_of_own[own_N]
        of_own_N = self.own.codes_of(own_N)
        rows_M = np.flatnonzero(valid_N & np.isin(of_own_N, self.opened))
        codes_M = self.code_KP[of_own_N[rows_M], phases_of(units_N[rows_M], self.lattices)]
        cells_N[rows_M] = self.nearest(codes_M, units_N[rows_M])
        return cells_N

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {
            "column": self.type_name,
            "own": self.own.to_json(),
            "lattices": [list(each) for each in self.lattices],
            "opened": list(self.opened),
            "runs": [list(each) for each in self.runs],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        lattices = [ValueLattice(*each) for each in data["lattices"]]
        runs = [Run(*each) for each in data["runs"]]
        return cls.of(Numeric.from_json(data["own"]), lattices, data["opened"], runs)
