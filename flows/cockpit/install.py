"""Server and worker as systemd services, so that the night survives a logout and a restart.

Root gets services of the system, everyone else his own with lingering. Variables that a shell
sets do not reach a service: those of the cockpit are written to a file that only its owner reads,
and credentials are put there by a person.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.cockpit.up import Cockpit, server_words, worker_words
from flows.errors import EngineError

SERVER, WORKER = "ganmill-server.service", "ganmill-worker.service"
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
        enable = self.systemctl("enable", "--now", SERVER, WORKER)
        return [*linger, self.systemctl("daemon-reload"), enable]


def services() -> Services:
    """Return the services of whoever runs this."""
    if os.geteuid() == 0:
        return Services(folder=Path("/etc/systemd/system"), of_system=True)
    return Services(folder=Path.home() / ".config" / "systemd" / "user", of_system=False)


def write_units(
    cockpit: Cockpit, pool: str, variables: Mapping[str, str], where: Services
) -> tuple[Path, Path, Path]:
    """Write the two units and the file of variables, and return where they are.

    What a person added to the file of variables stays.
    """
    environment = cockpit.folder / "environment"
    cockpit.folder.mkdir(parents=True, exist_ok=True)
    (cockpit.folder / "worker").mkdir(exist_ok=True)
    _write_variables(environment, variables)
    where.folder.mkdir(parents=True, exist_ok=True)
    server, worker = where.folder / SERVER, where.folder / WORKER
    target = "multi-user.target" if where.of_system else "default.target"
    server.write_text(
        _unit(
            "ganmill: Prefect server and UI",
            "network-online.target",
            _service(cockpit.folder, environment, server_words(cockpit)),
            target,
        )
    )
    worker.write_text(
        _unit(
            "ganmill: worker of the nightly jobs",
            SERVER,
            _service(cockpit.folder / "worker", environment, worker_words(pool)),
            target,
        )
    )
    return server, worker, environment


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
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            msg = f"`{' '.join(command)}` failed: {said}"
            raise EngineError(msg)
    return True


def forgotten(environment: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return the variables of this shell that the services will not have.

    Args:
        environment: the file of variables.
        names: of the variables that this process has.
    """
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


def _service(folder: Path, environment: Path, words: Sequence[str]) -> str:
    command = " ".join(
        _quoted(word).replace("%", "%%").replace("$", "$$") for word in (sys.executable, *words)
    )
    return "\n".join(
        (
            "[Service]",
            f"WorkingDirectory={_path(folder)}",
            f"EnvironmentFile={_path(environment)}",
            f"ExecStart={command}",
            "Restart=always",
            "RestartSec=5",
            "KillMode=mixed",
            "TimeoutStopSec=45",
        )
    )


def _unit(description: str, after: str, service: str, target: str) -> str:
    head = f"[Unit]\nDescription={description}\nAfter={after}\nWants={after}\n"
    return f"{head}\n{service}\n\n[Install]\nWantedBy={target}\n"


def _path(path: Path) -> str:
    """Return a path as systemd reads one: no quotes, a doubled percent sign."""
    return str(path).replace("%", "%%")


def _quoted(text: str) -> str:
    """Return a word in double quotes, unless it is plain."""
    if text and all(letter.isalnum() or letter in "-_./:+,=@" for letter in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
