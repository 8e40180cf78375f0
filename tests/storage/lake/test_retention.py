"""What leaves the lake: decided by the log, and never what a visible version is made of."""

import dataclasses
from datetime import timedelta

import pytest
import toy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meddling import Meddling

from storage.errors import (
    AbandonedError,
    ObjectNotFoundError,
    RetentionError,
    RetractedError,
    WriteConflictError,
)
from storage.lake import datasets
from storage.lake.layout import latest_key
from storage.lake.log import read_versions, version_log
from storage.lake.publish import Publisher, agree, find_committed
from storage.lake.retention import GRACE_PERIOD, UNCOMMITTED_PERIOD, Collector, pin, retract, unpin
from storage.stores.memory import MemoryStore

NOW = toy.CREATED + timedelta(days=1)
WHO = {"by": "ada", "reason": "asked for"}


def publish(lake, run, keep=2):
    """Publish as `toy.publish` does, with a wish how many versions stay."""
    plan = agree(lake, toy.proposal(run))
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, toy.records(plan, index))
    fields = dataclasses.replace(toy.fields(), retention={"keep_last": keep})
    return publisher.commit(fields, {}).version


def steps(removals):
    return [(removal.step, removal.version) for removal in removals]


def visible(lake):
    return [one.version for one in datasets.versions(lake, toy.NAME)]


def keys(lake, version):
    return [info.key for info in lake.list() if version in info.key]


class TestRetire:
    def test_the_oldest_go_first_from_sight_and_after_the_grace_from_the_lake(self, lake):
        versions = [publish(lake, run) for run in "abcd"]
        assert steps(Collector(lake, NOW).collect()) == [("retire", one) for one in versions[:2]]
        assert visible(lake) == versions[2:]
        assert keys(lake, versions[0])
        assert Collector(lake, NOW + GRACE_PERIOD - timedelta(seconds=1)).collect() == []
        gone = Collector(lake, NOW + GRACE_PERIOD).collect()
        assert steps(gone) == [("delete", one) for one in versions[:2]]
        assert gone[0].total_bytes > 0
        assert not keys(lake, versions[0])
        assert Collector(lake, NOW + GRACE_PERIOD).collect() == []
        for version in versions[2:]:
            assert datasets.read_manifest(lake, toy.NAME, version).rows == 50

    def test_what_is_due_is_only_said(self, lake):
        for run in "abc":
            publish(lake, run)
        before = {info.key for info in lake.list()}
        (removal,) = Collector(lake, NOW).due()
        assert removal.reason == "output.keep_last is 2"
        assert {info.key for info in lake.list()} == before

    def test_the_newest_manifest_says_how_many_stay(self, lake):
        for run in "abc":
            publish(lake, run, keep=1)
        publish(lake, "d", keep=None)
        assert Collector(lake, NOW).due() == []
        newest = publish(lake, "e", keep=1)
        Collector(lake, NOW).collect()
        assert visible(lake) == [newest]

    def test_run_again_a_retired_version_is_made_anew(self, lake):
        old, *_ = [publish(lake, run, keep=1) for run in "ab"]
        Collector(lake, NOW).collect()
        again = publish(lake, "a", keep=1)
        assert again != old
        assert visible(lake)[-1] == again

    def test_a_record_without_a_time_is_never_old_enough(self, lake):
        old, _ = publish(lake, "a"), publish(lake, "b")
        version_log(lake, toy.NAME).append({"kind": "retire", "version": old}, lambda _: False)
        assert Collector(lake, NOW + 10 * GRACE_PERIOD).due() == []


