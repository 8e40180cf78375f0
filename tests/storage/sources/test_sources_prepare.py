"""From sources of every form to records: what is read, how it is divided, what is noted."""

import numpy as np
import pyarrow as pa
import pytest

from storage.digests import digest_json, sha256_hex
from storage.sources.config import SourceConfig
from storage.sources.examples import SKEWED_DIGITS, load_digits
from storage.sources.files import digest_files
from storage.sources.open import open_source
from storage.sources.prepared import load_prepared
from storage.sources.split import SPLITS, assign, content_digests
from storage.stores.open import open_store


def labels_of(prepared, split: str) -> list:
    return prepared.records[split][prepared.label].to_pylist()


def as_set(pixels: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in pixels}


def test_the_digits_are_whole(prepared, pixels_of) -> None:
    result = prepared("example:digits")
    digits = load_digits()
    assert sum(result.rows.values()) == 1797
    assert as_set(pixels_of(result)) == as_set(digits.images_NHWC)
    assert digits.images_NHWC.max() == 255
    assert result.schema.field("label").type == pa.int64()
    assert result.schema.field("image").type == pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1))
    assert list(result.records) == list(SPLITS)
    assert result.notes == ()


def test_the_skewed_digits_lack_three_classes(prepared) -> None:
    full, skewed = prepared("example:digits"), prepared("example:digits-skewed")
    for label in range(10):
        counts = [
            sum(dict(p.class_counts[split])[label] for split in SPLITS) for p in (full, skewed)
        ]
        expected = round(counts[0] / 10) if label in SKEWED_DIGITS else counts[0]
        assert counts[1] == expected
    assert full.source_digest != skewed.source_digest


def test_records_are_mapped_contiguous_and_in_order(prepared, pixels_of) -> None:
    result = prepared("example:digits")
    digits = load_digits()
    sides = assign(content_digests(digits.images_NHWC), validation=0.2, holdout=0.2)
    for side, name in enumerate(SPLITS):
        table = result.records[name]
        assert table["image"].num_chunks == 1
        images = table["image"].chunk(0).to_numpy_ndarray()
        assert not images.flags.owndata
        np.testing.assert_array_equal(images, digits.images_NHWC[sides == side])
        np.testing.assert_array_equal(table["label"].to_numpy(), digits.labels_N[sides == side])
        assert result.rows[name] == len(table)
        assert sum(count for _, count in result.class_counts[name]) == len(table)


def test_a_prepared_source_opens_elsewhere(prepared) -> None:
    result = prepared("example:digits")
    again = load_prepared(result.folder)
    assert again.records["train"].equals(result.records["train"])
    assert again.class_counts == result.class_counts
    assert again.split_digest == digest_json(dict(result.split_rule))


def test_a_folder_gives_its_classes(prepared, pixels_of, make_folder, pictures, encode) -> None:
    root = make_folder([encode(picture) for picture in pictures])
    (root / "a" / "notes.txt").write_text("not an image")
    (root / "a" / "._0001.png").write_bytes(b"debris")
    result = prepared(root)
    assert as_set(pixels_of(result)) == as_set(pictures)
    assert result.ignored_files == 2
    totals = [dict(result.class_counts[split]) for split in SPLITS]
    assert [sum(total[label] for total in totals) for label in "abc"] == [40, 40, 40]
    assert result.schema.field("label").type == pa.string()
    for split in SPLITS:
        for image, label in zip(pixels_of(result, split), labels_of(result, split), strict=True):
            number = next(i for i, p in enumerate(pictures) if (p == image).all())
            assert label == "abc"[number % 3]


