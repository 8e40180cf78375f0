"""A setting that changes nothing is named, and one that does is not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from flows.cli.check import describe
from flows.job import opened
from flows.nightly import prepare
from flows.recipe import apply_change, parse_recipe

DRAW = np.random.default_rng(3)


@pytest.fixture(scope="module")
def uris(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    frame = pd.DataFrame({"a": DRAW.normal(size=300), "b": DRAW.choice(["x", "y"], 300)})
    frame["c"] = DRAW.integers(0, 9, 300)
    frame["d"] = [f"{1 + i % 28}.{1 + i % 12}.2024" for i in range(300)]
    places = {"images": "example:digits"}
    for name, columns in {"csv": "abc", "parquet": "abc", "texts": "abcd"}.items():
        path = folder / (f"{name}.csv" if name == "csv" else f"{name}.parquet")
        chosen = frame[list(columns)]
        chosen.to_csv(path, index=False) if name == "csv" else chosen.to_parquet(path, index=False)
        places[name] = str(path)
    return SimpleNamespace(**places)


def unused(uri, label, *changes):
    raw = {"name": "t", "source": {"uri": uri, "label": label}, "lift": {"when": "never"}}
    for change in changes:
        apply_change(raw, change)
    with opened(parse_recipe(raw)) as job:
        notes = describe(job, prepare(job))["notes"]
    return [note.partition(" has no effect")[0] for note in notes if "has no effect" in note]


@pytest.mark.parametrize(
    ("kind", "changes", "named"),
    [
        ("images", ["source.columns=[{name: a, kind: float}]"], ["source.columns"]),
        ("images", ["source.structure=named", "source.csv.decimal=,"],
         ["source.csv", "source.structure"]),
        ("images", ["source.resize=16", "source.split.holdout=0.3"], []),
        ("images", ["source.include=['*.png']"], ["source.include"]),
        ("csv", ["source.resize=16"], ["source.resize"]),
        ("csv", ["source.label_from=depth:1"], ["source.label_from"]),
        ("csv", ["source.csv.date_format=%d.%m.%Y"], ["source.csv.date_format"]),
        ("csv", ["source.csv.decimal=.", "source.structure=named"], []),
        ("parquet", ["source.csv.decimal=.", "source.storage=null"], ["source.csv.decimal"]),
        ("csv", ["source.columns=[{name: b, vocabulary: public}]"], []),
        ("csv", ["source.columns=[{name: c, text: drop, vocabulary: public}]"],
         ["source.columns 'c' vocabulary"]),
        ("parquet", ["source.columns=[{name: a, text: pattern}]"], ["source.columns 'a' text"]),
        ("parquet", ["source.csv.delimiter=,", "source.csv.nulls=[x]"],
         ["source.csv.delimiter", "source.csv.nulls"]),
        ("texts", ["source.csv.delimiter=,", "source.csv.date_format=%d.%m.%Y"],
         ["source.csv.delimiter"]),
        ("csv", ["training.interval_days=3", "schedule.timezone=Europe/Berlin"],
         ["schedule.timezone", "training.interval_days"]),
        ("csv", ["training.interval_days=3", "training.when=interval"], []),
        ("csv", ["lift.when=never", "lift.seeds=3", "lift.models=[linear]"],
         ["lift.models", "lift.seeds"]),
        ("images", ["synthesis.balance=fill", "synthesis.samples=7"], ["synthesis.samples"]),
        ("images", ["report.groups=[region]"], ["report.groups"]),
        ("csv", ["report.groups=[b]"], []),
        ("images", ["privacy.quasi_identifiers=[region]", "report.groups=[label]"],
         ["privacy.quasi_identifiers", "report.groups"]),
        ("csv", ["generator.augment=off", "synthesis.labels=generator"], ["generator.augment"]),
    ],
)  # fmt: skip
def test_only_settings_without_effect_are_named(uris, kind, changes, named):
    label = "label" if kind == "images" else "b"
    assert unused(getattr(uris, kind), label, *changes) == named
