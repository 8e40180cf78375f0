"""Images in arrays and archives: every container gives the same records, bad ones a sentence."""

import gzip
import io
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from storage.errors import LakeError, SourceError
from storage.sources.config import SourceConfig
from storage.sources.images.arrays import pair_arrays
from storage.sources.open import open_source
from storage.sources.prepare import prepare

DRAW = np.random.default_rng(5)
ROWS = 120
COLOUR = DRAW.integers(0, 256, (ROWS, 10, 12, 3), dtype=np.uint8)
GREY = np.ascontiguousarray(COLOUR[..., 0])
LABELS = np.arange(ROWS) % 3


def prepared(uri, folder, **source):
    config = SourceConfig(uri=str(uri), **source)
    return prepare(config, folder=folder / "cache", min_group=10)


def pixels_and_labels(result):
    """Return images and labels of all splits in the order of their pixels."""
    parts = [table for table in result.records.values() if len(table)]
    images = np.concatenate([part["image"].combine_chunks().to_numpy_ndarray() for part in parts])
    labels = np.concatenate([part[result.label].to_numpy() for part in parts])
    order = np.lexsort(images.reshape(len(images), -1).T)
    return images[order], labels[order]


def same(result, images, labels):
    images = images if images.ndim == 4 else images[..., np.newaxis]
    order = np.lexsort(images.reshape(len(images), -1).T)
    found, named = pixels_and_labels(result)
    assert (found == images[order]).all()
    assert [str(one) for one in named] == [str(one) for one in labels[order]]


def idx(array):
    code = {"uint8": 8, "int32": 12}[array.dtype.name]
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("arrays", "images"),
    [
        ({"images": COLOUR, "labels": LABELS}, COLOUR),
        ({"x": COLOUR.transpose(0, 3, 1, 2), "y": LABELS[:, np.newaxis]}, COLOUR),
        ({"data": np.asfortranarray(GREY), "target": LABELS.astype(float)}, GREY),
        ({"arr_0": COLOUR / 255, "arr_1": LABELS.astype("U1")}, COLOUR),
        ({"X": COLOUR.astype(np.float32) / 127.5 - 1, "Y": LABELS.astype("S1")}, COLOUR),
        ({"image": GREY > 127, "classes": LABELS}, np.where(GREY > 127, 255, 0).astype(np.uint8)),
        ({"img": GREY.astype(np.int64), "label": LABELS}, GREY),
        ({"img": GREY.astype(np.uint16) * 16, "label": LABELS},
         GREY),
        ({"data": GREY[:, :, :10].reshape(ROWS, 100), "labels": LABELS}, GREY[:, :, :10]),
        ({"data": COLOUR[:, :, :10].transpose(0, 3, 1, 2).reshape(ROWS, 300), "labels": LABELS},
         COLOUR[:, :, :10]),
    ],
)  # fmt: skip
def test_arrays_of_every_layout_and_type_are_images(tmp_path, arrays, images):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    same(prepared(tmp_path / "a.npz", tmp_path), images, LABELS)


def test_how_values_become_bytes_is_said_also_when_it_was_prepared_before(tmp_path):
    np.savez(tmp_path / "a.npz", images=GREY.astype(np.uint16) * 16, labels=LABELS)
    for _ in range(2):
        notes = prepared(tmp_path / "a.npz", tmp_path).notes
        assert "The values of a.npz:images: 12 bits are cut to 8 (value // 16)." in notes
    np.savez(tmp_path / "b.npz", images=GREY, labels=LABELS)
    assert not any("The values" in note for note in prepared(tmp_path / "b.npz", tmp_path).notes)


def test_parts_of_a_split_go_together_and_say_the_split(tmp_path):
    cuts = {"train": slice(0, 70), "val": slice(70, 95), "test": slice(95, ROWS)}
    arrays = {f"{part}_images": COLOUR[cut] for part, cut in cuts.items()}
    arrays |= {f"{part}_labels": LABELS[cut] for part, cut in cuts.items()}
    np.savez(tmp_path / "a.npz", **arrays)
    source = open_source(SourceConfig(uri=str(tmp_path)))
    proposal = source.evidence(SourceConfig(uri=str(tmp_path)))[0]
    assert (proposal.setting, proposal.value) == ("source.split.column", "split")
    result = prepared(tmp_path, tmp_path, split={"column": "split"})
    assert result.rows == {"train": 70, "validation": 25, "holdout": 25}
    same(result, COLOUR, LABELS)


def test_idx_files_go_together_by_their_names(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, cut in (("train", slice(0, 90)), ("t10k", slice(90, ROWS))):
        packed = gzip.compress(idx(LABELS[cut].astype(np.uint8)))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(packed)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(GREY[cut]))
    result = prepared(folder, tmp_path, split={"column": "split"})
    assert result.rows["holdout"] == 30
    same(result, GREY, LABELS)


def test_a_single_npy_has_no_label(tmp_path):
    np.save(tmp_path / "images.npy", COLOUR)
    assert open_source(SourceConfig(uri=str(tmp_path), label=None)).description.rows == ROWS
    with pytest.raises(SourceError, match="no column 'label'"):
        open_source(SourceConfig(uri=str(tmp_path)))


