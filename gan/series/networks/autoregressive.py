"""Series step after step, and inside a step variable after variable, by likelihood.

p(series) = p(statics, length, start) Π_t Π_d p(x_td | x_t1 … x_t,d-1, all steps before, statics).

The first factor is a masked network on the columns of the whole entity (`gan.tables.networks`),
which also takes conditions on them. The past is summed up by layers of moving averages
(`backbone`); inside a step the variables have units of their own, which see the ones before
them in the step (Uria et al., "Neural autoregressive distribution estimation", 2016, section 3).
Codes that have no meaning at a step, such as "the same" at the first one, have probability zero.

Long series are trained on windows: the past of a window counts through what is remembered of it
(`steps`) and through the steps right before it; gradients end there (truncated backpropagation:
Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", 1990).

Shapes: N entities, L steps, D variables, E columns of the whole entity, H units of the backbone, U
units of a variable, S numbers of the context, I inputs of a step, M steps of all entities that
count, K codes of one variable, W kinds of them, Z = E + 1 numbers of a latent.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.protocols import Draw
from gan.series.codec import SeriesCodec
from gan.series.columns.relations import History
from gan.series.networks.sampling import draw_steps
from gan.series.networks.step_network import StepNetwork, StepWeights
from gan.series.networks.steps import Memory, Observation, observed
from gan.series.networks.whole import LARGEST_SEED, SeriesBatch, take_apart
from gan.training import ranks

STEPS_AT_ONCE: Final = 32_768
"""Steps whose likelihood is computed at once."""
LEAST_LOG: Final = -30.0
"""Of a code that should be impossible: a value beyond what is shown, where its neighbour is."""


class Window(NamedTuple):
    """Which steps of each entity a training step looks at."""

    place_NL: Tensor
    counted_NL: Tensor
    """Whether a step's likelihood counts."""
    weight_N: Tensor
    """Steps of the series for each that counts."""
    is_whole: bool
    """Whether these are all steps, in their order."""


