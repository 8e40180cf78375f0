"""What one entity alone has is nowhere in the codec."""

import json

import numpy as np
import pyarrow as pa
import pytest
from small_series import make_series

from gan.series.codec import SeriesCodec
from gan.series.columns.entities import rows_of_entities

GROUP = 10


@pytest.fixture(scope="module")
def planted():
    """Sixty entities of ten steps; one has values, length and word of its own."""
    numbers = np.random.default_rng(3)
    lengths = [10] * 60 + [47]
    steps = sum(lengths)
    load = numbers.normal(100.0, 9.0, steps).round(2)
    load[600:] = numbers.normal(987_654.0, 5.0, 47).round(2)
    level = numbers.integers(0, 9, steps)
    level[600:] = 7777
    word = np.array(["calm", "busy"])[numbers.integers(0, 2, steps)].astype("<U9")
    word[600:] = "SECRETIVE"
    total = np.concatenate([np.cumsum(part) for part in np.split(level, np.cumsum(lengths)[:-1])])
    return make_series(
        {"load": load, "level": level, "word": word, "total": total},
        lengths,
        statics={"city": ["Ulm"] * 60 + ["Hidden"]},
        min_group=GROUP,
    )


def test_json_shows_nothing_of_a_lone_entity(planted):
    codec = SeriesCodec.fit(planted, None)
    text = json.dumps(codec.to_json())
    for secret in ("SECRETIVE", "Hidden", "7777", "47", *planted["who"].to_pylist()):
        for written in (f'"{secret}"', f" {secret},", f" {secret}]"):
            assert written not in text
    for variable in codec.variables:
        units = variable.unit_of_cell
        if variable.name == "load":
            assert units.max() < 20_000
    assert codec.width == 10


def test_no_sequence_of_values_is_kept(planted):
    text = json.dumps(SeriesCodec.fit(planted, None).to_json())
    for row in planted["load"].to_pylist()[:20]:
        pair = json.dumps(row[:3])[1:-1]
        assert pair not in text


def test_any_neighbouring_rows_are_of_enough_entities():
    numbers = np.random.default_rng(1)
    entity = np.repeat(np.arange(50), 40)
    values = np.round(numbers.normal(size=2000) + entity % 7, 1)
    values[entity == 3] = 55.5 + numbers.random(40)
    kept = rows_of_entities(values, entity, 6)
    order = kept[np.argsort(values[kept], kind="stable")]
    for start in range(len(order) - 12 + 1):
        assert len(set(entity[order[start : start + 12]])) >= 6
    assert len(kept) > 1000


def test_public_values_are_shown_whoever_has_them():
    values = np.array([1.0] * 30 + [99.0] + [2.0] * 29)
    entity = np.repeat(np.arange(10), 6)
    assert len(rows_of_entities(values, entity, 1)) == 60


def test_a_change_that_few_entities_make_is_not_shown():
    numbers = np.random.default_rng(2)
    walk = np.cumsum(numbers.normal(size=(60, 30)), axis=1).round(2) + 100
    walk[7] = 100 + 13.37 * (np.arange(30) % 2)
    records = make_series({"walk": walk.ravel()}, [30] * 60, min_group=GROUP)
    codec = SeriesCodec.fit(records, None)
    (relation,) = codec.variables[0].relations
    assert relation.offsets is not None
    shown = np.abs(np.asarray(relation.offsets.vocabularies[0]))
    assert not np.isin(shown, 1337).any()
    assert shown.max() < 1000
    assert not any(pa.compute.is_nan(pa.scalar(float(each))).as_py() for each in shown)
