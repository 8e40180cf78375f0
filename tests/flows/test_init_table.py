"""`ganmill init` on tables: the printed recipe is one that `check` accepts, with reasons."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import flows.cli.check
from flows.cli.app import execute
from flows.recipe import apply_proposal
from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.tables.kinds import infer_kind
from storage.sources.tables.survey import find_entity, guess_label

ROWS = 400
DRAW = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("lake").exists()


@pytest.fixture
def customers():
    """A German shop's export: decimal commas, days first, a region per city, notes, e-mail."""
    city = DRAW.choice(["Berlin", "Kiel", "Wien", "Graz"], ROWS)
    start = pd.Timestamp("2025-01-13") + pd.to_timedelta(DRAW.integers(0, 300, ROWS), unit="D")
    end = start + pd.to_timedelta(DRAW.integers(0, 30, ROWS), unit="D")
    frame = pd.DataFrame(
        {
            "Nr": [f"K-{row:03}" for row in range(ROWS)],
            "Vorname": DRAW.choice(["Eva", "Max", "Ida"], ROWS),
            "email": [f"u{row}@mail.example" for row in range(ROWS)],
            "city": city,
            "region": ["Nord" if name in ("Berlin", "Kiel") else "Süd" for name in city],
            "start": start.strftime("%d.%m.%Y"),
            "end": end.strftime("%d.%m.%Y"),
            "paid: net": [f"{value:.2f}".replace(".", ",") for value in DRAW.gamma(3, 100, ROWS)],
            "empty": [""] * ROWS,
            "churn": DRAW.choice(["ja", "nein"], ROWS),
        }
    )
    frame.to_csv("customers.csv", sep=";", index=False, encoding="cp1252", lineterminator="\r\n")
    return "customers.csv"


def printed(capsys, *arguments):
    assert execute(["init", *arguments]) == 0
    text = capsys.readouterr().out
    Path("made.yaml").write_text(text)
    return text, yaml.safe_load(text)


def test_the_recipe_of_a_table_says_what_was_found_and_passes_check(capsys, customers):
    text, recipe = printed(capsys, customers)
    assert text.startswith("# 400 rows of 8 columns\n# CSV: delimiter ';', encoding cp1252, ")
    assert recipe["name"] == "customers"
    assert recipe["source"]["label"] == "churn"
    kinds = {column["name"]: column["kind"] for column in recipe["source"]["columns"]}
    assert kinds == {
        "Nr": "key",
        "Vorname": "category",
        "city": "category",
        "region": "category",
        "start": "date",
        "end": "date",
        "paid: net": "float",
        "churn": "category",
        "email": "text",
        "empty": "text",
    }
    assert "constraints" not in recipe["source"]
    for line in (
        "label: churn    # guessed by its name; null = none",
        "#   email: e-mail addresses, by the values",
        "{name: Vorname, kind: category}    # 3 values in 400 rows; may be personal: names",
        "{name: Nr, kind: key}    # texts of one form, all different, new ones of the form K-999",
        "{name: empty, kind: text, text: drop}    # left out: no value in any row",
        "# kept in every synthetic row: every value of city has one of region (396 rows tell)",
        "#   - {kind: inequality, columns: [start, end]}    # start is at most end",
        '#   date_format: "%d.%m.%Y"',
    ):
        assert line in text
    assert recipe["synthesis"] == {"samples": 1000, "balance": "auto", "seed": 0}
    assert execute(["check", "made.yaml"]) == 0


def test_structure_that_is_only_named_is_proposed(capsys, customers):
    text, recipe = printed(capsys, customers, "--set", "source.structure=named")
    assert recipe["source"]["structure"] == "named"
    assert "#   - {kind: combinations, columns: [city, region]}    # every value of city" in text
    assert "kept in every synthetic row" not in text


def test_what_is_commented_out_can_be_uncommented(capsys, customers):
    text, _ = printed(capsys, customers)
    lines = []
    for line in text.splitlines():
        known = any(line.startswith(f"  # {key}:") for key in ("csv", "constraints"))
        lines.append(line.replace("# ", "", 1) if known or line.startswith("  #   ") else line)
    Path("all.yaml").write_text("\n".join(lines).replace("csv:    #", "csv:    #"))
    recipe = yaml.safe_load(Path("all.yaml").read_text())
    assert recipe["source"]["csv"]["delimiter"] == ";"
    assert [one["kind"] for one in recipe["source"]["constraints"]] == ["inequality"]
    assert execute(["check", "all.yaml"]) == 0


