"""`adversarial`: all columns of a row at once, from a latent and the columns that are given.

The generator's logits become differentiable draws (Gumbel softmax) for the discriminator, which
sees whole rows as one-hot vectors. In training random columns are given, from the real row that the
fake is compared with, so that any subset may be given when sampling.

Shapes: N rows, D columns, K codes of all columns side by side, Z latent.
"""

import torch
from torch import Tensor

from gan.config import ResolvedConfig
from gan.protocols import Discriminator, Networks, Pairs
from gan.tables.networks.codes import CodeCounts, fill_packs, one_hot, relax
from gan.tables.networks.dense import dense_stack, initialise, linear
from gan.tables.networks.given import GivenGenerator

FREE_SHARE = 0.5
"""Training rows in which no column but perhaps the label is given."""

LABEL_SHARE = 0.75
"""Training rows in which the label is given: rows are mostly asked for by class."""


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

    def choose_given(self, rows: int, stream: torch.Generator) -> Tensor:
        """Return which columns of each row are given, bool (N, D), on the processor."""
        D = len(self.counts)
        share_N1 = torch.rand(rows, 1, generator=stream).square()
        free_N1 = torch.rand(rows, 1, generator=stream) < FREE_SHARE
        given_ND = (torch.rand(rows, D, generator=stream) < share_N1) & ~free_N1
        if self.label_column is not None:
            given_ND[:, self.label_column] = torch.rand(rows, generator=stream) < LABEL_SHARE
        return given_ND


class OneShotDiscriminator(Discriminator):
    """Dense layers from one-hot vectors to the logit, of `pack` neighbouring rows at once.

    Lin et al., "PacGAN: the power of two samples in generative adversarial networks" (2018): who
    sees several rows of one kind together sees what is missing.
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
