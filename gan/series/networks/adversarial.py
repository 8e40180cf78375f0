"""A relativistic GAN on whole series: all steps of all variables at once, as real numbers.

A number is its normal score, a category the one-hot vector of its code, a missing number a flag;
behind the last step all is zero. What is known of the whole entity (statics, length, start) comes
from a masked network that is trained by likelihood beside it, and is the condition of both dense
networks, which compare series of the same entities: R3GAN (Huang et al., "The GAN is dead; long
live the GAN!", 2024) on the task of TimeGAN (Yoon et al., 2019) and RCGAN (Esteban et al., 2017).

Shapes: N entities, L steps, D variables, E columns of the whole entity, K codes of these, Q numbers
of a step, Z latent.
"""

from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.protocols import Discriminator, Draw, Generator, Networks, Pairs
from gan.series.codec import SeriesCodec
from gan.series.columns.variables import MISSING, Coder
from gan.series.networks.randoms import uniform_numbers
from gan.series.networks.whole import LARGEST_SEED, build_whole, take_apart
from gan.tables.networks.adversarial import dense_stack, initialise, linear, one_hot, relax
from gan.tables.networks.masked_sampling import invert

TEMPERATURE: Final = 0.5
"""Of relaxed draws of categories."""
MOST_WEIGHTS: Final = 40_000_000
"""Of one layer: longer series with more variables are for networks that go step after step."""


class Form(nn.Module):
    """The real-valued form of the values of a step."""

    def __init__(self, codec: SeriesCodec) -> None:
        super().__init__()
        self.coded = nn.ModuleList(Coder(each, i) for i, each in enumerate(codec.variables))
        self.sizes = tuple(_size(each) for each in self.coders)

    @property
    def coders(self) -> list[Coder]:
        """What codes each variable."""
        return [cast("Coder", each) for each in self.coded]

    def of(self, units_NLD: Tensor, within_NL: Tensor) -> Tensor:
        """Return `steps_NLQ` of units."""
        parts = []
        for coder in self.coders:
            units_NL = units_NLD[..., coder.index]
            codes_NL, scores_NL = coder.find(units_NL)
            if coder.grid is None:
                parts.append(functional.one_hot(codes_NL, coder.own_codes).float())
            elif coder.null_code is None:
                parts.append(scores_NL[..., None])
            else:
                missing_NL = (units_NL == MISSING).float()
                parts.append(torch.stack([scores_NL, 1 - missing_NL, missing_NL], dim=-1))
        return torch.cat(parts, dim=-1) * within_NL[..., None]

    def soften(self, raw_NLQ: Tensor, within_NL: Tensor, stream: torch.Generator) -> Tensor:
        """Return differentiable draws of what a network puts out."""
        parts = []
        for coder, part in zip(self.coders, raw_NLQ.split(self.sizes, dim=-1), strict=True):
            logits, scores = part, None
            if coder.grid is not None:
                scores, logits = part[..., :1], part[..., 1:]
            drawn = part[..., :0]
            if logits.shape[-1]:
                flat = logits.flatten(0, 1)
                drawn = relax(
                    flat, (flat.shape[1],), stream, temperature=TEMPERATURE, straight=True
                ).reshape(logits.shape)
            if scores is not None:
                there = drawn[..., :1] if drawn.shape[-1] else torch.ones_like(scores)
                drawn = torch.cat([scores * there, drawn], dim=-1)
            parts.append(drawn)
        return torch.cat(parts, dim=-1) * within_NL[..., None]

    def units(self, raw_NLQ: Tensor, seeds_N: Tensor) -> Tensor:
        """Return `units_NLD` of what a network puts out."""
        N, L, _ = raw_NLQ.shape
        units_NLD = torch.zeros(N, L, len(self.coders), dtype=torch.float64, device=seeds_N.device)
        for coder, part in zip(self.coders, raw_NLQ.split(self.sizes, dim=-1), strict=True):
            for step in range(L):
                uniform_N = uniform_numbers(seeds_N, step, coder.index)
                units_NLD[:, step, coder.index] = _units(coder, part[:, step], uniform_N)
        return units_NLD


def _size(coder: Coder) -> int:
    """Return the numbers of one variable."""
    if coder.grid is None:
        return coder.own_codes
    return 1 if coder.null_code is None else 3


def _units(coder: Coder, part_NQ: Tensor, uniform_N: Tensor) -> Tensor:
    """Return the units of one variable at one step."""
    if coder.grid is None:
        codes_N, position_N = invert(part_NQ, uniform_N)
        return coder.own_units(codes_N, position_N)
    units_N = coder.grid.unscore(part_NQ[:, 0])
    if coder.null_code is not None:
        missing_N, _ = invert(part_NQ[:, 1:], uniform_N)
        units_N = torch.where(missing_N == 1, MISSING, units_N)
    return units_N


