"""Sampling of series: one pass per step, all entities at once.

Shapes: N entities, L steps, D variables, E columns of the whole entity, H units of the backbone, U
units of a variable, I inputs of a step, P numbers seen of a value, K codes of one variable.
"""

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gan.series.networks.randoms import uniform_numbers
from gan.series.networks.step_network import StepNetwork, StepWeights
from gan.series.networks.steps import Memory, Observation, StepInputs
from gan.tables.networks.masked_sampling import invert

AHEAD: Final = 64
"""Steps whose context and random numbers are computed at once."""


class GivenSteps(NamedTuple):
    """What is not drawn but given: values of some steps, and how long entities are."""

    lengths_N: Tensor
    start_N: Tensor
    units_NLD: Tensor
    is_given_NLD: Tensor


@torch.no_grad()
def draw_steps(
    network: StepNetwork, packed_NE: Tensor, seeds_N: Tensor, given: GivenSteps | None = None
) -> Tensor:
    """Return rows of entities whose columns are known, step after step.

    Args:
        network: of the series.
        packed_NE: code + position of the columns of the whole entity.
        seeds_N: of the entities' own randoms.
        given: values that are not drawn; None where all are.
    """
    codec, inputs, weights = network.codec, network.inputs, network.weights()
    device, N = packed_NE.device, len(packed_NE)
    if given is None:
        span = codec.spans(codec.whole.to_values(packed_NE))
        lengths_N, start_N = (torch.from_numpy(np.asarray(e)).to(device).long() for e in span)
    else:
        lengths_N, start_N = given.lengths_N, given.start_N
    ahead = _Ahead(network, network.statics(packed_NE.floor().long()), lengths_N, start_N, seeds_N)
    units_NLD = torch.zeros(N, codec.width, inputs.variables, dtype=torch.float64, device=device)
    seasons, memory = _Seasons(inputs, N, device), inputs.start(N)
    before_NDP = torch.zeros(N, inputs.variables, inputs.per_value, device=device)
    sums, moment_N = network.backbone.start(N), start_N
    for step in range(int(lengths_N.max())):
        context_NS, uniform_ND = ahead.at(step, moment_N)
        remembered = inputs.remember(memory, seasons.at(step))
        past_NI = torch.cat([before_NDP.flatten(1), remembered, context_NS], dim=1)
        state_NH, sums = network.backbone.one(past_NI, sums, step)
        both_NI = torch.cat([state_NH, past_NI], dim=1)
        fixed = None if given is None else (given.units_NLD[:, step], given.is_given_NLD[:, step])
        now = _Now(both_NI, memory, moment_N, uniform_ND, fixed, step)
        seen, before_NDP, moment_N = _draw_step(network, now, weights)
        units_NLD[:, step] = seen.units
        seasons.keep(seen)
        memory = inputs.advance(memory, seen)
    units_NLD *= torch.arange(codec.width, device=device)[:, None] < lengths_N[:, None, None]
    spans_N2 = torch.stack([lengths_N, start_N], dim=1).double()
    return torch.cat([spans_N2, packed_NE, units_NLD.flatten(1)], dim=1)


class _Now(NamedTuple):
    """All that one step follows from."""

    past_NI: Tensor
    """The state of the backbone, and its inputs."""
    memory: Memory
    moment_N: Tensor
    uniform_ND: Tensor
    fixed: tuple[Tensor, Tensor] | None
    """Given units, and where there are any, (N, D)."""
    step: int


