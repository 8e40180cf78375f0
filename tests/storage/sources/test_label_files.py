"""A file beside the images says their classes: its forms, what it names and contradicts."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import SourceError
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.images.label_file import LabelFile
from storage.sources.open import open_source

KEYS = ("0/a.png", "0/b.png", "1/c.png", "1/d.png")


def read(name: str, text: str, keys: tuple[str, ...] = KEYS) -> LabelFile:
    return LabelFile("src", {name: text.encode()}, keys)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dataset.json", '{"labels": [["0/a.png", 3], ["0/b.png", 1], ["1/c.png", 3]]}'),
        ("x.json", '[["a.png", 3], ["b.png", 1], ["c.png", 3]]'),
        ("x.json", '{"labels": {"0/a.png": 3, "./0/b.png": 1, "1\\\\c.png": 3}}'),
        ("x.json", '{"a": 3, "b": 1, "c": 3}'),
        ("x.json", '{"a.png": {"label": 3}, "b.png": {"label": 1}, "c.png": {"label": 3}}'),
        ("x.json", '[{"file": "a.png", "label": 3}, {"file": "b.png", "label": 1},'
                   ' {"file": "c.jpg", "label": 3}]'),
        ("m.jsonl", '{"file_name": "a.png", "label": 3}\n{"file_name": "b.png", "label": 1}\n'
                    '{"file_name": "c.png", "label": 3}\n'),
        ("x.csv", "image_id,label\na,3\nb,1\nc,3\n"),
        ("x.csv", "label;name\n3;0/a.png\n1;0/b.png\n3;1/c.png\n"),
        ("x.tsv", "a.png\t3\nb.png\t1\nc.png\t3\n"),
        ("x.txt", "data/0/a.png 3\ndata/0/b.png 1\ndata/1/c.png 3\n"),
        ("0/x.csv", "file_name,label\na.png,3\nb.png,1\n../1/c.png,3\n"),
    ],
)  # fmt: skip
def test_every_form_says_the_same(name: str, text: str) -> None:
    file = read(name, text)
    assert file.type("label") == pa.int64()
    assert file.values("label", KEYS).to_pylist() == [3, 1, 3, None]
    assert (file.absent, file.unknown) == (1, 0)


def test_further_columns_and_types() -> None:
    file = read("x.csv", "file,class,fold,n\na,cat,train,01\nb,dog,test,02\nz,cat,train,03\n")
    assert file.names == ("class", "fold", "n")
    assert file.type("n") == pa.string()
    assert file.values("class", ["0/b.png", "1/d.png"]).to_pylist() == ["dog", None]
    assert (file.absent, file.unknown) == (2, 1)
    flags = read("x.json", '{"a": true, "b": false}')
    assert flags.type("label") == pa.bool_()
    words = read("x.json", '{"cat": ["a.png", "c.png"], "dog": ["b.png"]}')
    assert words.values("label", KEYS).to_pylist() == ["cat", "dog", "cat", None]


def test_one_hot_columns_and_categories_of_objects_are_classes() -> None:
    hot = read("x.csv", "image,MEL,NV\na,1.0,0.0\nb,0.0,1.0\nc,0.0,1.0\n")
    assert hot.values("label", KEYS).to_pylist() == ["MEL", "NV", "NV", None]
    coco = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "d.png"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 7, "category_id": 1}] * 2,
    }
    objects = read("instances.json", json.dumps(coco))
    assert objects.values("category", KEYS).to_pylist() == ["cat", None, None, None]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.json", "{broken", "cannot be read"),
        ("x.json", '{"labels": null}', "names none"),
        ("x.json", "[1, 2]", "no form"),
        ("x.csv", "file,label\nx,1\ny,2\n", "names none of the 4 images"),
    ],
)
def test_what_is_no_label_file_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read(name, text)


def test_contradictions_are_refused_and_lists_are_no_classes() -> None:
    twice = read("x.csv", "file,label\na,1\n0/a.png,1\nb,2\n")
    assert twice.values("label", KEYS).to_pylist()[:2] == [1, 2]
    with pytest.raises(SourceError, match=r"'label' of '0/a.png' is '1' and '2'"):
        read("x.csv", "file,label\na,1\n0/a.png,2\n").type("label")
    lists = read("x.json", '[{"file": "a", "label": [0, 1]}, {"file": "b", "label": [1, 0]}]')
    assert lists.names == ()
    with pytest.raises(SourceError, match="lists or objects"):
        lists.type("label")


def test_columns_of_objects_within_an_image_do_not_matter_unless_named() -> None:
    boxes = read("boxes.csv", "file,class,x\na,cat,1\na,cat,9\nb,dog,3\n")
    assert boxes.names == ("class", "x")
    assert list(boxes.columns()) == ["class"]
    assert boxes.values("class", KEYS).to_pylist() == ["cat", "dog", None, None]
    with pytest.raises(SourceError, match="contradicts itself"):
        boxes.type("x")


def test_the_same_file_name_in_two_folders_is_no_name() -> None:
    keys = ("a/1.png", "b/1.png", "b/2.png")
    file = read("x.csv", "file,label\n1.png,x\n2.png,y\n", keys)
    assert file.values("label", keys).to_pylist() == [None, None, "y"]
    assert (file.absent, file.unknown) == (2, 1)


@pytest.fixture
def flat(make_folder, pictures, encode) -> Path:
    """120 images in folders that are packing, named by a table with a class and a split."""
    names = [f"{i // 60:05}/img{i:04}.png" for i in range(120)]
    root = make_folder([encode(p) for p in pictures], names)
    parts = ["train"] * 80 + ["val"] * 20 + ["test"] * 20
    rows = [("id", "kind", "part")]
    rows += [(f"img{i:04}", i % 2, parts[i]) for i in range(115)]
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([*rows, ("img9999", 1, "train")])
    return root


def test_class_and_split_come_from_the_label_file(prepared, pixels_of, flat, pictures) -> None:
    said = {"labels": "labels.csv", "label": "kind", "split": {"column": "part"}}
    with pytest.raises(SourceError, match="null in 5 of 120 records, more than 1%") as caught:
        prepared(flat, **said)
    assert [(o.setting, o.value) for o in caught.value.proposals] == [
        ("source.label_nulls", "drop")
    ]
    result = prepared(flat, **said, label_nulls="drop")
    assert result.schema.field("kind").type == pa.int64()
    np.testing.assert_array_equal(pixels_of(result, "train"), pictures[:80])
    np.testing.assert_array_equal(pixels_of(result, "holdout"), pictures[100:115])
    assert result.records["train"]["kind"].to_pylist() == [i % 2 for i in range(80)]
    notes = " ".join(result.notes)
    assert "1 entries that name no image" in notes
    assert "does not name 5 of the images" in notes
    assert "Left out for want of a label: 5 of 120 records" in notes
    assert not any("left out" in note and ".csv" in note for note in result.notes)


def test_the_label_file_is_part_of_the_digest(flat) -> None:
    def digest() -> str:
        return open_source(SourceConfig(uri=str(flat), labels="labels.csv", label="kind")).digest

    first, path = digest(), flat / "labels.csv"
    path.write_text(path.read_text().replace("img0003,1", "img0003,0"))
    assert digest() != first
    assert open_source(SourceConfig(uri=str(flat))).digest != first


def test_a_label_file_is_proposed_and_its_neglect_is_said(prepared, flat) -> None:
    source = open_source(SourceConfig(uri=str(flat)))
    found = {one.setting: one.value for one in source.evidence(SourceConfig(uri=str(flat)))}
    assert found == {
        "source.labels": "labels.csv",
        "source.label": "kind",
        "source.split.column": "part",
    }
    notes = prepared(flat).notes
    assert any('source.labels: "labels.csv"' in note for note in notes)


def test_several_label_files_of_one_name(make_folder, pictures, encode, prepared) -> None:
    names = [f"{'train' if i < 80 else 'test'}/{i}.png" for i in range(120)]
    root = make_folder([encode(p) for p in pictures], names)
    for part, numbers in (("train", range(80)), ("test", range(80, 120))):
        lines = [json.dumps({"file_name": f"{i}.png", "animal": "ab"[i % 2]}) for i in numbers]
        (root / part / "metadata.jsonl").write_text("\n".join(lines))
    config = SourceConfig(uri=str(root))
    found = {one.setting: one.value for one in open_source(config.model_copy(
        update={"label": "label"})).evidence(config)}  # fmt: skip
    assert found["source.labels"] == "**/metadata.jsonl"
    assert found["source.split.column"] == "depth:1"
    result = prepared(root, labels="*/metadata.jsonl", label="animal", split={"column": "depth:1"})
    assert result.rows["holdout"] == 40
    assert dict(result.class_counts["holdout"]) == {"a": 20, "b": 20}


def test_a_label_file_that_is_not_there_or_not_used(flat, make_parquet, pictures, encode) -> None:
    with pytest.raises(SourceError, match=r"no label file 'lables\.csv'.*'labels\.csv' beside"):
        open_source(SourceConfig(uri=str(flat), labels="lables.csv"))
    with pytest.raises(SourceError, match=r"no column 'kid'.*did you mean 'kind'"):
        open_source(SourceConfig(uri=str(flat), labels="labels.csv", label="kid"))
    settings = [
        load_builder("images").settings(SourceConfig(uri="x", labels="y.csv", **said), 10)
        for said in ({}, {"label": None}, {"label_from": "depth:1"})
    ]
    assert ["labels" in one for one in settings] == [True, False, False], "as unused_settings asks"
    path = make_parquet([encode(p) for p in pictures], label=pa.array([0] * 120))
    with pytest.raises(SourceError, match=r"source\.labels 'x\.csv' has no effect"):
        open_source(SourceConfig(uri=str(path), labels="x.csv"))


def test_a_flat_folder_says_which_label_file_would_help(make_folder, pictures, encode) -> None:
    root = make_folder([encode(p) for p in pictures], [f"{i}.png" for i in range(120)])
    with pytest.raises(SourceError) as caught:
        open_source(SourceConfig(uri=str(root)))
    assert [(one.setting, one.value) for one in caught.value.proposals] == [("source.label", None)]
    (root / "y.json").write_text(json.dumps({f"{i}.png": "ab"[i % 2] for i in range(120)}))
    with pytest.raises(SourceError, match=r"set source\.labels: y\.json") as caught:
        open_source(SourceConfig(uri=str(root)))
    assert ("source.labels", "y.json") in [(o.setting, o.value) for o in caught.value.proposals]


def test_numbers_of_json_that_are_none_are_missing_or_no_classes():
    keys = [f"{n}.png" for n in range(4)]
    data = b'{"0.png": NaN, "1.png": Infinity, "2.png": 1, "3.png": 1180591620717411303424}'
    file = LabelFile("u", {"labels.json": data}, keys)
    assert file.columns()["label"].to_pylist() == [None, float("inf"), 1.0, 2.0**70]


def test_a_file_beside_an_image_in_any_encoding_is_no_traceback():
    file = LabelFile("u", {"0.txt": b"\x81\x40", "1.txt": b"b"}, ["0.png", "1.png"])
    assert file.absent == 0


def test_a_column_is_made_once(monkeypatch):
    keys = [f"{n}.png" for n in range(9)]
    file = LabelFile(
        "u", {"l.json": b"{%s}" % b",".join(b'"%d.png": 1' % n for n in range(9))}, keys
    )
    first = file.values("label", keys[:3])
    monkeypatch.setattr(LabelFile, "_value", None)
    assert file.values("label", keys[3:6]).type == first.type
