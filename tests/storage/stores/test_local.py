"""What is special to a folder: durability, full disks, permissions, links, debris."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import storage.stores.local
from storage.errors import (
    AccessDeniedError,
    LakeError,
    LakeFullError,
    NotWritableError,
    ObjectNotFoundError,
)
from storage.stores.interface import STAGING
from storage.stores.local import STALE_STAGED_S, LocalStore, leaving_links


@pytest.fixture
def lake(tmp_path):
    return tmp_path / "lake"


@pytest.fixture
def local(lake):
    return LocalStore(lake)


def keys_of(store, prefix=""):
    return [info.key for info in store.list(prefix)]


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def failing(monkeypatch, name, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(f"storage.stores.local.os.{name}", fail)


class TestPut:
    def test_reading_creates_nothing(self, local, lake):
        assert keys_of(local) == []
        assert local.stat("a") is None
        local.delete("a")
        assert not lake.exists()

    def test_is_durable_before_it_is_visible(self, local, lake, monkeypatch):
        steps = []
        fsync, link = os.fsync, os.link

        def noted_fsync(descriptor):
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            steps.append("sync " + path.relative_to(lake.parent).parts[-1])
            fsync(descriptor)

        def noted_link(source, target):
            steps.append(f"link {target.name}")
            link(source, target)

        local.put_once("d/warm-up", b"")
        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(os, "link", noted_link)
        local.put_once("d/new/name", b"data")
        staged, *rest = steps
        assert len(staged) == len("sync ") + 32
        assert rest == ["sync d", "link name", "sync new"]

    def test_leaves_nothing_staged(self, local, lake):
        local.put_once("a", b"1")
        local.put_once("a", b"2")
        local.replace("a", b"3")
        assert files_below(lake) == ["a"]

    def test_a_folder_in_the_way_is_named(self, local):
        local.put_once("a/b", b"1")
        for put in (local.put_once, local.replace):
            with pytest.raises(NotWritableError, match="'a' cannot be written"):
                put("a", b"2")

    def test_a_file_in_the_way_is_named(self, local):
        local.put_once("a", b"1")
        for put in (local.put_once, local.replace):
            with pytest.raises(NotWritableError, match="'a/b' cannot be written"):
                put("a/b", b"2")

    def test_survives_a_deleter_of_empty_folders(self, local, monkeypatch):
        link, left = os.link, [3]

        def link_late(source, target):
            if left[0]:
                left[0] -= 1
                target.parent.rmdir()
            link(source, target)

        monkeypatch.setattr(os, "link", link_late)
        assert local.put_once("a/b/c", b"1")
        assert local.get("a/b/c") == b"1"

    def test_gives_up_on_a_folder_that_always_vanishes(self, local, monkeypatch):
        failing(monkeypatch, "link", errno.ENOENT)
        with pytest.raises(NotWritableError, match="vanishes whenever it is created"):
            local.put_once("a/b", b"1")


class TestDelete:
    def test_removes_folders_that_become_empty(self, local, lake):
        local.put_once("a/b/c/d", b"1")
        local.put_once("a/other", b"1")
        local.delete("a/b/c/d")
        assert not (lake / "a" / "b").exists()
        local.delete("a/other")
        assert lake.exists()
        assert not (lake / "a").exists()


class TestFaults:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
    @pytest.mark.parametrize("put", ["put_once", "replace"])
    def test_a_full_disk(self, local, lake, monkeypatch, number, put):
        failing(monkeypatch, "fsync", number)
        lake.mkdir()
        (lake / STAGING).mkdir()
        with pytest.raises(LakeFullError, match=r"is full .* free space"):
            getattr(local, put)("a/b", b"data")
        assert files_below(lake) == []

    def test_a_disk_that_fills_up_while_writing(self, lake):
        """A limit on the size of files stops the write in its middle, as a full disk does."""
        script = f"""
