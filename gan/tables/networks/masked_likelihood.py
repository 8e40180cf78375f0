"""The likelihood of codes under conditions, with its gradient.

Shapes: N rows, D columns in the network's order, K codes of all columns side by side, J codes of
one column, M rows whose set of a column has several codes.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gan.tables.networks.masked_conditions import Sets


def log_probabilities(logits_NK: Tensor, codes_ND: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Return log p(code) of every column under no condition, (N, D)."""
    columns = zip(logits_NK.split(counts, dim=1), codes_ND.unbind(1), strict=True)
    picked = [
        -functional.cross_entropy(logits_NJ, codes_N, reduction="none")
        for logits_NJ, codes_N in columns
    ]
    return torch.stack(picked, dim=1)


def negative_log_likelihood(
    logits_NK: Tensor, codes_ND: Tensor, sets: Sets, counts: tuple[int, ...]
) -> Tensor:
    """Return the mean nats per row under conditions: in every column the allowed codes share 1.

    Args:
        logits_NK: of any code; lost, for they are overwritten.
        codes_ND: of the rows.
        sets: hold for these rows.
        counts: codes of each column.
    """
    loss: Tensor = _Likelihood.apply(logits_NK, codes_ND, sets, counts)  # type: ignore[no-untyped-call]
    return loss


class _Likelihood(torch.autograd.Function):
    """Σ over columns of -log softmax; d/d logits = softmax - onehot, kept from the way forward."""

    @staticmethod
    def forward(
        ctx: Any, logits_NK: Tensor, codes_ND: Tensor, sets: Sets, counts: tuple[int, ...]
    ) -> Tensor:
        """Return the mean over the rows, and keep the gradient in place of the logits."""
        free_ND = (sets.high_ND - sets.low_ND > 1).to(logits_NK.dtype)
        several_ND = sets.given_ND & (free_ND > 0)
        total = logits_NK.new_zeros(())
        gradient_NK, first = logits_NK.detach(), 0
        for column, codes in enumerate(counts):
            part = slice(first, first + codes)
            chosen_N1, free_N1 = codes_ND[:, column, None], free_ND[:, column, None]
            logits_NJ = gradient_NK[:, part]
            _rule_out(logits_NJ, sets.ranks_K[part], column, sets, several_ND[:, column])
            logs_NJ = logits_NJ.log_softmax(1)
            total -= (logs_NJ.gather(1, chosen_N1) * free_N1).sum()
            shares_NJ = logs_NJ.exp_().mul_(free_N1 / len(codes_ND))
            shares_NJ.scatter_add_(1, chosen_N1, free_N1 / -len(codes_ND))
            logits_NJ.copy_(shares_NJ)
            first += codes
        ctx.save_for_backward(gradient_NK)
        return total / len(codes_ND)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the logits alone."""
        (gradient_NK,) = ctx.saved_tensors
        return gradient_NK * above[0], None, None, None


def _rule_out(
    logits_NJ: Tensor, ranks_J: Tensor, column: int, sets: Sets, several_N: Tensor
) -> None:
    """Write minus infinity where a set of several codes does not allow one, in place."""
    rows_M = several_N.nonzero()[:, 0]
    low_M1, high_M1 = sets.low_ND[rows_M, column, None], sets.high_ND[rows_M, column, None]
    forbidden_MJ = (ranks_J < low_M1) | (ranks_J >= high_M1)
    logits_NJ[rows_M] = logits_NJ[rows_M].masked_fill(forbidden_MJ, -torch.inf)
