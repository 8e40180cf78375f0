"""`bootstrap`: training rows drawn with replacement, a baseline that does nothing but copy.

Its weights ARE training rows: it is there to show that the gate blocks copies, never to publish.

Shapes: N rows, D columns, R training rows, K codes of all columns side by side, Z latent.
"""

import torch
from torch import Tensor

from gan.config import ResolvedConfig
from gan.protocols import Networks
from gan.tables.networks.adversarial import CodeCounts, CodeGenerator, draw_codes, one_hot

CERTAIN = 60.0
"""Logit of a row's own code over the others of its column."""


class Bootstrap(CodeGenerator):
    """Rows as they were, the position inside a code drawn anew.

    Under conditions a row is drawn from those that meet them all; when none does, from those that
    meet most, and the columns that fail get an allowed code.
    """

    rows_RD: Tensor
    kept: Tensor

    def __init__(self, counts: tuple[int, ...], latent: int, rows: int) -> None:
        super().__init__(counts, latent)
        self.register_buffer("rows_RD", torch.zeros(rows, len(counts), dtype=torch.int32))
        self.register_buffer("kept", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def memorise(self, samples: Tensor, position: int) -> None:
        """Keep `codes_ND`, the rows from a position on; what is beyond the first epoch is known."""
        new_ND = samples[: max(len(self.rows_RD) - position, 0)]
        self.rows_RD[position : position + len(new_ND)] = new_ND.int()
        self.kept.clamp_(min=position + len(new_ND))

    def draw_free(self, normal_NZ: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return rows as they were, and new positions."""
        rows_N = _choose(normal_NZ, self.known())
        return self.rows_RD[rows_N].long() + uniforms_NU.double()

    def draw_allowed(self, normal_NZ: Tensor, uniforms_NU: Tensor, allowed_NK: Tensor) -> Tensor:
        """Return rows that meet the most conditions, and allowed codes where they fail."""
        known_B, codes_RD = self.known(), self.rows_RD.long() + self.first_D
        conditions_CK, which_N = torch.unique(allowed_NK, dim=0, return_inverse=True)
        rows_N = torch.empty_like(which_N)
        for index, allowed_K in enumerate(conditions_CK):
            met_B = allowed_K[codes_RD[known_B]].sum(1)
            mine_N = which_N == index
            rows_N[mine_N] = _choose(normal_NZ[mine_N], known_B[met_B == met_B.max()])
        logits_NK = one_hot(self.rows_RD[rows_N].long(), self.counts) * CERTAIN
        return draw_codes(logits_NK.masked_fill(~allowed_NK, -torch.inf), uniforms_NU, self.counts)

    def known(self) -> Tensor:
        """Return the numbers of the rows that are kept."""
        return torch.arange(int(self.kept), device=self.kept.device)


def _choose(normal_NZ: Tensor, rows_B: Tensor) -> Tensor:
    """Return one of the rows for each normal number, every one as likely."""
    uniform_N = torch.special.ndtr(normal_NZ[:, 0].double()).clamp(0, 1 - 2**-40)
    return rows_B[(uniform_N * len(rows_B)).long()]


def build_bootstrap(
    config: ResolvedConfig,
    codec: CodeCounts,
    stream: torch.Generator,  # noqa: ARG001 - a builder
) -> Networks:
    """Return the generator, empty."""
    rows = int(config.network["rows"])
    return Networks(Bootstrap(codec.code_counts, config.latent, rows), None)
