"""A table from the command line: a European CSV in, the same kind of CSV out, judged between."""

import csv
import datetime
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.cli.app import execute

ROWS = 900
SYNTHETIC = 480
CITIES = {"Berlin": "Nord", "Kiel": "Nord", "Wien": "Süd", "Graz": "Süd"}
LENIENT = {
    "accept_unknown": True,
    "bounds": [
        {"metric": "coverage", "block": 0.0},
        {"metric": "one_way/all", "block": 1e9},
        {"metric": "one_way", "block": 1.0},
        {"metric": "two_way", "block": 1e9},
        {"metric": "c2st", "block": 1.0},
        {"metric": "tstr_gap", "block": 1.0},
        {"metric": "dcr_share", "block": 1.0},
        {"metric": "copies", "pass": 1e9},
        {"metric": "null_rate", "block": 1.0},
    ],
}
"""Bounds that a generator of a few seconds passes; the numbers are judged in tests/gan."""


def orders(rows):
    """Yield rows of a shop: text, decimal commas, dates day first, holes, sums, a lone customer."""
    draw = np.random.default_rng(3)
    for row in range(rows):
        city = str(draw.choice(list(CITIES)))
        net = round(float(draw.gamma(4, 20 if city == "Wien" else 10)), 2)
        tax = round(net * 0.2, 2)
        ordered = datetime.date(2026, 1, 13) + datetime.timedelta(days=int(draw.integers(0, 90)))
        shipped = ordered + datetime.timedelta(days=int(draw.integers(0, 6)))
        returned = "ja" if draw.random() < (0.5 if city == "Kiel" else 0.15) else "nein"
        yield {
            "order": f"A-{row:05d}",
            "city": city,
            "region": CITIES[city],
            "ordered": ordered.strftime("%d.%m.%Y"),
            "shipped": "" if draw.random() < 0.1 else shipped.strftime("%d.%m.%Y"),
            "net": f"{net:.2f}".replace(".", ","),
            "tax": f"{tax:.2f}".replace(".", ","),
            "items": int(draw.integers(1, 6)),
            "channel": "Sonderfall-Müller" if row == 17 else str(draw.choice(["web", "shop"])),
            "returned": returned,
        }


