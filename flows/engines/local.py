"""The engine of this machine: spawned worker processes, each an actor that holds the generator.

A small job never spawns: the calling process makes shards from the first moment, and only when
the rest would take longer than `patience_s` are workers started; they take over once they are
ready. Shard i depends on the plan and i alone, so who makes it changes nothing.

The actor of every engine: it loads the snapshot once and turns shard indices into objects.

While shard i + 1 is sampled, shard i is encoded and put in a thread beside it.

A pool of spawned workers that survives the death of its members.

The parent hands out single shard indices, two ahead per worker so that none waits; a worker that
dies gives its unfinished indices back, and a new one is started only when nobody is left.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import perf_counter
from typing import TYPE_CHECKING, Literal, Self

import pyarrow as pa

from flows.engines.interface import SynthesisRequest
from flows.errors import EngineError
from gan.errors import GanError
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

    order: SynthesisRequest
    sampler: "Sampler"
    lake: ObjectStore

    @classmethod
    def load(cls, order: SynthesisRequest, lake: ObjectStore | None = None) -> Self:
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


AHEAD = 2
"""Shards a worker holds: one in the making and the next."""
DEATHS = 3
"""So many deaths beyond the number of workers end the job."""
GRACE_S = 1.0

OnShard = Callable[[int, FileEntry], None]


def _nothing(index: int, entry: FileEntry) -> None:
    """Do nothing."""


@dataclass(eq=False, kw_only=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    held: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class WorkerPool:
    """Worker processes for one order; a context manager that ends them whatever happens."""

    order: SynthesisRequest
    size: int
    say: Callable[[str], None]
    workers: list[_Worker] = field(default_factory=list)
    deaths: int = 0

    def __enter__(self) -> Self:
        """Do nothing yet; `start` spawns."""
        return self

    def __exit__(self, *details: object) -> None:
        """End every worker within a second or two; what they put is complete or not there."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(GRACE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    @property
    def started(self) -> bool:
        """True once workers were spawned."""
        return bool(self.workers)

    def start(self) -> None:
        """Spawn the workers; they load the generator while the caller goes on."""
        self.workers = [self._spawn() for _ in range(self.size)]

    def ready(self) -> bool:
        """Say whether a worker waits for shards; never blocks."""
        for worker in self.workers:
            while not worker.ready and worker.process.is_alive() and worker.pipe.poll():
                self._hear(worker, _nothing)
        return any(worker.ready for worker in self.workers)

    def run(self, indices: Sequence[int], on_shard: OnShard) -> None:
        """Have these shards made.

        Raises:
            EngineError: the workers keep dying.
            StorageError, GanError: what failed in a worker.
        """
        todo = deque(indices)
        left = set(indices)

        def finish(index: int, entry: FileEntry) -> None:
            left.discard(index)
            on_shard(index, entry)

        while left:
            for worker in self.workers:
                while todo and len(worker.held) < AHEAD:
                    self._hand(worker, todo)
            heard = wait([each.pipe for each in self.workers])
            for worker in [each for each in self.workers if each.pipe in heard]:
                if not self._hear(worker, finish):
                    todo.extendleft(reversed(self._reap(worker)))

    def _hand(self, worker: _Worker, todo: deque[int]) -> None:
        index = todo.popleft()
        worker.held.append(index)
        try:
            worker.pipe.send(index)
        except OSError:
            return  # it died; its pipe says so at the next wait

    def _hear(self, worker: _Worker, finish: OnShard) -> bool:
        """Take one message; False when the worker is gone."""
        try:
            index, result = worker.pipe.recv()
        except (EOFError, OSError):
            return False
        if isinstance(result, Exception):
            raise result
        worker.ready = True
        if result is not None:
            worker.held.remove(index)
            finish(index, result)
        return True

    def _reap(self, worker: _Worker) -> list[int]:
        worker.process.join(GRACE_S)
        worker.pipe.close()
        self.workers.remove(worker)
        self.deaths += 1
        shards = ", ".join(str(index) for index in worker.held) or "none"
        text = f"a worker died (exit {worker.process.exitcode}) holding shards {shards}"
        if self.deaths >= self.size + DEATHS:
            msg = (
                f"{text}, the {self.deaths}th death; give the job more memory or fewer "
                "engine.workers and run it again: finished shards are kept"
            )
            raise EngineError(msg)
        if not self.workers:
            self.workers.append(self._spawn())
        self.say(f"{text}; others take them over")
        return worker.held

    def _spawn(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self.order, theirs), daemon=True)
        with _block_sigint():
            process.start()
        theirs.close()
        return _Worker(process=process, pipe=ours)


@contextmanager
def _block_sigint() -> Iterator[None]:
    """Have what is started within the block never hear Ctrl-C; the parent decides when to end.

    A signal that arrives meanwhile reaches the parent at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(order: SynthesisRequest, pipe: Connection) -> None:
    """Be a worker: say ready, then make shards until the parent closes the pipe."""

    def done(index: int, result: FileEntry | Exception) -> None:
        pipe.send((index, result))

    # MERGED

    try:
        maker = ShardMaker.load(order)
        pipe.send((-1, None))
        maker.run(_received(pipe), done)
    except (StorageError, GanError) as error:
        pipe.send((-1, error))
    except BrokenPipeError:
        return  # the parent is gone; so is the need for more


def _received(pipe: Connection) -> Iterator[int]:
    while True:
        try:
            yield pipe.recv()
        except EOFError:
            return


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
        order: SynthesisRequest,
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
