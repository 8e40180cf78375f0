"""Engines: where the shards of a plan are synthesized. The shards are the same on every one."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from storage.lake.manifest import FileEntry
from storage.lake.plan import Plan
from storage.stores.interface import ObjectStore
from storage.stores.settings import StorageProfile

ENGINES = {"local": "flows.engines.local"}
"""Kind of the recipe's `engine` → module with a function `make_engine(workers)`."""


@dataclass(frozen=True, kw_only=True)
class SynthesisRequest:
    """Everything that is needed to make any shard of one plan, here or in another process."""

    plan: Plan
    snapshot: Path
    """Folder of the generator's snapshot on this machine."""
    lake_uri: str
    profile: StorageProfile | None
    """Credentials of the lake; they travel in memory only."""
    device: str = "cpu"
    teacher: Path | None = None
    """File of the teacher on this machine, where the plan has one."""


class Engine(Protocol):
    """Makes shards."""

    def run(
        self,
        request: SynthesisRequest,
        indices: Sequence[int],
        *,
        lake: ObjectStore,
        on_shard: Callable[[int, FileEntry], None],
        say: Callable[[str], None],
    ) -> None:
        """Synthesize, encode and put these shards of the plan.

        Args:
            request: what to make.
            indices: the shards that are missing.
            lake: the open store, for work done in this process.
            on_shard: called in this process for every shard that is in the lake, from any thread.
            say: where to tell what a person should know, such as a worker that died.

        Raises:
            EngineError: the workers keep dying.
            LakeError: the lake failed.
            SnapshotError: the snapshot is damaged.
        """


def make_engine(kind: Literal["local"], workers: int | Literal["auto"]) -> Engine:
    """Return the engine of a recipe."""
    engine: Engine = importlib.import_module(ENGINES[kind]).make_engine(workers)
    return engine
