"""Several processes train what one trains: the same batches, losses, gradients and weights."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rank_cases import CASES, run

HERE = Path(__file__).parent
EXACT = [case for case in CASES if case != "ctgan"]


PAIRED, FREE = ("r1-r2", "denoising", "one-shot"), "head"
"""A loss on differences of logits leaves the last bias free: its gradient is rounding alone, which
Adam makes large."""


def start(folder, cases, ranks=2):
    folder.mkdir(exist_ok=True)
    words = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={ranks}"]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words]
        + [str(HERE / "rank_cases.py"), str(folder), *cases],
        check=True,
        timeout=300,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What every case becomes in two processes: case → rank → numbers."""
    folder = tmp_path_factory.mktemp("together")
    start(folder, CASES)
    return {
        case: [json.loads((folder / f"{case}.{rank}.json").read_text()) for rank in (0, 1)]
        for case in CASES
    }


@pytest.mark.full
@pytest.mark.parametrize("case", EXACT)
def test_two_processes_train_what_one_trains(case, together):
    alone, (found, _) = run(case), together[case]
    assert found["samples_seen"] == alone["samples_seen"]
    losses = [[each for step in one["losses"] for each in step] for one in (found, alone)]
    np.testing.assert_allclose(*losses, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["counts"], alone["counts"], rtol=1e-3)
    assert set(found["sizes"]) == set(alone["sizes"])
    for name, size in alone["sizes"].items():
        if case in PAIRED and FREE in name and "bias" in name:
            continue
        assert found["sizes"][name] == pytest.approx(size, rel=2e-3, abs=1e-5), name


@pytest.mark.full
@pytest.mark.parametrize("case", CASES)
def test_both_processes_hold_the_same_bits(case, together):
    one, two = together[case]
    assert one == two
