"""`ctgan`: the classic conditional tabular GAN, as published but for the differences named here.

Xu et al., "Modeling tabular data using conditional GAN" (2019). The differences:

- A column is a column of our codes. They replace mode-specific normalisation (section 4.2), whose
  Gaussian mixtures cannot make a spike such as the zeros of a capital gain.
- So every column is discrete, and the condition (section 4.3) may name any of them.
- Training by sampling happens inside the batch: column, then code by the logarithm of its frequency
  so far, then a row of the batch that has the code.
- One latent serves both steps, and the average of the generator is what is shipped, as everywhere.
- When sampling, the column of the condition takes the given value in every row. When several
  columns are given, each row is conditioned on one of them; the others get their values without
  the rest of the row following. That is a limit of the method.

Shapes: N rows, D columns, K codes of all columns side by side, Z latent, H units.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.protocols import Discriminator, Networks, Pairs
from gan.tables.networks.adversarial import (
    SLOPE,
    CodeCounts,
    GivenGenerator,
    draw_codes,
    fill_packs,
    initialise,
    linear,
    one_hot,
    relax,
)

MOMENTUM = 0.1
"""Share of a batch in the running statistics."""


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy, 2015); an argument says whether it learns."""

    mean_H: Tensor
    variance_H: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.scale_H = nn.Parameter(torch.ones(units))
        self.shift_H = nn.Parameter(torch.zeros(units))
        self.register_buffer("mean_H", torch.zeros(units))
        self.register_buffer("variance_H", torch.ones(units))

    def forward(self, units_NH: Tensor, *, learn: bool) -> Tensor:
        """Normalise by the batch and remember its statistics, or by what is remembered."""
        return functional.batch_norm(
            units_NH, self.mean_H, self.variance_H, self.scale_H, self.shift_H, learn, MOMENTUM
        )