class SeriesOneShot(Generator):
    """Dense layers from the latent and what is known of the whole entity to all steps."""

    def __init__(self, config: ResolvedConfig, codec: SeriesCodec) -> None:
        super().__init__()
        network, self.codec, self.latent = config.network, codec, config.latent
        self.whole, self.form = build_whole(config, codec), Form(codec)
        self.counts = codec.whole.code_counts
        width, depth = int(network["width"]), int(network["depth"])
        outputs = codec.width * sum(self.form.sizes)
        if outputs * width > MOST_WEIGHTS:
            msg = (
                f"generator.preset timegan is too large for {codec.width} steps of "
                f"{len(codec.variables)} variables: choose autoregressive"
            )
            raise ConfigError(msg)
        self.body = dense_stack(config.latent + sum(self.counts), width, depth)
        self.head = linear(width, outputs)

    def steps(self, normal_NZ: Tensor, codes_NE: Tensor) -> Tensor:
        """Return what is put out for every step, (N, L, Q)."""
        inputs = torch.cat([normal_NZ, one_hot(codes_NE, self.counts)], dim=1)
        raw: Tensor = self.head(self.body(inputs))
        return raw.reshape(len(raw), self.codec.width, -1)

    def pairs(
        self,
        reals: Tensor,
        z_NZ: Tensor,
        labels_N: Tensor,
        stream: torch.Generator,
    ) -> Pairs:
        """Return both in the real-valued form, with the nats of the whole entity as own loss."""
        series = take_apart(reals, self.codec)
        within_NL = series.within_NL
        raw_NLQ = self.steps(z_NZ, series.codes_NE)
        fakes_NLQ = self.form.soften(raw_NLQ.float(), within_NL, stream)
        reals_NLQ = self.form.of(series.units_NLD, within_NL)
        known = [one_hot(series.codes_NE, self.counts), within_NL.float()]
        both = [torch.cat([*known, each.flatten(1)], dim=1) for each in (reals_NLQ, fakes_NLQ)]
        own = self.whole.loss(series.codes_NE, labels_N, stream)
        return Pairs(both[0], both[1], own)

    def latents(self, rows: int, numbers: torch.Generator) -> Tensor:
        """Return normal numbers, uniform ones for the whole entity, and a seed; float64."""
        normal_NZ = torch.randn(rows, self.latent, generator=numbers).double()
        uniform_NE = self.whole.latents(rows, numbers).double()
        seeds_N1 = torch.randint(LARGEST_SEED, (rows, 1), generator=numbers).double()
        return torch.cat([normal_NZ, uniform_NE, seeds_N1], dim=1)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return rows with codes + positions, float64 (N, V), unconditional."""
        return self.conditioned(None)(z_NZ, labels_N)

    def conditioned(self, allowed_CK: np.ndarray[Any, np.dtype[np.bool_]] | None) -> Draw:
        """Return what draws series under conditions on the whole entity.

        Raises:
            ConfigError: a condition allows no value of some column.
        """
        whole, codec = self.whole.conditioned(allowed_CK), self.codec

        @torch.no_grad()
        def draw(z_NZ: Tensor, labels_N: Tensor) -> Tensor:
            E = len(self.counts)
            normal_NZ, uniform_NE, seeds_N1 = z_NZ.split([self.latent, E, 1], dim=1)
            packed_NE = whole(uniform_NE.float(), labels_N)
            spans = codec.spans(codec.whole.to_values(packed_NE))
            span_N2 = torch.from_numpy(np.stack(spans, axis=1)).to(z_NZ.device)
            raw_NLQ = self.steps(normal_NZ.float(), packed_NE.floor().long())
            units_NLD = self.form.units(raw_NLQ, seeds_N1[:, 0].long())
            rows = torch.cat([span_N2.double(), packed_NE, units_NLD.flatten(1)], dim=1)
            within_NL = take_apart(rows, codec).within_NL
            units_NLD *= within_NL[..., None]
            return torch.cat([rows[:, : codec.cells.stop], units_NLD.flatten(1)], dim=1)

        return draw


class SeriesDiscriminator(Discriminator):
    """Dense layers from series in their real-valued form to the logit."""

    def __init__(self, config: ResolvedConfig, generator: SeriesOneShot) -> None:
        super().__init__()
        codec, network = generator.codec, config.network
        inputs = sum(generator.counts) + codec.width * (1 + sum(generator.form.sizes))
        width = int(network["discriminator_width"])
        self.body = dense_stack(inputs, width, int(network["depth"]))
        self.head = linear(width, 1)

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - a column
        """Return one logit per series."""
        logits: Tensor = self.head(self.body(samples))[:, 0]
        return logits

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - a column
        """Return what the last layer makes the logits of."""
        features: Tensor = self.body(samples)
        return features


def build(config: ResolvedConfig, codec: SeriesCodec, stream: torch.Generator) -> Networks:
    """Return both networks on the processor, initialised from the stream alone.

    Raises:
        ConfigError: the series are too long for networks that make them at once.
    """
    generator = SeriesOneShot(config, codec)
    discriminator = SeriesDiscriminator(config, generator)
    generator.whole.draw(stream)
    initialise(generator, stream)
    initialise(discriminator, stream)
    return Networks(generator, discriminator)
