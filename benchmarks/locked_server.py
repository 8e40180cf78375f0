"""How long Prefect's server on SQLite leaves a caller waiting while many write at once.

    python -m benchmarks.locked_server [--seconds 60] [--writers 4]

Prefect's own `prefect server start` and ganmill's server in turn, each with a new database: flow
runs are created and taken through their states while events trigger automations that create more,
and `/health` is asked twice a second. Prints, for each, the answers, those that ask to come again
(503), and the longest wait for `/health`.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

SERVERS = {
    "prefect server start": ("-m", "prefect", "server", "start"),
    "ganmill": ("-m", "flows.cockpit.server"),
}
TRIES = 240


@contextmanager
def started(words: tuple[str, ...]) -> Iterator[str]:
    """Start a server with a database of its own, and give the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    api = f"http://127.0.0.1:{port}/api"
    with tempfile.TemporaryDirectory() as home:
        ours = {"PREFECT_HOME": home, "PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "CRITICAL"}
        server = subprocess.Popen(
            [sys.executable, *words, "--host", "127.0.0.1", "--port", port],
            env={**os.environ, **ours, "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield api
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@dataclass
class Load:
    """Callers of one server, and what they got."""

    client: httpx.AsyncClient
    last_s: float
    """When they stop, on the monotonic clock."""
    answers: Counter[int] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    """How long `/health` took, each time."""

    def is_over(self) -> bool:
        """Say whether the time is up."""
        return time.monotonic() > self.last_s

    async def post(self, path: str, asked: object) -> dict[str, Any]:
        """Send one request and return what came back, nothing where it did not succeed."""
        with suppress(httpx.TransportError):
            answer = await self.client.post(path, json=asked)
            self.answers[answer.status_code] += 1
            return dict(answer.json()) if answer.is_success and answer.content else {}
        return {}

    async def write(self, flow: str) -> None:
        """Create runs and take each through its states."""
        while not self.is_over():
            made = await self.post("/flow_runs/", {"flow_id": flow, "state": {"type": "SCHEDULED"}})
            for state in ("PENDING", "RUNNING", "COMPLETED") if made else ():
                await self.post(f"/flow_runs/{made['id']}/set_state", {"state": {"type": state}})

    async def emit(self) -> None:
        """Emit the event that starts the automations."""
        while not self.is_over():
            event = {"id": str(uuid.uuid4()), "occurred": datetime.now(UTC).isoformat()}
            resource = {"prefect.resource.id": "busy"}
            await self.post("/events", [{**event, "event": "busy", "resource": resource}])
            await asyncio.sleep(0.2)

    async def watch(self) -> None:
        """Time how long the server takes to say that it is well."""
        while not self.is_over():
            asked_s = time.monotonic()
            with suppress(httpx.TransportError):
                await self.client.get("/health")
            self.waits_s.append(time.monotonic() - asked_s)
            await asyncio.sleep(0.5)


async def ask(client: httpx.AsyncClient, path: str, asked: object) -> dict[str, Any]:
    """Send one request until it succeeds, and return what came back."""
    for _ in range(TRIES):
        with suppress(httpx.TransportError):
            answer = await client.post(path, json=asked)
            if answer.is_success:
                return dict(answer.json())
        await asyncio.sleep(0.5)
    msg = f"the server takes no {path}"
    raise SystemExit(msg)


async def prepare(client: httpx.AsyncClient) -> str:
    """Create a flow and two automations that start it at an event; return its id."""
    flow = await ask(client, "/flows/", {"name": "busy"})
    deployment = await ask(client, "/deployments/", {"name": "busy", "flow_id": flow["id"]})
    trigger = {"type": "event", "posture": "Reactive", "expect": ["busy"], "threshold": 1}
    action = {"type": "run-deployment", "source": "selected", "deployment_id": deployment["id"]}
    for name in ("one", "two"):
        automation = {"name": name, "trigger": {**trigger, "within": 0}, "actions": [action]}
        await ask(client, "/automations/", automation)
    return str(flow["id"])


async def load(api: str, seconds: float, writers: int) -> Load:
    """Write for a while and return what the callers got."""
    async with httpx.AsyncClient(base_url=api, timeout=300) as client:
        flow = await prepare(client)
        found = Load(client, time.monotonic() + seconds)
        await asyncio.gather(
            found.watch(), found.emit(), *(found.write(flow) for _ in range(writers))
        )
    return found


def measure(words: tuple[str, ...], seconds: float, writers: int) -> dict[str, float]:
    """Start a server, load it, and return its answers and the longest wait."""
    with started(words) as api:
        found = asyncio.run(load(api, seconds, writers))
    again = found.answers.pop(httpx.codes.SERVICE_UNAVAILABLE, 0)
    return {"answers": found.answers.total(), "503": again, "health_s": max(found.waits_s)}


def tiny(_: Path) -> dict[str, float]:
    """Measure ganmill's server for two seconds."""
    return measure(SERVERS["ganmill"], 2, 1)


def main() -> None:
    """Measure both servers and print what they did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--writers", type=int, default=4)
    options = parser.parse_args()
    for name, words in SERVERS.items():
        found = measure(words, options.seconds, options.writers)
        told = f"{found['answers']} answers, {found['503']} times 503"
        print(f"{name}: {told}, {found['health_s']:.1f} s for /health", flush=True)


if __name__ == "__main__":
    main()
