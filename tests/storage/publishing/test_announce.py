"""At least once, never for what is not committed."""

import pytest
import toy

from storage.agreement import agree
from storage.announce import EVENT, announce_pending
from storage.layout import announced_key
from storage.publish import Publisher


def committed_silently(lake, run):
    plan = agree(lake, toy.proposal(run))
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, toy.records(plan, index))
    return publisher.commit(toy.fields(), {})


def test_every_committed_version_once(lake):
    versions = [committed_silently(lake, run).version for run in "ab"]
    agree(lake, toy.proposal("c"))
    events = []
    assert announce_pending(lake, toy.NAME, events.append) == versions
    assert [event.payload["version"] for event in events] == versions
    assert announce_pending(lake, toy.NAME, events.append) == []
    assert len(events) == 2


def test_the_payload_is_strings(lake):
    committed = committed_silently(lake, "a")
    events = []
    announce_pending(lake, toy.NAME, events.append)
    (event,) = events
    assert (event.event, event.resource) == (EVENT, "ganmill.dataset.toy")
    assert all(isinstance(value, str) for value in event.payload.values())
    assert event.payload["rows"] == "50"
    assert event.payload["verdict"] == "pass"
    assert event.payload["path"] == f"memory://test/datasets/toy/{committed.version}/"


def test_what_could_not_be_sent_stays_pending(lake):
    committed = committed_silently(lake, "a")

    def broken(_):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        announce_pending(lake, toy.NAME, broken)
    assert lake.stat(announced_key(toy.NAME, committed.version)) is None
    assert announce_pending(lake, toy.NAME, lambda _: None) == [committed.version]
