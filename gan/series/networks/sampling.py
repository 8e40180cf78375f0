"""Sampling of series: one pass per step, all entities at once.

Shapes: N entities, L steps, D variables, E columns of the whole entity, H units of the backbone, U
units of a variable, I inputs of a step, P numbers seen of a value, K codes of one variable.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gan.series.networks.randoms import uniform_numbers
from gan.series.networks.step_network import StepNetwork, StepWeights
from gan.series.networks.steps import Memory, Observation, StepInputs
from gan.tables.networks.masked_conditional import invert


@torch.no_grad()
def draw_steps(network: StepNetwork, packed_NE: Tensor, seeds_N: Tensor) -> Tensor:
    """Return rows of entities whose columns are known, step after step.

    Args:
        network: of the series.
        packed_NE: code + position of the columns of the whole entity.
        seeds_N: of the entities' own randoms.
    """
    codec, inputs, weights = network.codec, network.inputs, network.weights()
    device, N = packed_NE.device, len(packed_NE)
    span = codec.spans(codec.whole.to_values(packed_NE))
    lengths_N, start_N = (torch.from_numpy(np.asarray(e)).to(device).long() for e in span)
    statics_NS = network.statics(packed_NE.floor().long())
    units_NLD = torch.zeros(N, codec.width, inputs.variables, dtype=torch.float64, device=device)
    seasons = _Seasons(inputs, N, device)
    memory, before = (
        inputs.start(N),
        torch.zeros(N, inputs.variables, inputs.per_value, device=device),
    )
    sums = network.backbone.start(N)
    moment_N = start_N
    for step in range(int(lengths_N.max())):
        place_N1 = torch.full((N, 1), step, device=device)
        now_N = moment_N if inputs.gap is not None else start_N + step
        context = network.context(
            statics_NS,
            inputs.place(place_N1, lengths_N)[:, 0],
            inputs.moment(now_N[:, None])[:, 0],
        )
        remembered = inputs.remember(memory, seasons.at(step))
        past_NI = torch.cat([before.flatten(1), remembered, context], dim=1)
        state_NH, sums = network.backbone.one(past_NI, sums, step)
        seen, before, moment_N = _draw_step(
            network, past_NI, state_NH, memory, moment_N, (seeds_N, step), weights
        )
        units_NLD[:, step] = seen.units
        seasons.keep(seen)
        memory = inputs.advance(memory, seen)
    units_NLD *= torch.arange(codec.width, device=device)[:, None] < lengths_N[:, None, None]
    spans_N2 = torch.stack([lengths_N, start_N], dim=1).double()
    return torch.cat([spans_N2, packed_NE, units_NLD.flatten(1)], dim=1)


def _draw_step(  # noqa: PLR0913 - all that a step needs
    network: StepNetwork,
    past_NI: Tensor,
    state_NH: Tensor,
    memory: Memory,
    moment_N: Tensor,
    randoms: tuple[Tensor, int],
    weights: StepWeights,
) -> tuple[Observation, Tensor, Tensor]:
    """Return one step: what was drawn, as networks see it, and its moment."""
    inputs, U, N = network.inputs, network.units, len(past_NI)
    P, D = inputs.per_value, inputs.variables
    units_NU = torch.cat([state_NH, past_NI], dim=1) @ network.past_HU + network.unit_bias_U
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
        inner_NU = inner_NU + network.by_reference(coder, reached, own)
        inner_NU = functional.relu(inner_NU)
        logits_NK = inner_NU @ outputs[index].T + biases[index]
        logs_NK = coder.combine(logits_NK, network.kinds(index, inner_NU), reached)
        uniform_N = uniform_numbers(*randoms, index)
        codes_N, position_N = invert(logs_NK, uniform_N)
        drawn_N = coder.decode(codes_N, position_N, reached)
        units_ND[:, index] = inputs.limited(index, drawn_N, memory.history)
        if index == inputs.gap:
            units_ND[:, index] = units_ND[:, index].clamp(min=1)
            if randoms[1]:
                moment_N = moment_N + units_ND[:, index].long()
        seen = inputs.observe_one(coder, units_ND[:, index], memory.history)
        for target, value in zip((present_ND, codes_ND, scores_ND, same_ND), seen, strict=True):
            target[:, index] = value
        values_NDP[:, index] = inputs.see_one(index, seen, memory.scores, weights.vectors_KE)
    found = Observation(units_ND, present_ND, codes_ND, scores_ND, same_ND)
    return found, values_NDP, moment_N


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
