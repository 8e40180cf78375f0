"""What columns are: kinds with reasons, forms of keys, free text, and what a recipe may say."""

import re
import uuid

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.tables.kinds import Inferred, infer, infer_kind, is_key_name
from storage.sources.tables.text_patterns import (
    FALLBACK,
    literal,
    loose_shape,
    pattern_of,
    shape,
    shown_shape,
)

ROWS = 600
DRAW = np.random.default_rng(5)
WORDS = np.array(["call", "again", "late", "truck", "rain", "paid", "north", "gate", "open"])


def one(values, *, name: str = "c", config: dict | None = None, min_group: int = 10) -> Inferred:
    """Infer a table of one column."""
    columns = [] if config is None else [{"name": name, **config}]
    return infer(
        pa.table({name: values}), SourceConfig(uri="x", label=None, columns=columns), min_group
    )


def kind_of(values, name: str = "c") -> str:
    return one(values, name=name).columns[0].kind


def notes(rows: int = ROWS) -> list[str]:
    return [" ".join(DRAW.choice(WORDS, 9)) + f" {row}" for row in range(rows)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False] * 50, "boolean"),
        (DRAW.normal(size=ROWS), "float"),
        (DRAW.integers(0, 5, ROWS), "integer"),
        (DRAW.permutation(10**6)[:ROWS], "integer"),
        (np.arange(ROWS) * 1.0, "float"),
        (["x"] * ROWS, "constant"),
        (np.zeros(ROWS), "constant"),
        (["x", None] * 300, "category"),
        (DRAW.choice([f"code {i}" for i in range(200)], ROWS), "category"),
        (
            DRAW.choice(["ok", "call back later today", "a longer look by the team is due"], ROWS),
            "category",
        ),
        (pa.array(range(ROWS), pa.date32()), "date"),
        (pa.array(range(ROWS), pa.timestamp("us")), "timestamp"),
        (pa.array(range(ROWS), pa.time64("us")), "time"),
        (pa.array(range(ROWS), pa.decimal128(9, 2)), "decimal"),
        ([f"C-{row:05}" for row in DRAW.permutation(ROWS)], "key"),
        ([f"user{row}" for row in range(ROWS)], "key"),
        ([str(uuid.UUID(int=int(n) << 64 | 7)) for n in DRAW.integers(0, 2**62, ROWS)], "key"),
        ([f"2025/{row:04}" for row in range(ROWS)], "key"),
        ([f"{row % 590:04}" for row in range(ROWS)], "text"),
        (np.arange(ROWS), "key"),
        (np.arange(ROWS)[::-1], "integer"),
    ],
)
def test_the_kind_follows_from_type_form_and_repetition(values, kind):
    found = one(values, config={"text": "pattern"} if kind == "text" else None).columns[0]
    assert infer_kind("c", pa.table({"c": values})["c"]).kind == found.kind == kind
    assert found.why
    assert (found.form is not None) == (kind in ("key", "text"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("customer_id", "key"), ("OrderNo", "key"), ("id", "key"), ("PassengerId", "key"),
        ("income", "integer"), ("paid", "integer"), ("number_of_rooms", "integer"),
    ],
)  # fmt: skip
def test_distinct_whole_numbers_are_keys_only_when_the_name_says_so(name, kind):
    assert kind_of(DRAW.permutation(10**6)[:ROWS], name) == kind
    assert is_key_name(name) == (kind == "key")
    assert kind_of(DRAW.integers(0, 300, ROWS), name) == "integer"


def test_a_column_of_many_levels_says_so():
    found = one(DRAW.choice([f"code{i}" for i in range(2000)], 50_000)).columns[0]
    assert found.kind == "category"
    assert found.why == "2,000 values in 50,000 rows, a category of many"


def test_free_text_is_refused_dropped_or_given_a_pattern():
    with pytest.raises(SourceError) as error:
        one(notes(), name="remark")
    text = str(error.value)
    assert "'remark'" in text
    assert "text: drop" in text
    assert "text: pattern" in text
    assert "kind: category" in text
    dropped = one(notes(), config={"text": "drop"})
    assert (dropped.columns, dropped.dropped) == ((), ("c",))
    for values in (["north", "south"] * 300, [f"{row}" for row in range(ROWS)]):
        assert one(values, config={"text": "pattern"}).columns[0].kind == "text"
        assert one(values, config={"text": "drop"}).dropped == ("c",)
    assert one(np.arange(ROWS) / 7, config={"text": "drop"}).dropped == ("c",)
    assert one(np.arange(ROWS) / 7, config={"text": "pattern"}).columns[0].kind == "float"
    pattern = one(notes(), config={"text": "pattern"}).columns[0]
    assert set(pattern.form) <= set("a9 ")
    lone = one(notes(), config={"text": "pattern"}, min_group=ROWS).columns[0]
    assert lone.form == FALLBACK


