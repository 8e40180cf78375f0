"""Trainings of a few steps, in one process or, under torchrun, in several that share each batch.

    python -m torch.distributed.run … rank_cases.py FOLDER CASE …

Rank r writes what became of each case to FOLDER/CASE.r.json: losses, gradients and weights.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from gan.config import GeneratorConfig, TermConfig, TrainingConfig
from gan.device import DeviceContext
from gan.images.codec import ImageCodec, write_images
from gan.modalities import load_modality
from gan.series.codec import SeriesCodec
from gan.tables.codec import TableCodec
from gan.training import ranks
from gan.training.batches import Batches
from gan.training.objectives import phases
from gan.training.state import TrainState

sys.path[:0] = [str(Path(__file__).parents[1] / part) for part in ("tables", "series")]
STEPS, BATCH = 6, 32


def images(classes=3, rows=96):
    numbers = np.random.default_rng(5)
    pixels = np.clip(numbers.normal(90, 60, (rows, 8, 8, 1)), 0, 255).astype(np.uint8)
    kinds = pa.array(np.arange(rows) % classes)
    records = pa.table({"image": write_images(pixels), "kind": kinds})
    return ImageCodec.fit(records, "kind"), records


def table(rows=96):
    from small_tables import with_meaning

    numbers = np.random.default_rng(6)
    kind = numbers.integers(0, 3, rows)
    records = with_meaning(
        {
            "size": pa.array(numbers.normal(kind, 1.0)),
            "kind": pa.array(np.array(["a", "b", "c"])[kind]),
            "count": pa.array(numbers.poisson(4, rows)),
        }
    )
    return TableCodec.fit(records, "kind"), records


def series(rows=64):
    from small_series import make_series

    numbers = np.random.default_rng(7)
    lengths = numbers.integers(3, 40, rows)
    records = make_series(
        {
            "level": np.round(numbers.normal(0, 1, lengths.sum()), 3),
            "state": np.array(["x", "y"])[numbers.integers(0, 2, lengths.sum())],
        },
        lengths,
    )
    return SeriesCodec.fit(records, None), records


TERMS = (
    TermConfig(name="feature-matching"),
    TermConfig(name="minibatch-deviation"),
    TermConfig(name="instance-noise", strength=0.1),
    TermConfig(name="gradient-clipping", strength=0.5),
)
CASES = {
    "r1-r2": (images, GeneratorConfig(preset="mlp", width=32)),
    "interpolated": (
        images,
        GeneratorConfig(
            preset="mlp", width=32, loss="hinge", penalty="interpolated", gamma=10.0, terms=TERMS
        ),
    ),
    "batch-norm": (images, GeneratorConfig(preset="dcgan", width=16, penalty="r1", gamma=1.0)),
    "spectral-norm": (
        images,
        GeneratorConfig(preset="mlp", width=32, penalty="spectral-norm", loss="hinge"),
    ),
    "denoising": (images, GeneratorConfig(preset="mixture-gan", width=16)),
    "pixels": (images, GeneratorConfig(preset="autoregressive", width=16)),
    "one-shot": (table, GeneratorConfig(preset="adversarial", width=32)),
    "mirror": (table, GeneratorConfig(preset="mlp-gan", width=32)),
    "ctgan": (table, GeneratorConfig(preset="ctgan", width=32)),
    "table-likelihood": (table, GeneratorConfig(preset="autoregressive", width=32)),
    "series-likelihood": (series, GeneratorConfig(preset="autoregressive", width=32)),
    "series-adversarial": (series, GeneratorConfig(preset="timegan", width=32)),
}
WINDOW = {"series-likelihood": {"window": 16, "warm_up": 4}}


def made(case, devices=1, device="cpu"):
    """Return configuration, codec and records of a case."""
    make, generator = CASES[case]
    codec, records = make()
    training = TrainingConfig(
        budget_samples=10_000, batch_size=BATCH, device=device, devices=devices
    )
    config = load_modality(codec.modality).resolve(
        generator, training, codec, train_rows=records.num_rows, seed=3
    )
    network = {name: one for name, one in WINDOW.get(case, {}).items() if name in config.network}
    update = {"precision": "float32", "threads": 1, "network": config.network | network}
    return config.model_copy(update=update), codec, records


def run(case, steps=STEPS):
    """Do some steps of every phase; return losses, gradient lengths and lengths of all tensors."""
    config, codec, records = made(case)
    context = DeviceContext(device=torch.device("cpu"))
    with context.configured():
        state = TrainState(config, codec, context)
        batches = Batches(codec.encode(records), codec, context, seed=config.seed)
        state.encoded = batches.encoded
        state.fitted()
        losses = []
        for phase, objective in enumerate(phases(config, context)):
            share = sum(one.fraction for one in config.phases[:phase]) + 1e-6
            state.generator_ema.begin(config.phases[phase].objective)
            state.generator.load_state_dict(state.generator_ema.state_dict())
            for _ in range(steps):
                batch = batches.next(config, state.progress)
                found = objective.step(state, batch, share)
                losses.append(ranks.mean(found.double()).tolist())
                state.after_step(found, share)
    sizes = {name: one.double().norm().item() for name, one in state.tensors().items()}
    return {
        "losses": losses,
        "samples_seen": state.progress.samples_seen,
        "counts": state.gauges.counts.tolist(),
        "sizes": sizes,
    }


def main():
    folder, cases = Path(sys.argv[1]), sys.argv[2:]
    with ranks.joined("cpu", 2):
        for case in cases:
            path = folder / f"{case}.{ranks.number()}.json"
            path.write_text(json.dumps(run(case)))


if __name__ == "__main__":
    main()
