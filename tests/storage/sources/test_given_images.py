"""Images that somebody brings get the size, channels and classes of the known, or one sentence."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from storage.errors import SourceError
from storage.records.schema import with_class_names
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.given import GivenRequest

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)


def known(channels=1, labels=(0, 1, 2), names=()):
    type_ = pa.fixed_shape_tensor(pa.uint8(), (8, 8, channels))
    size = 64 * channels
    flat = pa.array(np.zeros(3 * size, np.uint8))
    images = pa.ExtensionArray.from_storage(type_, pa.FixedSizeListArray.from_arrays(flat, size))
    table = pa.table({"image": images, "kind": list(labels)})
    return table.cast(with_class_names(table.schema, "kind", names)) if names else table


def read(uri, tmp_path, table=None, **config):
    folder = tmp_path / "decoded"
    folder.mkdir(parents=True, exist_ok=True)
    source = {"uri": "real", "label": "kind", **config}
    return load_builder("images").read_given(
        GivenRequest(
            uri=str(uri),
            config=SourceConfig(**source),
            known=known() if table is None else table,
            min_group=10,
            folder=folder,
        )
    )


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def folder_of(root, images, classes):
    for number, (image, kind) in enumerate(zip(images, classes, strict=True)):
        (root / str(kind)).mkdir(parents=True, exist_ok=True)
        (root / str(kind) / f"{number}.png").write_bytes(png(image))
    return root


def parquet_of(path, images, **columns):
    pq.write_table(pa.table({"image": [png(image) for image in images], **columns}), path)
    return path


def pixels_of(given):
    return given.records["image"].combine_chunks().to_numpy_ndarray()


CLASSES = (0, 1, 2, 0, 1, 2)


def test_a_folder_for_each_class(tmp_path):
    grey = folder_of(tmp_path / "given", np.repeat(PIXELS[..., None], 3, axis=3), CLASSES)
    given = read(grey, tmp_path, label_from="depth:2", labels="labels.json", include=["*.jpg"])
    assert given.records.schema.equals(known().schema)
    assert sorted(given.records["kind"].to_pylist()) == sorted(CLASSES)
    assert {image.tobytes() for image in pixels_of(given)} == {x.tobytes() for x in PIXELS}
    assert "labels are string and are read as the source's, int64" in given.notes


def test_marks_of_synthetic_data_are_no_matter(tmp_path):
    table = pa.table(
        {"image": [png(image) for image in PIXELS], "kind": CLASSES, "sample_id": CLASSES}
    )
    pq.write_table(table.replace_schema_metadata({"synthetic": "true"}), tmp_path / "given.parquet")
    given = read(tmp_path / "given.parquet", tmp_path)
    assert given.records.column_names == ["image", "kind"]
    assert np.array_equal(pixels_of(given)[..., 0], PIXELS)


def test_grey_arrays_where_the_known_images_have_colour(tmp_path):
    np.savez(tmp_path / "given.npz", images=PIXELS, labels=np.array(CLASSES, np.uint8))
    given = read(tmp_path / "given.npz", tmp_path, known(channels=3))
    assert given.records["kind"].to_pylist() == list(CLASSES)
    assert pixels_of(given).shape == (6, 8, 8, 3)


def test_a_label_that_has_another_name(tmp_path):
    parquet_of(tmp_path / "given.parquet", PIXELS, label=CLASSES)
    given = read(tmp_path / "given.parquet", tmp_path)
    assert given.records["kind"].to_pylist() == list(CLASSES)
    assert given.notes[-1] == "the column 'label' is taken for 'kind'"


@pytest.mark.parametrize(
    ("labels", "table", "found"),
    [
        (["00", "01", "02"], known(), [0, 1, 2]),
        ([0.0, 1.0, 2.0], known(), [0, 1, 2]),
        (["cat", "dog", "cow"], known(names=("cat", "dog", "cow")), [0, 1, 2]),
        ([1, 0, 1], known(labels=("0", "1", "2")), ["1", "0", "1"]),
        (["True", "False", "true"], known(labels=(True, False, True)), [True, False, True]),
        (["007", "7", "007"], known(labels=("007", "7", "x")), ["007", "7", "007"]),
    ],
    ids=["padded", "floats", "names", "text", "truth", "exact first"],
)
def test_classes_by_value_text_or_name(tmp_path, labels, table, found):
    parquet_of(tmp_path / "given.parquet", PIXELS[:3], kind=labels)
    assert read(tmp_path / "given.parquet", tmp_path, table).records["kind"].to_pylist() == found


def test_without_a_label_in_the_recipe_none_is_looked_for(tmp_path):
    parquet_of(tmp_path / "given.parquet", PIXELS, other=list("abcdef"))
    given = read(tmp_path / "given.parquet", tmp_path, known().drop_columns("kind"), label=None)
    assert given.records.column_names == ["image"]


def test_alpha_is_laid_on_white_where_the_known_images_have_none(tmp_path):
    clear = np.zeros((6, 8, 8, 4), np.uint8)
    parquet_of(tmp_path / "given.parquet", clear, kind=CLASSES)
    for channels in (1, 3):
        given = read(tmp_path / "given.parquet", tmp_path / str(channels), known(channels))
        assert pixels_of(given).shape == (6, 8, 8, channels)
        assert (pixels_of(given) == 255).all()


def large(tmp_path):
    return parquet_of(tmp_path / "d.parquet", np.kron(PIXELS, np.ones((2, 2), "u1")), kind=CLASSES)


def two_sizes(tmp_path):
    images = [PIXELS[0], np.kron(PIXELS[1], np.ones((2, 2), "u1"))]
    return parquet_of(tmp_path / "d.parquet", images, kind=[0, 1])


def coloured(tmp_path):
    images = np.stack([PIXELS, PIXELS // 2, PIXELS], axis=3)
    return parquet_of(tmp_path / "d.parquet", images, kind=CLASSES)


def strange(tmp_path):
    return parquet_of(tmp_path / "d.parquet", PIXELS, kind=[9] * 6)


def unlabelled(tmp_path):
    return parquet_of(tmp_path / "d.parquet", PIXELS, caption=list("abcdef"))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (large, r"have 16x16 pixels and those of the source 8x8; .*--set source.resize=8x8"),
        (two_sizes, r"different sizes.*bring them to 8x8"),
        (coloured, r"has images in colour, and those of the source 'real' are grey"),
        (strange, r"has the classes 9, which the source 'real' does not have \(0, 1, 2\)"),
        (unlabelled, r"it has 'caption', .*without labels with --set source.label=null"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path, make, sentence):
    with pytest.raises(SourceError, match=sentence):
        read(make(tmp_path), tmp_path)


def test_the_size_of_the_recipe_is_given_to_the_data_too(tmp_path):
    given = read(large(tmp_path), tmp_path, resize="8x8")
    assert pixels_of(given).shape == (6, 8, 8, 1)
