"""The stack of deployments/compose as processes: PostgreSQL, Prefect, S3, two workers.

Commands, variables and secrets are read from compose.yaml and the Dockerfile; only the addresses
are those of this machine, and moto takes the place of the store.
"""

import asyncio
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import pandas as pd
import patience
import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "deployments" / "compose" / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKER = ROOT / "deployments" / "docker"
STARTUP_S = 300
RUNS_S = 600
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
NAMES = ("stripes-one", "stripes-two")
PASSWORD = "p/a+ss:word"  # noqa: S105 - of a database that lives for this test
LOGIN = "ganmill:0f2a-login-of-the-stack"


def server_tool(name):
    """Return a program of the PostgreSQL server, which Debian keeps out of PATH, or None."""
    found = shutil.which(name) or max(
        map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None
    )
    return found and str(Path(found).resolve())


pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(server_tool("initdb") is None, reason="PostgreSQL is not installed"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


wait = partial(patience.wait, faults=(httpx.TransportError, OSError))


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Database:
    """A PostgreSQL server with the user and the database of compose.yaml."""

    port: int

    def fetch(self, query, database="prefect"):
        return asyncio.run(self._fetch(query, database))

    async def _fetch(self, query, database):
        said = SERVICES["server"]["environment"]
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=self.port,
            user=said["PREFECT_SERVER_DATABASE_USER"],
            password=PASSWORD,
            database=database,
        )
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()


@pytest.fixture(scope="module")
def database():
    """PostgreSQL on a free port; it refuses to run as root, so root starts it as another user."""
    folder = Path(tempfile.mkdtemp(prefix="ganmill-postgres-"))
    who = {}
    if os.geteuid() == 0:
        users = {one.pw_name: one for one in pwd.getpwall()}
        user = users.get("postgres") or users["nobody"]
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    said = SERVICES["database"]["environment"]
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o444)
    data, port = folder / "data", free_port()
    make = [server_tool("initdb"), "--pgdata", str(data), "--username", said["POSTGRES_USER"]]
    make += ["--auth", "scram-sha-256", "--pwfile", str(password)]
    subprocess.run(make, cwd=folder, check=True, capture_output=True, **who)
    words = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [server_tool("postgres"), *words], cwd=folder, stdout=log, stderr=log, **who
        )
    server = Database(port)
    try:

        def is_made():
            try:
                server.fetch(f"CREATE DATABASE {said['POSTGRES_DB']}", "postgres")
            except asyncpg.CannotConnectNowError:
                return False
            return True

        assert wait(is_made, STARTUP_S), (folder / "log").read_text()
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # ends the sessions too
        process.wait(60)
        shutil.rmtree(folder)


