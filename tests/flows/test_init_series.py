"""`ganmill init` and `check` on a panel: whose steps, when, how many on each side."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from pyarrow import csv

from flows.cli.app import execute
from flows.cli.check import describe, write_check
from flows.cli.output import Output
from flows.job import opened
from flows.nightly import prepare
from flows.recipe import load_recipe
from storage.sources.series.examples import make_shops


def few_shops() -> pa.Table:
    """The first 160 items of the example."""
    shops = make_shops()
    return shops.filter(pc.less(shops["item"], "item-000160"))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    csv.write_csv(few_shops(), "panel.csv")


def printed(capsys, *words):
    assert execute(["init", *words]) == 0
    text = capsys.readouterr().out
    Path("made.yaml").write_text(text)
    return text, yaml.safe_load(text)


def test_a_panel_gets_a_recipe_that_check_accepts(capsys):
    text, made = printed(capsys, "panel.csv")
    source = made["source"]
    assert (source["modality"], source["entity"], source["time"]) == ("series", "item", "date")
    assert source["label"] == "shop"
    assert "160 values in" in text
    assert "static: 4 values in 160 rows" in text
    with opened(load_recipe(Path("made.yaml"))) as job:
        write_check(describe(job, prepare(job)) | {"owner": None}, Output())
    shown = capsys.readouterr().out
    assert "a step of 1 day" in shown
    assert "the moments of the steps, 1 day apart" in shown
    steps = next(line for line in shown.splitlines() if line.startswith("steps"))
    assert sum(int(word.replace(",", "")) for word in steps.split()[1:]) == len(few_shops())


@pytest.mark.full
def test_check_says_the_same_as_json(capsys):
    printed(capsys, "panel.csv")
    assert execute(["check", "made.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["modality"] == "series"
    assert sum(found["rows"].values()) == 160
    assert sum(one["steps"] for one in found["measures"].values()) == len(few_shops())
    kinds = {one["name"]: one["kind"] for one in found["columns"]}
    assert (kinds["item"], kinds["date"], kinds["promotion"]) == ("key", "date", "boolean")


@pytest.mark.full
def test_one_long_series_gets_windows(capsys):
    hours = [473_000 * 3_600_000_000 + n * 3_600_000_000 for n in range(24 * 300)]
    table = pa.table(
        {"at": pa.array(hours, pa.timestamp("us")), "load": [n % 97 for n in range(7200)]}
    )
    csv.write_csv(table, "long.csv")
    text, made = printed(capsys, "long.csv")
    assert made["source"]["window"] == {"length": 24, "stride": 24}
    assert "one long series" in text
    assert execute(["check", "made.yaml"]) == 0