def test_the_example_table_passes_check(capsys):
    text, recipe = printed(capsys, "example:breast-cancer")
    assert recipe["source"]["label"] == "diagnosis"
    assert "csv" not in text.split("\nname:")[1].split("\ntraining:")[0]
    assert execute(["check", "made.yaml"]) == 0


def test_dates_of_two_readings_are_a_guess_that_says_so_or_are_answered(capsys):
    rows = [f"{row % 9 + 1:02}/{row % 8 + 1:02}/2025,{row}.5" for row in range(150)]
    Path("a.csv").write_text("\n".join(["when,x", *rows]) + "\n")
    text, recipe = printed(capsys, "a.csv")
    assert "a guess: the dates of when read equally well as" in text
    assert recipe["source"]["csv"]["date_format"] in ("%d/%m/%Y", "%m/%d/%Y")
    assert execute(["check", "made.yaml"]) == 0
    Path("bare.yaml").write_text("name: a\nsource: {uri: a.csv, label: null}\n")
    capsys.readouterr()
    assert execute(["check", "bare.yaml"]) == 4
    assert "source.csv.date_format" in capsys.readouterr().err
    _, recipe = printed(capsys, "a.csv", "--set", "source.csv.date_format=%d/%m/%Y")
    assert recipe["source"]["csv"] == {"date_format": "%d/%m/%Y"}
    assert recipe["source"]["label"] is None
    assert execute(["check", "made.yaml"]) == 0
    assert execute(["init", "a.csv", "--set", "sead=3"]) == 2


def test_what_the_user_sets_stands_in_the_recipe_whatever_the_data_propose(capsys, customers):
    changes = ("--set", "synthesis.samples=70", "--set", "schedule.cron=0 3 * * *")
    text, recipe = printed(capsys, customers, *changes)
    assert (recipe["synthesis"]["samples"], recipe["schedule"]["cron"]) == (70, "0 3 * * *")
    assert "samples: 70    # as you said" in text
    assert execute(["check", "made.yaml"]) == 0


def test_a_recipe_for_nights_has_a_schedule_and_a_new_seed_every_night(capsys, customers):
    text, recipe = printed(capsys, customers, "--nightly")
    assert (recipe["synthesis"]["seed"], recipe["schedule"]["cron"]) == ("night", "0 3 * * *")
    text, recipe = printed(capsys, customers)
    assert "schedule" not in recipe
    assert "# schedule:    # every night" in text


def test_what_a_refusal_proposes_goes_into_the_recipe_and_check_names_all_of_it(
    capsys, customers, monkeypatch
):
    refused = {"region": "text", "city": "text"}

    def refusing(job, prepared, **_):
        said = {one.name: one for one in job.recipe.source.columns}
        for name in refused:
            if name not in said:
                value = {"name": name, "kind": "text", "text": "drop"}
                proposal = Proposal(setting="source.columns", value=value, why=f"no {name} here")
                msg = f"{name} is in the way"
                raise SourceError(msg, proposals=[proposal])
        return describe(job, prepared)

    describe = flows.cli.check.describe
    monkeypatch.setattr("flows.cli.init.describe", refusing)
    monkeypatch.setattr("flows.cli.check.describe", refusing)
    text, recipe = printed(capsys, customers)
    assert "- {name: region, kind: text, text: drop}    # no region here" in text
    assert "- {name: city, kind: text, text: drop}    # no city here" in text
    assert recipe["source"]["label"] == "churn"
    assert execute(["check", "made.yaml"]) == 0
    left = [one for one in recipe["source"]["columns"] if one["name"] not in refused]
    Path("bare.yaml").write_text(
        yaml.safe_dump({**recipe, "source": {**recipe["source"], "columns": left}})
    )
    capsys.readouterr()
    assert execute(["check", "bare.yaml"]) == 4
    told = capsys.readouterr().err
    assert "region is in the way Behind that: city is in the way" in told


