"""Generators whose files are damaged: found, set aside, put back, or made as another version."""

from types import SimpleNamespace

import pytest
from deciding import lake_of_two, promote

from flows.cli.lake import _generators
from flows.errors import exit_code
from flows.job import now
from flows.maintain import maintain_lake
from flows.progress import SilentReporter
from flows.snapshots import local_snapshot
from flows.train import _place, find_candidate
from storage.digests import canonical_json, sha256_file, sha256_hex
from storage.errors import IntegrityError, SnapshotDamagedError
from storage.lake.damage import Damage, damaged_versions, read_damage, restore_candidate, set_aside
from storage.lake.layout import damaged_key, generator_key, snapshot_key
from storage.lake.promotions import PromotionDraft, decide, standing
from storage.lake.registry import (
    TrainingPlan,
    agree_training,
    fetch_generator,
    put_candidate,
    training_plans,
)

KEY = "ab" * 32
FILES = ("generator.safetensors", "codec.json", "config.json")


def written(folder, weights=b"weights"):
    """Write a snapshot as a trainer leaves it, and return its folder."""
    files = dict(zip(FILES, (weights, b"{}", b'{"a":1}'), strict=True))
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    index = {"schema": "toy/1", "files": {name: sha256_hex(data) for name, data in files.items()}}
    (folder / "snapshot.json").write_bytes(canonical_json(index))
    return folder


@pytest.fixture
def job(tmp_path):
    job = lake_of_two()
    job.work, job.reporter = tmp_path / "work", SilentReporter()
    return job


@pytest.fixture
def trained(job, tmp_path):
    """The plan of a training whose candidate is in the lake, and its folder."""
    plan = agree_training(job.lake, TrainingPlan.propose("n", KEY, now(), {}))
    folder = written(tmp_path / "trained")
    put_candidate(job.lake, "n", plan.version, folder)
    return plan, folder


def digest_of(folder):
    return sha256_file(folder / "snapshot.json")


def damage_of(folder):
    return Damage(reason="one bit", snapshot_digest=digest_of(folder), found="")


def promoted(job, version, digest):
    draft = PromotionDraft(
        kind="promote",
        version=version,
        snapshot_digest=digest,
        report_digest="r",
        by="gate",
        reason="fine",
    )
    decide(job.lake, "n", draft, read=standing(job.lake, "n"), created=now())


