"""A small data set and generator, published and promoted in ways that can be killed.

Run as a script it is a zygote: it imports once, then forks a child for every request it reads, so
that hundreds of kills take seconds. Nothing but imports happens before a fork.
"""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas  # noqa: F401 - pyarrow imports it at first use, which shall not be in a child
import pyarrow as pa
from PIL import Image

from storage.lake import promotions, registry
from storage.lake.announce import announce_pending
from storage.lake.manifest import ManifestFields
from storage.lake.plan import Identity, RecordKind, propose
from storage.lake.publish import Publisher, agree
from storage.lake.synthesis import SynthesisConfig
from storage.shards.format import load_format
from storage.stores import local
from storage.stores.interface import ObjectStore
from storage.stores.local import LocalStore

NAME = "toy"
CREATED = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)
SHAPE = (4, 6, 1)
CLASSES = ("ant", "bee", "cat")
SCHEMA = pa.schema(
    [pa.field("image", pa.fixed_shape_tensor(pa.uint8(), SHAPE)), pa.field("label", pa.string())]
)


def identity(run: str = "0") -> Identity:
    return Identity(name=NAME, run_key=run * 64, generator=f"{NAME}/x", snapshot_digest="d" * 64)


def proposal(run: str = "0", *, shard_format: str = "parquet", **synthesis):
    config = SynthesisConfig(**{"samples": 50, "shard_samples": 15, "seed": 7} | synthesis)
    kind = RecordKind(
        schema=SCHEMA,
        label="label",
        class_counts=tuple((name, 20) for name in CLASSES),
        modality="images",
    )
    created = CREATED + timedelta(seconds=int(run, 16))
    return propose(identity(run), config, kind, format=shard_format, created=created)


def records(plan, index: int) -> pa.Table:
    """Return what a generator would make for a shard: random images, classes shuffled."""
    shard = plan.shards[index]
    rng = np.random.default_rng([plan.seed, index])
    images = rng.integers(0, 256, (shard.rows, *SHAPE), dtype=np.uint8)
    labels = np.repeat(*zip(*shard.class_counts, strict=True))
    rng.shuffle(labels)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(images)
    return pa.table([tensor, pa.array(labels.tolist(), pa.string())], schema=SCHEMA)


def fields() -> ManifestFields:
    return ManifestFields(
        modality="images",
        real_class_counts=tuple((name, 20) for name in CLASSES),
        provenance={"source_digest": "5" * 64},
        gate={"verdict": "pass", "reasons": ["coverage .97 of the ceiling"], "override": None},
        lift={"answer": "no measurable effect", "text": "Oversampling adds .032 for nothing."},
    )


def publish(lake: ObjectStore, run: str = "0", *, report: bytes = b"{}"):
    """Do the whole of one publisher's part, from the plan to the announcement."""
    plan = agree(lake, proposal(run))
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, records(plan, index))
    committed = publisher.commit(fields(), {"report.json": report})
    announce_pending(lake, NAME, lambda _: None)
    return committed


def promote(lake: ObjectStore, folder: Path, run: str = "0"):
    """Do the whole of one trainer's part, from the training plan to the promotion."""
    digest = run * 64
    proposed = registry.TrainingPlan.propose(NAME, digest, CREATED, {"batch_size": 64})
    plan = registry.agree_training(lake, proposed)
    snapshot = registry.put_candidate(lake, NAME, plan.version, folder)
    report = registry.put_report(
        lake, NAME, plan.version, {"report.json": b"{}", "report.html": b"<p>"}
    )
    read = promotions.standing(lake, NAME)
    decision = promotions.PromotionDraft(
        kind="promote",
        version=plan.version,
        snapshot_digest=snapshot,
        report_digest=report,
        by="gate",
        reason="better",
    )
    return promotions.decide(lake, NAME, decision, read=read, created=datetime.now(UTC))


def snapshot_folder(folder: Path, *, weights: bytes = b"weights") -> Path:
    """Write a snapshot as a trainer leaves it."""
    from storage.digests import canonical_json, sha256_hex

    files = {"generator.safetensors": weights, "codec.json": b"{}", "config.json": b'{"a":1}'}
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    index = {"schema": "toy/1", "files": {name: sha256_hex(data) for name, data in files.items()}}
    (folder / "snapshot.json").write_bytes(canonical_json(index))
    return folder