@dataclass
class Stack:
    """The services of compose.yaml as processes of this machine."""

    folder: Path
    port: int
    database: Database
    profile: object
    bucket: str
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def values(self):
        """Secret of compose.yaml → what it is here."""
        return {
            "database_password": PASSWORD,
            "prefect_login": LOGIN,
            "store_key": self.profile.key,
            "store_secret": self.profile.secret.get_secret_value(),
        }

    @property
    def api(self):
        return f"http://127.0.0.1:{self.port}/api"

    def here(self, text):
        """Return a word of compose.yaml with the addresses of this machine."""
        words = {"database": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 - in a container
        words |= {"5432": str(self.database.port), "4200": str(self.port)}
        parts = {
            "http://server:4200/api": self.api,
            "http://store:9000": self.profile.endpoint_url,
            '"ganmill"': f'"{self.bucket}"',
            "/recipes": str(self.folder / "recipes"),
        }
        for there, here in parts.items():
            text = text.replace(there, here)
        return words.get(text, text)

    def environment(self, service, home, others):
        """Return what a container of the service is told; secrets lie in a folder of its own."""
        secrets = home / "secrets"
        secrets.mkdir(parents=True)
        for one in SERVICES[service]["secrets"]:
            (secrets / one["target"]).write_text(self.values[one["source"]] + "\n")
        said = SERVICES[service]["environment"]
        kept = {"PATH", "HOME", "LANG", "TMPDIR"}
        return {
            **{name: value for name, value in os.environ.items() if name in kept},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            **image_variables(home),
            "GANMILL_WORK_FOLDER": str(self.folder / "work"),  # one volume for all workers
            "SECRETS_FOLDER": str(secrets),
            **{name: self.here(value) for name, value in said.items()},
            **others,
        }

    def start(self, service, name=None, **others):
        """Start a service by the command of compose.yaml, or by that of its image."""
        name = name or service
        words = SERVICES[service].get("command") or image_words("CMD")
        home = self.folder / name
        environment = self.environment(service, home, others)
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(DOCKER / "entry.sh"), *map(self.here, words)],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def finish(self, service):
        """Run a service that ends by itself; its exit code must be 0."""
        code = self.start(service).wait(STARTUP_S)
        assert code == 0, self.log(service)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def is_well(self, words, port):
        """Run a health check as its container does, at another port."""
        words = [re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", word) for word in words]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0


def image_words(instruction):
    """Return the words of an instruction of cpu.Dockerfile."""
    text = (DOCKER / "cpu.Dockerfile").read_text()
    return json.loads(re.findall(rf"^ *{instruction} (\[.*\])$", text, re.MULTILINE)[-1])


def image_variables(home):
    """Return the variables of cpu.Dockerfile, its home folder moved."""
    text = (DOCKER / "cpu.Dockerfile").read_text().replace("\\\n", " ")
    (words,) = re.findall(r"^ENV (PATH=.*)$", text, re.MULTILINE)
    found = dict(word.split("=", 1) for word in words.split())
    del found["PATH"]
    return {name: value.replace("/var/lib/ganmill", str(home)) for name, value in found.items()}


def write_recipes(folder, finished, bucket):
    """Write two recipes of the small job, with the lake and the profile of the stack."""
    folder.mkdir()
    recipe = yaml.safe_load((finished.place.folder / "stripes.yaml").read_text())
    recipe["source"]["uri"] = str(finished.place.folder / "stripes.parquet")
    for seed, name in enumerate(NAMES):
        said = {"output": {"lake": f"s3://{bucket}/lake", "storage": "lake"}, "seed": seed}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**recipe, **said, "name": name}))


@pytest.fixture(scope="module")
def stack(database, s3_server, finished, tmp_path_factory):
    """Bring the services up in the order that compose.yaml gives, and down at the end."""
    folder = tmp_path_factory.mktemp("stack")
    bucket = f"{s3_server.bucket}-stack"
    write_recipes(folder / "recipes", finished, bucket)
    stack = Stack(folder, free_port(), database, s3_server.profile, bucket)
    try:
        server = stack.start("server")
        check = SERVICES["server"]["healthcheck"]["test"][1:]

        def is_up():
            return server.poll() is not None or stack.is_well(check, stack.port)

        assert wait(is_up, STARTUP_S), stack.log("server")
        assert server.poll() is None, stack.log("server")
        stack.finish("bucket")
        stack.finish("deploy")
        for name in ("worker-one", "worker-two"):
            stack.start("worker", name, PREFECT_WORKER_WEBSERVER_PORT=str(free_port()))
        yield stack
    finally:
        for process in reversed(stack.processes.values()):
            stop(process)


