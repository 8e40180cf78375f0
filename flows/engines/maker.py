"""Making shards: a loaded generator, the plan and the lake, in every process of every engine.

It samples shard i + 1 while shard i is encoded and put in a thread beside it. Shard i depends on
the plan and i alone, so who makes it changes nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from flows.engines.interface import MadeShard, SynthesisRequest
from flows.errors import EngineError
from storage.digests import sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError, StorageError
from storage.lake.publish import encode_shard, put_shard, read_shard
from storage.records.schema import soft_label_columns
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store

if TYPE_CHECKING:
    from gan.sample import Sampler
    from gan.teacher import Labeller

OnResult = Callable[[int, MadeShard | Exception], None]
"""Called with the index of a shard, and the shard when it is in the lake, else what failed."""


def load_labeller(request: SynthesisRequest, modality: str) -> "Labeller | None":
    """Return what writes the labels of a plan's shards; None where the generator does."""
    plan, path = request.plan, request.teacher
    if plan.teacher is None or path is None:
        return None
    from gan.modalities import load_modality
    from gan.teacher import Labeller

    data = path.read_bytes()
    if sha256_hex(data) != plan.teacher.sha256:
        msg = f"{path} was changed since it was fetched; delete it and run again"
        raise IntegrityError(msg)
    teacher = load_modality(modality).load_teacher(data)
    own = plan.schema.names[: -len(plan.teacher.columns)]
    said = soft_label_columns(own, teacher.label, teacher.classes)
    if teacher.label != plan.label or said != plan.teacher.columns:
        msg = (
            f"the teacher says {', '.join(said)}, and version {plan.version} was planned with "
            f"{', '.join(plan.teacher.columns)}; choose another synthesis.seed"
        )
        raise IntegrityError(msg)
    return Labeller(
        teacher=teacher,
        columns=plan.teacher.columns,
        relabels=plan.teacher.relabels,
        seed=plan.seed,
        picks=plan.teacher.picks,
    )


@dataclass(frozen=True, kw_only=True)
class ShardMaker:
    """A loaded generator, the plan, and the lake: turns shard indices into objects."""

    request: SynthesisRequest
    sampler: "Sampler"
    lake: ObjectStore
    labeller: "Labeller | None" = None

    @classmethod
    def load(cls, request: SynthesisRequest, lake: ObjectStore | None = None) -> Self:
        """Load the snapshot, and open the lake unless it is given; torch keeps to one thread.

        Raises:
            SnapshotError: the snapshot is damaged.
            IntegrityError: the teacher is.
        """
        import torch

        from gan.sample import Sampler

        torch.set_num_threads(1)
        opened = lake or open_store(request.lake_uri, request.profile)
        sampler = Sampler.load(request.snapshot, request.device)
        labeller = load_labeller(request, sampler.codec.modality)
        return cls(request=request, sampler=sampler, lake=opened, labeller=labeller)

    def run(self, indices: Iterable[int], on_result: OnResult, encoders: int = 1) -> None:
        """Make these shards; `on_result` is called with every finished one, from a thread.

        Memory holds one shard in the making and one per encoder, however many there are to come.
        """
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(encoders, thread_name_prefix="encode") as pool:
            for index in indices:
                records = self.sample(index)
                if len(waiting) >= encoders:
                    waiting.popleft().result()
                waiting.append(pool.submit(self._finish, index, records, on_result))

    def sample(self, index: int) -> pa.Table:
        """Return the records of a shard."""
        plan = self.request.plan
        shard = plan.shards[index]
        wanted = shard.class_counts or shard.rows
        records = self.sampler.records(
            wanted if self.labeller is None else self.labeller.draws(wanted),
            seed=plan.seed,
            index=index,
            given=plan.given,
            first_row=shard.first_id,
            shards=len(plan.shards),
        )
        return records if self.labeller is None else self.labeller(records, wanted, index)

    def adopted(self, index: int) -> MadeShard | None:
        """Return a shard that is stored already; None where it is not.

        Raises:
            IntegrityError: what is there is not this shard.
        """
        try:
            entry, records = read_shard(self.lake, self.request.plan, index)
        except ObjectNotFoundError:
            return None
        hasher = self.request.hasher
        return MadeShard(entry, None if hasher is None else hasher(records))

    def store(self, index: int, records: pa.Table) -> MadeShard:
        """Encode a shard in memory, put it once and hash its records."""
        data = encode_shard(self.request.plan, index, records)
        entry = put_shard(self.lake, self.request.plan, index, data)
        hasher = self.request.hasher
        if hasher is None or entry.sha256 != sha256_hex(data):  # another publisher's is there
            return MadeShard(entry, None)
        return MadeShard(entry, hasher(records))

    def _finish(self, index: int, records: pa.Table, on_result: OnResult) -> None:
        try:
            on_result(index, self.store(index, records))
        except StorageError as error:
            on_result(index, error)
        except (OSError, RuntimeError, TypeError, ValueError, LookupError) as error:
            msg = f"shard {index} could not be encoded: {type(error).__name__}: {error}"
            on_result(index, EngineError(msg))
