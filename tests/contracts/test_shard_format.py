"""The contract of every shard format."""

import io
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vectors import ROW

from storage.errors import IntegrityError, PlanError
from storage.records.modalities import MODALITIES
from storage.shards.format import (
    IMAGE,
    SAMPLE_ID,
    format_for,
    load_format,
    write_parquet,
)

IMAGE_FORMATS = tuple(one.key for one in MODALITIES["images"].formats.values())
TABLE_FORMATS = tuple(one.key for one in MODALITIES["tables"].formats.values())
METADATA = {"synthetic": "true", "generator": "toy/x", "run_key": "ab", "shard_index": "3"}
LABELS = {
    "text": pa.array(["ä", "bee", "bee", "", "cat"], pa.string()),
    "whole": pa.array([0, 1, -5, 2**40, 1], pa.int64()),
    "truth": pa.array([True, False, True, True, False]),
    "none": None,
}


def images(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def table(images_NHWC, labels=None):
    columns = {
        SAMPLE_ID: pa.array(np.arange(7, 7 + len(images_NHWC), dtype=np.int64)),
        IMAGE: pa.FixedShapeTensorArray.from_numpy_ndarray(images_NHWC),
    }
    return pa.table(columns if labels is None else columns | {"kind": labels})


CELLS = {
    "whole": pa.array([1, None, -5, 2**53, 0], pa.int64()),
    "small": pa.array([0, 255, None, 7, 7], pa.uint8()),
    "real": pa.array([0.1, None, -1e-12, 1e300, 3.0]),
    "single": pa.array([0.1, None, 2.5, -0.5, 3.0], pa.float32()),
    "money": pa.array(["19.90", None, "-0.05", "100.00", "0.00"]).cast(pa.decimal128(9, 2)),
    "truth": pa.array([True, None, False, True, True]),
    "text": pa.array(['ä, "b"; c', None, "line\nend", "007", "a\tb"]),
    "day": pa.array([0, None, 20_000, -1, 7], pa.int32()).cast(pa.date32()),
    "moment": pa.array([0, None, 10**15 + 1, -1, 7], pa.timestamp("us")),
    "zoned": pa.array([0, None, 10**15, -1_000_000, 7], pa.timestamp("us", "UTC")),
    "hour": pa.array([0, None, 86_399_999_999, 1, 7], pa.time64("us")),
}


@pytest.fixture(params=IMAGE_FORMATS)
def shard_format(request):
    return load_format(request.param)


@pytest.fixture(params=TABLE_FORMATS)
def table_format(request):
    return load_format(request.param)


def survives(table_format, records):
    data = table_format.encode(records, METADATA)
    decoded = table_format.decode(data, records.schema)
    assert decoded.equals(records)
    assert decoded.schema.equals(records.schema)
    assert decoded.schema.metadata is None
    return data


@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_cells_survive(table_format, cells):
    survives(table_format, pa.table({"cells": cells, "row": pa.array([1, 2, 3, 4, 5])}))


def test_rows_of_every_type_survive(table_format):
    survives(table_format, pa.table(CELLS))


def test_many_rows_in_many_chunks_survive(table_format):
    whole = pa.table({"a": pa.array(np.arange(9_000)), "b": pa.array(["x", "y", None] * 3_000)})
    chunked = pa.concat_tables([whole.slice(0, 3), whole.slice(3, 4_000), whole.slice(4_003)])
    assert survives(table_format, chunked) == survives(table_format, whole)


def test_a_slice_of_rows_is_encoded_as_itself(table_format):
    survives(table_format, pa.table(CELLS).slice(1, 3))


def test_a_shard_of_rows_says_what_it_is(table_format):
    data = table_format.encode(pa.table(CELLS), METADATA)
    said = table_format.metadata(data)
    assert METADATA.items() <= said.items() if table_format.self_describing else not said


def test_rows_and_schema_are_known(table_format):
    records = pa.table(CELLS)
    foreign = table_format.file_schema(records.schema)
    rows, schema = table_format.inspect(table_format.encode(records, METADATA), foreign)
    assert rows == 5
    assert schema.equals(foreign)
    assert schema.names == records.schema.names


def test_damage_of_rows_never_passes(table_format):
    """A flipped byte is an error, or changes nothing; without checksums it may change a value."""
    records = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    data = table_format.encode(records, METADATA)
    for at in range(0, len(data), 3):
        broken = data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]
        try:
            decoded, said = (
                table_format.decode(broken, records.schema),
                table_format.metadata(broken),
            )
        except IntegrityError:
            continue
        assert isinstance(decoded, pa.Table)
        same = said == table_format.metadata(data) and decoded.schema.equals(records.schema)
        if table_format.self_describing and same:
            assert decoded.equals(records), at


def test_what_is_no_shard_of_rows_is_refused(table_format):
    records = pa.table(CELLS)
    image = load_format("parquet").encode(table(images(5, (4, 4, 3))), METADATA)
    for data in (b"", b"PAR1", image):
        with pytest.raises(IntegrityError):
            table_format.decode(data, records.schema)


