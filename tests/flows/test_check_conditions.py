"""`ganmill check` refuses what no synthesis could meet: exit 2 and one sentence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.cli.app import execute


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbers = np.random.default_rng(0)
    low = numbers.integers(0, 50, 400)
    columns = {
        "low": low,
        "high": low + numbers.integers(0, 50, 400),
        "city": numbers.choice(["Bonn", "Rome"], 400),
        "bill": [f"{n:03}" for n in numbers.permutation(400)],
        "kind": numbers.choice(["a", "b"], 400),
    }
    pd.DataFrame(columns).to_csv("rows.csv", index=False)
    return tmp_path


def checked(constraints=(), given=(), samples=200):
    recipe = {
        "name": "rows",
        "source": {
            "uri": "rows.csv",
            "label": "kind",
            "columns": [{"name": "bill", "kind": "key"}],
            "constraints": list(constraints),
        },
        "gate": {"accept_unknown": True},
        "synthesis": {"samples": samples, "balance": "real", "given": list(given)},
    }
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe))
    return execute(["check", "recipe.yaml"])


UPWARDS = {"kind": "inequality", "columns": ["low", "high"]}


def test_what_can_be_met_passes(place, capsys):
    given = ({"column": "city", "values": ["Rome"]}, {"column": "high", "low": "20"})
    unique = {"kind": "unique", "columns": ["city", "bill", "kind"]}
    assert checked((UPWARDS, unique), given) == 0
    assert "valid" in capsys.readouterr().out
    assert not (place / "lake").exists()


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"constraints": (UPWARDS, {**UPWARDS, "columns": ["high", "low"]})}, "in a circle"),
        ({"constraints": ({"kind": "range", "columns": ["city"], "low": 1},)}, "of kind category"),
        (
            {
                "constraints": (
                    {"kind": "range", "columns": ["low"], "low": 0, "high": 50},
                    {"kind": "range", "columns": ["high"], "low": 60, "high": 10},
                )
            },
            "is empty",
        ),
        ({"given": ({"column": "city", "values": ["Oslo"]},)}, "'Oslo'"),
        ({"given": ({"column": "town", "values": ["Rome"]},)}, "'town'"),
        ({"given": ({"column": "bill", "values": ["001"]},)}, "'bill'"),
        ({"given": ({"column": "kind", "values": ["c"]},)}, "'c'"),
        (
            {
                "constraints": (UPWARDS,),
                "given": ({"column": "low", "low": "45"}, {"column": "high", "high": "20"}),
            },
            "'low' <= 'high' cannot be met",
        ),
        ({"samples": 5000}, "'bill'"),
    ],
)
def test_what_cannot_be_met_is_said_before_anything_runs(place, capsys, wishes, sentence):
    assert checked(**wishes) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert sentence in said[-1]
    assert not (place / "lake").exists()


def test_a_rule_that_real_rows_break_is_the_sources_fault(place, capsys):
    rule = {"kind": "inequality", "columns": ["high", "low"]}
    assert checked((rule,)) == 4
    said = capsys.readouterr().err
    assert "'high' <= 'low' does not hold in" in said


def test_init_and_check_name_what_privacy_takes(place, capsys):
    rows = pd.read_csv("rows.csv")
    rows["fraud"] = ["yes"] * 8 + ["no"] * (len(rows) - 8)
    rows["claim"] = np.random.default_rng(2).lognormal(5, 1, len(rows)).round(2)
    rows.loc[:4, "claim"] = [50_000.5, 40_000.25, 30_000.75, 30_000.5, 20_000.25]
    rows.sample(frac=1, random_state=1).to_csv("rare.csv", index=False)
    assert execute(["init", "rare.csv"]) == 0
    printed = capsys.readouterr().out
    assert "# loss by privacy: fraud: it loses all variation: 1 of 2 levels" in printed
    assert "# loss by privacy: claim: its sum falls by" in printed
    Path("made.yaml").write_text(printed)
    assert execute(["check", "made.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "Loss      fraud: it loses all variation" in shown
    assert "vocabulary: public" in shown
    assert "Nothing is re-weighted after the verdict" in shown
    said = yaml.safe_load(printed)
    for column in said["source"]["columns"]:
        column.update({"vocabulary": "public"} if column["name"] == "fraud" else {})
    Path("made.yaml").write_text(yaml.safe_dump(said))
    assert execute(["check", "made.yaml"]) == 0
    assert "fraud: it loses" not in capsys.readouterr().out


def test_what_was_noticed_is_said_once(place, capsys):
    rows = pd.read_csv("rows.csv")
    rows["both"] = rows.low + rows.high
    rows.to_csv("rows.csv", index=False)
    assert execute(["init", "rows.csv"]) == 0
    made = capsys.readouterr()
    assert (made.out.count("kept in every synthetic row"), made.err.count("kept in every")) == (
        1,
        0,
    )
    Path("made.yaml").write_text(made.out)
    assert execute(["check", "made.yaml"]) == 0
    shown = capsys.readouterr()
    assert (shown.out.count("kept in every synthetic row"), shown.err.count("kept in")) == (1, 0)
