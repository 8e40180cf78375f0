"""Series step after step, and inside a step variable after variable, by likelihood.

p(series) = p(statics, length, start) Π_t Π_d p(x_td | x_t1 … x_t,d-1, all steps before, statics).

The first factor is a masked network on the columns of the whole entity (`gan.tables.networks`),
which also takes conditions on them. The past is summed up by layers of moving averages
(`backbone`); inside a step the variables have units of their own, which see the ones before
them in the step (Uria et al., "Neural autoregressive distribution estimation", 2016, section 3).
Codes that have no meaning at a step, such as "the same" at the first one, have probability zero.

Long series are trained on windows: the past of a window counts through what is remembered of it
(`steps`) and through the steps before the window that warm the recurrent unit up, whose gradients
end there (truncated backpropagation: Williams and Peng, "An efficient gradient-based algorithm for
on-line training of recurrent network trajectories", 1990).

Shapes: N entities, L steps, D variables, E columns of the whole entity, H units of the recurrent
network, U units of a variable, S numbers of the context, I inputs of a step, M steps of all entities
that count, K codes of one variable, Z = E + 1 numbers of a latent.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.protocols import Draw, Generator
from gan.series.codec import SeriesCodec
from gan.series.columns.variables import Coder, Reached
from gan.series.networks.backbone import Backbone
from gan.series.networks.randoms import uniform_numbers
from gan.series.networks.steps import Memory, Observation, StepInputs, observed
from gan.series.networks.whole import LARGEST_SEED, Series, build_whole, take_apart
from gan.tables.networks.masked import BIAS_SCALE, Basis
from gan.tables.networks.masked_conditional import invert

CONTEXT: Final = 32
"""Numbers that say of a step when it is and of whom."""


LEAST_SHARE: Final = 1e-4
"""A code that no step has is drawn so often before the first step of training."""


LEAST_LOG: Final = -30.0
"""Of a code that should be impossible: a value beyond what is shown, where its neighbour is."""


class Window(NamedTuple):
    """Which steps of each entity a training step looks at."""

    place_NL: Tensor
    counted_NL: Tensor
    """Whether a step's likelihood counts."""
    weight_N: Tensor
    """Steps of the series for each that counts."""


class StepWeights(NamedTuple):
    """The weights of all variables, as products use them."""

    vectors_KE: Tensor
    inner_PU: Tensor
    """What units see of the variables before their own."""
    outputs_KU: Tensor
    bias_K: Tensor


