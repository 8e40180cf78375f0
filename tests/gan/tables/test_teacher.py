"""The teacher of tables: what it learns, that its file is data, and how it labels."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from gan.errors import ConfigError, DataError, SnapshotError
from gan.modalities import load_modality
from gan.tables import teacher
from gan.teacher import Labeller
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata, with_table_metadata

TABLES = load_modality("tables")


def rows(count: int, seed: int, classes=("no", "yes")) -> pa.Table:
    """Return rows whose label depends on a number and a level; some numbers are missing."""
    rng = np.random.default_rng(seed)
    size, town = rng.normal(size=count), rng.integers(0, 3, count)
    risen = size + (town == 2) + 0.3 * rng.normal(size=count)
    place = np.clip(np.floor((risen + 1) / 3 * len(classes)), 0, len(classes) - 1).astype(int)
    table = pa.table(
        {
            "id": [f"k{i}" for i in range(count)],
            "size": pa.array(size, mask=rng.random(count) < 0.1),
            "town": [("Kiel", "Wien", "Graz")[i] for i in town],
            "price": risen * 100,
            "bought": pa.array([classes[i] for i in place]),
        }
    )
    kinds = {"id": "key", "size": "float", "town": "category", "price": "float"}
    columns = [Column(name=n, kind=kinds.get(n, "category")) for n in table.column_names]
    return table.cast(with_table_metadata(table.schema, TableMetadata(columns=tuple(columns))))


def taught(label="bought", classes=("no", "yes"), drop=()) -> bytes:
    table = rows(600, 0, classes or ("no", "yes"))
    kept = [name for name in table.column_names if name not in drop]
    metadata = teacher.require_metadata(table.schema)
    columns = tuple(one for one in metadata.columns if one.name in kept)
    table = table.select(kept)
    schema = with_table_metadata(table.schema, TableMetadata(columns=columns))
    return TABLES.fit_teacher(table.cast(schema), label=label, classes=classes, seed=3)


@pytest.fixture(scope="module")
def data() -> bytes:
    return taught(drop=("price",))


def test_it_learns_the_label_and_answers_from_its_file(data):
    unseen = rows(500, 1)
    found = TABLES.load_teacher(data).predict(unseen)
    assert found.shape == (500, 2)
    assert np.allclose(found.sum(axis=1), 1)
    truth = np.array(unseen["bought"].to_pylist()) == "yes"
    assert roc_auc_score(truth, found[:, 1]) > 0.9
    assert abs(found[:, 1].mean() - truth.mean()) < 0.05


def test_equal_rows_give_equal_bytes(data):
    assert taught(drop=("price",)) == data


def test_the_file_is_json_with_trees_as_text_and_no_keys(data):
    raw = json.loads(data)
    assert [one["name"] for one in raw["columns"]] == ["size", "town"]
    assert len(raw["members"]) == teacher.MEMBERS
    assert all(text.startswith("tree\nversion=") for text in raw["members"])
    assert b"k17" not in data


@pytest.mark.parametrize("wrong", [b"{}", b"\x80\x04", b'{"schema": "other"}', b"[]"])
def test_what_is_no_teacher_is_refused(wrong):
    with pytest.raises(SnapshotError, match="no ganmill-table-teacher/1"):
        TABLES.load_teacher(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"label": None, "classes": None},
        {"members": []},
        {"columns": []},
        {"classes": ["no", "yes", "maybe"]},
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(data, change):
    with pytest.raises(SnapshotError, match="delete it and run again"):
        TABLES.load_teacher(json.dumps(json.loads(data) | change).encode())
    kept = {name: one for name, one in json.loads(data).items() if name not in change}
    with pytest.raises(SnapshotError, match="delete it and run again"):
        TABLES.load_teacher(json.dumps(kept).encode())


def test_text_without_classes_is_refused_before_anything_learns():
    with pytest.raises(DataError, match="text with more than 50 classes"):
        TABLES.check_teacher(rows(100, 0), label="bought", classes=())


def test_levels_that_were_never_seen_and_nulls_are_answered(data):
    odd = pa.table({"size": pa.array([None, 0.1], pa.float64()), "town": ["Rom", None]})
    assert np.isfinite(TABLES.load_teacher(data).predict(odd)).all()
    with pytest.raises(DataError, match="no column 'town'"):
        TABLES.load_teacher(data).predict(odd.drop_columns("town"))


def test_several_classes_and_numbers():
    classes = ("a", "b", "c")
    found = TABLES.load_teacher(taught(classes=classes, drop=("price",))).predict(rows(50, 1))
    assert found.shape == (50, 3)
    assert np.allclose(found.sum(axis=1), 1)
    unseen = rows(300, 2)
    expected = TABLES.load_teacher(taught("price", (), drop=("bought",))).predict(unseen)
    assert np.corrcoef(expected, unseen["price"].to_numpy())[0, 1] > 0.85


def test_what_cannot_be_learned_is_said(monkeypatch):
    table = rows(40, 0)
    for records, classes, text in (
        (table, ("no", "yes"), "40 training rows"),
        (rows(100, 0), ("no",), "single class 'no'"),
    ):
        with pytest.raises(DataError, match=text):
            TABLES.check_teacher(records, label="bought", classes=classes)
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(ConfigError, match="pip install lightgbm"):
        TABLES.check_teacher(table, label="bought", classes=("no", "yes"))
    images = load_modality("images")
    untaught = dataclasses.replace(images, row=dataclasses.replace(images.row, teacher=None))
    with pytest.raises(ConfigError, match="images have no teacher"):
        untaught.check_teacher(table, label="bought", classes=())


class Sure:
    """A teacher that says the same of every record."""

    label, classes = "bought", ("no", "yes")

    def __init__(self, share: float) -> None:
        self.share = share

    def predict(self, records):
        return np.tile([1 - self.share, self.share], (len(records), 1))


def labelled(share=0.25, *, relabels=True, index=0, seed=1, records=None):
    columns = ("bought_probability_no", "bought_probability_yes")
    labeller = Labeller(teacher=Sure(share), columns=columns, relabels=relabels, seed=seed)
    records = rows(2000, 0) if records is None else records
    return labeller(records, len(records), index)


def test_labels_are_drawn_from_the_probabilities():
    found = labelled()
    assert found.column_names[-2:] == ["bought_probability_no", "bought_probability_yes"]
    share = np.mean(np.array(found["bought"].to_pylist()) == "yes")
    assert abs(share - 0.25) < 0.03
    assert set(found["bought_probability_yes"].to_pylist()) == {0.25}
    assert labelled() == found
    assert labelled(index=1)["bought"] != found["bought"]
    assert labelled(seed=2)["bought"] != found["bought"]
    assert set(labelled(1.0)["bought"].to_pylist()) == {"yes"}
    assert set(labelled(0.0)["bought"].to_pylist()) == {"no"}


def test_labels_that_were_asked_for_stay_and_types_too():
    assert labelled(relabels=False)["bought"] == rows(2000, 0)["bought"]
    records = rows(60, 0)
    place = records.column_names.index("bought")
    coded = records.set_column(place, "bought", records["bought"].dictionary_encode())
    assert labelled(records=coded).schema.field("bought").type == coded.schema.field("bought").type


class Believer:
    """A teacher that believes in the class `yes` where the size is above zero."""

    label, classes = "bought", ("no", "yes")

    def predict(self, records):
        yes_N = np.where(records["size"].to_numpy(zero_copy_only=False) > 0, 0.99, 0.01)
        return np.stack([1 - yes_N, yes_N], axis=1)


def test_of_what_was_asked_for_the_teacher_picks_what_it_believes():
    labeller = Labeller(
        teacher=Believer(), columns=("p_no", "p_yes"), relabels=False, seed=1, picks=4
    )
    assert labeller.draws((("no", 3), ("yes", 2))) == (("no", 12), ("yes", 8))
    assert labeller.draws(7) == 7
    sizes = np.resize([1.0, 1.0, -1.0, -1.0], 800)
    drawn = pa.table({"bought": ["no", "yes"] * 400, "size": sizes})
    wanted = (("no", 100), ("yes", 100))
    found = labeller(drawn, wanted, 0)
    assert [found["bought"].to_pylist().count(one) for one in ("no", "yes")] == [100, 100]
    by_class = found.group_by("bought").aggregate([("p_yes", "mean")]).to_pylist()
    means = {one["bought"]: one["p_yes_mean"] for one in by_class}
    assert means["no"] < 0.1 < 0.9 < means["yes"]
    assert labeller(drawn, wanted, 0) == found
    assert labeller(drawn, wanted, 1) != found
    assert len(labeller(drawn, 800, 0)) == 800


def test_what_is_taught_has_its_classes_in_the_order_that_is_wanted():
    labeller = Labeller(teacher=Sure(0.25), columns=(), relabels=False, seed=1)
    records, soft = labeller.taught(rows(5, 0), 5, 0, ("yes", "no"))
    assert records == rows(5, 0)
    assert soft.tolist() == [[0.25, 0.75]] * 5
    _, soft = labeller.taught(rows(5, 0), 5, 0, ("no", "all others"))
    assert soft.tolist() == [[0.75, 0.25]] * 5


def test_what_is_taught_about_a_number_has_the_expected_one():
    teacher_of_prices = TABLES.load_teacher(taught("price", (), drop=("bought",)))
    labeller = Labeller(teacher=teacher_of_prices, columns=(), relabels=False, seed=1)
    unseen = rows(20, 2)
    records, soft = labeller.taught(unseen, 20, 0, ())
    assert soft is None
    assert records["price"].to_pylist() == teacher_of_prices.predict(unseen).tolist()


def test_a_number_is_not_taught_where_classes_are_learned():
    numbers = SimpleNamespace(label="price", classes=())
    labeller = Labeller(teacher=numbers, columns=("price_expected",), relabels=False, seed=0)
    with pytest.raises(DataError, match="learned 'price' as a number"):
        labeller.taught(rows(3, 0), 3, 0, ("1.0", "2.0"))
