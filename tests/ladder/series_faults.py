"""What can be wrong with series, done to real entities that nobody has seen; and two baselines."""

import numpy as np
import pyarrow as pa

from storage.records.series import SeriesMetadata, lengths_of, steps_of
from tests.gan.series.panel import METADATA, Panel, cut_steps, places_of, replaced_steps

Made = pa.Table
VALUES = ("units", "price", "promotion", "stock")


def values_of(records: pa.Table, metadata: SeriesMetadata = METADATA) -> dict[str, np.ndarray]:
    steps = steps_of(records, metadata)
    return {name.name: steps[name.name].to_numpy() for name in metadata.variables}


def ordered(records: pa.Table, order_T: np.ndarray) -> pa.Table:
    """Return records with the values of every step taken from another step, moments as they are."""
    values = {name: column[order_T] for name, column in values_of(records).items()}
    return replaced_steps(records, METADATA, **values)


def shuffled(panel: Panel, rng) -> Made:
    """Every entity has its own values, in any order."""
    entity_T, _ = places_of(panel.unseen, METADATA)
    return ordered(panel.unseen, np.lexsort((rng.random(len(entity_T)), entity_T)))


def reversed_time(panel: Panel, rng) -> Made:
    entity_T, place_T = places_of(panel.unseen, METADATA)
    return ordered(panel.unseen, np.lexsort((-place_T, entity_T)))


def swapped(panel: Panel, rng) -> Made:
    """Each item has the price of another one: every variable is right, none belongs to another."""
    records = panel.unseen
    lengths_N = lengths_of(records, METADATA)
    price = steps_of(records, METADATA)["price"].to_numpy()
    first_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]])
    other_N = rng.permutation(len(lengths_N))
    parts = [
        price[first_N[o] + np.minimum(np.arange(length), lengths_N[o] - 1)]
        for o, length in zip(other_N, lengths_N, strict=True)
    ]
    return replaced_steps(records, METADATA, price=np.concatenate(parts))


def smoothed(panel: Panel, rng) -> Made:
    """Units are a mean over five days."""
    records = panel.unseen
    units = steps_of(records, METADATA)["units"].to_numpy().astype(float)
    found, start = [], 0
    for length in lengths_of(records, METADATA):
        padded = np.pad(units[start : start + length], 2, mode="edge")
        found.append(np.convolve(padded, np.full(5, 0.2), mode="valid"))
        start += length
    return replaced_steps(records, METADATA, units=np.round(np.concatenate(found)).astype(int))


def frozen(panel: Panel, rng) -> Made:
    """Nothing changes any more after half of the time."""
    records = panel.unseen
    entity_T, place_T = places_of(records, METADATA)
    half_T = lengths_of(records, METADATA)[entity_T] // 2
    return ordered(records, np.arange(len(place_T)) - np.maximum(0, place_T - half_T))


def cut(panel: Panel, rng) -> Made:
    """Entities end after two thirds of their time."""
    records = panel.unseen
    entity_T, place_T = places_of(records, METADATA)
    kept_N = 2 * lengths_of(records, METADATA) // 3
    return cut_steps(records, METADATA, np.flatnonzero(place_T < kept_N[entity_T]), kept_N)


def shifted_copies(share: float):
    def make(panel: Panel, rng) -> Made:
        """Training items without their first days; the others are real."""
        count = round(share * panel.unseen.num_rows)
        train = panel.train.take(rng.permutation(panel.train.num_rows)[:count])
        lengths_N = lengths_of(train, METADATA)
        entity_T, place_T = places_of(train, METADATA)
        lost_N = rng.integers(2, 9, len(lengths_N))
        copied = cut_steps(
            train, METADATA, np.flatnonzero(place_T >= lost_N[entity_T]), lengths_N - lost_N
        )
        return pa.concat_tables([copied, panel.unseen.slice(count)])

    return make


def copies(panel: Panel, rng) -> Made:
    return panel.train.take(rng.permutation(panel.train.num_rows)[: panel.unseen.num_rows])


