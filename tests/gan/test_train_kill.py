"""Killed with SIGKILL at any moment and run again, a training ends with the same bits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gan.protocols import Hooks
from gan.snapshot import snapshot_digest
from tests.gan.train_child import train_images

CHILD = Path(__file__).with_name("train_child.py")

# The first checkpoint is written before the first step: two forced files, one rename, then
# stats.jsonl, one forced file and one forced folder; and so on, once per tick.
REPRESENTATIVE = ("step:17", "write:5")
"""Between checkpoints, and in the middle of one."""
EVERY = tuple(
    [f"step:{n}" for n in (1, 10, 11, 37)]
    + [f"write:{n}" for n in (1, 2, 3, 4, 6, 7, 8)]
    + [f"rename:{n}" for n in (1, 2, 3, 4)]
)


def run(folder, moment):
    return subprocess.run(
        [sys.executable, str(CHILD), str(folder), moment],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        timeout=300,
    )


def digest_after(folder, moments):
    """Train in processes that are killed at these moments, and to the end in this one."""
    for moment in moments:
        killed = run(folder, moment)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    train_images(folder, Hooks())
    return snapshot_digest(folder / "snapshot")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return digest_after(tmp_path_factory.mktemp("undisturbed"), ())


def test_kills_one_after_the_other_change_no_bit(undisturbed, tmp_path):
    assert digest_after(tmp_path, REPRESENTATIVE) == undisturbed
    left = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert sorted(left) == ["000000000800", "000000000960"]


@pytest.mark.full
@pytest.mark.parametrize("moment", EVERY)
def test_a_kill_at_every_moment_changes_no_bit(moment, undisturbed, tmp_path):
    assert digest_after(tmp_path, (moment,)) == undisturbed
