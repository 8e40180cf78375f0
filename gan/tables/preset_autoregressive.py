"""The numbers of the `autoregressive` preset, by columns, training rows and device."""

from gan.device import fast_bfloat16
from gan.tables.codec import TableCodec
from gan.tables.preset import Preset


def autoregressive(codec: TableCodec, device: str, train_rows: int) -> Preset:
    """Return the numbers for a table of this size."""
    columns = len(codec.columns)
    batch = 512 if train_rows >= 4096 else max(2, min(128, train_rows // 4))
    return Preset(
        objective="likelihood",
        network={
            "kind": "autoregressive",
            "width": max(8, min(32, 1024 // max(columns, 1))),
            "trunk": 64,
            "depth": 2,
            "dropout": 0.1,
        },
        batch_size=batch,
        learning_rate=2e-3,
        rate_fall=0.05,
        beta1=0.9,
        beta2=0.99,
        weight_decay=0.01,
        ema_half_life_samples=50_000,
        ema_ramp=0.1,
        budget_samples=max(30 * train_rows, 200_000),
        ticks=20,
        patience_ticks=5,
        sampling_batch=4096,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
    )