class TestByHand:
    def test_pinned_versions_stay(self, lake):
        versions = [publish(lake, run, keep=1) for run in "abc"]
        assert pin(lake, toy.NAME, versions[0], **WHO)
        assert not pin(lake, toy.NAME, versions[0], **WHO)
        Collector(lake, NOW).collect()
        assert visible(lake) == [versions[0], versions[2]]
        assert unpin(lake, toy.NAME, versions[0], **WHO)
        assert not unpin(lake, toy.NAME, versions[0], **WHO)
        Collector(lake, NOW).collect()
        assert visible(lake) == [versions[2]]

    def test_what_is_retracted_is_out_of_sight_at_once(self, lake):
        versions = [publish(lake, run) for run in "ab"]
        retract(lake, toy.NAME, versions[1], **WHO)
        assert datasets.latest(lake, toy.NAME).version == versions[0]
        assert versions[0].encode() in lake.get(latest_key(toy.NAME))
        retract(lake, toy.NAME, versions[0], **WHO)
        assert lake.stat(latest_key(toy.NAME)) is None
        (first, *_) = version_log(lake, toy.NAME).read()[2:]
        assert (first.record["by"], first.record["reason"]) == ("ada", "asked for")

    def test_a_pinned_version_is_not_retracted_and_a_retired_one_not_pinned(self, lake):
        first, second = publish(lake, "a"), publish(lake, "b")
        pin(lake, toy.NAME, first, **WHO)
        with pytest.raises(RetentionError, match="is pinned"):
            retract(lake, toy.NAME, first, **WHO)
        retract(lake, toy.NAME, second, **WHO)
        for move in (pin, unpin, retract):
            with pytest.raises(RetentionError, match="is retired"):
                move(lake, toy.NAME, second, **WHO)
            with pytest.raises(ObjectNotFoundError, match="no committed version"):
                move(lake, toy.NAME, "20200101T000000Z-00000000", **WHO)


class TestAbandon:
    def test_what_was_never_committed_goes_when_it_is_old(self, lake):
        publish(lake, "b")
        plan = agree(lake, toy.proposal("a"))
        publisher = Publisher(lake, plan)
        publisher.put_shard(0, toy.records(plan, 0))
        assert Collector(lake, plan.created + UNCOMMITTED_PERIOD - timedelta(seconds=1)).due() == []
        gone = Collector(lake, plan.created + UNCOMMITTED_PERIOD).collect()
        assert steps(gone) == [("abandon", plan.version)]
        assert not keys(lake, plan.version)[1:], "only the plan, which the next attempt reads"
        for index in publisher.missing():
            publisher.put_shard(index, toy.records(plan, index))
        with pytest.raises(AbandonedError):
            publisher.commit(toy.fields(), {})
        assert steps(Collector(lake, NOW + UNCOMMITTED_PERIOD).collect()) == [
            ("delete", plan.version)
        ]
        assert publish(lake, "a") != plan.version


class Actors:
    """Everyone who uses one lake, in time that passes."""

    def __init__(self, lake):
        self.lake, self.now = lake, NOW

    def check(self):
        """Every visible version is whole, and a pinned one is visible."""
        for commit in read_versions(self.lake, toy.NAME).visible:
            manifest = datasets.load_manifest(self.lake, commit)
            for entry in (*manifest.files, *manifest.documents):
                assert self.lake.stat(entry.path), f"{entry.path} is gone"

    def act(self, name, run, through=None):
        lake = through or self.lake
        getattr(self, f"_{name}")(lake, run)
        self.check()

    def _publish(self, lake, run):
        for _ in range(5):
            try:
                return publish(lake, run)
            except (AbandonedError, WriteConflictError):
                continue
            except RetractedError:
                return None
        return None

    def _collect(self, lake, _):
        Collector(lake, self.now).collect()

    def _wait(self, *_):
        self.now += GRACE_PERIOD

    def _wait_long(self, *_):
        self.now += UNCOMMITTED_PERIOD

    def _pin(self, lake, run):
        self._by_hand(pin, lake, run)

    def _unpin(self, lake, run):
        self._by_hand(unpin, lake, run)

    def _retract(self, lake, run):
        self._by_hand(retract, lake, run)

    def _begin(self, lake, run):
        """Put one shard and be killed."""
        try:
            plan = agree(lake, toy.proposal(run))
        except RetractedError:
            return
        publisher = Publisher(lake, plan)
        if find_committed(lake, plan) is None:
            try:
                publisher.put_shard(0, toy.records(plan, 0))
            except (ObjectNotFoundError, WriteConflictError):
                return

    def _by_hand(self, move, lake, run):
        seen = datasets.versions(lake, toy.NAME)
        if seen:
            try:
                move(lake, toy.NAME, seen[int(run, 16) % len(seen)].version, **WHO)
            except RetentionError:
                return


