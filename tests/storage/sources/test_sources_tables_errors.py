"""Unfit tables: one sentence that names what is wrong and what to do, and nothing left behind."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.sources.tables.source import unusable_values


@pytest.fixture
def refused(prepared, tmp_path, write_table):
    """Prepare a table, or an URI, and return the sentence it was refused with."""

    def run(source: object, *, label: str | None = "churned", **fields: object) -> str:
        uri = write_table(source) if isinstance(source, pa.Table) else source
        with pytest.raises(SourceError) as caught:
            prepared(uri, label=label, **fields)
        sentence = str(caught.value)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        cache = tmp_path / "cache"
        assert not [path for path in cache.glob("*") if path.suffix != ".lock"]
        return sentence

    return run


def test_duplicate_column_names(refused, people) -> None:
    table = people(200).rename_columns(["id", "a", "b", "a", "b", "c", "d", "churned"])
    assert "more than one column of the name 'a', 'b'" in refused(table)


def test_mixed_types_in_a_column(refused, people, write_table, tmp_path) -> None:
    table = people(200)
    write_table(table, "mixed/1.parquet")
    write_table(table.set_column(1, "age", table["age"].cast(pa.string())), "mixed/2.parquet")
    sentence = refused(tmp_path / "mixed")
    assert "'age' is of mixed types" in sentence
    assert "int64 in '1.parquet' and string in '2.parquet'" in sentence


def test_numbers_that_do_not_fit_the_wider_type(refused, write_table, tmp_path) -> None:
    big = pa.table({"x": [2**60 + 1] * 60, "y": ["a", "b"] * 30})
    write_table(big, "big/1.parquet")
    write_table(big.set_column(0, "x", pa.array([0.5] * 60)), "big/2.parquet")
    assert "int64 in '1.parquet' and double in '2.parquet'" in refused(tmp_path / "big", label="y")


def test_a_column_all_null(refused, people) -> None:
    for nothing in (pa.nulls(200), pa.nulls(200, pa.string()), pa.array([float("nan")] * 200)):
        sentence = refused(people(200).append_column("fax", nothing))
        assert "no value in 'fax', where all rows are null" in sentence
        assert "{name: fax, kind: text, text: drop}" in sentence


def test_a_column_that_the_recipe_names_and_the_table_lacks(refused, people) -> None:
    table = people(200)
    sentence = refused(table, label="churn")
    assert "no column 'churn' (did you mean 'churned'?)" in sentence
    assert "'id', 'age', 'income'" in sentence
    assert "in source.label, or set it to null" in sentence
    assert "in source.split.group_by." in refused(table, split={"group_by": "citi"})
    assert "(did you mean 'city'?)" in refused(table, split={"group_by": "citi"})
    assert "in source.split.column." in refused(table, split={"column": "part"})
    assert "in source.columns." in refused(table, columns=[{"name": "wage"}])
    dropped = [{"name": "wage", "kind": "text", "text": "drop"}]
    assert "no column 'wage'" in refused(table, columns=dropped)
    constraint = [{"kind": "inequality", "columns": ["age", "income "]}]
    assert "'income'?" in refused(table, constraints=constraint)
    assert "in source.constraints." in refused(table, constraints=constraint)


def test_the_default_label_is_no_guess(refused, people) -> None:
    sentence = refused(people(200), label="label")
    assert "no column 'label'" in sentence
    assert "'churned'" in sentence
    assert "set it to null" in sentence


def test_a_column_that_is_needed_and_dropped(refused, people) -> None:
    def drop(name: str) -> list[dict]:
        return [{"name": name, "kind": "text", "text": "drop"}]

    table = people(200)
    assert "'churned'" in refused(table, columns=drop("churned"))
    assert "needed by source.label" in refused(table, columns=drop("churned"))
    unique = [{"kind": "unique", "columns": ["id"]}]
    assert "needed by source.constraints" in refused(table, columns=drop("id"), constraints=unique)
    assert "needed by source.label" in refused(table, label="city", split={"column": "city"})


def test_one_column(refused) -> None:
    assert "one column only, 'x'" in refused(pa.table({"x": np.arange(200)}), label=None)


def test_fewer_than_a_hundred_rows(refused, people) -> None:
    assert "holds 99 rows, and at least 100" in refused(people(99))
    assert "hold no row" in refused(people(0))


def test_infinite_values(refused, people) -> None:
    income = people(200)["income"].to_numpy().copy()
    income[[3, 5]] = np.inf, -np.inf
    sentence = refused(people(200).set_column(2, "income", pa.array(income)))
    assert "'income'" in sentence
    assert "2 infinite values" in sentence


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2_932_897, pa.date32()),
        (-719_163, pa.date32()),
        (253_402_300_800_000, pa.date64()),
        (253_402_300_800, pa.timestamp("s")),
        (253_402_300_799_000_000, pa.timestamp("us", "Asia/Tokyo")),
        (-62_135_596_800_000, pa.timestamp("ms", "America/New_York")),
    ],
)
def test_moments_that_no_calendar_has(refused, people, value, kind) -> None:
    days = pa.array([value] * 3 + [0] * 197, pa.int64())
    moments = (days.cast(pa.int32()) if kind == pa.date32() else days).cast(kind)
    sentence = refused(people(200).append_column("until", moments))
    assert "'until'" in sentence
    assert "3 moments that no calendar" in sentence


def test_the_first_and_the_last_moment_of_calendars() -> None:
    columns = {
        "day": pa.array([-719_162, 2_932_896, None], pa.int32()).cast(pa.date32()),
        "us": pa.array([-62_135_596_800, 253_402_300_799, 0], pa.timestamp("s", "UTC")),
        "ns": pa.array([-(2**62), 2**62, 0], pa.timestamp("ns")),
    }
    assert unusable_values(pa.table(columns)) == {}


def test_a_label_that_tells_nothing_apart(refused, people) -> None:
    table = people(200).set_column(7, "churned", pa.array(["no"] * 200))
    assert "one value in all rows" in refused(table)
    assert "timestamp[us]" in refused(people(200), label="seen")
    assert "'id'" in refused(people(200), label="id")


def test_a_label_that_is_often_missing(refused, people) -> None:
    labels = [None, None, None, *people(200)["churned"].to_pylist()[3:]]
    sentence = refused(people(200).set_column(7, "churned", pa.array(labels)))
    assert "null in 3 of 200 rows, more than 1%" in sentence


def test_a_small_class(refused, people) -> None:
    labels = ["maybe"] * 9 + people(200)["churned"].to_pylist()[9:]
    sentence = refused(people(200).set_column(7, "churned", pa.array(labels)))
    assert "at least 10 rows" in sentence
    assert "'maybe' (9)" in sentence


def test_a_class_that_train_may_not_show(refused, prepared, people, write_table) -> None:
    labels = ["maybe"] * 20 + people(600)["churned"].to_pylist()[20:]
    table = people(600).set_column(7, "churned", pa.array(labels))
    sentence = refused(table, min_group=20)
    assert "at least 20 rows of train" in sentence
    assert "'maybe' (" in sentence
    public = [{"name": "churned", "vocabulary": "public"}]
    result = prepared(write_table(table), label="churned", min_group=20, columns=public)
    assert dict(result.class_counts["train"])["maybe"] < 20


def test_nothing_but_names(refused) -> None:
    table = pa.table({"id": np.arange(200) * 7919 % 100_003, "kind": ["a", "b"] * 100})
    assert "nothing but keys, text and the label" in refused(table, label="kind")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"\xff"] * 200),
        pa.array([["a"]] * 200),
        pa.array([[("a", 1)]] * 200, pa.map_(pa.string(), pa.int64())),
    ],
    ids=lambda column: str(column.type),
)
def test_values_that_are_no_cell(column, refused, people) -> None:
    sentence = refused(people(200).append_column("odd", column))
    assert f"'odd' ({str(column.type)[:4]}" in sentence
    assert "{name: odd, kind: text, text: drop}" in sentence


def test_a_value_that_fits_no_plain_type(refused, people) -> None:
    far = pa.array([2**60] * 200, pa.timestamp("ms"))
    assert "'when' of the source" in refused(people(200).append_column("when", far))


def test_files_of_other_columns(refused, people, write_table, tmp_path) -> None:
    write_table(people(200), "p/1.parquet")
    write_table(people(200).drop_columns(["age"]), "p/2.parquet")
    assert "'2.parquet'" in refused(tmp_path / "p")
    assert "lacks the column 'age'" in refused(tmp_path / "p")


def test_csv_and_parquet_at_once(refused, people, write_table, tmp_path) -> None:
    write_table(people(200), "both/1.parquet")
    write_table(people(200), "both/2.csv")
    sentence = refused(tmp_path / "both")
    assert "both CSV files ('2.csv') and Parquet files ('1.parquet')" in sentence
    assert "source.include" in sentence


def test_another_modality_than_the_recipe_says(
    refused, people, write_table, make_folder, pictures, encode
) -> None:
    assert "no column of encoded images" in refused(people(200), modality="images")
    root = make_folder([encode(picture) for picture in pictures[:3]])
    sentence = refused(root, modality="tables")
    assert "no Parquet, CSV, JSON Lines, Arrow, ORC, Excel" in sentence
    assert "file, only other files (3, one of them 'a/0000.png')" in sentence
    path = write_table(people(200), "people.csv")
    assert "the globs, or source.modality" in refused(path, modality="images")
    assert "holds tables and source.modality says 'images'" in refused(
        "example:breast-cancer", label="diagnosis", modality="images"
    )
    split = {"holdout_uri": str(root)}
    assert "holds images and" in refused(people(200), split=split)


def test_a_holdout_that_does_not_fit(refused, people, write_table) -> None:
    other = people(200, seed=1)

    def with_holdout(table: pa.Table, **fields: object) -> str:
        path = str(write_table(table, "holdout.parquet"))
        return refused(people(300), split={"holdout_uri": path}, **fields)

    assert "lacks the columns 'city'" in with_holdout(other.drop_columns(["city"]))
    text = other.set_column(1, "age", other["age"].cast(pa.string()))
    assert "int64 in source.uri and string in split.holdout_uri" in with_holdout(text)
    assert "no column 'churned'" in with_holdout(other.drop_columns(["churned"]))


def test_a_leaking_holdout(refused, people, write_table) -> None:
    table, other = people(400), people(200, seed=1)
    relabelled = table.slice(0, 6).set_column(7, "churned", pa.array(["yes", "no"] * 3))
    copied = pa.concat_tables([other, relabelled])
    path = str(write_table(copied, "holdout.parquet"))
    sentence = refused(table, split={"holdout_uri": path})
    assert "of the 206 holdout rows that split.holdout_uri names, 6 (2.9%)" in sentence
    assert "leave out split.holdout_uri" in sentence


def test_a_leaking_split_column(refused, people) -> None:
    table = pa.concat_tables([people(400), people(400).slice(100, 50), people(100, seed=1)])
    said = pa.array(["train"] * 400 + ["test"] * 150)
    sentence = refused(table.append_column("part", said), split={"column": "part"})
    assert "of the 150 holdout rows that the column 'part' names, 50 (33.3%)" in sentence
    assert "where 0.0% have an equal" in sentence


def test_a_split_column_with_gaps_or_odd_words(refused, people) -> None:
    for said, word in ((None, "empty in 1 records"), ("fold 1", "'fold 1'")):
        part = pa.array([said, *["train", "test"] * 100][:200])
        sentence = refused(people(200).append_column("part", part), split={"column": "part"})
        assert word in sentence


def test_a_damaged_file(refused, people, write_table) -> None:
    path = write_table(people(5_000), compression="none", use_dictionary=False)
    start = pq.read_metadata(path).row_group(0).column(1).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    assert "no readable Parquet file" in refused(path)
