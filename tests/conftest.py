"""Fixtures that more than one package needs: stores, and an S3 server on a socket.

The S3 tests run against moto in this process. To run them against a real server, such as Ceph
radosgw or MinIO, name it:

    GANMILL_TEST_S3_ENDPOINT=http://127.0.0.1:7480 GANMILL_TEST_S3_KEY=… GANMILL_TEST_S3_SECRET=… \
        python -m pytest tests/contracts/test_object_store.py tests/storage

(`GANMILL_TEST_S3_REGION` is us-east-1 unless set.) Only then do the tests of wrong secrets and
damaged bodies run, as moto accepts both. Objects are put into a bucket of their own.
"""

import functools
import gc
import hashlib
import inspect
import json
import os
import platform
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from jsonschema import Draft202012Validator
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from xdist.scheduler import LoadScopeScheduling

from flows.report.schema import shipped
from gan.report import Report
from storage.records.modalities import MODALITIES
from storage.stores.counting import CountingStore
from storage.stores.interface import ObjectStore
from storage.stores.memory import MemoryStore
from storage.stores.open import open_store
from storage.stores.retry import RetryingStore, RetryPolicy
from storage.stores.s3 import S3Store
from storage.stores.settings import StorageProfile

settings.register_profile("ganmill", deadline=None)  # tests assert no wall-clock times
settings.load_profile("ganmill")

sys.path.insert(0, str(Path(__file__).parent))  # the package vectors

KINDS = ("local", "memory", "s3", "counting")

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "gan", "storage")
DECISIVE = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "torch")
"""Distributions whose version may change a trained network or a published file."""
COCKPIT = tuple(
    f"tests/e2e/test_{name}.py"
    for name in ("approval", "browser", "cockpit", "deployments", "events", "survive", "watchdog")
)
"""Files whose tests use the fixture `up`: one process runs them all, so one cockpit is enough."""
DIGITS = tuple(
    f"tests/ladder/test_ladder_{name}.py" for name in ("copies", "corruptions", "repeats", "small")
)
"""Files whose tests use `digits_reference`: its feature nets are trained in one process."""
FIRST = (*COCKPIT, "tests/e2e/test_demo_quality.py", *DIGITS)
"""Files that take longest: they begin first, so that no process waits for them at the end."""

SHORT_DEMO = ("training.budget_samples=30000", "synthesis.samples=4000")
"""What `make test` changes of the demo."""


class FileScheduling(LoadScopeScheduling):
    """Gives pytest-xdist's processes whole files, so that a module's fixtures are made once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        together = {"cockpit": COCKPIT, "digits": DIGITS}
        return next((name for name, files in together.items() if file in files), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileScheduling | None:
    """Spread the tests by file with `-n`, in the order in which they were collected."""
    if config.getvalue("dist") not in ("load", "loadfile"):
        return None
    config.option.loadscopereorder = False
    return FileScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Look for no garbage while modules and tests are made, nor among them later: they stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, put the files that take longest first."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        if "up" in getattr(item, "fixturenames", ()) and file not in COCKPIT:
            message = f"{file} uses the cockpit of the session: name it in {__file__}"
            raise pytest.UsageError(message)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.nodeid.partition("::")[0] not in FIRST)


def fill_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Let the first process that comes fill a folder; the others wait, and find it whole."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def every_report_is_valid() -> Iterator[None]:
    """Hold every report that a test writes against the schema that others read it by."""
    checks: list[Draft202012Validator] = []
    with pytest.MonkeyPatch.context() as patch:
        written = Report.to_json

        def to_json(report: Report) -> bytes:
            data = written(report)
            if not checks:
                checks.append(Draft202012Validator(shipped()))
            checks[0].validate(json.loads(data))
            return data

        patch.setattr(Report, "to_json", to_json)
        yield


@pytest.fixture(scope="session")
def made_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a function that makes a folder once for all processes of this session.

    `made_once(name, make)` calls `make(folder)` and returns the folder, which nobody changes.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    return lambda name, make: fill_once(shared / f"made-{name}", make)


@pytest.fixture(scope="module")
def quick_nets() -> Iterator[None]:
    """Few steps of all nets that judge images: what they find is checked where they are."""
    from gan.images.evaluation.features import fit_extractors
    from gan.images.evaluation.trained import Effort

    short = Effort(members=2, first=1_000, least=1_000, hard=0, epochs=0.0, most=1_000)
    fit = functools.partial(fit_extractors, effort=short)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan.images.evaluation.evaluate.fit_extractors", fit)
        patch.setattr("gan.images.evaluation.learner.STEPS", 20)
        yield


@pytest.fixture(scope="session")
def short_demo(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A folder with the lake of the demo on a fraction of its budget, which nobody changes."""

    def run(folder: Path) -> None:
        from benchmarks.demo_quality import judge

        judge(0, folder / "lake", SHORT_DEMO)

    return made_once("demo", run)


@pytest.fixture(scope="session")
def trained_once(pytestconfig: pytest.Config) -> Callable[..., Path]:
    """Return a function that trains once, for all processes of this session and of later ones.

    `trained_once(name, train, *given)` calls `train(folder, *given)` and returns the folder, which
    nobody changes. It lies in pytest's cache under a digest of all that decides the result, so a
    change of the code, of the test's folder or of an argument trains again; `--cache-clear` too.
    """
    cache = pytestconfig.cache.mkdir("trained")

    def once(name: str, train: Callable[..., object], *given: object) -> Path:
        folder = cache / f"{name}-{decisive_digest(train, given)[:16]}"
        if not folder.exists():
            for old in cache.glob(f"{name}-*"):
                if old.is_dir() and not old.name.startswith(folder.name):
                    shutil.rmtree(old, ignore_errors=True)
        return fill_once(folder, lambda part: train(part, *given))

    return once


def decisive_digest(train: Callable[..., object], given: tuple[object, ...]) -> str:
    """Digest what decides a training: our sources, those beside it, versions, and its arguments."""
    folders = [*(ROOT / package for package in PACKAGES), Path(inspect.getfile(train)).parent]
    found = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        found.update(f"{path.relative_to(ROOT)} {len(path.read_bytes())}\n".encode())
        found.update(path.read_bytes())
    versions = [(name, version(name)) for name in DECISIVE]
    machine = (platform.python_version(), platform.machine())
    found.update(repr((train.__qualname__, given, versions, machine)).encode())
    return found.hexdigest()


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
