"""Which relations a variable has: those that explain far more of its steps than chance does.

Shapes: N entities, L steps of the longest, D variables, T steps of all.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gan.errors import DataError
from gan.series.columns.entities import rows_of_entities
from gan.series.columns.relations import (
    LOG_UNIT,
    MOST_APART,
    Addend,
    History,
    Relation,
    history_of,
    summed,
)
from gan.series.columns.variables import KEPT_SHARE, MISSING, Coder, Variable
from gan.tables.columns.numeric import Numeric

Array = np.ndarray[Any, Any]

CHANCE_TIMES: Final = 3.0
"""Equal values are no chance if there are so many times as many as of two random steps."""
LAST_SHARE: Final = 0.03
"""Steps that are equal to the last value, at least."""
BACK_SHARE: Final = 0.1
"""Of the steps that differ from the last value those that are equal to the one before it."""
SUM_SHARE: Final = 0.2
"""Steps that are a running sum, of those at which something is added."""
LOT_SHARE: Final = 0.2
"""Of what is added to a running sum what equals the last that was."""
REACH: Final = 3.0
"""Bins' widths that a value differs from the last, to be one of its changes."""
NEAR_SHARE, NEAR_TIMES = 0.3, 2.0
"""So many steps are near the last value, so many times as many as two random steps are."""
RATIO_SHARE, MOST_RATIOS = 0.03, 12
"""Of the steps that differ from the last value those with one ratio to it."""
FEWEST_LEVELS: Final = 8
"""In a category of fewer levels the network sees what stays without a code for it."""
SHARE_DECIMALS: Final = 6
NARROWER: Final = 2.0
"""So many times as narrow is what is added to sums ÷ the first value as what is added, to be coded
so: the middle eight tenths, as logarithms."""
SAMPLE: Final = 400_000
"""Evidence is sought in about so many values."""


class ObservedUnits(NamedTuple):
    """All variables of some entities, and what is known before every step."""

    units_NLD: Tensor
    present_NLD: Tensor
    history: History
    entity_NL: Tensor
    """Number of the entity of every step."""

    @classmethod
    def of(cls, units_NLD: Tensor, lags: int = 0) -> "ObservedUnits":
        """Return what is known before every step; what is missing or padding is `MISSING`."""
        present_NLD = units_NLD != MISSING
        entity_NL = torch.arange(len(units_NLD))[:, None].expand(units_NLD.shape[:2])
        none = [None] * units_NLD.shape[2]
        history = history_of(units_NLD, present_NLD, none, lags)
        return cls(units_NLD, present_NLD, history, entity_NL)


