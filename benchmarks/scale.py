"""Synthesis from one process to a cluster: throughput against the limit, and what it takes.

    python -m benchmarks.scale            every case; the table of benchmarks/scale.md
    python -m benchmarks.scale images local 2 100000

Every case is a process of its own, from a snapshot on disk to the commit. The limit is the rate of
one process that does nothing but sample, encode and put, measured in the same run, times the
workers. Seconds of the processor decide, because they are the same on a busy machine: those that
all processes of the case took, Ray's own and the start of the workers among them, against those of
the records alone. Memory is the most that the driver, and all workers together, held at once.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

import psutil
import pyarrow as pa
import torch

from benchmarks.synthesis import digits, parts
from flows.engines.interface import MadeShard, SynthesisRequest, make_engine
from flows.engines.local import LocalEngine
from gan.config import GeneratorConfig, TrainingConfig
from gan.modalities import load_modality
from gan.training.loop import train
from storage.lake.layout import version_folder
from storage.lake.manifest import ManifestFields
from storage.lake.plan import Identity, Plan, RecordKind, propose
from storage.lake.publish import Publisher
from storage.lake.synthesis import SynthesisConfig
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare
from storage.stores.open import open_store

NEEDS = ("ray",)
EVERY_S = 0.2
"""So often the processes are looked at."""
FORMATS = {"images": "parquet", "tables": "table-parquet"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is made, by whom."""

    modality: str
    engine: str
    workers: int
    samples: int
    training_samples: int = 6_000
    """Enough for records that compress nearly as real ones do."""

    @property
    def shard_samples(self) -> int:
        """Of equal shards, so that memory can be compared: ten at least."""
        return min(10_000, self.samples // 10)


CASES = tuple(
    Case(modality=modality, engine=engine, workers=workers, samples=samples)
    for modality in FORMATS
    for engine, workers, samples in (
        ("local", 1, 10_000),
        ("local", 1, 100_000),
        ("local", 2, 100_000),
        ("local", 4, 100_000),
        ("local", 2, 1_000_000),
        ("ray", 1, 100_000),
        ("ray", 2, 100_000),
        ("ray", 4, 100_000),
        ("ray", 2, 1_000_000),
    )
)


def records_of(modality: str, folder: Path) -> tuple[pa.Table, str]:
    """Return real records of scikit-learn, and their label."""
    if modality == "images":
        return digits(8), "label"
    config = SourceConfig(uri="example:breast-cancer", label="diagnosis", modality="tables")
    return prepare(config, folder=folder, min_group=10).records["train"], "diagnosis"


def snapshot_of(case: Case, records: pa.Table, label: str, folder: Path) -> Path:
    """Return a generator that was trained for some seconds."""
    row = load_modality(case.modality)
    codec = row.codec.fit(records, label)
    preset = GeneratorConfig(preset="mlp" if case.modality == "images" else "autoregressive")
    training = TrainingConfig(budget_samples=case.training_samples, device="cpu")
    config = row.resolve(preset, training, codec, train_rows=len(records), seed=0)
    return train(config, codec, records, folder, device="cpu").snapshot


def plan_of(case: Case, records: pa.Table, label: str) -> Plan:
    """Return the plan of a case, classes equal."""
    counts = tuple((value, 1) for value in sorted(records.column(label).unique().to_pylist()))
    return propose(
        Identity(name="scale", run_key="0" * 64, generator="scale/1", snapshot_digest="0" * 64),
        SynthesisConfig(samples=case.samples, balance="equal", shard_samples=case.shard_samples),
        RecordKind(schema=records.schema, label=label, class_counts=counts, modality=case.modality),
        format=FORMATS[case.modality],
        created=datetime.now(UTC),
    )


class Family:
    """The processes below this one: seconds of the processor, and memory at once."""

    def __init__(self) -> None:
        self.cpu_s: dict[int, float] = {}
        self.most_bytes = 0
        self.driver_bytes = 0
        self._over = threading.Event()

    def look(self) -> None:
        """Look at every process once."""
        here = psutil.Process()
        held = 0
        for child in here.children(recursive=True):
            try:
                times = child.cpu_times()
                held += child.memory_full_info().uss
            except psutil.Error:
                continue
            self.cpu_s[child.pid] = times.user + times.system
        self.most_bytes = max(self.most_bytes, held)
        self.driver_bytes = max(self.driver_bytes, here.memory_full_info().uss)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again, for the time of the block."""

        def watch() -> None:
            while not self._over.wait(EVERY_S):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def engine_of(case: Case) -> Callable[..., None]:
    """Return the run of an engine whose workers all start at once."""
    if case.engine == "local":
        return LocalEngine(workers=case.workers, patience_s=0).run
    return make_engine("ray", case.workers, "local").run


def measure(case: Case) -> dict[str, float]:
    """Return what a case took, here."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        records, label = records_of(case.modality, place / "prepared")
        snapshot = snapshot_of(case, records, label, place / "trained")
        trial = plan_of(replace(case, samples=min(case.samples, 40_000)), records, label)
        spent = parts(trial, snapshot, open_store(f"{scratch}/trial"))
        record_cpu_s = sum(cpu for _, cpu in spent.values())
        plan = plan_of(case, records, label)
        lake_uri = f"{scratch}/lake"
        request = SynthesisRequest(plan=plan, snapshot=snapshot, lake_uri=lake_uri, profile=None)
        lake, family = open_store(lake_uri), Family()
        publisher = Publisher(lake, plan)
        began_s, cpu_before_s = perf_counter(), process_time()
        first_s: list[float] = []

        def on_shard(index: int, made: MadeShard) -> None:
            first_s.append(perf_counter() - began_s)
            publisher.record(index, made.entry)

        with family.watched():
            engine_of(case)(request, publisher.missing(), lake=lake, on_shard=on_shard, say=print)
        made_s = perf_counter() - began_s
        publisher.commit(ManifestFields(modality=case.modality), {})
        driver_cpu_s = process_time() - cpu_before_s
        wall_s = perf_counter() - began_s
        stored = list(lake.list(f"{version_folder(plan.name, plan.version)}/"))
    all_cpu_s = driver_cpu_s + sum(family.cpu_s.values())
    limit_cpu_s = record_cpu_s * case.samples
    return {
        "limit_per_core_s": 1 / record_cpu_s,
        "wall_s": wall_s,
        "samples_per_wall_s": case.samples / wall_s,
        "samples_per_cpu_s": case.samples / all_cpu_s,
        "share_of_limit": limit_cpu_s / all_cpu_s,
        "overhead_cpu_s": all_cpu_s - limit_cpu_s,
        "first_shard_s": first_s[0],
        "commit_s": wall_s - made_s,
        "bytes_per_sample": sum(info.size_bytes for info in stored) / case.samples,
        "driver_cpu_s": driver_cpu_s,
        "driver_mb": family.driver_bytes / 2**20,
        "others_mb": family.most_bytes / 2**20,
    }


def alone(case: Case) -> dict[str, float]:
    """Return the numbers of a case from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", json.dumps(asdict(case))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> dict[str, dict[str, float]]:
    """Measure every case, and print each as it is done."""
    results = {}
    for case in CASES:
        name = f"{case.modality}, {case.engine}, {case.workers} workers, {case.samples:,}"
        results[name] = alone(case)
        print(json.dumps({name: results[name]}), flush=True)
    return results


def tiny(_: Path) -> dict[str, dict[str, float]]:
    """Make a few images in this process."""
    case = Case(modality="images", engine="local", workers=1, samples=200, training_samples=2_000)
    return {"images, local": measure(case)}


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif len(sys.argv) == 2:
        print(json.dumps(measure(Case(**json.loads(sys.argv[1])))))
    else:
        modality, engine, workers, samples = sys.argv[1:]
        wanted = Case(modality=modality, engine=engine, workers=int(workers), samples=int(samples))
        print(json.dumps(alone(wanted), indent=1))
