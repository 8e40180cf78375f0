"""One small job, interrupted while it trains and run again, that every end-to-end test looks at."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    chdir,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # lenient.py and patience.py, shared by tests
from lenient import LENIENT
from patience import PatientTransport, wait

from flows.cli.app import execute

SCRIPT = """
import json, sys
from pathlib import Path
from flows.cli.app import execute
code = execute(sys.argv[1:])
Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
sys.exit(code)
"""
"""`ganmill`, and a note of what it has imported."""


@dataclass(frozen=True)
class Done:
    """One finished command."""

    code: int
    out: str
    err: str
    modules: frozenset[str]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Place:
    """A folder with a recipe in it, and its lake and work folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
        environment.pop("PREFECT_API_URL", None)
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            cwd=self.folder,
            env=environment | {"OMP_NUM_THREADS": "1"} | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Done:
        process = self.start(*arguments)
        out, err = process.communicate()
        loaded = json.loads((self.folder / "modules.json").read_text())
        return Done(code=process.returncode, out=out, err=err, modules=frozenset(loaded))

    def call(self, *arguments: str) -> Done:
        """Run the command in this process: the same, without the seconds that a process starts."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment),
            chdir(self.folder),
            using(self.environment.get("PREFECT_API_URL")),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = execute(arguments)
        return Done(code=code, out=out.getvalue(), err=err.getvalue(), modules=frozenset())


def using(api: str | None) -> AbstractContextManager[object]:
    """Return the settings under which Prefect, in this process, uses this API if one is named."""
    if api is None:
        return nullcontext()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    return temporary_settings({PREFECT_API_URL: api})


@dataclass(frozen=True)
class Finished:
    """The job of this session: the command that was interrupted, and the one that finished it."""

    place: Place
    interrupted: Done
    done: Done
    stopped_at: int
    """Samples seen by the checkpoint that the interrupted command left."""


def write_images(path: Path, rows: int = 450) -> None:
    """Write a Parquet file of 8 x 8 images of three kinds, as Hugging Face does."""
    draw = np.random.default_rng(0)
    images, kinds = [], []
    for row in range(rows):
        picture = draw.integers(0, 90, (8, 8))
        picture[:, 2 * (row % 3) : 2 * (row % 3) + 3] += draw.integers(100, 160)
        buffer = io.BytesIO()
        Image.fromarray(picture.astype(np.uint8)).save(buffer, "PNG")
        images.append({"bytes": buffer.getvalue(), "path": None})
        kinds.append(("left", "middle", "right")[row % 3])
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(images, struct), "kind": kinds}), path)


def make_recipe() -> dict[str, Any]:
    """Return the recipe of the small job."""
    return {
        "name": "stripes",
        "source": {"uri": "stripes.parquet", "label": "kind"},
        "generator": {"width": 16},
        "training": {"budget_samples": 12_000, "batch_size": 32, "device": "cpu"},
        "gate": LENIENT,
        "lift": {"when": "never"},  # tests/e2e/test_table_job.py has it
        "synthesis": {"samples": 600, "shard_samples": 100},
        "engine": {"workers": 1},
    }


def write_recipe(folder: Path) -> Path:
    """Write the recipe of the small job."""
    path = folder / "stripes.yaml"
    path.write_text(yaml.safe_dump(make_recipe()))
    return path


@pytest.fixture(scope="session")
def finished(made_once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The small job; each process of pytest has a copy of its own, as commands write into it."""
    made = made_once("job", finish_job)
    folder = tmp_path_factory.mktemp("job") / "job"
    shutil.copytree(made, folder)
    told = json.loads((folder / TOLD).read_text())
    (folder / TOLD).unlink()
    interrupted, done = (
        Done(**{**told[name], "modules": frozenset(told[name]["modules"])})
        for name in ("interrupted", "done")
    )
    return Finished(
        place=Place(folder), interrupted=interrupted, done=done, stopped_at=told["stopped_at"]
    )


TOLD = "told.json"
"""What the two commands of the small job said, as JSON."""