def find_relations(
    variables: Sequence[Variable], units_NLD: Array, groups: Sequence[int]
) -> tuple[Variable, ...]:
    """Return the variables with the relations that the training records show.

    Args:
        variables: with their own codes.
        units_NLD: of the training records, `MISSING` where there is no step.
        groups: of each variable, how many entities must have what is shown.
    """
    every = max(units_NLD.size // SAMPLE, 1)
    seen = ObservedUnits.of(torch.from_numpy(np.ascontiguousarray(units_NLD[::every])))
    chosen: dict[int, set[int]] = {}
    found = []
    for index, (variable, group) in enumerate(zip(variables, groups, strict=True)):
        search = Search(index, variable, seen, group)
        relations = search.equal()
        if variable.is_number:
            addends = [
                Addend(other, sign, lagged)
                for other, sign, lagged in product(range(len(variables)), (-1, 1), (False, True))
                if _may_add(variables, index, other) and index not in _leads(chosen, other)
            ]
            sums = search.sums(addends)
            if sums and sums[0].addend is not None and not sums[0].addend.lagged:
                chosen.setdefault(index, set()).add(sums[0].addend.variable)
            relations += sums
            if not sums:
                relations += search.ratios(relations)
                if not any(each.relative for each in relations):
                    relations += search.changes(relations)
        found.append(Variable(own=variable.own, shares=variable.shares, relations=tuple(relations)))
    return tuple(found)


def _leads(chosen: dict[int, set[int]], start: int) -> set[int]:
    """Return the variables that one is summed from, itself too."""
    reached, open_ = {start}, [start]
    while open_:
        for other in chosen.get(open_.pop(), ()):
            if other not in reached:
                reached.add(other)
                open_.append(other)
    return reached


def _may_add(variables: Sequence[Variable], index: int, other: int) -> bool:
    """Say whether one variable may be added to another: numbers of the same unit."""
    own, added = variables[index].own, variables[other].own
    if index == other or not isinstance(own, Numeric) or not isinstance(added, Numeric):
        return False
    numbers = not any(pa.types.is_temporal(each.vocabularies[0].type) for each in (own, added))
    return numbers and own.decimals is not None and own.decimals == added.decimals


class Search:
    """Evidence for one variable."""

    def __init__(self, index: int, variable: Variable, seen: ObservedUnits, group: int) -> None:
        self.index, self.variable, self.seen, self.group = index, variable, seen, group
        self.units = seen.units_NLD[..., index]
        self.last, self.back = (each[..., index] for each in (seen.history.last, seen.history.back))
        self.known = seen.present_NLD[..., index] & seen.history.has_last[..., index]
        self.count = max(int(self.known.sum()), 1)
        shuffled = np.random.default_rng(0).permutation(self.count)
        self.other = self.units[self.known][torch.from_numpy(shuffled[: int(self.known.sum())])]
        """Values of random steps beside those of `known`."""

    def equal(self) -> list[Relation]:
        """Return the relations to the last value and the one before."""
        same = self.known & (self.units == self.last)
        chance = self._chance(self.units[self.known] == self.other)
        share = float(same.sum()) / self.count
        few = not self.variable.is_number and self.variable.own.codes < FEWEST_LEVELS
        if few or share < max(LAST_SHARE, CHANCE_TIMES * chance) or not self._held(same):
            return []
        moved = self.known & ~same & self.seen.history.has_back[..., self.index]
        back = moved & (self.units == self.back)
        share = float(back.sum()) / max(int(moved.sum()), 1)
        found = [Relation(reference="last")]
        if share >= max(BACK_SHARE, CHANCE_TIMES * chance) and self._held(back):
            found.append(Relation(reference="back"))
        return found

    def _chance(self, equal: Tensor) -> float:
        return float(equal.sum()) / self.count

    def _held(self, steps_NL: Tensor) -> bool:
        """Say whether enough entities have such steps."""
        return len(self.seen.entity_NL[steps_NL].unique()) >= max(self.group, 2)

    def sums(self, addends: Sequence[Addend]) -> list[Relation]:
        """Return the running sum that explains most, and codes of what else is added."""
        best: tuple[float, Addend] | None = None
        for addend in addends:
            reference, known = self._summed(addend)
            added = known & (reference != self.last)
            hits = added & (self.units == reference)
            share = float(hits.sum()) / max(int(added.sum()), 1)
            stays = float((added & (self.units == self.last)).sum()) / max(int(added.sum()), 1)
            enough = share >= max(SUM_SHARE, CHANCE_TIMES * stays) and self._held(hits)
            if enough and (best is None or share > best[0]):
                best = share, addend
        if best is None:
            return []
        relation = Relation(reference="sum", addend=best[1])
        reference, known = self._summed(best[1])
        others = known & (self.units != reference)
        offsets = self.offsets(others, self.units - reference)
        if offsets is None:
            return [relation]
        free = Relation(reference="sum", addend=best[1], offsets=offsets)
        scaled = self._of_first(best[1], others, reference)
        return [relation, *self._lots(best[1]), *scaled, free]

    def _of_first(self, addend: Addend, others_NL: Tensor, reference_NL: Tensor) -> list[Relation]:
        """Return codes of what is added ÷ the first value, where that says far more of it."""
        first_NL = self.seen.history.first[..., self.index]
        empty = Relation(reference="sum", addend=addend, of_first=True)
        apart_NL, sayable_NL = empty.apart(self.units, reference_NL, first_NL)
        steps_NL = others_NL & sayable_NL
        if 2 * int(steps_NL.sum()) < int(others_NL.sum()) or not self._held(steps_NL):
            return []
        plain = (self.units - reference_NL)[steps_NL].log().numpy() / LOG_UNIT
        spreads = [np.ptp(np.quantile(e, (0.1, 0.9))) for e in (apart_NL[steps_NL].numpy(), plain)]
        if NARROWER * spreads[0] > spreads[1]:
            return []
        offsets = self.offsets(steps_NL, apart_NL, whole=True)
        return [] if offsets is None else [replace(empty, offsets=offsets)]

    def _summed(self, addend: Addend) -> tuple[Tensor, Tensor]:
        seen = self.seen
        reference, known = summed(
            seen.history, seen.units_NLD, seen.present_NLD, self.index, addend
        )
        return reference, self.known & known

    def _lots(self, addend: Addend) -> list[Relation]:
        """Return the relation to what was last added to a sum, where that is often the same."""
        seen = self.seen
        addends: list[Addend | None] = [None] * seen.units_NLD.shape[2]
        addends[self.index] = addend
        history = history_of(seen.units_NLD, seen.present_NLD, addends)
        reference, known = self._summed(addend)
        added = self.units - reference
        again = known & history.has_lot[..., self.index] & (added != 0)
        same = again & (added == history.lot[..., self.index])
        share = float(same.sum()) / max(int(again.sum()), 1)
        enough = share >= LOT_SHARE and self._held(same)
        return [Relation(reference="lot", addend=addend)] if enough else []

    def ratios(self, before: Sequence[Relation]) -> list[Relation]:
        """Return the ratios by which a value that mostly stays changes."""
        own = self.variable.own
        sticky = any(each.reference == "last" for each in before)
        if not sticky or not isinstance(own, Numeric) or own.decimals is None:
            return []
        moved = self.known & (self.units != self.last) & (self.last > 0) & (self.units > 0)
        if any(each.reference == "back" for each in before):
            moved &= ~(self.seen.history.has_back[..., self.index] & (self.units == self.back))
        here, last = self.units[moved], self.last[moved]
        entity = self.seen.entity_NL[moved]
        hundredths = (here / last * 100).round()
        by_chance = (100 / last).clamp(max=1.0)
        found = []
        for number in hundredths.unique().tolist():
            near = hundredths == number
            hits = near & (here == (last * (number / 100)).round())
            share = float(hits.sum()) / len(here)
            sure = float(hits.sum()) >= CHANCE_TIMES * float(by_chance[near].sum())
            enough = len(entity[hits].unique()) >= max(self.group, 2)
            if number != 100 and share >= RATIO_SHARE and sure and enough:
                found.append((share, number / 100))
        ratios = tuple(sorted(ratio for _, ratio in sorted(found)[-MOST_RATIOS:]))
        exact = [Relation(reference="last", ratios=ratios)] if ratios else []
        for ratio in ratios:
            moved &= self.units != (self.last * ratio).round()
        return [*exact, *self._factors(moved)]

    def _factors(self, steps_NL: Tensor) -> list[Relation]:
        """Return codes of factors, for what changes by none of the exact ratios."""
        empty = Relation(reference="last", relative=True)
        apart_NL, sayable_NL = empty.apart(self.units, self.last, self.last)
        last = self.last[steps_NL]
        by_chance, _ = empty.apart(self.other[steps_NL[self.known]], last, last)
        near, chance = (
            float((each.abs() <= MOST_APART / 2).float().mean())
            for each in (apart_NL[steps_NL], by_chance)
        )
        if not near >= max(NEAR_SHARE, NEAR_TIMES * chance):
            return []
        offsets = self.offsets(steps_NL & sayable_NL, apart_NL, whole=True)
        return [] if offsets is None else [replace(empty, offsets=offsets)]

    def changes(self, before: Sequence[Relation]) -> list[Relation]:
        """Return codes of differences to the last value, where values move little by little."""
        own = self.variable.own
        moved = self.known & (self.units != self.last) if before else self.known
        if not isinstance(own, Numeric) or own.codes == own.cells or not moved.any():
            return []
        bounds, first = own.cell_bounds
        flat = self.units[moved].numpy()
        codes = own.codes_of(first[np.searchsorted(bounds, flat, side="right")])
        kept = (np.asarray(self.variable.shares) >= KEPT_SHARE) & (np.diff(own.first_cells) == 1)
        wide = torch.from_numpy(REACH * own.widths[codes].astype(np.float64))
        free = torch.from_numpy(~kept[codes])
        near = free & ((self.units[moved] - self.last[moved]).abs() <= wide)
        chance = free & ((self.units[moved] - self.other[moved[self.known]]).abs() <= wide)
        share, by_chance = (float(each.float().mean()) for each in (near, chance))
        if share < max(NEAR_SHARE, NEAR_TIMES * by_chance):
            return []
        steps = moved.clone()
        steps[moved] = near
        offsets = self.offsets(steps, self.units - self.last)
        return [] if offsets is None else [Relation(reference="last", offsets=offsets, reach=REACH)]

    def offsets(self, steps_NL: Tensor, apart_NL: Tensor, *, whole: bool = False) -> Numeric | None:
        """Return codes of differences at some steps; None where too few entities have any."""
        own = self.variable.own
        apart = apart_NL[steps_NL].numpy()
        entity = self.seen.entity_NL[steps_NL].numpy()
        kept = rows_of_entities(apart, entity, self.group)
        group = _doubled(self.group)
        if len(kept) < 3 * group or len(np.unique(entity)) < max(self.group, 2):
            return None
        whole = whole or (isinstance(own, Numeric) and own.decimals is not None)
        values = pa.array(apart[kept].astype(np.int64) if whole else apart[kept])
        try:
            offsets = Numeric.fit(
                f"change of {self.variable.name}", values, group, limits=(None, None), whole=False
            )
        except DataError:
            return None
        return offsets if offsets.codes > 1 or offsets.cells > 1 else None


def _doubled(group: int) -> int:
    """Return the group of rows that are of so many entities; see `entities`."""
    return 2 * group if group > 1 else 1


def with_uses(variables: Sequence[Variable], units_NLD: Array) -> tuple[Variable, ...]:
    """Return the variables with the share of the steps that each code has.

    Args:
        variables: with relations, in their order.
        units_NLD: of the training records, `MISSING` where there is no step.
    """
    every = max(units_NLD.size // SAMPLE, 1)
    units = torch.from_numpy(np.ascontiguousarray(units_NLD[::every]))
    addends = [each.addend for each in variables]
    present = units != MISSING
    lags = max(each.lags for each in variables)
    history = history_of(units, present, addends, lags)
    found = []
    for index, variable in enumerate(variables):
        coder, there = Coder(variable, index), present.any(-1)
        own_codes, _ = coder.find(units[..., index])
        reached = coder.reach(history, units, present)
        codes = coder.encode(units[..., index], own_codes, reached)[there]
        shares = torch.bincount(codes, minlength=coder.codes) / max(len(codes), 1)
        used = tuple(round(each, SHARE_DECIMALS) for each in shares.tolist())
        found.append(replace(variable, used=used))
    return tuple(found)
