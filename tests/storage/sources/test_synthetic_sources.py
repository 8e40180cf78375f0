"""Files that say that they are synthetic are refused as a source, unless the recipe allows them."""

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from storage.errors import SourceError
from storage.shards.format import load_format
from storage.shards.png import encode_png
from storage.sources.config import SourceConfig
from storage.sources.open import open_source
from storage.sources.prepare import prepare
from storage.synthetic_marks import (
    DIGITAL_SOURCE_TYPE,
    PNG_MARK,
    is_marked_image,
    is_marked_metadata,
    marked_files,
    marked_png,
)

ROWS = 120
MARK = {"synthetic": "true"}


@pytest.fixture
def ready(tmp_path):
    """Prepare a source; the second argument allows synthetic data."""

    def run(uri, allow=False, **asked):
        config = SourceConfig(uri=str(uri), allow_synthetic=allow, **{"label": None, **asked})
        return prepare(config, folder=tmp_path / "cache", min_group=1)

    return run


def table():
    random = np.random.default_rng(0)
    return pa.table({"a": random.normal(size=ROWS), "b": random.integers(0, 9, ROWS)})


def images():
    pixels = np.random.default_rng(0).integers(0, 255, (ROWS, 8, 8, 1), dtype=np.uint8)
    kind = pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1))
    flat = pa.array(list(pixels.reshape(ROWS, -1)), pa.list_(pa.uint8(), 64))
    return pa.table({"image": pa.ExtensionArray.from_storage(kind, flat)})


@pytest.mark.parametrize("rows", [table, images])
def test_a_shard_is_refused_by_its_metadata(ready, tmp_path, rows):
    key = "parquet" if rows is images else "table-parquet"
    path = tmp_path / "data" / "part.parquet"
    path.parent.mkdir()
    path.write_bytes(load_format(key).encode(rows(), MARK))
    with pytest.raises(SourceError, match=r"part\.parquet.*source\.allow_synthetic"):
        ready(path.parent)
    assert sum(ready(path.parent, allow=True).rows.values()) == ROWS
    with pytest.raises(SourceError, match="made by a trained generator"):
        ready(path.parent)  # what was prepared under leave is not taken without


def test_a_shard_that_was_written_again_as_arrow_is_refused(ready, tmp_path):
    shard = pq.read_table(io.BytesIO(load_format("table-parquet").encode(table(), MARK)))
    path = tmp_path / "data" / "part.arrow"
    path.parent.mkdir()
    with pa.ipc.new_file(path, shard.schema) as file:
        file.write_table(shard)
    with pytest.raises(SourceError, match=r"part\.arrow.*source\.allow_synthetic"):
        ready(path.parent)
    assert sum(ready(path.parent, allow=True).rows.values()) == ROWS


def test_pictures_of_a_shard_in_an_archive_are_refused(ready, tmp_path):
    shard = pq.read_table(io.BytesIO(load_format("parquet").encode(images(), MARK)))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for number, each in enumerate(shard.column("image").to_pylist()):
            archive.writestr(f"{number}.png", each["bytes"])
    with pytest.raises(SourceError, match="the image says so"):
        ready(tmp_path / "data.zip")


def test_pictures_out_of_a_shard_are_refused_wherever_they_lie(ready, tmp_path):
    shard = pq.read_table(io.BytesIO(load_format("parquet").encode(images(), MARK)))
    pictures = [each["bytes"] for each in shard.column("image").to_pylist()]
    assert all(is_marked_image(data) for data in pictures)
    (tmp_path / "out").mkdir()
    for number, data in enumerate(pictures):
        (tmp_path / "out" / f"{number:03}.png").write_bytes(data)
    pq.write_table(pa.table({"image": pictures}), tmp_path / "again.parquet")
    for uri in ("out", "again.parquet"):
        with pytest.raises(SourceError, match="the image says so"):
            ready(tmp_path / uri)
    assert sum(ready(tmp_path / "out", allow=True).rows.values()) == ROWS


def test_real_pictures_carry_no_mark_and_pixels_stay():
    pixels = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    plain, marked = encode_png(pixels).to_pylist(), encode_png(pixels, PNG_MARK).to_pylist()
    assert not any(map(is_marked_image, plain))
    assert all(map(is_marked_image, marked))
    assert [marked_png(data) for data in plain] == marked
    assert [marked_png(data) for data in marked] == marked
    for data, image in zip(marked, pixels, strict=True):
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.info["DigitalSourceType"] == "trainedAlgorithmicMedia"
            assert np.array_equal(np.asarray(opened), image[..., 0])
    assert marked_png(b"no picture") == b"no picture"


def test_a_version_in_csv_is_refused_by_its_manifest(ready, tmp_path):
    folder = tmp_path / "lake/datasets/x/20260101T000000Z-00000000"
    folder.mkdir(parents=True)
    rows = "a,b\n" + "".join(f"{i},{i % 7}\n" for i in range(ROWS))
    (folder / "train-00000-of-00001.csv").write_text(rows)
    assert sum(ready(folder).rows.values()) == ROWS  # nothing beside it says anything
    meta = folder.parent / "_meta" / folder.name
    meta.mkdir(parents=True)
    entry = {"path": f"datasets/x/{folder.name}/train-00000-of-00001.csv", "bytes": len(rows)}
    manifest = {"synthetic": True, "files": [entry]}
    (meta / "manifest.json").write_text(json.dumps(manifest))
    globs = (f"{folder}/*.csv", f"{folder.parent}/2026*/*.csv", f"{tmp_path}/**/train*.csv")
    file = folder / "train-00000-of-00001.csv"
    for uri in (folder, f"{folder}/", file, folder.parent, *globs):
        with pytest.raises(SourceError, match=r"manifest\.json' lists it"):
            ready(uri)
    assert sum(ready(folder, allow=True).rows.values()) == ROWS
    manifest["files"][0]["bytes"] += 1  # another file of that name
    (meta / "manifest.json").write_text(json.dumps(manifest))
    assert sum(ready(folder).rows.values()) == ROWS


def test_the_holdout_is_looked_at_too(ready, tmp_path):
    pq.write_table(table(), tmp_path / "real.parquet")
    pq.write_table(table().replace_schema_metadata(MARK), tmp_path / "made.parquet")
    with pytest.raises(SourceError, match=r"made\.parquet"):
        ready(tmp_path / "real.parquet", split={"holdout_uri": str(tmp_path / "made.parquet")})


@pytest.mark.parametrize("metadata", [{b"synthetic": b"True"}, {"Synthetic": "1"}])
def test_marks_of_metadata(metadata):
    assert is_marked_metadata(metadata)
    assert not is_marked_metadata(dict.fromkeys(metadata, "false"))
    assert not is_marked_metadata(None)
    assert is_marked_metadata({"digital_source_type": DIGITAL_SOURCE_TYPE})


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"files": 3, "synthetic": true}', b"[" * 9000]
)
def test_strange_documents_mark_nothing(data):
    assert not marked_files(data)


def test_opening_is_enough_for_metadata(tmp_path):
    pq.write_table(table().replace_schema_metadata(MARK), tmp_path / "made.parquet")
    with pytest.raises(SourceError, match="its metadata says so"):
        open_source(SourceConfig(uri=str(tmp_path / "made.parquet"), label=None))
