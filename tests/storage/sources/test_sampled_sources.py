"""Sources of more records than are kept: the sample, and what is said of all records."""

import gzip
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from storage.errors import SourceError
from storage.records.constraint import Constraint
from storage.records.table_metadata import read_table_metadata
from storage.sources.builder import load_builder
from storage.sources.config import ColumnConfig, SourceConfig
from storage.sources.open import open_source
from storage.sources.prepare import prepare
from storage.sources.prepared import Prepared
from storage.sources.split import SPLITS, SplitConfig
from storage.sources.tables import chosen, csv_file, parquet_table

ROWS = 3000
MOST = 1000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch) -> None:
    """So that a few thousand rows are several blocks."""
    monkeypatch.setattr(parquet_table, "BLOCK_ROWS", 700)
    monkeypatch.setattr(csv_file, "_STREAM_BLOCK_BYTES", 1 << 15)


def shop(rows: int = ROWS) -> pa.Table:
    """Orders with a key, a formula, gaps, and a label of two classes."""
    random = np.random.default_rng(11)
    net = random.integers(100, 90_000, rows) / 100
    gap = random.random(rows) < 0.1
    return pa.table(
        {
            "order_id": np.arange(rows) * 7 + 3,
            "age": random.integers(18, 90, rows),
            "net": net,
            "tax": random.integers(0, 900, rows) / 100,
            "score": pa.array(random.normal(0, 1, rows).round(3), mask=gap),
            "city": [f"city {n}" for n in random.integers(0, 30, rows)],
            "kept": np.where(random.random(rows) < 0.3, "yes", "no"),
        }
    ).append_column("total", pa.array((net * 100 + 0.5).astype(int) / 100))


def ready(uri: Path, tmp_path: Path, **settings: object) -> Prepared:
    config = SourceConfig(uri=str(uri), **{"label": "kept", **settings})
    return prepare(config, folder=tmp_path / "prepared", min_group=10)


def written(table: pa.Table, path: Path, kind: str = "parquet") -> Path:
    path.mkdir(exist_ok=True)
    file = path / f"rows.{kind}"
    pq.write_table(table, file) if kind == "parquet" else csv.write_csv(table, file)
    return path


def kinds(prepared: Prepared) -> dict[str, str]:
    return {one.name: one.kind for one in read_table_metadata(prepared.schema).columns}


def split_of(prepared: Prepared) -> dict[int, str]:
    return {
        number: name
        for name in SPLITS
        for number in prepared.records[name].column("age_key").to_pylist()
    }


@pytest.mark.parametrize("kind", ["parquet", pytest.param("csv", marks=pytest.mark.full)])
def test_a_record_keeps_its_split_and_all_rows_are_counted(tmp_path, kind) -> None:
    table = shop().rename_columns(["order_id", *shop().column_names[1:]])
    table = table.append_column("age_key", pa.array(np.arange(ROWS) % 1499 * 2))
    uri = written(table, tmp_path / "rows", kind)
    whole = ready(uri, tmp_path)
    sampled = ready(uri, tmp_path, max_rows=MOST)
    assert not whole.seen
    assert sum(sampled.rows.values()) == MOST == sampled.seen["kept"]
    assert sampled.seen["by_split"] == dict(whole.rows)
    assert {n: [tuple(p) for p in c] for n, c in sampled.seen["class_counts"].items()} == {
        name: list(counts) for name, counts in whole.class_counts.items()
    }
    assert sampled.source_class_counts == whole.class_counts == whole.source_class_counts
    assert kinds(sampled) == kinds(whole)
    assert sampled.split_digest == whole.split_digest
    assert sampled.schema.remove_metadata() == whole.schema.remove_metadata()
    for name in SPLITS:
        rows = {
            tuple(row.items()) for row in whole.records[name].drop_columns("order_id").to_pylist()
        }
        assert {
            tuple(row.items()) for row in sampled.records[name].drop_columns("order_id").to_pylist()
        } <= rows
    notes = " ".join(sampled.notes)
    assert "Of 3,000 rows a uniform sample of 1,000 is kept" in notes
    assert "Dvoretzky" in notes
    assert "total equals net in all rows" in notes
    assert sampled.reading["sample"]["of"] == ROWS


@pytest.mark.full
def test_below_the_limit_nothing_changes(tmp_path) -> None:
    uri = written(shop(), tmp_path / "rows")
    whole, limited = ready(uri, tmp_path), ready(uri, tmp_path, max_rows=ROWS)
    assert not limited.seen
    assert not limited.reading
    for name in SPLITS:
        assert limited.records[name].equals(whole.records[name])


