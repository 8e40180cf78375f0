"""What `init` is told: that rows are steps, of which entity, when, and what they need."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.open import open_source, recognised

RNG = np.random.default_rng(11)


def surveyed(path, **fields):
    config = SourceConfig(uri=str(path), label=None, **fields)
    source, wanted, found = recognised(open_source(config), config, 10)
    survey = load_builder(source.modality).survey(source, wanted, 10)
    return source.modality, {one.setting: one for one in (*found, *survey.proposals)}, survey


def values(proposals):
    return {name: one.value for name, one in proposals.items()}


@pytest.mark.parametrize("name", ["panel.csv", "panel.parquet"])
def test_a_panel_is_found_with_its_entity_and_time(name, panel, write_table):
    modality, proposals, survey = surveyed(write_table(panel(), name))
    assert modality == "series"
    assert values(proposals) == {
        "source.modality": "series",
        "source.entity": "shop",
        "source.time": "day",
    }
    assert "120 values in 960 rows" in proposals["source.entity"].why
    why = "guessed: the last column with one value per entity, with 2 values"
    assert (survey.label, survey.label_why) == ("region", why)
    assert {one.name: one.kind for one in survey.columns} == {
        "region": "category",
        "sold": "integer",
        "price": "float",
    }
    assert any("960 steps 1 day apart, 8 of each of 120 entities" in fact for fact in survey.facts)


def test_entities_that_may_go_on_are_split_by_their_name(panel, write_table):
    table = panel()
    together = pa.array(np.tile(np.arange(19_000, 19_008).astype(np.int32), 120)).cast(pa.date32())
    path = write_table(table.set_column(2, "day", together))
    _, proposals, _ = surveyed(path)
    assert values(proposals)["source.split.group_by"] == "shop"
    assert "100% of the entities last until the end" in proposals["source.split.group_by"].why


def test_events_are_found_by_the_name_of_their_entity(write_table):
    patients = np.repeat(np.arange(150), 9)
    seconds = RNG.choice(10**8, len(patients), replace=False)
    table = pa.table(
        {
            "patient_id": patients,
            "at": pa.array(seconds * 1_000_000, pa.timestamp("us")),
            "code": RNG.choice(["a", "b", "c"], len(patients)),
            "value": RNG.normal(0, 1, len(patients)).round(2),
        }
    )
    modality, proposals, _ = surveyed(write_table(table))
    assert modality == "series"
    assert values(proposals)["source.entity"] == "patient_id"
    unnamed = table.rename_columns(["age", "at", "code", "value"])
    assert surveyed(write_table(unnamed))[0] == "tables"


def test_one_long_series_is_found_and_windows_proposed(write_table):
    hours = 473_000 * 3600 + np.arange(24 * 250) * 3600
    table = pa.table(
        {
            "at": pa.array(hours * 1_000_000, pa.timestamp("us")),
            "load": np.arange(len(hours)) % 97,
        }
    )
    modality, proposals, survey = surveyed(write_table(table))
    assert modality == "series"
    assert values(proposals)["source.window"] == {"length": 24, "stride": 24}
    assert "one long series" in proposals["source.time"].why
    assert any("of one series" in fact for fact in survey.facts)


def test_few_long_entities_get_windows(panel, write_table):
    _, proposals, _ = surveyed(write_table(panel(entities=12, days=400)))
    assert values(proposals)["source.window"] == {"length": 14, "stride": 14}


def test_columns_that_name_steps_are_left_out(panel, write_table):
    table = panel()
    numbers = pa.array([f"R{n:06}" for n in range(len(table))])
    _, proposals, survey = surveyed(write_table(table.append_column("receipt", numbers)))
    assert values(proposals)["source.columns"]["name"] == "receipt"
    assert "receipt" not in {one.name for one in survey.columns}


def test_nested_files_need_no_proposal_of_entity_or_time(write_table):
    days = pa.array([[n, n + 1, n + 2] for n in range(150)], pa.list_(pa.int32()))
    days = days.cast(pa.list_(pa.date32()))
    table = pa.table({"id": [f"E{n}" for n in range(150)], "day": days, "x": [[1, 2, 3]] * 150})
    modality, proposals, _ = surveyed(write_table(table))
    assert modality == "series"
    assert not proposals


def of_shops(panel):
    """Rows of shops and days of which some are there twice."""
    return pa.concat_tables([panel(), panel().slice(0, 40)])


def by_region(panel):
    """The regions of a panel repeat with every day, so that nothing names a series."""
    return panel().drop_columns("shop")


@pytest.mark.parametrize("rows", [of_shops, by_region])
def test_rows_that_are_no_panel_stay_a_table(rows, panel, write_table):
    assert surveyed(write_table(rows(panel)))[0] == "tables"


def test_a_plain_table_stays_a_table(people, write_table):
    assert surveyed(write_table(people(300)))[0] == "tables"
    shuffled = people(300).append_column("day", pa.array(RNG.integers(0, 90, 300).astype(np.int32)))
    assert surveyed(write_table(shuffled))[0] == "tables"


def test_too_few_entities_for_series_stay_a_table(panel, write_table):
    assert surveyed(write_table(panel(entities=40)))[0] == "tables"


def test_who_says_tables_is_believed(panel, write_table):
    modality, proposals, _ = surveyed(write_table(panel()), modality="tables")
    assert modality == "tables"
    assert "source.modality" not in proposals


def test_a_series_that_is_named_by_half_is_completed(panel, write_table):
    _, proposals, _ = surveyed(write_table(panel()), entity="shop")
    assert values(proposals) == {"source.time": "day"}
    assert pc.count_distinct(panel()["day"]).as_py() > 8


def test_two_columns_that_name_entities_together_are_found(panel, write_table):
    table = panel()
    number = [int(name[1:]) for name in table["shop"].to_pylist()]
    days = pa.array(np.tile(np.arange(19_000, 19_008).astype(np.int32), 120)).cast(pa.date32())
    both = table.set_column(0, "item", pa.array([one % 10 for one in number]))
    both = both.set_column(2, "day", days)
    both = both.add_column(0, "branch", pa.array([f"b{one // 10}" for one in number]))
    modality, proposals, _ = surveyed(write_table(both))
    assert modality == "series"
    assert values(proposals)["source.entity"] == "branch, item"
    assert "together 120 entities" in proposals["source.entity"].why


def test_no_more_entities_are_proposed_than_there_are_keys(panel, write_table):
    table = panel()
    short = pa.array([f"S{name[3:]}" for name in table["shop"].to_pylist()])
    _, proposals, _ = surveyed(write_table(table.set_column(0, "shop", short)))
    assert values(proposals)["synthesis.samples"] == 1000
