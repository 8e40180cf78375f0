"""What `status` says: who serves, what was published last, what was tried last and how it ended."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from flows.cli.app import execute
from flows.cli.lake import LakeRef
from flows.cli.status import age_words, read_status, status_json, unfinished_trainings
from storage.digests import canonical_json, sha256_hex
from storage.lake.layout import make_version, manifest_key, plan_key, snapshot_key
from storage.lake.log import append_commit, version_log
from storage.lake.manifest import Manifest, ManifestFields
from storage.lake.promotions import PromotionDraft, decide, standing
from storage.lake.registry import TrainingPlan, agree_training, claim, mirror_checkpoint
from storage.stores.open import open_store

T0 = datetime(2026, 1, 1, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEYS = [f"{number:02x}" * 32 for number in range(1, 9)]


@pytest.fixture
def lake(tmp_path):
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def shown(tmp_path, capsys):
    """Return what `ganmill status` prints."""

    def show() -> str:
        assert execute(["status", "--lake", str(tmp_path / "lake")]) == 0
        return capsys.readouterr().out

    return show


def train(lake, key: str, at: datetime = T0, name: str = "digits") -> str:
    """Begin a training."""
    return agree_training(lake, TrainingPlan.propose(name, key, at, {})).version


def finish(lake, version: str, name: str = "digits") -> None:
    """Complete the candidate."""
    lake.put_once(snapshot_key(name, version), canonical_json({"version": version}))


def judge(lake, version: str, kind: str, at: datetime, reason: str = "because") -> None:
    digest = sha256_hex(canonical_json({"version": version}))
    decision = PromotionDraft(
        kind=kind,
        version=version,
        snapshot_digest=digest,
        report_digest="r",
        by="gate",
        reason=reason,
    )
    decide(lake, "digits", decision, read=standing(lake, "digits"), created=at)


def publish(lake, key: str, at: datetime, **gate) -> str:
    """Commit a version without shards."""
    version = make_version(at, key)
    manifest = Manifest(
        name="digits",
        version=version,
        created=at.isoformat(),
        run_key=key,
        generator="digits/x",
        parent_version=None,
        fields=ManifestFields(
            modality="tables", gate={"verdict": "pass"} | gate, lift={"answer": "hurts"}
        ),
        shard_format="parquet",
        schema=pa.schema([]),
        rows=600,
        class_counts=(),
        files=(),
    ).to_json()
    lake.put_once(plan_key(key), b"no plan that anybody has to read: its version is committed")
    lake.put_once(manifest_key("digits", version), manifest)
    append_commit(
        lake,
        "digits",
        version,
        manifest_sha256=sha256_hex(manifest),
        created=at.isoformat(),
    )
    return version


def champion_with_version(lake) -> str:
    version = train(lake, KEYS[0])
    finish(lake, version)
    judge(lake, version, "promote", T0 + HOUR)
    return publish(lake, KEYS[1], T0 + HOUR)


def test_an_unfinished_training_is_named_with_its_progress(lake, shown, tmp_path):
    train(lake, KEYS[0])
    assert [one.samples_seen for one in unfinished_trainings(read_status(lake))] == [0]
    checkpoint = tmp_path / "000000000700"
    checkpoint.mkdir()
    (checkpoint / "state.json").write_text("{}")
    mirror_checkpoint(lake, KEYS[0], checkpoint, 700)
    printed = shown()
    assert f"Unfinished training of digits, begun {T0.isoformat()}, " in printed
    assert "700 samples in the lake: run its recipe again to continue" in printed
    (digits,) = read_status(lake)
    assert (digits.champion, digits.last_success) == (None, None)
    assert digits.last_attempt.step == "training"


def test_a_published_version_is_success_and_attempt(lake, shown):
    version = champion_with_version(lake)
    (digits,) = read_status(lake)
    assert digits.last_success.version == digits.latest.version == version
    assert (digits.last_attempt.step, digits.last_attempt.at) == ("published", T0 + HOUR)
    assert unfinished_trainings(read_status(lake)) == []
    printed = shown()
    for text in (digits.champion, version, "600", "pass", "hurts", "published", "days ago"):
        assert text in printed


def test_ages_are_seconds_in_json(lake):
    version = champion_with_version(lake)
    (digits,) = status_json(LakeRef(lake="lake"), read_status(lake), T0 + 3 * HOUR)["names"]
    assert digits["last_success"] == {
        "version": version,
        "at": "2026-01-01T04:00:00+00:00",
        "age_s": 7200,
    }
    assert (digits["age_s"], digits["last_attempt"]["age_s"]) == (7200, 7200)
    assert digits["path"] == f"lake/datasets/digits/{version}/"
    assert (digits["verdict"], digits["override"], digits["rows"]) == ("pass", None, 600)
    assert digits["lift"] == {"answer": "hurts"}


def test_a_rejected_candidate_is_the_last_attempt_with_its_reason(lake, shown):
    version = champion_with_version(lake)
    candidate = train(lake, KEYS[2], T0 + 24 * HOUR)
    finish(lake, candidate)
    judge(lake, candidate, "reject", T0 + 25 * HOUR, "coverage is .2 of the ceiling")
    (digits,) = read_status(lake)
    assert digits.last_success.version == version
    assert digits.last_attempt.step == "rejected"
    assert "digits: rejected, coverage is .2 of the ceiling" in shown()
    publish(lake, KEYS[3], T0 + 25 * HOUR, choice="kept")
    (digits,) = read_status(lake)
    assert digits.last_attempt.step == "published", "the champion stepped in"
    assert "from the champion, as coverage is .2 of the ceiling" in digits.last_attempt.detail


def test_a_generator_that_nobody_judged_is_told(lake, shown):
    champion_with_version(lake)
    version = train(lake, KEYS[2], T0 + 24 * HOUR)
    finish(lake, version)
    assert f"digits: trained, {version} is not judged yet" in shown()


def test_a_synthesis_that_was_not_committed_is_told(lake, shown):
    champion_with_version(lake)
    at = T0 + 24 * HOUR
    plan = {
        "format": "ganmill-plan/1",
        "name": "digits",
        "version": make_version(at, KEYS[4]),
        "created": at.isoformat(),
        "shards": [{}, {}, {}],
    }
    lake.put_once(plan_key(KEYS[4]), json.dumps(plan).encode())
    lake.put_once(f"datasets/digits/{plan['version']}/train-00000-of-00003.parquet", b"shard")
    assert "digits: synthesizing, 1 of 3 shards in the lake" in shown()
    version_log(lake, "digits").append(
        {"kind": "abandon", "version": plan["version"]}, same=lambda _: False
    )
    (digits,) = read_status(lake)
    assert digits.last_attempt.step == "published", "what was given up is no attempt any more"


def test_a_plan_that_is_none_is_named(lake, tmp_path, capsys):
    lake.put_once(plan_key(KEYS[0]), b"not a plan")
    assert execute(["status", "--lake", str(tmp_path / "lake")]) == 5
    assert f"{plan_key(KEYS[0])} is no plan" in capsys.readouterr().err


def test_a_retired_version_still_is_the_last_success(lake):
    version = champion_with_version(lake)
    version_log(lake, "digits").append({"kind": "retire", "version": version}, lambda _: False)
    (digits,) = read_status(lake)
    assert digits.latest is None
    assert digits.last_success.version == version


def test_an_override_and_an_owner_are_seen(lake, shown):
    champion_with_version(lake)
    assert " owner " not in shown()
    publish(lake, KEYS[3], T0 + 2 * HOUR, verdict="block", override={"by": "ann", "reason": "demo"})
    claim(lake, "digits", "vision", T0)
    claim(lake, "letters", "sound", T0)
    printed = shown()
    assert "block (overridden)" in printed
    assert [line.split()[:2] for line in printed.splitlines()[1:3]] == [
        ["digits", "vision"],
        ["letters", "sound"],
    ]


@pytest.mark.parametrize("listing", ["datasets", "generators"])
def test_listings_show_the_owner_if_there_is_one(lake, tmp_path, capsys, listing):
    champion_with_version(lake)
    arguments = [listing, "list", "--lake", str(tmp_path / "lake")]
    assert execute(arguments) == 0
    assert "owner" not in capsys.readouterr().out
    claim(lake, "digits", "vision", T0)
    assert execute(arguments) == 0
    title, row = capsys.readouterr().out.splitlines()
    assert "owner" in title
    assert row.split()[:2] == ["digits", "vision"]
    assert execute([*arguments, "--json"]) == 0
    assert [one["owner"] for one in json.loads(capsys.readouterr().out)] == ["vision"]


def test_an_empty_lake(tmp_path, capsys):
    assert execute(["status", "--json", "--lake", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "names": [],
        "unfinished": [],
        "waiting": None,
    }
    for listing in (["datasets", "list"], ["generators", "list"]):
        assert execute([*listing, "--lake", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("No ") == 2


def test_a_lake_that_cannot_be_read_is_exit_5(lake, capsys, tmp_path):
    version = champion_with_version(lake)
    path = tmp_path / "lake" / manifest_key("digits", version)
    path.chmod(0o644)
    path.write_bytes(b"{}")
    assert execute(["status", "--lake", str(tmp_path / "lake")]) == 5
    assert "is not the manifest that was committed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (86_399, "23 hours"),
        (86_400, "1 day"),
        (400 * 86_400, "400 days"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(seconds, words):
    assert age_words(seconds) == words
