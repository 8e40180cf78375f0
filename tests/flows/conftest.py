"""An untrained generator of tiny images, as a snapshot, and plans for it."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # deciding.py, shared by tests of decisions

from gan.config import GeneratorConfig, TrainingConfig
from gan.images.codec import ImageCodec, write_images
from gan.images.networks import build
from gan.images.presets import resolve
from gan.randomness import stream
from gan.snapshot import save_snapshot
from storage.lake.plan import Identity, Plan, RecordKind, propose
from storage.lake.synthesis import SynthesisConfig


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, pa.Schema]:
    """Folder, digest, and the schema of the records it makes: 8 x 8 grey, classes a, b, c."""
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    records = pa.table({"image": write_images(images), "kind": pa.array(["a", "b", "c"] * 100)})
    codec = ImageCodec.fit(records, "kind")
    config = resolve(
        GeneratorConfig(preset="mlp", width=16),
        TrainingConfig(budget_samples=64, device="cpu"),
        codec,
        train_rows=300,
        seed=0,
    )
    generator = build(config, codec, stream(0, "weights")).generator
    folder = tmp_path_factory.mktemp("snapshot")
    digest = save_snapshot(
        folder, config=config, codec=codec, weights=generator.state_dict(), facts={}
    )
    return folder, digest, records.schema


@pytest.fixture(scope="session")
def plan(snapshot: tuple[Path, str, pa.Schema]) -> Plan:
    """Eleven shards of ten rows."""
    _, digest, schema = snapshot
    run_key = "ab" * 32
    identity = Identity(
        name="tiny",
        run_key=run_key,
        generator="tiny/20260101T000000Z-abababab",
        snapshot_digest=digest,
    )
    counts = (("a", 10), ("b", 10), ("c", 10))
    kind = RecordKind(schema=schema, label="kind", class_counts=counts, modality="images")
    config = SynthesisConfig(samples=110, balance="equal", shard_samples=10)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return propose(identity, config, kind, format="parquet", created=created)
