"""Adversarial generators of all columns of a row at once, and the one-shot network of them.

Every column has a distribution over its codes, and columns that are given are an input of the
network. `oneshot` is dense layers; its logits become differentiable draws (Gumbel softmax) for the
discriminator, which sees whole rows as one-hot vectors. In training random columns are given, from
the real row that the fake is compared with, so that any subset may be given when sampling.

Shapes: N rows, D columns, K codes of all columns side by side, k codes of one column, Z latent, U
uniform numbers of a row, C conditions.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.protocols import Discriminator, Draw, Generator, Networks, Pairs
from gan.training import ranks

SLOPE = 0.2
"""Of the leaky ReLU, for negative inputs."""
FREE_SHARE = 0.5
"""Training rows in which no column but perhaps the label is given."""
LABEL_SHARE = 0.75
"""Training rows in which the label is given: rows are mostly synthesized by class."""


class CodeCounts(Protocol):
    """What these networks read of a codec."""

    @property
    def code_counts(self) -> tuple[int, ...]:
        """Codes of every column."""

    @property
    def label_column(self) -> int | None:
        """Which column is the label."""


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer whose weights are drawn later, and touch no global randomness."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    return layer


def dense_stack(inputs: int, width: int, depth: int) -> nn.Sequential:
    """Return `depth` linear layers of `width` units, each with a leaky ReLU."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [linear(width if index else inputs, width), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


@torch.no_grad()
def initialise(network: nn.Module, stream: torch.Generator) -> None:
    """Draw linear layers from the stream: uniform in ±1/√inputs, biases too.

    LeCun et al., "Efficient backprop" (1998), section 4.6, times 1/√3.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            module.weight.uniform_(-bound, bound, generator=stream)
            module.bias.uniform_(-bound, bound, generator=stream)


def one_hot(codes_ND: Tensor, counts: Sequence[int]) -> Tensor:
    """Return `reals_NK`: one 1 in each column's block of codes."""
    first_D = torch.tensor([0, *counts[:-1]], device=codes_ND.device).cumsum(0)
    reals_NK = torch.zeros(len(codes_ND), sum(counts), device=codes_ND.device)
    return reals_NK.scatter_(1, codes_ND + first_D, 1.0)


