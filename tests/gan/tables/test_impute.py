"""Nulls are filled as the other columns say, and everything else stays as it was."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from known_truth import LANDS, truth

from gan.errors import ConfigError, DataError
from gan.modalities import load_modality
from gan.sample import Sampler
from gan.tables.impute import impute


def with_gaps(rows, gaps, seed=1):
    """Fresh rows, a share of whose values is missing in some columns; and the whole rows."""
    whole = pa.table(truth(rows, seed))
    numbers = np.random.default_rng(seed)
    columns = {name: whole[name] for name in whole.column_names}
    for name, share in gaps.items():
        missing = pa.array(numbers.random(rows) < share)
        columns[name] = pc.if_else(missing, pa.scalar(None, whole[name].type), whole[name])
    return pa.table(columns), whole


def test_what_is_missing_follows_from_what_is_known(truth_sampler):
    records, whole = with_gaps(6000, {"kind": 0.3, "size": 0.3, "works": 0.3})
    filled = impute(truth_sampler, records, seed=3)
    assert all(column.null_count == 0 for column in filled.columns)
    kinds, sizes = filled["kind"].to_numpy(), filled["size"].to_numpy()
    works = filled["works"].to_numpy()
    gap = {name: records[name].is_null().to_numpy() for name in ("kind", "size", "works")}
    for kind, middle, share in (("x", 0, 0.9), ("y", 10, 0.5), ("z", 20, 0.1)):
        known = (whole["kind"].to_numpy() == kind) & ~gap["kind"]
        drawn = sizes[known & gap["size"]]
        low, median, high = np.quantile(drawn, [0.25, 0.5, 0.75])
        assert abs(median - middle) < 0.4
        assert abs(high - low - 1.35) < 0.5
        assert abs(works[known & gap["works"]].mean() - share) < 0.13
    guessed = gap["kind"] & ~gap["size"]
    assert np.mean(kinds[guessed] == whole["kind"].to_numpy()[guessed]) > 0.9
    blind = gap["kind"] & gap["size"] & gap["works"]
    assert abs(np.mean(kinds[blind] == "x") - 0.5) < 0.15


def test_what_is_known_stays_bit_for_bit(truth_sampler):
    records, _ = with_gaps(500, dict.fromkeys(("kind", "size", "low", "city", "total"), 0.2))
    odd = records["size"].to_numpy(zero_copy_only=False).copy()
    odd[:3] = [123.456, -0.0, np.nan]
    records = records.set_column(1, "size", pa.array(odd)).append_column("note", pa.nulls(500))
    filled = impute(truth_sampler, records, seed=3)
    assert filled.schema.equals(records.schema)
    for name in records.column_names:
        known = (
            pc.and_(records[name].is_valid(), pc.invert(pc.is_nan(records[name])))
            if (name == "size")
            else records[name].is_valid()
        )
        before, after = records[name].filter(known), filled[name].filter(known)
        assert before.equals(after), name
    assert np.signbit(filled["size"][1].as_py())
    assert not np.isnan(filled["size"][2].as_py())
    assert filled["note"].null_count == 500


def test_constraints_hold_in_what_is_filled(truth_sampler):
    gaps = {"low": 0.3, "high": 0.3, "total": 0.3, "city": 0.4, "land": 0.4}
    records, whole = with_gaps(2000, gaps)
    filled = impute(truth_sampler, records, seed=3)
    low, high, total = (filled[name].to_numpy() for name in ("low", "high", "total"))
    assert all(filled[name].null_count == 0 for name in gaps)
    np.testing.assert_array_equal(total, low + high)
    assert np.mean(low > high) < 0.002
    pairs = set(zip(filled["city"].to_pylist(), filled["land"].to_pylist(), strict=True))
    assert pairs == set(LANDS.items())
    one = records["low"].is_null().to_numpy() & ~records["high"].is_null().to_numpy()
    sure = one & ~records["total"].is_null().to_numpy()
    np.testing.assert_array_equal(low[sure], whole["low"].to_numpy()[sure])


def test_what_is_computed_is_computed_from_what_is_known_and_filled(truth_sampler):
    gaps = {"high": 0.3, "total": 0.3, "area": 0.4, "size": 0.2, "large": 0.5}
    records, whole = with_gaps(1000, gaps)
    filled = impute(truth_sampler, records, seed=3)
    high, total, area, size = (
        filled[name].to_numpy() for name in ("high", "total", "area", "size")
    )
    made = records["area"].is_null().to_numpy()
    np.testing.assert_array_equal(area[made], (total * high)[made])
    np.testing.assert_array_equal(area[~made], whole["area"].to_numpy()[~made])
    made = records["large"].is_null().to_numpy()
    large = np.array(filled["large"].to_pylist())
    np.testing.assert_array_equal(large[made], np.where(size >= 15, "yes", "no")[made])


def test_only_the_columns_that_are_asked_for(truth_sampler):
    records, _ = with_gaps(300, {"kind": 0.5, "works": 0.5})
    filled = impute(truth_sampler, records, seed=3, columns=["works"])
    assert filled["works"].null_count == 0
    assert filled["kind"].equals(records["kind"])
    assert impute(truth_sampler, filled, seed=3, columns=["works"]).equals(filled)


def test_equal_seeds_fill_equal_values(truth_sampler):
    records, _ = with_gaps(300, {"kind": 0.5, "size": 0.5})
    one, other = (impute(truth_sampler, records, seed=3) for _ in range(2))
    assert one.equals(other)
    assert not one.equals(impute(truth_sampler, records, seed=4))


def test_what_cannot_be_filled_is_named(truth_sampler):
    records, _ = with_gaps(20, {"kind": 0.5})
    with pytest.raises(ConfigError, match="column 'id' is a key"):
        impute(truth_sampler, records, 0, ["id"])
    with pytest.raises(ConfigError, match="column 'mood' is not in the table"):
        impute(truth_sampler, records, 0, ["mood"])
    with pytest.raises(DataError, match="lack column 'size'"):
        impute(truth_sampler, records.drop_columns(["size"]), 0)
    with pytest.raises(DataError, match="'low' is string"):
        impute(truth_sampler, records.set_column(3, "low", pa.array(["a"] * 20)), 0)
    snapshot = dataclasses.replace(
        truth_sampler.snapshot, codec=load_modality("images").codec(height=8, width=8, channels=1)
    )
    other = Sampler.__new__(Sampler)
    other.snapshot = snapshot
    with pytest.raises(ConfigError, match="this generator makes images"):
        impute(other, records, 0)
