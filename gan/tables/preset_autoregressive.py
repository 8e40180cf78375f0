"""The numbers of the `autoregressive` preset, by columns, training rows and device."""

import math

from gan.device import fast_bfloat16
from gan.tables.codec import TableCodec
from gan.tables.preset import Preset

UNITS_PER_COLUMN, MOST_UNITS = 18, 512
"""Hidden units of a layer: enough for every column, and few enough to sample quickly."""

MANY_CODES, MOST_UNITS_WITH_MORE = 64, 384
"""Columns of so many codes get a second share of units, while all have no more than that."""

DECAY_ROWS, LARGEST_DECAY = 18_000, 4.0
"""Weight decay is DECAY_ROWS / rows: weights forget over an equal number of epochs in tables of any
size (Wang and Aitchison, "How to set AdamW's weight decay as you scale model and dataset size",
2024), which keeps small tables from being learnt by heart. Early stopping alone does not."""

DROPOUT, LARGEST_DROPOUT = 16.0, 0.2
"""The share of hidden units that are dropped in training is DROPOUT / square root of the rows: what
units learn from few rows is mostly noise. More than LARGEST_DROPOUT blurs what conditions say."""

LABEL_UNITS, LABEL_DROPOUT = 64, 0.4
"""Units that the label gets beside its share, for it is what models will predict; they see all
columns and would learn few rows by heart."""

TICKS, TICK_EPOCHS, LEAST_TICK_SAMPLES = 20, 4, 1_024
"""At least so many ticks in a budget, and a look at small tables every few epochs: they are learnt
by heart within some dozens."""

FEWEST_SAMPLES, MOST_SAMPLES, EPOCHS = 400_000, 1_200_000, 12


def autoregressive(codec: TableCodec, device: str, train_rows: int) -> Preset:
    """Return the numbers for a table of this size."""
    columns, many = len(codec.columns), sum(each.codes >= MANY_CODES for each in codec.columns)
    units = UNITS_PER_COLUMN * max(columns - 1, 1)
    more = min(units + UNITS_PER_COLUMN * many, MOST_UNITS_WITH_MORE)
    budget = min(max(EPOCHS * train_rows, FEWEST_SAMPLES), MOST_SAMPLES)
    decay = min(DECAY_ROWS / train_rows, LARGEST_DECAY)
    dropout = round(min(DROPOUT / math.sqrt(train_rows), LARGEST_DROPOUT), 3)
    return Preset(
        objective="likelihood",
        network={
            "kind": "autoregressive",
            "width": min(max(units, more), MOST_UNITS),
            "trunk": 64,
            "label_width": LABEL_UNITS,
            "depth": 2,
            "dropout": dropout,
            "label_dropout": max(dropout, LABEL_DROPOUT),
        },
        batch_size=256,
        learning_rate=3e-3,
        rate_fall=0.03,
        beta1=0.9,
        beta2=0.99,
        weight_decay=decay,
        ema_half_life_samples=50_000,
        ema_ramp=0.1,
        budget_samples=budget,
        ticks=max(TICKS, budget // max(TICK_EPOCHS * train_rows, LEAST_TICK_SAMPLES)),
        patience_ticks=14,
        sampling_batch=2_048,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
        notes=(f"weight decay {decay:.2g}, dropout {dropout:.2g}: {train_rows:,} training rows",),
    )
