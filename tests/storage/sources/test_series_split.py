"""On which side an entity is: by content, never two sides; windows by blocks of time."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.errors import SourceError
from storage.sources.series.windows import sides

NAMED = {"entity": "shop", "time": "day"}
SIDES = ("train", "validation", "holdout")


def side_of(result, key="shop", value=None):
    """Name or value of every entity → its split."""
    column = value or key
    return {
        str(one): split
        for split, records in result.records.items()
        for one in records[column].to_pylist()
    }


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def long(steps, stride_h=1, seed=0):
    """One series of so many hours."""
    rng = np.random.default_rng(seed)
    hours = 473_000 * 3600 + np.arange(steps) * stride_h * 3600
    return pa.table(
        {
            "at": pa.array(hours * 1_000_000, pa.timestamp("us")),
            "load": pa.array(np.round(rng.normal(50, 9, steps), 2)),
        }
    )


def hours_of(result, split):
    return {one for window in result.records[split]["at"].to_pylist() for one in window}


def test_new_names_and_other_moments_leave_every_entity_on_its_side(panel, write_table, prepared):
    table = panel()
    renamed = with_column(table, "shop", pc.replace_substring(table["shop"], "S", "T"))
    later = with_column(
        renamed,
        "day",
        pc.add(table["day"].cast(pa.timestamp("us")), timedelta(400)).cast(pa.date32()),
    )
    one = prepared(write_table(table, "a.parquet"), label="region", **NAMED)
    other = prepared(write_table(later, "b.parquet"), label="region", **NAMED)
    assert {name[1:]: side for name, side in side_of(one).items()} == {
        name[1:]: side for name, side in side_of(other).items()
    }
    assert one.split_digest == other.split_digest
    assert one.split_rule["without"] == ["day", "region", "shop"]


def test_equal_entities_are_on_one_side_whatever_they_are_called(panel, write_table, prepared):
    table = panel()
    again = with_column(table, "shop", pc.replace_substring(table["shop"], "S", "T"))
    result = prepared(write_table(pa.concat_tables([table, again])), label=None, **NAMED)
    sides_of = side_of(result)
    assert len(sides_of) == 240
    assert all(sides_of[f"S{n:05}"] == sides_of[f"T{n:05}"] for n in range(120))


def test_by_its_name_an_entity_that_grows_stays_on_its_side(panel, write_table, prepared):
    grown, split = panel(days=9), {"group_by": "shop"}
    shorter = grown.filter(pa.array(np.arange(len(grown)) % 9 < 8))
    before = prepared(write_table(shorter, "a.parquet"), label=None, split=split, **NAMED)
    after = prepared(write_table(grown, "b.parquet"), label=None, split=split, **NAMED)
    assert side_of(before) == side_of(after)
    by_content = prepared(write_table(grown, "b.parquet"), label=None, **NAMED)
    assert side_of(by_content) != side_of(after)


def test_a_static_column_says_the_split_and_is_not_kept(panel, write_table, prepared):
    table = panel()
    said = np.repeat(np.array(["train", "train", "val", "test"] * 30), 8)
    path = write_table(table.append_column("part", pa.array(said)))
    result = prepared(path, label="region", split={"column": "part"}, **NAMED)
    assert result.rows == {"train": 60, "validation": 30, "holdout": 30}
    assert "part" not in result.schema.names


def test_a_holdout_of_its_own_is_held_out_whole(panel, write_table, prepared):
    path, other = write_table(panel(), "a.parquet"), write_table(panel(seed=9), "b.parquet")
    result = prepared(path, label=None, split={"holdout_uri": str(other)}, **NAMED)
    assert result.rows["holdout"] == 120
    assert result.rows["train"] + result.rows["validation"] == 120


@pytest.mark.parametrize("stride", [24, 6])
def test_no_step_of_one_series_is_on_two_sides(stride, write_table, prepared):
    window = {"length": 24, "stride": stride}
    result = prepared(write_table(long(24 * 200)), label=None, time="at", window=window)
    found = [hours_of(result, split) for split in SIDES]
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]
    assert all(0.15 < result.rows[name] / sum(result.rows.values()) < 0.25 for name in SIDES[1:])
    assert result.split_rule["by"] == "blocks of time"
    lost = [note for note in result.notes if "reach over a boundary" in note]
    assert bool(lost) == (stride < 24)
    assert any("neighbours share 18 steps" in note for note in result.notes) == (stride == 6)


def test_windows_of_a_series_that_grows_stay_on_their_sides(write_table, prepared):
    def windows(table, name):
        config = {"label": None, "time": "at", "window": {"length": 24}}
        result = prepared(write_table(table, name), **config)
        return {
            window[0]: split
            for split, records in result.records.items()
            for window in records["at"].to_pylist()
        }

    whole = long(24 * 150)
    before, after = windows(whole.slice(0, 24 * 120), "a.parquet"), windows(whole, "b.parquet")
    recent = windows(whole.slice(24 * 30), "c.parquet")
    assert before.items() <= after.items()
    assert recent.items() <= after.items()


def test_all_windows_of_one_entity_are_on_one_side_where_there_are_enough(
    panel, write_table, prepared
):
    table = panel(days=30)
    result = prepared(write_table(table), label=None, window={"length": 7, "stride": 3}, **NAMED)
    assert result.split_rule["group_by"] == "entities that windows are of"
    windows = [(name, one) for name in SIDES for one in result.records[name]["price"].to_pylist()]
    begins = {tuple(one[:4]): name for name, one in windows}
    ends = [(name, tuple(one[3:])) for name, one in windows]
    pairs = [(name, begins[end]) for name, end in ends if end in begins]
    assert len(pairs) == 120 * 7
    assert all(one == other for one, other in pairs)
    assert sum(result.rows.values()) == 120 * 8
    keys = [key for records in result.records.values() for key in records["shop"].to_pylist()]
    assert sorted(keys) == list(range(120 * 8))


def test_a_column_may_say_the_sides_of_a_long_series(write_table, prepared):
    table = long(24 * 150)
    part = np.repeat(["train", "val", "test"], [24 * 100 + 5, 24 * 25, 24 * 25 - 5])
    result = prepared(
        write_table(table.append_column("part", pa.array(part))),
        label=None,
        time="at",
        window={"length": 24},
        split={"column": "part"},
    )
    assert [result.rows[name] for name in SIDES] == [100, 24, 24]
    assert any("2 of 150 windows" in note for note in result.notes)


def test_few_blocks_of_time_are_refused(write_table, prepared):
    with pytest.raises(SourceError, match="too few blocks of time"):
        prepared(write_table(long(130)), label=None, time="at", window={"length": 30, "stride": 1})


def test_too_long_a_window_is_refused(write_table, prepared):
    with pytest.raises(SourceError, match=r"the longest has 130; lower source\.window\.length"):
        prepared(write_table(long(130)), label=None, time="at", window={"length": 200})


def test_blocks_go_to_the_sides_evenly_however_many_there_are():
    for count in (10, 25, 100):
        found = sides(range(1000, 1000 + count), validation=0.2, holdout=0.2)
        assert abs(found.count("holdout") / count - 0.2) <= 0.1
        assert abs(found.count("validation") / count - 0.2) <= 0.1