class Residual(nn.Module):
    """Puts relu(norm(linear(x))) beside x."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.layer, self.norm = linear(inputs, units), BatchNorm(units)

    def forward(self, inputs: Tensor, *, learn: bool) -> Tensor:
        """Return (N, units + inputs)."""
        units_NH = torch.relu(self.norm(self.layer(inputs), learn=learn))
        return torch.cat([units_NH, inputs], dim=1)


class CtganGenerator(GivenGenerator):
    """Two residual layers from latent and condition to the logits of all codes."""

    def __init__(self, config: ResolvedConfig, codec: CodeCounts) -> None:
        counts, network = codec.code_counts, config.network
        # The uniform numbers: codes of all columns; which column a row is conditioned on; its code.
        super().__init__(counts, config.latent, uniforms=2 * len(counts) + 1)
        self.pack, self.temperature = int(network["pack"]), float(network["temperature"])
        width, inputs = int(network["width"]), config.latent + sum(counts)
        self.layers = nn.ModuleList()
        for _ in range(int(network["depth"])):
            self.layers.append(Residual(inputs, width))
            inputs += width
        self.head = linear(inputs, sum(counts))

    def draw_logits(self, normal_NZ: Tensor, given_NK: Tensor, *, learn: bool = False) -> Tensor:
        """Return `logits_NK` for latents and conditions, one-hot in one column."""
        units = torch.cat([normal_NZ, given_NK], dim=1)
        for layer in self.layers:
            units = layer(units, learn=learn)
        logits_NK: Tensor = self.head(units)
        return logits_NK

    def inputs(self, exact_NK: Tensor, given_ND: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return conditions on one given column, else on any, its code as frequent as in train."""
        D = len(self.counts)
        where_N, uniforms_ND = uniforms_NU[:, D : D + 1], uniforms_NU[:, D + 1 :]
        shares_NK = (self.seen_K + 1e-9).log().expand(len(given_ND), -1)
        drawn_ND = draw_codes(shares_NK, uniforms_ND, self.counts)
        codes_NK = torch.where(
            self.per_code(given_ND), exact_NK, one_hot(drawn_ND.long(), self.counts)
        )
        candidates_ND = given_ND | ~given_ND.any(1, keepdim=True)
        sums_ND = candidates_ND.double().cumsum(1)
        column_N1 = torch.searchsorted(sums_ND, where_N * sums_ND[:, -1:], right=True)
        chosen_ND = torch.zeros_like(given_ND).scatter_(1, column_N1.clamp_max(D - 1), value=True)
        return codes_NK * self.per_code(chosen_ND)

    def pairs(
        self,
        reals: Tensor,
        z_NZ: Tensor,
        labels_N: Tensor,  # noqa: ARG002 - the label is a column
        stream: torch.Generator,
    ) -> Pairs:
        """Return rows beside their conditions, and the cross-entropy of the condition (eq. 1)."""
        chosen_N = fill_packs(len(reals), self.pack)
        codes_ND = reals[chosen_N]
        reals_NK = one_hot(codes_ND, self.counts)
        self.count(reals_NK)
        rows_N, column_N = self._choose(codes_ND, reals_NK, stream)
        flags_ND = functional.one_hot(column_N, len(self.counts)).bool()
        conditions_NK = reals_NK[rows_N] * self.per_code(flags_ND)
        logits_NK = self.draw_logits(z_NZ[chosen_N], conditions_NK, learn=True).float()
        fakes_NK = relax(
            logits_NK, self.counts, stream, temperature=self.temperature, straight=False
        )
        order_N = torch.randperm(len(rows_N), generator=stream).to(rows_N.device)
        return Pairs(
            torch.cat([reals_NK[rows_N[order_N]], conditions_NK[order_N]], dim=1),
            torch.cat([fakes_NK, conditions_NK], dim=1),
            self._cross_entropy(logits_NK, conditions_NK),
        )

    def _choose(
        self, codes_ND: Tensor, reals_NK: Tensor, stream: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return a row of the batch for each fake, and the column that its condition names."""
        N, D = codes_ND.shape
        weight_K = torch.log1p(self.seen_K).float() / reals_NK.sum(0).clamp_min(1)
        weight_DN = weight_K[codes_ND + self.first_D].T.cpu()
        column_N = torch.randint(D, (N,), generator=stream)
        rows_N = torch.multinomial(weight_DN[column_N], 1, generator=stream)[:, 0]
        return rows_N.to(codes_ND.device), column_N.to(codes_ND.device)

    def _cross_entropy(self, logits_NK: Tensor, conditions_NK: Tensor) -> Tensor:
        """Return how surprising the conditions are to the logits, in nats per row."""
        columns = logits_NK.split(list(self.counts), dim=1)
        log_NK = torch.cat([torch.log_softmax(column_Nk, dim=1) for column_Nk in columns], dim=1)
        return -(log_NK * conditions_NK).sum(1).mean()


class CtganDiscriminator(Discriminator):
    """Dense layers that drop half of their units, from a pack of rows with their conditions."""

    def __init__(self, config: ResolvedConfig, codec: CodeCounts) -> None:
        super().__init__()
        network = config.network
        self.pack, self.dropout = int(network["pack"]), float(network["dropout"])
        width, inputs = int(network["width"]), 2 * sum(codec.code_counts) * self.pack
        self.layers = nn.ModuleList()
        for _ in range(int(network["depth"])):
            self.layers.append(linear(inputs, width))
            inputs = width
        self.head = linear(inputs, 1)

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - a column
        """Return one logit per pack."""
        units = samples.reshape(len(samples) // self.pack, -1)
        for layer in self.layers:
            units = self._drop(functional.leaky_relu(layer(units), SLOPE))
        logits: Tensor = self.head(units)[:, 0]
        return logits

    def _drop(self, units: Tensor) -> Tensor:
        if self.stream is None or not self.dropout or not self.training:
            return units
        keep = torch.rand(units.shape, generator=self.stream) >= self.dropout
        return units * keep.to(units.device) / (1 - self.dropout)


def build_ctgan(config: ResolvedConfig, codec: CodeCounts, stream: torch.Generator) -> Networks:
    """Return both networks, initialised from the stream."""
    generator, discriminator = CtganGenerator(config, codec), CtganDiscriminator(config, codec)
    initialise(generator, stream)
    initialise(discriminator, stream)
    return Networks(generator, discriminator)
