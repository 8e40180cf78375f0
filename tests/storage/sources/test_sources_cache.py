"""The cache of prepared sources: built once, by one of many, whole or not at all."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.errors import LakeFullError, NotWritableError, SourceError
from storage.records import durable
from storage.sources.cache import IDLE, obtain
from storage.sources.images import staged
from storage.sources.images import staging as staging_module
from storage.sources.prepared import load_prepared


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".lock")


def fill(folder: Path) -> None:
    (folder / "value").write_text("built")


def read(folder: Path) -> str | None:
    path = folder / "value"
    return path.read_text() if path.exists() else None


def test_an_entry_is_built_once(tmp_path: Path) -> None:
    assert obtain(tmp_path / "deep" / "cache", "a-1", load=read, build=fill) == "built"

    def never(_: Path) -> None:
        raise AssertionError

    assert obtain(tmp_path / "deep" / "cache", "a-1", load=read, build=never) == "built"


def test_one_of_many_builds(tmp_path: Path) -> None:
    builds: list[Path] = []
    start = threading.Barrier(8)

    def build(folder: Path) -> None:
        builds.append(folder)
        fill(folder)

    def run(_: int) -> str:
        start.wait()
        return obtain(tmp_path, "a-1", load=read, build=build)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(8))) == {"built"}
    assert len(builds) == 1


def test_without_locks_one_of_many_wins(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(durable.fcntl, "flock", refuse)
    start = threading.Barrier(4)

    def build(folder: Path) -> None:
        start.wait()
        fill(folder)

    def run(_: int) -> str:
        return obtain(tmp_path, "a-1", load=read, build=build)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(4))) == {"built"}
    assert [path.name for path in entries(tmp_path)] == ["a-1"]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        msg = "unfit"
        raise SourceError(msg)

    with pytest.raises(SourceError, match="unfit"):
        obtain(tmp_path, "a-1", load=read, build=fail)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(
    code: int, tmp_path: Path, prepared, monkeypatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(staged, "write_all", full)
    with pytest.raises(LakeFullError, match="GANMILL_WORK_FOLDER"):
        prepared("example:digits")
    assert entries(tmp_path / "cache") == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotWritableError, match="GANMILL_WORK_FOLDER"):
        obtain(tmp_path / "file" / "cache", "a-1", load=read, build=fill)


def test_another_fault_of_the_disk_passes(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "input/output error")

    with pytest.raises(OSError, match="input/output"):
        obtain(tmp_path, "a-1", load=read, build=fail)


def test_an_entry_that_is_broken_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotWritableError, match="check the disk"):
        obtain(tmp_path, "a-1", load=read, build=lambda _: None)


def test_debris_of_the_killed_is_swept(tmp_path: Path) -> None:
    for name in ("a-1", "b-2"):
        (tmp_path / f"{name}.building-dead").mkdir(parents=True)
    (tmp_path / "a-1").mkdir()
    obtain(tmp_path, "a-1", load=read, build=fill)
    assert [path.name for path in entries(tmp_path)] == ["a-1"]


def test_what_another_process_builds_is_not_swept(tmp_path: Path) -> None:
    with durable.hold_lock(tmp_path / "b-2.lock") as locked:
        assert locked
        (tmp_path / "b-2.building-alive").mkdir()
        obtain(tmp_path, "a-1", load=read, build=fill)
    assert [path.name for path in entries(tmp_path)] == ["a-1", "b-2.building-alive"]


def test_idle_entries_of_a_changed_source_are_pruned(tmp_path: Path) -> None:
    for name in ("a-1", "a-2", "b-1"):
        obtain(tmp_path, name, load=read, build=fill)
    long_ago = (datetime.now(UTC) - 2 * IDLE).timestamp()
    for name in ("a-1", "b-1"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    obtain(tmp_path, "a-3", load=read, build=fill)
    assert [path.name for path in entries(tmp_path)] == ["a-2", "a-3", "b-1"]
    os.utime(tmp_path / "a-2", (long_ago, long_ago))
    obtain(tmp_path, "a-2", load=read, build=fill)
    obtain(tmp_path, "a-4", load=read, build=fill)
    assert (tmp_path / "a-2").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "index", "foreign"])
def test_a_damaged_entry_is_built_again(damage: str, prepared) -> None:
    folder = prepared("example:digits").folder
    pixels, index = folder / "train.u8", folder / "prepared.json"
    if damage == "truncate":
        os.truncate(pixels, 100)
    elif damage == "flip":
        data = bytearray(pixels.read_bytes())
        data[1000] ^= 1
        pixels.write_bytes(data)
    elif damage == "remove":
        (folder / "train.arrow").unlink()
    elif damage == "index":
        index.write_text(index.read_text().replace("1069", "1068"))
    else:
        index.write_text(json.dumps({"index": {"schema": "other"}, "digest": ""}))
    assert load_prepared(folder) is None
    again = prepared("example:digits")
    assert again.folder == folder
    assert load_prepared(folder) is not None


def test_large_files_are_probed_at_both_ends(tmp_path: Path) -> None:
    from storage.sources.prepared import _PROBE_WHOLE_BYTES, _probe

    path = tmp_path / "large"
    path.write_bytes(bytes(2 * _PROBE_WHOLE_BYTES))
    probe = _probe(path)
    for position in (0, 2 * _PROBE_WHOLE_BYTES - 1):
        with path.open("r+b") as file:
            file.seek(position)
            file.write(b"x")
        assert _probe(path) != probe
        path.write_bytes(bytes(2 * _PROBE_WHOLE_BYTES))
    assert _probe(path) == probe


KILLED = """
import os, signal, sys
from pathlib import Path
from storage.sources import prepare
from storage.sources.config import SourceConfig
from storage.sources.images import staged

