"""The optimisers. A new one is a function and an entry of `OPTIMIZERS`.

Every optimiser's state exists from the start, so that a checkpoint has the same tensors at any
time and a training resumes to the bit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from gan.config import ResolvedConfig

ADAMW_DECAY = 0.01
"""Weight decay of `adamw` where the preset has none: the default of its paper's authors."""
SGD_MOMENTUM = 0.9
RMSPROP_SMOOTHING = 0.99
DECAY = "first_decay"
"""Key of a group's weight decay while weights decay at all."""


class OptimizerKind(NamedTuple):
    """An optimiser of `OPTIMIZERS`."""

    build: Callable[[list[dict[str, Any]], ResolvedConfig], torch.optim.Optimizer]
    summary: str
    source: str
    decay: float = 0.0
    """Weight decay where the preset has none."""


Groups = list[dict[str, Any]]


def adam(groups: Groups, config: ResolvedConfig) -> torch.optim.Optimizer:
    """Return a fused Adam; weights decay apart from the gradients."""
    return torch.optim.Adam(
        groups,
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        decoupled_weight_decay=True,
        fused=True,
    )


def rmsprop(groups: Groups, config: ResolvedConfig) -> torch.optim.Optimizer:
    """Return RMSprop without momentum."""
    return torch.optim.RMSprop(
        groups, lr=config.learning_rate, alpha=RMSPROP_SMOOTHING, foreach=True
    )


def sgd(groups: Groups, config: ResolvedConfig) -> torch.optim.Optimizer:
    """Return a fused stochastic gradient descent with momentum."""
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=SGD_MOMENTUM, fused=True)


OPTIMIZERS: dict[str, OptimizerKind] = {
    "adam": OptimizerKind(
        adam, "Adaptive moments; the preset's betas.", "Kingma and Ba (2015), algorithm 1"
    ),
    "adamw": OptimizerKind(
        adam,
        f"Adam whose weights decay apart from the gradients, by {ADAMW_DECAY:g} if not otherwise.",
        "Loshchilov and Hutter (2019), algorithm 2",
        decay=ADAMW_DECAY,
    ),
    "rmsprop": OptimizerKind(
        rmsprop,
        "Gradients divided by their running root mean square, without momentum.",
        "Hinton, lecture 6e (2012)",
    ),
    "sgd": OptimizerKind(
        sgd,
        f"Stochastic gradient descent with momentum {SGD_MOMENTUM:g}.",
        "Sutskever et al. (2013), eq. 1 and 2",
    ),
}
"""`ResolvedConfig.optimizer` → optimiser."""


def build_optimizer(network: nn.Module, config: ResolvedConfig) -> torch.optim.Optimizer:
    """Return a network's optimiser with its whole state, all zero. Matrices alone decay."""
    kind = OPTIMIZERS[config.optimizer]
    decay = config.weight_decay or kind.decay
    groups: Groups = [{"params": list(network.parameters())}]
    if decay:
        matrices = [weights for weights in network.parameters() if weights.dim() > 1]
        others = [weights for weights in network.parameters() if weights.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": decay, DECAY: decay}, {"params": others}]
    optimizer = kind.build([group for group in groups if group["params"]], config)
    _fill_state(optimizer)
    return optimizer


@torch.no_grad()
def _fill_state(optimizer: torch.optim.Optimizer) -> None:
    """Make the state that a first step would make, and set it to zero: weights stay as they are."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for weights in group["params"]:
            weights.grad = torch.zeros_like(weights)
    optimizer.step()
    optimizer.zero_grad()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        for weights in group["params"]:
            for value in optimizer.state[weights].values():
                if isinstance(value, torch.Tensor):
                    value.zero_()
