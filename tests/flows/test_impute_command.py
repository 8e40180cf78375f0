"""`ganmill impute`: a table with holes in, one without out, one sentence for what is wrong."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from benchmarks.baselines import register
from flows.cli.app import execute
from gan.config import GeneratorConfig, TrainingConfig
from gan.modalities import load_modality
from gan.randomness import stream
from gan.snapshot import save_snapshot
from storage.lake import promotions
from storage.lake.promotions import PromotionDraft
from storage.lake.registry import put_candidate
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata, with_table_metadata
from storage.stores.local import LocalStore

NAME, VERSION = "shop", "20260101T000000Z-0123abcd"
KINDS = {"city": "category", "code": "category", "price": "float", "units": "integer", "id": "key"}


def customers(rows=400):
    numbers = np.random.default_rng(0)
    return {
        "city": numbers.choice(["Bonn", "Rome"], rows),
        "code": numbers.choice(["007", "12"], rows),
        "price": numbers.gamma(2, 20, rows).round(2),
        "units": numbers.integers(1, 9, rows),
        "id": [f"K{n:04}" for n in range(rows)],
    }


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """Folder of a snapshot: column by column, as the rows are; nothing needs to be learnt."""
    records = pa.table(customers())
    columns = [
        Column(name=name, kind=kind, why="", form="A9999" if kind == "key" else None)
        for name, kind in KINDS.items()
    ]
    records = records.cast(
        with_table_metadata(records.schema, TableMetadata(columns=tuple(columns), min_group=5))
    )
    register()
    module = load_modality("tables")
    codec = module.codec.fit(records, "city")
    config = module.resolve(
        GeneratorConfig(preset="independent"),
        TrainingConfig(budget_samples=64, device="cpu"),
        codec,
        train_rows=400,
        seed=0,
    )
    generator = module.build(config, codec, stream(0, "weights")).generator
    folder = tmp_path_factory.mktemp("snapshot")
    weights = generator.state_dict()
    return folder, save_snapshot(folder, config=config, codec=codec, weights=weights, facts={})


@pytest.fixture
def place(champion, tmp_path, monkeypatch):
    """A folder with a recipe, a lake whose champion is there, and a table with holes."""
    folder, digest = champion
    monkeypatch.chdir(tmp_path)
    lake = LocalStore(tmp_path / "lake")
    put_candidate(lake, NAME, VERSION, folder)
    decision = PromotionDraft(
        kind="promote",
        version=VERSION,
        snapshot_digest=digest,
        report_digest="r" * 64,
        by="gate",
        reason="test",
    )
    read = promotions.standing(lake, NAME)
    promotions.decide(lake, NAME, decision, read=read, created=datetime.now(UTC))
    recipe = {"name": NAME, "source": {"uri": "shop.csv", "label": "city"}}
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe))
    table = pd.DataFrame(customers(60)).assign(note="as it was")
    table.loc[:9, "city"] = None
    table.loc[5:24, "price"] = None
    table.loc[30:34, "id"] = None
    table["units"] = table["units"].astype("Int64").mask(table.index >= 50)
    table.to_csv("holes.csv", index=False)
    table.to_parquet("holes.parquet")
    return tmp_path


def test_csv_in_parquet_out(place, capsys):
    assert execute(["impute", "recipe.yaml", "holes.csv", "full.parquet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["filled"] == {"city": 10, "price": 20, "units": 10}
    assert found["version"] == VERSION
    before = pd.read_parquet("holes.parquet")
    after = pd.read_parquet("full.parquet")
    assert list(after.columns) == list(before.columns)
    assert after[["city", "price", "units"]].notna().all().all()
    assert after["id"].isna().sum() == 5
    for name in before.columns:
        known = before[name].notna()
        assert (after.loc[known, name] == before.loc[known, name]).all(), name
    assert set(after["code"]) == {"007", "12"}
    assert not list(place.glob(".full*"))


def test_some_columns_and_csv_out(place, capsys):
    assert (
        execute(["impute", "recipe.yaml", "holes.parquet", "full.csv", "--columns", "units"]) == 0
    )
    shown = capsys.readouterr().out
    assert "units" in shown
    assert "60 rows are in full.csv" in shown
    after = pd.read_csv("full.csv", dtype={"code": str})
    assert after["units"].notna().all()
    assert after["city"].isna().sum() == 10


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["holes.csv", "holes.csv"], 2, "'holes.csv' exists"),
        (["holes.csv", "full.txt"], 2, "ends in .parquet or .csv"),
        (["holes.csv", "away/full.csv"], 2, "does not exist: create it"),
        (["holes.csv", "full.csv", "--columns", "id"], 2, "'id' is a key or text"),
        (["holes.csv", "full.csv", "--set", "name=other"], 3, "no generator 'other' was promoted"),
        (["nothing.csv", "full.csv"], 4, "nothing.csv"),
        (["narrow.csv", "full.csv"], 4, "lacks the column 'code'"),
        (["odd.csv", "full.csv"], 4, "'units' cannot be read as integer"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(place, capsys, arguments, code, sentence):
    table = pd.read_csv("holes.csv", dtype=str)
    table.drop(columns="code").to_csv("narrow.csv", index=False)
    table.assign(units="many").to_csv("odd.csv", index=False)
    assert execute(["impute", "recipe.yaml", *arguments]) == code
    said = capsys.readouterr().err.strip()
    assert sentence in said.splitlines()[-1]
    assert not (place / "full.csv").exists()
