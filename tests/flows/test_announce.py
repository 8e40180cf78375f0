"""What a job tells, when the gate blocks it and when nobody listens."""

from types import SimpleNamespace

import pytest

from flows.errors import UnsentError
from flows.publish import announce, announce_blocked
from storage.digests import canonical_json
from storage.lake.announce import BLOCKED, PROMOTED, has_pending
from storage.lake.layout import numbered_key, promotions_folder
from storage.stores.memory import MemoryStore

VERSION = "20260101T000000Z-0123abcd"
OTHER = "20260102T000000Z-4567abcd"


def decided(lake, number, kind, version=VERSION):
    """Put a record into the log of promotions as `storage.lake.promotions` does."""
    record = {
        "kind": kind,
        "version": version,
        "snapshot_digest": "d" * 64,
        "report_digest": "e" * 64,
        "by": "gate",
        "reason": "coverage .31 of the ceiling",
        "previous": 0,
        "created": "2026-01-01T00:00:00+00:00",
    }
    lake.put_once(numbered_key(promotions_folder("digits"), number), canonical_json(record))


class Listener:
    """Takes events, or cannot be reached."""

    def __init__(self, *, reachable=True):
        self.reachable, self.heard, self.said = reachable, [], []
        self.lake = MemoryStore()

    def emit(self, announcement):
        if not self.reachable:
            msg = "connection refused"
            raise UnsentError(msg)
        self.heard.append((announcement.event, announcement.payload["version"]))

    def job(self, emit=True):
        reporter = SimpleNamespace(say=self.said.append)
        sink = self.emit if emit else None
        return SimpleNamespace(name="digits", lake=self.lake, emit=sink, reporter=reporter)


def blocked(version=VERSION):
    judged = SimpleNamespace(
        version=version,
        snapshot_digest="d" * 64,
        report_digest="e" * 64,
        judgement=SimpleNamespace(verdict="block"),
    )
    return SimpleNamespace(judged=judged, reason="coverage .31 of the ceiling")


def test_an_event_that_cannot_be_sent_fails_no_job_and_is_sent_later():
    listener = Listener(reachable=False)
    decided(listener.lake, 1, "promote")
    assert announce(listener.job()) == []
    assert "connection refused" in listener.said[0]
    listener.reachable = True
    announce(listener.job())
    announce(listener.job())
    assert listener.heard == [(PROMOTED, VERSION)]


def test_where_nobody_listens_everything_stays_pending():
    listener = Listener()
    decided(listener.lake, 1, "promote")
    announce(listener.job(emit=False))
    announce_blocked(listener.job(emit=False), blocked())
    assert has_pending(listener.lake, "digits")


def test_a_refusal_is_told_once_and_again_by_every_run_that_ends_with_it():
    listener = Listener()
    decided(listener.lake, 1, "reject")
    announce_blocked(listener.job(), blocked())
    assert listener.heard == [(BLOCKED, VERSION)]
    announce_blocked(listener.job(), blocked())
    assert listener.heard == [(BLOCKED, VERSION)] * 2


def test_a_blocked_champion_has_no_record_and_is_told():
    listener = Listener()
    decided(listener.lake, 1, "promote")
    decided(listener.lake, 2, "reject", OTHER)
    announce_blocked(listener.job(), blocked())
    assert listener.heard == [(PROMOTED, VERSION), (BLOCKED, OTHER), (BLOCKED, VERSION)]


@pytest.mark.parametrize("records", [0, 1])
def test_a_block_that_cannot_be_told_ends_as_a_block(records):
    listener = Listener(reachable=False)
    for number in range(1, records + 1):
        decided(listener.lake, number, "reject")
    announce_blocked(listener.job(), blocked())
    assert any("connection refused" in text for text in listener.said)
