"""The peers of `benchmarks.neighbours`, in an interpreter of their own: prdc and torch-fidelity.

    PYTHON benchmarks/neighbours_peer.py features.npz 5000

Nothing of the project is imported here. prdc gives density and coverage at k = 5 (and precision and
recall at the same k, which are left out), torch-fidelity precision and recall at k = 3, and KID of
the first rows as one block, in double precision: in single its fifth decimal differs. prdc keeps
all distances at once, so it is asked up to 20,000 rows.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

NEEDS = ("prdc", "torch_fidelity")
"""Packages beside the project's own."""
MOST_ROWS_OF_PRDC = 20_000


def measured(calls: dict[str, Callable[[], dict[str, float]]]) -> dict[str, Any]:
    """Return processor seconds of each call, all numbers, and the process's peak memory."""
    seconds, numbers = {}, {}
    for name, call in calls.items():
        started_s = process_time()
        numbers |= call()
        seconds[name] = round(process_time() - started_s, 3)
    return {"cpu_s": seconds, "numbers": numbers, "peak_mib": _peak_mib()}


def _peak_mib() -> int:
    """Return what `benchmarks.timing.peak_mib` does, which this environment may not import."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) >> 10


def run(path: Path, kid_rows: int) -> dict[str, Any]:
    """Measure the features with both."""
    import torch
    from prdc import compute_prdc
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    torch.set_num_threads(1)
    with np.load(path) as features:
        reals, fakes = features["reals"], features["fakes"]
    tensors = torch.from_numpy(fakes), torch.from_numpy(reals)
    few = [part[:kid_rows].double() for part in tensors]

    def prdc() -> dict[str, float]:
        with contextlib.redirect_stdout(io.StringIO()):
            found = compute_prdc(reals, fakes, nearest_k=5)
        return {name: float(found[name]) for name in ("density", "coverage")}

    def prc() -> dict[str, float]:
        found = prc_features_to_metric(
            *tensors, prc_neighborhood=3, prc_batch_size=10_000, save_cpu_ram=True, verbose=False
        )
        return {name: float(found[name]) for name in ("precision", "recall")}

    def kid() -> dict[str, float]:
        found = kid_features_to_metric(
            *few, kid_subsets=1, kid_subset_size=len(few[0]), rng_seed=0, verbose=False
        )
        return {"kid": float(found["kernel_inception_distance_mean"])}

    calls = {"prdc": prdc} if len(reals) <= MOST_ROWS_OF_PRDC else {}
    return measured({**calls, "torch_fidelity_prc": prc, "kid": kid})


def tiny(folder: Path) -> dict[str, Any]:
    """Measure 600 records."""
    from benchmarks.neighbours import write_features

    write_features(600, folder / "features.npz")
    return run(folder / "features.npz", 300)


def main() -> int:
    """Measure the features of a file."""
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