@pytest.mark.parametrize(
    ("label_from", "expected"),
    [
        (None, {"x0", "x1"}),
        ("depth:1", {"cat", "dog"}),
        ("depth:-2", {"cat", "dog"}),
        (r"(\d)\.png$", {"0", "1"}),
    ],
)
def test_the_class_is_any_part_of_the_path(
    label_from, expected, prepared, make_folder, pictures, encode
) -> None:
    names = [f"{'cat' if i % 2 else 'dog'}/x{i % 2}/{i}_{i % 2}.png" for i in range(120)]
    root = make_folder([encode(picture) for picture in pictures], names)
    result = prepared(root, label="animal", label_from=label_from)
    assert {label for label, _ in result.class_counts["train"]} == expected
    assert result.label == "animal"


def test_globs_choose_files(prepared, make_folder, pictures, encode) -> None:
    root = make_folder([encode(picture) for picture in pictures])
    make_folder([encode(1 - pictures[0])] * 3, ["bad/1.png", "bad/2.png", "bad/3.jpg"])
    assert sum(prepared(root, exclude=["bad/"]).rows.values()) == 120
    assert sum(prepared(root, include=["[abc]/*"]).rows.values()) == 120
    assert sum(prepared(f"{root}/[abc]/0*.png").rows.values()) == 120
    digests = {
        prepared(root, exclude=["bad/"]).source_digest,
        prepared(f"{root}/[abc]/0*.png").source_digest,
    }
    assert len(digests) == 1


@pytest.mark.parametrize("plain", [True, False], ids=["binary", "struct"])
@pytest.mark.parametrize(
    ("labels", "type_"),
    [
        (["x", "y", "z"], pa.string()),
        (["x", "y", "z"], pa.large_string()),
        (["x", "y", "z"], pa.dictionary(pa.int8(), pa.string())),
        ([0, 1, 7], pa.int64()),
        ([0, 1, 7], pa.uint8()),
        ([True, False, False], pa.bool_()),
    ],
)
def test_parquet_keeps_the_type_of_its_label(
    plain, labels, type_, prepared, pixels_of, make_parquet, pictures, encode
) -> None:
    values = pa.array([labels[i % 3] for i in range(120)]).cast(type_)
    images = [encode(picture) for picture in pictures]
    path = make_parquet(images, plain=plain, column="picture", kind=values)
    result = prepared(path, label="kind")
    expected = type_.value_type if pa.types.is_dictionary(type_) else type_
    assert result.schema.field("kind").type == expected
    assert as_set(pixels_of(result)) == as_set(pictures)
    assert {label for label, _ in result.class_counts["train"]} == set(labels)


def test_several_parquet_files_are_one_source(
    prepared, pixels_of, make_parquet, pictures, encode, tmp_path
) -> None:
    images = [encode(picture) for picture in pictures]
    labels = pa.array([i % 2 for i in range(120)])
    for i, type_ in enumerate([pa.int64(), pa.int32(), pa.int64()]):
        part = slice(40 * i, 40 * i + 40)
        name = f"many/part-{i}.parquet"
        make_parquet(images[part], name=name, label=labels[part].cast(type_))
    result = prepared(tmp_path / "many")
    assert as_set(pixels_of(result)) == as_set(pictures)
    assert prepared(f"{tmp_path}/many/part-*.parquet").source_digest == result.source_digest


def test_without_a_label_there_are_no_classes(prepared, make_parquet, pictures, encode) -> None:
    result = prepared(make_parquet([encode(p) for p in pictures]), label=None)
    assert result.label is None
    assert result.schema.names == ["image"]
    assert result.class_counts == dict.fromkeys(SPLITS, ())


def test_mixed_colour_modes_are_widened(prepared, pixels_of, make_folder, pictures, encode) -> None:
    coloured = pictures[:60].repeat(3, axis=3)
    coloured[:, 0, 0, 0] ^= 255
    root = make_folder([encode(picture) for picture in [*coloured, *pictures[60:]]])
    result = prepared(root)
    expected = np.concatenate([coloured, pictures[60:].repeat(3, axis=3)])
    assert as_set(pixels_of(result)) == as_set(expected)
    assert any("60 grey, 60 RGB" in note for note in result.notes)


