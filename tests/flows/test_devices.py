"""A recipe that asks for two devices, from the command to the candidate in the lake."""

import json
import os
import subprocess
import sys

import pytest

from flows.errors import TRAINING, exit_code
from gan.errors import RankLostError

RECIPE = """\
name: cancer
source: {uri: "example:breast-cancer", label: diagnosis}
training: {budget_samples: 1280, batch_size: 64, device: cpu, devices: DEVICES}
gate: {accept_unknown: true}
output: {lake: ./lake}
"""


def train(folder, devices):
    (folder / "recipe.yaml").write_text(RECIPE.replace("DEVICES", str(devices)))
    environment = {
        **os.environ,
        "GANMILL_WORK_FOLDER": str(folder / "work"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", "train", "recipe.yaml"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.full
def test_two_processes_train_a_candidate_and_one_finds_it(tmp_path):
    ended = train(tmp_path, 2)
    assert ended.returncode == 0, ended.stderr
    assert "trained on 2 devices together" in ended.stderr
    assert "Trained on 2 x cpu: 1,280 samples" in ended.stderr
    (plan,) = (tmp_path / "lake" / "runs").glob("*/plan.json")
    assert json.loads(plan.read_text())["resolved"]["ranks"] == 2
    (stats,) = (tmp_path / "lake" / "runs").glob("*/stats.jsonl")
    ticks = [json.loads(line) for line in stats.read_text().splitlines()]
    assert any("one_way" in tick for tick in ticks), "rank 0 assessed"
    again = train(tmp_path, 1)
    assert again.returncode == 0, again.stderr
    assert "Trained before" in again.stderr


def test_a_lost_rank_is_a_failed_training():
    assert exit_code(RankLostError("one of the 2 processes ended")) == TRAINING


def test_what_does_not_part_is_one_sentence(tmp_path):
    ended = train(tmp_path, 3)
    assert ended.returncode == 2
    assert "training.devices is 3, and a batch of 64" in ended.stderr
    assert "Traceback" not in ended.stderr
