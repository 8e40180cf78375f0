"""Training checkpoints mirrored to the lake, so that another machine can go on.

runs/<key>/checkpoint/<samples_seen>/<sha256 of a file>      the files, by content
runs/<key>/checkpoint/<samples_seen>/index.json              put last: it is the checkpoint

Named by content, the files of two machines that train the same never mix.
"""

import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, LakeError, ObjectNotFoundError
from storage.layout import check_key, checkpoint_folder, checkpoint_prefix
from storage.objects import ObjectStore

SCHEMA: Final = "ganmill-checkpoint/1"
KEEP = 2
"""Complete checkpoints that stay; the second is there for the day the first is broken."""

_INDEX = "index.json"


class _Index(BaseModel):
    """What a complete checkpoint is made of."""

    model_config = ConfigDict(frozen=True)

    schema_name: Literal["ganmill-checkpoint/1"] = Field(alias="schema")
    folder: str = Field(pattern=r"^[^/]+$")
    """The checkpoint's own name where it was written."""
    samples_seen: int
    files: dict[str, str]
    """SHA-256 by path inside the folder."""


def mirror(store: ObjectStore, run_key: str, folder: Path, samples_seen: int) -> None:
    """Put the checkpoint in `folder` into the lake, its index last, and drop older ones.

    Nothing happens when a checkpoint at `samples_seen` is complete in the lake already.

    Args:
        store: the lake.
        run_key: of the training (its train key).
        folder: a complete checkpoint; its name is restored by `fetch_newest`.
        samples_seen: by the generator up to this checkpoint.
    """
    base = checkpoint_folder(run_key, samples_seen)
    if store.stat(f"{base}/{_INDEX}") is None:
        files: dict[str, str] = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            digest = sha256_hex(data)
            store.put_once(f"{base}/{digest}", data)
            files[path.relative_to(folder).as_posix()] = digest
        index = _Index(schema=SCHEMA, folder=folder.name, samples_seen=samples_seen, files=files)
        store.put_once(f"{base}/{_INDEX}", canonical_json(index.model_dump(by_alias=True)))
    _drop_old(store, run_key)


def complete(store: ObjectStore, run_key: str) -> list[int]:
    """Return the `samples_seen` of every complete checkpoint of a run in the lake, newest first."""
    found = []
    for info in store.list(f"{checkpoint_prefix(run_key)}/"):
        path = PurePosixPath(info.key)
        if path.name == _INDEX and path.parent.name.isdigit():
            found.append(int(path.parent.name))
    return sorted(found, reverse=True)


def fetch_newest(store: ObjectStore, run_key: str, folder: Path) -> Path | None:
    """Bring the newest complete checkpoint of a run to this machine.

    Every digest is verified; a checkpoint that is broken, or deleted while it is read, gives way to
    the next older one.

    Args:
        store: the lake.
        run_key: of the training.
        folder: where the checkpoints of this run lie here.

    Returns:
        The checkpoint's folder below `folder`, there at once or not at all; None when the lake has
        none. A folder of that name that is there already is complete and is returned as it is.
    """
    for samples_seen in complete(store, run_key):
        try:
            return _fetch(store, checkpoint_folder(run_key, samples_seen), folder)
        except (ObjectNotFoundError, IntegrityError):
            continue
    return None


def drop(store: ObjectStore, run_key: str) -> None:
    """Delete every checkpoint of a run, indexes first, so that none is half there."""
    keys = [info.key for info in store.list(f"{checkpoint_prefix(run_key)}/")]
    for key in sorted(keys, key=lambda key: not key.endswith(f"/{_INDEX}")):
        store.delete(key)


def _fetch(store: ObjectStore, base: str, folder: Path) -> Path:
    index = _read_index(store, f"{base}/{_INDEX}")
    target = folder / index.folder
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        staged = Path(scratch) / index.folder
        for name, digest in index.files.items():
            data = store.get(f"{base}/{digest}")
            if sha256_hex(data) != digest:
                msg = f"{base}/{digest} ({name}) has another content than its name says; delete it."
                raise IntegrityError(msg)
            path = staged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        staged.rename(target)
    return target


def _read_index(store: ObjectStore, key: str) -> _Index:
    data = store.get(key)
    try:
        index = _Index.model_validate_json(data)
        for name in (index.folder, *index.files, *index.files.values()):
            check_key(name)
    except (ValidationError, LakeError) as error:
        msg = f"The checkpoint index {key} is not one of schema {SCHEMA} ({error}); delete it."
        raise IntegrityError(msg) from error
    return index


def _drop_old(store: ObjectStore, run_key: str) -> None:
    """Delete what is older than the last kept one, indexes first, so that none is half there."""
    kept = complete(store, run_key)[:KEEP]
    if len(kept) < KEEP:
        return
    border = checkpoint_folder(run_key, kept[-1])
    keys = [info.key for info in store.list(f"{checkpoint_prefix(run_key)}/")]
    old = [key for key in keys if key.rpartition("/")[0] < border]
    for key in sorted(old, key=lambda key: not key.endswith(f"/{_INDEX}")):
        store.delete(key)