def test_the_guess_for_rows_is_near(table_format):
    rng = np.random.default_rng(0)
    records = pa.table(
        {
            "age": rng.integers(18, 90, 5_000),
            "income": np.round(rng.lognormal(10, 1, 5_000), 2),
            "city": np.array(["Aachen", "Bonn", "Celle"])[rng.integers(0, 3, 5_000)],
            "member": rng.random(5_000) < 0.5,
        }
    )
    size = len(table_format.encode(records, METADATA)) / 5_000
    assert 0.4 < table_format.bytes_per_row(records.schema) / size < 2.5


def test_rows_carry_no_sample_id(table_format):
    assert not table_format.sample_ids
    line = table_format.how_to_read("<lake>/x/", 4, pa.table(CELLS).schema)
    assert any("pandas.read_" in part for part in line)
    assert any("<lake>/x/" in part for part in line)


def test_rows_in_parquet_are_read_by_pandas_with_portable_encodings():
    data = load_format("table-parquet").encode(pa.table(CELLS), METADATA)
    frame = pd.read_parquet(io.BytesIO(data), dtype_backend="pyarrow")
    assert list(frame) == list(CELLS)
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        assert column.compression == "ZSTD"
        assert column.has_dictionary_page is (column.path_in_schema == "text")
        assert column.has_offset_index


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 9, 3), (1, 1, 4), (128, 96, 3)])
def test_records_survive(shard_format, shape, labels):
    records = table(images(5, shape), labels)
    decoded = shard_format.decode(shard_format.encode(records, METADATA))
    assert decoded.equals(records)
    assert decoded.schema.equals(records.schema)
    assert decoded.schema.metadata is None


def test_many_row_groups_and_many_chunks_survive(shard_format):
    whole = table(images(8_500, (2, 2, 1)))
    chunked = pa.concat_tables([whole.slice(0, 3), whole.slice(3, 4_000), whole.slice(4_003)])
    data = shard_format.encode(chunked, METADATA)
    assert shard_format.decode(data).equals(whole)


def test_a_slice_is_encoded_as_itself(shard_format):
    records = table(images(40, (4, 4, 3)))
    decoded = shard_format.decode(shard_format.encode(records.slice(11, 9), METADATA))
    assert decoded.equals(records.slice(11, 9))


def test_equal_records_give_equal_bytes(shard_format):
    records = table(images(50, (8, 8, 3)), pa.array(["a", "b"] * 25))
    again = pa.concat_tables([records.slice(0, 20), records.slice(20)])
    assert shard_format.encode(records, METADATA) == shard_format.encode(again, METADATA)


def test_a_shard_says_what_it_is(shard_format):
    said = shard_format.metadata(shard_format.encode(table(images(5, (4, 6, 3))), METADATA))
    assert METADATA.items() <= said.items()
    assert said["image_shape"] == "4,6,3"


def test_footer_and_foreign_schema(shard_format):
    records = table(images(5, (4, 4, 1)), LABELS["whole"])
    rows, schema = shard_format.inspect(shard_format.encode(records, METADATA))
    assert rows == 5
    assert schema.equals(shard_format.file_schema(records.schema))


def test_damage_never_passes(shard_format):
    """Any flipped byte is an error or changes nothing of records and metadata."""
    records = table(images(3, (4, 4, 3)), pa.array(["a", "b", "c"]))
    data = shard_format.encode(records, METADATA)
    for at in range(0, len(data), 7):
        broken = data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]
        try:
            decoded, said = shard_format.decode(broken), shard_format.metadata(broken)
        except IntegrityError:
            continue
        if said == shard_format.metadata(data) and decoded.schema.equals(records.schema):
            assert decoded.equals(records), at


def test_null_images_are_refused(shard_format):
    """Another writer may put nulls where an image has to be."""
    schema = shard_format.file_schema(table(images(2, (2, 2, 1))).schema)
    nulls = pa.table([pa.array([0, 1]), pa.nulls(2, schema.field(IMAGE).type)], schema=schema)
    data = write_parquet(nulls, {"image_shape": "2,2,1"})
    with pytest.raises(IntegrityError, match="null"):
        shard_format.decode(data)


def test_columns_that_hugging_face_has_no_name_for_go_without_its_metadata():
    records = table(images(2, (2, 2, 1)), pa.array([date(2026, 1, 31)] * 2))
    data = load_format("parquet").encode(records, {})
    assert b"huggingface" not in pq.read_schema(io.BytesIO(data)).metadata
    assert load_format("parquet").decode(data).equals(records)


@pytest.mark.parametrize("length", [0, 3, 100, -1, -8, -200])
def test_a_truncated_shard_is_refused(shard_format, length):
    data = shard_format.encode(table(images(50, (8, 8, 3))), METADATA)
    for read in (shard_format.decode, shard_format.metadata, shard_format.inspect):
        with pytest.raises(IntegrityError):
            read(data[:length])


def test_a_shard_of_the_other_format_is_refused(shard_format):
    records = table(images(5, (4, 4, 3)))
    others = [load_format(name) for name in IMAGE_FORMATS if load_format(name) is not shard_format]
    for other in others:
        with pytest.raises(IntegrityError, match=r"another format|shape"):
            shard_format.decode(other.encode(records, METADATA))


