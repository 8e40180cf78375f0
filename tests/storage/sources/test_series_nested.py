"""Nested files are series of themselves: lists of one length, keys found or made, gaps in lists."""

import json

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import SourceError
from storage.records.series import lengths_of, read_series_metadata
from storage.sources.config import SourceConfig
from storage.sources.open import open_source

RNG = np.random.default_rng(5)


def nested(rows=120, *, key=True, moments=True):
    lengths = RNG.integers(2, 6, rows)
    starts = RNG.integers(19_000, 19_300, rows)
    columns = {"patient": [f"P{n:04}" for n in range(rows)]} if key else {}
    columns |= {"sex": np.array(["f", "m"])[np.arange(rows) % 2].tolist()}
    if moments:
        days = [np.arange(s, s + n).astype(np.int32) for s, n in zip(starts, lengths, strict=True)]
        columns |= {"seen": pa.array(days, pa.list_(pa.int32())).cast(pa.list_(pa.date32()))}
    columns |= {"pulse": [RNG.integers(50, 90, n).tolist() for n in lengths]}
    columns |= {"value": [RNG.normal(0, 1, n).round(3).tolist() for n in lengths]}
    return pa.table(columns)


def described(result):
    return read_series_metadata(result.schema)


def whole(result):
    table = pa.concat_tables(result.records.values())
    return table.sort_by([(described(result).entity.name, "ascending")])


def test_lists_of_moments_make_a_file_series(write_table, prepared):
    table = nested()
    result = prepared(write_table(table), label="sex")
    metadata = described(result)
    assert result.modality == "series"
    assert (metadata.entity.name, metadata.time.name) == ("patient", "seen")
    assert [one.name for one in metadata.variables] == ["pulse", "value"]
    assert whole(result).to_pydict() == table.to_pydict()


@pytest.mark.parametrize("kind", [pa.large_list, lambda one: pa.list_(one, 3)])
def test_lists_of_any_kind_are_read(kind, write_table, prepared):
    days = [[19_000 + n, 19_001 + n, 19_002 + n] for n in range(120)]
    days = pa.array(days, pa.list_(pa.int32())).cast(pa.list_(pa.date32())).cast(kind(pa.date32()))
    values = pa.array([[n, n + 1, 7] for n in range(120)], kind(pa.int64()))
    table = pa.table({"id": [f"E{n:03}" for n in range(120)], "day": days, "x": values})
    result = prepared(write_table(table), label=None)
    assert whole(result)["x"].to_pylist() == values.to_pylist()


def test_entities_and_steps_without_names_are_numbered(write_table, prepared):
    path = write_table(nested(key=False, moments=False))
    result = prepared(path, label="sex", modality="series")
    metadata = described(result)
    assert (metadata.entity.name, metadata.time.name) == ("entity", "step")
    assert sorted(whole(result)["entity"].to_pylist()) == list(range(120))
    assert whole(result)["step"].to_pylist()[0] == list(
        range(lengths_of(whole(result), metadata)[0])
    )
    assert sum("numbered" in note for note in result.notes) == 2


def test_a_list_that_is_null_stands_for_missing_values(write_table, prepared):
    table = nested()
    pulse = [None if n % 5 == 0 else one for n, one in enumerate(table["pulse"].to_pylist())]
    path = write_table(table.set_column(3, "pulse", pa.array(pulse, pa.list_(pa.int64()))))
    found = whole(prepared(path, label=None)).to_pydict()
    assert found["pulse"][0] == [None] * len(found["seen"][0])
    assert found["pulse"][1] == pulse[1]


def test_structs_in_lists_become_lists_of_their_fields(write_table, prepared):
    visits = [
        [{"at": 100 * n + k, "weight": round(60 + k / 2, 1)} for k in range(2 + n % 3)]
        for n in range(120)
    ]
    path = write_table(pa.table({"id": [f"E{n:03}" for n in range(120)], "visit": visits}))
    result = prepared(path, label=None, modality="series", entity="id", time="visit.at")
    assert result.schema.names == ["id", "visit.at", "visit.weight"]
    assert whole(result)["visit.weight"].to_pylist()[1] == [60.0, 60.5, 61.0]


def test_lists_of_json_lines_are_read_where_the_recipe_says_series(tmp_path, prepared):
    lines = [
        {"id": f"E{n:03}", "day": list(range(n, n + 3)), "x": [n, 0, None]} for n in range(120)
    ]
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    result = prepared(path, label=None, modality="series", entity="id", time="day")
    assert whole(result)["x"].to_pylist() == [one["x"] for one in lines]


def test_entities_without_a_step_are_left_out(write_table, prepared):
    table = nested()
    empty = pa.table({name: [one[0]] for name, one in table.to_pydict().items()}).to_pydict()
    empty |= {"patient": ["Q0000"], "seen": [[]], "pulse": [[]], "value": [[]]}
    more = pa.concat_tables([table, pa.table(empty, schema=table.schema)])
    result = prepared(write_table(more), label=None)
    assert sum(result.rows.values()) == 120
    assert any("no step: 1 entities" in note for note in result.notes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pulse": [[1]] * 120}, "lists in row 0 .* are of different lengths"),
        ({"patient": ["P1", "P1", *map(str, range(118))]}, "1 rows repeat the name of another"),
    ],
)
def test_lists_that_do_not_fit_are_refused(change, sentence, write_table, prepared):
    table = pa.table({**nested().to_pydict(), **change})
    with pytest.raises(SourceError, match=sentence):
        prepared(write_table(table), label=None, modality="series", entity="patient", time="seen")


def test_tables_with_other_lists_stay_tables(write_table, people):
    table = people(120).append_column("embedding", pa.array([[0.1, 0.2]] * 120))
    assert open_source(SourceConfig(uri=str(write_table(table)), label=None)).modality == "tables"
    plain = people(120)
    assert open_source(SourceConfig(uri=str(write_table(plain)), label=None)).modality == "tables"
