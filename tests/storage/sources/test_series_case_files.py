"""`.ts` files and arrays: a line or a row of an array is an entity."""

import io

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import SourceError
from storage.records.series import read_series_metadata

RNG = np.random.default_rng(2)
HEAD = "# made up\n@problemName toy\n@timeStamps false\n@classLabel true a b\n@data\n"


def ts(rows=120, head=HEAD):
    lines = []
    for row in range(rows):
        steps = int(RNG.integers(3, 6))
        first = ",".join(
            "?" if k == 1 else str(int(x)) for k, x in enumerate(RNG.poisson(9, steps))
        )
        second = ",".join(f"{x:.2f}" for x in RNG.normal(0, 1, steps))
        lines.append(f"{first}:{second}:{'ab'[row % 2]}")
    return head + "\n".join(lines) + "\n"


def whole(result):
    return pa.concat_tables(result.records.values()).sort_by([("entity", "ascending")])


def test_ts_files_are_series_with_a_class(tmp_path, prepared):
    path = tmp_path / "toy.ts"
    path.write_text(ts())
    result = prepared(path, label="label")
    metadata = read_series_metadata(result.schema)
    assert [(one.name, one.kind) for one in metadata.variables] == [
        ("dim_0", "integer"),
        ("dim_1", "float"),
    ]
    assert metadata.time.name == "step"
    first = whole(result).to_pylist()[0]
    assert first["dim_0"][1] is None
    assert len(first["dim_0"]) == len(first["dim_1"]) == len(first["step"])
    assert {label for label, _ in result.class_counts["train"]} == {"a", "b"}


def test_train_and_test_files_are_a_split(tmp_path, prepared):
    (tmp_path / "ts").mkdir()
    for name, rows in (("toy_TRAIN.ts", 110), ("toy_TEST.ts", 40)):
        (tmp_path / "ts" / name).write_text(ts(rows))
    result = prepared(tmp_path / "ts", label="label", split={"column": "path:split"})
    assert result.rows["holdout"] == 40
    assert sorted(whole(result)["entity"].to_pylist()) == list(range(150))


def test_quantities_of_ts_files_are_numbers(tmp_path, prepared):
    path = tmp_path / "toy.ts"
    body = "\n".join(f"1,2,{row}:{row / 7:.3f}" for row in range(120))
    path.write_text(f"@targetLabel true\n@data\n{body}\n")
    result = prepared(path, label="label")
    assert result.schema.field("label").type == pa.float64()
    assert result.class_counts["train"] == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("const x: number = 1;\n", "no line says @data"),
        ("@timestamps true\n@data\n(0,1):a\n", "moments of their own"),
        (HEAD + "1,2:3,4:a\n1,2:b\n", "series 1 has not as many parts"),
        (HEAD + "1,x:3,4:a\n", "no readable time series file"),
    ],
)
def test_other_ts_files_are_refused_in_a_sentence(text, sentence, tmp_path, prepared):
    path = tmp_path / "toy.ts"
    path.write_text(text)
    with pytest.raises(SourceError, match=sentence):
        prepared(path, label="label")


def arrays(tmp_path, **found):
    sink = io.BytesIO()
    np.savez(sink, **found)
    path = tmp_path / "series.npz"
    path.write_bytes(sink.getvalue())
    return path


def test_arrays_are_a_variable_each_and_flat_ones_static(tmp_path, prepared):
    load, temperature = RNG.poisson(5, (120, 6)), RNG.normal(0, 1, (120, 6)).astype("f4")
    kind = np.array(["a", "b"])[np.arange(120) % 2]
    path = arrays(tmp_path, load=load, temperature=temperature, kind=kind)
    result = prepared(path, label="kind", modality="series")
    found = whole(result)
    assert found["load"].to_pylist() == load.tolist()
    assert found["temperature"].to_pylist() == temperature.tolist()
    assert found["kind"].to_pylist() == kind.tolist()


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"x": np.zeros((120, 6, 2))}, r"which are steps .* nobody can see; store .*numpy\.savez"),
        ({"x": np.zeros((120, 6)), "y": np.zeros(119)}, "not arrays of one number of series"),
        ({"x": np.zeros(120)}, "not arrays of one number of series"),
        ({"x": np.array([{}] * 120, dtype=object)}, "no readable array file"),
    ],
)
def test_other_arrays_are_refused_in_a_sentence(found, sentence, tmp_path, prepared):
    with pytest.raises(SourceError, match=sentence) as caught:
        prepared(arrays(tmp_path, **found), label=None, modality="series")
    assert "\n" not in str(caught.value)