class SeriesAutoregressive(StepNetwork):
    """Series from uniform numbers, by the inverse of each distribution function."""

    has_likelihood = True

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

    def _window(self, series: SeriesBatch, stream: torch.Generator | None) -> Window:
        """Return the steps that are looked at: all of series that are no longer than a window."""
        lengths_N, longest = series.lengths_N, _longest(series, stream)
        size = self.window + self.warm_up
        device = lengths_N.device
        if stream is None or longest <= size:
            place_NL = torch.arange(longest, device=device).expand(len(lengths_N), -1)
            counted_NL = place_NL < lengths_N[:, None]
            return Window(place_NL, counted_NL, torch.ones(len(lengths_N), device=device), True)
        share_N = torch.rand(len(lengths_N), generator=stream).to(device)
        first_N = (share_N * (lengths_N - self.window + 1).clamp(min=1)).long()
        begin_N = (first_N - self.warm_up).clamp(min=0)
        place_NL = begin_N[:, None] + torch.arange(size, device=device)
        counted_NL = (place_NL >= first_N[:, None]) & (place_NL < lengths_N[:, None])
        counted_NL &= place_NL < (first_N + self.window)[:, None]
        weight_N = lengths_N / counted_NL.sum(1)
        return Window(place_NL.clamp(max=longest - 1), counted_NL, weight_N.float(), False)

    def _nats(
        self, series: SeriesBatch, window: Window, stream: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Return -log p of the steps that count, and their entities, (M,)."""
        inputs, weights = self.inputs, self.weights()
        longest = _longest(series, stream)
        units_NLD, within_NL = series.units_NLD[:, :longest], series.within_NL[:, :longest]
        seen, memory = observed(inputs, units_NLD, within_NL)
        index_NL = inputs.moments(series.start_N, units_NLD, within_NL)
        seen, memory, index_NL, past_NLI, values_NLDP = self._inputs(
            series, window, seen, memory, index_NL, weights
        )
        states_NLH = self.backbone(past_NLI)
        states_NLH = states_NLH * self._kept((len(states_NLH), 1, states_NLH.shape[2]), stream)
        chosen_M = window.counted_NL.flatten().nonzero()[:, 0]
        rows_M = chosen_M // window.counted_NL.shape[1]
        from_states, from_past = self.past_HU.split([self.backbone.units, past_NLI.shape[2]])
        units_MU = self.unit_bias_U + _chosen(states_NLH, chosen_M) @ from_states
        units_MU = units_MU + _chosen(past_NLI, chosen_M) @ from_past
        units_MU = units_MU + _chosen(values_NLDP, chosen_M).flatten(1) @ weights.inner_PU
        if inputs.gap is not None:
            moments_MS = inputs.moment(_chosen(index_NL, chosen_M))
            units_MU = units_MU + moments_MS @ self.moment_SU * self.after_gap
        kept = self._kept((len(states_NLH), units_MU.shape[1]), stream)
        kept_MU = kept if isinstance(kept, float) else kept[rows_M]
        seen = Observation(*(_chosen(each, chosen_M) for each in seen))
        history = History(*(_chosen(each, chosen_M) for each in memory.history))
        since_MD = _chosen(memory.since, chosen_M)
        return self._cost(seen, history, since_MD, units_MU, weights, kept_MU), rows_M

    def _inputs(
        self,
        series: SeriesBatch,
        window: Window,
        seen: Observation,
        memory: Memory,
        index_NL: Tensor,
        weights: StepWeights,
    ) -> tuple[Observation, Memory, Tensor, Tensor, Tensor]:
        """Return all that is known at the steps of a window, and as inputs."""
        inputs = self.inputs
        values_NLDP = inputs.see(seen, memory.scores, weights.vectors_KE)
        before_NLDP = torch.cat([torch.zeros_like(values_NLDP[:, :1]), values_NLDP[:, :-1]], dim=1)
        remembered = inputs.remember(memory, inputs.seasonal(seen))
        moments_NL = index_NL
        if inputs.gap is not None:
            moments_NL = torch.cat([index_NL[:, :1], index_NL[:, :-1]], dim=1)
        place = window.place_NL
        rows = torch.arange(len(place), device=place.device)[:, None]
        at = ... if window.is_whole else (rows, place)
        context = self.context(
            self.statics(series.codes_NE)[:, None],
            inputs.place(place, series.lengths_N),
            inputs.moment(moments_NL[at]),
        )
        past = torch.cat([before_NLDP[at].flatten(2), remembered[at], context], dim=2)
        seen = Observation(*(each[at] for each in seen))
        history = History(*(each[at] for each in memory.history))
        memory = Memory(history, *(each[at] for each in memory[1:]))
        return seen, memory, index_NL[at], past, values_NLDP[at]

    def _cost(
        self,
        seen: Observation,
        history: History,
        since_MD: Tensor,
        units_MU: Tensor,
        weights: StepWeights,
        kept_MU: Tensor | float,
    ) -> Tensor:
        """Return -log p of all variables of the steps that count, (M,)."""
        total_M = units_MU.new_zeros(len(units_MU))
        outputs = weights.outputs_KU.split(self.counts)
        biases = weights.bias_K.split(self.counts)
        for index, coder in enumerate(self.inputs.coders):
            reached = coder.reach(history, seen.units, seen.present)
            codes_M = coder.encode(seen.units[:, index], seen.codes[:, index], reached)
            own = slice(index * self.units, (index + 1) * self.units)
            by_past = self.by_past(coder, reached, history, since_MD, own)
            own_MU = functional.relu(units_MU[:, own] + by_past)
            own_MU = own_MU * (kept_MU if isinstance(kept_MU, float) else kept_MU[:, own])
            logits_MK = torch.addmm(biases[index], own_MU, outputs[index].T)
            logs_MK = coder.combine(logits_MK, self.kinds(index, own_MU), reached)
            cost_M = functional.nll_loss(logs_MK.clamp(min=LEAST_LOG), codes_M, reduction="none")
            if index == self.inputs.gap:
                cost_M = cost_M * history.has_last[:, index]
            total_M = total_M + cost_M
        return total_M

    def _kept(self, shape: tuple[int, ...], stream: torch.Generator | None) -> Tensor | float:
        """Return factors that leave out some units, the same ones at all steps of a series.

        Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural
        networks" (2016), section 4.
        """
        if stream is None or not self.dropout:
            return 1.0
        keep = 1 - self.dropout
        draws = torch.rand(shape, generator=stream).to(self.unit_bias_U.device)
        return (draws < keep) / keep

    @torch.no_grad()
    def log_likelihood(self, samples: Tensor, labels_N: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return the log likelihood of codes in nats, under no condition, float64 (N,)."""
        rows = max(STEPS_AT_ONCE // self.codec.width, 1)
        return torch.cat([self._log_likelihood(part) for part in samples.split(rows)])

    def _log_likelihood(self, samples: Tensor) -> Tensor:
        series = take_apart(samples, self.codec)
        nats_M, rows_M = self._nats(series, self._window(series, None), None)
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
            return draw_steps(self, packed_NE, z_NZ[:, -1].long())

        return draw


def _longest(series: SeriesBatch, stream: torch.Generator | None) -> int:
    """Return the length of the longest series, in a step of training that of the whole batch."""
    longest = int(series.lengths_N.max())
    return longest if stream is None else ranks.largest(longest)


def _chosen(values: Tensor, chosen_M: Tensor) -> Tensor:
    """Return what some of all steps have, (M, …)."""
    return values.flatten(0, 1).index_select(0, chosen_M)


def build(
    config: ResolvedConfig, codec: SeriesCodec, stream: torch.Generator
) -> SeriesAutoregressive:
    """Return the network on the processor, initialised from the stream alone."""
    network = SeriesAutoregressive(config, codec)
    network.draw(stream)
    return network
