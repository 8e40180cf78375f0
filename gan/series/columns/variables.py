"""A variable of every step: its own codes, those of its relations, and both as tensors.

The values of a variable are units: whole numbers of its last decimal, floats where there is none,
the cells of a category. A missing value is `MISSING`, a unit of its own.

Shapes: N entities, L steps of the longest, D variables, K codes of one variable, C cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from gan.series.columns.relations import Addend, History, Relation, summed
from gan.tables.columns.levels import Levels
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.values import from_units, plain, to_units

Array = np.ndarray[Any, Any]

MISSING: Final = -(2.0**60)
"""The unit of a missing value."""
FARTHEST: Final = 3.0
"""Scores lie within ± so many."""
FEW_CODES: Final = 8
"""Variables of no more codes are states, which last."""
KEPT_SHARE: Final = 0.05
"""A value that so many steps hold keeps its own code where it lies beside the reference."""
OWN: Mapping[str, type[Any]] = {kind.type_name: kind for kind in (Levels, Numeric)}
"""Name in JSON → class."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Variable:
    """One variable of every step."""

    own: Numeric | Levels
    shares: tuple[float, ...]
    """Of the steps, for each of its own codes: where its values lie."""
    relations: tuple[Relation, ...] = ()
    used: tuple[float, ...] = ()
    """Of the steps, for each code: which ones say its values."""

    @property
    def name(self) -> str:
        """Of the column."""
        return self.own.name

    @property
    def is_number(self) -> bool:
        """Whether its own codes are in the order of their values."""
        return isinstance(self.own, Numeric)

    @property
    def codes(self) -> int:
        """All its codes, K."""
        return self.own.codes + sum(each.codes for each in self.relations)

    @property
    def addend(self) -> Addend | None:
        """What its running sum adds; None where it is no sum."""
        found = (each.addend for each in self.relations)
        return next((each for each in found if each is not None), None)

    @property
    def lags(self) -> int:
        """How many last values its relations need."""
        found = (each.prediction for each in self.relations)
        terms = (term for each in found if each is not None for term in each.terms)
        return max((max(term.lag, 1) for term in terms), default=0)

    @property
    def only_grows(self) -> bool:
        """Whether nothing but the addend is ever taken from its running sum."""
        sums = (each for each in self.relations if each.addend is not None and not each.of_first)
        offsets = [each.offsets for each in sums]
        numbers = (pc.min(each.vocabularies[0]).as_py() for each in offsets if each is not None)
        return all(number > 0 for number in numbers)

    @property
    def stays(self) -> bool:
        """Whether it often is what it was, so that how long it has been so says how it goes on."""
        few = self.own.codes <= FEW_CODES
        return few or any(each.reference == "last" and each.is_equal for each in self.relations)

    @cached_property
    def unit_of_cell(self) -> Array:
        """The unit of each of its own cells, float64."""
        if isinstance(self.own, Levels):
            return np.arange(self.own.cells, dtype=np.float64)
        units_C, valid_C = to_units(self.own.vocabularies[0], self.own.decimals)
        return np.where(valid_C, units_C.astype(np.float64), MISSING)

    def units_of(self, values: Any) -> Array:
        """Return the units of Arrow values, float64; of categories those of what is shown.

        Raises:
            NumberError: numbers that cannot be modelled.
        """
        if isinstance(self.own, Levels):
            return self.own.encode(pa.table({self.name: values})).astype(np.float64)
        units_T, valid_T = to_units(values, self.own.decimals)
        return np.where(valid_T, units_T.astype(np.float64), MISSING)

    def values_of(self, units_T: Array) -> Any:
        """Return Arrow values of units."""
        kind = self.own.vocabularies[0].type
        if isinstance(self.own, Levels):
            return self.own.vocabularies[0].take(pa.array(units_T.astype(np.int32)))
        missing_T = units_T == MISSING
        there_T = np.where(missing_T, 0.0, units_T)
        if self.own.decimals is not None:
            there_T = there_T.astype(np.int64)
        values = plain(from_units(there_T, self.own.decimals, kind))
        if not missing_T.any():
            return values
        return (
            pa.array(values.to_numpy(zero_copy_only=False), type=kind, mask=missing_T)
            if pa.types.is_floating(kind)
            else _with_nulls(values, missing_T)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the variable as JSON."""
        return {
            "own": self.own.to_json(),
            "shares": list(self.shares),
            "relations": [each.to_json() for each in self.relations],
            "used": list(self.used),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the variable."""
        return cls(
            own=OWN[data["own"]["column"]].from_json(data["own"]),
            shares=tuple(data["shares"]),
            relations=tuple(Relation.from_json(each) for each in data["relations"]),
            used=tuple(data["used"]),
        )


def _with_nulls(values: Any, missing_T: Array) -> Any:
    """Return values, null where they are missing."""
    return pc.if_else(pa.array(missing_T), pa.scalar(None, values.type), values)


class CellGrid(nn.Module):
    """The cells of a vocabulary of numbers as tensors: units to codes, codes to units."""

    bounds: Tensor
    """Smallest unit of each distinct cell but the first."""
    codes: Tensor
    """Code of each distinct cell."""
    scores: Tensor
    """Normal score of each distinct cell, by the shares of codes."""
    distinct: Tensor
    """Unit of each distinct cell."""
    first_cells: Tensor
    units: Tensor
    """Of every cell."""
    widths: Tensor
    """Distance of the first and the last cell of every code."""
    single: Tensor
    """Whether each code is one value."""

    def __init__(self, column: Numeric, shares: Sequence[float]) -> None:
        """Lay out the cells of a column."""
        super().__init__()
        bounds, first = column.cell_bounds
        units, valid = to_units(column.vocabularies[0], column.decimals)
        codes = column.codes_of(first)
        arrays = {
            "bounds": bounds.astype(np.float64),
            "codes": codes,
            "scores": _scores(column, first, codes, np.asarray(shares)),
            "distinct": np.where(valid, units.astype(np.float64), MISSING)[first],
            "first_cells": column.first_cells.astype(np.int64),
            "units": np.where(valid, units.astype(np.float64), MISSING),
            "widths": column.widths.astype(np.float64),
            "single": np.diff(column.first_cells) == 1,
        }
        for name, array in arrays.items():
            self.register_buffer(
                name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False
            )

    def find(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes and scores of units."""
        place = torch.searchsorted(self.bounds, units.contiguous(), right=True)
        return self.codes[place], self.scores[place]

    def unscore(self, scores: Tensor) -> Tensor:
        """Return the units with the nearest scores below."""
        place = torch.searchsorted(self.scores, scores.contiguous()).clamp(max=len(self.scores) - 1)
        return self.distinct[place]

    def place(self, codes_N: Tensor, positions_N: Tensor) -> Tensor:
        """Return the units at positions in [0, 1) inside codes."""
        first_N = self.first_cells[codes_N]
        sizes_N = self.first_cells[codes_N + 1] - first_N
        return self.units[first_N + (positions_N * sizes_N).long().clamp(max=sizes_N - 1)]


def _scores(column: Numeric, first: Array, codes: Array, shares: Array) -> Array:
    """Return the normal scores of cells: of the middle of what is below them."""
    known = shares[: column.codes - column.has_null]
    known = known / max(known.sum(), 1e-12)
    below = np.cumsum(known) - known
    chance = below[codes] + known[codes] * column.positions(first)
    chance = torch.from_numpy(np.clip(chance, 1e-6, 1 - 1e-6))
    scores: Array = torch.special.ndtri(chance).clamp(-FARTHEST, FARTHEST).float().numpy()
    return scores


class Reached(NamedTuple):
    """The references of a variable's relations at some steps."""

    references: list[Tensor]
    valid: list[Tensor]
    first: Tensor
    """The first value of the variable itself."""

    @property
    def both(self) -> tuple[list[Tensor], list[Tensor]]:
        """References, and where there is one."""
        return self.references, self.valid


class Coder(nn.Module):
    """Codes of one variable, given what was before."""

    level_cells: Tensor
    """First cell of each own code, and the number of all."""
    kept: Tensor
    """Whether each own code stays beside a reference."""
    shown: Tensor
    """Smallest and largest unit that is shown."""

    def __init__(self, variable: Variable, index: int) -> None:
        """Prepare the tensors.

        Args:
            variable: that is coded.
            index: of it among all.
        """
        super().__init__()
        self.variable, self.index = variable, index
        own = variable.own
        self.own_codes, self.codes = own.codes, variable.codes
        self.blocks = [own.codes, *(each.codes for each in variable.relations)]
        self.is_whole = isinstance(own, Numeric) and own.decimals is not None
        self.null_code = own.codes - 1 if isinstance(own, Numeric) and own.has_null else None
        self.grid = CellGrid(own, variable.shares) if isinstance(own, Numeric) else None
        cells = torch.from_numpy(own.first_cells.astype(np.int64))
        self.register_buffer("level_cells", cells, persistent=False)
        self.grids = nn.ModuleList(
            CellGrid(each.offsets, [1.0] * each.offsets.codes)
            for each in variable.relations
            if each.offsets is not None
        )
        units_C = variable.unit_of_cell
        known_C = units_C[units_C != MISSING]
        sizes = np.diff(own.first_cells)
        kept = (np.asarray(variable.shares) >= KEPT_SHARE) & (sizes == 1)
        self.register_buffer("kept", torch.from_numpy(kept), persistent=False)
        shown = torch.tensor([known_C.min(), known_C.max()], dtype=torch.float64)
        self.register_buffer("shown", shown, persistent=False)

    @property
    def offsets(self) -> list[CellGrid]:
        """The cells of the differences of the relations that have any."""
        return [cast("CellGrid", each) for each in self.grids]

    def find(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Return the own codes and scores of units; the score of what is missing is 0."""
        if self.grid is None:
            codes = torch.bucketize(units.long(), self.level_cells[1:], right=True)
            return codes, torch.zeros_like(units, dtype=torch.float32)
        codes, scores = self.grid.find(units)
        if self.null_code is not None:
            missing = units == MISSING
            codes = torch.where(missing, self.null_code, codes)
            scores = torch.where(missing, 0.0, scores)
        return codes, scores

    def reach(self, history: History, units: Tensor, present: Tensor) -> Reached:
        """Return the references of every relation, and where there is one.

        Args:
            history: of all variables; last axis D.
            units: of this step, of the variables before this one at least; last axis D.
            present: where these are not missing.
        """
        references, valid = [], []
        first = history.first[..., self.index]
        for relation in self.variable.relations:
            reference, known = self._reference(relation, history, units, present)
            if relation.is_equal:
                known = known & (reference >= self.shown[0]) & (reference <= self.shown[1])
            if relation.of_first:
                known = known & (first > 0)
            references.append(reference)
            valid.append(known)
        return Reached(references, valid, first)

    def _reference(
        self, relation: Relation, history: History, units: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the reference of one relation, and where there is one."""
        own = self.index
        if relation.reference == "back":
            return history.back[..., own], history.has_back[..., own]
        if relation.prediction is not None:
            reference, known = relation.prediction.of(history, units, present)
            known = known & history.has_last[..., own]
            return reference.round() if self.is_whole else reference, known
        if relation.addend is None:
            return history.last[..., own], history.has_last[..., own]
        reference, known = summed(history, units, present, own, relation.addend)
        if relation.reference == "lot":
            return reference + history.lot[..., own], known & history.has_lot[..., own]
        return reference, known

    def encode(self, units: Tensor, own_codes: Tensor, reached: Reached) -> Tensor:
        """Return codes: of the first relation that a value meets, else its own."""
        codes, first = own_codes, self.codes
        grids = self.offsets
        for relation, reference, known in reversed(
            list(zip(self.variable.relations, *reached.both, strict=True))
        ):
            first -= relation.codes
            there = known & (units != MISSING)
            if relation.offsets is not None:
                grid = grids.pop()
                apart, sayable = relation.apart(units, reference, reached.first)
                near = there & sayable
                if relation.of_first:
                    near = near & (apart >= grid.units.min()) & (apart <= grid.units.max())
                if np.isfinite(relation.within):
                    near = near & (apart.abs() <= relation.within) & ~self.kept[own_codes]
                if np.isfinite(relation.reach) and self.grid is not None:
                    wide = relation.reach * self.grid.widths[own_codes]
                    near = near & (apart.abs() <= wide) & ~self.kept[own_codes]
                codes = torch.where(near, first + grid.find(apart)[0], codes)
                continue
            for number, ratio in enumerate(relation.ratios or (1.0,)):
                reached_here = (reference * ratio).round() if relation.ratios else reference
                codes = torch.where(there & (units == reached_here), first + number, codes)
        return codes

    def combine(self, logits_NK: Tensor, kinds_NW: Tensor, reached: Reached) -> Tensor:
        """Return log p of every code, (N, K): of its kind, times of the code within it.

        The first kind are its own codes, the others its relations. Relations without a reference
        and values that a relation already means have probability zero.

        Args:
            logits_NK: of the codes of one step.
            kinds_NW: logits of its own codes together and of each relation.
            reached: the references.
        """
        if not self.variable.relations:
            return logits_NK.log_softmax(1)
        forbidden_NK = torch.zeros(
            len(logits_NK), self.own_codes, dtype=torch.bool, device=logits_NK.device
        )
        for relation, reference, known in zip(self.variable.relations, *reached.both, strict=True):
            if relation.is_equal:
                codes_N, _ = self.find(torch.where(known, reference, self.shown[0]))
                codes_N1 = codes_N[:, None]
                alone_N1 = (known & self._is_single(codes_N, reference))[:, None]
                forbidden_NK.scatter_(1, codes_N1, alone_N1 | forbidden_NK.gather(1, codes_N1))
        blocks = list(logits_NK.split(self.blocks, dim=1))
        blocks[0] = blocks[0].masked_fill(forbidden_NK, -torch.inf)
        absent_NW = ~torch.stack([torch.ones_like(reached.valid[0]), *reached.valid], dim=1)
        kinds_NW = kinds_NW.masked_fill(absent_NW, -torch.inf).log_softmax(1)
        found = [
            kind_N1 + block.log_softmax(1)
            for kind_N1, block in zip(kinds_NW.split(1, dim=1), blocks, strict=True)
        ]
        return torch.cat(found, dim=1)

    def _is_single(self, codes_N: Tensor, units_N: Tensor) -> Tensor:
        """Return whether codes are of these values alone."""
        if self.grid is None:
            return (self.level_cells[1:] - self.level_cells[:-1] == 1)[codes_N]
        first_N = self.grid.first_cells[codes_N]
        return self.grid.single[codes_N] & (self.grid.units[first_N] == units_N)

    def own_units(self, codes_N: Tensor, positions_N: Tensor) -> Tensor:
        """Return the units of own codes and positions in [0, 1) inside them."""
        if self.grid is not None:
            return self.grid.place(codes_N, positions_N)
        first_N = self.level_cells[codes_N]
        sizes_N = self.level_cells[codes_N + 1] - first_N
        return (first_N + (positions_N * sizes_N).long().clamp(max=sizes_N - 1)).double()

    def decode(self, codes_N: Tensor, positions_N: Tensor, reached: Reached) -> Tensor:
        """Return the units of codes and positions in [0, 1) inside them."""
        units_N = self.own_units(codes_N.clamp(max=self.own_codes - 1), positions_N)
        first, grids = self.own_codes, iter(self.offsets)
        for relation, reference in zip(self.variable.relations, reached.references, strict=True):
            place_N = codes_N - first
            mine_N = (place_N >= 0) & (place_N < relation.codes)
            place_N = place_N.clamp(0, relation.codes - 1)
            if relation.offsets is not None:
                grid = next(grids)
                apart_N = grid.place(place_N, positions_N)
                found_N = relation.moved(reference, apart_N, reached.first)
            elif relation.ratios:
                ratios = torch.tensor(relation.ratios, dtype=torch.float64, device=codes_N.device)
                found_N = (reference * ratios[place_N]).round()
            else:
                found_N = reference
            found_N = found_N.clamp(self.shown[0], self.shown[1])
            units_N = torch.where(mine_N, found_N, units_N)
            first += relation.codes
        return units_N
