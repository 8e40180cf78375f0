"""The whole job from the command line: interrupted, continued, done, found done."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from lenient import setting


def test_ctrl_c_stops_cleanly_with_a_checkpoint_and_nothing_published(finished):
    assert finished.interrupted.code == 130, finished.interrupted.err
    assert finished.interrupted.err.splitlines()[-1].startswith("stopped; what is done is kept")
    assert "Traceback" not in finished.interrupted.err
    assert 0 < finished.stopped_at < 12_000


def test_the_next_run_continues_and_publishes(finished):
    assert finished.done.code == 0, finished.done.err
    outcome = finished.done.json
    assert (outcome["status"], outcome["choice"]) == ("published", "promoted")
    assert outcome["published"]["rows"] == 600
    assert outcome["published"]["shards"] == 6


def test_an_untracked_run_never_meets_prefect(finished):
    assert "torch" in finished.done.modules
    assert not {name for name in finished.done.modules if name.startswith("prefect")}


def test_pandas_reads_what_the_screen_says(finished):
    path = finished.done.json["published"]["path"]
    assert path.startswith("lake/datasets/stripes/")
    read = pd.read_parquet(finished.place.folder / path)
    assert len(read) == 600
    assert read["kind"].value_counts().to_dict() == {"left": 200, "middle": 200, "right": 200}
    assert sorted(read["sample_id"]) == list(range(600))


def test_reading_the_folder_of_all_versions_fails_loudly(finished):
    with pytest.raises(Exception, match="README"):
        pq.read_table(finished.place.lake / "datasets" / "stripes")


def test_report_and_manifest_lie_where_the_outcome_says(finished):
    published = finished.done.json["published"]
    folder = finished.place.folder
    page = (folder / published["report_html"]).read_text()
    assert page.startswith("<!doctype html>")
    manifest = json.loads((folder / published["manifest"]).read_text())
    assert manifest["synthetic"] is True
    assert manifest["gate"]["verdict"] == finished.done.json["verdict"]
    assert "stripes.parquet" not in json.dumps(manifest), "the source is confidential"


def test_a_second_run_finds_its_work_done_without_torch(finished):
    again = finished.place.run("run", "stripes.yaml", "--json")
    assert again.code == 0, again.err
    assert again.json["status"] == "present"
    assert again.json["published"]["version"] == finished.done.json["published"]["version"]
    assert not again.modules & {"torch", "prefect", "sklearn", "scipy"}


def test_the_screen_of_a_newcomer(finished):
    again = finished.place.call("run", "stripes.yaml")
    version = finished.done.json["published"]["version"]
    assert f'pandas.read_parquet("lake/datasets/stripes/{version}/")' in again.out
    for text in ("stripes: everything was done before", "600 images in 6 shards", "coverage"):
        assert text in again.out
    assert "left: 200, middle: 200, right: 200" in again.out
    assert "\x1b" not in again.out, "no terminal, no colours"


def test_another_seed_is_a_new_version_beside_the_first(copy, finished):
    more = copy.call("run", "stripes.yaml", "--json", "--set", "synthesis.seed=1")
    assert more.code == 0, more.err
    listed = copy.call("datasets", "list", "--json").json
    assert [one["version"] for one in listed] == [
        finished.done.json["published"]["version"],
        more.json["published"]["version"],
    ]


def test_synthesize_publishes_from_the_champion(copy):
    made = copy.call("synthesize", "stripes.yaml", "--json", "--set", "synthesis.samples=60")
    assert made.code == 0, made.err
    assert (made.json["choice"], made.json["published"]["rows"]) == ("champion", 60)


def test_train_and_evaluate_find_what_is_there(finished):
    trained = finished.place.call("train", "stripes.yaml", "--json")
    assert trained.json["trained"] is False
    judged = finished.place.call("evaluate", "stripes.yaml", "--json")
    assert judged.json["version"] == trained.json["version"]
    assert judged.json["verdict"] == finished.done.json["verdict"]


def test_a_gate_that_blocks_publishes_nothing_new_and_says_so(copy):
    before = sorted(path.name for path in (copy.lake / "datasets/stripes/_versions").iterdir())
    strict = ["--set", setting(fd=1e-4)]
    blocked = copy.call("run", "stripes.yaml", *strict)
    assert blocked.code == 3, blocked.err
    assert "BLOCK  stripes: nothing was published" in blocked.out
    assert "the whole interval is above" in blocked.out
    after = sorted(path.name for path in (copy.lake / "datasets/stripes/_versions").iterdir())
    assert after == before
