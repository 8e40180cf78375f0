"""Series that were scaled one by one stay so: mean, spread, ends and the grid behind them."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_series import make_series

from gan.series.codec import SeriesCodec
from gan.series.columns.scales import find_scales, grid_width

ENTITIES, STEPS = 60, 24


def walks(numbers):
    return numbers.normal(size=(ENTITIES, STEPS)).cumsum(1)


def standardised(values, ddof=0):
    return (values - values.mean(1, keepdims=True)) / values.std(1, ddof=ddof, keepdims=True)


def fit(values):
    records = make_series({"load": values.ravel()}, [STEPS] * len(values))
    return records, SeriesCodec.fit(records, None)


def test_what_is_not_scaled_has_no_scale():
    numbers = np.random.default_rng(0)
    _, codec = fit(walks(numbers))
    assert codec.scales == ()
    _, noise = fit(numbers.normal(size=(ENTITIES, STEPS)))
    assert noise.scales == ()


@pytest.mark.parametrize("ddof", [0, 1])
def test_standardised_series_are_found_and_made_so(ddof):
    numbers = np.random.default_rng(1)
    records, codec = fit(standardised(walks(numbers), ddof))
    (scale,) = codec.scales
    assert (scale.kind, scale.ddof, scale.width) == ("standard", ddof, None)
    values = codec.encode(records).values
    values[:, codec.cells.stop :] = 3 * values[:, codec.cells.stop :] + 1
    load = np.array(codec.decode(values, np.zeros(ENTITIES))["load"].to_pylist())
    assert np.abs(load.mean(1)).max() < 1e-6
    assert np.abs(load.std(1, ddof=ddof) - 1).max() < 1e-6


def test_series_between_two_ends_are_found_and_made_so():
    walk = walks(np.random.default_rng(2))
    low, high = walk.min(1, keepdims=True), walk.max(1, keepdims=True)
    records, codec = fit(2 * (walk - low) / (high - low) - 1)
    (scale,) = codec.scales
    assert (scale.kind, scale.low, scale.high) == ("range", -1, 1)
    values = codec.encode(records).values
    values[:, codec.cells.stop :] *= 0.5
    load = np.array(codec.decode(values, np.zeros(ENTITIES))["load"].to_pylist())
    np.testing.assert_allclose([load.min(), load.max()], [-1, 1])
    np.testing.assert_allclose(load.min(1), -1)


def test_whole_numbers_behind_standardised_ones_keep_their_grid():
    numbers = np.random.default_rng(3)
    counts = (8 * walks(numbers)).round()
    records, codec = fit(standardised(counts).round(8))
    (scale,) = codec.scales
    assert scale.width == "grid of load"
    assert all("grid of load" not in name for name in codec.metadata.nested_names)
    values = codec.encode(records).values
    values[:, codec.cells.stop :] += 0.1 * numbers.normal(size=(ENTITIES, STEPS))
    made = codec.decode(values, np.zeros(ENTITIES))
    load = np.array(made["load"].to_pylist())
    assert "grid of load" not in made.column_names
    assert np.abs(load.mean(1)).max() < 1e-7
    assert all(grid_width(each) is not None for each in load)
    again = SeriesCodec.from_json(codec.to_json())
    assert again == codec
    samples = again.to_samples(torch.from_numpy(values))
    assert samples.shape == values.shape


def test_the_width_of_a_grid():
    numbers = np.random.default_rng(4)
    steps = numbers.integers(0, 90, STEPS)
    assert grid_width(0.37 * steps - 2.0) == pytest.approx(0.37)
    assert grid_width(numbers.normal(size=STEPS)) is None
    assert grid_width(np.array([1.0, 2.0, 2.0])) is None


def test_a_column_of_few_values_between_two_ends_is_not_scaled():
    numbers = np.random.default_rng(5)
    flags = pa.array(numbers.choice([0.0, 0.5, 1.0], ENTITIES * STEPS))
    assert find_scales({"flag": flags}, np.full(ENTITIES, STEPS), ()) == ()