def png(array):
    data = io.BytesIO()
    Image.fromarray(array).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_folder_in_an_archive_is_read_as_the_folder(tmp_path, kind):
    members = {f"{label}/{n}.png": png(COLOUR[n]) for n, label in enumerate(LABELS)}
    members["notes.txt"] = b"text"
    path = tmp_path / f"data.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, f"w:{kind.partition('.')[2]}") as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    result = prepared(path, tmp_path, exclude=["*.txt"])
    same(result, COLOUR, LABELS)
    assert prepared(tmp_path, tmp_path, include=["*.png"]).rows == result.rows


def test_archives_and_arrays_beside_other_files_are_left_alone(tmp_path):
    for n, label in enumerate(LABELS):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        (tmp_path / str(label) / f"{n}.png").write_bytes(png(COLOUR[n]))
    (tmp_path / "old.zip").write_bytes(b"whatever")
    np.save(tmp_path / "embeddings.npy", np.zeros((3, 4)))
    source = open_source(SourceConfig(uri=str(tmp_path)))
    assert source.description.rows == ROWS
    assert source.left_out == {".zip": 1, ".npy": 1}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.npz", b"no zip", "cannot be read as arrays"),
        ("a.npy", b"\x93NUMPY\x01\x00", "cannot be read as arrays"),
        ("x-idx3-ubyte", b"\1\2\3\4", "does not begin like an IDX file"),
        ("x-idx3-ubyte", idx(GREY)[:-5], "it ends after 0 of 120 rows"),
        ("a.zip", b"no zip", "The archive"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises((SourceError, LakeError), match=said):
        prepared(tmp_path / name, tmp_path, label=None)


def test_arrays_that_are_no_images_are_listed(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros((4, 5)))
    with pytest.raises(SourceError, match=r"no array of images, only weights \[4, 5\] float64"):
        open_source(SourceConfig(uri=str(tmp_path)))
    np.savez(tmp_path / "a.npz", images=np.full((ROWS, 9, 9), np.nan), labels=LABELS)
    with pytest.raises(SourceError, match="infinite or missing"):
        prepared(tmp_path, tmp_path)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("code of a data file was run",))


def test_pickles_are_refused_with_the_line_that_converts_them(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", images=np.array([Evil()], dtype=object))
    with pytest.raises(SourceError, match="holds Python objects, a pickle"):
        open_source(SourceConfig(uri=str(tmp_path)))
    (tmp_path / "a.npz").unlink()
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(SourceError, match="is a Python pickle, which can run any code"):
        open_source(SourceConfig(uri=str(tmp_path)))
    (tmp_path / "evil.pkl").unlink()
    batch = {
        b"data": COLOUR[:, :, :10].transpose(0, 3, 1, 2).reshape(ROWS, -1),
        b"labels": [*LABELS],
    }
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch))
    with pytest.raises(SourceError, match="is a Python pickle") as refused:
        open_source(SourceConfig(uri=str(tmp_path)))
    line = str(refused.value).partition('python -c "')[2].rstrip('"')
    subprocess.run([sys.executable, "-c", line], cwd=tmp_path, check=True)
    same(prepared(tmp_path / "data_batch_1.npz", tmp_path), COLOUR[:, :, :10], LABELS)


def test_names_pair_images_with_labels():
    def stored(name, *shape, dtype="u1"):
        from storage.sources.images.arrays import StoredArray

        return StoredArray(
            place=name, name=name, shape=shape, dtype=np.dtype(dtype), column_major=False, open=None
        )

    arrays = [
        stored("x_train", 9, 8, 8), stored("y_train", 9), stored("x_test", 9, 8, 8),
        stored("y_test", 9), stored("ids", 9), stored("train_embeddings", 9, 5, dtype="f4"),
    ]  # fmt: skip
    found = [(part.images.name, part.labels.name, part.split) for part in pair_arrays(arrays)]
    assert found == [("x_train", "y_train", "train"), ("x_test", "y_test", "test")]


def webdataset(path, companion):
    with tarfile.open(path, "w") as archive:
        for n, label in enumerate(LABELS):
            for suffix, data in ((".png", png(COLOUR[n])), companion(int(label))):
                info = tarfile.TarInfo(f"{n:05d}{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("companion", "labels", "label"),
    [
        (lambda label: (".cls", str(label).encode()), "**/*.cls", "label"),
        (
            lambda label: (".json", f'{{"kind": "k{label}", "n": 1.5}}'.encode()),
            "**/*.json",
            "kind",
        ),
    ],
)
def test_files_beside_the_images_of_a_webdataset_are_their_labels(
    tmp_path, companion, labels, label
):
    webdataset(tmp_path / "shard-000000.tar", companion)
    found = open_source(SourceConfig(uri=str(tmp_path), label=None))
    proposed = {one.setting: one.value for one in found.evidence(SourceConfig(uri=str(tmp_path)))}
    assert proposed == {"source.labels": labels, "source.label": label}
    result = prepared(tmp_path, tmp_path, labels=labels, label=label)
    names = LABELS if label == "label" else np.array([f"k{one}" for one in LABELS])
    same(result, COLOUR, names)


def test_a_broken_file_beside_an_image_is_one_sentence(tmp_path):
    webdataset(tmp_path / "a.tar", lambda _: (".json", b"{"))
    with pytest.raises(SourceError, match=r"The file '00000.json' of the source .* is no JSON"):
        prepared(tmp_path, tmp_path, labels="**/*.json")
    with pytest.raises(SourceError, match=r"There is no label file"):
        prepared(tmp_path, tmp_path, labels="**/*.cls")
