"""What a preset of the tables modality consists of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gan.device import Precision
from gan.tables.codec import TableCodec


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The numbers of one preset for one table and one kind of device."""

    objective: Literal["adversarial", "likelihood", "memorise"]
    network: dict[str, int | float | str]
    """Of the generator and the discriminator; `kind` is the name in `networks.BUILDERS`."""
    batch_size: int
    learning_rate: float
    rate_fall: float = 0.1
    """The learning rate ends at this share of its start."""
    beta1: float = 0.0
    beta2: float = 0.99
    weight_decay: float = 0.0
    latent: int = 1
    gamma: float | None = None
    """None: there is no discriminator whose gradients could be punished."""
    gamma_fall: float = 0.1
    loss: str = "relativistic"
    penalty: str = "r1-r2"
    terms: Mapping[str, float] = field(default_factory=dict)
    ema_half_life_samples: int = 10_000
    ema_ramp: float = 0.05
    budget_samples: int = 400_000
    """When the recipe leaves it to the preset; where it names only seconds, it spaces the ticks."""
    ticks: int = 14
    """Maintenances per budget."""
    patience_ticks: int = 10
    """Ticks without a better snapshot before training stops."""
    one_epoch: bool = False
    """More samples than there are rows change nothing."""
    sampling_batch: int = 1_024
    precision: Precision = "float32"
    threads: int = 1
    notes: tuple[str, ...] = ()
    """Why these numbers, one plain sentence each."""


Builder = Callable[[TableCodec, str, int], Preset]
"""From the codec, the device (`cpu` or `cuda`) and the number of training rows."""
