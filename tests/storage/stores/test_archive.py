"""A store over archives: every kind gives the same members, and nothing leaves or damages it."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from storage.errors import IntegrityError, NotWritableError, ObjectNotFoundError
from storage.stores.archive import ArchiveStore
from storage.stores.memory import MemoryStore

MEMBERS = {"a/1.png": b"one" * 50, "a/2.png": b"", "b/x y.txt": b"text"}
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def tar_of(members, *, links=()):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return data.getvalue()


def zip_of(members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def opened(**archives):
    store = MemoryStore()
    for name, data in archives.items():
        store.put_once(name.replace("_", "."), data)
    return store, ArchiveStore("memory://a", store, list(store.list()))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x_zip", zip_of(MEMBERS)),
        ("x_tar", tar_of(MEMBERS)),
        *((f"x_tar_{kind}", pack(tar_of(MEMBERS))) for kind, pack in PACKERS.items()),
        ("x_tgz", gzip.compress(tar_of(MEMBERS))),
    ],
)
def test_every_kind_of_archive_gives_its_members(name, data):
    _, archive = opened(**{name: data})
    assert {info.key: info.size_bytes for info in archive.list()} == {
        key: len(content) for key, content in MEMBERS.items()
    }
    assert {key: archive.get(key) for key in MEMBERS} == MEMBERS
    assert [info.key for info in archive.list("a/")] == ["a/1.png", "a/2.png"]
    assert archive.open("b/x y.txt").read() == b"text"
    assert archive.stat("a/1.png").size_bytes == 150
    assert archive.stat("a/3.png") is None
    with pytest.raises(ObjectNotFoundError, match=r"a/3.png"):
        archive.get("a/3.png")


def test_several_archives_lie_side_by_side():
    _, archive = opened(one_tar=tar_of({"x": b"1"}), two_zip=zip_of({"x": b"2"}))
    assert {info.key: archive.get(info.key) for info in archive.list()} == {
        "one/x": b"1",
        "two/x": b"2",
    }


def test_archives_of_one_stem_lie_apart_too():
    _, archive = opened(one_tar=tar_of({"x": b"1"}), one_zip=zip_of({"x": b"2"}))
    assert {info.key: archive.get(info.key) for info in archive.list()} == {
        "one.tar/x": b"1",
        "one.zip/x": b"2",
    }


def test_members_outside_and_links_are_left_out():
    data = tar_of({"./in.png": b"1", "../out.png": b"2", "/abs.png": b"3"}, links=[("l", "/etc")])
    _, archive = opened(x_tar=data)
    assert [info.key for info in archive.list()] == ["abs.png", "in.png"]


def test_nothing_can_be_written():
    _, archive = opened(x_tar=tar_of(MEMBERS))
    for change in (
        lambda: archive.put_once("k", b""),
        lambda: archive.replace("k", b""),
        lambda: archive.delete("a/1.png"),
    ):
        with pytest.raises(NotWritableError):
            change()


def test_an_archive_that_changed_has_no_members_any_more():
    store, archive = opened(x_tar=tar_of(MEMBERS))
    store.replace("x.tar", tar_of({**MEMBERS, "c/new.png": b"12" * 9000}))
    assert list(archive.list()) == []
    assert archive.stat("a/1.png") is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x_zip", zip_of(MEMBERS)[:-30]),
        ("x_tar_gz", gzip.compress(tar_of(MEMBERS))[:-40]),
        ("x_tar", b"no archive at all" * 100),
        ("x_zip", b""),
    ],
)
def test_a_damaged_archive_is_one_sentence(name, data):
    with pytest.raises(IntegrityError, match=r"The archive 'memory://a' cannot be read at"):
        opened(**{name: data})


def test_a_damaged_member_is_one_sentence():
    data = bytearray(zip_of({"a.png": bytes(range(256)) * 20}))
    data[60] ^= 0xFF
    _, archive = opened(x_zip=bytes(data))
    with pytest.raises(IntegrityError, match=r"cannot be read at 'a.png'"):
        archive.get("a.png")


def test_a_bomb_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("storage.stores.archive.MAX_UNPACKED_BYTES", 1 << 16)
    zeros = {"zeros": bytes(1 << 20)}
    _, archive = opened(x_zip=zip_of(zeros))
    with pytest.raises(IntegrityError, match="grow to 1,048,576"):
        archive.get("zeros")
    with pytest.raises(IntegrityError, match="bytes grow to"):
        opened(x_tar_gz=gzip.compress(tar_of(zeros)))
