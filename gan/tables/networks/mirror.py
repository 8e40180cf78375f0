"""`mlp-gan` for rows of numbers: dense layers 256, 512, 1,024 and their mirror.

Goodfellow et al., "Generative adversarial nets" (2014), on plain vectors. A column of numbers is
one value of the vector: its normal score z = Φ⁻¹(F(x)), F being its distribution over codes in
train, with a uniform position inside each code (van der Waerden scores; Conover, "Practical
nonparametric statistics", 1999, section 5.10). So every value is standard normal whatever the
column's scale, tails and atoms are, and a linear last layer fits all of them: a bounded one stops
learning where many values lie at an end. A column of categories is a block of one-hot vectors,
drawn as in `oneshot`, but straight through.

Columns that are given are an input of the generator, zero where they are not, beside a flag.

Shapes: N rows, D columns, K codes of all columns side by side, F values of a vector, Z latent.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gan.codecs import Encoded
from gan.config import ResolvedConfig
from gan.protocols import Discriminator, Networks, Pairs
from gan.tables.networks.adversarial import (
    SLOPE,
    CodeCounts,
    GivenGenerator,
    draw_codes,
    linear,
    relax,
)

LEAST_SHARE = 1e-6
"""Scores lie between those of this share of the rows at either end."""


class VectorColumn(Protocol):
    """What is read of a column."""

    @property
    def kind(self) -> str:
        """`numeric`, whose codes are in the order of their values, or `category`."""

    @property
    def first_cells(self) -> np.ndarray[Any, Any]:
        """The first cell of every code, and behind them the number of cells."""


class VectorCodec(CodeCounts, Protocol):
    """What these networks read of a codec."""

    @property
    def columns(self) -> Sequence[VectorColumn]:
        """The modelled columns."""


def tower(inputs: int, widths: Sequence[int], outputs: int) -> tuple[nn.Sequential, nn.Linear]:
    """Return linear layers of these widths, each with a leaky ReLU, and a last one."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [linear(inputs, width), nn.LeakyReLU(SLOPE)]
        inputs = width
    return nn.Sequential(*layers), linear(inputs, outputs)