def test_reasons_and_messages_show_no_value():
    values = notes()
    with pytest.raises(SourceError) as error:
        one(values, name="remark")
    said = str(error.value) + one(values, config={"kind": "text", "text": "pattern"}).columns[0].why
    assert not set(re.findall(r"[a-z]+", said)) & {"truck", "rain", "north", "gate"}


def test_every_column_of_free_text_is_named_at_once():
    table = pa.table({"a": notes(), "b": notes(), "n": np.arange(ROWS) % 7})
    with pytest.raises(SourceError, match=r"'a' is free text.*'b' is free text") as error:
        infer(table, SourceConfig(uri="x", label=None), 10)
    assert [one.value["name"] for one in error.value.proposals] == ["a", "b"]


def test_dates_stored_as_text_are_noticed():
    found = one([f"2025-01-{row % 28 + 1:02}" for row in range(ROWS)])
    assert found.columns[0].kind == "category"
    assert "dates that are not all written in one way" in found.notes[0]


@pytest.mark.parametrize(
    ("values", "kind", "part"),
    [
        (["red", "blue"] * 50, "integer", "first value has the form 'aaa'"),
        (["red", "blue"] * 50, "key", "98 rows repeat"),
        (["red", None] * 50, "key", "50 rows have none"),
        (np.arange(100) * 1.5, "key", "stored as double"),
        (np.arange(100), "text", "stored as int64"),
        (np.arange(100), "boolean", "stored as int64"),
        (np.arange(100), "date", "stored as int64"),
        (np.arange(100), "constant", "more than one value"),
    ],
)
def test_an_impossible_kind_is_refused(values, kind, part):
    with pytest.raises(SourceError) as error:
        one(values, config={"kind": kind})
    assert part in str(error.value)
    assert f"cannot be {kind!r}" in str(error.value)


def test_a_possible_kind_is_taken():
    assert one(np.arange(100) % 7, config={"kind": "category"}).columns[0].kind == "category"
    assert one(np.arange(100) % 7, config={"kind": "float"}).columns[0].kind == "float"
    public = one(["a", "b"] * 50, config={"kind": "category", "vocabulary": "public"}).columns[0]
    assert public.vocabulary == "public"
    assert public.why == "as the recipe says"
    key = one([f"{row} x" for row in range(ROWS)], config={"kind": "key"}).columns[0]
    assert key.form.endswith(" x")


def test_an_unknown_column_names_the_nearest():
    with pytest.raises(SourceError, match=r"'colour'.*did you mean 'color'"):
        infer(
            pa.table({"color": ["a", "b"]}),
            SourceConfig(uri="x", label=None, columns=[{"name": "colour"}]),
            10,
        )


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["C-00042", "C-10311", "C-99999"] * 4, "C-99999"),
        ([f"2025-{row:05}" for row in range(0, 90000, 900)], "2025-99999"),
        ([f"{row:08x}" for row in range(10**9, 2 * 10**9, 10_000_019)], "ffffffff"),
        ([f"{row:08X}" for row in range(10**9, 2 * 10**9, 10_000_019)], "FFFFFFFF"),
        (["AB12 X", "QZ77 Y", "KL05 Z"] * 3, "AA99 A"),
        (["Fa1", "Fa2", "Fa3"], r"\F\a9"),
        (["a9", "b9", "c9"], "a9"),
        (["ä1", "ö2"], "a9"),
    ],
)
def test_the_pattern_of_keys(texts, form):
    assert pattern_of(texts) == form


def test_a_form_that_few_share_is_not_shown():
    texts = [*["aa-11", "bb-22"], *[f"{'x' * n}!" for n in range(1, 9)]]
    assert pattern_of(texts, min_group=3) == FALLBACK
    assert pattern_of(texts, min_group=2) == "aa-99"


def test_keys_that_grow_get_room():
    assert one(np.arange(ROWS), name="id").columns[0].form == "9" * 7
    assert one(pa.array(range(ROWS), pa.int16()), name="id").columns[0].form == "9" * 3
    assert one([f"user{row}" for row in range(ROWS)]).columns[0].form == "user" + "9" * 7
    assert one([f"C-{row:05}" for row in range(ROWS)]).columns[0].form == "C-99999"


def test_shapes():
    assert shape("Ab-1 é") == "Aa-9 a"
    assert loose_shape("AAb--11") == "Aa-9"
    assert shown_shape("x" * 40) == repr("a" * 24 + "…")
    assert literal("9aZ") == r"\9\aZ"
