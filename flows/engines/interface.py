"""Engines: where the shards of a plan are synthesized. The shards are the same on every one."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from storage.lake.file_list import FileEntry
from storage.lake.plan import Plan
from storage.stores.interface import ObjectStore
from storage.stores.settings import StorageProfile

if TYPE_CHECKING:
    from gan.evaluation.published_copies import RecordHasher, ShardHashes

EngineKind = Literal["local", "ray"]
ENGINES: dict[EngineKind, str] = {
    "local": "flows.engines.local",
    "ray": "flows.engines.ray_cluster",
}
"""Kind of the recipe's `engine` → module with a function `make_engine(workers, address)`."""


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
    """What the engine said it takes for the recipe's `training.device`."""
    teacher: Path | None = None
    """File of the teacher on this machine, where the plan has one."""
    hasher: "RecordHasher | None" = None
    """What hashes the records of every shard, where copies of real ones are to be counted."""


class MadeShard(NamedTuple):
    """A shard that is in the lake."""

    entry: FileEntry
    hashes: "ShardHashes | None"
    """Of its records, where the request has a hasher and they were at hand; None: read them."""


OnShard = Callable[[int, MadeShard], None]
"""Called with the index of a shard when it is in the lake."""


class Engine(Protocol):
    """Makes shards."""

    def device(self, wanted: str) -> str:
        """Return the device of a request for the recipe's `training.device`.

        Raises:
            ConfigError: there is no such device where this engine works.
        """

    def run(
        self,
        request: SynthesisRequest,
        indices: Sequence[int],
        *,
        lake: ObjectStore,
        on_shard: OnShard,
        say: Callable[[str], None],
        stored: Sequence[int] = (),
    ) -> None:
        """Synthesize, encode and put these shards of the plan.

        Args:
            request: what to make.
            indices: the shards that are missing.
            lake: the open store, for work done in this process.
            on_shard: called in this process for every shard that is in the lake, from any thread.
            say: where to tell what a person should know, such as a worker that died.
            stored: shards that an earlier run has put. An engine of several machines has them read
                and checked by its workers, and calls `on_shard` for them too; what an engine leaves
                is read by the publisher, one by one.

        Raises:
            EngineError: the workers keep dying, or cannot be reached.
            LakeError: the lake failed.
            SnapshotError: the snapshot is damaged.
        """


def make_engine(kind: EngineKind, workers: int | Literal["auto"], address: str = "auto") -> Engine:
    """Return the engine of a recipe.

    Raises:
        ExtraMissingError: it needs packages that are not installed.
    """
    module = importlib.import_module(ENGINES[kind])
    engine: Engine = module.make_engine(workers, address)
    return engine