@torch.no_grad()
def draw_he(network: nn.Module, stream: torch.Generator) -> None:
    """Draw linear layers so that values of any layer are about as large as those of the first.

    He et al., "Delving deep into rectifiers" (2015), eq. 14; biases are zero. So fakes begin about
    as wide as normal scores are, and not as one point.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, SLOPE, generator=stream)
            module.bias.zero_()


class VectorGenerator(GivenGenerator):
    """Dense layers from the latent and the given columns to all values of a row."""

    def __init__(self, config: ResolvedConfig, codec: VectorCodec) -> None:
        counts, D = codec.code_counts, len(codec.code_counts)
        super().__init__(counts, config.latent, uniforms=D)
        self.label_column = codec.label_column
        self.temperature = float(config.network["temperature"])
        self.is_number = [column.kind == "numeric" for column in codec.columns]
        self.first_cells = [torch.from_numpy(np.array(c.first_cells)) for c in codec.columns]
        sizes = [1 if number else k for number, k in zip(self.is_number, counts, strict=True)]
        self.sizes = sizes
        widest = int(config.network["width"])
        inputs = config.latent + sum(sizes) + D
        self.body, self.head = tower(inputs, (widest // 4, widest // 2, widest), sum(sizes))

    def fit(self, encoded: Encoded, seed: int) -> None:
        """Count the codes of all training rows, which the scores go by."""
        del seed
        cells_ND = torch.from_numpy(np.ascontiguousarray(encoded.values))
        codes = [
            torch.searchsorted(first, cells_N.contiguous(), right=True) - 1
            for first, cells_N in zip(self.first_cells, cells_ND.unbind(1), strict=True)
        ]
        counted = [
            torch.bincount(codes_N, minlength=k)
            for codes_N, k in zip(codes, self.counts, strict=True)
        ]
        self.seen_K.copy_(torch.cat(counted))

    def vectors(self, packed_ND: Tensor) -> Tensor:
        """Return `values_NF` of codes + positions: scores, and one-hot vectors of categories."""
        parts, shares = [], self._shares()
        for column_N, share_k, number in zip(
            packed_ND.unbind(1), shares, self.is_number, strict=True
        ):
            code_N = column_N.long().clamp(0, len(share_k) - 1)
            if not number:
                parts.append(nn.functional.one_hot(code_N, len(share_k)).float())
                continue
            below_k = share_k.cumsum(0) - share_k
            u_N = below_k[code_N] + (column_N - code_N) * share_k[code_N]
            score_N = torch.special.ndtri(u_N.clamp(LEAST_SHARE, 1 - LEAST_SHARE))
            parts.append(score_N.float()[:, None])
        return torch.cat(parts, dim=1)

    def values(self, normal_NZ: Tensor, given_NF: Tensor, given_ND: Tensor) -> Tensor:
        """Return `values_NF`: scores, and logits of categories.

        Args:
            normal_NZ: latents.
            given_NF: values of a row; those of columns that are not given are not read.
            given_ND: which columns are given.
        """
        known_NF = given_NF * self._per_value(given_ND)
        inputs = torch.cat([normal_NZ, known_NF, given_ND.to(known_NF.dtype)], dim=1)
        values_NF: Tensor = self.head(self.body(inputs))
        return values_NF

    def pairs(
        self,
        reals: Tensor,
        z_NZ: Tensor,
        labels_N: Tensor,  # noqa: ARG002 - the label is a column
        stream: torch.Generator,
    ) -> Pairs:
        """Return the vectors of `codes_ND`, and fakes that agree in the given columns."""
        inside_ND = torch.rand(reals.shape, generator=stream, dtype=torch.float64)
        reals_NF = self.vectors(reals + inside_ND.to(reals.device))
        given_ND = self.choose_given(len(reals), stream).to(reals.device)
        values_NF = self.values(z_NZ, reals_NF, given_ND).float()
        fakes_NF = self._drawn(values_NF, stream)
        return Pairs(reals_NF, torch.where(self._per_value(given_ND), reals_NF, fakes_NF))

    def draw_free(self, normal_NZ: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return code + position inside the code, float64 (N, D); no column is given."""
        given_NF = normal_NZ.new_zeros(len(normal_NZ), sum(self.sizes))
        none_ND = torch.zeros(uniforms_NU.shape, dtype=torch.bool, device=normal_NZ.device)
        return self._codes(self.values(normal_NZ, given_NF, none_ND), uniforms_NU)

    def draw_allowed(self, normal_NZ: Tensor, uniforms_NU: Tensor, allowed_NK: Tensor) -> Tensor:
        """Return code + position, float64 (N, D), with allowed codes in the given columns."""
        logits_NK = torch.log((self.seen_K + 1e-9) * allowed_NK)
        exact_ND = draw_codes(logits_NK, uniforms_NU, self.counts)
        columns = allowed_NK.split(list(self.counts), dim=1)
        given_ND = torch.stack([~column_Nk.all(1) for column_Nk in columns], dim=1)
        values_NF = self.values(normal_NZ, self.vectors(exact_ND), given_ND)
        return torch.where(given_ND, exact_ND, self._codes(values_NF, uniforms_NU))

    def _shares(self) -> list[Tensor]:
        """Return the share of every code of each column in train, all above zero."""
        columns = (self.seen_K + 1e-9).split(list(self.counts))
        return [seen_k / seen_k.sum() for seen_k in columns]

    def _per_value(self, flags_ND: Tensor) -> Tensor:
        """Return one flag per column as one per value, (N, F)."""
        sizes_D = torch.tensor(self.sizes, device=flags_ND.device)
        return flags_ND.repeat_interleave(sizes_D, dim=1)

    def _drawn(self, values_NF: Tensor, stream: torch.Generator) -> Tensor:
        """Return values with a differentiable draw in place of the logits of each category.

        Straight-through: cross-entropy would first of all learn that soft draws are not one-hot.
        """
        if all(self.is_number):
            return values_NF
        parts = list(values_NF.split(self.sizes, dim=1))
        blocks = [at for at, number in enumerate(self.is_number) if not number]
        logits_NK = torch.cat([parts[at] for at in blocks], dim=1)
        counts = [self.sizes[at] for at in blocks]
        drawn = relax(logits_NK, counts, stream, temperature=self.temperature, straight=True)
        for at, part in zip(blocks, drawn.split(counts, dim=1), strict=True):
            parts[at] = part
        return torch.cat(parts, dim=1)

    def _codes(self, values_NF: Tensor, uniforms_ND: Tensor) -> Tensor:
        """Return code + position of values: numbers by their scores, categories by chance."""
        columns = zip(
            values_NF.double().split(self.sizes, dim=1),
            uniforms_ND.double().unbind(1),
            self._shares(),
            self.is_number,
            strict=True,
        )
        logits, uniforms = [], []
        for part, uniform_N, share_k, number in columns:
            logits.append(share_k.log().expand(len(part), -1) if number else part)
            uniforms.append(torch.special.ndtr(part[:, 0]) if number else uniform_N)
        return draw_codes(torch.cat(logits, dim=1), torch.stack(uniforms, dim=1), self.counts)


class VectorDiscriminator(Discriminator):
    """The generator's layers in reverse."""

    def __init__(self, config: ResolvedConfig, sizes: Sequence[int]) -> None:
        super().__init__()
        widest = int(config.network["width"])
        self.body, self.head = tower(sum(sizes), (widest, widest // 2, widest // 4), 1)

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.head(self.features(samples, labels_N))[:, 0]
        return logits_N

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - a column
        """Return the last layer's units."""
        units: Tensor = self.body(samples)
        return units


def build_mirror(config: ResolvedConfig, codec: VectorCodec, stream: torch.Generator) -> Networks:
    """Return both networks, initialised from the stream."""
    generator = VectorGenerator(config, codec)
    discriminator = VectorDiscriminator(config, generator.sizes)
    for network in (generator, discriminator):
        draw_he(network, stream)
    return Networks(generator, discriminator)