def fill_packs(rows: int, pack: int) -> Tensor:
    """Return row numbers that fill whole packs: all of them, then the first ones again."""
    return torch.arange(-(-rows // pack) * pack) % rows


def draw_codes(logits_NK: Tensor, uniforms_ND: Tensor, counts: Sequence[int]) -> Tensor:
    """Return code + position inside the code, float64 (N, D).

    The inverse of each column's distribution function; what is left of the uniform number inside
    its code is again uniform, and becomes the position.
    """
    columns = [
        _invert(torch.softmax(logits_Nk.double(), dim=1), uniform_N.double())
        for logits_Nk, uniform_N in zip(
            logits_NK.split(list(counts), dim=1), uniforms_ND.unbind(1), strict=True
        )
    ]
    return torch.stack(columns, dim=1)


def _invert(shares_Nk: Tensor, uniform_N: Tensor) -> Tensor:
    """Return the first code whose cumulated share exceeds the number, and how far into it."""
    sums_Nk = shares_Nk.cumsum(1)
    reached_N1 = (uniform_N * sums_Nk[:, -1])[:, None].contiguous()
    code_N1 = torch.searchsorted(sums_Nk, reached_N1, right=True).clamp_max(shares_Nk.shape[1] - 1)
    share_N1 = shares_Nk.gather(1, code_N1)
    before_N1 = sums_Nk.gather(1, code_N1) - share_N1
    position_N1 = ((reached_N1 - before_N1) / share_N1).clamp(0, 1 - 2**-20)
    return (code_N1 + position_N1)[:, 0]


def relax(
    logits_NK: Tensor,
    counts: Sequence[int],
    stream: torch.Generator,
    *,
    temperature: float,
    straight: bool,
) -> Tensor:
    """Return a differentiable draw of every column: Gumbel softmax, (N, K).

    softmax((logits + Gumbel noise) / temperature): Jang et al., "Categorical reparameterization
    with Gumbel-softmax" (2017), equation 2. `straight`: the values are the one-hot vectors of its
    maxima, the gradients its own (straight-through, section 2.2).
    """
    uniform_NK = torch.rand(logits_NK.shape, generator=stream).clamp_(1e-9, 1 - 1e-7)
    noise_NK = -torch.log(-torch.log(uniform_NK)).to(logits_NK.device)
    noisy = ((logits_NK + noise_NK) / temperature).split(list(counts), dim=1)
    soft_NK = torch.cat([torch.softmax(column_Nk, dim=1) for column_Nk in noisy], dim=1)
    if not straight:
        return soft_NK
    maxima = [functional.one_hot(column_Nk.argmax(1), column_Nk.shape[1]) for column_Nk in noisy]
    return torch.cat(maxima, dim=1) - soft_NK.detach() + soft_NK


class CodeGenerator(Generator):
    """Draws codes from distributions; a latent is Z normal numbers and D uniform ones or more."""

    first_D: Tensor

    def __init__(self, counts: Sequence[int], latent: int, *, uniforms: int | None = None) -> None:
        super().__init__()
        self.counts, self.latent = tuple(counts), latent
        self.uniforms = len(self.counts) if uniforms is None else uniforms
        counts_D = torch.tensor(self.counts, device="cpu")
        self.register_buffer("first_D", counts_D.cumsum(0) - counts_D)

    def latents(self, rows: int, numbers: torch.Generator) -> Tensor:
        """Return Z normal numbers, then the uniform ones in [0, 1)."""
        normal_NZ = torch.randn(rows, self.latent, generator=numbers)
        return torch.cat([normal_NZ, torch.rand(rows, self.uniforms, generator=numbers)], dim=1)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return code + position inside the code, float64 (N, D), without conditions."""
        return self.conditioned(None)(z_NZ, labels_N)

    def conditioned(self, allowed_CK: np.ndarray[Any, np.dtype[np.bool_]] | None) -> Draw:
        """Return what draws rows whose codes are all allowed; see the base class."""
        allowed = None if allowed_CK is None else torch.from_numpy(np.ascontiguousarray(allowed_CK))

        def draw(z_NZ: Tensor, labels_N: Tensor) -> Tensor:
            normal_NZ, uniforms_NU = z_NZ.split([self.latent, self.uniforms], dim=1)
            if allowed is None:
                return self.draw_free(normal_NZ, uniforms_NU)
            rows_N = labels_N if len(allowed) > 1 else torch.zeros_like(labels_N)
            return self.draw_allowed(normal_NZ, uniforms_NU, allowed.to(z_NZ.device)[rows_N])

        return draw

    def draw_free(self, normal_NZ: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return code + position, float64 (N, D), from the two halves of the latent."""
        raise NotImplementedError

    def draw_allowed(self, normal_NZ: Tensor, uniforms_NU: Tensor, allowed_NK: Tensor) -> Tensor:
        """Return code + position, float64 (N, D), of codes that are allowed."""
        raise NotImplementedError


class GivenGenerator(CodeGenerator):
    """Draws codes given the exact codes of some columns.

    A range, or several values, becomes an exact code first: one of those allowed, as often as it
    occurs in train. For one such column that is the distribution of train under the condition; for
    several together it is not, because each is drawn by itself.
    """

    seen_K: Tensor
    label_column: int | None = None
    """Which column is the label."""

    def __init__(self, counts: Sequence[int], latent: int, *, uniforms: int) -> None:
        super().__init__(counts, latent, uniforms=uniforms)
        self.register_buffer("seen_K", torch.zeros(sum(counts), dtype=torch.float64, device="cpu"))

    def count(self, reals_NK: Tensor) -> None:
        """Add the codes of training rows to what is known of their frequencies."""
        counts_K = reals_NK.detach().sum(0)
        self.seen_K += ranks.total(counts_K) if self.training else counts_K

    def draw_logits(self, normal_NZ: Tensor, given_NK: Tensor) -> Tensor:
        """Return `logits_NK` for latents and the one-hot vectors of given columns, zeros if not."""
        raise NotImplementedError

    def inputs(self, exact_NK: Tensor, given_ND: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return what the network sees of the given codes, zeros where a column is not given."""
        del uniforms_NU
        return exact_NK * self.per_code(given_ND)

    def per_code(self, flags_ND: Tensor) -> Tensor:
        """Return one flag per column as one per code, (N, K)."""
        counts_D = torch.tensor(self.counts, device=flags_ND.device)
        return flags_ND.repeat_interleave(counts_D, dim=1)

    def draw_free(self, normal_NZ: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return code + position, float64 (N, D); no column is given."""
        N, D = len(normal_NZ), len(self.counts)
        exact_NK = normal_NZ.new_zeros(N, sum(self.counts))
        none_ND = torch.zeros(N, D, dtype=torch.bool, device=normal_NZ.device)
        logits_NK = self.draw_logits(normal_NZ, self.inputs(exact_NK, none_ND, uniforms_NU))
        return draw_codes(logits_NK, uniforms_NU[:, :D], self.counts)

    def draw_allowed(self, normal_NZ: Tensor, uniforms_NU: Tensor, allowed_NK: Tensor) -> Tensor:
        """Return code + position, float64 (N, D), with allowed codes in the given columns."""
        uniforms_ND = uniforms_NU[:, : len(self.counts)]
        logits_NK = torch.log((self.seen_K + 1e-9) * allowed_NK)
        exact_ND = draw_codes(logits_NK, uniforms_ND, self.counts)
        columns = allowed_NK.split(list(self.counts), dim=1)
        given_ND = torch.stack([~column_Nk.all(1) for column_Nk in columns], dim=1)
        inputs_NK = self.inputs(one_hot(exact_ND.long(), self.counts), given_ND, uniforms_NU)
        drawn_ND = draw_codes(self.draw_logits(normal_NZ, inputs_NK), uniforms_ND, self.counts)
        return torch.where(given_ND, exact_ND, drawn_ND)

    def choose_given(self, rows: int, stream: torch.Generator) -> Tensor:
        """Return which columns of each row are given, bool (N, D), on the processor."""
        D = len(self.counts)
        share_N1 = torch.rand(rows, 1, generator=stream).square()
        free_N1 = torch.rand(rows, 1, generator=stream) < FREE_SHARE
        given_ND = (torch.rand(rows, D, generator=stream) < share_N1) & ~free_N1
        if self.label_column is not None:
            given_ND[:, self.label_column] = torch.rand(rows, generator=stream) < LABEL_SHARE
        return given_ND


class OneShotGenerator(GivenGenerator):
    """Dense layers from the latent and the given columns to the logits of all codes."""

    def __init__(self, config: ResolvedConfig, codec: CodeCounts) -> None:
        counts = codec.code_counts
        super().__init__(counts, config.latent, uniforms=len(counts))
        network, K = config.network, sum(counts)
        self.label_column, self.pack = codec.label_column, int(network["pack"])
        self.temperature = float(network["temperature"])
        self.straight = network["draws"] == "straight"
        width, depth = int(network["width"]), int(network["depth"])
        self.body = dense_stack(config.latent + K, width, depth)
        self.head = linear(width, K)

    def draw_logits(self, normal_NZ: Tensor, given_NK: Tensor) -> Tensor:
        """Return `logits_NK`."""
        logits_NK: Tensor = self.head(self.body(torch.cat([normal_NZ, given_NK], dim=1)))
        return logits_NK

    def pairs(
        self,
        reals: Tensor,
        z_NZ: Tensor,
        labels_N: Tensor,  # noqa: ARG002 - the label is a column
        stream: torch.Generator,
    ) -> Pairs:
        """Return one-hot vectors of `codes_ND`, and draws that agree in the given columns."""
        chosen_N = fill_packs(len(reals), self.pack)
        reals_NK = one_hot(reals, self.counts)[chosen_N]
        self.count(reals_NK)
        given_ND = self.choose_given(len(reals_NK), stream).to(reals.device)
        given_NK = self.per_code(given_ND)
        logits_NK = self.draw_logits(z_NZ[chosen_N], reals_NK * given_NK).float()
        fakes_NK = relax(
            logits_NK, self.counts, stream, temperature=self.temperature, straight=self.straight
        )
        return Pairs(reals_NK, torch.where(given_NK, reals_NK, fakes_NK))


class OneShotDiscriminator(Discriminator):
    """Dense layers from one-hot vectors to the logit, of `pack` neighbouring rows at once.

    Lin et al., "PacGAN: the power of two samples in generative adversarial networks" (2018): in
    several rows together it can see that values are missing.
    """

    def __init__(self, config: ResolvedConfig, codec: CodeCounts) -> None:
        super().__init__()
        network = config.network
        self.pack = int(network["pack"])
        width, depth = int(network["discriminator_width"]), int(network["depth"])
        self.body = dense_stack(self.pack * sum(codec.code_counts), width, depth)
        self.head = linear(width, 1)

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - a column
        """Return one logit per pack."""
        packs = samples.reshape(len(samples) // self.pack, -1)
        logits: Tensor = self.head(self.body(packs))[:, 0]
        return logits


def build_oneshot(config: ResolvedConfig, codec: CodeCounts, stream: torch.Generator) -> Networks:
    """Return both networks, initialised from the stream."""
    networks = Networks(OneShotGenerator(config, codec), OneShotDiscriminator(config, codec))
    for network in networks:
        if network is not None:
            initialise(network, stream)
    return networks
