"""The numbers of the `autoregressive` preset, by columns, training rows and device."""

from gan.device import fast_bfloat16
from gan.tables.codec import TableCodec
from gan.tables.preset import Preset


def autoregressive(codec: TableCodec, device: str, train_rows: int) -> Preset:
    """Return the numbers for a table of this size."""
    columns = len(codec.columns)
    batch = 256 if train_rows >= 4096 else max(2, min(128, train_rows // 4))
    return Preset(
        objective="likelihood",
        network={
            "kind": "autoregressive",
            "width": max(8, min(32, 1024 // max(columns, 1))),
            "trunk": 64,
            "depth": 2,
            "dropout": 0.0,
        },
        batch_size=batch,
        learning_rate=2e-3,
        rate_fall=0.05,
        beta1=0.9,
        beta2=0.99,
        weight_decay=min(max(26_000 / train_rows, 0.1), 3.0),
        ema_half_life_samples=50_000,
        ema_ramp=0.1,
        budget_samples=max(min(400_000, 60 * train_rows), 4 * train_rows),
        ticks=20,
        patience_ticks=5,
        sampling_batch=4096,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
    )
