"""Reaching a Ray cluster, or starting one of this machine, quietly and within a bounded time.

Ray itself waits for minutes where nobody answers, and ends the process where its head is lost: so
the address is tried first. Nothing is sent to anyone, its log stays in its own files, and this
process keeps its own answer to SIGTERM, which Ray would take over.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from flows.errors import EngineError, ExtraMissingError, one_line

CONNECT_S = 10.0
"""Longest wait for the head of a cluster to answer."""
LEAST_STORE_BYTES = 128 * 2**20
"""Of the object store of a Ray of this machine; it holds the snapshot alone."""
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
"""What Ray reads when it starts: it reports to nobody, leaves CUDA_VISIBLE_DEVICES alone,
and does not rank its workers behind everything else on this machine (15)."""
CLIENT = "ray://"


def check_installed(address: str) -> None:
    """Check that what a cluster at this address takes is installed; imports nothing.

    Raises:
        ExtraMissingError: it is not.
    """
    needed = ["ray", *(["grpc"] if address.startswith(CLIENT) else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        msg = (
            f"engine.kind is 'ray', which needs the package {missing[0]}: run pip install "
            '"ganmill[ray]", or set engine.kind to local'
        )
        raise ExtraMissingError(msg)


def where_is(address: str) -> str:
    """Return what an address of the recipe stands for: `local`, `host:port` or `ray://host:port`.

    Raises:
        EngineError: this machine is no node of a cluster.
    """
    if address != "auto":
        return address
    from ray._private.services import get_ray_address_from_environment

    try:
        found: str = get_ray_address_from_environment("auto", None)
    except ConnectionError:
        msg = (
            "no Ray cluster was found: engine.address is 'auto', and no Ray runs on this machine "
            "nor is RAY_ADDRESS set; start one, name its ray://host:10001, or set engine.address "
            "to local"
        )
        raise EngineError(msg) from None
    return found


def answers(where: str, limit_s: float = CONNECT_S) -> str | None:
    """Return why nobody answers at `host:port` or `ray://host:port`; None where somebody does."""
    host, _, port = where.removeprefix(CLIENT).rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=limit_s):
            return None
    except (OSError, ValueError, OverflowError) as error:
        return str(error) or type(error).__name__


@contextmanager
def connected(address: str, store_bytes: int, cpus: int | None = None) -> Iterator[str]:
    """Be connected to a cluster for the time of the block; yield where it is.

    Where the process is connected already, that connection is used and stays.

    Args:
        address: of the recipe.
        store_bytes: that a Ray of this machine must be able to hold.
        cpus: of a Ray of this machine; None counts them.

    Raises:
        ExtraMissingError: Ray is not installed.
        EngineError: nobody answers, or Ray refuses.
    """
    check_installed(address)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # noqa: TID251 - Ray reads it, ganmill does not
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)  # its import sets another
    if ray.is_initialized():
        yield "local"
        return
    where = where_is(address)
    if where != "local" and (why := answers(where)) is not None:
        msg = (
            f"no Ray cluster answers at {where} ({why}): start it, or correct engine.address; "
            "what is done is kept"
        )
        raise EngineError(msg)
    with _own_sigterm():
        try:
            _start("local" if where == "local" else address, store_bytes, cpus)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            ray.shutdown()
            msg = (
                f"the Ray cluster at {where} cannot be used: {one_line(error)}; the same ray must "
                "be on every node, and its token here where it takes one (RAY_AUTH_MODE=token)"
            )
            raise EngineError(msg) from error
    try:
        yield where
    finally:
        ray.shutdown()


def _start(address: str, store_bytes: int, cpus: int | None) -> None:
    import ray

    options: dict[str, Any] = {
        "address": address,  # not what it stands for: Ray looks for its token where it says auto
        "log_to_driver": False,
        "configure_logging": False,
        "logging_level": logging.CRITICAL,
    }
    if address == "local":
        options |= {
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": max(LEAST_STORE_BYTES, 3 * store_bytes),
            "_node_ip_address": "127.0.0.1",
        }
    ray.init(**options)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, which `ray.init` replaces."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            with suppress(TypeError):  # a handler that was not set from Python
                signal.signal(signal.SIGTERM, before)
