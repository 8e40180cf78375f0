"""What a network of series sees of the steps before, and of when a step is.

Of every variable before each step: the normal score of its last value, whether it is missing or the
same as the one before, a vector of its code; the mean score so far, which is the entity's level as
far as it is known; the score of the value before the last change and how long ago that was; the
scores a season ago. In training all steps are seen at once, in sampling one after the other: both
compute the same numbers.

Shapes: N entities, L steps, D variables, S numbers of the context, P numbers seen of a value, F
numbers seen of the past.
"""

import math
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from gan.series.codec import SeriesCodec
from gan.series.columns.clock import SIZES
from gan.series.columns.relations import History, history_of, next_history
from gan.series.columns.variables import MISSING, Coder
from gan.tables.networks.masked import Basis

VECTOR: Final = 8
"""Length of the vector of a code."""
SEEN: Final = 4
"""Numbers seen of a value beside its vector: score, change of score, missing, same as before."""
REMEMBERED: Final = 5
"""Numbers remembered of a variable: mean score and the first one, how far the score before the last
change is from the last and whether there was one, steps since then; two for each season, and two of
a running sum."""
POSITIONS: Final = 4
"""Numbers that say where in a series a step is, beside waves."""
WAVES: Final = 16
"""Waves over the longest series that say where a step is, as far as steps show them (Vaswani et
al., "Attention is all you need", 2017, section 3.5)."""
NEARNESS: Final = 4.0
"""Differences of scores are multiplied by this where small ones matter."""
LONG: Final = 5.0
"""Logarithms of steps are divided by this."""


class Observation(NamedTuple):
    """All variables at some steps, as networks see them; last axis D."""

    units: Tensor
    present: Tensor
    codes: Tensor
    """Own codes."""
    scores: Tensor
    same: Tensor
    """Whether the value is the last one."""


class Memory(NamedTuple):
    """What is known before a step; last axis D."""

    history: History
    scores: Tensor
    """Of the last value, 0 where there is none."""
    back: Tensor
    """Score of the value before the last change."""
    total: Tensor
    """Sum of the scores so far."""
    known: Tensor
    """How many there were."""
    since: Tensor
    """Steps since the last change, or since the start."""
    first: Tensor
    """Score of the first value."""


