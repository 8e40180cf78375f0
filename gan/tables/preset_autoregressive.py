"""The numbers of the `autoregressive` preset, by columns, training rows and device."""

from dataclasses import dataclass

from gan.device import Precision, fast_bfloat16
from gan.tables.networks.masked_layout import TableCodec


@dataclass(frozen=True, kw_only=True)
class AutoregressivePreset:
    """What the preset chooses of `ResolvedConfig`; field names are the same there."""

    network: dict[str, int | float | str]
    batch_size: int
    learning_rate: float
    learning_rate_end: float
    beta1: float
    beta2: float
    weight_decay: float
    ema_half_life_samples: int
    ema_ramp: float
    budget_samples: int
    """When the recipe leaves it to the preset."""
    tick_samples: int
    patience_samples: int
    sampling_batch: int
    precision: Precision
    threads: int = 1


def autoregressive(codec: TableCodec, train_rows: int, device: str) -> AutoregressivePreset:
    """Return the numbers for a table of this size."""
    columns = len(codec.columns)
    batch = 512 if train_rows >= 4096 else max(2, min(128, train_rows // 4))
    budget = max(30 * train_rows, 200_000)
    tick = max(budget // 20 // batch, 1) * batch
    return AutoregressivePreset(
        network={
            "kind": "autoregressive",
            "width": max(8, min(32, 1024 // columns)),
            "trunk": 64,
            "depth": 2,
            "dropout": 0.1,
        },
        batch_size=batch,
        learning_rate=2e-3,
        learning_rate_end=1e-4,
        beta1=0.9,
        beta2=0.99,
        weight_decay=0.01,
        ema_half_life_samples=50_000,
        ema_ramp=0.1,
        budget_samples=budget,
        tick_samples=tick,
        patience_samples=5 * tick,
        sampling_batch=4096,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
    )
