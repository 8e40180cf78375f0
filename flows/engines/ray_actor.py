"""What works on the nodes of a Ray cluster: an actor that holds a loaded generator.

The generator comes as bytes, through Ray's object store; no disk is shared. It lies in a folder of
the node only while it is loaded. What fails is returned and not raised: an error that leaves an
actor would be wrapped in the text of a traceback.
"""

import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Self

from flows.engines.interface import MadeShard, SynthesisRequest
from flows.engines.maker import ShardMaker
from flows.errors import EngineError
from gan.config import ALGORITHM_VERSION
from gan.errors import GanError
from storage.errors import LakeError, StorageError
from storage.lake.layout import plan_key
from storage.stores.interface import ObjectStore
from storage.stores.settings import StorageProfile


def installed() -> str:
    """Return what must be the same on every node for shards to be the same."""
    return f"ganmill {version('ganmill')} (algorithm {ALGORITHM_VERSION})"


@dataclass(frozen=True, kw_only=True)
class PackedRequest:
    """A request on its way to the nodes: the files of the snapshot in place of their folder.

    It holds no credentials, because objects of the store may be written to the disk of a node.
    """

    request: SynthesisRequest
    """Its paths are those of the sender, its profile is None."""
    files: Mapping[str, bytes] = field(repr=False)
    """Name → bytes of the snapshot."""
    teacher: bytes | None = field(default=None, repr=False)
    planned: bool
    """Whether the plan is in the lake as the sender sees it."""
    sender: str = field(default_factory=installed)

    @classmethod
    def of(cls, request: SynthesisRequest, lake: ObjectStore) -> Self:
        """Return a request with the files that it names."""
        plan = request.plan
        files = (path for path in sorted(request.snapshot.iterdir()) if path.is_file())
        return cls(
            request=replace(request, profile=None),
            files={path.name: path.read_bytes() for path in files},
            teacher=None if request.teacher is None else request.teacher.read_bytes(),
            planned=lake.stat(plan_key(plan.identity.run_key, plan.attempt)) is not None,
        )

    def on(self, device: str) -> Self:
        """Return it for a device of the nodes."""
        return replace(self, request=replace(self.request, device=device))

    @property
    def size_bytes(self) -> int:
        """Bytes of the files."""
        return sum(map(len, self.files.values())) + len(self.teacher or b"")

    def open(self, profile: StorageProfile | None) -> ShardMaker:
        """Load the generator here; its files are written for that long.

        Raises:
            EngineError: another version of ganmill is installed here.
            LakeError: this node does not see the lake.
            SnapshotError: the snapshot is damaged.
        """
        if installed() != self.sender:
            msg = (
                f"node {platform.node()} has {installed()} and the job {self.sender}: install the "
                "same on every node"
            )
            raise EngineError(msg)
        with tempfile.TemporaryDirectory(prefix="ganmill-") as scratch:
            folder, teacher = Path(scratch) / "snapshot", Path(scratch) / "teacher"
            folder.mkdir()
            for name, data in self.files.items():
                (folder / name).write_bytes(data)
            if self.teacher is not None:
                teacher.write_bytes(self.teacher)
            local = replace(
                self.request,
                profile=profile,
                snapshot=folder,
                teacher=None if self.teacher is None else teacher,
            )
            maker = ShardMaker.load(local)
        self._check_lake(maker.lake)
        return maker

    def _check_lake(self, lake: ObjectStore) -> None:
        plan = self.request.plan
        if self.planned and lake.stat(plan_key(plan.identity.run_key, plan.attempt)) is None:
            msg = (
                f"node {platform.node()} does not see the lake {lake.uri}, which is another folder "
                "there: name a lake on s3://, or a folder that every node shares"
            )
            raise LakeError(msg)


Results = list[tuple[int, MadeShard | Exception]]
"""Shards, or what failed in their place."""


class ShardActor:
    """A loaded generator on a node."""

    def __init__(self, encoders: int = 1) -> None:
        """Hold nothing yet; `encoders` threads encode beside the sampling."""
        self.encoders = encoders
        self.makers: list[ShardMaker] = []

    def load(self, packed: PackedRequest, profile: StorageProfile | None) -> Exception | None:
        """Load the generator, and return what failed."""
        try:
            self.makers = [packed.open(profile)]
        except (StorageError, GanError, EngineError) as error:
            return error
        except OSError as error:
            return EngineError(f"node {platform.node()} cannot hold the generator: {error}")
        return None

    def make(self, indices: Sequence[int], *, again: bool) -> Results:
        """Make these shards, after `load`.

        Args:
            indices: of the plan.
            again: whether another actor began with them: what it has put is adopted unmade.
        """
        (maker,) = self.makers
        results: Results = []
        stored = {index for index in indices if again and _adopt(maker, index, results)}
        todo = [index for index in indices if index not in stored]
        maker.run(todo, lambda *result: results.append(result), self.encoders)
        return results


def _adopt(maker: ShardMaker, index: int, results: Results) -> bool:
    """Say whether a shard needs no making, as it is stored or cannot be."""
    try:
        made = maker.adopted(index)
    except StorageError as error:
        results.append((index, error))
        return True
    if made is not None:
        results.append((index, made))
    return made is not None