def test_the_order_of_files_and_rows_decides_nothing(tmp_path) -> None:
    table = shop()
    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second):
        place.mkdir()
    pq.write_table(table.slice(0, 1200), first / "a.parquet")
    pq.write_table(table.slice(1200), first / "b.parquet")
    mixed = table.take(pa.array(np.random.default_rng(2).permutation(ROWS)))
    pq.write_table(mixed, second / "rows.parquet", row_group_size=300)
    one, other = (ready(place, tmp_path, max_rows=MOST) for place in (first, second))
    for name in SPLITS:
        assert (
            one.records[name]
            .drop_columns("order_id")
            .equals(other.records[name].drop_columns("order_id"))
        )


def test_a_late_cell_widens_a_column_of_csv(tmp_path) -> None:
    """Numbers are whole but for one row that no sample of the seed holds, and one null word."""
    table = shop()
    ages = [str(age) for age in table.column("age").to_pylist()]
    ages[2900], ages[5] = "41.5", "N/A"
    uri = written(table.set_column(1, "age", pa.array(ages)), tmp_path / "rows", "csv")
    whole, sampled = ready(uri, tmp_path), ready(uri, tmp_path, max_rows=MOST)
    assert kinds(sampled)["age"] == kinds(whole)["age"] == "float"
    assert sampled.split_digest == whole.split_digest
    assert sampled.seen["by_split"] == dict(whole.rows)


@pytest.mark.full
def test_kinds_are_those_of_all_rows(tmp_path) -> None:
    """Each code stands twice in the source, and nearly always once in the sample."""
    codes = [f"C{n % (ROWS // 2):05}" for n in range(ROWS)]
    table = shop().append_column("code", pa.array(codes))
    uri = written(table, tmp_path / "rows")
    whole, sampled = ready(uri, tmp_path), ready(uri, tmp_path, max_rows=MOST)
    assert kinds(sampled)["code"] == kinds(whole)["code"] == "category"
    assert sampled.seen["by_split"] == dict(whole.rows)


def test_rules_are_compared_with_all_rows(tmp_path) -> None:
    table = shop()
    totals = table.column("total").to_pylist()
    totals[1777] += 5
    uri = written(table.set_column(7, "total", pa.array(totals)), tmp_path / "rows")
    sampled = ready(uri, tmp_path, max_rows=MOST)
    rows = [row for name in SPLITS for row in sampled.records[name].to_pylist()]
    assert all(row["total"] == row["net"] for row in rows)  # the sample does not know it
    assert not read_table_metadata(sampled.schema).constraints
    assert any("1 rules that hold in the sample do not hold" in note for note in sampled.notes)
    same = Constraint(kind="sum", columns=("total", "net"))
    with pytest.raises(SourceError, match=r"'sum' on 'total', 'net'.*some rows break it"):
        ready(uri, tmp_path, max_rows=MOST, constraints=(same,))


@pytest.mark.full
@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        (Constraint(kind="range", columns=("age",), low=18, high=89), True),
        (Constraint(kind="range", columns=("age",), low=19), False),
        (Constraint(kind="inequality", columns=("net", "total")), True),
        (Constraint(kind="inequality", columns=("net", "total"), strict=True), False),
        (Constraint(kind="unique", columns=("order_id",)), True),
        (Constraint(kind="unique", columns=("age", "city")), False),
    ],
)
def test_named_constraints_are_compared_with_all_rows(tmp_path, constraint, holds) -> None:
    uri = written(shop(), tmp_path / "rows")
    refused = pytest.raises(SourceError, match="does not hold in all rows")
    with nullcontext() if holds else refused:
        ready(uri, tmp_path, max_rows=MOST, constraints=(constraint,))


@pytest.mark.full
def test_rows_without_a_label_are_counted_over_all(tmp_path) -> None:
    table = shop()
    labels = table.column("kept").to_pylist()
    labels[::200] = [None] * 15
    uri = written(table.set_column(6, "kept", pa.array(labels)), tmp_path / "rows")
    sampled = ready(uri, tmp_path, max_rows=MOST)
    assert sampled.seen["rows"] == ROWS - 15
    assert any("15 of 3,000 rows" in note for note in sampled.notes)
    labels[::10] = [None] * 300
    uri = written(table.set_column(6, "kept", pa.array(labels)), tmp_path / "rows")
    with pytest.raises(SourceError, match=r"source\.label_nulls"):
        ready(uri, tmp_path, max_rows=MOST)


def test_a_class_that_the_sample_lacks_is_said(tmp_path) -> None:
    labels = shop().column("kept").to_pylist()
    for rare, message in (
        (4, r"at least 10 rows, but 'kept' has 'rare' \(4\)"),
        (12, "in the sample"),
    ):
        labels[:rare] = ["rare"] * rare
        uri = written(shop().set_column(6, "kept", pa.array(labels)), tmp_path / "rows")
        with pytest.raises(SourceError, match=message):
            ready(uri, tmp_path, max_rows=MOST)


