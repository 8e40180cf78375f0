"""What `status` says of a training that never ended."""

import json

from flows.cli.entry import run
from flows.cli.listings import unfinished
from flows.job import now
from storage.checkpoints import mirror
from storage.open_store import open_store
from storage.registry import TrainingPlan, agree_training

KEY = "cd" * 32


def test_an_unfinished_training_is_named_with_its_progress(tmp_path, capsys):
    lake = open_store(str(tmp_path / "lake"))
    agree_training(lake, TrainingPlan.propose("digits", KEY, now(), {}))
    assert [one["samples_seen"] for one in unfinished(lake)] == [0]
    checkpoint = tmp_path / "000000000700"
    checkpoint.mkdir()
    (checkpoint / "state.json").write_text("{}")
    mirror(lake, KEY, checkpoint, 700)
    assert run(["status", "--lake", str(tmp_path / "lake")]) == 0
    printed = capsys.readouterr().out
    assert "Unfinished training of digits, begun " in printed
    assert "700 samples in the lake: run its recipe again to continue" in printed


def test_an_empty_lake(tmp_path, capsys):
    assert run(["status", "--json", "--lake", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"names": [], "unfinished": []}
    for listing in (["datasets", "list"], ["generators", "list"]):
        assert run([*listing, "--lake", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("No ") == 2