def test_a_record_keeps_its_side_whatever_its_neighbours_and_the_size(
    prepared, pixels_of, make_folder, pictures, encode
) -> None:
    root = make_folder([encode(picture) for picture in pictures], root="plain")
    plain = prepared(root)
    colour = np.full((9, 12, 3), 7, np.uint8) + np.arange(3, dtype=np.uint8)
    names = [f"{'abc'[i % 3]}/{999 - i}.png" for i in range(121)]
    mixed = prepared(
        make_folder([*(encode(p) for p in pictures), encode(colour)], names, root="mixed")
    )
    for split in SPLITS:
        grey = pixels_of(mixed, split)[..., :1]
        assert as_set(pixels_of(plain, split)) <= as_set(grey)
    assert prepared(root, resize="8x12").rows == plain.rows


def test_resize_brings_all_to_one_size(prepared, make_folder, encode) -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(5, 300, (120, 2))
    root = make_folder([encode(rng.integers(0, 256, (h, w, 3), np.uint8)) for h, w in sizes])
    result = prepared(root, resize="16x24")
    assert result.schema.field("image").type.shape == [16, 24, 3]
    assert any("Resized to 16x24" in note for note in result.notes)


def test_records_that_become_equal_do_not_leak(prepared, pixels_of, make_folder, encode) -> None:
    flat = [encode(np.full((8 + i, 8), 9 * (i // 40), np.uint8)) for i in range(120)]
    rng = np.random.default_rng(1)
    rest = [encode(rng.integers(0, 256, (8, 8), np.uint8)) for _ in range(120)]
    result = prepared(make_folder([*flat, *rest]), resize=8)
    sets = [as_set(pixels_of(result, split)) for split in SPLITS]
    assert not sets[0] & sets[1] | sets[0] & sets[2] | sets[1] & sets[2]
    assert any("Left out" in note for note in result.notes)


def test_copies_are_split_by_occurrence(prepared, make_folder, pictures, encode) -> None:
    root = make_folder([encode(pictures[i % 30]) for i in range(300)])
    result = prepared(root)
    assert result.split_rule["rows"] == "occurrence"
    assert sum(result.rows.values()) == 300
    assert any("Only 30 of 300" in note for note in result.notes)


def test_up_to_one_in_a_hundred_may_be_broken(prepared, make_folder, encode) -> None:
    rng = np.random.default_rng(1)
    images = [encode(rng.integers(0, 256, (8, 8), np.uint8)) for _ in range(200)]
    images[5], images[77] = images[5][:-40], b"nonsense"
    result = prepared(make_folder(images))
    assert sum(result.rows.values()) == 198
    assert len(result.skipped) == 2
    assert "c/0005.png" in result.skipped[0]
    assert any("2 of 200 images" in note for note in result.notes)


def test_missing_images_and_labels_count_as_broken(prepared, make_parquet, encode) -> None:
    rng = np.random.default_rng(1)
    images = [encode(rng.integers(0, 256, (8, 8), np.uint8)) for _ in range(200)]
    labels = pa.array([None if i == 3 else i % 2 for i in range(200)])
    images[9] = None
    result = prepared(make_parquet(images, label=labels))
    assert result.skipped == (
        "images.parquet row 3 (no label)",
        "images.parquet row 9 (no image)",
    )


def test_groups_stay_together(prepared, pixels_of, make_parquet, pictures, encode) -> None:
    people = pa.array([f"p{i % 24}" for i in range(120)])
    path = make_parquet([encode(p) for p in pictures], person=people)
    result = prepared(path, label=None, split={"group_by": "person"})
    person = {picture.tobytes(): i % 24 for i, picture in enumerate(pictures)}
    sets = [{person[image] for image in as_set(pixels_of(result, name))} for name in SPLITS]
    assert sum(len(people) for people in sets) == 24
    assert result.split_rule["by"] == "group"


def test_the_users_own_split_is_kept(prepared, pixels_of, make_parquet, pictures, encode) -> None:
    said = pa.array(["train"] * 60 + [" Val "] * 30 + ["TEST"] * 30)
    path = make_parquet([encode(p) for p in pictures], part=said)
    result = prepared(path, label=None, split={"column": "part"})
    np.testing.assert_array_equal(pixels_of(result, "train"), pictures[:60])
    np.testing.assert_array_equal(pixels_of(result, "validation"), pictures[60:90])
    np.testing.assert_array_equal(pixels_of(result, "holdout"), pictures[90:])


def test_a_folder_may_name_the_split(prepared, make_folder, pictures, encode) -> None:
    names = [f"{'test' if i < 40 else 'train'}/{'ab'[i % 2]}/{i}.png" for i in range(120)]
    root = make_folder([encode(p) for p in pictures], names)
    result = prepared(root, split={"column": "depth:1"})
    assert result.rows["holdout"] == 40
    assert result.rows["train"] + result.rows["validation"] == 80
    assert any("never says validation" in note for note in result.notes)


def test_copies_across_the_users_split_are_left_out(
    prepared, make_parquet, pictures, encode
) -> None:
    chosen = [*pictures[:80], *pictures[70:110]]
    said = pa.array(["train"] * 60 + ["dev"] * 20 + ["test"] * 40)
    path = make_parquet([encode(p) for p in chosen], part=said)
    result = prepared(path, label=None, split={"column": "part"})
    assert result.rows == {"train": 60, "validation": 10, "holdout": 40}
    assert any("10 records" in note for note in result.notes)


def test_the_holdout_may_be_a_source_of_its_own(
    prepared, pixels_of, make_folder, make_parquet, pictures, encode
) -> None:
    root = make_folder([encode(p) for p in pictures[:90]])
    labels = pa.array(["abc"[i % 3] for i in range(30)])
    other = make_parquet([encode(p) for p in pictures[90:]], label=labels)
    split = {"holdout_uri": str(other), "validation": 0.3}
    result = prepared(root, split=split)
    np.testing.assert_array_equal(pixels_of(result, "holdout"), pictures[90:])
    assert result.rows["train"] + result.rows["validation"] == 90
    assert str(other) not in str(result.split_rule)
    assert result.source_digest != open_source(SourceConfig(uri=str(root))).digest


def test_the_digest_knows_content_and_no_place(make_folder, pictures, encode) -> None:
    images = [encode(p) for p in pictures]
    first = open_source(SourceConfig(uri=str(make_folder(images, root="one"))))
    second = open_source(SourceConfig(uri=f"file://{make_folder(images, root='two')}"))
    assert first.digest == second.digest
    changed = make_folder([encode(255 - pictures[0]), *images[1:]], root="three")
    assert open_source(SourceConfig(uri=str(changed))).digest != first.digest


def test_a_large_file_is_digested_in_pieces(make_parquet) -> None:
    path = make_parquet([bytes(3 << 20)], plain=True)
    data = path.read_bytes()
    store = open_store(str(path.parent))
    info = store.stat(path.name)
    expected = digest_json([[path.name, len(data), sha256_hex(data)]])
    assert digest_files(store, [info]) == expected


def test_a_description_decodes_nothing(make_folder, make_parquet) -> None:
    folder = open_source(SourceConfig(uri=str(make_folder([b"x"] * 3)))).description
    assert (folder.kind, folder.rows, folder.files, folder.size_bytes) == ("folder", 3, 3, 3)
    assert folder.columns == ("label",)
    example = open_source(SourceConfig(uri="example:digits")).description
    assert (example.kind, example.rows, example.columns) == ("example", 1797, ("label",))


def test_progress_is_told(tmp_path, make_folder, pictures, encode) -> None:
    from storage.sources.prepare import prepare

    told: list[tuple[int, int]] = []
    config = SourceConfig(uri=str(make_folder([encode(p) for p in pictures])))
    prepare(config, folder=tmp_path, min_group=10, progress=lambda *done: told.append(done))
    assert told[-1] == (120, 120)
