"""What may be personal, and what seems to hold between columns."""

import numpy as np
import pyarrow as pa
import pytest

from storage.records.constraint import Constraint
from storage.records.schema import Column
from storage.sources.config import SourceConfig
from storage.sources.tables.kinds import infer
from storage.sources.tables.standards import passes_iban, passes_luhn
from storage.sources.tables.suggest import suggest_constraints, suggest_personal_data

ROWS = 1500
DRAW = np.random.default_rng(9)


def with_check_digit(digits: str) -> str:
    return next(digits + last for last in "0123456789" if passes_luhn(digits + last))


CARDS = [with_check_digit(f"4{n:014}") for n in DRAW.integers(0, 10**14, 50)]
PEOPLE = [f"{a}{b}" for a in ("Ann", "Bob", "Eva") for b in ("a", "e", "i", "o", "u", "y")]


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("contact", [f"u{i}@mail.example" for i in range(50)], "e-mail addresses"),
        ("x", [f"+49 30 {i:07}" for i in range(50)], "telephone numbers"),
        ("x", CARDS, "card numbers"),
        ("x", [int(card) for card in CARDS], "card numbers"),
        ("x", [f"10.0.{i}.{i + 1}" for i in range(50)], "addresses of machines"),
        ("x", [f"2001:db8::{i:x}" for i in range(50)], "addresses of machines"),
        ("x", [f"{i + 100}-{i + 10}-{i + 1000}" for i in range(50)], "official numbers of persons"),
        ("x", [f"Hauptstraße {i}" for i in range(50)], "addresses"),
        ("x", [f"{i} Main Street" for i in range(50)], "addresses"),
        ("Vorname", PEOPLE, "names of persons"),
        ("last_name", PEOPLE, "names of persons"),
        ("FullName", PEOPLE, "names of persons"),
        ("Prénom", PEOPLE, "names of persons"),
        ("geburtsdatum", pa.array(range(50), pa.date32()), "dates of birth"),
        ("date_of_birth", pa.array(range(50), pa.date32()), "dates of birth"),
        ("telefon", list(range(50)), "telephone numbers"),
        ("PLZ", [f"{i:05}" for i in range(50)], "places of persons"),
        ("latitude", DRAW.normal(size=50), "places of persons"),
    ],
)
def test_suspects_are_found_by_name_or_by_values(name, values, what):
    found = suggest_personal_data(pa.table({name: values}))
    assert [one.what for one in found] == [what]
    assert found[0].why in ("by the name", "by the values")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("amount", DRAW.normal(size=200)),
        ("count", DRAW.integers(0, 10**15, 200)),
        ("email_sent", [True, False] * 50),
        ("name_length", DRAW.integers(0, 9, 200)),
        ("version", [f"{i}.{i % 7}.300.1" for i in range(300)]),
        ("city", ["Berlin", "Kiel", "Wien"] * 50),
        ("id", [f"C-{i:05}" for i in range(50)]),
    ],
)
def test_plain_columns_are_no_suspects(name, values):
    assert suggest_personal_data(pa.table({name: values})) == ()


def test_check_digits():
    assert passes_luhn("4539578763621486")
    assert not passes_luhn("4539578763621487")
    assert passes_iban("DE89370400440532013000")
    assert not passes_iban("DE89370400440532013001")


def likely(columns: dict) -> list[tuple[str, tuple[str, ...]]]:
    table = pa.table(columns)
    kinds = infer(table, SourceConfig(uri="x", label=None), 10).columns
    found = suggest_constraints(table, kinds)
    assert all(why for _, why in found)
    return [(constraint.kind, constraint.columns) for constraint, _ in found]


def test_pairs_of_which_one_is_never_larger():
    start = DRAW.integers(0, 400, ROWS)
    span = DRAW.integers(0, 30, ROWS)
    columns = {
        "start": pa.array(start.astype(np.int32), pa.date32()),
        "end": pa.array((start + span).astype(np.int32), pa.date32()),
        "born": pa.array((start - 9000).astype(np.int32), pa.date32()),
    }
    assert likely(columns) == [("inequality", ("start", "end"))]
    numbers = {"a": start, "b": start + span, "c": start + 2 * span + 1, "far": start + 10_000}
    assert likely({name: n for name, n in numbers.items() if name != "far"}) == [
        ("inequality", ("a", "b")),
        ("inequality", ("b", "c")),
    ]
    assert ("inequality", ("a", "far")) not in likely(numbers)


def test_pairs_that_are_in_order_by_whole_days_only():
    day = DRAW.integers(0, 400, ROWS)
    at = pa.array(day * 86_400_000_000 + DRAW.integers(0, 86_400_000_000, ROWS)).cast(
        pa.timestamp("us")
    )
    due = pa.array((day + DRAW.integers(0, 4, ROWS)).astype(np.int32), pa.date32())
    assert likely({"at": at, "due": due}) == [("inequality", ("at", "due"))]
    table = pa.table({"at": at, "due": due.cast(pa.timestamp("us"))})
    columns = infer(table, SourceConfig(uri="x", label=None), 10).columns
    ((constraint, why),) = suggest_constraints(table, columns)
    assert constraint.whole_days
    assert "by whole days" in why


def test_few_rows_prove_a_pair_only_when_the_names_agree():
    low = DRAW.normal(size=300)
    assert likely({"min_temp": low, "max_temp": low + DRAW.gamma(2, 1, 300)}) == [
        ("inequality", ("min_temp", "max_temp"))
    ]
    assert likely({"p": low, "q": low + DRAW.gamma(2, 1, 300)}) == []


def test_one_row_against_it_is_enough():
    start = DRAW.integers(0, 400, ROWS)
    end = start + DRAW.integers(0, 30, ROWS)
    end[-1] = start[-1] - 1
    assert likely({"start": start, "end": end}) == []


def test_whole_numbers_without_repetition():
    assert ("unique", ("seat",)) in likely({"seat": DRAW.permutation(ROWS * 2)[:ROWS]})
    assert likely({"income": DRAW.permutation(10**6)[:ROWS]}) == []


def test_an_order_that_no_rule_makes_is_suggested_of_computed_columns_too():
    draw = np.random.default_rng(2)
    half, more = draw.poisson(2.0, 3000), draw.poisson(2.0, 3000)
    final, away = half + more, draw.poisson(2.0, 3000)
    score = [f"{one}:{other}" for one, other in zip(final, away, strict=True)]
    table = pa.table({"half": half, "final": final, "away": away, "score": score})
    table = table.append_column("goals", pa.array(final + away))
    kinds = {"score": "category"}
    columns = [Column(name=n, kind=kinds.get(n, "integer")) for n in table.column_names]
    rules = [
        Constraint(kind="lookup", columns=("final", "score")),
        Constraint(kind="lookup", columns=("away", "score")),
        Constraint(kind="sum", columns=("goals", "final", "away")),
    ]
    found = [one.columns for one, _ in suggest_constraints(table, columns, rules)]
    assert ("half", "final") in found
    assert not {("final", "goals"), ("half", "goals")} & set(found)
