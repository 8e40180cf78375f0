"""Unfit sources: one sentence that names what is wrong and what to do, and nothing left behind."""

import sys

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import LakeError, SchemeError, SettingsError, SourceError


@pytest.fixture
def refused(prepared, tmp_path):
    """Prepare a source and return the sentence it was refused with."""

    def run(uri, kind: type[Exception] = SourceError, **fields) -> str:
        with pytest.raises(kind) as caught:
            prepared(uri, **fields)
        sentence = str(caught.value)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        cache = tmp_path / "cache"
        assert not [path for path in cache.glob("*") if path.suffix != ".lock"]
        return sentence

    return run


@pytest.fixture
def images(pictures, encode) -> list[bytes]:
    return [encode(picture) for picture in pictures]


def test_a_missing_source(refused, tmp_path) -> None:
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "does not exist" in refused(tmp_path / "nowhere.parquet")
    assert "missing or empty" in refused(f"{tmp_path}/*.png")
    assert "example:digits" in refused("example:letters")
    (tmp_path / "a.doc").write_text("1,2")
    assert "file of no known kind" in refused(tmp_path / "a.doc")


def test_an_empty_source(refused, tmp_path, make_folder, make_parquet, images) -> None:
    (tmp_path / "empty").mkdir()
    assert "missing or empty" in refused(tmp_path / "empty")
    (tmp_path / "empty" / "notes.txt").write_text("x")
    assert "only other files (1," in refused(tmp_path / "empty")
    root = make_folder(images)
    assert "source.exclude leaves" in refused(root, exclude=["*"])
    assert "source.include" in refused(root, include=["*.jpg"])
    path = make_parquet([], label=pa.array([], pa.int64()))
    assert "hold no row" in refused(path)


def test_an_unknown_place(refused) -> None:
    assert "'gs'" in refused("gs://bucket/images", SchemeError)
    assert "'gs'" in refused("gs://bucket/images.parquet", SchemeError)
    assert "name one bucket" in refused("s3://buck*/images")
    assert "'nobody'" in refused("s3://bucket/x", SettingsError, storage="nobody")


