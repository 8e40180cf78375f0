"""`independent`: every column by itself, a baseline that knows nothing of pairs.

Shapes: N rows, D columns, K codes of all columns side by side, Z latent.
"""

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.protocols import Networks
from gan.tables.networks.adversarial import CodeCounts, CodeGenerator, draw_codes


class Independent(CodeGenerator):
    """One logit per code, whatever the other columns are; trained by likelihood.

    Conditions change the columns that they name and no other: that is what independence means.
    """

    has_likelihood = True

    def __init__(self, counts: tuple[int, ...], latent: int) -> None:
        super().__init__(counts, latent)
        self.logits_K = nn.Parameter(torch.zeros(sum(counts), device="cpu"))

    def draw_free(self, normal_NZ: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return code + position, float64 (N, D); the normal numbers are of no use."""
        return draw_codes(self.logits_K.expand(len(normal_NZ), -1), uniforms_NU, self.counts)

    def draw_allowed(self, normal_NZ: Tensor, uniforms_NU: Tensor, allowed_NK: Tensor) -> Tensor:
        """Return the same of codes that are allowed, by their shares among those."""
        del normal_NZ
        logits_NK = torch.where(allowed_NK, self.logits_K, -torch.inf)
        return draw_codes(logits_NK, uniforms_NU, self.counts)

    def log_likelihood(self, samples: Tensor) -> Tensor:
        """Return the nats of `codes_ND`, shape (N,): the sum over the columns."""
        columns = [
            torch.log_softmax(logits_k, dim=0) for logits_k in self.logits_K.split(self.counts)
        ]
        return torch.cat(columns)[samples + self.first_D].sum(1)

    def loss(self, samples: Tensor, stream: torch.Generator) -> Tensor:  # noqa: ARG002 - same
        """Return the mean negative log-likelihood of `codes_ND`."""
        return -self.log_likelihood(samples).mean()


def build_independent(
    config: ResolvedConfig,
    codec: CodeCounts,
    stream: torch.Generator,  # noqa: ARG001 - a builder
) -> Networks:
    """Return the generator; every code starts as likely as every other of its column."""
    return Networks(Independent(codec.code_counts, config.latent), None)
