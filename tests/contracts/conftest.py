"""What every contract test needs: a device, and small records of each modality.

The toy modality of tests/vectors is one of them, so that the contracts hold for more than is built.
"""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch

from gan.images.codec import write_images
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, Step, to_nested

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ],
    ),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """The processor, and CUDA where there is a device."""
    return request.param


def example_images(rows: int) -> pa.Table:
    """Two classes of 8 x 8 images: bright above, bright below."""
    numbers = np.random.default_rng(7)
    images = numbers.integers(0, 60, (rows, 8, 8, 1), dtype=np.uint8)
    images[0::2, :4] += 180
    images[1::2, 4:] += 180
    labels = np.where(np.arange(rows) % 2, "below", "above")
    return pa.table({"image": write_images(images), "kind": pa.array(labels)})


def example_tables(rows: int) -> pa.Table:
    """Two classes of rows: a number and a colour that follow the class, and holes in a third."""
    numbers = np.random.default_rng(7)
    below = np.arange(rows) % 2 == 1
    sizes = np.round(numbers.normal(np.where(below, 20.0, 10.0), 2.0), 1)
    colours = np.where(numbers.random(rows) < 0.8, np.where(below, "red", "blue"), "green")
    ages = pa.array(numbers.integers(20, 60, rows), mask=numbers.random(rows) < 0.2)
    kinds = {"kind": "category", "size": "float", "colour": "category", "age": "integer"}
    meaning = {
        "schema": "ganmill-table/1",
        "min_group": 2,
        "columns": [
            {"name": name, "kind": kind, "why": "", "vocabulary": "public", "form": None}
            for name, kind in kinds.items()
        ],
        "constraints": [],
    }
    table = pa.table(
        {
            "kind": np.where(below, "below", "above"),
            "size": sizes,
            "colour": colours,
            "age": ages,
        }
    )
    return table.replace_schema_metadata({b"ganmill-table": json.dumps(meaning).encode()})


def example_vectors(rows: int) -> pa.Table:
    """Two classes of four numbers around two centres."""
    numbers = np.random.default_rng(7)
    below = np.arange(rows) % 2 == 1
    values = numbers.normal(np.where(below, 1.0, -1.0)[:, None], 0.3, (rows, 4))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.astype("f4").reshape(-1)), 4)
    return pa.table({"vector": vectors, "kind": np.where(below, "below", "above")})


def example_series(rows: int) -> pa.Table:
    """Two classes of entities: a number that follows the class and stays, and one with holes."""
    numbers = np.random.default_rng(7)
    below = np.arange(rows) % 2 == 1
    lengths = numbers.integers(4, 9, rows)
    steps = int(lengths.sum())
    entity = np.repeat(np.arange(rows), lengths)
    price = np.where(below, 20.0, 10.0)[entity] + (numbers.random(steps) < 0.2)
    sold = pa.array(numbers.integers(0, 5, steps), mask=numbers.random(steps) < 0.2)
    place = np.arange(steps) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    start = np.datetime64("2026-03-02") + numbers.integers(0, 5, rows)
    columns = {
        "item": ("key", "A999"),
        "kind": ("category", None),
        "colour": ("category", None),
        "day": ("date", None),
        "price": ("float", None),
        "sold": ("integer", None),
    }
    item, kind, colour, day, *variables = (
        Column(name=name, kind=what, form=form, vocabulary="public")
        for name, (what, form) in columns.items()
    )
    metadata = SeriesMetadata(
        entity=item,
        time=day,
        statics=(kind, colour),
        variables=tuple(variables),
        order=tuple(columns),
        step=Step(count=1, unit="days"),
        min_group=2,
    )
    entities = {
        "item": [f"{chr(65 + row % 26)}{row:03}" for row in range(rows)],
        "kind": np.where(below, "below", "above"),
        "colour": np.array(["red", "green", "blue"])[np.arange(rows) % 3],
    }
    observed = {
        "day": pa.array((start[entity] + place).astype("datetime64[D]")),
        "price": price,
        "sold": sold,
    }
    return to_nested(pa.table(entities), pa.table(observed), lengths, metadata)


EXAMPLES: dict[str, Callable[[int], pa.Table]] = {
    "images": example_images,
    "series": example_series,
    "tables": example_tables,
    "vectors": example_vectors,
}
"""Modality → records with a label column `kind`; a new modality adds its own."""


@pytest.fixture(autouse=True)
def contracts_hold_for_vectors_too(with_vectors: None) -> None:
    """Add the toy's row to the table."""


@pytest.fixture
def example() -> Callable[[str, int], pa.Table]:
    """Small records of a modality."""
    return lambda modality, rows: EXAMPLES[modality](rows)