def test_splits_that_take_all_rows_are_refused(tmp_path) -> None:
    uri = written(shop(), tmp_path / "rows")
    with pytest.raises(SourceError, match=r"source.split.group_by takes all of them at once"):
        ready(uri, tmp_path, max_rows=MOST, split=SplitConfig(group_by="city"))


@pytest.mark.full
def test_sources_that_are_read_whole_take_no_limit(tmp_path) -> None:
    with pytest.raises(SourceError, match=r"source.max_rows 1000 has no effect"):
        ready(Path("example:breast-cancer"), tmp_path, max_rows=MOST, label="diagnosis")


@pytest.mark.full
def test_a_broken_row_of_a_stream_is_said(tmp_path) -> None:
    uri = written(shop(), tmp_path / "rows", "csv")
    text = (uri / "rows.csv").read_text().splitlines()
    text[2500] += ",1,2"
    (uri / "rows.csv").write_text("\n".join(text))
    with pytest.raises(SourceError, match=r"cannot be read as CSV to its end .*got 10"):
        ready(uri, tmp_path, max_rows=MOST)


@pytest.mark.full
def test_packed_files_in_another_encoding_are_streamed(tmp_path) -> None:
    table = shop().set_column(5, "city", pa.array([f"Köln {n % 30}" for n in range(ROWS)]))
    uri = written(table, tmp_path / "rows", "csv")
    data = (uri / "rows.csv").read_text().encode("cp1252")
    (uri / "rows.csv").unlink()
    (uri / "rows.csv.gz").write_bytes(gzip.compress(data))
    config = {"csv": {"encoding": "cp1252"}}
    whole, sampled = ready(uri, tmp_path, **config), ready(uri, tmp_path, max_rows=MOST, **config)
    assert sampled.seen["by_split"] == dict(whole.rows)
    assert "Köln 7" in sampled.records["train"].column("city").to_pylist()


@pytest.mark.full
def test_images_are_sampled_by_their_bytes(tmp_path, encode, make_folder) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (1300, 8, 8, 1), np.uint8)
    names = [f"{'ab'[n % 2]}/{n:04}.png" for n in range(1300)]
    folder = make_folder([encode(one) for one in pixels], names)
    again = make_folder([encode(one) for one in pixels[::-1]], names[::-1], root="again")
    whole = ready(folder, tmp_path)
    sampled, other = (ready(one, tmp_path, max_rows=1000) for one in (folder, again))
    assert sum(sampled.rows.values()) == 1000 == sampled.seen["kept"]
    assert sampled.seen["class_counts"] == {"all": [["a", 650], ["b", 650]]}
    assert any("Of 1,300 images a uniform sample of 1,000" in note for note in sampled.notes)
    sides = {name: _pixels(whole, name) for name in SPLITS}
    for name in SPLITS:
        assert _pixels(sampled, name) <= sides[name]
        assert _pixels(sampled, name) == _pixels(other, name)
    copies = make_folder([encode(pixels[n % 300]) for n in range(1300)], names, root="copies")
    with pytest.raises(SourceError, match="Most of the 1,300 images"):
        ready(copies, tmp_path, max_rows=1000)


def _pixels(prepared: Prepared, name: str) -> set[bytes]:
    images = prepared.records[name].column("image").combine_chunks()
    return {image.tobytes() for image in images.to_numpy_ndarray()}


@pytest.mark.full
def test_free_text_of_a_sample_is_refused_only_where_all_rows_say_so(tmp_path) -> None:
    words = [f"note {n % 1000} of the day with many more words in it" for n in range(ROWS)]
    table = shop().append_column("remark", pa.array(words))
    uri = written(table, tmp_path / "rows")
    for most in (ROWS, MOST):
        with pytest.raises(
            SourceError, match="'remark' is free text, 1,000 different values in 3,"
        ):
            ready(uri, tmp_path, max_rows=most)
    dropped = (ColumnConfig(name="remark", kind="text", text="drop"),)
    assert "remark" not in kinds(ready(uri, tmp_path, max_rows=MOST, columns=dropped))


def test_a_survey_looks_at_the_first_rows(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(chosen, "SURVEYED_ROWS", 1000)
    config = SourceConfig(uri=str(written(shop(), tmp_path / "rows")), label="kept", max_rows=MOST)
    survey = load_builder("tables").survey(open_source(config), config, 10)
    assert "only the first 1,400 rows were looked at" in survey.facts
    assert {one.name for one in survey.columns} >= {"net", "city"}


@pytest.mark.full
def test_a_column_that_the_sample_has_no_value_of_is_said(tmp_path) -> None:
    rare = pa.array([None] * (ROWS - 1) + [1.5])
    uri = written(shop().append_column("rare", rare), tmp_path / "rows")
    with pytest.raises(SourceError, match="no value in 'rare' in any of the 1,000 rows of the sam"):
        ready(uri, tmp_path, max_rows=MOST)
