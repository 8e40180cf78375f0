"""A modality that nothing but its own folder and its row knows runs the whole job."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from flows.cli.app import execute

pytestmark = pytest.mark.usefixtures("with_vectors")

ROWS = 600


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a source of vectors and a recipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANMILL_WORK_FOLDER", str(tmp_path / "work"))
    numbers = np.random.default_rng(1)
    kinds = np.arange(ROWS) % 3
    values = numbers.normal(kinds[:, None] * [1.0, -1.0, 0.5, 0.0], 0.3, (ROWS, 4)).astype("f4")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 4)
    table = pa.table({"vector": vectors, "kind": np.array(["a", "b", "c"])[kinds]})
    pq.write_table(table, "vectors.parquet")
    recipe = {
        "name": "vectors",
        "source": {"uri": "vectors.parquet", "label": "kind"},
        "training": {"budget_samples": 60_000, "device": "cpu"},
        "synthesis": {"samples": 90, "shard_samples": 30, "balance": "equal"},
        "output": {"lake": "lake"},
        "engine": {"workers": 1},
        "gate": {"bounds": [{"metric": "coverage", "pass": 0.3, "block": 0}]},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def test_the_whole_job_runs_and_publishes(place, capsys):
    assert execute(["check", "recipe.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["modality"], found["kind"]) == ("vectors", "vectors of 4 numbers")
    assert execute(["run", "recipe.yaml"]) == 0
    version = json.loads((place / "lake/datasets/vectors/_latest.json").read_bytes())["version"]
    rows = pq.read_table(place / "lake/datasets/vectors" / version)
    assert sorted(rows["kind"].to_pylist()) == ["a"] * 30 + ["b"] * 30 + ["c"] * 30
    assert np.isfinite(np.array(rows["vector"].to_pylist())).all()
    about = place / "lake/datasets/vectors/_meta" / version
    speaks, since = "The verdict speaks of 130 synthetic vectors", "e-weighted after the verdict"
    assert json.loads((about / "manifest.json").read_bytes())["composition"]["balance"] == "equal"
    capsys.readouterr()
    assert execute(["datasets", "show", "vectors", "--lake", "lake"]) == 0
    pages = [(about / name).read_text() for name in ("README.md", "report.html", "report.json")]
    assert all(speaks in text and since in text for text in (*pages, capsys.readouterr().out))
    meta = place / "lake/datasets/vectors/_meta" / version
    report = json.loads((meta / "report.json").read_bytes())
    assert [metric["name"] for metric in report["metrics"]] == ["coverage"]
    assert report["metrics"][0]["value"] > 0.5
    assert "Five vectors." in (meta / "report.html").read_text()
    assert "90 synthetic vectors in 3 shards" in (meta / "README.md").read_text()
    assert not (meta / "preview.png").exists()
    capsys.readouterr()
    assert execute(["datasets", "verify", "vectors", "--lake", "lake"]) == 0