def test_parquet_and_a_label_of_ones_own(capsys):
    table = pa.table(
        {"a": DRAW.normal(size=ROWS), "b": DRAW.choice(["x", "y"], ROWS), "c": ["k"] * ROWS}
    )
    pq.write_table(table, "t.parquet")
    text, recipe = printed(capsys, "t.parquet", "--label", "b", "--name", "mine")
    assert (recipe["name"], recipe["source"]["label"]) == ("mine", "b")
    assert "# label: b (as you said)" in text
    assert {one["kind"] for one in recipe["source"]["columns"]} == {"float", "category", "constant"}


@pytest.mark.parametrize(
    ("columns", "label", "why"),
    [
        ({"Target": [0, 1] * 50, "b": [1, 2] * 50}, "Target", "by its name"),
        ({"a": range(100), "kind": ["x", "y"] * 50}, "kind", "the last column, with 2 values"),
        ({"a": ["x", "y"] * 50, "b": range(100)}, None, "no column looks like one"),
        ({"label": ["x", *["y"] * 99], "b": range(100)}, None, "no column"),
        ({"y": np.linspace(0, 1, 100), "b": [1, 2] * 50}, "y", "by its name"),
        ({"label": [None, *["x", "y"] * 49, "x"], "b": range(100)}, "label", "by its name"),
        ({"label": [None] * 50 + ["x", "y"] * 25, "b": range(100)}, None, "no column"),
    ],
)
def test_the_label_is_a_guess_with_a_reason(columns, label, why):
    table = pa.table({name: list(values) for name, values in columns.items()})
    kinds = {
        field.name: "category" if pa.types.is_string(field.type) else "integer"
        for field in table.schema
    }
    found = guess_label(table, kinds | ({"y": "float"} if "y" in columns else {}))
    assert found[0] == label
    assert why in found[1]


def entries(made):
    return {one["name"]: one for one in made["source"]["columns"]}


def test_every_obstacle_of_a_table_becomes_a_proposal(capsys):
    """Of other types, of too large numbers, of values that few rows hold, of rows without label."""
    rows = 600
    table = pa.table(
        {
            "age": DRAW.integers(18, 80, rows),
            "home": [{"city": f"c{row % 5}", "tags": ["x"]} for row in range(rows)],
            "blob": [b"\xff"] * rows,
            "hash": pa.array([2**63 + 5 * row for row in range(rows)], pa.uint64()),
            "code": pa.array([2**63 + row % 7 for row in range(rows)], pa.uint64()),
            "town": [f"Town {row % 300}" for row in range(rows)],
            "gap": pa.array([None] * (rows - 3) + [1.5, 2.5, 3.5]),
            "far": [float("inf"), *DRAW.normal(size=rows - 1)],
            "churn": pa.array([None if row % 3 == 0 else row % 2 for row in range(rows)]),
        }
    )
    pq.write_table(table, "odd.parquet")
    text, made = printed(capsys, "odd.parquet")
    found = entries(made)
    drop = {"kind": "text", "text": "drop"}
    for name in ("home.tags", "blob", "town", "gap", "far"):
        assert found[name] == {"name": name, **drop}
    assert found["hash"] == {"name": "hash", "kind": "key"}
    assert found["code"] == {"name": "code", "kind": "category"}
    assert found["home.city"]["kind"] == "category"
    assert made["source"]["label"] == "churn"
    assert made["source"]["label_nulls"] == "drop"
    assert "200 of 600 rows have no churn and are left out" in text
    assert "300 values in 600 rows" in text
    assert execute(["check", "made.yaml"]) == 0


def test_rows_of_one_person_are_split_together(capsys):
    days = pd.date_range("2024-01-01", periods=10).strftime("%Y-%m-%d")
    frame = pd.DataFrame(
        [(f"P{p:03}", day, round(DRAW.normal(50 + p % 7), 1)) for p in range(60) for day in days],
        columns=["patient", "day", "rate"],
    )
    frame.to_csv("long.csv", index=False)
    text, made = printed(capsys, "long.csv")
    assert made["source"]["split"] == {"group_by": "patient"}
    assert entries(made)["patient"] == {"name": "patient", "kind": "text", "text": "drop"}
    assert "60 values in 600 rows name whose row it is" in text
    assert "made independently of each other" in text
    assert execute(["check", "made.yaml"]) == 0


