"""The Ray engine: the same shards as the local one, whoever dies, and clusters that are not there.

The cluster is a real one of two nodes on this machine, each a process tree that a test may kill.
"""

import importlib.util
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from pydantic import SecretStr, ValidationError

from flows.engines import ray_cluster, ray_connection
from flows.engines.interface import SynthesisRequest, make_engine
from flows.engines.local import LocalEngine
from flows.engines.ray_actor import PackedRequest, ShardActor
from flows.engines.ray_cluster import Shares
from flows.errors import EngineError, ExtraMissingError, exit_code
from flows.nightly import plain_stages
from flows.recipe import EngineConfig, parse_recipe
from gan.evaluation.published_copies import RecordHasher
from gan.images.judge import pixel_hashes
from storage.errors import LakeError
from storage.lake.plan import RecordKind, propose
from storage.lake.synthesis import SynthesisConfig
from storage.shards.format import load_format
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile

SECRET = "open-sesame-42"  # noqa: S105 - of nothing
SHARDS = 48
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
"""Read when Ray is imported: no token of this machine's owner, in the nodes nor in the jobs."""


HASHER = RecordHasher(pixel_hashes, 0.3)
"""Sent to every actor; three of ten records are looked at for near ones."""


def request_of(snapshot, plan, lake) -> SynthesisRequest:
    return SynthesisRequest(
        plan=plan, snapshot=snapshot[0], lake_uri=str(lake), profile=None, hasher=HASHER
    )


@pytest.fixture
def order(snapshot, plan, tmp_path) -> SynthesisRequest:
    return request_of(snapshot, plan, tmp_path / "lake")


def make(order, engine, *, on_shard=None, say=print, indices=None, stored=()):
    """Run the engine and return the objects that it said are stored."""
    lake = open_store(order.lake_uri)
    wanted = list(range(len(order.plan.shards)) if indices is None else indices)
    done = {}

    def note(index, made):
        done[index] = made
        if on_shard is not None:
            on_shard(len(done))

    engine.run(order, wanted, lake=lake, on_shard=note, say=say, stored=stored)
    assert sorted(done) == sorted({*wanted, *stored})
    return objects(order, done.values())


def objects(order, shards):
    """Return the stored bytes, of whose records the actors have told the hashes."""
    lake = open_store(order.lake_uri)
    found = {made.entry.path: lake.get(made.entry.path) for made in shards}
    shard_format, schema = load_format(order.plan.format), order.plan.record_schema
    for made in shards:
        read = HASHER(shard_format.decode(found[made.entry.path], schema))
        np.testing.assert_array_equal(made.hashes.whole_N, read.whole_N)
        np.testing.assert_array_equal(made.hashes.near_NG, read.near_NG)
    return found


@pytest.fixture(scope="module")
def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Without a cluster


@pytest.mark.parametrize(
    ("address", "package"), [("auto", "ray"), ("local", "ray"), ("ray://head:10001", "grpc")]
)
def test_without_the_extra_it_is_one_sentence(monkeypatch, address, package):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        ray_connection, "find_spec", lambda name: None if name == package else real(name)
    )
    with pytest.raises(
        ExtraMissingError, match=rf"{package}: run pip install .ganmill\[ray\]"
    ) as e:
        make_engine("ray", "auto", address)
    assert exit_code(e.value) == 2


def test_a_job_says_so_before_it_reads_anything(monkeypatch):
    monkeypatch.setattr(ray_connection, "find_spec", lambda _: None)
    recipe = parse_recipe(
        {"name": "x", "source": {"uri": "nowhere.csv"}, "engine": {"kind": "ray"}}
    )
    with pytest.raises(ExtraMissingError):
        plain_stages(SimpleNamespace(recipe=recipe)).prepare()


@pytest.mark.parametrize("address", ["head:6379", "ray://head", "ray://me:secret@head:1", "Auto"])
def test_other_addresses_are_refused(address):
    with pytest.raises(ValidationError):
        EngineConfig(kind="ray", address=address)


