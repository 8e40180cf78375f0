"""The lake on S3: another place for the same job, and credentials that stay secret."""

import pytest

from storage.stores.open import open_store


@pytest.fixture
def moved(copy, s3_server, s3_uri):
    """The finished job with its lake copied to S3; a small recipe change points at it."""
    profile = s3_server.profile
    lake = open_store(s3_uri, profile)
    local = open_store(str(copy.lake))
    for info in local.list():
        lake.put_once(info.key, local.get(info.key))
    copy.environment.update(
        GANMILL_STORAGE__TEST__ENDPOINT_URL=profile.endpoint_url,
        GANMILL_STORAGE__TEST__KEY=profile.key,
        GANMILL_STORAGE__TEST__SECRET=profile.secret.get_secret_value(),
        GANMILL_STORAGE__TEST__REGION=profile.region,
    )
    changes = ["--set", f"output.lake={s3_uri}", "--set", "output.storage=test"]
    return copy, changes, lake


def test_a_lake_that_was_moved_to_s3_is_found_done(moved, finished):
    place, changes, _ = moved
    again = place.run("run", "stripes.yaml", "--json", *changes)
    assert again.code == 0, again.err
    assert again.json["status"] == "present"
    assert again.json["published"]["version"] == finished.done.json["published"]["version"]
    assert "torch" not in again.modules


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.full)])
def test_a_new_version_is_published_to_s3(moved, workers):
    place, changes, lake = moved
    more = ["--set", "synthesis.seed=1", "--set", f"engine.workers={workers}"]
    made = place.call("run", "stripes.yaml", "--json", *changes, *more)
    assert made.code == 0, made.err
    published = made.json["published"]
    assert published["path"].startswith("s3://")
    shards = list(lake.list(f"datasets/stripes/{published['version']}/"))
    assert len(shards) == 6
    secret = place.environment["GANMILL_STORAGE__TEST__SECRET"]
    assert secret not in made.out + made.err
    stored = [info.key for info in lake.list() if secret.encode() in lake.get(info.key)]
    assert stored == []
