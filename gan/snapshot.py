"""Snapshots: what synthesis needs, as safetensors + JSON in a plain folder.

    generator.safetensors   weights of the averaged generator, and what the training run decided
    codec.json              the codec
    config.json             the resolved configuration
    snapshot.json           {schema, modality, files: {name: sha256}}, written last

Loading executes nothing of the folder's: digests are compared, JSON is validated, tensors are read.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from gan.codecs import Codec
from gan.config import ResolvedConfig
from gan.errors import ConfigError, SnapshotError
from gan.modalities import load_modality
from storage.records.durable import replace_file, write_file

SCHEMA = "ganmill-snapshot/1"
WEIGHTS, CODEC = "generator.safetensors", "codec.json"
CONFIG, INDEX = "config.json", "snapshot.json"
FACTS = "ganmill"
"""The one metadata key of the weights: several keys would be stored in an arbitrary order."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A generator ready to synthesize."""

    config: ResolvedConfig
    codec: Codec
    weights: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    """`samples_seen` of the snapshot and of the training."""
    digest: str
    """sha256 of `snapshot.json`, which holds the digest of every other file."""


def save_snapshot(
    folder: Path,
    *,
    config: ResolvedConfig,
    codec: Codec,
    weights: Mapping[str, Tensor],
    facts: Mapping[str, Any],
) -> str:
    """Write the four files, the index last, and return the snapshot's digest.

    Equal inputs give equal bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    files = {
        WEIGHTS: save_tensors(dict(weights), metadata={FACTS: json.dumps(facts, sort_keys=True)}),
        CODEC: _json_bytes(codec.to_json()),
        CONFIG: _json_bytes(config.model_dump(mode="json")),
    }
    for name, data in files.items():
        write_file(folder / name, data)
    index = {
        "schema": SCHEMA,
        "modality": config.modality,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    replace_file(folder / INDEX, _json_bytes(index))
    return snapshot_digest(folder)


def snapshot_digest(folder: Path) -> str:
    """Return the sha256 of `snapshot.json`.

    Raises:
        SnapshotError: there is none.
    """
    return hashlib.sha256(_read(folder, INDEX)).hexdigest()


def load_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot and check every file against its digest.

    Raises:
        SnapshotError: a file is missing, was changed, or is of another version.
    """
    index = _read_json(folder, INDEX)
    if not isinstance(index, dict) or index.get("schema") != SCHEMA:
        msg = f"{folder / INDEX} is not a {SCHEMA} snapshot: train the generator again"
        raise SnapshotError(msg)
    files = {name: _read_checked(folder, name, index) for name in (WEIGHTS, CODEC, CONFIG)}
    try:
        config = ResolvedConfig.model_validate_json(files[CONFIG])
        codec = load_modality(config.modality).codec.from_json(json.loads(files[CODEC]))
        weights = load_tensors(files[WEIGHTS])
        facts = _facts(files[WEIGHTS])
    except (ValidationError, ValueError, SafetensorError, ConfigError, struct.error) as error:
        msg = f"the snapshot in {folder} cannot be read by this version: {error}"
        raise SnapshotError(msg) from error
    return Snapshot(
        config=config, codec=codec, weights=weights, facts=facts, digest=snapshot_digest(folder)
    )


def _facts(data: bytes) -> Mapping[str, Any]:
    """Read the metadata in a safetensors header (length, then JSON; format of safetensors)."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    facts: Mapping[str, Any] = json.loads(header.get("__metadata__", {}).get(FACTS, "{}"))
    return facts


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        msg = f"the snapshot in {folder} is incomplete: {name} cannot be read ({error.strerror})"
        raise SnapshotError(msg) from error


def _read_json(folder: Path, name: str) -> Any:
    try:
        return json.loads(_read(folder, name))
    except ValueError as error:
        msg = f"{folder / name} is not JSON ({error}): fetch or train the generator again"
        raise SnapshotError(msg) from error


def _read_checked(folder: Path, name: str, index: Mapping[str, Any]) -> bytes:
    data = _read(folder, name)
    expected = index.get("files", {}).get(name)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        msg = (
            f"{folder / name} was changed after training: its sha256 is {found[:12]}…, the "
            f"snapshot names {str(expected)[:12]}…; fetch or train the generator again"
        )
        raise SnapshotError(msg)
    return data


def _json_bytes(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, ensure_ascii=False, indent=1).encode()