def test_a_cluster_that_does_not_answer_is_one_sentence(order, monkeypatch, free_port):
    where = f"127.0.0.1:{free_port}"
    monkeypatch.setenv("RAY_ADDRESS", where)
    before = time.perf_counter()
    with pytest.raises(EngineError, match=f"no Ray cluster answers at {where}") as caught:
        make(order, make_engine("ray", "auto", "auto"))
    assert exit_code(caught.value) == 6
    assert time.perf_counter() - before < 2 * ray_connection.CONNECT_S


def test_no_cluster_at_all_is_one_sentence(monkeypatch):
    monkeypatch.setattr(
        "ray._private.services.get_ray_address_from_environment",
        lambda *_: (_ for _ in ()).throw(ConnectionError("none")),
    )
    with pytest.raises(EngineError, match="start one, name its ray://"):
        ray_connection.where_is("auto")


def test_an_actor_takes_a_processor_or_a_gpu_with_its_part():
    mixed = {"CPU": 64.0, "GPU": 8.0}
    assert Shares.of(mixed, "auto") == Shares(device="cuda", cpus=8, gpus=1)
    assert Shares.of(mixed, "auto").fit(mixed) == 8
    assert Shares.of(mixed, "cpu").fit(mixed) == 64
    assert Shares.of({"CPU": 3.0}, "auto") == Shares(device="cpu", cpus=1, gpus=0)
    assert Shares.of({}, "cuda").fit({}) == 1


@pytest.fixture
def packed(order) -> PackedRequest:
    return PackedRequest.of(order, open_store(order.lake_uri)).on("cpu")


def test_an_actor_makes_the_same_shards_without_the_sender_s_disk(order, packed, snapshot, plan):
    elsewhere = replace(packed, request=replace(packed.request, snapshot=Path("/nowhere")))
    actor = ShardActor()
    assert actor.load(elsewhere, None) is None
    made = actor.make([3, 4], again=False)
    assert [index for index, _ in made] == [3, 4]
    alone = request_of(snapshot, plan, order.lake_uri + "-alone")
    expected = make(alone, LocalEngine(workers=1), indices=[3, 4])
    assert objects(order, [shard for _, shard in made]) == expected


def test_what_another_actor_put_is_adopted_unmade(packed, monkeypatch):
    actor = ShardActor()
    actor.load(packed, None)
    before = dict(actor.make([3, 4], again=False))
    made = []
    (maker,) = actor.makers
    real = type(maker).sample
    monkeypatch.setattr(
        type(maker), "sample", lambda self, index: made.append(index) or real(self, index)
    )
    after = dict(actor.make([3, 4, 5], again=True))
    assert made == [5]
    assert {index: after[index].entry for index in before} == {
        index: shard.entry for index, shard in before.items()
    }
    objects(packed.request, after.values())


def test_what_fails_is_returned(order, packed):
    lake = open_store(order.lake_uri)
    lake.put_once(order.plan.shard_key(5), b"not a shard")
    actor = ShardActor()
    actor.load(packed, None)
    for again in (False, True):
        ((index, error),) = actor.make([5], again=again)
        assert index == 5
        assert "delete that object" in str(error)


def test_another_version_and_another_lake_are_refused(packed):
    older = ShardActor().load(replace(packed, sender="ganmill 0.0.1 (algorithm 1)"), None)
    assert "install the same on every node" in str(older)
    unseen = ShardActor().load(replace(packed, planned=True), None)
    assert isinstance(unseen, LakeError)
    assert "does not see the lake" in str(unseen)


def test_no_secret_is_in_what_is_shared(order):
    profile = StorageProfile(key="me", secret=SecretStr(SECRET))
    packed = PackedRequest.of(replace(order, profile=profile), open_store(order.lake_uri))
    assert packed.request.profile is None
    assert "generator.safetensors" not in repr(packed)


def pool_at(where) -> ray_cluster._ActorPool:
    return ray_cluster._ActorPool(
        load=(None, None),
        shares=Shares(device="cpu", cpus=1, gpus=0),
        wanted=None,
        where=where,
        say=print,
    )


