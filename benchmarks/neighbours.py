"""Precision, recall, density and coverage, and KID: how fast, in how much memory, beside the peers.

    python -m benchmarks.neighbours --rows 10000 --peer PYTHON
    python -m benchmarks.neighbours --rows 200000

The features are made: of 64 values behind a rectifier, as the judging networks have them, the
synthetic ones a little wider. PYTHON is an interpreter with prdc and torch-fidelity, in which both
read the same features; `pip install prdc==0.2 torch-fidelity==0.4.0 torchvision` makes one. Every
side runs in a process of its own on one thread: processor seconds of the metrics alone, and the
highest resident memory of the process. Equal means: the largest difference of any number.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.neighbours_peer import measured
from benchmarks.timing import RESULTS, machine

FEATURES, INNER = 64, 16
KID_ROWS = 5000
"""Rows of KID as one block, so that both sides compute the same number."""

Result = dict[str, Any]


def write_features(rows: int, path: Path) -> None:
    """Write features of real and of synthetic records."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(INNER, FEATURES)).astype(np.float32)

    def side(spread: float) -> Any:
        inner = spread * rng.normal(size=(rows, INNER)).astype(np.float32)
        noise = 0.3 * rng.normal(size=(rows, FEATURES)).astype(np.float32)
        return np.maximum(inner @ mixing + noise, 0)

    np.savez(path, reals=side(1.0), fakes=side(1.05))


def ours(path: Path) -> Result:
    """Measure with this project; in this process."""
    import torch

    from gan.metrics.distribution import kernel_distance
    from gan.metrics.neighbours import measure_all

    torch.set_num_threads(1)
    with np.load(path) as features:
        reals, fakes = features["reals"], features["fakes"]
    few = reals[:KID_ROWS], fakes[:KID_ROWS]
    found = measured({"neighbours": lambda: measure_all(reals, fakes)})
    kid = measured({"kid": lambda: {"kid": kernel_distance(*few, block_rows=KID_ROWS)}})
    return {name: {**found[name], **kid[name]} for name in ("cpu_s", "numbers")} | {
        "peak_mib": kid["peak_mib"]
    }


def in_process(*command: str) -> Result:
    """Return what a process prints in its last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, cwd=Path.cwd()
    )
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(mine: Result, theirs: Result) -> Result:
    """Return how many times as fast we are, and by how much the numbers differ."""
    mine_s, numbers = mine["cpu_s"], theirs["numbers"]
    same = {name: abs(value - mine["numbers"][name]) for name, value in numbers.items()}
    return {
        "largest_difference": max(same.values()),
        **{
            f"times_{name}": round(seconds / mine_s["kid" if name == "kid" else "neighbours"], 2)
            for name, seconds in theirs["cpu_s"].items()
        },
    }


def tiny(folder: Path) -> Result:
    """Measure 600 records, without the peers."""
    write_features(600, folder / "features.npz")
    return ours(folder / "features.npz")


def main() -> Result:
    """Run every side and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ours:
        print(json.dumps(ours(given.ours)))
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npz"
        write_features(given.rows, path)
        page: Result = {
            "rows": given.rows,
            "features": FEATURES,
            "machine": machine(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "ours": in_process(sys.executable, "-m", "benchmarks.neighbours", "--ours", str(path)),
        }
        if given.peer:
            script = str(Path(__file__).with_name("neighbours_peer.py"))
            page["peers"] = in_process(str(given.peer), script, str(path), str(KID_ROWS))
            page["compared"] = compare(page["ours"], page["peers"])
    text = json.dumps(page, indent=2)
    (RESULTS / f"neighbours-{given.rows}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return page


if __name__ == "__main__":
    main()