import resource, signal
from pathlib import Path
from storage.errors import LakeFullError
from storage.stores.local import LocalStore
store = LocalStore(Path({str(lake)!r}))
store.put_once("before", b"x" * 1000)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for put in (store.put_once, store.replace):
    try:
        put("large", b"x" * 10_000)
    except LakeFullError:
        print("full")
assert store.put_once("after", b"x" * 1000)
"""
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
        assert done.stdout.split() == ["full", "full"]
        assert files_below(lake) == ["after", "before"]

    @pytest.mark.parametrize("number", [errno.EXDEV, errno.ENOTSUP, errno.EPERM])
    def test_a_file_system_without_hard_links(self, local, monkeypatch, number):
        failing(monkeypatch, "link", number)
        with pytest.raises(NotWritableError, match="refuses hard links"):
            local.put_once("a", b"1")

    def test_anything_else_is_a_lake_error(self, local, monkeypatch):
        failing(monkeypatch, "link", errno.EIO)
        with pytest.raises(LakeError, match="check the disk"):
            local.put_once("a", b"1")

    def test_a_lake_inside_a_file(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(NotWritableError, match="choose a folder you may write to"):
            LocalStore(tmp_path / "file" / "lake").put_once("a", b"1")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_without_permission(self, local, lake):
        local.put_once("a", b"1")
        (lake / "a").chmod(0)
        with pytest.raises(AccessDeniedError, match="may not be read"):
            local.get("a")
        (lake / STAGING).chmod(0o500)
        with pytest.raises(NotWritableError, match="choose a folder you may write to"):
            local.put_once("b", b"1")

    @pytest.mark.parametrize(
        ("number", "error"),
        [(errno.EACCES, AccessDeniedError), (errno.EIO, LakeError), (errno.ENOENT, None)],
    )
    def test_faults_of_reading(self, local, monkeypatch, number, error):
        local.put_once("a", b"1")

        def fail(*_, **__):
            raise OSError(number, os.strerror(number), "somewhere")

        monkeypatch.setattr(Path, "read_bytes", fail)
        with pytest.raises(error or ObjectNotFoundError) as raised:
            local.get("a")
        assert type(raised.value) is (error or ObjectNotFoundError)


class TestKilled:
    @pytest.mark.parametrize("step", ["fsync", "link"])
    @pytest.mark.parametrize("after", [False, True])
    def test_inside_a_put(self, local, lake, step, after):
        """SIGKILL before or after the file is synced, and before or after it is linked."""
        script = f"""
