"""At least once, never for what is not committed or decided."""

from datetime import UTC, datetime

import pytest
import toy

from storage.lake import promotions
from storage.lake.announce import BLOCKED, PROMOTED, PUBLISHED, announce_pending, has_pending
from storage.lake.layout import announced_key, promotion_announced_key
from storage.lake.publish import Publisher, agree
from storage.stores.memory import MemoryStore


def committed_silently(lake, run):
    plan = agree(lake, toy.proposal(run))
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, toy.records(plan, index))
    return publisher.commit(toy.fields(), {})


def said(announcements):
    return [(one.event, one.payload["version"]) for one in announcements]


def reject(lake, promotion):
    """Refuse, by the log, a generator that is as good as the champion."""
    decision = promotions.PromotionDraft(
        kind="reject",
        version=promotion.version,
        snapshot_digest=promotion.snapshot_digest,
        report_digest=promotion.report_digest,
        by="gate",
        reason="copies 2.1 times nominal",
    )
    read = promotions.standing(lake, toy.NAME)
    stamp = datetime(2026, 2, 1, tzinfo=UTC)
    return promotions.decide(lake, toy.NAME, decision, read=read, created=stamp)


def test_every_committed_version_once(lake):
    versions = [committed_silently(lake, run).version for run in "ab"]
    agree(lake, toy.proposal("c"))
    assert has_pending(lake, toy.NAME)
    events = []
    assert said(announce_pending(lake, toy.NAME, events.append)) == [
        (PUBLISHED, version) for version in versions
    ]
    assert [event.payload["version"] for event in events] == versions
    assert {event.payload["lift"] for event in events} == {"no measurable effect"}
    assert not has_pending(lake, toy.NAME)
    assert announce_pending(lake, toy.NAME, events.append) == []
    assert len(events) == 2


def test_every_decision_once_and_before_the_version(lake, tmp_path):
    promotion = toy.promote(lake, toy.snapshot_folder(tmp_path / "snapshot"))
    refusal = reject(lake, promotion)
    version = committed_silently(lake, "a").version
    events = []
    announce_pending(lake, toy.NAME, events.append)
    assert said(events) == [
        (PROMOTED, promotion.version),
        (BLOCKED, promotion.version),
        (PUBLISHED, version),
    ]
    assert [event.payload["number"] for event in events] == ["1", "2", "1"]
    assert events[1].payload["reason"] == "copies 2.1 times nominal"
    assert events[1].payload["report"].endswith("/report.html")
    assert announce_pending(lake, toy.NAME, events.append) == []
    assert promotions.standing(lake, toy.NAME).number == refusal.number


def test_the_payload_is_strings(lake, tmp_path):
    toy.promote(lake, toy.snapshot_folder(tmp_path / "snapshot"))
    committed = committed_silently(lake, "a")
    events = announce_pending(lake, toy.NAME, lambda _: None)
    for event in events:
        assert all(isinstance(value, str) for value in event.payload.values())
        common = {"name", "version", "verdict", "reason", "by", "number", "created", "report"}
        assert common <= set(event.payload)
    promoted, published = events
    assert (promoted.resource, promoted.payload["by"]) == ("ganmill.generator.toy", "gate")
    assert published.resource == "ganmill.dataset.toy"
    assert published.payload["rows"] == "50"
    assert published.payload["verdict"] == "pass"
    assert published.payload["reason"] == "coverage .97 of the ceiling"
    assert published.payload["path"] == f"memory://test/datasets/toy/{committed.version}/"


class Killed(BaseException):
    """The process ends here."""


class KilledBeforeRecording(MemoryStore):
    """A lake whose process is killed when it would record that something was told."""

    alive = False

    def put_once(self, key, data):
        if not self.alive and "announced" in key:
            raise Killed
        return super().put_once(key, data)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_emit_the_next_run_announces(tmp_path, when):
    lake = KilledBeforeRecording()
    promotion = toy.promote(lake, toy.snapshot_folder(tmp_path / "snapshot"))
    committed = committed_silently(lake, "a")
    events = []

    def emit(announcement):
        if when == "before":
            raise Killed
        events.append(announcement)

    with pytest.raises(Killed):
        announce_pending(lake, toy.NAME, emit)
    lake.alive = True
    announce_pending(lake, toy.NAME, events.append)
    again = [(PROMOTED, promotion.version)] if when == "after" else []
    assert said(events) == [
        *again,
        (PROMOTED, promotion.version),
        (PUBLISHED, committed.version),
    ]


def test_what_could_not_be_sent_stays_pending(lake, tmp_path):
    promotion = toy.promote(lake, toy.snapshot_folder(tmp_path / "snapshot"))
    committed = committed_silently(lake, "a")

    def broken(announcement):
        if announcement.event == PUBLISHED:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        announce_pending(lake, toy.NAME, broken)
    assert lake.stat(promotion_announced_key(toy.NAME, promotion.number)) is not None
    assert lake.stat(announced_key(toy.NAME, committed.version)) is None
    left = announce_pending(lake, toy.NAME, lambda _: None)
    assert said(left) == [(PUBLISHED, committed.version)]