@pytest.fixture(scope="module")
def job(tmp_path_factory, make_place):
    """Run the whole job once."""
    place = make_place(tmp_path_factory.mktemp("orders"))
    rows = list(orders(ROWS))
    with (place.folder / "orders.csv").open("w", encoding="cp1252", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    recipe = {
        "name": "orders",
        "source": {
            "uri": "orders.csv",
            "label": "returned",
            "constraints": [
                {"kind": "inequality", "columns": ["ordered", "shipped"]},
                {"kind": "combinations", "columns": ["city", "region"]},
            ],
        },
        "training": {"budget_samples": 20_000, "device": "cpu"},
        "gate": LENIENT,
        "lift": {"seeds": 2, "models": ["linear"]},
        "synthesis": {"samples": SYNTHETIC, "balance": "real", "shard_samples": 160},
        "output": {"format": "csv"},
        "engine": {"workers": 1},
    }
    (place.folder / "orders.yaml").write_text(yaml.safe_dump(recipe))
    return place, place.run("run", "orders.yaml", "--json")


def read(place, done):
    """Return the published rows as anyone reads the source."""
    folder = place.folder / done.json["published"]["path"]
    parts = sorted(folder.glob("*.csv"))
    frames = [pd.read_csv(p, sep=";", decimal=",", encoding="cp1252") for p in parts]
    return pd.concat(frames, ignore_index=True), len(parts)


def test_the_job_publishes_the_planned_rows(job):
    place, done = job
    assert done.code == 0, done.err
    frame, parts = read(place, done)
    assert (len(frame), parts) == (SYNTHETIC, 3)
    assert list(frame) == list(next(orders(1)))


def test_what_must_hold_holds_in_every_row(job):
    frame, _ = read(*job)
    assert frame["order"].is_unique
    assert frame["order"].str.fullmatch(r"A-\d{5}").all()
    assert (frame["city"].map(CITIES) == frame["region"]).all()
    ordered = pd.to_datetime(frame["ordered"], format="%d.%m.%Y")
    shipped = pd.to_datetime(frame["shipped"], format="%d.%m.%Y")
    assert (shipped[shipped.notna()] >= ordered[shipped.notna()]).all()
    assert 0 < shipped.isna().mean() < 0.3
    assert set(frame["returned"]) == {"ja", "nein"}
    assert frame["items"].between(1, 5).all()


def test_nobody_alone_is_published(job):
    place, done = job
    assert done.code == 0
    for path in (place.folder / "lake" / "datasets").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"Sonderfall" not in data, path
            assert "Müller".encode("cp1252") not in data, path


def test_a_second_run_finds_its_work_done(job):
    place, done = job
    again = place.run("run", "orders.yaml", "--json")
    assert again.code == 0, again.err
    assert again.json["status"] == "present"
    assert again.json["published"]["version"] == done.json["published"]["version"]
    assert not again.modules & {"torch", "prefect", "sklearn", "scipy"}


def test_a_version_under_conditions_needs_no_training(job):
    place, _ = job
    given = json.dumps([{"column": "city", "values": ["Kiel"]}])
    more = place.call("run", "orders.yaml", "--json", "--set", f"synthesis.given={given}")
    assert more.code == 0, more.err
    frame, _ = read(place, more)
    assert set(frame["city"]) == {"Kiel"}
    assert set(frame["region"]) == {"Nord"}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ('synthesis.given=[{"column": "city", "values": ["Paris"]}]', 2, ("city", "Paris")),
        ('synthesis.given=[{"column": "town", "values": ["Kiel"]}]', 2, ("town",)),
        ("source.label=returnd", 4, ("returnd", "returned")),
        ('source.columns=[{"name": "nett", "kind": "float"}]', 4, ("nett", "net")),
        ("source.split.group_by=person", 4, ("person",)),
        ("output.format=parquet-raw", 2, ("parquet-raw", "tables")),
    ],
)
def test_a_wrong_recipe_gets_one_sentence(job, change, code, words, monkeypatch, capsys):
    place, _ = job
    monkeypatch.chdir(place.folder)
    assert execute(["check", "orders.yaml", "--set", change]) == code
    written = capsys.readouterr().err
    assert "Traceback" not in written
    for word in words:
        assert word in written.splitlines()[-1]


def test_whether_it_helps_is_measured_kept_and_said_everywhere(job, monkeypatch, capsys):
    place, done = job
    lift = done.json["lift"]
    assert lift["answer"] in ("helps", "no measurable effect", "hurts", "cannot be known")
    effect = lift["effect"]
    assert (effect["model"], lift["task"], lift["seeds"]) == ("linear", "class of returned", 2)
    assert effect["low"] <= effect["change"] <= effect["high"]
    files = place.lake.glob("generators/orders/*/internal/lift-*.json")
    kept = [json.loads(file.read_bytes())["lift"] for file in files]
    (measured,) = [one for one in kept if one["text"] == lift["text"]]
    assert {"real", "synthetic alone"} <= {arm["name"] for arm in measured["arms"]}
    version = done.json["published"]["version"]
    meta = place.lake / f"datasets/orders/_meta/{version}/manifest.json"
    assert json.loads(meta.read_bytes())["lift"] == lift
    assert json.loads((meta.parent / "report.json").read_bytes())["lift"] == measured
    assert "Does it help?" in (meta.parent / "README.md").read_text()
    assert "Measuring whether it helps" in done.err
    monkeypatch.chdir(place.folder)
    assert execute(["status"]) == 0
    assert lift["answer"] in capsys.readouterr().out
    assert execute(["lift", "orders.yaml", "--json"]) == 0
    again = capsys.readouterr()
    assert json.loads(again.out)["lift"] == measured, "it was read, not measured again"
    assert "Measuring" not in again.err
    assert execute(["lift", "orders.yaml", "--set", "lift.models=[forest]"]) == 2
    assert "choose from lightgbm, linear" in capsys.readouterr().err