class TestFound:
    @pytest.mark.parametrize("file", [*FILES, "snapshot.json"])
    @pytest.mark.parametrize("how", ["missing", "flipped"])
    def test_in_the_lake(self, job, trained, file, how):
        plan, folder = trained
        key = generator_key("n", plan.version, file)
        data = job.lake.get(key)
        job.lake.delete(key)
        if how == "flipped":
            job.lake.put_once(key, data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        with pytest.raises(SnapshotDamagedError, match="run the whole job, which") as found:
            local_snapshot(job, plan.version, digest_of(folder))
        assert found.value.version == plan.version
        assert exit_code(found.value) == 5
        assert "; " not in found.value.why, "one remedy, not two"

    @pytest.mark.parametrize("file", [*FILES, "snapshot.json"])
    def test_on_this_machine_it_is_fetched_again(self, job, trained, file):
        plan, folder = trained
        local = local_snapshot(job, plan.version, digest_of(folder))
        for spoil in (lambda path: path.write_bytes(b"spoilt"), lambda path: path.unlink()):
            spoil(local / file)
            again = local_snapshot(job, plan.version, digest_of(folder))
            assert (again / file).read_bytes() == (folder / file).read_bytes()

    def test_other_whole_files_are_damage_too(self, job, trained, tmp_path):
        plan, folder = trained
        other = written(tmp_path / "other", b"other weights")
        for file in (*FILES, "snapshot.json"):
            job.lake.replace(generator_key("n", plan.version, file), (other / file).read_bytes())
        with pytest.raises(SnapshotDamagedError, match="was decided on"):
            local_snapshot(job, plan.version, digest_of(folder))


class TestSetAside:
    def test_it_is_no_candidate_any_more(self, job, trained):
        plan, folder = trained
        assert find_candidate(job, KEY).version == plan.version
        set_aside(job.lake, "n", plan.version, damage_of(folder))
        assert find_candidate(job, KEY) is None
        assert read_damage(job.lake, "n", plan.version).reason == "one bit"

    def test_what_cannot_be_read_sets_aside_all_the_same(self, job, trained):
        plan, _ = trained
        job.lake.put_once(damaged_key("n", plan.version), b"\xff")
        assert read_damage(job.lake, "n", plan.version) is not None
        assert find_candidate(job, KEY) is None

    def test_listings_say_so(self, job, trained):
        plan, folder = trained
        promoted(job, plan.version, digest_of(folder))
        set_aside(job.lake, "n", plan.version, damage_of(folder))
        assert damaged_versions(job.lake, "n") == {plan.version}
        shown = {one["version"]: one["standing"] for one in _generators(job.lake, "n")}
        assert shown[plan.version] == "champion, damaged"
        assert {*shown.values()} == {"champion, damaged", "candidate"}

    def test_its_checkpoints_stay(self, job, trained):
        plan, folder = trained
        job.lake.put_once(f"runs/{KEY}/checkpoint/000000000700/index.json", b"{}")
        assert maintain_lake(job.lake, apply=False).checkpoints == (KEY,)
        set_aside(job.lake, "n", plan.version, damage_of(folder))
        assert maintain_lake(job.lake, apply=False).checkpoints == ()


class TestTrainedAgain:
    def test_the_same_files_go_back_to_their_place(self, job, trained, tmp_path):
        plan, folder = trained
        promoted(job, plan.version, digest_of(folder))
        job.lake.delete(generator_key("n", plan.version, FILES[0]))
        job.lake.replace(generator_key("n", plan.version, FILES[1]), b"flipped")
        set_aside(job.lake, "n", plan.version, damage_of(folder))
        assert _place(job, plan, digest_of(folder)) == (plan, True)
        digest = restore_candidate(job.lake, "n", plan.version, folder)
        assert read_damage(job.lake, "n", plan.version) is None
        candidate = find_candidate(job, KEY)
        assert (candidate.version, candidate.snapshot_digest) == (plan.version, digest)
        assert standing(job.lake, "n").champion.is_of(plan.version, digest)
        assert fetch_generator(job.lake, "n", plan.version, tmp_path / "again") == digest

    def test_other_files_are_a_version_of_their_own(self, job, trained, tmp_path):
        plan, folder = trained
        set_aside(job.lake, "n", plan.version, damage_of(folder))
        other = written(tmp_path / "other", b"other weights")
        next_plan, is_known = _place(job, plan, digest_of(other))
        assert not is_known
        assert next_plan.version > plan.version
        assert next_plan.resolved == plan.resolved
        assert [one.version for one in training_plans(job.lake, KEY)] == [
            plan.version,
            next_plan.version,
        ]
        put_candidate(job.lake, "n", next_plan.version, other)
        assert find_candidate(job, KEY).version == next_plan.version

    def test_lost_files_of_a_champion_are_not_replaced_by_others(self, job, trained, tmp_path):
        """Nobody wrote down that they are damaged: the log of promotions knows the digest."""
        plan, folder = trained
        promoted(job, plan.version, digest_of(folder))
        job.lake.delete(snapshot_key("n", plan.version))
        other = written(tmp_path / "other", b"other weights")
        next_plan, is_known = _place(job, plan, digest_of(other))
        assert (next_plan.version == plan.version, is_known) == (False, False)
        assert read_damage(job.lake, "n", plan.version) is not None
        assert _place(job, plan, digest_of(folder)) == (plan, True)

    def test_where_a_policy_forbids_that_the_same_files_are_another_version(self, job, trained):
        plan, folder = trained
        set_aside(job.lake, "n", plan.version, damage_of(folder))
        next_plan, is_known = _place(job, plan, digest_of(folder), may_restore=False)
        assert (next_plan.version > plan.version, is_known) == (True, False)

    def test_a_name_that_shares_the_training_is_not_touched(self, job, trained):
        plan, folder = trained
        put_candidate(job.lake, "m", plan.version, folder)
        set_aside(job.lake, "n", plan.version, damage_of(folder))
        other = SimpleNamespace(lake=job.lake, name="m")
        assert find_candidate(other, KEY).version == plan.version

    def test_a_folder_that_is_not_whole_is_not_put(self, job, trained):
        plan, folder = trained
        (folder / FILES[0]).write_bytes(b"half")
        with pytest.raises(IntegrityError):
            restore_candidate(job.lake, "n", plan.version, folder)


def test_a_decision_is_about_the_files_not_the_version_alone(job):
    version = "20260102T000000Z-bbbbbbbb"
    promote(job, version)
    read = standing(job.lake, "n")
    job.lake.replace(snapshot_key("n", version), b"others")
    draft = PromotionDraft(
        kind="promote",
        version=version,
        snapshot_digest=sha256_hex(b"others"),
        report_digest="r",
        by="Ana",
        reason="y",
    )
    with pytest.raises(IntegrityError, match="was decided on with the snapshot digest"):
        decide(job.lake, "n", draft, read=read, created=now())
    assert [each.by for each in standing(job.lake, "n").records] == ["gate"]