def test_examples_need_scikit_learn(refused, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "ganmill[jobs]" in refused("example:digits")


def test_two_kinds_at_once(refused, make_folder, make_parquet, images, tmp_path) -> None:
    make_folder(images[:3], root="both")
    make_parquet(images[:3], name="both/x.parquet")
    assert "source.include" in refused(tmp_path / "both")


def test_a_missing_column(refused, make_parquet, make_folder, images) -> None:
    path = make_parquet(images, kind=pa.array(["a"] * 120), size=pa.array([1] * 120))
    sentence = refused(path)
    assert "no column 'label'" in sentence
    assert "'kind', 'size'" in sentence
    assert "'image'" not in sentence
    assert "no column 'who'" in refused(path, label="kind", split={"group_by": "who"})
    assert "no column 'who'" in refused(path, label="kind", split={"column": "who"})
    assert "'label'" in refused("example:digits", label="digit")
    root = make_folder(images)
    assert "depth:1" in refused(root, split={"group_by": "person"})


def test_a_label_that_is_no_class(refused, make_parquet, images) -> None:
    path = make_parquet(images, label=pa.array(np.linspace(0, 1, 120)))
    assert "double" in refused(path)


def test_a_path_without_class(refused, make_folder, images) -> None:
    root = make_folder(images, [f"{i}.png" for i in range(120)])
    assert "'0.png'" in refused(root)
    assert "one folder per value" in refused(root, label_from="depth:2")
    assert r"class_(\d)" in refused(root, label_from=r"class_(\d)")


def test_parquet_without_images(refused, make_parquet, tmp_path) -> None:
    path = make_parquet([b"RIFF\xff\xfeWAVE"] * 120, label=pa.array([0] * 120))
    assert "no column of encoded images" in refused(path, modality="images")
    assert "neither encoded images nor values of a table" in refused(path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert "no readable Parquet file" in refused(tmp_path / "broken.parquet")


def test_parquet_files_that_differ(refused, make_parquet, images, tmp_path) -> None:
    make_parquet(images[:60], name="p/1.parquet", label=pa.array([0] * 60))
    make_parquet(images[60:], name="p/2.parquet", label=pa.array(["cat"] * 60))
    sentence = refused(tmp_path / "p")
    assert "'2.parquet'" in sentence
    assert "string" in sentence
    make_parquet(images[60:], name="p/2.parquet")
    assert "'2.parquet'" in refused(tmp_path / "p")


def test_parquet_damaged_in_the_middle(refused, make_parquet, images) -> None:
    path = make_parquet(images, label=pa.array([0] * 120))
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    path.write_bytes(data)
    sentence = refused(path)
    assert "readable" in sentence or "cannot be read" in sentence


def test_too_many_broken_images(refused, make_folder, images) -> None:
    broken = [image[:-40] if i % 20 == 0 else image for i, image in enumerate(images)]
    sentence = refused(make_folder(broken))
    assert "More than 1% of the 120 images" in sentence
    assert "a/0000.png" in sentence


def test_different_sizes(refused, make_folder, images, encode) -> None:
    images[50] = encode(np.zeros((10, 12), np.uint8))
    sentence = refused(make_folder(images))
    assert "c/0050.png" in sentence
    assert "a/0000.png" in sentence
    assert "9x12" in sentence
    assert "10x12" in sentence
    assert "source.resize" in sentence


@pytest.mark.parametrize(("side", "word"), [(129, "at most 128"), (7, "at least 8")])
def test_sizes_out_of_range(side: int, word: str, refused, make_folder, encode) -> None:
    images = [encode(np.full((side, 16), i, np.uint8)) for i in range(100)]
    sentence = refused(make_folder(images))
    assert word in sentence
    assert "source.resize" in sentence


def test_too_few_images(refused, make_folder, images) -> None:
    assert "holds 99 images" in refused(make_folder(images[:99]))


def test_a_small_class(refused, prepared, make_parquet, images) -> None:
    labels = ["rare"] * 9 + ["often"] * 111
    path = make_parquet(images, label=pa.array(labels))
    assert "'rare' (9)" in refused(path)
    fine = make_parquet(images, name="fine.parquet", label=pa.array([*labels[:5], *labels[:115]]))
    assert "at least 20" in refused(fine, min_group=20)
    assert prepared(fine)
    with pytest.raises(SourceError, match="at least 20"):
        prepared(fine, min_group=20)


def test_a_class_that_is_never_trained(refused, make_parquet, images) -> None:
    labels = pa.array(["a"] * 100 + ["b"] * 20)
    said = pa.array(["train"] * 80 + ["val"] * 20 + ["test"] * 20)
    path = make_parquet(images, label=labels, part=said)
    assert "['b']" in refused(path, split={"column": "part"})


def test_an_empty_split(refused, make_parquet, make_folder, images) -> None:
    root = make_folder(images)
    assert "raise split.holdout" in refused(root, split={"holdout": 1e-9})
    assert "raise split.validation" in refused(root, split={"validation": 1e-9})
    assert "lower split.validation" in refused(root, split={"validation": 0.5, "holdout": 0.49999})
    same = pa.array(["one"] * 120)
    path = make_parquet(images, person=same, part=pa.array(["train"] * 120))
    assert "'person'" in refused(path, label=None, split={"group_by": "person"})
    assert "'part'" in refused(path, label=None, split={"column": "part"})


def test_a_deciding_column_with_gaps(refused, make_parquet, images) -> None:
    gaps = pa.array([None, *["train"] * 119])
    odd = pa.array(["fold 1"] * 60 + ["train"] * 60)
    path = make_parquet(images, gaps=gaps, odd=odd)
    assert "empty in 1 records" in refused(path, label=None, split={"group_by": "gaps"})
    assert "'fold 1'" in refused(path, label=None, split={"column": "odd"})


def test_a_holdout_that_does_not_fit(refused, make_folder, make_parquet, images) -> None:
    root = make_folder(images)
    other = make_parquet(images[:30], label=pa.array([0] * 15 + [1] * 15))
    numbers = make_parquet(images, name="n.parquet", label=pa.array([0] * 120))
    words = make_parquet(images, name="w.parquet", label=pa.array(["x"] * 120))
    assert "split.holdout_uri" in refused(numbers, split={"holdout_uri": str(words)})
    assert "does not exist" in refused(root, split={"holdout_uri": str(other) + "x"})


def test_a_file_that_changes_meanwhile(refused, make_folder, images, monkeypatch) -> None:
    from storage.sources.images import build as module

    root = make_folder(images)
    write_splits = module.StagedImages.write_splits

    def change(*arguments) -> None:
        write_splits(*arguments)
        (root / "a" / "0000.png").write_bytes(b"other")

    monkeypatch.setattr(module.StagedImages, "write_splits", change)
    assert "changed while it was read" in refused(root)


def test_an_unreadable_file_is_the_stores_own_error(
    refused, make_folder, images, monkeypatch
) -> None:
    from storage.stores.local import LocalStore

    def fail(self, key: str) -> bytes:
        msg = f"{key} failed; check the disk."
        raise LakeError(msg)

    monkeypatch.setattr(LocalStore, "get", fail)
    assert "check the disk" in refused(make_folder(images), LakeError)
