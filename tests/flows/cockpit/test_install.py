"""Services of systemd: what the units say, who reads the variables, what a shell must hand over."""

import configparser
import shutil
import stat
import subprocess
import sys

import pytest

from flows.cockpit import local
from flows.cockpit.local import (
    REPORTS,
    SERVER,
    WORKER,
    Cockpit,
    Services,
    missing_variables,
    start_units,
    worker_name,
    write_units,
)
from flows.errors import EngineError


@pytest.fixture
def cockpit(tmp_path):
    return Cockpit(port=4321, folder=tmp_path / "a place 100%" / "cockpit")


@pytest.fixture
def where(tmp_path):
    return Services(folder=tmp_path / "units", of_system=False)


def read(path):
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(path)
    return unit


def test_units_that_start_what_the_command_starts(cockpit, where):
    server, worker, reports, environment = write_units(
        cockpit, "pool", {"PREFECT_HOME": "/x y"}, where
    )
    service = read(server)["Service"]
    assert service["ExecStart"].split() == [
        *(sys.executable, "-m", "flows.cockpit.server"),
        *("--host", "127.0.0.1", "--port", "4321"),
    ]
    assert service["WorkingDirectory"] == str(cockpit.folder).replace("%", "%%")
    assert service["Restart"] == "always"
    unit = read(worker)
    assert unit["Unit"]["After"] == SERVER
    assert unit["Service"]["ExecStart"].split()[-4:] == ["--pool", "pool", "--name", worker_name()]
    assert unit["Install"]["WantedBy"] == "default.target"
    words = read(reports)["Service"]["ExecStart"].split()
    assert words[1:] == ["-m", "flows.cockpit.reports", "4421", cockpit.api]
    assert (cockpit.folder / "worker").is_dir()
    assert environment.read_text() == 'PREFECT_HOME="/x y"\n'
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600


def test_what_a_person_added_stays_and_what_changed_is_changed(cockpit, where):
    *_, environment = write_units(cockpit, "pool", {"A": "1", "B": "2"}, where)
    with environment.open("a") as file:
        file.write('# mine\nAWS_SECRET_ACCESS_KEY="a=b"\n')
    write_units(cockpit, "pool", {"A": "3", "B": 'say "no"'}, where)
    assert environment.read_text().splitlines() == [
        "# mine",
        'AWS_SECRET_ACCESS_KEY="a=b"',
        "A=3",
        r'B="say \"no\""',
    ]
    names = ("HOME", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GANMILL_STORAGE__X__SECRET")
    assert missing_variables(environment, names) == ("AWS_PROFILE", "GANMILL_STORAGE__X__SECRET")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd is installed")
def test_systemd_finds_no_fault_in_the_units(cockpit, where):
    write_units(cockpit, "pool", {}, where)
    words = [
        "systemd-analyze",
        "verify",
        "--man=no",
        *(where.folder / x for x in (SERVER, WORKER, REPORTS)),
    ]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "ganmill" in line]
    assert not ours, ours


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """Return a function that puts a systemctl of these words first on the path."""

    def put(script):
        for name in ("systemctl", "loginctl"):
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f'#!/bin/sh\necho "{name} $@" >> {tmp_path}/said\n{script}\n')
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        return tmp_path / "said"

    return put


def test_the_services_of_a_user_linger_and_start(systemctl, where):
    said = systemctl("echo running")
    assert start_units(where)
    assert said.read_text().splitlines()[1:] == [
        "loginctl enable-linger",
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {SERVER} {WORKER} {REPORTS}",
    ]


def test_without_a_systemd_nothing_is_started(systemctl, where):
    said = systemctl("echo offline; exit 1")
    assert not start_units(where)
    assert len(said.read_text().splitlines()) == 1


def test_what_systemd_refuses_is_said(systemctl, where):
    systemctl('case "$*" in *enable*) echo "no such unit" >&2; exit 1;; esac; echo running')
    with pytest.raises(EngineError, match=r"enable.* failed: no such unit"):
        start_units(where)


def test_root_installs_for_the_system_and_others_for_themselves(monkeypatch):
    monkeypatch.setattr(local.os, "geteuid", lambda: 0)
    assert local.services().commands()[0] == ["systemctl", "daemon-reload"]
    monkeypatch.setattr(local.os, "geteuid", lambda: 1000)
    assert local.services().folder.parts[-3:] == (".config", "systemd", "user")
