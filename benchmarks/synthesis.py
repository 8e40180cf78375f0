"""The synthesize stage against its limit: from a snapshot on disk to the commit, about 75 s.

    python -m benchmarks synthesis

The limit is the larger of two times for the same records with the same number of processes: the
slowest of forward, encode and put alone, and the processor seconds of the three over the cores.
What is lost against it is the start of the workers, waiting, and the commit itself.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
import torch
from sklearn.datasets import load_digits

from flows.engines.interface import SynthesisRequest, make_engine
from gan.config import GeneratorConfig, TrainingConfig
from gan.device import usable_cores
from gan.images.codec import ImageCodec
from gan.images.presets import resolve
from gan.sample import Sampler
from gan.training.loop import train
from storage.lake.manifest import ManifestFields
from storage.lake.plan import Identity, Plan, RecordKind, propose
from storage.lake.publish import Publisher, encode_shard, put_shard
from storage.lake.synthesis import SynthesisConfig
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store

FORMATS, SIDES = ("parquet", "parquet-raw"), (8, 32)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is made."""

    target_s: float = 75.0
    """At the limit; longer than the minute that makes the start of workers a detail."""
    trial_shards: int = 12
    trial_rows: int = 20_000
    training_samples: int = 60_000


WHOLE = Extent()


def digits(side: int) -> pa.Table:
    """Return scikit-learn's digits, enlarged to `side` pixels."""
    bunch = load_digits()
    images_NHW = (bunch.images * (255 / 16)).round().astype(np.uint8)
    factor = side // images_NHW.shape[1]
    images_NHWC = np.kron(images_NHW, np.ones((1, factor, factor), np.uint8))[..., None]
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(images_NHWC))
    return pa.table({"image": column, "label": bunch.target})


def quick_snapshot(folder: Path, records: pa.Table, samples: int) -> Path:
    """Return a generator trained for a few seconds: what it draws must compress like digits."""
    codec = ImageCodec.fit(records, "label")
    training = TrainingConfig(budget_samples=samples, device="cpu")
    config = resolve(
        GeneratorConfig(preset="mlp"), training, codec, train_rows=len(records), seed=0
    )
    return train(config, codec, records, folder, device="cpu").snapshot


def make_plan(records: pa.Table, format: str, samples: int, shard_samples: int) -> Plan:
    """Return a plan of so many samples, classes equal."""
    counts = tuple((label, 1) for label in range(10))
    return propose(
        Identity(name="bench", run_key="0" * 64, generator="bench/1", snapshot_digest="0" * 64),
        SynthesisConfig(samples=samples, balance="equal", shard_samples=shard_samples),
        RecordKind(schema=records.schema, label="label", class_counts=counts, modality="images"),
        format=format,
        created=datetime.now(UTC),
    )


class Stopwatch:
    """Wall and processor seconds of this process since it was made."""

    def __init__(self) -> None:
        self.wall_s, self.cpu_s = perf_counter(), process_time()

    def read(self, rows: int) -> tuple[float, float]:
        """Return both, per record."""
        wall_s, cpu_s = perf_counter() - self.wall_s, process_time() - self.cpu_s
        return wall_s / rows, cpu_s / rows


def parts(plan: Plan, snapshot: Path, lake: ObjectStore) -> dict[str, tuple[float, float]]:
    """Return wall and processor seconds per record of each part alone, in this process."""
    sampler = Sampler.load(snapshot)
    shards = plan.shards
    sampler.records(shards[0].class_counts, seed=plan.seed, index=0)
    spent = {}

    watch = Stopwatch()
    tables = [sampler.records(each.class_counts, seed=0, index=each.index) for each in shards]
    spent["forward"] = watch.read(plan.rows)

    watch = Stopwatch()
    encoded = [encode_shard(plan, index, table) for index, table in enumerate(tables)]
    spent["encode"] = watch.read(plan.rows)

    watch = Stopwatch()
    for index, data in enumerate(encoded):
        put_shard(lake, plan, index, data)
    spent["put"] = watch.read(plan.rows)
    return spent


def stage(plan: Plan, snapshot: Path, lake_uri: str, workers: int) -> float:
    """Return the wall seconds from the snapshot to the commit."""
    lake = open_store(lake_uri)
    order = SynthesisRequest(plan=plan, snapshot=snapshot, lake_uri=lake_uri, profile=None)
    publisher = Publisher(lake, plan)
    started_s = perf_counter()
    make_engine("local", workers).run(
        order,
        publisher.missing(),
        lake=lake,
        on_shard=lambda index, made: publisher.record(index, made.entry),
        say=print,
    )
    publisher.commit(ManifestFields(modality="images"), {})
    return perf_counter() - started_s


def measure(
    records: pa.Table, snapshot: Path, format: str, workers: int, extent: Extent
) -> dict[str, float]:
    """Return the stage's seconds, its limit, and their ratio."""
    rows = extent.trial_rows
    with tempfile.TemporaryDirectory() as scratch:
        trial = make_plan(records, format, extent.trial_shards * rows, rows)
        spent = parts(trial, snapshot, open_store(f"{scratch}/trial"))
        cpu_s = sum(cpu for _, cpu in spent.values())
        per_record_s = max(cpu_s, *(wall for wall, _ in spent.values())) / workers
        samples = math.ceil(extent.target_s / per_record_s / rows) * rows
        plan = make_plan(records, format, samples, rows)
        stage_s = stage(plan, snapshot, f"{scratch}/lake", workers)
    return {
        "workers": workers,
        "samples": samples,
        **{f"{name}_us_per_sample": wall * 1e6 for name, (wall, _) in spent.items()},
        "limit_s": per_record_s * samples,
        "stage_s": stage_s,
        "samples_per_s": samples / stage_s,
        "share_of_limit": per_record_s * samples / stage_s,
    }


def main() -> dict[str, dict[str, float]]:
    """Measure every case and return its numbers."""
    return measure_all(SIDES, FORMATS, WHOLE)


def tiny(_: Path) -> dict[str, dict[str, float]]:
    """Make a few small images."""
    few = Extent(target_s=0.05, trial_shards=2, trial_rows=200, training_samples=2_000)
    return measure_all(SIDES[:1], FORMATS, few)


def measure_all(
    sides: Sequence[int], formats: Sequence[str], extent: Extent
) -> dict[str, dict[str, float]]:
    """Return the numbers of images of some sizes in some formats."""
    torch.set_num_threads(1)
    workers, results = usable_cores(), {}
    with tempfile.TemporaryDirectory() as scratch:
        for side in sides:
            records = digits(side)
            snapshot = quick_snapshot(Path(scratch) / str(side), records, extent.training_samples)
            for format in formats:
                name = f"mlp, {side} x {side} grey, {format}"
                results[name] = measure(records, snapshot, format, workers, extent)
    return results
