"""The actor of every engine: it loads the snapshot once and turns shard indices into objects.

While shard i + 1 is sampled, shard i is encoded and put in a thread beside it.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from flows.engines import Order
from flows.errors import EngineError
from storage.errors import StorageError
from storage.lake.manifest import FileEntry
from storage.lake.publish import encode_shard, put_shard
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store

if TYPE_CHECKING:
    from gan.sample import Sampler

Done = Callable[[int, FileEntry | Exception], None]
"""Told the index of a shard, and its entry when it is in the lake, else what failed."""


@dataclass(frozen=True, kw_only=True)
class ShardMaker:
    """A loaded generator, the plan, and the lake."""

    order: Order
    sampler: "Sampler"
    lake: ObjectStore

    @classmethod
    def load(cls, order: Order, lake: ObjectStore | None = None) -> Self:
        """Load the snapshot, and open the lake unless it is given; torch keeps to one thread.

        Raises:
            SnapshotError: the snapshot is damaged.
        """
        import torch

        from gan.sample import Sampler

        torch.set_num_threads(1)
        opened = lake or open_store(order.lake_uri, order.profile)
        sampler = Sampler.load(order.snapshot, order.device)
        return cls(order=order, sampler=sampler, lake=opened)

    def sample(self, index: int) -> pa.Table:
        """Return the records of a shard."""
        plan = self.order.plan
        shard = plan.shards[index]
        return self.sampler.records(
            shard.class_counts or shard.rows,
            seed=plan.seed,
            index=index,
            given=plan.given,
            first_row=shard.first_id,
            shards=len(plan.shards),
        )

    def store(self, index: int, records: pa.Table) -> FileEntry:
        """Encode a shard in memory and put it once."""
        data = encode_shard(self.order.plan, index, records)
        return put_shard(self.lake, self.order.plan, index, data)

    def run(self, indices: Iterable[int], done: Done, encoders: int = 1) -> None:
        """Make these shards; `done` is called with every finished one, from a thread.

        Memory holds one shard in the making and one per encoder, however many there are to come.
        """
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(encoders, thread_name_prefix="encode") as pool:
            for index in indices:
                records = self.sample(index)
                if len(waiting) >= encoders:
                    waiting.popleft().result()
                waiting.append(pool.submit(self._finish, index, records, done))

    def _finish(self, index: int, records: pa.Table, done: Done) -> None:
        try:
            done(index, self.store(index, records))
        except StorageError as error:
            done(index, error)
        except (OSError, RuntimeError, TypeError, ValueError, LookupError) as error:
            msg = f"shard {index} could not be encoded: {type(error).__name__}: {error}"
            done(index, EngineError(msg))
