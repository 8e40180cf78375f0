"""Candidates whose files are not those that were stored: set aside, and put back in their place.

    generators/<name>/<version>/_damaged.json    its existence sets the candidate aside

Nobody uses what is set aside. The training that made it makes it again: files with the same digests
go back to their place, others become a version of their own.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.digests import canonical_json, sha256_hex
from storage.errors import ObjectNotFoundError
from storage.lake.layout import damaged_key, generator_folder, generator_key
from storage.lake.registry import checked_file, snapshot_index
from storage.stores.interface import ObjectStore, put_or_agree


@dataclass(frozen=True, kw_only=True)
class Damage:
    """Why the files of a candidate are not to be used."""

    reason: str
    snapshot_digest: str
    """Of what they should be; empty where it is not known."""
    found: str
    """UTC, ISO 8601."""


def set_aside(lake: ObjectStore, name: str, version: str, damage: Damage) -> None:
    """Say in the lake that the files of a candidate are not to be used."""
    lake.put_once(damaged_key(name, version), canonical_json(asdict(damage)))


def read_damage(lake: ObjectStore, name: str, version: str) -> Damage | None:
    """Return why a candidate is set aside; None when it is not."""
    try:
        raw = json.loads(lake.get(damaged_key(name, version)))
    except ObjectNotFoundError:
        return None
    except ValueError:
        raw = {}
    fields = ("reason", "snapshot_digest", "found")
    said = raw if isinstance(raw, dict) else {}
    return Damage(**{field: str(said.get(field, "")) for field in fields})


def damaged_versions(lake: ObjectStore, name: str) -> frozenset[str]:
    """Return the versions of a generator that are set aside."""
    keys = (info.key.split("/") for info in lake.list(f"{generator_folder(name)}/"))
    return frozenset(version for *_, version, file in keys if file == "_damaged.json")


def restore_candidate(lake: ObjectStore, name: str, version: str, folder: Path) -> str:
    """Put the files of a damaged snapshot back in their place, from a folder with the same digest.

    Returns:
        The snapshot digest.

    Raises:
        IntegrityError: the folder's files are not those its snapshot.json names.
    """
    own = (folder / "snapshot.json").read_bytes()
    index = snapshot_index(own, str(folder))
    files = {
        file: checked_file((folder / file).read_bytes(), digest, f"{folder}/{file}")
        for file, digest in index["files"].items()
    }
    for file, data in {**files, "snapshot.json": own}.items():
        key = generator_key(name, version, file)
        if put_or_agree(lake, key, data) != data:
            lake.replace(key, data)
    lake.delete(damaged_key(name, version))
    return sha256_hex(own)
