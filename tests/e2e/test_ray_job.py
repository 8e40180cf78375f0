"""The whole job with a Ray of this machine: one word in the recipe, the same data, no noise."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

RAY = ("--set", "engine.kind=ray", "--set", "engine.workers=2")
MORE = ("--set", "synthesis.samples=3000", "--set", "synthesis.seed=5")


def shards(place) -> list[pa.Table]:
    """Return the records of every shard of the newest version; its name has the time in it."""
    newest = json.loads((place.lake / "datasets/stripes/_latest.json").read_bytes())
    manifest = json.loads((place.lake / newest["manifest"]).read_bytes())
    return [pq.read_table(place.lake / entry["path"]) for entry in manifest["files"]]


@pytest.mark.full
def test_one_word_changes_the_engine_and_nothing_else(copy, tmp_path):
    other = type(copy)(tmp_path / "other")
    shutil.copytree(copy.folder, other.folder)
    local = copy.run("run", "stripes.yaml", *MORE)
    ray = other.run("run", "stripes.yaml", *MORE, *RAY, "--set", "engine.address=local")
    assert (local.code, ray.code) == (0, 0), ray.err
    made = shards(copy)
    assert len(made) == 30
    assert [one.equals(two) for one, two in zip(made, shards(other), strict=True)] == [True] * 30
    assert "ray" not in local.modules
    first_words = [{line.split()[0] for line in done.err.splitlines()} for done in (local, ray)]
    assert first_words[0] == first_words[1], "Ray says nothing of its own"
    for said in ("Traceback", "Warning", "usage stat", "Token", "dashboard"):
        assert said not in ray.out + ray.err


@pytest.mark.full
def test_a_cluster_that_is_not_there_keeps_what_was_done(copy):
    copy.environment["RAY_ADDRESS"] = "127.0.0.1:9"
    done = copy.run("run", "stripes.yaml", *MORE, *RAY)
    assert done.code == 6
    assert "no Ray cluster answers at 127.0.0.1:9" in done.err.strip().splitlines()[-1]
    assert "Traceback" not in done.err
    again = copy.run("run", "stripes.yaml", *MORE)
    assert again.code == 0
    assert len(shards(copy)) == 30
