"""The engine of this machine: spawned worker processes, each an actor that holds the generator.

A small job never spawns: the calling process makes shards from the first moment, and only when
the rest would take longer than `patience_s` are workers started; they take over once they are
ready. Shard i depends on the plan and i alone, so who makes it changes nothing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from flows.engines import Order
from flows.engines.maker import ShardMaker
from flows.engines.pool import WorkerPool
from storage.lake.manifest import FileEntry
from storage.stores.interface import ObjectStore

PATIENCE_S = 10.0
"""Jobs that one process finishes in this time are not worth the start of workers."""


def make_engine(workers: int | Literal["auto"]) -> "LocalEngine":
    """Return the engine for a number of workers; `auto` is one per usable core."""
    if workers != "auto":
        return LocalEngine(workers=workers)
    if hasattr(os, "sched_getaffinity"):
        return LocalEngine(workers=len(os.sched_getaffinity(0)))
    return LocalEngine(workers=os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Makes shards on this machine with up to `workers` processes."""

    workers: int
    patience_s: float = PATIENCE_S

    def run(
        self,
        order: Order,
        indices: Sequence[int],
        *,
        lake: ObjectStore,
        on_shard: Callable[[int, FileEntry], None],
        say: Callable[[str], None],
    ) -> None:
        """Synthesize, encode and put these shards (see `flows.engines.Engine.run`)."""
        size = self.workers if order.device == "cpu" else 1
        work = _Work(left=list(indices), on_shard=on_shard)
        with WorkerPool(order=order, size=size, say=say) as pool:
            if size > 1 and self.patience_s <= 0:
                pool.start()
            elif work.left:
                encoders = 1 if order.device == "cpu" else self.workers
                maker = ShardMaker.load(order, lake)
                maker.run(self._alone(work, pool), work.done, encoders=encoders)
                work.check()
                del maker
            if work.left:
                pool.run(work.left, on_shard)

    def _alone(self, work: "_Work", pool: WorkerPool) -> Iterator[int]:
        """Yield shards for this process until none is left or workers are ready for them."""
        started_s = perf_counter()
        made = 0
        while work.left and work.error is None and not pool.ready():
            yield work.left.pop(0)
            made += 1
            rest_s = (perf_counter() - started_s) / made * len(work.left)
            if pool.size > 1 and rest_s > self.patience_s and not pool.started:
                pool.start()


@dataclass(kw_only=True)
class _Work:
    """What is left to do, and what went wrong in the encoding thread."""

    left: list[int]
    on_shard: Callable[[int, FileEntry], None]
    error: Exception | None = None

    def done(self, index: int, result: FileEntry | Exception) -> None:
        if isinstance(result, Exception):
            self.error = self.error or result
        else:
            self.on_shard(index, result)

    def check(self) -> None:
        if self.error is not None:
            raise self.error
