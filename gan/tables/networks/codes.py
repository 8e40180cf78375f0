"""What generators share that give every column a distribution over its codes.

Shapes: N rows, D columns, K codes of all columns side by side, k codes of one column, Z latent,
C conditions.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gan.protocols import Draw, Generator


class CodeCounts(Protocol):
    """What these networks ask of a codec."""

    @property
    def code_counts(self) -> tuple[int, ...]:
        """Codes of every column."""

    @property
    def label_column(self) -> int | None:
        """Which column is the label."""


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


def one_hot(codes_ND: Tensor, counts: Sequence[int]) -> Tensor:
    """Return `reals_NK`: one 1 in each column's block of codes."""
    first_D = torch.tensor([0, *counts[:-1]], device=codes_ND.device).cumsum(0)
    reals_NK = torch.zeros(len(codes_ND), sum(counts), device=codes_ND.device)
    return reals_NK.scatter_(1, codes_ND + first_D, 1.0)


def fill_packs(rows: int, pack: int) -> Tensor:
    """Return row numbers that fill whole packs: all of them, then the first ones again."""
    return torch.arange(-(-rows // pack) * pack) % rows


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