def test_few_rows_that_hinder_series_are_told(capsys):
    days = pd.date_range("2024-01-01", periods=10).strftime("%Y-%m-%d")
    rows = [(f"P{p:03}", day, DRAW.integers(50, 90)) for p in range(60) for day in days]
    rows += [*rows[:5], ("P001", None, 60)]
    pd.DataFrame(rows, columns=["patient", "day", "rate"]).to_csv("twice.csv", index=False)
    text, _ = printed(capsys, "twice.csv")
    assert "6 of 606 rows have no day, or one that another row of the same patient has" in text


@pytest.mark.parametrize(
    ("columns", "entity"),
    [
        ({"user_id": DRAW.integers(0, 50, ROWS)}, "user_id"),
        ({"UserID": DRAW.integers(0, 50, ROWS), "order_id": DRAW.integers(0, 99, ROWS)}, "UserID"),
        ({"age": DRAW.integers(18, 80, ROWS), "zip": [f"{n:05}" for n in range(40)] * 10}, None),
        ({"country_code": DRAW.choice([f"C{n}" for n in range(60)], ROWS)}, None),
        (
            {
                "shop": np.repeat(np.arange(40), 10),
                "day": pa.array(np.tile(np.arange(10), 40).astype(np.int32), pa.date32()),
            },
            "shop",
        ),
        (
            {
                "age": DRAW.integers(18, 80, ROWS),
                "at": pa.array(DRAW.integers(0, 10**15, ROWS), pa.timestamp("us")),
            },
            None,
        ),
    ],
)
def test_whose_rows_they_are_is_seen_by_the_name_or_by_the_days(columns, entity):
    table = pa.table(columns)
    kinds = {name: infer_kind(name, table.column(name)) for name in table.column_names}
    found = find_entity(table, kinds)
    assert (found and found.name) == entity


def test_an_age_beside_points_in_time_that_hardly_repeat_names_nobody():
    draw = np.random.default_rng(0)
    minutes = draw.integers(0, 10**6, 3000)
    assert len(np.unique(minutes)) < 3000
    at = pa.array(minutes * 60_000_000, pa.timestamp("us"))
    table = pa.table({"age": draw.integers(18, 80, 3000), "at": at})
    assert len(table.group_by(["age", "at"]).aggregate([])) == 3000
    assert find_entity(table, {n: infer_kind(n, table.column(n)) for n in ("age", "at")}) is None


def test_a_label_of_floats_and_amounts_of_money_come_with_their_kinds(capsys):
    frame = pd.DataFrame(
        {
            "paid": [f"${value:,.2f}" for value in DRAW.gamma(3, 900, ROWS)],
            "y": DRAW.integers(0, 2, ROWS).astype(float),
        }
    )
    frame.to_csv("money.csv", index=False)
    text, made = printed(capsys, "money.csv")
    assert {name: one["kind"] for name, one in entries(made).items()} == {
        "paid": "float",
        "y": "integer",
    }
    assert "numbers as '$9' in 'paid'" in text
    assert "2 classes: 0:" in text


def test_settings_of_one_section_stand_together_and_globs_add_up(capsys, customers):
    text, _ = printed(capsys, customers, "--set", "source.split.validation=0.25")
    assert text.count("split:") == 1
    raw = {"source": {"exclude": ["junk/"]}}
    for globs in (["*.cr2"], ["masks/", "*.cr2"]):
        apply_proposal(raw, Proposal(setting="source.exclude", value=globs, why=""))
    assert raw == {"source": {"exclude": ["junk/", "*.cr2", "masks/"]}}


def test_a_name_with_letters_that_no_terminal_is_shown_is_one_that_check_finds(capsys):
    names = ["a\u202eb", "c\x07d", "e\nf", "ü"]
    columns = {name: DRAW.integers(0, 9, ROWS) for name in names}
    pq.write_table(pa.table(columns), "steering.parquet")
    text, recipe = printed(capsys, "steering.parquet")
    assert "\u202e" not in text
    assert "name: ü" in text
    assert {one["name"] for one in recipe["source"]["columns"]} == set(names)
    assert execute(["check", "made.yaml"]) == 0
