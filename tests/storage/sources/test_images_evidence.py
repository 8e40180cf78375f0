"""Settings that a source of images proposes: classes, splits, sizes, columns; and lost records."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.images.evidence import is_packing
from storage.sources.images.sizes import resize_for
from storage.sources.images.survey import survey_images
from storage.sources.open import open_source


@pytest.fixture
def proposed(make_folder, encode):
    """What the survey of a folder with images under these names proposes, as setting → value."""

    def run(names: list[str]) -> dict[str, object]:
        pixels = np.random.default_rng(0).integers(0, 256, (len(names), 8, 8), np.uint8)
        root = make_folder([encode(image) for image in pixels], names)
        config = SourceConfig(uri=str(root), label=None)
        survey = survey_images(open_source(config), config)
        found = {one.setting: one.value for one in survey.proposals}
        return {"source.label": survey.label, **found}

    return run


N = range(120)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([f"{'ab'[i % 2]}/{i}.png" for i in N], {"source.label": "label"}),
        ([f"{i % 10}/{i}.png" for i in N], {"source.label": "label"}),
        ([f"{i}.png" for i in N], {"source.label": None}),
        ([f"batch_{i % 2}/{i}.png" for i in N], {"source.label": None}),
        ([f"{i // 40:05}/{i}.png" for i in N], {"source.label": None}),
        ([f"{i // 40:05}/{i % 40}.png" for i in N], {"source.label": "label"}),
        ([f"{('car', 'bus', 'train')[i % 3]}/{i}.png" for i in N], {"source.label": "label"}),
        (
            [f"{'ab'[i % 2]}/images/{i}.png" for i in N],
            {"source.label": "label", "source.label_from": "depth:-2"},
        ),
        (
            [f"{'train' if i < 90 else 'test'}/{i}.png" for i in N],
            {"source.label": None, "source.split.column": "depth:1"},
        ),
        (
            [f"{'train' if i < 90 else 'test'}/{'ab'[i % 2]}/{i}.png" for i in N],
            {"source.label": "label", "source.split.column": "depth:1"},
        ),
        (
            [f"{'images' if i < 60 else 'masks'}/{i % 60}.png" for i in N],
            {"source.label": None, "source.exclude": ["**/masks/**"]},
        ),
        (
            [f"{('train', 'test', 'ground_truth')[i % 3]}/{'ab'[i % 2]}/{i}.png" for i in N],
            {
                "source.label": "label",
                "source.exclude": ["**/ground_truth/**"],
                "source.split.column": "depth:1",
            },
        ),
    ],
)
def test_what_folders_propose(proposed, names: list[str], expected: dict[str, object]) -> None:
    assert proposed(names) == expected


def test_file_names_may_begin_with_the_class(proposed, prepared, tmp_path) -> None:
    found = proposed([f"{'cat' if i % 2 else 'dog'}.{i}.png" for i in N])
    result = prepared(tmp_path / "images", label_from=found["source.label_from"])
    assert [label for label, _ in result.class_counts["train"]] == ["cat", "dog"]


@pytest.mark.parametrize("name", ["images", "IMG", "masks", "00000", "batch_1", "2024-01-03"])
def test_names_of_packing(name: str) -> None:
    assert is_packing(name)
    assert not any(map(is_packing, ("7", "12", "cat", "imagery", "class_a", "partridge")))


def test_check_says_that_splits_are_taken_for_classes(prepared, make_folder, pictures, encode):
    names = [f"{'train' if i < 90 else 'test'}/{i}.png" for i in N]
    notes = prepared(make_folder([encode(p) for p in pictures], names)).notes
    assert any("'test', 'train' are called like splits" in note for note in notes)
    assert any('source.split.column: "depth:1"' in note for note in notes)


@pytest.mark.parametrize(
    ("sizes", "value"),
    [
        ([(200, 400), (300, 600), (100, 200)], "32x64"),
        ([(300, 300)] * 3, "64x64"),
        ([(30, 40), (36, 48)], "32x44"),
        ([(9, 12), (9, 12), (10, 12)], "9x12"),
        ([(5, 5)] * 2, "8x8"),
        ([(10, 4000)] * 2, "8x64"),
    ],
)
def test_the_size_that_is_proposed(sizes: list[tuple[int, int]], value: str) -> None:
    assert resize_for(sizes).value == value


def test_images_of_many_sizes_propose_one_that_serves(prepared, make_folder, encode) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (140 + i, 280 + i), np.uint8) for i in range(100)]
    root = make_folder([encode(image) for image in images])
    with pytest.raises(SourceError, match="for instance to 36x64") as caught:
        prepared(root)
    [proposal] = caught.value.proposals
    assert prepared(root, resize=proposal.value).schema.field("image").type.shape == [36, 64, 1]


def test_a_small_class_is_left_out_by_its_folder(prepared, make_folder, pictures, encode) -> None:
    names = [f"{'rare' if i < 5 else 'ab'[i % 2]}/{i}.png" for i in N]
    root = make_folder([encode(p) for p in pictures], names)
    with pytest.raises(SourceError, match=r"'rare' \(5\)") as caught:
        prepared(root)
    [proposal] = caught.value.proposals
    assert proposal.setting == "source.exclude"
    assert sum(prepared(root, exclude=proposal.value).rows.values()) == 115


def test_a_small_class_of_a_column_means_no_label(prepared, make_parquet, pictures, encode):
    path = make_parquet([encode(p) for p in pictures], label=pa.array(["x"] * 5 + ["y"] * 115))
    with pytest.raises(SourceError) as caught:
        prepared(path)
    assert [(o.setting, o.value) for o in caught.value.proposals] == [("source.label", None)]


def test_classes_of_one_name_in_two_normal_forms_are_one(prepared, make_folder, pictures, encode):
    forms = [unicodedata.normalize(form, "Café") for form in ("NFC", "NFD")]
    names = [f"{forms[i % 2] if i % 3 else 'tea'}/{i}.png" for i in N]
    result = prepared(make_folder([encode(p) for p in pictures], names))
    assert [label for label, _ in result.class_counts["train"]] == [forms[0], "tea"]
    assert any("more than one way" in note for note in result.notes)
    assert result.reading == {"classes": "merged"}


def test_classes_that_differ_in_case_are_said(prepared, make_parquet, pictures, encode) -> None:
    labels = pa.array([["Cat", "cat", "dog ", "dog"][i % 4] for i in N])
    result = prepared(make_parquet([encode(p) for p in pictures], label=labels))
    assert [label for label, _ in result.class_counts["train"]] == ["Cat", "cat", "dog"]
    assert any("'Cat', 'cat' differ in capital letters" in note for note in result.notes)


def test_the_column_of_images_is_chosen(prepared, make_parquet, pixels_of, pictures, encode):
    images = [encode(p) for p in pictures]
    mask = pa.array([encode(255 - p) for p in pictures], pa.binary())
    path = make_parquet(images, column="photo", mask=mask, label=pa.array([0, 1] * 60))
    table_first = prepared(path)
    assert pixels_of(table_first).sum() == pictures.astype(int).sum()
    advice = (
        "Consider source.image: \"photo\", as 'photo', 'mask' hold images, and this one is read."
    )
    assert advice in table_first.notes
    masks = prepared(path, image="mask")
    assert pixels_of(masks).sum() == (255 - pictures).astype(int).sum()
    with pytest.raises(SourceError, match=r"source\.image 'label' is no column of encoded images"):
        prepared(path, image="label")


def test_a_column_that_begins_with_nulls_holds_images(prepared, make_parquet, pictures, encode):
    images = [None] * 20 + [encode(p) for p in pictures[20:]]
    result = prepared(make_parquet(images, label=pa.array([0, 1] * 60)))
    assert sum(result.rows.values()) == 100
    assert "Left out for want of an image: 20 of 120 records." in result.notes
    with pytest.raises(SourceError, match="61 have no image, more than 50%"):
        prepared(make_parquet([None] * 61 + images[61:], name="most.parquet"), label=None)


def features(label: str, names: list[str]) -> dict[str, str]:
    import json

    info = {"features": {label: {"names": names, "_type": "ClassLabel"}}}
    return {"huggingface": json.dumps({"info": info})}


def test_names_of_classes_stay_with_the_records(tmp_path, prepared, pictures, encode) -> None:
    import pyarrow.parquet as pq

    from storage.records.schema import read_class_names

    numbers = [-1 if i == 7 else i % 2 for i in N]
    table = pa.table({"image": [encode(p) for p in pictures], "kind": pa.array(numbers)})
    path = tmp_path / "named.parquet"
    pq.write_table(table.replace_schema_metadata(features("kind", ["cat", "dog"])), path)
    config = SourceConfig(uri=str(path), label=None)
    assert survey_images(open_source(config), config).label == "kind"
    result = prepared(path, label="kind")
    assert read_class_names(result.schema) == {"kind": ("cat", "dog")}
    assert [label for label, _ in result.class_counts["train"]] == [0, 1]
    assert "Left out for want of a label: 1 of 120 records." in result.notes


def test_whole_floats_are_classes(prepared, make_parquet, pictures, encode) -> None:
    labels = pa.array([None if i == 3 else float(i % 2) for i in N])
    result = prepared(make_parquet([encode(p) for p in pictures], label=labels))
    assert result.schema.field("label").type == pa.int64()
    assert [label for label, _ in result.class_counts["train"]] == [0, 1]


def test_broken_files_are_proposed_to_be_left_out(prepared, make_folder, pictures, encode) -> None:
    files = [encode(p) for p in pictures]
    files[0] = files[7] = b"nonsense"
    files[9] = files[9][:-40]
    root = make_folder(files)
    with pytest.raises(SourceError, match=r"cannot be read \(3\)") as caught:
        prepared(root)
    [proposal] = caught.value.proposals
    assert proposal.value == ["a/0000.png", "a/0009.png", "b/0007.png"]
    assert sum(prepared(root, exclude=proposal.value).rows.values()) == 117
