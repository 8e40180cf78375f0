"""What paths say: splits in folders and file names, partitions, parts by a selector."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.listing import find_files
from storage.sources.open import open_source
from storage.sources.paths import (
    PATH_SPLIT,
    PathColumns,
    partitions,
    path_part,
    path_selector,
    split_by_column,
    split_by_path,
)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("train/a/1.png", "train"),
        ("data/train-00000-of-00001.parquet", "train"),
        ("adult.test.csv", "test"),
        ("my_data_VAL.csv", "VAL"),
        ("test/train_1.png", "test"),
        ("train01.parquet", "train"),
        ("training.parquet", "training"),
        ("trains/contest.csv", None),
    ],
)
def test_the_word_for_a_split_in_a_path(path: str, word: str | None) -> None:
    assert path_part(path_selector(PATH_SPLIT), path) == word


@pytest.mark.parametrize(
    ("keys", "column"),
    [
        (["train/a/1.png", "val/b/2.png", "test/a/3.png"], "depth:1"),
        (["set/train/1.png", "set/Test/2.png"], "depth:2"),
        (["a/train/1.png", "b/x/test/2.png"], "depth:-1"),
        (["train-0.parquet", "train-1.parquet", "validation-0.parquet"], PATH_SPLIT),
        (["train.csv", "holdout.csv"], PATH_SPLIT),
        (["train/1.png", "cat/2.png"], None),
        (["train/1.png", "training/2.png"], None),
        (["a/1.png", "b/2.png"], None),
    ],
)
def test_a_split_in_paths_is_proposed(keys: list[str], column: str | None) -> None:
    found = split_by_path(keys)
    assert (found.value if found else None) == column


def test_a_split_in_a_column_is_proposed() -> None:
    assert split_by_column("part", ["Train", "TEST"]).value == "part"
    assert split_by_column("part", ["train", None, "test"]) is None
    assert split_by_column("part", ["train", "x"]) is None


def test_partitions_are_typed_columns() -> None:
    assert partitions("a=1/b%20c=x%2Fy/z.parquet") == {"a": "1", "b c": "x/y"}
    keys = ["n=1/k=u/0.parquet", "n=__HIVE_DEFAULT_PARTITION__/k=v/0.parquet"]
    columns = PathColumns("src", keys)
    assert columns.names == ("n", "k")
    assert columns.type("n") == pa.int64()
    assert columns.value("n", keys[1]).as_py() is None
    assert columns.value("k", keys[1]).as_py() == "v"
    assert columns.type("other") is None
    with pytest.raises(SourceError, match="has no part 'depth:3'"):
        columns.value("depth:3", keys[0])


def test_partitions_are_classes_of_images(
    prepared, make_parquet, pictures, encode, tmp_path
) -> None:
    images = [encode(p) for p in pictures]
    for kind in range(3):
        make_parquet(images[kind::3], name=f"p/label={kind}/part-0.parquet")
    result = prepared(tmp_path / "p")
    assert result.schema.field("label").type == pa.int64()
    assert sum(count for _, count in result.class_counts["train"]) == result.rows["train"]
    assert [label for label, _ in result.class_counts["train"]] == [0, 1, 2]


def test_partition_folders_of_image_files_are_classes(prepared, make_folder, pictures, encode):
    names = [f"label={'ab'[i % 2]}/{i}.png" for i in range(120)]
    result = prepared(make_folder([encode(p) for p in pictures], names))
    assert [label for label, _ in result.class_counts["train"]] == ["a", "b"]
    assert result.reading == {"partitions": ["label"]}


def test_parquet_files_are_a_split_by_their_names(
    prepared, make_parquet, pixels_of, pictures, encode
) -> None:
    images, labels = [encode(p) for p in pictures], pa.array([i % 2 for i in range(120)])
    make_parquet(images[:90], name="p/train-0.parquet", label=labels[:90])
    root = make_parquet(images[90:], name="p/test-0.parquet", label=labels[90:]).parent
    result = prepared(root, split={"column": PATH_SPLIT})
    assert (pixels_of(result, "holdout") == pictures[90:]).all()
    ignored = prepared(root)
    assert any('source.split.column: "path:split"' in note for note in ignored.notes)
    assert not any("Consider" in note for note in result.notes)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_tables_have_partitions_and_splits_of_paths(
    prepared, people, tmp_path, suffix: str
) -> None:
    for number, name in enumerate(
        ("region=north/train", "region=south/train", "region=south/test")
    ):
        path = tmp_path / "t" / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        (csv.write_csv if suffix == "csv" else pq.write_table)(people(150, number), path)
    result = prepared(tmp_path / "t", label="churned", split={"column": PATH_SPLIT})
    assert result.rows["holdout"] == 150
    assert set(result.records["holdout"]["region"].to_pylist()) == {"south"}
    assert set(result.records["train"]["region"].to_pylist()) == {"north", "south"}
    assert PATH_SPLIT not in result.schema.names
    assert result.reading == {"partitions": ["region"]}


def test_a_column_of_splits_in_a_table_is_seen(prepared, people, write_table) -> None:
    table = people(300)
    said = pa.array(["train"] * 200 + ["test"] * 100)
    path = write_table(table.append_column("split", said))
    notes = prepared(path, label="churned").notes
    assert any('source.split.column: "split"' in note for note in notes)
    used = prepared(path, label="churned", split={"column": "split"})
    assert not any("Consider" in note for note in used.notes)


def test_a_split_without_holdout_takes_it_from_train(prepared, make_folder, pictures, encode):
    names = [f"{'val' if i < 20 else 'train'}/{'ab'[i % 2]}/{i}.png" for i in range(120)]
    root = make_folder([encode(p) for p in pictures], names)
    result = prepared(root, split={"column": "depth:1"})
    assert result.rows["validation"] == 20
    assert 5 < result.rows["holdout"] < 40
    assert result.split_rule["holdout"] == 0.2
    assert any("never says holdout" in note for note in result.notes)


def test_files_of_systems_are_left_out_and_counted_by_suffix(
    prepared, make_folder, pictures, encode
) -> None:
    root = make_folder([encode(p) for p in pictures])
    debris = ["a/@eaDir/0000.png/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/1.png", "a/Thumbs.db"]
    debris += ["$RECYCLE.BIN/1.png", "#recycle/2.png", "desktop.ini", "__MACOSX/a/._1.png"]
    debris += ["notes.txt", "b/more.txt", "b/archive.TAR", "b/name.of-a_person"]
    for name in debris:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    result = prepared(root)
    assert sum(result.rows.values()) == 120
    assert result.ignored_files == len(debris)
    [note] = [note for note in result.notes if "left out" in note]
    assert note == "Files that are left out: 7 hidden or of a system, 2 .txt, 1 .tar, 1 other."
    found = find_files(SourceConfig(uri=str(root), exclude=["a/*"]), None)
    assert found.left_out[".png outside the globs"] == 40


def test_mixed_kinds_propose_the_commoner(make_folder, make_parquet, pictures, encode) -> None:
    make_folder([encode(p) for p in pictures[:5]], root="both")
    root = make_parquet([encode(pictures[0])], name="both/x.parquet").parent
    with pytest.raises(SourceError) as caught:
        open_source(SourceConfig(uri=str(root)))
    assert [(o.setting, o.value) for o in caught.value.proposals] == [("source.include", ["*.png"])]
