"""What each knob of the adversarial table presets is worth: one row per variant.

    python -m benchmarks.table_ablations example:breast-cancer diagnosis --samples 400000

Trains every variant on as many samples, on one thread, on half of the rows, and compares
its rows with the other half, on the codes of the codec: mean 1-way and 2-way error, each divided by
that of real rows, and the area under the curve of trees that tell real from synthetic (C2ST).
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from benchmarks.baselines import register
from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.metrics.marginals import column_errors, mean_pair_error, one_hot, pair_counts, pair_errors
from gan.modalities import load_modality
from gan.sample import Sampler
from gan.tables.codec import TableCodec
from gan.training.loop import train
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare
from storage.sources.split import SplitConfig

Array = np.ndarray[Any, Any]

PAIRS = {"terms": {"pairs": 10.0}}
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "adversarial": ("adversarial", {}, {}),
    "without the pair loss": ("adversarial", {}, {"terms": {}}),
    "with packs of 8": ("adversarial", {"pack": 8}, {}),
    "with straight-through draws": ("adversarial", {"draws": "straight"}, {}),
    "ctgan": ("ctgan", {}, {}),
    "autoregressive": ("autoregressive", {}, {}),
    "independent": ("independent", {}, {}),
}
"""Name → preset, changes of its network, changes of its configuration."""


class Sides(NamedTuple):
    """The real rows of both sides, and the codec fitted on the first."""

    codec: TableCodec
    train: pa.Table
    holdout: pa.Table


def read(uri: str, label: str | None, folder: Path) -> Sides:
    """Return the train and the holdout rows of a source, equally many."""
    split = SplitConfig(validation=0.05, holdout=0.475)
    config = SourceConfig(uri=uri, label=label, modality="tables", split=split)
    records = prepare(config, folder=folder, min_group=10).records
    return Sides(TableCodec.fit(records["train"], label), records["train"], records["holdout"])


def configure(name: str, sides: Sides, samples: int, seed: int) -> ResolvedConfig:
    """Return the configuration of a variant."""
    register()
    preset, network, changes = VARIANTS[name]
    config = load_modality("tables").resolve(
        GeneratorConfig(preset=preset),
        TrainingConfig(budget_samples=samples, device="cpu"),
        sides.codec,
        train_rows=sides.train.num_rows,
        seed=seed,
    )
    return config.model_copy(update={"network": {**config.network, **network}, **changes})


def errors(real_ND: Array, fake_ND: Array, sizes: tuple[int, ...]) -> tuple[float, float]:
    """Return the mean 1-way and the mean 2-way error."""
    shares = [pair_counts(one_hot(codes, sizes)) / len(codes) for codes in (real_ND, fake_ND)]
    single = float(column_errors(real_ND, fake_ND, sizes).mean())
    return single, mean_pair_error(pair_errors(shares[0], shares[1], sizes))


def told_apart(real_ND: Array, fake_ND: Array) -> float:
    """Return the area under the curve of trees, out of fold."""
    rows = min(len(real_ND), len(fake_ND))
    both = np.concatenate([real_ND[:rows], fake_ND[:rows]])
    which = np.repeat([0, 1], rows)
    trees = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    found = cross_val_predict(trees, both, which, cv=3, method="predict_proba")
    return float(roc_auc_score(which, found[:, 1]))


def measure(name: str, sides: Sides, samples: int, seed: int) -> dict[str, float | str]:
    """Train a variant and return its row."""
    config = configure(name, sides, samples, seed)
    with tempfile.TemporaryDirectory() as folder:
        started_s = process_time()
        result = train(config, sides.codec, sides.train, Path(folder), device="cpu")
        trained_s = process_time() - started_s
        rows = sides.holdout.num_rows
        fakes = Sampler.load(result.snapshot).records(rows, seed=seed, index=0)
    return {
        "variant": name,
        "seed": seed,
        "cpu_s": round(trained_s, 1),
        "samples_seen": result.samples_seen,
        **compare(sides, codes_of(sides.codec, fakes)),
    }


def compare(sides: Sides, fake_ND: Array) -> dict[str, float]:
    """Return the errors of rows against the holdout, and what real rows reach."""
    sizes = sides.codec.code_counts
    real_ND, train_ND = codes_of(sides.codec, sides.holdout), codes_of(sides.codec, sides.train)
    found, ceiling = errors(real_ND, fake_ND, sizes), errors(real_ND, train_ND, sizes)
    return {
        "one_way": round(found[0], 4),
        "one_way_to_ceiling": round(found[0] / ceiling[0], 2),
        "two_way": round(found[1], 4),
        "two_way_to_ceiling": round(found[1] / ceiling[1], 2),
        "c2st": round(told_apart(real_ND, fake_ND), 3),
    }


def codes_of(codec: TableCodec, records: pa.Table) -> Array:
    """Return the codes of records, (N, D)."""
    codes: Array = codec.to_samples(torch.from_numpy(codec.encode(records).values)).numpy()
    return codes


def tiny(folder: Path) -> list[dict[str, float | str]]:
    """Train every variant for a moment."""
    sides = read("example:breast-cancer", "diagnosis", folder)
    return [measure(name, sides, 500, 0) for name in VARIANTS]


def main() -> int:
    """Print one JSON line per variant and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("label", nargs="?")
    parser.add_argument("--samples", type=int, default=400_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=VARIANTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sides = read(given.uri, given.label, Path(folder))
        for name in given.only or VARIANTS:
            for seed in range(given.seeds):
                print(json.dumps(measure(name, sides, given.samples, seed)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