number = int(sys.argv[1])
steps = 0

def counted(function):
    def step(*arguments, **named):
        global steps
        steps += 1
        if steps == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return step

for owner, name in [(staged, "write_all"), (os, "fsync"), (Path, "rename"), (Path, "mkdir"),
                    (Path, "unlink")]:
    setattr(owner, name, counted(getattr(owner, name)))
prepare.prepare(SourceConfig(uri=sys.argv[3]), folder=Path(sys.argv[2]), min_group=10)
"""


@pytest.fixture
def source(make_folder, pictures, encode) -> str:
    return str(make_folder([encode(picture) for picture in pictures]))


@pytest.mark.parametrize("number", [1, pytest.param(3, marks=pytest.mark.full), 6, 9, 12])
def test_killed_at_any_step_the_next_run_is_whole(
    number: int, tmp_path: Path, prepared, source: str
) -> None:
    command = [sys.executable, "-c", KILLED, str(number), str(tmp_path / "cache"), source]
    killed = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    result = prepared(source)
    assert sum(result.rows.values()) == 120
    assert entries(tmp_path / "cache") == [result.folder]


def test_two_processes_at_once(tmp_path: Path, prepared, source: str) -> None:
    command = [sys.executable, "-c", KILLED, "0", str(tmp_path / "cache"), source]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    result = prepared(source)
    assert entries(tmp_path / "cache") == [result.folder]


def test_settings_have_entries_of_their_own(prepared) -> None:
    folders = {
        prepared("example:digits").folder,
        prepared("example:digits", label=None).folder,
        prepared("example:digits", resize=16).folder,
        prepared("example:digits", split={"holdout": 0.3}).folder,
        prepared("example:digits-skewed").folder,
    }
    assert len(folders) == 5
    assert prepared("example:digits", confidential=False).folder in folders


def test_a_reused_entry_decodes_nothing(prepared, monkeypatch) -> None:
    first = prepared("example:digits")
    monkeypatch.delattr(staging_module, "decoded_batches")
    assert prepared("example:digits") == first
