"""The UI on this machine: Prefect's server and a worker, as processes or as systemd services.

Processes are ended by the command that started them; what already answers at the address is used as
it is. Services outlast a logout and a restart: root gets services of the system, everyone else his
own with lingering. Variables that a shell sets do not reach a service: those of the cockpit are
written to a file that only its owner reads, and credentials are put there by a person.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from time import monotonic, sleep

import httpx

from flows.errors import EngineError
from storage.stores.settings import load_settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not chosen
STARTUP_S = 180.0
"""A busy machine may need so long for the server's first start."""
SHUTDOWN_TIMEOUT_S = 40.0
"""Prefect gives a run thirty seconds to stop."""
POLL_S = 0.3
HIGHEST_PORT = 65_535
PORTS_APART = 100
"""Between the UI and the reports, so that cockpits side by side do not meet."""
USER = "ganmill"
LOGIN, API = "login", "api.url"
"""Files of the cockpit's folder: `user:password`, and where its API is."""
POOL = "ganmill"
"""The work pool, of type `process`, unless another is named."""
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""Where the server keeps the leases; by itself it forgets them when it is started again."""


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
    def reports_port(self) -> int:
        """The port of the reports of local lakes, unless it is taken."""
        above = self.port + PORTS_APART
        return above if above <= HIGHEST_PORT else self.port - PORTS_APART

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it, so that it needs a password."""
        return self.host not in LOOPBACK

    def login_file(self) -> Path:
        """Return the file with `user:password`; made when it is missing, for the owner only."""
        path = self.folder / LOGIN
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(f"{USER}:{secrets.token_urlsafe(24)}")
        return path

    def variables(self) -> dict[str, str]:
        """Return the environment variables of server, worker and this process."""
        found = {
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",
            "PREFECT_UI_API_URL": "/api",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(max(30, load_settings().heartbeat_s)),
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


def running(folder: Path) -> dict[str, str]:
    """Return the variables with which a process reaches the cockpit of a folder, if it runs."""
    try:
        api = (folder / API).read_text(encoding="utf-8").strip()
        if httpx.get(f"{api}/health", timeout=2, trust_env=False).text.strip() != "true":
            return {}
        login = folder / LOGIN
        known = {"PREFECT_API_AUTH_STRING": login.read_text()} if login.exists() else {}
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return {}
    return {"PREFECT_API_URL": api, **known}


def start_server(cockpit: Cockpit, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers.

    Raises:
        EngineError: it ended or did not answer; its log says why.
    """
    with socket.socket() as probe:
        is_taken = probe.connect_ex((cockpit.host, cockpit.port)) == 0
    if is_taken:
        msg = (
            f"port {cockpit.port} of {cockpit.host} is taken by something that is no Prefect "
            "server: choose another --port"
        )
        raise EngineError(msg)
    server = _start(cockpit, "server", server_words(cockpit), environment, cockpit.folder)
    if not wait_for_server(cockpit, server):
        stop(server)
        msg = f"the Prefect server did not start; {cockpit.folder / 'server.log'} says why"
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
    return _start(cockpit, "worker", worker_words(pool), environment, folder)


def server_words(cockpit: Cockpit) -> tuple[str, ...]:
    """Return the arguments of Python that start the server."""
    address = ("--host", cockpit.host, "--port", str(cockpit.port))
    return ("-m", "flows.cockpit.server", *address)


def worker_words(pool: str) -> tuple[str, ...]:
    """Return the arguments of Python that start this machine's worker."""
    return ("-m", "flows.cli", "worker", "--pool", pool, "--name", worker_name())


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
        process.wait(SHUTDOWN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(
    cockpit: Cockpit, name: str, words: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    """Start a command of Python's; its output goes to a log, Ctrl-C does not reach it."""
    cockpit.folder.mkdir(parents=True, exist_ok=True)
    with (cockpit.folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, *words],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


SERVER, WORKER = "ganmill-server.service", "ganmill-worker.service"
REPORTS = "ganmill-reports.service"
OURS = ("GANMILL_", "AWS_", "PREFECT_")
"""First letters of the variables that a job may need."""
OFFLINE = frozenset({"offline", "unknown", ""})
"""What `systemctl is-system-running` says where systemd does not run."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Who runs the services, and where systemd looks for them."""

    folder: Path
    """For the units."""
    of_system: bool
    """Whether they belong to the system, not to one user."""

    def systemctl(self, *words: str) -> list[str]:
        """Return a command that speaks to the systemd they belong to."""
        return ["systemctl", *([] if self.of_system else ["--user"]), *words]

    def commands(self) -> list[list[str]]:
        """Return what starts the services now and at every start of the machine."""
        linger = [] if self.of_system else [["loginctl", "enable-linger"]]
        enable = self.systemctl("enable", "--now", SERVER, WORKER, REPORTS)
        return [*linger, self.systemctl("daemon-reload"), enable]


def services() -> Services:
    """Return the services of whoever runs this."""
    if os.geteuid() == 0:
        return Services(folder=Path("/etc/systemd/system"), of_system=True)
    return Services(folder=Path.home() / ".config" / "systemd" / "user", of_system=False)


def write_units(
    cockpit: Cockpit, pool: str, variables: Mapping[str, str], where: Services
) -> tuple[Path, ...]:
    """Write the units and the file of variables, and return where they are.

    What a person added to the file of variables stays.
    """
    environment = cockpit.folder / "environment"
    cockpit.folder.mkdir(parents=True, exist_ok=True)
    (cockpit.folder / "worker").mkdir(exist_ok=True)
    _write_variables(environment, variables)
    where.folder.mkdir(parents=True, exist_ok=True)
    units = {
        SERVER: ("Prefect server and UI", "network-online.target", cockpit.folder),
        WORKER: ("worker of the nightly jobs", SERVER, cockpit.folder / "worker"),
        REPORTS: ("reports of local lakes", SERVER, cockpit.folder),
    }
    commands = {
        SERVER: server_words(cockpit),
        WORKER: worker_words(pool),
        REPORTS: ("-m", "flows.cockpit.reports", str(cockpit.reports_port), cockpit.api),
    }
    template = Template(files("flows.cockpit").joinpath("unit.service").read_text())
    for name, (description, after, folder) in units.items():
        text = template.substitute(
            description=f"ganmill: {description}",
            after=after,
            folder=_path(folder),
            environment=_path(environment),
            command=" ".join(map(_word, (sys.executable, *commands[name]))),
            target="multi-user.target" if where.of_system else "default.target",
        )
        (where.folder / name).write_text(text)
    return (*(where.folder / name for name in units), environment)


def start_units(where: Services) -> bool:
    """Start the services; False where systemd does not run.

    Raises:
        EngineError: systemd refused; its own words say why.
    """
    if shutil.which("systemctl") is None:
        return False
    state = subprocess.run(  # noqa: S603 - our own words
        where.systemctl("is-system-running"), capture_output=True, text=True, check=False
    )
    if state.stdout.strip() in OFFLINE:
        return False
    for command in where.commands():
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        if done.returncode != 0:
            reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            msg = f"`{' '.join(command)}` failed: {reason}"
            raise EngineError(msg)
    return True


def missing_variables(environment: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the variables that services need and their file does not have."""
    known = {_name(line) for line in environment.read_text().splitlines()}
    return tuple(sorted(name for name in names if name.startswith(OURS) and name not in known))


def _write_variables(path: Path, variables: Mapping[str, str]) -> None:
    """Write variables into a file for the owner only; the other lines in it stay as they are."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    others = [line for line in path.read_text().splitlines() if _name(line) not in variables]
    ours = [f"{name}={_quoted(value)}" for name, value in sorted(variables.items())]
    path.write_text("\n".join([*others, *ours, ""]))


def _name(line: str) -> str:
    """Return the variable that a line sets; a comment sets none."""
    name, found, _ = line.partition("=")
    return name.strip() if found and not line.startswith("#") else ""


def _word(text: str) -> str:
    """Return a word of a command as systemd reads one, with nothing to be expanded."""
    return _quoted(text).replace("%", "%%").replace("$", "$$")


def _path(path: Path) -> str:
    """Return a path as systemd reads one: no quotes, a doubled percent sign."""
    return str(path).replace("%", "%%")


def _quoted(text: str) -> str:
    """Return a word in double quotes, unless it is plain."""
    if text and all(letter.isalnum() or letter in "-_./:+,=@" for letter in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