import os, signal
from pathlib import Path
from storage.stores.local import LocalStore
store = LocalStore(Path({str(lake)!r}))
store.put_once("before", b"whole")
real = os.{step}
def fatal(*arguments):
    if {after}:
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
os.{step} = fatal
store.put_once("a/b", b"data")
"""
        done = subprocess.run([sys.executable, "-c", script], check=False)
        assert done.returncode == -signal.SIGKILL
        linked = step == "link" and after
        assert keys_of(local) == (["a/b", "before"] if linked else ["before"])
        assert len(files_below(lake / STAGING)) == 1
        assert local.put_once("a/b", b"data") is not linked
        assert local.get("a/b") == b"data"

    def test_debris_is_swept_after_a_day(self, lake):
        staging = lake / STAGING
        staging.mkdir(parents=True)
        for name, age_s in (("old", STALE_STAGED_S + 60), ("young", 60)):
            path = staging / name
            path.write_bytes(b"half")
            past_s = path.stat().st_mtime - age_s
            os.utime(path, (past_s, past_s))
        LocalStore(lake).put_once("a", b"1")
        assert files_below(staging) == ["young"]

    def test_what_a_living_process_stages_is_not_swept_however_old_it_looks(self, lake):
        """The clock jumped forward between its staging and the sweep."""
        with LocalStore(lake)._staged(b"slow") as staged:
            past_s = staged.stat().st_mtime - 10 * STALE_STAGED_S
            os.utime(staged, (past_s, past_s))
            LocalStore(lake).put_once("a", b"1")
            assert staged.read_bytes() == b"slow"
        assert files_below(lake) == ["a"]

    def test_what_is_stamped_with_a_time_to_come_is_not_swept(self, lake):
        """The clock jumped back."""
        staging = lake / STAGING
        staging.mkdir(parents=True)
        path = staging / "half"
        path.write_bytes(b"half")
        future_s = path.stat().st_mtime + 10 * STALE_STAGED_S
        os.utime(path, (future_s, future_s))
        LocalStore(lake).put_once("a", b"1")
        assert files_below(staging) == ["half"]

    def test_age_is_told_by_the_clock_of_the_file_system(self, lake, monkeypatch):
        monkeypatch.setattr("time.time", lambda: 4e9)
        staging = lake / STAGING
        staging.mkdir(parents=True)
        (staging / "young").write_bytes(b"half")
        LocalStore(lake).put_once("a", b"1")
        assert files_below(staging) == ["young"]


class TestList:
    def test_what_is_staged_is_not_listed_at_any_depth(self, local, lake):
        LocalStore(lake / "datasets").put_once("a", b"1")
        for folder in (lake, lake / "datasets"):
            (folder / STAGING).mkdir(exist_ok=True)
            (folder / STAGING / "half").write_bytes(b"")
        assert keys_of(local) == ["datasets/a"]
        with pytest.raises(LakeError):
            local.get(f"datasets/{STAGING}/half")
        with pytest.raises(LakeError):
            keys_of(local, f"{STAGING}/")

    def test_links_are_followed_and_loops_are_not(self, local, lake, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "image.png").write_bytes(b"png")
        local.put_once("real/a", b"1")
        (lake / "linked").symlink_to(outside)
        (lake / "real" / "loop").symlink_to(lake)
        (lake / "real" / "broken").symlink_to(lake / "nowhere")
        os.mkfifo(lake / "real" / "pipe")
        assert keys_of(local) == ["linked/image.png", "real/a"]
        assert local.get("linked/image.png") == b"png"

    def test_what_vanishes_meanwhile_is_left_out(self, local, lake):
        for key in ("a/1", "b/1", "c"):
            local.put_once(key, b"1")
        listing = local.list()
        assert next(listing).key == "a/1"
        (lake / "b" / "1").unlink()
        (lake / "b").rmdir()
        (lake / "c").unlink()
        assert list(listing) == []


class TestRoot:
    def test_stays_where_it_was_opened(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = LocalStore(Path("lake"))
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.put_once("a", b"1")
        assert (tmp_path / "lake" / "a").read_bytes() == b"1"
        assert store.uri == "lake"


def test_links_that_lead_out_are_found(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    (outside / "d").mkdir(parents=True)
    for path in (root / "own", root / "a/own", outside / "file", outside / "d/file"):
        path.touch()
    (root / "a/inner").symlink_to(root / "own")
    (root / "a/link").symlink_to(outside / "file")
    (root / "folder").symlink_to(outside / "d")
    keys = [info.key for info in LocalStore(root).list()]
    assert keys == ["a/inner", "a/link", "a/own", "folder/file", "own"]
    assert leaving_links(root, keys) == [
        ("a/link", str(outside / "file")),
        ("folder/file", str(outside / "d/file")),
    ]


def test_links_around_a_folder_end(tmp_path, monkeypatch):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/file").touch()
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    assert [info.key for info in LocalStore(tmp_path).list()] == ["a/file"]
    monkeypatch.setattr(storage.stores.local, "MOST_WAYS", 20)
    for one in range(5):
        (tmp_path / f"d{one}").mkdir()
        for other in range(5):
            (tmp_path / f"d{one}/to{other}").symlink_to(tmp_path / f"d{other}")
    with pytest.raises(LakeError, match="in more than 20 ways"):
        list(LocalStore(tmp_path).list())