class Steps:
    """Counts what happens and ends the process, as a power cut would, at the wanted step."""

    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self._kill_at = kill_at

    def __call__(self) -> None:
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        os.sched_yield()


class SteppingStore(ObjectStore):
    """Steps after every object operation, when its effect is there and its caller unaware."""

    def __init__(self, inner: ObjectStore, step) -> None:
        self.inner, self.uri, self._step = inner, inner.uri, step

    def _then_step(self, value):
        self._step()
        return value

    def get(self, key):
        return self._then_step(self.inner.get(key))

    def open(self, key):
        return self._then_step(self.inner.open(key))

    def put_once(self, key, data):
        return self._then_step(self.inner.put_once(key, data))

    def replace(self, key, data):
        return self._then_step(self.inner.replace(key, data))

    def stat(self, key):
        return self._then_step(self.inner.stat(key))

    def list(self, prefix=""):
        return iter(self._then_step(list(self.inner.list(prefix))))

    def delete(self, key):
        return self._then_step(self.inner.delete(key))


class _HalfWriter:
    """A staged file that is written in two halves with a step between."""

    def __init__(self, file, step) -> None:
        self._file, self._step = file, step

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)

    def fileno(self):
        return self._file.fileno()

    def flush(self):
        self._file.flush()

    def write(self, data):
        half = max(1, len(data) // 2)
        self._file.write(data[:half])
        self._file.flush()
        self._step()
        return half + self._file.write(data[half:])


def step_inside_writes(step) -> None:
    """Make every local write of this process step in its middle and after each system call."""

    def stepping(call):
        def run(*args, **kwargs):
            value = call(*args, **kwargs)
            step()
            return value

        return run

    plain_open = Path.open

    def open_staged(self, mode="r", *args, **kwargs):
        file = plain_open(self, mode, *args, **kwargs)
        return _HalfWriter(file, step) if mode == "xb" else file

    Path.open = open_staged
    Path.unlink = stepping(Path.unlink)
    Path.replace = stepping(Path.replace)
    local.os = _Patched(os, fsync=stepping(os.fsync), link=stepping(os.link))


class _Patched:
    def __init__(self, module, **changes) -> None:
        self._module = module
        self.__dict__.update(changes)

    def __getattr__(self, name):
        return getattr(self._module, name)


def run_request(request: dict) -> int:
    """Do what the request says in this process, and return how many steps it took."""
    step = Steps(request["kill_at"])
    lake: ObjectStore = LocalStore(Path(request["lake"]))
    if request["inside"] == "operations":
        lake = SteppingStore(lake, step)
    else:
        step_inside_writes(step)
    if request["what"] == "publish":
        publish(lake, request["run"])
    else:
        promote(lake, Path(request["folder"]), request["run"])
    return step.count


class Zygote:
    """The child process that forks children; ask it with `run`."""

    def __enter__(self):
        command = [sys.executable, "-W", "error", __file__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_error):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(self, *requests: dict) -> list[int]:
        """Run the requests at once; a result is the steps taken, or minus the signal."""
        self._process.stdin.write(json.dumps(requests) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _fork(request: dict, start_s: float) -> tuple[int, int]:
    receive, send = os.pipe()
    child = os.fork()
    if child:
        os.close(send)
        return child, receive
    time.sleep(max(0.0, start_s - time.monotonic()))  # all children begin at once
    os.write(send, str(run_request(request)).encode())
    os._exit(0)


def _collect(child: int, receive: int) -> int:
    with os.fdopen(receive) as file:
        said = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status < 0 else int(said)


def main() -> None:
    load_format("parquet")  # imported before any fork, so that no child has to
    Image.preinit()
    for line in sys.stdin:
        start_s = time.monotonic() + 0.005
        children = [_fork(request, start_s) for request in json.loads(line)]
        sys.stdout.write(json.dumps([_collect(*child) for child in children]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