def test_a_head_that_answers_no_more_ends_the_job(free_port):
    pool = pool_at(f"127.0.0.1:{free_port}")
    for _ in range(ray_cluster.UNANSWERED - 1):
        pool._check_head(is_alive=False)
    pool._check_head(is_alive=True)
    for _ in range(ray_cluster.UNANSWERED - 1):
        pool._check_head(is_alive=False)
    with pytest.raises(EngineError, match="answers no more; run again when it is back"):
        pool._check_head(is_alive=False)


def test_a_cluster_without_room_is_waited_for_and_given_up(monkeypatch):
    pool = pool_at("local")
    pool._check_head(is_alive=False)
    monkeypatch.setattr(ray_cluster, "PATIENCE_S", 0.0)
    with pytest.raises(EngineError, match="no room for one with 1 processor"):
        pool._check_head(is_alive=False)


# On a Ray of this machine, and on a cluster


@pytest.fixture(scope="module")
def long_plan(snapshot, plan):
    """So many shards that a cluster can be killed half-way."""
    counts = (("a", 10), ("b", 10), ("c", 10))
    kind = RecordKind(schema=snapshot[2], label="kind", class_counts=counts, modality="images")
    config = SynthesisConfig(samples=SHARDS * 1_000, balance="equal", shard_samples=1_000)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return propose(plan.identity, config, kind, format="parquet", created=created)


@pytest.fixture
def long_order(snapshot, long_plan, tmp_path) -> SynthesisRequest:
    return request_of(snapshot, long_plan, tmp_path / "lake")


@pytest.fixture(scope="module")
def expected(snapshot, long_plan, tmp_path_factory):
    alone = request_of(snapshot, long_plan, tmp_path_factory.mktemp("alone"))
    return make(alone, LocalEngine(workers=1))


@pytest.mark.full
def test_a_ray_of_its_own_makes_the_same_shards_and_leaves_nothing(order, capfd):
    before = signal.getsignal(signal.SIGTERM)
    made = make(order, make_engine("ray", 2, "local"))
    assert signal.getsignal(signal.SIGTERM) is before
    alone = replace(order, lake_uri=f"{order.lake_uri}-alone")
    assert made == make(alone, LocalEngine(workers=1))
    assert not [one for one in psutil.Process().children(recursive=True) if is_of_ray(one)]
    assert capfd.readouterr() == ("", "")


def command_of(process):
    """Return the command line of a process; nothing of one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_of_ray(process):
    return any(word in command_of(process) for word in ("ray::", "raylet", "gcs_server"))


def kill_tree(process):
    """Kill a process and everything below it, by their ids."""
    tree = [process, *process.children(recursive=True)]
    for one in tree:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree, timeout=30)


@dataclass
class Cluster:
    """Two nodes on this machine, two processors each."""

    folder: Path
    port: int
    nodes: dict[str, psutil.Popen] = field(default_factory=dict)

    @property
    def where(self):
        return f"127.0.0.1:{self.port}"

    def start(self, name):
        head = ["--head", f"--port={self.port}", f"--temp-dir={self.folder}"]
        place = (
            [*head, "--include-dashboard=false", "--disable-usage-stats"]
            if name == "head"
            else [f"--address={self.where}"]
        )
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", *place, "--num-cpus=2"),
            *("--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--block"),
        ]
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        environment |= {"RAY_worker_niceness": "0"}  # tests run beside others
        with (self.folder / f"{name}.log").open("wb") as log:
            self.nodes[name] = psutil.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def workers(self):
        """Return the actors that are at work on this cluster."""
        nodes = [node for node in self.nodes.values() if node.is_running()]
        below = [one for node in nodes for one in node.children(recursive=True)]
        return [one for one in below if "ShardActor" in command_of(one)]

    def kill(self, name):
        kill_tree(self.nodes.pop(name))


def wait_for(what, limit_s=180):
    until = time.perf_counter() + limit_s
    while time.perf_counter() < until:
        if found := what():
            return found
        time.sleep(0.2)
    return pytest.fail(f"waited {limit_s} s in vain")


@pytest.fixture(scope="module")
def cluster(free_port):
    """A folder of its own with a short name, because Ray's sockets lie in it."""
    found = Cluster(folder=Path(tempfile.mkdtemp(prefix="gmray")), port=free_port)
    try:
        found.start("head")
        wait_for(lambda: ray_connection.answers(found.where, 1) is None)
        found.start("second")
        yield found
    finally:
        for name in list(found.nodes):
            found.kill(name)
        shutil.rmtree(found.folder, ignore_errors=True)