def _draw_step(
    network: StepNetwork, now: _Now, weights: StepWeights
) -> tuple[Observation, Tensor, Tensor]:
    """Return one step: what was drawn, as networks see it, and its moment."""
    inputs, U, past_NI, memory = network.inputs, network.units, now.past_NI, now.memory
    N, P, D, moment_N = len(past_NI), inputs.per_value, inputs.variables, now.moment_N
    units_NU = past_NI @ network.past_HU + network.unit_bias_U
    units_ND = torch.zeros(N, D, dtype=torch.float64, device=past_NI.device)
    codes_ND = torch.zeros(N, D, dtype=torch.int64, device=past_NI.device)
    scores_ND, same_ND = units_ND.float(), codes_ND.bool()
    present_ND, values_NDP = codes_ND.bool(), past_NI.new_zeros(N, D, P)
    outputs = weights.outputs_KU.split(network.counts)
    biases = weights.bias_K.split(network.counts)
    for index, coder in enumerate(inputs.coders):
        own = slice(index * U, (index + 1) * U)
        inner_NU = units_NU[:, own]
        if index:
            inner_NU = inner_NU + (
                values_NDP[:, :index].flatten(1) @ weights.inner_PU[: index * P, own]
            )
        if inputs.gap is not None and index > inputs.gap:
            inner_NU = inner_NU + inputs.moment(moment_N[:, None])[:, 0] @ network.moment_SU[:, own]
        reached = coder.reach(memory.history, units_ND, present_ND)
        by_past = network.by_past(coder, reached, memory.history, memory.since, own)
        inner_NU = functional.relu(inner_NU + by_past)
        logits_NK = inner_NU @ outputs[index].T + biases[index]
        logs_NK = coder.combine(logits_NK, network.kinds(index, inner_NU), reached)
        codes_N, position_N = invert(logs_NK, now.uniform_ND[:, index])
        drawn_N = inputs.limited(index, coder.decode(codes_N, position_N, reached), memory.history)
        if index == inputs.gap:
            drawn_N = drawn_N.clamp(min=1)
        if now.fixed is not None:
            drawn_N = torch.where(now.fixed[1][:, index], now.fixed[0][:, index], drawn_N)
        if index == inputs.gap and now.step:
            moment_N = moment_N + drawn_N.long()
        units_ND[:, index] = drawn_N
        seen = inputs.observe_one(coder, drawn_N, memory.history)
        for target, value in zip((present_ND, codes_ND, scores_ND, same_ND), seen, strict=True):
            target[:, index] = value
        values_NDP[:, index] = inputs.see_one(index, seen, memory.scores, weights.vectors_KE)
    found = Observation(units_ND, present_ND, codes_ND, scores_ND, same_ND)
    return found, values_NDP, moment_N


class _Ahead:
    """What follows from no value that is drawn, computed for several steps at once."""

    def __init__(
        self,
        network: StepNetwork,
        statics_NS: Tensor,
        lengths_N: Tensor,
        start_N: Tensor,
        seeds_N: Tensor,
    ) -> None:
        self.network, self.inputs = network, network.inputs
        self.statics_NS, self.lengths_N = statics_NS, lengths_N
        self.start_N, self.seeds_N = start_N, seeds_N
        self.variables_D = torch.arange(self.inputs.variables, device=seeds_N.device)

    def at(self, step: int, moment_N: Tensor) -> tuple[Tensor, Tensor]:
        """Return the context of a step, and the uniform numbers of all variables.

        Args:
            step: one more than at the last call.
            moment_N: of the step before where gaps are drawn.
        """
        inside = step % AHEAD
        if not inside:
            self._compute(torch.arange(step, step + AHEAD, device=self.seeds_N.device))
        if self.inputs.gap is None:
            return self.context_NLS[:, inside], self.uniform_NLD[:, inside]
        moment_NS = self.inputs.moment(moment_N[:, None])[:, 0]
        context_NS = self.network.context(self.statics_NS, self.place_NLS[:, inside], moment_NS)
        return context_NS, self.uniform_NLD[:, inside]

    def _compute(self, steps_L: Tensor) -> None:
        """Compute so many steps."""
        seeds_N11 = self.seeds_N[:, None, None]
        self.uniform_NLD = uniform_numbers(seeds_N11, steps_L[:, None], self.variables_D)
        places_NL = steps_L.expand(len(self.seeds_N), -1)
        self.place_NLS = self.inputs.place(places_NL, self.lengths_N)
        if self.inputs.gap is None:
            moment_NLS = self.inputs.moment(self.start_N[:, None] + steps_L)
            statics_N1S = self.statics_NS[:, None]
            self.context_NLS = self.network.context(statics_N1S, self.place_NLS, moment_NLS)


class _Seasons:
    """Scores of the last steps, as far back as the longest season."""

    def __init__(self, inputs: StepInputs, rows: int, device: torch.device) -> None:
        self.seasons, self.longest = inputs.seasons, max(inputs.seasons, default=0)
        self.kept: list[tuple[Tensor, Tensor]] = []
        self.nothing = torch.zeros(rows, inputs.variables, device=device)

    def at(self, step: int) -> list[tuple[Tensor, Tensor]]:
        """Return scores of a season ago, and whether there was a value then."""
        none = self.nothing, self.nothing
        return [self.kept[-by] if step >= by else none for by in self.seasons]

    def keep(self, seen: Observation) -> None:
        """Remember one more step."""
        if self.longest:
            self.kept = [*self.kept, (seen.scores, seen.present.float())][-self.longest :]