class StepInputs(nn.Module):
    """Turns values, moments and what is known of an entity into numbers."""

    first_D: Tensor
    """The first own code of each variable, counted over all."""

    def __init__(self, codec: SeriesCodec, context: int) -> None:
        super().__init__()
        self.clock, self.width = codec.clock, codec.width
        self.seasons = tuple(each for each in codec.clock.seasons if each < codec.width)
        self.coded = nn.ModuleList(Coder(each, i) for i, each in enumerate(codec.variables))
        owns = [each.own for each in codec.variables]
        sizes = [torch.from_numpy(each.first_cells).diff() == 1 for each in owns]
        self.basis = Basis([tuple(each.tolist()) for each in sizes], [o.is_smooth for o in owns])
        counts = torch.tensor([each.codes for each in owns])
        self.register_buffer("first_D", counts.cumsum(0) - counts, persistent=False)
        self.vectors_BE = nn.Parameter(torch.empty(self.basis.rows, VECTOR))
        kinds = [SIZES[name] for name in codec.clock.calendar]
        self.calendar = nn.ParameterList(torch.empty(size, context) for size in kinds)
        self.waves = min(WAVES, codec.width // 2)
        self.position_FS = nn.Parameter(torch.empty(POSITIONS + 2 * self.waves, context))
        self.variables = len(owns)
        self.addends = [each.addend for each in codec.variables]
        self.lags = max(each.lags for each in codec.variables)
        self.stores = _stores(codec)
        self.trend_S = nn.Parameter(torch.empty(context))
        names = [each.name for each in codec.variables]
        self.gap = names.index(codec.names[2]) if codec.names[2] in names else None
        self.base, self.span = codec.base, max(codec.latest + codec.width, 1)

    @property
    def coders(self) -> list[Coder]:
        """What codes each variable."""
        return [cast("Coder", each) for each in self.coded]

    @property
    def per_value(self) -> int:
        """Numbers seen of one value, P."""
        return SEEN + VECTOR

    @property
    def per_past(self) -> int:
        """Numbers seen of the past of all variables, F."""
        sums = sum(each is not None for each in self.addends)
        each = self.per_value + REMEMBERED + 2 * len(self.seasons)
        return self.variables * each + 2 * sums

    @torch.no_grad()
    def draw(self, stream: torch.Generator) -> None:
        """Draw the weights in place."""
        self.vectors_BE.normal_(std=0.3, generator=stream)
        for table in self.calendar:
            table.normal_(std=0.3, generator=stream)
        self.position_FS.normal_(std=0.5, generator=stream)
        self.position_FS[POSITIONS:] *= 0.3
        self.trend_S.zero_()

    def vectors(self) -> Tensor:
        """Return the vector of every own code of all variables."""
        return self.basis.expand(self.vectors_BE)

    def moments(self, start_N: Tensor, units_NLD: Tensor, within_NL: Tensor) -> Tensor:
        """Return where every step lies, counted as `start_N`, int64 (N, L)."""
        if self.gap is None:
            places = torch.arange(units_NLD.shape[1], device=start_N.device)
            return start_N[:, None] + places
        gaps_NL = (units_NLD[..., self.gap] * within_NL).long()
        gaps_NL[:, 0] = 0
        return start_N[:, None] + gaps_NL.cumsum(1)

    def place(self, place_NL: Tensor, lengths_N: Tensor) -> Tensor:
        """Return what the context says of the places of steps in their series, (N, L, S)."""
        left_NL = (lengths_N[:, None] - 1 - place_NL).clamp(min=0)
        numbers = [
            place_NL.float().log1p() / LONG,
            1 / (1 + left_NL.float()),
            place_NL / self.width,
            (place_NL == 0).float(),
        ]
        turns = torch.arange(1, self.waves + 1, device=place_NL.device) * (2 * math.pi / self.width)
        angles = place_NL[..., None] * turns
        plain = torch.stack(numbers, dim=-1).float()
        return torch.cat([plain, angles.sin(), angles.cos()], dim=-1) @ self.position_FS

    def moment(self, index_NL: Tensor) -> Tensor:
        """Return what the context says of moments, (N, L, S)."""
        share_NL = (index_NL / self.span - 0.5).float()
        found = share_NL[..., None] * self.trend_S
        for table, kind in zip(
            self.calendar, self.clock.calendar_of(index_NL + self.base), strict=True
        ):
            found = found + table[kind]
        return found

    def observe(self, units: Tensor, present: Tensor, history: History) -> Observation:
        """Return what networks see of values; last axis D."""
        codes, scores = zip(*(c.find(units[..., c.index]) for c in self.coders), strict=True)
        same = present & history.has_last & (units == history.last)
        scored = torch.stack(scores, dim=-1) * present
        return Observation(units, present, torch.stack(codes, dim=-1), scored, same)

    def see(self, seen: Observation, before: Tensor, vectors_KE: Tensor) -> Tensor:
        """Return the numbers seen of values, (..., D, P).

        Args:
            seen: the values.
            before: scores of the last values.
            vectors_KE: of `vectors`.
        """
        numbers = [seen.scores, seen.scores - before, (~seen.present).float(), seen.same.float()]
        vectors = vectors_KE[(seen.codes + self.first_D)]
        return torch.cat([torch.stack(numbers, dim=-1), vectors], dim=-1)

    def limited(self, index: int, units_N: Tensor, history: History) -> Tensor:
        """Return the units of a variable, no more than there is to take."""
        for store in self.stores.get(index, ()):
            left_N = history.last[:, store] - self.coders[store].shown[0]
            left_N = torch.maximum(left_N, self.coders[index].shown[0])
            over_N = history.has_last[:, store] & (units_N > left_N)
            units_N = torch.where(over_N, left_N, units_N)
        return units_N

    def observe_one(
        self, coder: Coder, units_N: Tensor, history: History
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return whether one variable's values are there, their codes and scores, if the same."""
        codes_N, scores_N = coder.find(units_N)
        present_N = units_N != MISSING
        last_N, known_N = history.last[:, coder.index], history.has_last[:, coder.index]
        return present_N, codes_N, scores_N * present_N, present_N & known_N & (units_N == last_N)

    def see_one(
        self,
        index: int,
        seen: tuple[Tensor, Tensor, Tensor, Tensor],
        before_ND: Tensor,
        vectors_KE: Tensor,
    ) -> Tensor:
        """Return the numbers seen of one variable's values, (N, P); see `see`."""
        present_N, codes_N, scores_N, same_N = seen
        change_N = scores_N - before_ND[:, index]
        numbers = [scores_N, change_N, (~present_N).float(), same_N.float()]
        vectors_NE = vectors_KE[codes_N + self.first_D[index]]
        return torch.cat([torch.stack(numbers, dim=1), vectors_NE], dim=1)

    def remember(self, memory: Memory, seasonal: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the numbers of what is remembered of all variables, (..., numbers)."""
        numbers = [
            memory.total / memory.known.clamp(min=1),
            memory.first,
            (NEARNESS * (memory.back - memory.scores)).tanh() * memory.history.has_back,
            memory.history.has_back.float(),
            memory.since.log1p() / LONG,
        ]
        for scores, known in seasonal:
            numbers += [scores, known]
        found = torch.stack(numbers, dim=-1).flatten(-2)
        return torch.cat([found, *self._lots(memory.history)], dim=-1)

    def _lots(self, history: History) -> list[Tensor]:
        """Return of every running sum the score of what was last added, and whether it was."""
        found = []
        for coder, addend in zip(self.coders, self.addends, strict=True):
            if addend is not None:
                known = history.has_lot[..., coder.index].float()
                _, scores = coder.find(history.lot[..., coder.index])
                found.append(torch.stack([scores * known, known], dim=-1))
        return found

    def remember_all(self, seen: Observation, history: History) -> Memory:
        """Return what is known before every step, (N, L, D)."""
        scores = _shifted(_carried(seen.scores, seen.present))
        changes = seen.present & history.has_last & ~seen.same
        steps = torch.arange(seen.units.shape[1], device=scores.device)[None, :, None]
        newest = _shifted(torch.where(changes, steps, -1).cummax(1).values, -1)
        back = scores.gather(1, newest.clamp(min=0)) * (newest >= 0)
        opening = seen.present.int().argmax(1, keepdim=True)
        first = seen.scores.gather(1, opening) * history.has_last
        return Memory(
            history,
            scores,
            back,
            _shifted(seen.scores.cumsum(1)),
            _shifted(seen.present.float().cumsum(1)),
            (steps - newest.clamp(min=0)).float(),
            first,
        )

    def advance(self, memory: Memory, seen: Observation) -> Memory:
        """Return what is known after one more step, (N, D)."""
        history = memory.history
        changed = seen.present & history.has_last & ~seen.same
        return Memory(
            next_history(history, seen.units, seen.present, self.addends),
            torch.where(seen.present, seen.scores, memory.scores),
            torch.where(changed, memory.scores, memory.back),
            memory.total + seen.scores,
            memory.known + seen.present,
            torch.where(changed, 1.0, memory.since + 1),
            torch.where(history.has_last, memory.first, seen.scores),
        )

    def start(self, rows: int) -> Memory:
        """Return what is known before the first step: nothing."""
        zeros = torch.zeros(rows, self.variables, device=self.first_D.device)
        none, units = zeros.bool(), zeros.double()
        recent = units[..., None].expand(-1, -1, self.lags)
        history = History(units, none, units, none, units, none, units, recent)
        return Memory(history, zeros, zeros, zeros, zeros, zeros, zeros)

    def seasonal(self, seen: Observation) -> list[tuple[Tensor, Tensor]]:
        """Return scores of a season ago, and whether there was a value then, (N, L, D)."""
        present = seen.present.float()
        return [(_shifted(seen.scores, 0.0, by), _shifted(present, 0.0, by)) for by in self.seasons]


def observed(
    inputs: StepInputs, units_NLD: Tensor, within_NL: Tensor
) -> tuple[Observation, Memory]:
    """Return what networks see of whole series, and what is known before every step."""
    present_NLD = (units_NLD != MISSING) & within_NL[..., None]
    history = history_of(units_NLD, present_NLD, inputs.addends, inputs.lags)
    seen = inputs.observe(units_NLD, present_NLD, history)
    return seen, inputs.remember_all(seen, history)


def _stores(codec: SeriesCodec) -> dict[int, list[int]]:
    """Return of each variable those that it is taken from, such as a stock; these never grow so."""
    found: dict[int, list[int]] = {}
    for index, variable in enumerate(codec.variables):
        addend = variable.addend
        if addend is not None and addend.sign < 0 and not addend.lagged and variable.only_grows:
            found.setdefault(addend.variable, []).append(index)
    return found


def _shifted(values: Tensor, fill: float = 0.0, by: int = 1) -> Tensor:
    """Return values of so many steps before, (N, L, D)."""
    if by >= values.shape[1]:
        return torch.full_like(values, fill)
    start = torch.full_like(values[:, :by], fill)
    return torch.cat([start, values[:, :-by]], dim=1)


def _carried(values: Tensor, present: Tensor) -> Tensor:
    """Return the newest value that was not missing, up to each step; 0 before the first."""
    steps = torch.arange(values.shape[1], device=values.device)[None, :, None]
    newest = torch.where(present, steps, -1).cummax(1).values
    return values.gather(1, newest.clamp(min=0)) * (newest >= 0)
