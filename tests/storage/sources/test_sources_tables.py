"""From tables of every form to prepared rows: types, sides, classes, what goes along."""

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from storage.records.table_metadata import KEY, read_table_metadata
from storage.sources.config import SourceConfig
from storage.sources.open import open_source
from storage.sources.prepared import Prepared, load_prepared
from storage.sources.split import SPLITS


def values(prepared: Prepared, column: str, *splits: str) -> list:
    """The values of a column in some splits, in all without any."""
    parts = [prepared.records[name][column] for name in splits or SPLITS]
    return [value for part in parts for value in part.to_pylist()]


def ids(prepared: Prepared) -> list[set]:
    return [set(values(prepared, "id", name)) for name in SPLITS]


def test_the_tumours_are_whole(prepared) -> None:
    result = prepared("example:breast-cancer", label="diagnosis")
    assert result.modality == "tables"
    assert sum(result.rows.values()) == 569
    assert len(result.schema) == 31
    assert "worst_fractal_dimension" in result.schema.names
    totals = {"benign": 0, "malignant": 0}
    for split in SPLITS:
        counts = dict(result.class_counts[split])
        assert list(counts) == ["benign", "malignant"]
        assert sum(counts.values()) == result.rows[split] == len(result.records[split])
        totals = {label: totals[label] + count for label, count in counts.items()}
    assert totals == {"benign": 357, "malignant": 212}


def test_records_are_mapped_and_say_what_their_columns_mean(prepared, people, write_table) -> None:
    constraint = {"kind": "range", "columns": ["age"], "low": 18}
    result = prepared(write_table(people(600)), label="churned", constraints=[constraint])
    for table in result.records.values():
        assert [column.num_chunks for column in table.columns] == [1] * 8
        assert table.schema.equals(result.schema, check_metadata=True)
    meaning = json.loads(result.schema.metadata[KEY])
    assert meaning["min_group"] == 10
    assert meaning["constraints"][0]["columns"] == ["age"]
    kinds = {column.name: column.kind for column in read_table_metadata(result.schema).columns}
    assert list(kinds) == people(1).column_names
    assert (kinds["id"], kinds["age"], kinds["joined"]) == ("key", "integer", "date")
    again = load_prepared(result.folder)
    assert again == result
    assert again.records["holdout"].equals(result.records["holdout"], check_metadata=True)


def test_csv_and_parquet_of_one_table_are_split_alike(prepared, people, write_table) -> None:
    table = people(900)
    shuffled = table.take(np.random.default_rng(1).permutation(900))
    narrow = shuffled.set_column(1, "age", shuffled["age"].cast(pa.int16()))
    written = prepared(write_table(table, "people.csv"), label="churned")
    stored = prepared(write_table(narrow.select(narrow.column_names[::-1])), label="churned")
    assert ids(written) == ids(stored)
    assert written.split_digest == stored.split_digest
    assert b"ganmill-csv" in written.schema.metadata
    assert b"ganmill-csv" not in stored.schema.metadata


def test_a_row_keeps_its_side_with_new_data(prepared, people, write_table) -> None:
    old, new = people(400), people(500, seed=1)
    before = prepared(write_table(old), label="churned")
    after = prepared(write_table(pa.concat_tables([new, old]), "more.parquet"), label="churned")
    assert sum(after.rows.values()) == 900
    for kept, grown in zip(ids(before), ids(after), strict=True):
        assert kept <= grown


def test_neither_label_nor_key_decides_the_side(prepared, people, write_table) -> None:
    table = people(400)
    other = table.set_column(7, "churned", table["churned"].take(np.arange(400)[::-1]))
    numbered = other.set_column(0, "id", pa.array(np.arange(400)))
    before = prepared(write_table(table), label="churned")
    after = prepared(write_table(numbered, "other.parquet"), label="churned")
    assert [values(before, "income", name) for name in SPLITS] == [
        values(after, "income", name) for name in SPLITS
    ]
    assert before.split_rule["without"] == ["churned", "id"]


def test_equal_rows_are_on_one_side(prepared, people, write_table) -> None:
    table = people(300).drop_columns(["id"])
    result = prepared(write_table(pa.concat_tables([table, table.slice(0, 100)])), label=None)
    rows = [{str(row) for row in result.records[name].to_pylist()} for name in SPLITS]
    assert not rows[0] & rows[1] | rows[0] & rows[2] | rows[1] & rows[2]
    assert sum(result.rows.values()) == 400


