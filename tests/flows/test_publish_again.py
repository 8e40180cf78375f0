"""The last stages of a job run again: after a kill, on a read-only lake, after a person's word."""

import json
from dataclasses import replace
from datetime import date
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pytest
from deciding import NEW, OLD, assessed, judged, lake_of_two, snapshot, snapshot_digest
from deciding import promote as make_champion

from flows import publish as publish_module
from flows.cli.app import execute
from flows.errors import BLOCKED, BlockedError, exit_code
from flows.evaluate import Evaluator, evaluate
from flows.job import Candidate, Job
from flows.lift import Lifter
from flows.nightly import find_finished, nightly, plain_stages
from flows.progress import SilentReporter
from flows.recipe import parse_recipe
from gan.images.codec import write_images
from gan.lift.answer import unknown
from storage.errors import IntegrityError, NotWritableError, RetractedError, SnapshotDamagedError
from storage.lake import datasets
from storage.lake.damage import read_damage
from storage.lake.layout import latest_key, snapshot_key
from storage.lake.publish import Publisher
from storage.lake.retention import permit, retract
from storage.lake.verify import verify
from storage.sources.prepared import Prepared
from storage.stores.memory import MemoryStore

WHO = {"by": "ada", "reason": "wrong source"}
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
RECORDS = pa.table({"image": write_images(IMAGES), "kind": pa.array(["a", "b"] * 10)})


def real_images(seed):
    images = np.random.default_rng(seed).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    return pa.table({"image": write_images(images), "kind": pa.array(["a", "b"] * 10)})


REALS = {name: real_images(seed) for seed, name in enumerate(("train", "validation", "holdout"), 1)}


class KilledError(BaseException):
    """Stands for the end of the process."""


class WatchedStore(MemoryStore):
    """A lake that ends the process at one key, or refuses every change."""

    kill_at, is_read_only = "", False

    def _change(self, key):
        if self.is_read_only:
            msg = f"{self.uri} was opened for reading only, so {key!r} cannot be changed."
            raise NotWritableError(msg)
        if self.kill_at and key.endswith(self.kill_at):
            raise KilledError

    def put_once(self, key, data):
        self._change(key)
        return super().put_once(key, data)

    def replace(self, key, data):
        self._change(key)
        super().replace(key, data)

    def delete(self, key):
        self._change(key)
        super().delete(key)


