"""The lease of GPUs: trainings share the GPUs of a pool, those that find too few free wait.

It is a lease of one slot for each GPU of Prefect's global concurrency limit, taken all at once and
renewed beside the training. One that takes more GPUs than the pool has slots holds all slots. A
training whose lease is gone stops at its next step, because another one may have the GPU by now;
that of a holder that was killed expires.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from httpx import HTTPError, TransportError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
)
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError

from flows.errors import LeaseLostError
from flows.progress import StopSignal
from gan.errors import Interrupted
from storage.stores.settings import Settings

LOCKED, GONE = 423, 410
"""Status codes of Prefect: no slot is free; there is no such lease."""
ASK_AGAIN_S = 5.0
SAY_AGAIN_S = 600.0
"""A waiting run says so at first and then this often."""
SHUTDOWN_TIMEOUT_S = 2.0
RENEWALS = 4
"""So often is a lease renewed within its time."""


def ensure_gpu_limit(pool: Settings) -> bool:
    """Make the limit of the GPU pool as the settings say; False when nothing was to do."""
    with get_client(sync_client=True) as client:
        try:
            known = client.read_global_concurrency_limit_by_name(pool.gpu_slot)
        except ObjectNotFound:
            made = GlobalConcurrencyLimitCreate(name=pool.gpu_slot, limit=pool.gpu_slots)
            with suppress(ObjectAlreadyExists):
                client.create_global_concurrency_limit(made)
            return True
        if known.limit == pool.gpu_slots:
            return False
        change = GlobalConcurrencyLimitUpdate(limit=pool.gpu_slots)
        client.update_global_concurrency_limit(pool.gpu_slot, change)
    return True


@contextmanager
def gpu_lease(
    pool: Settings, stop: StopSignal, say: Callable[[str], None], gpus: int = 1
) -> Iterator[UUID]:
    """Hold a lease of so many slots within the block; wait until they are free, and say so.

    `stop` is asked when the lease is lost.

    Raises:
        LeaseLostError: the lease was lost, and the block gave up when `stop` was asked.
        Interrupted: a stop was asked for while waiting.
    """
    with get_client(sync_client=True) as client:
        slots = _slots(client, pool, gpus)
        lease = _Lease(id=_acquire(client, pool, slots, stop, say), pool=pool, stop=stop)
        keeper = threading.Thread(
            target=copy_context().run, args=(lease.keep,), name="gpu-lease", daemon=True
        )
        keeper.start()
        try:
            yield lease.id
        except Interrupted:
            if lease.lost:
                msg = (
                    f"the lease of a GPU of {pool.gpu_slot!r} was lost while training "
                    f"({lease.lost}): the checkpoint is kept, run again to continue"
                )
                raise LeaseLostError(msg) from None
            raise
        finally:
            lease.over.set()
            keeper.join(SHUTDOWN_TIMEOUT_S)
            if not lease.lost:  # nothing is held any more, and the server may be out of reach
                with suppress(HTTPError):
                    client.release_concurrency_slots_with_lease(lease.id)


def _slots(client: SyncPrefectClient, pool: Settings, gpus: int) -> int:
    """Return the slots of so many GPUs; of a pool with fewer, all. A limit that exists stays."""
    try:
        known = client.read_global_concurrency_limit_by_name(pool.gpu_slot)
    except ObjectNotFound:
        ensure_gpu_limit(pool)
        return min(gpus, pool.gpu_slots)
    return max(min(gpus, known.limit), 1)


def _acquire(
    client: SyncPrefectClient,
    pool: Settings,
    slots: int,
    stop: StopSignal,
    say: Callable[[str], None],
) -> UUID:
    """Return the lease of so many slots, once they are free."""
    said_s, pause = monotonic() - SAY_AGAIN_S, threading.Event()
    while True:
        try:
            answer = client.increment_concurrency_slots_with_lease(
                [pool.gpu_slot], slots, "concurrency", pool.gpu_lease_s
            )
            return UUID(answer.json()["lease_id"])
        except PrefectHTTPStatusError as error:
            if error.response.status_code != LOCKED:
                raise
        except TransportError:
            pass
        if monotonic() - said_s >= SAY_AGAIN_S:
            say(f"Other trainings hold the GPUs of {pool.gpu_slot!r}; waiting for {slots}")
            said_s = monotonic()
        if stop():
            msg = "stopped while waiting for a GPU"
            raise Interrupted(msg)
        pause.wait(ASK_AGAIN_S)


@dataclass(kw_only=True)
class _Lease:
    id: UUID
    pool: Settings
    stop: StopSignal
    over: threading.Event = field(default_factory=threading.Event)
    lost: str = ""
    """Why the lease is gone; empty while it is held."""

    def keep(self) -> None:
        """Renew the lease until it is over; ask for a stop when that cannot be done in time."""
        with get_client(sync_client=True) as client:
            while not self.lost:
                end = self._end_by_itself()
                if self.over.wait(self.pool.gpu_lease_s / RENEWALS):
                    return end.cancel()
                while not (self.lost or self.over.is_set() or self._renew(client)):
                    self.over.wait(1)
                end.cancel()
        return None

    def _end_by_itself(self) -> threading.Timer:
        timer = threading.Timer(
            0.9 * self.pool.gpu_lease_s, self._give_up, ["Prefect did not answer"]
        )
        timer.daemon = True
        timer.start()
        return timer

    def _renew(self, client: SyncPrefectClient) -> bool:
        try:
            client.renew_concurrency_lease(self.id, self.pool.gpu_lease_s)
        except PrefectHTTPStatusError as error:
            if error.response.status_code == GONE:
                self._give_up("it was taken back, or Prefect forgot it")
            return False
        except HTTPError:
            return False
        return True

    def _give_up(self, why: str) -> None:
        if not (self.lost or self.over.is_set()):
            self.lost = why
            self.stop.ask()