def test_a_table_of_copies_is_split_by_occurrence(prepared, write_table) -> None:
    table = pa.table({"a": [i % 3 for i in range(400)], "b": ["xyz"[i % 3] for i in range(400)]})
    result = prepared(write_table(table), label=None)
    assert result.split_rule["rows"] == "occurrence"
    assert any("Only 3 of 400 records are distinct" in note for note in result.notes)


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        (pa.array(["a", "b"] * 60).dictionary_encode(), pa.string()),
        (pa.array([1, 2] * 60).dictionary_encode(), pa.int64()),
        (pa.array(["a", "b"] * 60, pa.large_string()), pa.string()),
        (pa.array(["a", "b"] * 60, pa.string_view()), pa.string()),
        (pa.array([1, 2] * 60, pa.uint8()), pa.uint8()),
        (pa.array(np.float16([1, 2] * 60)), pa.float32()),
        (pa.array([10**18 + 1, 5] * 60, pa.timestamp("ns", "UTC")), pa.timestamp("us", "UTC")),
        (pa.array([1, 2] * 60, pa.timestamp("s")), pa.timestamp("us")),
        (pa.array([1, 2] * 60, pa.time32("s")), pa.time32("ms")),
        (pa.array([1, 2] * 60, pa.date64()), pa.date32()),
        (pa.array([Decimal("1.5"), None] * 60, pa.decimal128(9, 2)), pa.decimal128(9, 2)),
        (pa.array([Decimal("1.5"), None] * 60, pa.decimal256(50, 2)), pa.decimal128(38, 2)),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_types_are_plain(stored, kept, prepared, write_table) -> None:
    table = pa.table({"x": stored, "n": np.linspace(0, 1, 120)})
    result = prepared(write_table(table), label=None)
    assert result.schema.field("x").type == kept
    expected = stored.cast(kept, safe=False) if kept != pa.float32() else stored.cast(kept)
    assert sorted(values(result, "x"), key=str) == sorted(expected.to_pylist(), key=str)


def test_nan_is_a_missing_value(prepared, write_table) -> None:
    numbers = [float("nan") if i % 9 == 0 else i / 7 for i in range(180)]
    result = prepared(write_table(pa.table({"x": numbers, "k": ["a", "b"] * 90})), label="k")
    assert values(result, "x").count(None) == 20
    assert "NaN is read as a missing value, in 'x'." in result.notes


def test_files_with_like_types_are_one_table(prepared, people, write_table, tmp_path) -> None:
    table = people(300)
    for i, kind in enumerate([pa.int64(), pa.int32(), pa.float64()]):
        part = table.slice(100 * i, 100).set_column(
            1, "age", table["age"].slice(100 * i, 100).cast(kind)
        )
        write_table(part.select(part.column_names[:: (-1) ** i]), f"many/{i}.parquet")
    result = prepared(tmp_path / "many", label="churned")
    assert result.schema.field("age").type == pa.float64()
    assert sorted(values(result, "id")) == sorted(table["id"].to_pylist())
    assert any("'age' is double and int32 and int64" in note for note in result.notes)


def test_what_the_recipe_drops_and_what_pandas_adds_is_not_kept(
    prepared, people, write_table
) -> None:
    table = people(200).append_column("raw", pa.array([b"x"] * 200))
    table = table.append_column("__index_level_0__", pa.array(np.arange(200)))
    columns = [{"name": name, "kind": "text", "text": "drop"} for name in ("raw", "city")]
    result = prepared(write_table(table), label="churned", columns=columns)
    assert not {"raw", "city", "__index_level_0__"} & set(result.schema.names)
    assert any("'__index_level_0__'" in note for note in result.notes)


@pytest.mark.parametrize(
    ("label", "counts"),
    [
        (pa.array([0.5, 1.5] * 100), None),
        (pa.array(np.arange(200) % 60), None),
        (pa.array([Decimal("1.0"), Decimal("2.0")] * 100), None),
        (pa.array([5, 7] * 100, pa.int8()), {5, 7}),
        (pa.array([True, False] * 100), {False, True}),
        (pa.array(["b", "a"] * 100, pa.large_string()), {"a", "b"}),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_only_classes_are_counted(label, counts, prepared, write_table) -> None:
    table = pa.table({"x": np.linspace(0, 1, 200), "y": label})
    result = prepared(write_table(table), label="y")
    if counts is None:
        assert result.class_counts == dict.fromkeys(SPLITS, ())
    else:
        assert {each for each, _ in result.class_counts["train"]} == counts
        assert [each for each, _ in result.class_counts["train"]] == sorted(counts)


def test_rows_without_a_label_are_skipped(prepared, people, write_table) -> None:
    table = people(300)
    labels = table["churned"].to_pylist()
    labels[7] = labels[70] = None
    result = prepared(
        write_table(table.set_column(7, "churned", pa.array(labels))), label="churned"
    )
    assert result.skipped == ("row 7 (no label)", "row 70 (no label)")
    assert sum(result.rows.values()) == 298
    assert any("2 of 300 rows" in note for note in result.notes)


def test_groups_stay_together_and_may_be_dropped(prepared, people, write_table) -> None:
    households = [f"h{i % 60}" for i in range(600)]
    table = people(600).append_column("household", pa.array(households))
    result = prepared(write_table(table), label="churned", split={"group_by": "household"})
    sets = [set(values(result, "household", name)) for name in SPLITS]
    assert sum(len(part) for part in sets) == 60
    drop = [{"name": "household", "kind": "text", "text": "drop"}]
    alike = prepared(
        write_table(table), label="churned", split={"group_by": "household"}, columns=drop
    )
    assert ids(alike) == ids(result)
    assert "household" not in alike.schema.names


def test_the_users_own_split_is_kept_and_its_column_is_not(prepared, people, write_table) -> None:
    said = pa.array(["train"] * 300 + ["dev"] * 100 + ["test"] * 200)
    table = people(600).append_column("part", said)
    result = prepared(write_table(table), label="churned", split={"column": "part"})
    assert result.rows == {"train": 300, "validation": 100, "holdout": 200}
    assert values(result, "id", "holdout") == table["id"].slice(400).to_pylist()
    assert "part" not in result.schema.names
    assert any("'part' divides the rows" in note for note in result.notes)


def test_the_holdout_may_be_a_table_of_its_own(prepared, people, write_table) -> None:
    more = people(200, seed=1).select(people(1).column_names[::-1])
    whole = more.set_column(6, "age", more["age"].cast(pa.float64()))
    split = {"holdout_uri": str(write_table(whole, "holdout.parquet"))}
    result = prepared(write_table(people(400)), label="churned", split=split)
    assert values(result, "id", "holdout") == more["id"].to_pylist()
    assert result.rows["train"] + result.rows["validation"] == 400
    assert result.schema.names == people(1).column_names
    assert result.schema.field("age").type == pa.float64()


def test_few_copies_across_the_users_split_are_left_out(prepared, people, write_table) -> None:
    table = people(400)
    split = {"holdout_uri": str(write_table(people(200, seed=1), "holdout.parquet"))}
    both = pa.concat_tables([table, people(200, seed=1).slice(0, 2)])
    result = prepared(write_table(both), label="churned", split=split)
    assert sum(result.rows.values()) == 600
    assert any("Left out, as equal to a record of a later split: 2" in n for n in result.notes)


def test_a_table_that_holds_equal_rows_by_nature_does_not_leak(prepared, write_table) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 40, (rows, 2)) for rows in (900, 300)]
    tables = [pa.table({"a": part[:, 0], "b": part[:, 1]}) for part in parts]
    split = {"holdout_uri": str(write_table(tables[1], "holdout.parquet"))}
    result = prepared(write_table(tables[0]), label=None, split=split)
    assert result.rows["holdout"] == 300
    assert any("Left out" in note for note in result.notes)


