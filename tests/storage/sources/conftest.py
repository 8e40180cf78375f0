"""Small sources in the forms that people have."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import csv

from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare
from storage.sources.prepared import Prepared

sys.path.insert(0, str(Path(__file__).parent))  # rule_search.py, shared by tests of rules

Encode = Callable[..., bytes]


def _encode(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """Encode uint8 or uint16 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind, **options)
    return sink.getvalue()


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Pixels to the bytes of a file."""
    return _encode


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """120 different grey images of 9 rows and 12 columns, uint8 (120, 9, 12, 1)."""
    return np.random.default_rng(0).integers(0, 256, (120, 9, 12, 1), np.uint8)


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write encoded images as `<root>/<class>/<number>.png`, or under the names given."""

    def make(images: Sequence[bytes], names: Sequence[str] = (), root: str = "images") -> Path:
        for number, data in enumerate(images):
            name = names[number] if names else f"{'abc'[number % 3]}/{number:04}.png"
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path / root

    return make


@pytest.fixture
def make_parquet(tmp_path: Path) -> Callable[..., Path]:
    """Write encoded images and further columns as one Parquet file."""

    def make(
        images: Sequence[bytes | None],
        *,
        name: str = "images.parquet",
        plain: bool = False,
        column: str = "image",
        **columns: object,
    ) -> Path:
        if plain:
            array = pa.array(images, pa.binary())
        else:
            rows = [None if data is None else {"bytes": data, "path": "x.png"} for data in images]
            array = pa.array(rows, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({column: array, **columns}), path, row_group_size=50)
        return path

    return make


def _people(rows: int, seed: int = 0) -> pa.Table:
    """A made-up table with a column of every plain type, and `id`, a number of the row."""
    rng = np.random.default_rng(seed)
    cities = np.array(["Aachen", "Bonn", "Celle", "Düren", "Erfurt"])
    income = np.round(rng.lognormal(10, 0.5, rows), 2)
    day = rng.integers(15_000, 20_000, rows)
    return pa.table(
        {
            "id": pa.array(rng.permutation(rows) + 10_000_000 * (seed + 1)),
            "age": pa.array(rng.integers(18, 90, rows)),
            "income": pa.array(income, mask=rng.random(rows) < 0.05),
            "city": pa.array(cities[rng.integers(0, 5, rows)]),
            "joined": pa.array(day.astype(np.int32), pa.date32()),
            "seen": pa.array(day * 86_400_000_000 + 3_600_000_000, pa.timestamp("us")),
            "member": pa.array(rng.random(rows) < 0.3),
            "churned": pa.array(np.where(rng.random(rows) < 0.4, "yes", "no")),
        }
    )


@pytest.fixture(scope="session")
def people() -> Callable[..., pa.Table]:
    """Rows of a table, different for every seed."""
    return _people


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Write a table as Parquet, or as CSV where the name says so."""

    def write(table: pa.Table, name: str = "table.parquet", **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            csv.write_csv(table, path)
        else:
            pq.write_table(table, path, **options)
        return path

    return write


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Prepared]:
    """Prepare a source given as an URI or path and the fields of its config."""

    def run(uri: str | Path, *, min_group: int = 10, profile: object = None, **fields: object):
        config = SourceConfig(uri=str(uri), **fields)
        return prepare(config, folder=tmp_path / "cache", min_group=min_group, profile=profile)

    return run


@pytest.fixture(scope="session")
def pixels_of() -> Callable[..., np.ndarray]:
    """All images of a prepared source, or of one split: uint8 (N, H, W, C)."""

    def pixels(prepared: Prepared, *splits: str) -> np.ndarray:
        tables = [prepared.records[name] for name in splits or prepared.records]
        return np.concatenate([t["image"].chunk(0).to_numpy_ndarray() for t in tables])

    return pixels


def _panel(entities: int = 120, days: int = 8, seed: int = 0) -> pa.Table:
    """A made-up panel, day by day: `shop` names the entity, `region` is static."""
    rng = np.random.default_rng(seed)
    shop = np.repeat(np.arange(entities), days)
    start = np.repeat(rng.integers(19_000, 19_400, entities), days)
    day = start + np.tile(np.arange(days), entities)
    return pa.table(
        {
            "shop": pa.array([f"S{number:05}" for number in shop.tolist()]),
            "region": pa.array(np.array(["north", "south"])[shop % 2]),
            "day": pa.array(day.astype(np.int32)).cast(pa.date32()),
            "sold": pa.array(rng.poisson(5, len(shop))),
            "price": pa.array(np.round(rng.lognormal(1, 0.3, len(shop)), 2)),
        }
    )


@pytest.fixture(scope="session")
def panel() -> Callable[..., pa.Table]:
    """Rows of a panel: `shop`, `region`, `day`, `sold`, `price`."""
    return _panel
