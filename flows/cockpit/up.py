"""The UI on this machine by one command: server, work pool, deployments and a worker.

Server and worker are processes of their own; the one that started them ends them. What already
answers at the address is used as it is.
"""

import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx

from flows.errors import EngineError
from storage.stores.settings import load_settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not chosen
STARTUP_S = 180.0
"""A busy machine may need so long for the server's first start."""
FAREWELL_S = 40.0
"""Prefect gives a run thirty seconds to stop."""
POLL_S = 0.3
USER = "ganmill"
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""Where the server keeps who holds a slot; by itself it forgets that when it is started again."""


@dataclass(frozen=True, kw_only=True)
class Cockpit:
    """Where the UI is and where its files lie."""

    host: str = "127.0.0.1"
    port: int = 4200
    folder: Path
    """For Prefect's database, the login, and the worker; absolute."""

    @property
    def ui(self) -> str:
        """The address of the UI."""
        return f"http://{self.host}:{self.port}"

    @property
    def api(self) -> str:
        """The address of the API, as processes of this machine reach it."""
        host = "127.0.0.1" if self.host in EVERYWHERE else self.host
        return f"http://{host}:{self.port}/api"

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it, so that it needs a password."""
        return self.host not in LOOPBACK

    def login_file(self) -> Path:
        """Return the file with `user:password`; made when it is missing, for the owner only."""
        path = self.folder / "login"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(f"{USER}:{secrets.token_urlsafe(24)}")
        return path

    def variables(self) -> dict[str, str]:
        """Return what server, worker and this process are told by the environment."""
        found = {
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",
            "PREFECT_UI_API_URL": "/api",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(load_settings().heartbeat_s),
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
            "PYTHONSAFEPATH": "1",  # a script of Prefect's lies beside a module called storage
        }
        if self.is_open:
            login = self.login_file().read_text()
            found |= {"PREFECT_SERVER_API_AUTH_STRING": login, "PREFECT_API_AUTH_STRING": login}
        return found


def answers(cockpit: Cockpit) -> bool:
    """Say whether a Prefect server answers at the address."""
    try:
        return httpx.get(f"{cockpit.api}/health", timeout=2).text.strip() == "true"
    except httpx.HTTPError:
        return False


def start_server(cockpit: Cockpit, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers.

    Raises:
        EngineError: it ended or did not answer; its log says why.
    """
    if _is_taken(cockpit):
        msg = (
            f"port {cockpit.port} of {cockpit.host} is taken by something that is no Prefect "
            "server: choose another --port"
        )
        raise EngineError(msg)
    server = _start(cockpit, server_words(cockpit), environment, cockpit.folder)
    if not wait_for_server(cockpit, server):
        stop(server)
        log = cockpit.folder / "server.log"
        msg = f"the Prefect server did not start; {log} says why"
        raise EngineError(msg)
    return server


def wait_for_server(cockpit: Cockpit, server: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait until the server answers; False when it ended or the time was up."""
    last_s = monotonic() + STARTUP_S
    while not answers(cockpit):
        if monotonic() > last_s or (server is not None and server.poll() is not None):
            return False
        sleep(POLL_S)
    return True


def start_worker(
    cockpit: Cockpit, pool: str, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a worker of the pool, in a folder of its own."""
    folder = cockpit.folder / "worker"
    folder.mkdir(parents=True, exist_ok=True)
    return _start(cockpit, worker_words(pool), environment, folder)


def server_words(cockpit: Cockpit) -> tuple[str, ...]:
    """Return the arguments of Python that start the server."""
    place = ("--host", cockpit.host, "--port", str(cockpit.port))
    return ("-m", "prefect", "server", "start", *place)


def worker_words(pool: str) -> tuple[str, ...]:
    """Return the arguments of Python that start this machine's worker."""
    return ("-m", "prefect", "worker", "start", "--pool", pool, "--name", worker_name())


def worker_name() -> str:
    """Return the name of this machine's worker."""
    return f"ganmill-{socket.gethostname()}"


def watch(processes: Mapping[str, subprocess.Popen[bytes]], say: Callable[[str], None]) -> str:
    """Wait until one of the processes ends by itself, and return its name."""
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                say(f"the {name} ended with exit code {process.returncode}")
                return name
        sleep(POLL_S)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; after a while make it."""
    process.terminate()
    try:
        process.wait(FAREWELL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(
    cockpit: Cockpit, words: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    """Start Prefect's own command; its output goes to a log, Ctrl-C does not reach it."""
    cockpit.folder.mkdir(parents=True, exist_ok=True)
    with (cockpit.folder / f"{words[2]}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, *words],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _is_taken(cockpit: Cockpit) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((cockpit.host, cockpit.port)) == 0
