"""A made-up daily panel: items of shops, with weekdays, sticky prices, promotions, a stock."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from gan.modalities import Options, Splits
from gan.series.evaluation.evaluate import SeriesReference
from gan.series.judge import build_reference
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, Step, lengths_of, steps_of, to_nested

KINDS = ("city", "mall", "beach", "depot")
WEEK = np.array(
    [
        [1.0, 0.9, 0.9, 1.0, 1.3, 1.8, 0.6],
        [1.2, 1.1, 1.0, 1.0, 1.1, 0.5, 0.3],
        [0.7, 0.7, 0.8, 1.0, 1.5, 1.9, 1.6],
        [1.0] * 7,
    ]
)
METADATA = SeriesMetadata(
    entity=Column(name="item", kind="key", form="I99999"),
    time=Column(name="day", kind="date"),
    statics=(Column(name="shop", kind="category"), Column(name="size", kind="float")),
    variables=(
        Column(name="units", kind="integer"),
        Column(name="price", kind="float"),
        Column(name="promotion", kind="boolean"),
        Column(name="stock", kind="integer"),
    ),
    order=("item", "shop", "size", "day", "units", "price", "promotion", "stock"),
    step=Step(count=1, unit="days"),
)


def make_item(rng: np.random.Generator) -> dict[str, object]:
    """Return one item: its shop, and units, price, promotion and stock of every day."""
    shop, steps = int(rng.integers(4)), int(rng.integers(28, 57))
    level = float(np.exp(rng.normal([1.5, 2.5, 1.0, 3.0][shop], 0.9)))
    base, mood, left = round(float(np.exp(rng.normal(1.5, 0.6))), 2), 0.0, 0
    stock, start = level * 10, int(rng.integers(0, 120))
    days = np.datetime64("2025-01-06") + start + np.arange(steps)
    found: dict[str, list] = {name: [] for name in ("units", "price", "promotion", "stock")}
    for t in range(steps):
        mood = 0.85 * mood + rng.normal(0, 0.15)
        left = left - 1 if left > 0 else int(rng.integers(3, 8)) if rng.random() < 0.06 else 0
        if rng.random() < 0.02:
            base = round(base * float(rng.choice([0.95, 1.05, 1.1])), 2)
        mean = level * WEEK[shop, (start + t) % 7] * np.exp(mood) * (1.8 if left else 1.0)
        units = min(int(rng.poisson(mean)), int(stock))
        stock -= units
        if stock < 3 * level and rng.random() < 0.4:
            stock += int(12 * level)
        values = (units, round(base * (0.8 if left else 1.0), 2), left > 0, int(stock))
        for name, value in zip(found, values, strict=True):
            found[name].append(value)
    return {"shop": KINDS[shop], "size": float(np.log(level)), "day": days, **found}


@cache
def make_panel(items: int, seed: int) -> pa.Table:
    """Return so many items as nested records."""
    rng = np.random.default_rng(seed)
    made = [make_item(rng) for _ in range(items)]
    entities = pa.table(
        {
            "item": [f"I{number:05d}" for number in range(items)],
            "shop": [one["shop"] for one in made],
            "size": [one["size"] for one in made],
        }
    )
    names = ("day", "units", "price", "promotion", "stock")
    steps = pa.table({name: np.concatenate([one[name] for one in made]) for name in names})
    steps = steps.set_column(0, "day", steps["day"].cast(pa.date32()))
    return to_nested(entities, steps, np.array([len(one["day"]) for one in made]), METADATA)


@dataclass(frozen=True)
class Panel:
    """A panel in four shares; nobody has seen the last one."""

    train: pa.Table
    validation: pa.Table
    holdout: pa.Table
    unseen: pa.Table

    @property
    def splits(self) -> Splits:
        """What a judge is given."""
        return Splits(
            train=self.train, validation=self.validation, holdout=self.holdout, label="shop"
        )


def share_panel(records: pa.Table, seed: int) -> Panel:
    """Return two fifths as train, and a fifth each of the others."""
    order = np.random.default_rng(seed).permutation(records.num_rows)
    fifth = records.num_rows // 5
    cuts = [2 * fifth, 3 * fifth, 4 * fifth, 5 * fifth]
    return Panel(*(records.take(part) for part in np.split(order, cuts)[:4]))


@cache
def few_items() -> tuple[Panel, SeriesReference]:
    """Return a small panel, and what its real items reach: the same in every test."""
    panel = share_panel(make_panel(400, 0), 0)
    return panel, build_reference(panel.splits, Options(halves=20, replicates=20))


def replaced_steps(records: pa.Table, metadata: SeriesMetadata, **columns: object) -> pa.Table:
    """Return records with other values of some columns of all steps, lengths as they were."""
    steps, lengths_N = steps_of(records, metadata), lengths_of(records, metadata)
    for name, values in columns.items():
        place, kind = steps.column_names.index(name), steps[name].type
        steps = steps.set_column(place, name, pa.chunked_array([pa.array(values).cast(kind)]))
    return to_nested(_entities(records, metadata), steps, lengths_N, metadata)


def cut_steps(
    records: pa.Table, metadata: SeriesMetadata, kept_T: np.ndarray, lengths_N: np.ndarray
) -> pa.Table:
    """Return records of some of the steps, in the order that is given."""
    steps = steps_of(records, metadata).take(pa.array(kept_T))
    return to_nested(_entities(records, metadata), steps, lengths_N, metadata)


def _entities(records: pa.Table, metadata: SeriesMetadata) -> pa.Table:
    return records.select([metadata.entity.name, *(one.name for one in metadata.statics)])


def places_of(records: pa.Table, metadata: SeriesMetadata) -> tuple[np.ndarray, np.ndarray]:
    """Return the entity and the place in it of every step."""
    lengths_N = lengths_of(records, metadata)
    first_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]])
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    return entity_T, np.arange(len(entity_T)) - first_N[entity_T]
