"""A table of which every conditional distribution is known, and a generator trained on it."""

import numpy as np
from small_tables import with_meaning

from gan.config import GeneratorConfig, TrainingConfig
from gan.modalities import load_modality
from gan.sample import Sampler
from gan.training.loop import train

ROWS = 1500
LANDS = {"Bonn": "DE", "Kiel": "DE", "Rome": "IT", "Pisa": "IT"}


def truth(rows, seed=0):
    """Rows of which every conditional distribution is known.

    kind is x (.5), y (.3) or z (.2); size is normal around 0, 10 and 20; works is true in .9, .5
    and .1 of the rows; low <= high = low + 0 to 4; total = low + high, area = total * high; city
    fixes land; large is whether size is 15 or more.
    """
    numbers = np.random.default_rng(seed)
    kind = numbers.choice(3, rows, p=[0.5, 0.3, 0.2])
    low = numbers.integers(0, 5, rows)
    high = low + numbers.integers(0, 5, rows)
    city = numbers.choice(list(LANDS), rows)
    size = (10 * kind + numbers.normal(0, 1, rows)).round(2)
    return {
        "kind": np.array(["x", "y", "z"])[kind],
        "size": size,
        "works": numbers.random(rows) < np.array([0.9, 0.5, 0.1])[kind],
        "low": low,
        "high": high,
        "total": low + high,
        "city": city,
        "land": [LANDS[one] for one in city],
        "id": [f"K{n:05}" for n in range(rows)],
        "area": (low + high) * high,
        "large": np.where(size >= 15, "yes", "no"),
    }


RULES = [
    {"kind": "inequality", "columns": ["low", "high"]},
    {"kind": "sum", "columns": ["total", "low", "high"]},
    {"kind": "combinations", "columns": ["city", "land"]},
    {"kind": "product", "columns": ["area", "total", "high"]},
    {"kind": "band", "columns": ["large", "size"], "cuts": [15.0], "levels": ["no", "yes"]},
]


def train_on_truth(folder):
    """Train the default generator; it takes some seconds."""
    records = with_meaning(
        truth(ROWS), constraints=RULES, min_group=5, kinds={"id": "key"}, forms={"id": "A99999"}
    )
    module = load_modality("tables")
    codec = module.codec.fit(records, "kind")
    config = module.resolve(
        GeneratorConfig(preset="autoregressive"),
        TrainingConfig(budget_samples=90_000, device="cpu"),
        codec,
        train_rows=ROWS,
        seed=0,
    )
    train(config, codec, records, folder)


def load_trained(folder):
    """Return a sampler of what was trained into this folder."""
    return Sampler.load(folder / "snapshot")
