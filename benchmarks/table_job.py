"""Ours, in a process of its own: prepare, train and sample a table on one thread.

    python -m benchmarks.table_job train.parquet holdout.parquet --label income --rows 16000

Writes the synthetic rows beside the train file and prints one line of JSON: processor seconds of
every step, the pair error on validation rows at every tick, peak memory.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import torch

from benchmarks.timing import peak_mib
from flows.recipe import Recipe
from flows.train import fit_and_resolve
from gan.config import ResolvedConfig
from gan.protocols import Hooks, Tick
from gan.randomness import stream
from gan.sample import Sampler, draw_latents
from gan.tables.judge import build_assess
from gan.training.loop import train
from storage.shards.format import load_format
from storage.sources.prepare import prepare
from storage.sources.prepared import Prepared

SAMPLING_ROWS = 50_000
TINY_SAMPLES = 1_000
"""Budget of a training that only shows that the benchmark runs."""


@dataclass
class Clock:
    """Processor seconds of each step, and the pair error over the training."""

    started_s: float = field(default_factory=process_time)
    steps: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[float, float]] = field(default_factory=list)

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap."""
        now_s = process_time()
        self.steps[name] = round(now_s - self.started_s, 3)
        self.started_s = now_s

    def on_tick(self, tick: Tick) -> None:
        """Note the pair error now."""
        spent_s = process_time() - self.started_s
        self.curve.append((round(spent_s, 2), tick.metrics["two_way"]))


def recipe_for(
    source: Path,
    holdout: Path,
    label: str | None,
    seed: int,
    budget_samples: int | Literal["auto"] = "auto",
) -> Recipe:
    """Return the recipe that a user would write."""
    return Recipe.model_validate(
        {
            "name": "benchmark",
            "source": {
                "uri": str(source),
                "label": label,
                "split": {"holdout_uri": str(holdout)},
            },
            "training": {"device": "cpu", "budget_samples": budget_samples},
            "synthesis": {"balance": "real"},
            "seed": seed,
        }
    )


def prepared_for(recipe: Recipe, folder: Path) -> Prepared:
    """Return the records of a recipe."""
    return prepare(recipe.source, folder=folder, min_group=recipe.privacy.min_group)


def sampling_rates(sampler: Sampler) -> dict[str, int]:
    """Return rows per processor second from latents to codes, and of decoding and Parquet."""
    config, codec = sampler.snapshot.config, sampler.snapshot.codec
    generator = sampler.generator
    numbers = stream(0, "benchmark")
    draw = generator.conditioned(None)
    with torch.inference_mode():
        latents = draw_latents(generator, config, SAMPLING_ROWS, numbers)
        labels_N = torch.zeros(config.sampling_batch, dtype=torch.int64)
        draw(latents[: config.sampling_batch], labels_N)  # warm
        started_s = process_time()
        passes = [draw(part, labels_N) for part in latents.split(config.sampling_batch)]
        sampled_s = process_time()
    codes = torch.cat(passes)
    written_s = process_time()
    values = np.concatenate([codec.to_values(part) for part in codes.split(config.sampling_batch)])
    records = codec.decode(values, np.zeros(len(codes), dtype=np.int64))
    load_format("table-parquet").encode(records, {})
    done_s = process_time()
    return {
        "latents_to_codes_rows_per_cpu_s": round(len(codes) / (sampled_s - started_s)),
        "codes_to_parquet_rows_per_cpu_s": round(len(codes) / (done_s - written_s)),
    }


def run(recipe: Recipe, rows: int) -> dict[str, object]:
    """Do the job; the synthetic rows lie beside the source afterwards."""
    source, seed = Path(recipe.source.uri), recipe.seed
    with tempfile.TemporaryDirectory() as folder:
        place, clock = Path(folder), Clock()
        prepared = prepared_for(recipe, place / "prepared")
        clock.lap("prepare_cpu_s")
        codec, resolved = fit_and_resolve(recipe, prepared)
        assess = build_assess(
            prepared.records["train"],
            prepared.records["validation"],
            label=prepared.label,
            seed=seed,
        )
        clock.lap("fit_cpu_s")
        hooks = Hooks(assess=assess, on_tick=clock.on_tick)
        config = ResolvedConfig.model_validate(resolved.model_dump())
        result = train(config, codec, prepared.records["train"], place, hooks=hooks, device="cpu")
        clock.lap("training_cpu_s")
        sampler = Sampler.load(result.snapshot)
        counts = prepared.class_counts["train"]
        total = sum(count for _, count in counts)
        wanted = tuple((value, round(rows * count / total)) for value, count in counts) or rows
        records = sampler.records(wanted, seed=seed, index=0)
        clock.lap("sampling_cpu_s")
        pq.write_table(records, source.with_name(f"ours-{seed}.parquet"))
        return {
            **clock.steps,
            **sampling_rates(sampler),
            "samples_seen": result.samples_seen,
            "best_samples_seen": result.best_samples_seen,
            "curve": clock.curve,
            "peak_memory_mb": peak_mib(),
        }


def tiny(folder: Path) -> dict[str, object]:
    """Train on half of scikit-learn's table for a moment."""
    from benchmarks.against_ctgan import breast_cancer, halves

    return run(recipe_for(*halves(breast_cancer(), folder), "diagnosis", 0, TINY_SAMPLES), 100)


def main() -> int:
    """Read the arguments, do the job, print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("holdout", type=Path)
    parser.add_argument("--label")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget-samples", type=int, default="auto")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = recipe_for(given.train, given.holdout, given.label, given.seed, given.budget_samples)
    print(json.dumps(run(recipe, given.rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
