"""What the ranks of one training and the process that started them say to each other, as files.

    <folder>/order.json            what is trained, and where
    <folder>/config.json, codec.json, records.arrow, validation.arrow
    <folder>/told.jsonl            one line for each thing that rank 0 tells, in order
    <folder>/heard                 how many of these lines were dealt with
    <folder>/stop                  is there when training is to stop
    <folder>/result.json, strip.npz   what came of it, or why nothing did
    <folder>/log                   what torchrun and the ranks print

Every rank ends at once when the process that started them is gone: its end of the ranks' standard
input is then closed.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from gan import errors
from gan.codecs import Codec
from gan.config import ResolvedConfig
from gan.errors import GanError, SmallerPartsError
from gan.modalities import load_modality
from gan.protocols import Curve, Frame, Hooks
from gan.report import Event
from gan.training.result import TrainResult
from gan.training.strip import Filmstrip
from storage.records.durable import create_file, replace_file

ORDER, CONFIG, CODEC = "order.json", "config.json", "codec.json"
RECORDS, VALIDATION = "records.arrow", "validation.arrow"
TOLD, HEARD, STOP, LOG = "told.jsonl", "heard", "stop", "log"
RESULT, STRIP = "result.json", "strip.npz"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is trained, and where."""

    training: Path
    """Folder of the training: its checkpoints, statistics and snapshot."""
    device: str
    judges: Path | None
    """Folder of this machine in which a judge may keep what it learned of the records; None:
    nothing is assessed."""
    at_once: int | None
    """Most samples that go through the networks at once; None: whole batches."""

    def write(
        self, folder: Path, config: ResolvedConfig, codec: Codec, records: pa.Table, hooks: Hooks
    ) -> None:
        """Write it, with the configuration, the codec and the records, into an empty folder."""
        _write_table(folder / RECORDS, records)
        if hooks.validation is not None:
            _write_table(folder / VALIDATION, hooks.validation)
        (folder / CONFIG).write_text(config.model_dump_json())
        (folder / CODEC).write_text(json.dumps(codec.to_json()))
        (folder / TOLD).touch()
        said = dataclasses.asdict(self)
        replace_file(folder / ORDER, json.dumps(said, default=str).encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote."""
        said = json.loads((folder / ORDER).read_bytes())
        for name in ("training", "judges"):
            said[name] = None if said[name] is None else Path(said[name])
        return cls(**said)


def read_config(folder: Path) -> tuple[ResolvedConfig, Codec]:
    """Return configuration and codec of an order."""
    config = ResolvedConfig.model_validate_json((folder / CONFIG).read_bytes())
    codec: Codec = load_modality(config.modality).codec.from_json(
        json.loads((folder / CODEC).read_bytes())
    )
    return config, codec


def read_records(folder: Path) -> tuple[pa.Table, pa.Table | None]:
    """Return the records of an order, in memory that all ranks share, and those of validation."""
    validation = folder / VALIDATION
    return _read_table(folder / RECORDS), _read_table(validation) if validation.exists() else None


def _write_table(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as written:
        written.write_table(table)


def _read_table(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def write_result(folder: Path, result: TrainResult) -> None:
    """Write what a training left behind."""
    said = dataclasses.asdict(dataclasses.replace(result, strip=None))
    if result.strip is not None:
        frames = result.strip.frames
        kept: dict[str, Any] = {f"values-{n}": frame.values for n, frame in enumerate(frames)}
        kept["seen"] = np.array([frame.samples_seen for frame in frames])
        np.savez(folder / STRIP, labels=result.strip.labels_R, **kept)
    create_file(folder / RESULT, json.dumps(said, default=str).encode())


def write_failure(folder: Path, error: GanError | OSError) -> None:
    """Write why a training ended; the first rank that has a reason says it."""
    said: dict[str, Any] = {"error": type(error).__name__, "args": [str(error)]}
    if isinstance(error, SmallerPartsError):
        said["args"] = [error.at_once]
    if isinstance(error, OSError):
        said = {"error": "OSError", "args": [error.errno, error.strerror, str(error.filename)]}
    create_file(folder / RESULT, json.dumps(said).encode())


def read_result(folder: Path) -> TrainResult | None:
    """Return what a training left behind; None where it ended without a word.

    Raises:
        GanError, OSError: what ended it.
    """
    try:
        said = json.loads((folder / RESULT).read_bytes())
    except FileNotFoundError:
        return None
    if "error" in said:
        kinds: Mapping[str, type[Exception]] = {**vars(errors), "OSError": OSError}
        raise kinds[said["error"]](*said["args"])
    said["snapshot"] = Path(said["snapshot"])
    said["events"] = tuple(Event(**event) for event in said["events"])
    said["curves"] = tuple(
        Curve(**{**curve, **{key: tuple(curve[key]) for key in ("samples_seen", "values")}})
        for curve in said["curves"]
    )
    said["notes"] = tuple(said["notes"])
    return TrainResult(**{**said, "strip": _read_strip(folder / STRIP)})


def _read_strip(path: Path) -> Filmstrip | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        frames = tuple(
            Frame(int(seen), kept[f"values-{place}"]) for place, seen in enumerate(kept["seen"])
        )
        return Filmstrip(frames=frames, labels_R=kept["labels"])
