"""A small panel that is made up, of no real shop: what `example:shops` opens.

Items of shops, day by day. Each kind of shop has its week, each item its level that drifts; prices
stay until they are changed, promotions come in runs of days and lower them, what is sold leaves the
stock, which is filled up when it runs low. Seeded: the same rows everywhere.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from storage.digests import sha256_hex
from storage.sources.builder import Source
from storage.sources.config import SourceConfig
from storage.sources.series.source import SeriesSource
from storage.sources.split import row_digests
from storage.sources.tables.examples import ExampleTable

ITEMS: Final = 600
_SEED: Final = 20_260_105
_FIRST_DAY: Final = 20_458
"""A Monday, in days since 1970-01-01."""
_KINDS: Final = ("city", "mall", "beach", "depot")
_LEVELS: Final = (1.6, 2.4, 1.1, 2.9)
"""Logarithm of what an item of each kind of shop sells on a day."""
_WEEKS: Final = np.array(
    [
        [1.0, 0.9, 0.9, 1.0, 1.3, 1.8, 0.6],
        [1.2, 1.1, 1.0, 1.0, 1.1, 0.5, 0.3],
        [0.7, 0.7, 0.8, 1.0, 1.5, 1.9, 1.6],
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    ]
)
"""Of each kind of shop, from Monday."""


def make_shops() -> pa.Table:
    """Return the rows, in long form: 600 items of 28 to 56 days."""
    rng = np.random.default_rng(_SEED)
    columns: dict[str, list[Any]] = {name: [] for name in ("item", "shop", "date")}
    columns |= {name: [] for name in ("units", "price", "promotion", "stock")}
    for item in range(ITEMS):
        kind, days = int(rng.integers(len(_KINDS))), int(rng.integers(28, 57))
        start = _FIRST_DAY + int(rng.integers(0, 120))
        found = _item(rng, kind, (start - _FIRST_DAY) % 7, days)
        columns["item"] += [f"item-{item:06}"] * days
        columns["shop"] += [_KINDS[kind]] * days
        columns["date"] += range(start, start + days)
        for name, values in found.items():
            columns[name] += values
    types = {"date": pa.int32(), "units": pa.int32(), "stock": pa.int32()}
    arrays = {name: pa.array(values, types.get(name)) for name, values in columns.items()}
    return pa.table(arrays | {"date": arrays["date"].cast(pa.date32())})


def _item(rng: np.random.Generator, kind: int, weekday: int, days: int) -> dict[str, list[Any]]:
    """Return what one item does in so many days."""
    level = float(np.exp(rng.normal(_LEVELS[kind], 0.8)))
    price = round(float(np.exp(rng.normal(1.5, 0.6))), 2)
    drift, left, stock = 0.0, 0, int(level * 10) + 5
    found: dict[str, list[Any]] = {"units": [], "price": [], "promotion": [], "stock": []}
    for day in range(days):
        drift = 0.85 * drift + rng.normal(0, 0.15)
        begins = left == 0 and rng.random() < 0.06
        left = int(rng.integers(3, 9)) if begins else max(left - 1, 0)
        if rng.random() < 0.02:
            price = round(price * float(rng.choice([0.95, 1.05, 1.1])), 2)
        wanted = level * _WEEKS[kind, (weekday + day) % 7] * np.exp(drift) * (1.8 if left else 1)
        units = min(int(rng.poisson(wanted)), stock)
        stock -= units
        if stock < 3 * level and rng.random() < 0.4:
            stock += int(12 * level) + 1
        found["units"].append(units)
        found["price"].append(round(price * 0.8, 2) if left else price)
        found["promotion"].append(left > 0)
        found["stock"].append(stock)
    return found


class ExampleSeries(SeriesSource):
    """One of `SERIES_EXAMPLES`, which knows whose steps its rows are and when."""

    def __init__(self, uri: str, table: pa.Table, entity: str, time: str) -> None:
        super().__init__(
            SourceConfig(uri=uri, label=None, entity=entity, time=time), ExampleTable(uri, table)
        )
        self._table = table

    @cached_property
    def digest(self) -> str:
        """Digest of names, types and values."""
        values = row_digests(self._table, self._table.column_names).tobytes()
        return sha256_hex(str(self._table.schema).encode() + values)


SERIES_EXAMPLES: Final[Mapping[str, Callable[[str], Source]]] = {
    "example:shops": lambda uri: ExampleSeries(uri, make_shops(), "item", "date"),
}
"""Made up, and said to be."""