ACTS = ("publish", "collect", "wait", "wait_long", "pin", "unpin", "retract", "begin")
ACT = st.tuples(st.sampled_from(ACTS), st.sampled_from("abcde"))
MEDDLED = st.tuples(ACT, st.lists(st.tuples(st.integers(1, 40), ACT), max_size=3))


def meddle(story):
    """Play acts in which others act between any two steps; the lake is looked at after each."""
    lake = MemoryStore()
    actors = Actors(lake)
    for (act, run), others in story:
        between = [(at, lambda other=other: actors.act(*other)) for at, other in others]
        actors.act(act, run, through=Meddling(lake, between))
    return lake


HEALTH = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@settings(max_examples=25, **HEALTH)
@given(st.lists(MEDDLED, min_size=1, max_size=8))
def test_no_interleaving_takes_a_file_of_a_visible_version(story):
    meddle(story)


@pytest.mark.full
@settings(max_examples=1_000, **HEALTH)
@given(st.lists(MEDDLED, min_size=1, max_size=12))
def test_no_interleaving_of_many_takes_a_file_of_a_visible_version(story):
    meddle(story)


@pytest.mark.parametrize("at", range(1, 30))
def test_a_pin_that_races_with_retention_is_decided_by_the_log(at):
    lake = MemoryStore()
    old, *_ = [publish(lake, run) for run in "abc"]
    said = []

    def late_pin():
        try:
            said.append(pin(lake, toy.NAME, old, **WHO))
        except RetentionError:
            said.append("too late")

    Collector(Meddling(lake, [(at, late_pin)]), NOW).collect()
    commit = read_versions(lake, toy.NAME).of(old)
    if said == [True]:
        assert commit.pinned
        assert not commit.retired
    else:
        assert commit.retired
        assert said in ([], ["too late"])


@pytest.mark.parametrize("at", range(1, 12))
def test_a_commit_that_races_with_giving_up_is_decided_by_the_log(at):
    lake = MemoryStore()
    actors = Actors(lake)
    actors.act("begin", "a")
    planned = agree(lake, toy.proposal("a")).version
    others = [(at, lambda: actors.act("publish", "a"))]
    Collector(Meddling(lake, others), toy.CREATED + 2 * UNCOMMITTED_PERIOD).collect()
    actors.check()
    (shown,) = visible(lake) or [None]
    facts = read_versions(lake, toy.NAME)
    assert (shown == planned) == (planned not in facts.abandoned and shown is not None)


def test_retention_decides_again_when_a_person_was_faster(lake):
    versions = [publish(lake, run, keep=1) for run in "ab"]
    collector = Collector(
        Meddling(lake, [(3, lambda: retract(lake, toy.NAME, versions[1], **WHO))]), NOW
    )
    collector.collect()
    assert visible(lake) == versions[:1]


def test_a_retraction_is_not_signed_as_retention_by_unseen_characters(lake):
    version = publish(lake, "a")
    with pytest.raises(RetentionError, match="of a person"):
        retract(lake, toy.NAME, version, by="reten\u200etion", reason="x")


@pytest.mark.parametrize("change", [pin, unpin, retract])
def test_who_decides_signs_on_one_line_of_bounded_length(lake, change):
    version = publish(lake, "a")
    if change is unpin:
        pin(lake, toy.NAME, version, **WHO)
    for by, reason in (("", "x"), ("a", "\n"), ("a" * 201, "x"), ("a", "x" * 2001)):
        with pytest.raises(RetentionError, match="sign it with a name and a reason"):
            change(lake, toy.NAME, version, by=by, reason=reason)
    change(lake, toy.NAME, version, by="a\nb\x07", reason="s3://AK:hunter2@b\tx")
    last = version_log(lake, toy.NAME).read()[-1].record
    assert (last["by"], last["reason"]) == ("a b", "s3://***@b x")
