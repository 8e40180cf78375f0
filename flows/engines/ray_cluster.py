"""The engine of a Ray cluster: actors hold the generator, ranges of shards are handed out.

One actor per processor of the cluster, or per GPU; each loads the generator once, makes the shards
of a range, puts them into the lake itself and returns what the manifest says of them, with hashes
of their records where copies are counted. An actor holds two ranges at most, so that what is under
way is bounded by the cluster and not by the job. A range whose actor dies, alone or with its node,
goes to another one, which adopts what was put. A driver that dies leaves nothing running; the next
run makes what is missing.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal

from flows.engines.interface import OnShard, SynthesisRequest
from flows.engines.ray_actor import PackedRequest, ShardActor
from flows.engines.ray_connection import answers, check_installed, connected
from flows.errors import EngineError, bounded, one_line
from storage.stores.interface import ObjectStore

AHEAD = 2
"""Ranges an actor holds: the one it makes and the next."""
RANGE = 16
"""Most shards of a range: what a death makes others look at again."""
RANGES_EACH = 4
"""A small job is cut into so many ranges per actor, so that all end at about the same time."""
TRIES = 4
"""So many actors may die with the same range; it is more than bad luck then."""
DEATHS = 3
"""So many actors beyond their number may die before any of them is of use."""
PATIENCE_S = 600.0
"""Longest wait for the first of the actors: a cluster that grows takes minutes."""
WAIT_S = 5.0
"""So often the head of the cluster is asked whether it is there."""
UNANSWERED = 3
"""So many times in a row it may not answer."""


def make_engine(workers: int | Literal["auto"], address: str) -> "RayEngine":
    """Return the engine for a number of actors; `auto` is one per processor or GPU.

    Raises:
        ExtraMissingError: Ray is not installed.
    """
    check_installed(address)
    return RayEngine(workers=workers, address=address)


@dataclass(frozen=True, kw_only=True)
class RayEngine:
    """Makes shards on a Ray cluster."""

    workers: int | Literal["auto"]
    address: str

    def device(self, wanted: str) -> str:
        """Return what is wanted: the cluster has the devices, and is not reached yet."""
        return wanted

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
        """Synthesize, encode and put these shards (see `flows.engines.interface.Engine.run`)."""
        wanted = None if self.workers == "auto" else self.workers
        packed = PackedRequest.of(request, lake)
        with connected(self.address, packed.size_bytes, wanted) as where:
            import ray

            shares = Shares.of(ray.cluster_resources(), request.device)
            load = (ray.put(packed.on(shares.device)), request.profile)
            pool = _ActorPool(load=load, shares=shares, wanted=wanted, where=where, say=say)
            try:
                pool.run(indices, stored, on_shard)
            finally:
                pool.end()


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What an actor takes of the cluster."""

    device: str
    cpus: int
    gpus: int

    @classmethod
    def of(cls, resources: dict[str, float], wanted: str) -> "Shares":
        """Return one GPU and its part of the processors, or one processor.

        Args:
            resources: of the cluster.
            wanted: `auto` takes GPUs where there are any.
        """
        gpus = int(resources.get("GPU", 0))
        if wanted == "cpu" or (wanted == "auto" and not gpus):
            return cls(device="cpu", cpus=1, gpus=0)
        cpus = int(resources.get("CPU", 1)) // max(1, gpus)
        return cls(device="cuda", cpus=max(1, cpus), gpus=1)

    def fit(self, resources: dict[str, float]) -> int:
        """Return how many actors the cluster has room for, and at least one."""
        name, each = ("GPU", self.gpus) if self.gpus else ("CPU", self.cpus)
        return max(1, int(resources.get(name, 0)) // each)


@dataclass(eq=False, kw_only=True)
class _Range:
    indices: Sequence[int]
    begun: bool = False
    """Whether some of it may be stored."""
    deaths: int = 0
    """So many actors died with it."""


@dataclass(eq=False, kw_only=True)
class _RayWorker:
    """An actor, what it is doing, and what it holds."""

    handle: Any
    loading: Any = None
    """The reference of its loading; None when it is ready."""
    held: dict[Any, _Range] = field(default_factory=dict)


@dataclass(kw_only=True)
class _ActorPool:
    """The actors of one request: started, handed ranges, replaced when they die."""

    load: tuple[Any, Any]
    """What an actor loads: the packed request in the object store, and the credentials."""
    shares: Shares
    wanted: int | None
    where: str
    say: Callable[[str], None]
    workers: list[_RayWorker] = field(default_factory=list)
    todo: deque[_Range] = field(default_factory=deque)
    futile: int = 0
    """Actors that died while they loaded, since one was last ready."""
    owners: dict[Any, _RayWorker] = field(default_factory=dict)
    """Whose a reference is."""
    idle_since_s: float = field(default_factory=perf_counter)
    """Since when there is no actor that is ready."""
    unanswered: int = 0
    """So many times in a row the head has not answered."""

    def run(self, indices: Sequence[int], stored: Sequence[int], on_shard: OnShard) -> None:
        """Have shards made, and those checked that are stored.

        Raises:
            EngineError: the actors keep dying, none comes up, or the cluster is gone.
            StorageError, GanError: what failed in an actor.
        """
        import ray

        self.todo.extend(self._ranges(indices))
        self.todo.extend(replace(one, begun=True) for one in self._ranges(stored))
        try:
            while self.todo or any(worker.held for worker in self.workers):
                self._start_actors()
                self._hand_out()
                done, _ = ray.wait(list(self.owners), num_returns=1, timeout=WAIT_S)
                for reference in done:
                    self._settle(reference, on_shard)
                self._check_head(is_alive=bool(done))
        except (OSError, ray.exceptions.RayError) as error:
            msg = (
                f"the Ray cluster at {self.where} is lost ({one_line(error)}); run again when it "
                "is back: finished shards are kept"
            )
            raise EngineError(msg) from error

    def _check_head(self, *, is_alive: bool) -> None:
        """See, where nothing came, that the head answers and that actors come up.

        Raises:
            EngineError: they do not.
        """
        if is_alive or any(worker.loading is None for worker in self.workers):
            self.idle_since_s = perf_counter()
        elif perf_counter() - self.idle_since_s > PATIENCE_S:
            raise self._nobody()
        lost = not is_alive and self.where != "local" and answers(self.where) is not None
        self.unanswered = self.unanswered + 1 if lost else 0
        if self.unanswered >= UNANSWERED:
            msg = (
                f"the head of the Ray cluster at {self.where} answers no more; run again when it "
                "is back: finished shards are kept"
            )
            raise EngineError(msg)

    def _ranges(self, indices: Sequence[int]) -> Iterator[_Range]:
        import ray

        size = self.wanted or self.shares.fit(ray.cluster_resources())
        length = max(1, min(RANGE, -(-len(indices) // (size * RANGES_EACH))))
        for start in range(0, len(indices), length):
            yield _Range(indices=list(indices[start : start + length]))

    def _start_actors(self) -> None:
        """Start actors for as many ranges as there are, and as the cluster has room for."""
        import ray

        if len(self.workers) >= self._useful(len(self.todo)):
            return
        room = self.wanted or self.shares.fit(ray.cluster_resources())
        kind = ray.remote(ShardActor).options(
            num_cpus=self.shares.cpus, num_gpus=self.shares.gpus, scheduling_strategy="SPREAD"
        )
        while len(self.workers) < min(room, self._useful(len(self.todo))):
            actor = kind.remote(self.shares.cpus)
            worker = _RayWorker(handle=actor, loading=actor.load.remote(*self.load))
            self.workers.append(worker)
            self.owners[worker.loading] = worker

    def _useful(self, waiting: int) -> int:
        return waiting + sum(1 for worker in self.workers if worker.held)

    def _hand_out(self) -> None:
        """Give every loaded actor its next ranges, the one with the fewest first."""
        ready = [worker for worker in self.workers if worker.loading is None]
        for count in range(AHEAD):
            for worker in ready:
                if self.todo and len(worker.held) <= count:
                    given = self.todo.popleft()
                    call = worker.handle.make.remote(given.indices, again=given.begun)
                    worker.held[call] = given
                    self.owners[call] = worker

    def _settle(self, reference: Any, on_shard: OnShard) -> None:
        """Take a result, or what came in its place."""
        import ray

        worker = self.owners.pop(reference)
        try:
            result = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # no error that ganmill foresees
            msg = f"a worker of the Ray cluster failed: {one_line(error.cause or error)}"
            raise EngineError(msg) from error
        except ray.exceptions.RayError as error:
            self._replace(worker, error)
            return
        if worker.loading is not None:
            worker.loading, self.futile = None, 0
            if result is not None:
                raise result
            return
        del worker.held[reference]
        for index, made in result:
            if isinstance(made, Exception):
                raise made
            on_shard(index, made)

    def _replace(self, worker: _RayWorker, error: Exception) -> None:
        """Let an actor go, and put what it held before the others."""
        for reference in (worker.loading, *worker.held):
            self.owners.pop(reference, None)
        _end(worker.handle)
        self.workers.remove(worker)
        self.futile += worker.loading is not None
        held = list(worker.held.values())
        for one in held:
            one.deaths += 1
            one.begun = True
        self.todo.extendleft(reversed(held))
        shards = ", ".join(f"{one.indices[0]} to {one.indices[-1]}" for one in held) or "none"
        text = f"a worker of the Ray cluster died holding shards {shards} ({_why(error)})"
        if any(one.deaths >= TRIES for one in held) or self.futile > len(self.workers) + DEATHS:
            msg = (
                f"{text}, as others did before it; give its nodes more memory or fewer workers and "
                "run it again: finished shards are kept"
            )
            raise EngineError(msg)
        self.say(f"{text}; others take them over")

    def end(self) -> None:
        """End every actor; what they put is complete or not there."""
        for worker in self.workers:
            _end(worker.handle)
        self.workers.clear()

    def _nobody(self) -> EngineError:
        what = f"{self.shares.gpus} GPU" if self.shares.gpus else f"{self.shares.cpus} processor"
        return EngineError(
            f"no worker came up on the Ray cluster at {self.where} within {PATIENCE_S:.0f} s: it "
            f"has no room for one with {what}; free some, or run again when it has grown"
        )


def _why(error: Exception) -> str:
    """Return what Ray says of a death: the kind, and the sentence where it has one."""
    said = one_line(error).partition("The actor died because")[2] or one_line(error)
    return f"{type(error).__name__}: {bounded(said.strip(), 200)}"


def _end(actor: Any) -> None:
    import ray

    with suppress(ray.exceptions.RayError, OSError, ValueError):
        ray.kill(actor)