def test_the_guess_for_planning_is_near(shard_format):
    """On smooth images as photographs are; noise is larger, drawings are smaller."""
    ramp = np.linspace(0, 200, 32, dtype=np.uint8)
    smooth = ramp[None, :, None, None] // 2 + ramp[None, None, :, None] // 2
    noisy = smooth + images(500, (32, 32, 3)) // 16
    records = table(noisy)
    size = len(shard_format.encode(records, METADATA)) / 500
    assert 0.5 < shard_format.bytes_per_row(records.schema) / size < 2


def test_plain_pandas_reads_it(shard_format):
    pixels = images(5, (4, 4, 3))
    frame = pd.read_parquet(io.BytesIO(shard_format.encode(table(pixels), METADATA)))
    assert list(frame) == [SAMPLE_ID, IMAGE]
    assert frame[SAMPLE_ID].tolist() == [7, 8, 9, 10, 11]


def test_png_files_have_the_struct_of_hugging_face():
    data = load_format("parquet").encode(table(images(5, (4, 4, 3)), LABELS["text"]), METADATA)
    schema = pq.read_schema(io.BytesIO(data))
    image_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert schema.field(IMAGE).type == image_type
    assert b'"image": {"_type": "Image"}' in schema.metadata[b"huggingface"]
    image = pd.read_parquet(io.BytesIO(data))[IMAGE][0]
    assert image["bytes"].startswith(b"\x89PNG")
    assert image["path"] is None


def test_raw_pixels_are_fixed_length_bytes():
    pixels = images(5, (4, 6, 3))
    data = load_format("parquet-raw").encode(table(pixels), METADATA)
    column = pq.ParquetFile(io.BytesIO(data)).schema.column(1)
    assert (column.physical_type, column.length) == ("FIXED_LEN_BYTE_ARRAY", 72)
    frame = pd.read_parquet(io.BytesIO(data))
    read = np.frombuffer(b"".join(frame[IMAGE]), "uint8").reshape(-1, 4, 6, 3)
    np.testing.assert_array_equal(read, pixels)


def test_portable_encodings():
    """zstd, dictionaries for strings only, a page index, no statistics of images."""
    for name in IMAGE_FORMATS:
        data = load_format(name).encode(table(images(50, (8, 8, 3)), pa.array(["a"] * 50)), {})
        group = pq.read_metadata(io.BytesIO(data)).row_group(0)
        for number in range(group.num_columns):
            column = group.column(number)
            is_label = column.path_in_schema == "kind"
            assert column.compression == "ZSTD"
            assert column.has_dictionary_page is is_label, column.path_in_schema
            assert column.has_offset_index
            assert column.is_stats_set is not column.path_in_schema.startswith(IMAGE)


def test_an_unknown_format_lists_the_known():
    with pytest.raises(PlanError, match=r"'webp'.*parquet, parquet-raw, .*table-parquet, csv"):
        load_format("webp")


def test_a_recipe_names_formats_of_its_modality():
    assert format_for("images", "parquet") == "parquet"
    assert format_for("tables", "parquet") == "table-parquet"
    with pytest.raises(PlanError, match=r"'csv' cannot hold images; choose .* parquet-raw"):
        format_for("images", "csv")


EVERY = [
    (modality, name)
    for modality, row in {**MODALITIES, "vectors": ROW}.items()
    for name in row.formats
]


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_every_format_gives_records_back(modality, name, example):
    shard_format, records = load_format(format_for(modality, name)), example(modality, 24)
    if shard_format.sample_ids:
        records = records.add_column(0, SAMPLE_ID, pa.array(range(24)))
    plain = records.replace_schema_metadata(None)
    data = shard_format.encode(records, METADATA)
    assert shard_format.decode(data, records.schema).equals(plain)
    assert shard_format.encode(pa.concat_tables([records[:5], records[5:]]), METADATA) == data
    foreign = shard_format.file_schema(records.schema)
    rows, schema = shard_format.inspect(data, foreign)
    assert (rows, schema.names) == (24, records.column_names)
    said = shard_format.metadata(data)
    assert METADATA.items() <= said.items() if shard_format.self_describing else not said
    assert shard_format.bytes_per_row(records.schema) >= 1
    assert any("<lake>/x/" in line for line in shard_format.how_to_read("<lake>/x/", 4, foreign))


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_no_format_takes_a_torn_shard(modality, name, example):
    shard_format, records = load_format(format_for(modality, name)), example(modality, 24)
    if not shard_format.self_describing:
        pytest.skip("a file of text may end anywhere; the manifest's digest tells")
    data = shard_format.encode(records, METADATA)
    for torn in (b"", data[:7], data[:-3], data[: len(data) // 2]):
        for read in (shard_format.decode, shard_format.metadata, shard_format.inspect):
            with pytest.raises(IntegrityError):
                read(torn)


def test_keys_of_formats_are_unique():
    keys = [entry.key for row in MODALITIES.values() for entry in row.formats.values()]
    assert len(keys) == len(set(keys))
