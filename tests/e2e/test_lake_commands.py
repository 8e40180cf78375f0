"""The commands that read a lake, and what they say when it was tampered with."""

import json
import shutil

import pytest

from flows.cli.app import execute
from storage.stores.open import open_store


def test_datasets_list_and_show_need_neither_torch_nor_prefect(finished):
    shown = finished.place.run("datasets", "show", "stripes")
    assert shown.code == 0, shown.err
    assert finished.done.json["published"]["version"] in shown.out
    assert not shown.modules & {"torch", "prefect", "sklearn", "scipy"}
    assert finished.done.json["published"]["version"] in finished.place.call("datasets", "list").out


def test_show_says_how_to_read(finished):
    shown = finished.place.call("datasets", "show", "stripes").out
    assert f'pandas.read_parquet("{finished.done.json["published"]["path"]}")' in shown
    assert " CPU-s in " in next(line for line in shown.splitlines() if line.startswith("Cost"))


def test_show_as_json_holds_verdict_and_provenance(finished):
    shown = finished.place.call("datasets", "show", "stripes", "--json").json
    assert shown["provenance"]["training"]["seed"] == 0
    assert shown["gate"]["choice"] == "promoted"
    assert shown["cost"]["written_bytes"] >= shown["bytes"]
    assert shown["cost"]["cpu_s"] > 0


def test_the_lake_comes_from_option_or_environment(finished, tmp_path):
    elsewhere = type(finished.place)(tmp_path, {"GANMILL_LAKE": str(finished.place.lake)})
    by_variable = elsewhere.call("status", "--json")
    by_option = type(elsewhere)(tmp_path).call(
        "status", "--json", "--lake", str(finished.place.lake)
    )
    assert without_ages(by_variable.json) == without_ages(by_option.json)
    assert by_variable.json["names"][0]["rows"] == 600
    assert by_variable.json["unfinished"] == []
    nothing = type(elsewhere)(tmp_path).call("status")
    assert "Nothing in ./lake yet" in nothing.out


def without_ages(status: dict) -> dict:
    """Take away what differs between two calls a second apart."""
    for one in status["names"]:
        for part in (one, one["last_success"], one["last_attempt"]):
            del part["age_s"]
    return status


def test_generators_and_presets(finished):
    listed = finished.place.call("generators", "list", "--json").json
    assert [one["standing"] for one in listed] == ["champion"]
    names = {one["name"] for one in finished.place.call("presets", "--json").json}
    assert {"mlp", "resnet"} <= names


def test_verify_says_that_all_is_well(finished):
    checked = finished.place.call("datasets", "verify", "stripes")
    assert checked.code == 0
    assert "is what was committed" in checked.out


def test_verify_names_a_corrupted_shard(copy):
    shard = next((copy.lake / "datasets" / "stripes").glob("2*/train-00002*.parquet"))
    shard.chmod(0o644)
    shard.write_bytes(shard.read_bytes()[:-9] + b"corrupted")
    checked = copy.call("datasets", "verify", "stripes", "--json")
    assert checked.code == 5
    assert [problem["key"] for problem in checked.json["problems"]] == [
        str(shard.relative_to(copy.lake))
    ]
    plain = copy.call("datasets", "verify", "stripes")
    assert "train-00002-of-00006.parquet" in plain.out


@pytest.mark.full
@pytest.mark.parametrize("file", ["generator.safetensors", "codec.json"])
def test_a_tampered_snapshot_is_trained_again(copy, finished, file):
    stored = spoilt(copy, file)
    before = finished.place.folder / stored.relative_to(copy.folder)
    healed = copy.call("run", "stripes.yaml", "--json", "--set", "synthesis.seed=9")
    assert healed.code == 0, healed.err
    assert "is damaged and set aside" in healed.err
    assert healed.json["generator"] == finished.done.json["generator"]
    assert stored.read_bytes() == before.read_bytes()


@pytest.mark.full
def test_what_trains_nothing_says_what_heals_a_tampered_snapshot(copy):
    stored = spoilt(copy, "codec.json")
    refused = copy.call("synthesize", "stripes.yaml", "--json", "--set", "synthesis.seed=9")
    assert refused.code == 5
    assert stored.name in refused.err
    assert "run the whole job, which trains it again" in refused.err
    assert "Traceback" not in refused.err


def spoilt(place, file):
    """Change a file of the generator in the lake, and forget the copy of this machine."""
    stored = next((place.lake / "generators" / "stripes").glob(f"2*/{file}"))
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")
    shutil.rmtree(place.folder / ".ganmill" / "generators")
    return stored


def test_what_is_not_there_is_said(finished):
    missing = finished.place.call("datasets", "show", "nothing")
    assert missing.code == 5
    assert "no committed version of 'nothing'" in missing.err
    wrong = finished.place.call("datasets", "show", "stripes", "20200101T000000Z-00000000")
    assert finished.done.json["published"]["version"] in wrong.err


def test_the_log_of_promotions_holds_one_record(finished):
    folder = finished.place.lake / "generators" / "stripes" / "_promotions"
    records = [json.loads(path.read_text()) for path in folder.iterdir()]
    assert [record["kind"] for record in records] == ["promote"]


def test_a_run_with_nothing_to_do_and_listings_need_no_write(finished, monkeypatch, capsys):
    """The lake is on a disk, or under a role, that lets nobody write."""

    def read_only(uri, profile=None, **_):
        return open_store(uri, profile, read_only=True)

    monkeypatch.chdir(finished.place.folder)
    monkeypatch.setattr("flows.job.open_store", read_only)
    assert execute(["run", "stripes.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "present"
    for words in (["status"], ["datasets", "list"], ["datasets", "verify", "stripes"], ["gc"]):
        assert execute(words) == 0
    capsys.readouterr()
    assert execute(["run", "stripes.yaml", "--set", "synthesis.seed=5"]) == 5
    assert "was opened for reading only" in capsys.readouterr().err