class Told(SilentReporter):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job whose generator is trained and judged, and whose shards cost nothing to make."""
    lake = WatchedStore()
    lake._objects = dict(lake_of_two().lake.inner._objects)

    def make(job, choice, plan, missing, tally):
        publisher = Publisher(job.lake, plan)
        rows = {index: RECORDS.slice(10 * index, 10) for index in missing}
        return {index: publisher.put_shard(index, part) for index, part in rows.items()}

    monkeypatch.setattr(publish_module, "_make", make)
    recipe = {
        "name": "n",
        "source": {"uri": "example:digits"},
        "lift": {"when": "never"},
        "synthesis": {"samples": 20, "shard_samples": 10},
    }
    return Job(
        recipe=parse_recipe(recipe),
        lake=lake,
        lake_profile=None,
        work=tmp_path,
        scheduled=date(2026, 1, 1),
        reporter=Told(),
    )


PREPARED = Prepared(
    modality="images",
    folder=None,
    source_digest="s",
    split_rule=MappingProxyType({"by": "content", "rows": "distinct", "holdout_uri_digest": None}),
    split_digest="p",
    records=REALS,
    label="kind",
    schema=RECORDS.schema,
    class_counts={"train": (("a", 10), ("b", 10))},
    rows={"train": 20},
    skipped=(),
    ignored_files=0,
    notes=(),
)


def stages(job, version=NEW, verdict="pass"):
    """Return the stages of a job that finds its generator trained and judged."""
    told = judged(version, verdict)
    candidate = Candidate(version=version, snapshot_digest=told.snapshot_digest)
    return replace(
        plain_stages(job),
        prepare=lambda: PREPARED,
        watch=lambda _: None,
        train=lambda _: candidate,
        evaluate=lambda *_: assessed(job, told),
    )


def hinted(job):
    return json.loads(job.lake.get(latest_key("n")))["version"]


def test_killed_between_commit_and_hint_the_job_run_again_brings_up_the_hint(job):
    first = nightly(job, stages(job)).published.version
    synthesis = job.recipe.synthesis.model_copy(update={"seed": 1})
    again = replace(job, recipe=job.recipe.model_copy(update={"synthesis": synthesis}))
    job.lake.kill_at = latest_key("n")
    with pytest.raises(KilledError):
        nightly(again, stages(again))
    job.lake.kill_at = ""
    newest = datasets.latest(job.lake, "n").version
    assert hinted(job) == first != newest
    assert latest_key("n") in {problem.key for problem in verify(job.lake, "n")}
    outcome = nightly(again, stages(again))
    assert (outcome.status, outcome.published.version) == ("present", newest)
    assert hinted(job) == newest
    assert verify(job.lake, "n") == []


def test_a_job_that_is_blocked_brings_it_up_too(job):
    nightly(job, stages(job))
    job.lake.delete(latest_key("n"))
    assert nightly(job, stages(job, OLD, "block")).status in ("blocked", "present")
    assert hinted(job) == datasets.latest(job.lake, "n").version


def test_on_a_read_only_lake_a_job_with_nothing_to_do_is_no_error(job):
    made = nightly(job, stages(job))
    job.lake.is_read_only = True
    again = nightly(job, stages(job))
    assert (again.status, again.published.version) == ("present", made.published.version)
    assert job.reporter.said == [f"Published before: n/{made.published.version}"]


def test_a_hint_that_lags_in_a_read_only_lake_is_said(job):
    nightly(job, stages(job))
    job.lake.delete(latest_key("n"))
    job.lake.is_read_only = True
    assert nightly(job, stages(job)).status == "present"
    assert "The hint to the newest version lags, and cannot be brought up" in job.reporter.said[-1]


def test_what_is_to_be_written_to_a_read_only_lake_is_an_error(job):
    job.lake.is_read_only = True
    with pytest.raises(NotWritableError):
        nightly(job, stages(job))


class TestCopies:
    """A generator that learnt its records by heart, found at the last moment, over all shards."""

    MEMORISED = replace(PREPARED, records={**REALS, "train": RECORDS})

    def memorising(self, job, **kwargs):
        return replace(stages(job, **kwargs), prepare=lambda: self.MEMORISED)

    def test_nothing_is_published(self, job):
        with pytest.raises(
            BlockedError, match="20 of 20 published images equal a training"
        ) as found:
            nightly(job, self.memorising(job))
        assert exit_code(found.value) == BLOCKED
        assert datasets.latest(job.lake, "n") is None
        with pytest.raises(BlockedError):
            nightly(job, self.memorising(job))

    def test_a_person_may_override_it_and_every_page_says_so(self, job):
        nightly_stages = self.memorising(job, verdict="block")
        make_champion(job, NEW, "override", by="ada", report=judged(NEW, "block").report_digest)
        made = nightly(job, nightly_stages).published.version
        copies = datasets.load_manifest(job.lake, datasets.latest(job.lake, "n")).fields.privacy
        assert copies["copies"]["equal"] == 20
        page = job.lake.get(f"datasets/n/_meta/{made}/report.html").decode()
        assert "Of all that is published: 20 of 20 published images equal a training" in page

    def test_who_copies_nothing_says_so_in_manifest_report_and_card(self, job):
        made = nightly(job, stages(job)).published.version
        manifest = datasets.load_manifest(job.lake, datasets.latest(job.lake, "n"))
        assert manifest.fields.privacy["copies"]["equal"] == 0
        report = json.loads(job.lake.get(f"datasets/n/_meta/{made}/report.json"))
        assert report["facts"]["published_copies"]["records"] == 20
        card = job.lake.get(f"datasets/n/_meta/{made}/README.md").decode()
        assert "Copies: 0 of 20 published images equal a training record" in card

    def test_a_shard_that_vanished_is_the_publisher_s_to_explain(self, job, monkeypatch):
        def half(job, choice, plan, missing, tally):
            publisher = Publisher(job.lake, plan)
            return {0: publisher.put_shard(0, RECORDS.slice(0, 10))}

        monkeypatch.setattr(publish_module, "_make", half)
        with pytest.raises(IntegrityError):
            nightly(job, stages(job))


class TestRetracted:
    def test_the_identical_run_ends_with_3_and_says_what_to_do(self, job):
        version = nightly(job, stages(job)).published.version
        retract(job.lake, "n", version, **WHO)
        for _ in range(2):
            with pytest.raises(RetractedError, match=r"choose another synthesis\.seed") as refused:
                nightly(job, stages(job))
            assert exit_code(refused.value) == BLOCKED
        assert f"ganmill datasets permit n {version}" in str(refused.value)
        assert datasets.versions(job.lake, "n") == []

    def test_a_retraction_that_was_killed_before_the_hint_is_followed_by_the_next_run(self, job):
        first = nightly(job, stages(job)).published.version
        synthesis = job.recipe.synthesis.model_copy(update={"seed": 1})
        again = replace(job, recipe=job.recipe.model_copy(update={"synthesis": synthesis}))
        newest = nightly(again, stages(again)).published.version
        job.lake.kill_at = latest_key("n")
        with pytest.raises(KilledError):
            retract(job.lake, "n", newest, **WHO)
        job.lake.kill_at = ""
        assert hinted(job) == newest
        with pytest.raises(RetractedError):
            nightly(again, stages(again))
        assert hinted(job) == first

    def test_a_person_may_permit_it(self, job):
        version = nightly(job, stages(job)).published.version
        retract(job.lake, "n", version, **WHO)
        permit(job.lake, "n", version, **WHO)
        again = nightly(job, stages(job))
        assert again.status == "published"
        assert again.published.version != version

    def test_permit_is_a_command(self, tmp_path, monkeypatch, capsys, job):
        from storage.stores.local import LocalStore

        monkeypatch.chdir(tmp_path)
        here = replace(job, lake=LocalStore(tmp_path / "lake"))
        for key, data in job.lake._objects.items():
            here.lake.put_once(key, data)
        version = nightly(here, stages(here)).published.version
        words = [version, "--by", "ada", "--reason", "r"]
        assert execute(["datasets", "permit", "n", *words]) == 2
        assert "is not retracted" in capsys.readouterr().err
        assert execute(["datasets", "retract", "n", *words]) == 0
        assert "does not publish it again" in capsys.readouterr().out
        assert execute(["datasets", "permit", "n", *words]) == 0
        assert "may be made again" in capsys.readouterr().out


class TestIdentity:
    """Champion is a version and the digest of its files."""

    def test_files_that_nobody_promoted_are_not_published_from(self, job):
        make_champion(job, NEW, kind="override", by="Ana")
        other = snapshot("other")
        job.lake.replace(snapshot_key("n", NEW), other)
        candidate = Candidate(version=NEW, snapshot_digest=snapshot_digest("other"))
        with pytest.raises(SnapshotDamagedError, match=r"not .* as judged"):
            evaluate(job, PREPARED, candidate)
        both = assessed(job, replace(judged(NEW), snapshot_digest=candidate.snapshot_digest))
        assert not both.is_champion

    def test_a_generator_that_turns_out_to_be_damaged_is_set_aside_and_trained_again(self, job):
        made = stages(job)
        trained = []

        def train(_):
            is_gone = read_damage(job.lake, "n", OLD) is not None
            trained.append(NEW if is_gone else OLD)
            version = trained[-1]
            return Candidate(version=version, snapshot_digest=snapshot_digest(version))

        def judge(_, candidate):
            if candidate.version == OLD:
                msg = "damaged"
                raise SnapshotDamagedError(msg, version=OLD, snapshot_digest="d", why="one bit")
            return assessed(job, judged(candidate.version))

        outcome = nightly(job, replace(made, train=train, evaluate=judge))
        assert (trained, outcome.generator, outcome.status) == ([OLD, NEW], NEW, "published")
        assert read_damage(job.lake, "n", OLD).reason == "one bit"
        assert f"Generator {OLD} is damaged and set aside: one bit" in job.reporter.said

    def test_a_champion_that_is_damaged_gives_way_to_who_passes(self, job):
        make_champion(job, OLD)
        both = replace(assessed(job, judged(NEW)), is_damaged=True)
        choice = plain_stages(job).gate(both)
        assert choice.kind == "promoted"
        assert f"the files of champion {OLD} are damaged" in choice.reason
        blocked = replace(assessed(job, judged(NEW, "block")), is_damaged=True)
        assert "is damaged" in plain_stages(job).gate(blocked).reason

    def test_a_damaged_champion_is_found_when_it_is_judged(self, job, monkeypatch):
        make_champion(job, OLD)

        def broken(self, version, digest):
            if version == OLD:
                msg = "damaged"
                raise SnapshotDamagedError(msg, version=OLD, snapshot_digest=digest, why="lost")
            return judged(version)

        monkeypatch.setattr(Evaluator, "judged", broken)
        candidate = Candidate(version=NEW, snapshot_digest=snapshot_digest(NEW))
        for _ in range(2):
            found = evaluate(job, PREPARED, candidate)
            assert (found.champion, found.is_damaged) == (None, True)
        assert read_damage(job.lake, "n", OLD).snapshot_digest == snapshot_digest(OLD)


def test_what_is_finished_is_not_finished_any_more_when_it_was_retracted(job, monkeypatch):
    made = stages(job)
    version = nightly(job, made).published.version
    monkeypatch.setattr("flows.nightly._candidate", lambda *_: made.train(None))
    monkeypatch.setattr(Evaluator, "is_judged", lambda *_: True)
    assert find_finished(job, made).published.version == version
    retract(job.lake, "n", version, **WHO)
    assert find_finished(job, made) is None


def test_what_is_published_is_not_finished_before_it_is_known_whether_it_helps(job, monkeypatch):
    made = stages(job)
    version = nightly(job, made).published.version
    monkeypatch.setattr("flows.nightly._candidate", lambda *_: made.train(None))
    monkeypatch.setattr(Evaluator, "is_judged", lambda *_: True)
    wanted = parse_recipe(job.recipe.model_dump(mode="json") | {"lift": {"when": "changed"}})
    measuring = replace(job, recipe=wanted)
    assert find_finished(measuring, stages(measuring)) is None
    kept = (unknown("", "one class alone"), True)
    monkeypatch.setattr(Lifter, "_answer", lambda *_: kept)
    assert nightly(measuring, stages(measuring)).published.version == version
    keys = [info.key for info in job.lake.list()]
    found = find_finished(measuring, stages(measuring))
    assert (found.published.version, found.report.lift.answer) == (version, "cannot be known")
    assert [info.key for info in job.lake.list()] == keys, "it reads only"
