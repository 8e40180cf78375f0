"""Fixtures that more than one package needs: stores, and an S3 server on a socket.

The S3 tests run against moto in this process. To run them against a real server, such as Ceph
radosgw or MinIO, name it:

    GANMILL_TEST_S3_ENDPOINT=http://127.0.0.1:7480 GANMILL_TEST_S3_KEY=… GANMILL_TEST_S3_SECRET=… \
        python -m pytest tests/contracts/test_object_store.py tests/storage

(`GANMILL_TEST_S3_REGION` is us-east-1 unless set.) Only then do the tests of wrong secrets and
damaged bodies run, as moto accepts both. Objects are put into a bucket of their own.
"""

import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from storage.records.modalities import MODALITIES
from storage.stores.counting import CountingStore
from storage.stores.interface import ObjectStore
from storage.stores.memory import MemoryStore
from storage.stores.open import open_store
from storage.stores.retry import RetryingStore, RetryPolicy
from storage.stores.s3 import S3Store
from storage.stores.settings import StorageProfile

sys.path.insert(0, str(Path(__file__).parent))  # the package vectors

KINDS = ("local", "memory", "s3", "counting")


@dataclass(frozen=True)
class S3Server:
    """A live server with one bucket."""

    profile: StorageProfile
    bucket: str
    real: bool
    """Whether it is more than moto: it checks secrets and digests."""


@dataclass(frozen=True)
class Address:
    """What another process needs to open the same store."""

    uri: str
    profile: StorageProfile | None


@pytest.fixture
def with_vectors() -> Iterator[None]:
    """The table of modalities with the toy's row, above those that take any Parquet file."""
    from vectors import ROW

    before = dict(MODALITIES)
    MODALITIES.clear()
    MODALITIES.update(vectors=ROW, **before)
    yield
    MODALITIES.clear()
    MODALITIES.update(before)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Moto on a free port of 127.0.0.1, or the server that the environment names."""
    endpoint = os.environ.get("GANMILL_TEST_S3_ENDPOINT")
    moto = None if endpoint else _start_moto()
    profile = StorageProfile(
        endpoint_url=endpoint or "http://{}:{}".format(*moto.get_host_and_port()),
        region=os.environ.get("GANMILL_TEST_S3_REGION", "us-east-1"),
        key=os.environ.get("GANMILL_TEST_S3_KEY", "tester"),
        secret=os.environ.get("GANMILL_TEST_S3_SECRET", "tester-secret"),
        retry_deadline_s=20,
    )
    bucket = f"ganmill-test-{uuid.uuid4().hex[:12]}"
    S3Store(bucket, "", profile)._fs().call_s3("create_bucket", Bucket=bucket)
    yield S3Server(profile=profile, bucket=bucket, real=endpoint is not None)
    if moto is not None:
        moto.stop()


def _start_moto() -> ThreadedMotoServer:
    """Start moto with puts made serial: it looks and stores in two steps, where S3 has one."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    app, lock = moto._server.app, threading.Lock()

    def serial(environ: dict, start_response: Callable) -> object:
        if environ["REQUEST_METHOD"] != "PUT":
            return app(environ, start_response)
        with lock:
            return app(environ, start_response)

    moto._server.app = serial
    return moto


@pytest.fixture
def s3_profile(s3_server: S3Server) -> StorageProfile:
    """How to reach the S3 server of this session."""
    return s3_server.profile


@pytest.fixture
def s3_uri(s3_server: S3Server) -> str:
    """An empty place of its own for every test."""
    return f"s3://{s3_server.bucket}/{uuid.uuid4().hex}"


@pytest.fixture(params=["local", "s3"])
def address(request: pytest.FixtureRequest) -> Address:
    """An empty store that several processes can open."""
    if request.param == "local":
        return Address(str(request.getfixturevalue("tmp_path") / "lake"), None)
    return Address(request.getfixturevalue("s3_uri"), request.getfixturevalue("s3_profile"))


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """An empty store of every kind, inside the retry layer as `open_store` returns it."""
    if request.param == "memory":
        return RetryingStore(MemoryStore(), RetryPolicy())
    if request.param == "counting":
        return CountingStore(RetryingStore(MemoryStore(), RetryPolicy()), lambda _: None)
    if request.param == "local":
        return open_store(str(request.getfixturevalue("tmp_path") / "lake"))
    return open_store(request.getfixturevalue("s3_uri"), request.getfixturevalue("s3_profile"))