def test_settings_of_a_table_have_entries_of_their_own(prepared, people, write_table) -> None:
    path = write_table(people(200))
    folders = {
        prepared(path, label="churned").folder,
        prepared(path, label="churned", min_group=11).folder,
        prepared(path, label="churned", csv={"decimal": ","}).folder,
        prepared(path, label="churned", columns=[{"name": "age", "kind": "float"}]).folder,
        prepared(path, label="churned", constraints=[{"kind": "unique", "columns": ["id"]}]).folder,
        prepared(path, label="city").folder,
    }
    assert len(folders) == 6
    assert prepared(path, label="churned", resize=32).folder in folders


@pytest.mark.parametrize("name", ["t/table.parquet", "t/table.csv"])
def test_a_reused_table_is_not_read(name, prepared, people, write_table, monkeypatch) -> None:
    from storage.sources.tables import csv_source
    from storage.sources.tables.parquet_table import ParquetTable

    folder = write_table(people(200), name).parent
    (folder / "README").write_text("not a table")
    first = prepared(folder, label="churned")
    monkeypatch.delattr(ParquetTable, "read")
    monkeypatch.delattr(csv_source, "read_csv_files")
    again = prepared(folder, label="churned")
    assert again == first
    assert again.ignored_files == 1


def test_the_kind_follows_from_the_content(
    people, write_table, make_folder, make_parquet, pictures, encode, tmp_path
) -> None:
    def found(uri: object, **fields: object) -> tuple[str, str]:
        description = open_source(SourceConfig(uri=str(uri), label=None, **fields)).description
        return description.kind, description.modality

    images = [encode(picture) for picture in pictures[:3]]
    root = make_folder(images)
    write_table(people(5), "images/people.csv")
    (root / "notes.txt").write_text("a,b\n1,2\n")
    assert found(root) == ("folder", "images")
    assert found(root, modality="tables") == ("csv", "tables")
    assert found(f"{root}/*.csv") == ("csv", "tables")
    assert found(root / "notes.txt") == ("csv", "tables")
    assert found(root, include=["*.txt"]) == ("csv", "tables")
    assert found(make_parquet(images)) == ("parquet", "images")
    assert found(write_table(people(5))) == ("parquet", "tables")
    assert found("example:breast-cancer") == ("example", "tables")


def test_a_description_of_a_table_reads_no_row(people, write_table) -> None:
    path = write_table(people(50))
    description = open_source(SourceConfig(uri=str(path), label="churned")).description
    assert (description.rows, description.files) == (50, 1)
    assert description.columns == tuple(people(1).column_names)
    assert description.size_bytes == path.stat().st_size


def test_progress_of_a_table_is_told(people, write_table, tmp_path) -> None:
    from storage.sources.prepare import prepare

    told: list[tuple[int, int]] = []
    config = SourceConfig(uri=str(write_table(people(120))), label="churned")
    prepare(config, folder=tmp_path, min_group=10, progress=lambda *done: told.append(done))
    assert told[-1] == (120, 120)