@pytest.fixture(scope="module")
def client(stack):
    with httpx.Client(base_url=stack.api, auth=tuple(LOGIN.split(":")), timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def runs(stack, client):
    """Ask for a run of each recipe at once, and return how they ended."""

    def workers():
        found = client.post("/work_pools/ganmill/workers/filter", json={}).json()
        return len([one for one in found if one["status"] == "ONLINE"]) == 2

    logs = [stack.log(name) for name in ("worker-one", "worker-two")]
    assert wait(workers, STARTUP_S), logs
    asked = []
    for name in NAMES:
        known = client.get(f"/deployments/name/run/{name}").raise_for_status().json()
        body = {"state": {"type": "SCHEDULED"}}
        made = client.post(f"/deployments/{known['id']}/create_flow_run", json=body)
        asked.append(made.raise_for_status().json()["id"])

    def ends():
        found = [client.get(f"/flow_runs/{one}").raise_for_status().json() for one in asked]
        return found if all(one["state_type"] in ENDED for one in found) else None

    ended = wait(ends, RUNS_S)
    assert ended, [stack.log(name) for name in ("worker-one", "worker-two")]
    return ended


def submitted(run, log):
    """Say whether a worker submitted a run. Both may ask for the same one, and one is refused."""
    return run in log and f"Aborted submission of flow run '{run}'" not in log


def test_two_runs_at_once_end_well_on_two_workers(stack, runs):
    said = stack.database.fetch("SELECT message FROM log ORDER BY timestamp")
    states = [run["state_type"] for run in runs]
    assert states == ["COMPLETED", "COMPLETED"], "\n".join(row["message"] for row in said)
    logs = [stack.log(name) for name in ("worker-one", "worker-two")]
    took = [[submitted(run["id"], log) for log in logs] for run in runs]
    assert sorted(took) == [[False, True], [True, False]], logs


@pytest.mark.parametrize("name", NAMES)
def test_the_data_sets_are_read_from_s3_with_pandas(stack, runs, name):
    profile = stack.profile
    options = {
        "key": profile.key,
        "secret": profile.secret.get_secret_value(),
        "endpoint_url": profile.endpoint_url,
    }
    lake = f"s3://{stack.bucket}/lake"
    hint = f"{lake}/datasets/{name}/_latest.json"
    latest = pd.read_json(hint, typ="series", storage_options=options)
    frame = pd.read_parquet(f"{lake}/{latest['path']}", storage_options=options)
    assert len(frame) == 600
    assert set(frame["kind"]) == {"left", "middle", "right"}


def test_the_database_of_the_server_is_postgresql(stack, runs):
    fetch = stack.database.fetch
    ids = {str(row["id"]) for row in fetch("SELECT id FROM flow_run WHERE state_type='COMPLETED'")}
    assert ids == {run["id"] for run in runs}
    assert not list((stack.folder / "server" / "prefect").rglob("*.db"))


def test_nobody_asks_the_server_without_the_login(stack):
    filters = {"json": {}, "timeout": 30}
    assert httpx.post(f"{stack.api}/deployments/filter", **filters).status_code == 401
    wrong = ("ganmill", "guessed")
    assert httpx.post(f"{stack.api}/deployments/filter", auth=wrong, **filters).status_code == 401


def test_no_secret_is_in_a_log_a_parameter_or_the_lake(stack, runs):
    hidden = [stack.values[name] for name in ("database_password", "prefect_login", "store_secret")]
    for path in stack.folder.glob("*.log"):
        assert not [value for value in hidden if value in path.read_text()], path.name
    rows = stack.database.fetch(
        "SELECT parameters::text AS text FROM flow_run UNION ALL "
        "SELECT parameters::text FROM deployment UNION ALL SELECT message FROM log"
    )
    texts = [row["text"] for row in rows]
    assert any("s3://" in text for text in texts)
    assert not [text for text in texts for value in hidden if value in text]


def test_workers_say_that_they_are_well(stack, runs):
    text = (DOCKER / "cpu.Dockerfile").read_text()
    (check,) = re.findall(r"^HEALTHCHECK .*\\\n *CMD (\[.*\])$", text, re.MULTILINE)
    for name in ("worker-one", "worker-two"):
        environment = Path(f"/proc/{stack.processes[name].pid}/environ").read_bytes()
        port = re.search(rb"PREFECT_WORKER_WEBSERVER_PORT=(\d+)", environment)[1].decode()
        assert stack.is_well(json.loads(check), port)
    assert not stack.is_well(json.loads(check), free_port())


def test_the_services_that_end_by_themselves_may_run_again(stack, runs):
    """Compose starts them at every `up`."""
    for service in ("bucket", "deploy"):
        shutil.rmtree(stack.folder / service)
        stack.finish(service)
    assert "Deployed" in stack.log("deploy")


def test_a_kubernetes_pool_is_made_of_the_base_job_template(stack, client, runs):
    """The server checks job variables against it, as the form of a run does."""
    path = ROOT / "deployments" / "kubernetes" / "base-job-template.json"
    words = ["prefect", "work-pool", "create", "cluster", "--type", "kubernetes"]
    ran = subprocess.run(
        [str(DOCKER / "entry.sh"), *words, "--base-job-template", str(path)],
        env=stack.environment("deploy", stack.folder / "pool", {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    pool = client.get("/work_pools/cluster").raise_for_status().json()
    assert pool["type"] == "kubernetes"
    known = client.get(f"/deployments/name/run/{NAMES[0]}").json()
    asked = {"name": "on-the-cluster", "flow_id": known["flow_id"], "work_pool_name": "cluster"}
    asked["enforce_parameter_schema"] = False
    for count, status in ((-1, 422), (2, 201)):
        body = {**asked, "job_variables": {"gpu_count": count}}
        answer = client.post("/deployments/", json=body)
        assert answer.status_code == status, answer.text
