"""Series that somebody brings, long or nested, CSV or Parquet: records of the known ones."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from storage.errors import SourceError
from storage.records.series import lengths_of, read_series_metadata, to_long
from storage.shards.series import LONG, NESTED
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.given import GivenRequest


@pytest.fixture
def known(panel, write_table, prepared):
    return prepared(write_table(panel(), "panel.csv"), label="region", entity="shop", time="day")


@pytest.fixture
def given(known, tmp_path):
    """Read data as records of the known ones."""

    def read(path):
        request = GivenRequest(
            uri=str(path),
            config=SourceConfig(uri="panel.csv", label="region", entity="shop", time="day"),
            known=known.records["train"],
            min_group=10,
            folder=tmp_path,
        )
        return load_builder("series").read_given(request)

    return read


@pytest.mark.parametrize("form", ["nested.parquet", "long.parquet", "long.csv"])
def test_published_series_are_given_back(form, known, given, tmp_path):
    records = known.records["holdout"]
    path = tmp_path / form
    if form.endswith("csv"):
        csv.write_csv(to_long(records, read_series_metadata(records.schema)), path)
    else:
        path.write_bytes((NESTED if form.startswith("nested") else LONG).encode(records, {}))
    found = given(path)
    assert found.records.equals(records)
    assert found.records.schema.equals(records.schema, check_metadata=True)


def test_missing_steps_are_put_in_as_in_the_source(panel, known, given, write_table):
    path = write_table(panel(), "brought.parquet")
    table = pq.read_table(path)
    pq.write_table(table.take(pa.array([n for n in range(len(table)) if n % 40 != 3])), path)
    found = given(path)
    metadata = read_series_metadata(known.schema)
    assert lengths_of(found.records, metadata).tolist() == [8] * 120
    assert sum(one.count(None) for one in found.records["sold"].to_pylist()) == 24


def test_few_entities_and_more_columns_are_no_obstacle(panel, given, write_table):
    table = panel(entities=7).append_column("more", pa.array(range(56)))
    found = given(write_table(table, "brought.csv"))
    assert found.records.num_rows == 7
    assert any("'more'" in note for note in found.notes)


CASES = {
    "no-entity": (lambda t: t.drop_columns("shop"), "lacks 'shop' .* whose the steps are"),
    "no-variable": (lambda t: t.drop_columns("price"), "lacks 'price'"),
    "changing": (
        lambda t: t.set_column(1, "region", pa.array(["north", "south"] * (len(t) // 2))),
        "'region' changes within an entity",
    ),
    "twice": (lambda t: pa.concat_tables([t, t.slice(0, 1)]), "that one 'shop' has already"),
    "words": (
        lambda t: t.set_column(3, "sold", pc.if_else(pc.equal(t["sold"], 5), "five", "six")),
        "'sold' cannot be read as integer",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), CASES.values(), ids=CASES)
def test_what_does_not_fit_is_refused_in_a_sentence(change, sentence, panel, given, write_table):
    with pytest.raises(SourceError, match=sentence) as caught:
        given(write_table(change(panel()), "brought.parquet"))
    assert "\n" not in str(caught.value)