@pytest.fixture
def on_cluster(cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.where)
    return make_engine("ray", 4, "auto")


@pytest.mark.full
def test_a_worker_that_dies_is_replaced(cluster, on_cluster, long_order, expected):
    told = []

    def kill_one(count):
        if count == 4:
            cluster.workers()[0].kill()

    profile = StorageProfile(key="me", secret=SecretStr(SECRET))
    guarded = replace(long_order, profile=profile)
    assert make(guarded, on_cluster, on_shard=kill_one, say=told.append) == expected
    assert re.search("a worker of the Ray cluster died holding shards .* take them over", told[0])
    logs = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert len(logs) > 5
    assert not [path for path in logs if SECRET.encode() in path.read_bytes()]


DRIVER = """
import pickle, sys
from flows.engines.interface import make_engine
from storage.stores.open import open_store
order = pickle.load(sys.stdin.buffer)
lake = open_store(order.lake_uri)
indices = range(len(order.plan.shards))
make_engine("ray", 4, "auto").run(order, indices, lake=lake, on_shard=lambda *_: None, say=print)
"""


@pytest.fixture
def start_driver():
    """Start a job of its own on the cluster; it ends with the test."""
    started = []

    def start(order):
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        started.append(driver)
        driver.stdin.write(pickle.dumps(order))
        driver.stdin.close()
        return driver

    yield start
    for driver in started:
        driver.kill()
        driver.wait()


@pytest.mark.full
def test_a_driver_that_dies_leaves_its_shards_and_nothing_else(
    cluster, on_cluster, long_order, expected, start_driver
):
    driver = start_driver(long_order)
    lake = open_store(long_order.lake_uri)
    wait_for(lambda: len(list(lake.list())) > 5)
    driver.kill()
    driver.wait()
    wait_for(lambda: not cluster.workers())
    kept = {info.key: info.stored_at for info in lake.list()}
    assert 5 < len(kept) < SHARDS
    missing = [i for i in range(SHARDS) if long_order.plan.shard_key(i) not in kept]
    there = [i for i in range(SHARDS) if i not in missing]
    assert make(long_order, on_cluster, indices=missing, stored=there) == expected
    assert kept.items() <= {info.key: info.stored_at for info in lake.list()}.items()


@pytest.mark.full
def test_half_of_the_cluster_dies_half_way(cluster, on_cluster, long_order, expected):
    told = []

    def kill_half(count):
        if count >= SHARDS // 4 and "second" in cluster.nodes:
            cluster.kill("second")

    assert make(long_order, on_cluster, on_shard=kill_half, say=told.append) == expected
    assert "second" not in cluster.nodes
    assert "died holding shards" in told[0]


@pytest.mark.full
def test_a_head_that_dies_takes_the_job_with_it_and_the_next_run_finishes(
    cluster, on_cluster, long_order, expected, start_driver
):
    """Ray ends a driver on the node that is gone; with another engine, it goes on as well."""
    driver = start_driver(long_order)
    lake = open_store(long_order.lake_uri)
    wait_for(lambda: len(list(lake.list())) > 5)
    cluster.kill("head")
    assert driver.wait(180) != 0
    kept = {info.key: lake.get(info.key) for info in lake.list()}
    assert kept == {key: expected[key] for key in kept}
    missing = [i for i in range(SHARDS) if long_order.plan.shard_key(i) not in kept]
    assert missing
    assert kept | make(long_order, LocalEngine(workers=1), indices=missing) == expected