def noisy_copies(panel: Panel, rng) -> Made:
    """Training items, units and stock one off here and there."""
    train = copies(panel, rng)
    values = values_of(train)
    for name in ("units", "stock"):
        values[name] = np.maximum(0, values[name] + rng.integers(-1, 2, len(values[name])))
    return replaced_steps(train, METADATA, **values)


def collapsed(panel: Panel, rng) -> Made:
    return panel.unseen.take(rng.integers(0, 20, panel.unseen.num_rows))


def block_bootstrap(panel: Panel, rng) -> Made:
    """Weeks of any training items one after the other (Künsch 1989)."""
    records, block = panel.unseen, 7
    lengths_N = lengths_of(panel.train, METADATA)
    first_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]])
    order = []
    for length in lengths_of(records, METADATA):
        parts: list[int] = []
        while len(parts) < length:
            item = int(rng.integers(len(lengths_N)))
            start = int(rng.integers(lengths_N[item] - block))
            parts += range(first_N[item] + start, first_N[item] + start + block)
        order += parts[:length]
    values = {name: column[np.array(order)] for name, column in values_of(panel.train).items()}
    return replaced_steps(records, METADATA, **values)


def independent(panel: Panel, rng) -> Made:
    """Every step is one of any training item."""
    steps = sum(lengths_of(panel.unseen, METADATA))
    values = values_of(panel.train)
    order = rng.integers(0, len(values["units"]), steps)
    return replaced_steps(
        panel.unseen, METADATA, **{name: column[order] for name, column in values.items()}
    )


def off_step(panel: Panel, rng) -> Made:
    """One day is missing in every item."""
    records = panel.unseen
    lengths_N = lengths_of(records, METADATA)
    _, place_T = places_of(records, METADATA)
    return cut_steps(records, METADATA, np.flatnonzero(place_T != 5), lengths_N - 1)


def other_start(panel: Panel, rng) -> Made:
    """Everything happens a quarter later."""
    days = steps_of(panel.unseen, METADATA)["day"].to_numpy() + np.timedelta64(13 * 7, "D")
    return replaced_steps(panel.unseen, METADATA, day=days)


def wrong_weekday(panel: Panel, rng) -> Made:
    """Everything happens three days later."""
    days = steps_of(panel.unseen, METADATA)["day"].to_numpy() + np.timedelta64(3, "D")
    return replaced_steps(panel.unseen, METADATA, day=days)


LADDER = {
    "order shuffled": (shuffled, {"autocorrelation", "c2st"}, {"exact_copies", "copies", "length"}),
    "time reversed": (reversed_time, {"c2st"}, {"exact_copies", "copies", "length", "start"}),
    "prices of others": (swapped, {"cross_correlation"}, {"exact_copies", "length", "start"}),
    "smoothed": (smoothed, {"autocorrelation"}, {"exact_copies", "length", "start"}),
    "frozen after half": (frozen, {"unchanged", "c2st"}, {"exact_copies", "length", "start"}),
    "other length": (cut, {"length"}, {"exact_copies", "copies", "unchanged"}),
    "copies": (copies, {"exact_copies", "copies"}, {"coverage", "c2st", "one_way"}),
    "shifted copies": (shifted_copies(1.0), {"copies"}, {"coverage", "one_way"}),
    "half shifted copies": (shifted_copies(0.5), {"copies"}, {"coverage", "one_way"}),
    "noisy copies": (noisy_copies, {"copies"}, {"exact_copies", "coverage"}),
    "collapse": (collapsed, {"coverage", "repeats"}, {"exact_copies", "copies"}),
    "blocks of weeks": (block_bootstrap, {"autocorrelation", "c2st"}, {"exact_copies", "length"}),
    "independent steps": (independent, {"autocorrelation", "coverage", "c2st"}, {"exact_copies"}),
    "a day missing": (off_step, {"validity"}, {"exact_copies", "copies", "unchanged"}),
    "a quarter later": (other_start, {"start"}, {"exact_copies", "copies", "unchanged"}),
    "another weekday": (wrong_weekday, {"seasonality"}, {"exact_copies", "copies", "unchanged"}),
}
"""Name → how it is made, the metrics that must block it, the metrics that must not."""