def finish_job(folder: Path) -> None:
    """Interrupt the small job at its first checkpoint, then run it to the end."""
    place = Place(folder)
    write_images(folder / "stripes.parquet")
    write_recipe(folder)
    process = place.start("run", "stripes.yaml")
    checkpoints = folder / ".ganmill" / "runs"
    while process.poll() is None and not list(checkpoints.glob("*/checkpoints/0*[1-9]*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    interrupted = {"code": process.returncode, "out": out, "err": err, "modules": []}
    left = [int(path.name) for path in checkpoints.glob("*/checkpoints/[0-9]*")]
    done = place.run("run", "stripes.yaml", "--json")
    ended = {**asdict(done), "modules": sorted(done.modules)}
    told = {"interrupted": interrupted, "done": ended, "stopped_at": max(left, default=0)}
    (folder / TOLD).write_text(json.dumps(told))


@pytest.fixture(scope="session")
def make_place():
    """Return the class whose instances run `ganmill` in a folder."""
    return Place


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Place:
    """A copy of the finished job that a test may damage or extend."""
    folder = tmp_path / "job"
    shutil.copytree(finished.place.folder, folder)
    return Place(folder)


@pytest.fixture
def small_recipe() -> dict[str, Any]:
    """The recipe of the small job, as a dict that a test may change."""
    return make_recipe()


STARTUP_S = 400
RUN_S = 600
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
"""A crashed run is none of them: it starts again by itself."""


@dataclass(frozen=True)
class Up:
    """What `ganmill up` brought up: one server and one worker for every test of the session."""

    place: Place
    """The folder it was started in; commands run here reach its API."""
    client: httpx.Client
    words: tuple[str, ...]
    """The arguments that brought it up."""
    process: subprocess.Popen[str]

    @property
    def ui(self) -> str:
        return str(self.client.base_url).rstrip("/").removesuffix("/api")

    def deploy(self, recipe: dict[str, Any]) -> dict[str, Any]:
        """Register one more recipe, and return its deployment with the short form."""
        path = self.place.folder / f"{recipe['name']}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        done = self.place.call("deploy", "--recipes", path.name)
        assert done.code == 0, done.out + done.err
        return self.deployment(recipe["name"])

    def deployment(self, name: str, flow: str = "run") -> dict[str, Any]:
        answer = self.client.get(f"/deployments/name/{flow}/{name}").raise_for_status()
        return dict(answer.json())

    def ask(self, deployment: dict[str, Any], **parameters: Any) -> str:
        """Create a run as the form does, and return its id."""
        asked = {
            "parameters": deployment["parameters"] | parameters,
            "state": {"type": "SCHEDULED"},
        }
        made = self.client.post(f"/deployments/{deployment['id']}/create_flow_run", json=asked)
        return str(made.raise_for_status().json()["id"])

    def flow_run(self, run: str) -> dict[str, Any]:
        return dict(self.client.get(f"/flow_runs/{run}").raise_for_status().json())

    def ended(self, run: str, limit_s: float = RUN_S) -> dict[str, Any]:
        """Wait for the end of a run and return it."""

        def last() -> dict[str, Any] | None:
            found = self.flow_run(run)
            return found if found["state_type"] in ENDED else None

        found = wait(last, limit_s)
        assert found, f"the run did not end: {self.flow_run(run)['state']}"
        return dict(found)


@contextmanager
def brought_up(folder: Path, host: str = "127.0.0.1", **environment: str) -> Iterator[Up]:
    """Bring it up in a folder with recipes; at the end press Ctrl-C and see that nothing is left.

    Args:
        folder: has a folder `recipes`.
        host: where it listens.
        environment: of the command and, so, of server and worker.
    """
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    api = f"http://{host}:{port}/api"
    words = ("up", "--recipes", "recipes", "--host", host, "--port", str(port))
    process = Place(folder, environment).start(*words)
    with httpx.Client(base_url=api, timeout=30, transport=PatientTransport()) as client:

        def workers() -> Any:
            if process.poll() is not None:
                pytest.fail(process.communicate()[1])
            try:
                found = client.post("/work_pools/ganmill/workers/filter", json={}, auth=login())
            except httpx.TransportError:
                return None
            return found.json() if found.is_success else None

        def login() -> tuple[str, ...] | None:
            path = folder / ".ganmill" / "cockpit" / "login"
            return tuple(path.read_text().split(":", 1)) if path.exists() else None

        assert wait(workers, STARTUP_S), "no worker came"
        reached = {**environment, "PREFECT_API_URL": api}
        yield Up(Place(folder, reached), client, words, process)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=90)
            assert process.returncode == 0, err
        with pytest.raises(httpx.TransportError):
            client.get("/health")


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory, finished: Finished) -> Iterator[Up]:
    """The cockpit that most tests share, beside a copy of the finished job."""
    folder = tmp_path_factory.mktemp("cockpit") / "job"
    shutil.copytree(finished.place.folder, folder)
    (folder / "recipes").mkdir()
    nightly = make_recipe() | {"schedule": {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}}
    (folder / "recipes" / "stripes.yaml").write_text(yaml.safe_dump(nightly))
    with brought_up(folder) as cockpit:
        yield cockpit


@pytest.fixture(scope="session", name="using")
def give_using() -> Callable[[str | None], AbstractContextManager[object]]:
    """Return what has Prefect, in this process, use an API."""
    return using


@pytest.fixture(scope="session")
def make_up() -> type[Up]:
    """Return the class that speaks with a cockpit, for one that a test starts piece by piece."""
    return Up


@pytest.fixture(scope="session")
def bring_up() -> Callable[..., AbstractContextManager[Up]]:
    """Return what brings up a cockpit of a test's own."""
    return brought_up
