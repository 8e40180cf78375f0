"""Shards of series, read by pandas and pyarrow: a row per entity, or a row per step."""

import io
from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import IntegrityError
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, Step, read_series_metadata, to_long, to_nested
from storage.shards.series import LONG, NESTED
from storage.sources.tables.dialect import Dialect, Style, with_dialect

BOTH = pytest.mark.parametrize("shard_format", [NESTED, LONG], ids=["nested", "long"])
METADATA = SeriesMetadata(
    entity=Column(name="shop", kind="key", form="S9"),
    time=Column(name="at", kind="timestamp"),
    statics=(Column(name="kind", kind="category"), Column(name="opened", kind="date")),
    variables=(Column(name="sold", kind="integer"), Column(name="note", kind="category")),
    order=("at", "shop", "sold", "kind", "note", "opened"),
    step=Step(count=86_400_000_000, unit="microseconds"),
    zone="Europe/Berlin",
    min_group=2,
)
DAYS = [datetime(2024, 3, day, 23, tzinfo=UTC) for day in (29, 30, 31)]


@pytest.fixture
def records() -> pa.Table:
    entities = pa.table(
        {
            "shop": ["S1", "S2", "S3"],
            "kind": ["city", None, "city"],
            "opened": pa.array([date(2020, 1, 1), date(2021, 1, 1), None], pa.date32()),
        }
    )
    steps = pa.table(
        {
            "at": pa.array([*DAYS, DAYS[0], *DAYS[:2]], pa.timestamp("us", "Europe/Berlin")),
            "sold": pa.array([1, None, 3, 4, 5, 6], pa.int16()),
            "note": ["a", "b", None, "a", "a", "b"],
        }
    )
    return to_nested(entities, steps, pd.Series([3, 1, 2]).to_numpy(), METADATA)


@BOTH
def test_records_come_back_and_entities_are_counted(shard_format, records) -> None:
    data = shard_format.encode(records, {"synthetic": "true"})
    decoded = shard_format.decode(data, records.schema)
    assert decoded.equals(records.replace_schema_metadata(None))
    assert decoded.schema.metadata is None
    foreign = shard_format.file_schema(records.schema)
    rows, schema = shard_format.inspect(data, foreign)
    assert rows == 3
    assert schema.equals(foreign)
    assert shard_format.metadata(data)["synthetic"] == "true"


def test_nested_shards_are_rows_of_entities_for_pandas(records) -> None:
    data = NESTED.encode(records, {})
    frame = pd.read_parquet(io.BytesIO(data))
    assert list(frame) == ["shop", "kind", "opened", "at", "sold", "note"]
    assert [len(one) for one in frame["sold"]] == [3, 1, 2]
    (line,) = [one for one in NESTED.how_to_read("x/", 1, records.schema) if "explode" in one]
    long = eval(line.partition("=")[2].partition("#")[0], {"nested": frame})  # noqa: S307 - as shown
    assert long["shop"].tolist() == ["S1"] * 3 + ["S2"] + ["S3"] * 2
    assert long["note"].tolist()[3:] == ["a", "a", "b"]


def test_long_shards_are_the_columns_of_the_source_for_groupby(records) -> None:
    data = LONG.encode(records, {})
    frame = pd.read_parquet(io.BytesIO(data))
    assert list(frame) == list(METADATA.order)
    assert frame.groupby("shop", sort=False)["sold"].sum().tolist() == [4, 4, 11]
    assert str(frame["at"].dtype) == "datetime64[us, Europe/Berlin]"
    assert pq.read_table(io.BytesIO(data)).equals(to_long(records, METADATA))
    line = LONG.how_to_read("x/", 1, LONG.file_schema(records.schema))[1]
    nested = eval(line.partition("=")[2].partition("#")[0], {"long": frame})  # noqa: S307 - as shown
    assert nested.loc["S3", "note"] == ["a", "b"]


@BOTH
def test_what_the_source_stores_as_text_is_text_again(shard_format, records) -> None:
    styles = {"opened": Style(format="%d.%m.%Y", stored="string", nulls=("?",), null="?")}
    schema = with_dialect(records.schema, Dialect(styles=styles, csv=False))
    styled = records.replace_schema_metadata(schema.metadata)
    data = shard_format.encode(styled, {})
    stored = pq.read_table(io.BytesIO(data))
    assert stored["opened"].to_pylist()[0] == "01.01.2020"
    assert stored["opened"].to_pylist()[-1] == "?"
    assert shard_format.file_schema(styled.schema).field("opened").type == pa.string()
    assert shard_format.decode(data, styled.schema).equals(records.replace_schema_metadata(None))


def test_moments_stored_as_text_are_lists_of_texts(records) -> None:
    styles = {"at": Style(format="%Y-%m-%d %H:%M:%S%z", stored="string")}
    schema = with_dialect(records.schema, Dialect(styles=styles, csv=False))
    assert NESTED.file_schema(schema).field("at").type == pa.list_(pa.string())


@BOTH
def test_texts_in_lists_are_stored_once_with_statistics_of_numbers(shard_format, records) -> None:
    group = pq.read_metadata(io.BytesIO(shard_format.encode(records, {}))).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    texts = {one.path_in_schema.partition(".")[0] for one in columns if one.has_dictionary_page}
    assert texts == {"shop", "kind", "note"}
    assert all(one.is_stats_set for one in columns)


@BOTH
def test_other_records_and_other_files_are_refused(shard_format, records) -> None:
    table = pa.table({"a": [1, 2]})
    other = pq_bytes(table)
    with pytest.raises(IntegrityError):
        shard_format.decode(other, records.schema)
    if shard_format is LONG:
        with pytest.raises(IntegrityError, match="does not say whose its rows are"):
            shard_format.inspect(other)
        with pytest.raises(IntegrityError, match="they are no series"):
            shard_format.encode(table, {})


def pq_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_the_guess_for_entities_is_near() -> None:
    rng = pd.Series(range(300))
    lengths = (rng % 20 + 10).to_numpy()
    steps = int(lengths.sum())
    entities = pa.table({"shop": [f"S{n}" for n in rng], "kind": ["city", "mall", "beach"] * 100})
    moments = pa.array([DAYS[0]] * steps, pa.timestamp("us", "Europe/Berlin"))
    values = pd.Series(range(steps)).pow(2) % 97
    described = SeriesMetadata(
        entity=METADATA.entity,
        time=METADATA.time,
        statics=METADATA.statics[:1],
        variables=METADATA.variables[:1],
        order=("shop", "kind", "at", "sold"),
    )
    table = pa.table({"at": moments, "sold": values.to_numpy()})
    records = to_nested(entities, table, lengths, described)
    assert read_series_metadata(records.schema) == described
    for shard_format in (NESTED, LONG):
        size = len(shard_format.encode(records, {})) / 300
        assert 0.4 < shard_format.bytes_per_row(records.schema) / size < 4
