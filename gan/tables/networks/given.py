"""What the adversarial generators share: columns that are given are an input of the network.

Shapes: N rows, D columns, K codes of all columns side by side, Z latent.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan.tables.networks.codes import CodeGenerator, draw_codes, one_hot


class GivenGenerator(CodeGenerator):
    """Draws codes given the exact codes of some columns.

    A range, or several values, becomes an exact code first: one of those allowed, as often as it
    occurs in train. For one such column that is the distribution of train under the condition; for
    several together it is not, because each is drawn by itself.
    """

    seen_K: Tensor

    def __init__(self, counts: Sequence[int], latent: int, *, uniforms: int) -> None:
        super().__init__(counts, latent, uniforms=uniforms)
        self.register_buffer("seen_K", torch.zeros(sum(counts), dtype=torch.float64, device="cpu"))

    def count(self, reals_NK: Tensor) -> None:
        """Add the codes of training rows to what is known of their frequencies."""
        self.seen_K += reals_NK.detach().sum(0)

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
        exact_NK = normal_NZ.new_zeros(len(normal_NZ), sum(self.counts))
        none_ND = torch.zeros(
            len(normal_NZ), len(self.counts), dtype=torch.bool, device=normal_NZ.device
        )
        logits_NK = self.draw_logits(normal_NZ, self.inputs(exact_NK, none_ND, uniforms_NU))
        return draw_codes(logits_NK, uniforms_NU[:, : len(self.counts)], self.counts)

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