class SeriesAutoregressive(Generator):
    """Series from uniform numbers, by the inverse of each distribution function."""

    has_likelihood = True

    inner_mask: Tensor
    after_gap: Tensor

    def __init__(self, config: ResolvedConfig, codec: SeriesCodec) -> None:
        super().__init__()
        network, self.codec = config.network, codec
        self.whole = build_whole(config, codec)
        self.inputs = StepInputs(codec, CONTEXT)
        D, P = self.inputs.variables, self.inputs.per_value
        H, U = int(network["width"]), int(network["units"])
        self.units, self.dropout = U, float(network["dropout"])
        self.window, self.warm_up = int(network["window"]), int(network["warm_up"])
        self.statics_BS = nn.Parameter(torch.empty(self.whole.basis.rows, CONTEXT))
        past = self.inputs.per_past + 2 * CONTEXT
        self.backbone = Backbone(past, H, int(network["depth"]))
        self.past_HU = nn.Parameter(torch.empty(H + past, D * U))
        self.unit_bias_U = nn.Parameter(torch.empty(D * U))
        self.inner_PU = nn.Parameter(torch.empty(D * P, D * U))
        self.moment_SU = nn.Parameter(torch.empty(CONTEXT, D * U))
        self.sums_U = nn.Parameter(torch.empty(D * U))
        blocks = [_blocks(each) for each in self.inputs.coders]
        self.basis = Basis(
            [single for each in blocks for single, _ in each],
            [smooth for each in blocks for _, smooth in each],
        )
        self.counts = tuple(coder.codes for coder in self.inputs.coders)
        self.outputs_BU = nn.Parameter(torch.empty(self.basis.rows, U))
        self.bias_K = nn.Parameter(torch.empty(sum(self.counts)))
        kinds = [len(coder.blocks) for coder in self.inputs.coders]
        self.kinds_WU = nn.ParameterList(torch.empty(each, U) for each in kinds)
        self.kind_bias_W = nn.ParameterList(torch.empty(each) for each in kinds)
        order = torch.arange(D)
        earlier = (order[:, None] < order[None, :]).float()
        mask = earlier.repeat_interleave(P, 0).repeat_interleave(U, 1)
        self.register_buffer("inner_mask", mask, persistent=False)
        gap = -1 if self.inputs.gap is None else self.inputs.gap
        after = (order > gap).float() * (self.inputs.gap is not None)
        self.register_buffer("after_gap", after.repeat_interleave(U), persistent=False)

    @torch.no_grad()
    def draw(self, stream: torch.Generator) -> None:
        """Draw the weights in place; at first all codes are alike."""
        self.whole.draw(stream)
        self.inputs.draw(stream)
        self.statics_BS.normal_(std=0.3, generator=stream)
        self.backbone.draw(stream)
        self.past_HU.normal_(std=len(self.past_HU) ** -0.5, generator=stream)
        self.inner_PU.normal_(std=len(self.inner_PU) ** -0.5, generator=stream)
        self.moment_SU.normal_(std=len(self.moment_SU) ** -0.5, generator=stream)
        for each in (self.unit_bias_U, self.outputs_BU, self.bias_K, self.sums_U):
            each.zero_()
        for index, coder in enumerate(self.inputs.coders):
            shares_K = torch.tensor(coder.variable.used).clamp(min=LEAST_SHARE)
            blocks = shares_K.split(coder.blocks)
            self.kinds_WU[index].zero_()
            kinds_W = torch.stack([block.sum() for block in blocks])
            self.kind_bias_W[index].copy_(kinds_W.log() / BIAS_SCALE)
            first = sum(self.counts[:index])
            shares_K = torch.cat([block / block.sum() for block in blocks])
            self.bias_K[first : first + len(shares_K)].copy_(shares_K.log() / BIAS_SCALE)

    def weights(self) -> StepWeights:
        """Return the weights as products use them."""
        return StepWeights(
            self.inputs.vectors(),
            self.inner_PU * self.inner_mask,
            self.basis.expand(self.outputs_BU),
            self.bias_K * BIAS_SCALE,
        )

    def statics(self, codes_NE: Tensor) -> Tensor:
        """Return what the context says of entities, (N, S)."""
        codes_ND = codes_NE[:, self.whole.order_D] + self.whole.first_D
        vectors_KS = self.whole.basis.expand(self.statics_BS)
        return functional.embedding_bag(codes_ND, vectors_KS, mode="sum")

    @staticmethod
    def context(statics: Tensor, place: Tensor, moment: Tensor) -> Tensor:
        """Return what is known of steps: of whom, where, when, and when for whom; 2 S numbers."""
        return torch.cat([statics + place + moment, statics * moment], dim=-1)

    def loss(
        self,
        samples: Tensor,
        labels_N: Tensor,
        stream: torch.Generator,
    ) -> Tensor:
        """Return the mean nats per entity of a batch; of long series those of a window.

        Args:
            samples: rows with codes, float64 (N, V).
            labels_N: classes, not read.
            stream: of this step, on the processor.
        """
        series = take_apart(samples, self.codec)
        whole = self.whole.loss(series.codes_NE, labels_N, stream)
        window = self._window(series, stream)
        nats_M, rows_M = self._nats(series, window, stream)
        return whole + (nats_M * window.weight_N[rows_M]).sum() / len(samples)

    def _window(self, series: Series, stream: torch.Generator | None) -> Window:
        """Return the steps that are looked at: all of series that are no longer than a window."""
        lengths_N, longest = series.lengths_N, int(series.lengths_N.max())
        size = self.window + self.warm_up
        device = lengths_N.device
        if stream is None or longest <= size:
            place_NL = torch.arange(longest, device=device).expand(len(lengths_N), -1)
            counted_NL = place_NL < lengths_N[:, None]
            return Window(place_NL, counted_NL, torch.ones(len(lengths_N), device=device))
        share_N = torch.rand(len(lengths_N), generator=stream).to(device)
        first_N = (share_N * (lengths_N - self.window + 1).clamp(min=1)).long()
        begin_N = (first_N - self.warm_up).clamp(min=0)
        place_NL = begin_N[:, None] + torch.arange(size, device=device)
        counted_NL = (place_NL >= first_N[:, None]) & (place_NL < lengths_N[:, None])
        counted_NL &= place_NL < (first_N + self.window)[:, None]
        weight_N = lengths_N / counted_NL.sum(1)
        return Window(place_NL.clamp(max=longest - 1), counted_NL, weight_N.float())

    def _nats(
        self, series: Series, window: Window, stream: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Return -log p of the steps that count, and their entities, (M,)."""
        inputs, weights = self.inputs, self.weights()
        longest = int(series.lengths_N.max())
        units_NLD, within_NL = series.units_NLD[:, :longest], series.within_NL[:, :longest]
        seen, memory = observed(inputs, units_NLD, within_NL)
        index_NL = inputs.moments(series.start_N, units_NLD, within_NL)
        seen, memory, index_NL, past_NLI, values_NLDP = self._inputs(
            series, window, seen, memory, index_NL, weights
        )
        states_NLH = self.backbone(past_NLI)
        states_NLH = self._drop(states_NLH, stream)
        chosen = window.counted_NL
        both_MI = torch.cat([states_NLH[chosen], past_NLI[chosen]], dim=1)
        units_MU = both_MI @ self.past_HU + self.unit_bias_U
        units_MU = units_MU + values_NLDP[chosen].flatten(1) @ weights.inner_PU
        if inputs.gap is not None:
            units_MU = units_MU + inputs.moment(index_NL[chosen]) @ self.moment_SU * self.after_gap
        nats_M = self._cost(seen, memory, chosen, units_MU, weights, stream)
        return nats_M, chosen.nonzero()[:, 0]

    def _inputs(
        self,
        series: Series,
        window: Window,
        seen: Observation,
        memory: Memory,
        index_NL: Tensor,
        weights: StepWeights,
    ) -> tuple[Observation, Memory, Tensor, Tensor, Tensor]:
        """Return all that is known at the steps of a window, and as inputs."""
        inputs = self.inputs
        values_NLDP = inputs.see(seen, memory.scores, weights.vectors_KE)
        before_NLDP = torch.cat(
            [torch.zeros_like(values_NLDP[:, :1]), values_NLDP[:, :-1]], dim=1
        )
        remembered = inputs.remember(memory, inputs.seasonal(seen))
        moments_NL = index_NL
        if inputs.gap is not None:
            moments_NL = torch.cat([index_NL[:, :1], index_NL[:, :-1]], dim=1)
        place = window.place_NL
        rows = torch.arange(len(place), device=place.device)[:, None]
        at = rows, place
        context = self.context(
            self.statics(series.codes_NE)[:, None],
            inputs.place(place, series.lengths_N),
            inputs.moment(moments_NL[at]),
        )
        past = torch.cat(
            [before_NLDP[at].flatten(2), remembered[at].flatten(2), context], dim=2
        )
        seen = Observation(*(each[at] for each in seen))
        history = type(memory.history)(*(each[at] for each in memory.history))
        memory = Memory(history, *(each[at] for each in memory[1:]))
        return seen, memory, index_NL[at], past, values_NLDP[at]

    def _cost(
        self,
        seen: Observation,
        memory: Memory,
        chosen: Tensor,
        units_MU: Tensor,
        weights: StepWeights,
        stream: torch.Generator | None,
    ) -> Tensor:
        """Return -log p of all variables of the steps that count, (M,)."""
        history = type(memory.history)(*(each[chosen] for each in memory.history))
        units, present = seen.units[chosen], seen.present[chosen]
        own_codes = seen.codes[chosen]
        total_M = units_MU.new_zeros(len(units_MU))
        outputs = weights.outputs_KU.split(self.counts)
        biases = weights.bias_K.split(self.counts)
        for index, coder in enumerate(self.inputs.coders):
            reached = coder.reach(history, units, present)
            codes_M = coder.encode(units[:, index], own_codes[:, index], reached)
            own = slice(index * self.units, (index + 1) * self.units)
            own_MU = units_MU[:, own] + self._by_sum(coder, reached, own)
            own_MU = self._drop(functional.relu(own_MU), stream)
            logits_MK = own_MU @ outputs[index].T + biases[index]
            logs_MK = coder.combine(logits_MK, self._kinds(index, own_MU), reached)
            cost_M = functional.nll_loss(logs_MK.clamp(min=LEAST_LOG), codes_M, reduction="none")
            if index == self.inputs.gap:
                cost_M = cost_M * memory.history.has_last[chosen][:, index]
            total_M = total_M + cost_M
        return total_M

    def _kinds(self, index: int, units_MU: Tensor) -> Tensor:
        """Return the logits of a variable's own codes together and of each of its relations."""
        return units_MU @ self.kinds_WU[index].T + self.kind_bias_W[index] * BIAS_SCALE

    def _by_sum(self, coder: Coder, reached: Reached, own: slice) -> Tensor | float:
        """Return what units see of the running sum that a value may follow from."""
        for relation, reference, known in zip(coder.variable.relations, *reached, strict=True):
            if relation.addend is not None and relation.is_equal:
                _, scores = coder.find(torch.where(known, reference, coder.shown[0]))
                return (scores * known)[:, None] * self.sums_U[own]
        return 0.0

    def _drop(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        """Leave out some numbers in training."""
        if stream is None or not self.dropout:
            return values
        least = round(256 * self.dropout)
        draws = torch.randint(256, values.shape, generator=stream, dtype=torch.uint8)
        return values * ((draws.to(values.device) >= least) * (256 / (256 - least)))

    @torch.no_grad()
    def log_likelihood(self, samples: Tensor) -> Tensor:
        """Return the log likelihood of codes in nats, under no condition, float64 (N,)."""
        series = take_apart(samples, self.codec)
        window = self._window(series, None)
        nats_M, rows_M = self._nats(series, window, None)
        found = self.whole.log_likelihood(series.codes_NE)
        return found.index_add(0, rows_M, -nats_M.double())

    def latents(self, rows: int, numbers: torch.Generator) -> Tensor:
        """Return uniform numbers for the whole entity, and a seed for its steps, float64."""
        uniform_NE = self.whole.latents(rows, numbers).double()
        seeds_N1 = torch.randint(LARGEST_SEED, (rows, 1), generator=numbers).double()
        return torch.cat([uniform_NE, seeds_N1], dim=1)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return rows with codes + positions, float64 (N, V), unconditional."""
        return self.conditioned(None)(z_NZ, labels_N)

    def conditioned(self, allowed_CK: np.ndarray[Any, np.dtype[np.bool_]] | None) -> Draw:
        """Return what draws series under conditions on the whole entity.

        Raises:
            ConfigError: a condition allows no value of some column.
        """
        whole = self.whole.conditioned(allowed_CK)

        @torch.no_grad()
        def draw(z_NZ: Tensor, labels_N: Tensor) -> Tensor:
            packed_NE = whole(z_NZ[:, :-1].float(), labels_N)
            return self.draw_steps(packed_NE, z_NZ[:, -1].long())

        return draw

    @torch.no_grad()
    def draw_steps(self, packed_NE: Tensor, seeds_N: Tensor) -> Tensor:
        """Return rows of entities whose columns are known, step after step.

        Args:
            packed_NE: code + position of the columns of the whole entity.
            seeds_N: of the entities' own randoms.
        """
        codec, inputs, weights = self.codec, self.inputs, self.weights()
        device, N = packed_NE.device, len(packed_NE)
        span = codec.spans(codec.whole.to_values(packed_NE))
        lengths_N, start_N = (torch.from_numpy(np.asarray(e)).to(device).long() for e in span)
        statics_NS = self.statics(packed_NE.floor().long())
        units_NLD = torch.zeros(N, codec.width, inputs.variables, dtype=torch.float64, device=device)
        seasons = _Seasons(inputs, N, device)
        memory, before = inputs.start(N), torch.zeros(
            N, inputs.variables, inputs.per_value, device=device
        )
        sums = self.backbone.start(N)
        moment_N = start_N
        for step in range(int(lengths_N.max())):
            place_N1 = torch.full((N, 1), step, device=device)
            now_N = moment_N if inputs.gap is not None else start_N + step
            context = self.context(
                statics_NS,
                inputs.place(place_N1, lengths_N)[:, 0],
                inputs.moment(now_N[:, None])[:, 0],
            )
            remembered = inputs.remember(memory, seasons.at(step))
            past_NI = torch.cat([before.flatten(1), remembered.flatten(1), context], dim=1)
            state_NH, sums = self.backbone.one(past_NI, sums, step)
            seen, before, moment_N = self._draw_step(
                past_NI, state_NH, memory, moment_N, (seeds_N, step), weights
            )
            units_NLD[:, step] = seen.units
            seasons.keep(seen)
            memory = inputs.advance(memory, seen)
        units_NLD *= torch.arange(codec.width, device=device)[:, None] < lengths_N[:, None, None]
        spans_N2 = torch.stack([lengths_N, start_N], dim=1).double()
        return torch.cat([spans_N2, packed_NE, units_NLD.flatten(1)], dim=1)

    def _draw_step(
        self,
        past_NI: Tensor,
        state_NH: Tensor,
        memory: Memory,
        moment_N: Tensor,
        randoms: tuple[Tensor, int],
        weights: StepWeights,
    ) -> tuple[Observation, Tensor, Tensor]:
        """Return one step: what was drawn, as networks see it, and its moment."""
        inputs, U, N = self.inputs, self.units, len(past_NI)
        P, D = inputs.per_value, inputs.variables
        units_NU = torch.cat([state_NH, past_NI], dim=1) @ self.past_HU + self.unit_bias_U
        units_ND = torch.zeros(N, D, dtype=torch.float64, device=past_NI.device)
        codes_ND = torch.zeros(N, D, dtype=torch.int64, device=past_NI.device)
        scores_ND, same_ND = units_ND.float(), codes_ND.bool()
        present_ND, values_NDP = codes_ND.bool(), past_NI.new_zeros(N, D, P)
        outputs = weights.outputs_KU.split(self.counts)
        biases = weights.bias_K.split(self.counts)
        for index, coder in enumerate(inputs.coders):
            own = slice(index * U, (index + 1) * U)
            inner_NU = units_NU[:, own]
            if index:
                inner_NU = inner_NU + (
                    values_NDP[:, :index].flatten(1) @ weights.inner_PU[: index * P, own]
                )
            if inputs.gap is not None and index > inputs.gap:
                inner_NU = inner_NU + inputs.moment(moment_N[:, None])[:, 0] @ self.moment_SU[:, own]
            reached = coder.reach(memory.history, units_ND, present_ND)
            inner_NU = inner_NU + self._by_sum(coder, reached, own)
            inner_NU = functional.relu(inner_NU)
            logits_NK = inner_NU @ outputs[index].T + biases[index]
            logs_NK = coder.combine(logits_NK, self._kinds(index, inner_NU), reached)
            uniform_N = uniform_numbers(*randoms, index)
            codes_N, position_N = invert(logs_NK, uniform_N)
            drawn_N = coder.decode(codes_N, position_N, reached)
            units_ND[:, index] = inputs.limited(index, drawn_N, memory.history)
            if index == inputs.gap:
                units_ND[:, index] = units_ND[:, index].clamp(min=1)
                if randoms[1]:
                    moment_N = moment_N + units_ND[:, index].long()
            seen = inputs.observe_one(coder, units_ND[:, index], memory.history)
            for target, value in zip(
                (present_ND, codes_ND, scores_ND, same_ND), seen, strict=True
            ):
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


def _blocks(coder: Any) -> list[tuple[tuple[bool, ...], bool]]:
    """Return of each block of codes which are one value, and whether neighbours are alike."""
    own = coder.variable.own
    single = tuple(bool(size == 1) for size in np.diff(own.first_cells))
    found = [(single, own.is_smooth)]
    for relation in coder.variable.relations:
        if relation.offsets is None:
            found.append(((True,) * relation.codes, False))
        else:
            sizes = np.diff(relation.offsets.first_cells)
            found.append((tuple(bool(size == 1) for size in sizes), True))
    return found


def build(
    config: ResolvedConfig, codec: SeriesCodec, stream: torch.Generator
) -> SeriesAutoregressive:
    """Return the network on the processor, initialised from the stream alone."""
    network = SeriesAutoregressive(config, codec)
    network.draw(stream)
    return network
