"""Killed at every step, run again, two at once: always one version, whole, and nothing else."""

import json
import shutil

import pytest
import toy

from storage.digests import sha256_hex
from storage.lake import datasets, promotions, registry
from storage.lake.layout import dataset_readme_key, latest_key
from storage.lake.log import read_versions
from storage.lake.verify import verify
from storage.stores.local import LocalStore

DEFAULT_KILLS = 6
"""Per case in `make test`; `make test-full` kills at every step."""


def request(lake, what, inside="operations", kill_at=0, folder=None):
    return {
        "lake": str(lake),
        "what": what,
        "inside": inside,
        "kill_at": kill_at,
        "run": "a",
        "folder": str(folder),
    }


def check_nothing_half_done(folder):
    """What holds at any moment: whatever is visible is whole."""
    lake = LocalStore(folder)
    for name in datasets.list_datasets(lake):
        for version in datasets.versions(lake, name):
            found = {problem.key for problem in verify(lake, name, version.version)}
            assert found <= {latest_key(name), dataset_readme_key(name)}, "the hint may lag"


def check_published(folder):
    lake = LocalStore(folder)
    assert datasets.list_datasets(lake) == [toy.NAME]
    (commit,) = read_versions(lake, toy.NAME).commits
    assert [info.key for info in lake.list("datasets/toy/_versions/")] == [
        "datasets/toy/_versions/00000001.json"
    ]
    assert verify(lake, toy.NAME) == []
    manifest = datasets.read_manifest(lake, toy.NAME)
    plan = toy.proposal("a")
    assert manifest.rows == plan.rows == 50
    assert manifest.class_counts == plan.class_counts
    for entry in manifest.files:
        assert sha256_hex(lake.get(entry.path)) == entry.sha256
    shards = [info.key for info in lake.list(f"datasets/toy/{commit.version}/")]
    assert shards == [entry.path for entry in manifest.files]
    assert json.loads(lake.get(latest_key(toy.NAME)))["version"] == commit.version
    check_staging_is_hidden(lake)


def check_staging_is_hidden(lake):
    assert not [info.key for info in lake.list() if ".staging" in info.key]


def kills(steps, every):
    if every:
        return range(1, steps + 1)
    return sorted({1 + i * (steps - 1) // (DEFAULT_KILLS - 1) for i in range(DEFAULT_KILLS)})


def kill_publisher_everywhere(zygote, fast_path, inside, *, every):
    (steps,) = zygote.run(request(fast_path / "whole", "publish", inside))
    check_published(fast_path / "whole")
    for kill_at in kills(steps, every):
        once, twice = fast_path / f"{kill_at}-once", fast_path / f"{kill_at}-twice"
        assert zygote.run(request(once, "publish", inside, kill_at)) == [-9]
        check_nothing_half_done(once)
        once.mkdir(exist_ok=True)
        shutil.copytree(once, twice)
        (again,) = zygote.run(request(once, "publish"))
        assert again > 0
        check_published(once)
        both = zygote.run(request(twice, "publish"), request(twice, "publish"))
        assert min(both) > 0
        check_published(twice)
        both = zygote.run(request(once, "publish"), request(once, "publish"))
        assert min(both) > 0
        check_published(once)


@pytest.mark.parametrize("inside", ["operations", "writes"])
def test_publisher_killed_at_some_steps(zygote, fast_path, inside):
    kill_publisher_everywhere(zygote, fast_path, inside, every=False)


@pytest.mark.full
@pytest.mark.parametrize("inside", ["operations", "writes"])
def test_publisher_killed_at_every_step(zygote, fast_path, inside):
    kill_publisher_everywhere(zygote, fast_path, inside, every=True)


def check_promoted(lake_folder, fast_path):
    lake = LocalStore(lake_folder)
    read = promotions.standing(lake, toy.NAME)
    assert [record.kind for record in read.records] == ["promote"]
    champion = read.champion
    assert registry.candidates(lake, toy.NAME) == [champion.version]
    target = fast_path / "fetched"
    assert (
        registry.fetch_generator(lake, toy.NAME, champion.version, target)
        == champion.snapshot_digest
    )
    shutil.rmtree(target)
    check_staging_is_hidden(lake)


def kill_promoter_everywhere(zygote, fast_path, inside, *, every):
    snapshots = [
        toy.snapshot_folder(fast_path / name, weights=name.encode()) for name in ("one", "two")
    ]
    one, two = ({"what": "promote", "folder": folder} for folder in snapshots)
    (steps,) = zygote.run(request(fast_path / "whole", inside=inside, **one))
    check_promoted(fast_path / "whole", fast_path)
    for kill_at in kills(steps, every):
        once, twice = fast_path / f"{kill_at}-once", fast_path / f"{kill_at}-twice"
        assert zygote.run(request(once, inside=inside, kill_at=kill_at, **one)) == [-9]
        shutil.copytree(once, twice)
        (again,) = zygote.run(request(once, **two))
        assert again > 0
        check_promoted(once, fast_path)
        both = zygote.run(request(twice, **one), request(twice, **two))
        assert min(both) > 0
        check_promoted(twice, fast_path)


@pytest.mark.parametrize("inside", ["operations", "writes"])
def test_promotion_killed_at_some_steps(zygote, fast_path, inside):
    kill_promoter_everywhere(zygote, fast_path, inside, every=False)


@pytest.mark.full
@pytest.mark.parametrize("inside", ["operations", "writes"])
def test_promotion_killed_at_every_step(zygote, fast_path, inside):
    kill_promoter_everywhere(zygote, fast_path, inside, every=True)
