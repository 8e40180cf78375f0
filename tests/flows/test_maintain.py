"""A lake in order: what nobody was told is told, what nobody needs is gone."""

import pytest

from flows.errors import UnsentError
from flows.job import now
from flows.maintain import maintain_lake
from storage.digests import canonical_json
from storage.lake.announce import PROMOTED
from storage.lake.layout import numbered_key, promotions_folder, snapshot_key
from storage.lake.registry import TrainingPlan, agree_training, complete, mirror
from storage.stores.memory import MemoryStore

DONE, OPEN = "ab" * 32, "cd" * 32


@pytest.fixture
def lake(tmp_path):
    """Two trainings with checkpoints, one of them finished, promoted, and told to nobody."""
    lake = MemoryStore()
    checkpoint = tmp_path / "000000000700"
    checkpoint.mkdir()
    (checkpoint / "state.json").write_text("{}")
    plans = {}
    for key in (DONE, OPEN):
        plans[key] = agree_training(lake, TrainingPlan.propose("digits", key, now(), {}))
        mirror(lake, key, checkpoint, 700)
    version = plans[DONE].version
    lake.put_once(snapshot_key("digits", version), b"{}")
    record = {
        "kind": "promote",
        "version": version,
        "snapshot_digest": "d" * 64,
        "report_digest": "",
        "by": "gate",
        "reason": "passes",
        "previous": 0,
        "created": "2026-01-01T00:00:00+00:00",
    }
    lake.put_once(numbered_key(promotions_folder("digits"), 1), canonical_json(record))
    return lake


def test_only_said_it_changes_nothing(lake):
    before = {info.key for info in lake.list()}
    kept = maintain_lake(lake, apply=False, emit=lambda _: pytest.fail("nothing is sent"))
    assert (kept.applied, kept.checkpoints, kept.announced) == (False, (DONE,), ())
    assert {info.key for info in lake.list()} == before


def test_checkpoints_of_finished_trainings_go_and_others_stay(lake):
    assert maintain_lake(lake, apply=True).checkpoints == (DONE,)
    assert complete(lake, DONE) == []
    assert complete(lake, OPEN) == [700]
    assert maintain_lake(lake, apply=True).checkpoints == ()


def test_what_nobody_was_told_is_told_once(lake):
    heard = []
    kept = maintain_lake(lake, apply=True, emit=heard.append)
    assert [one.event for one in heard] == [PROMOTED]
    assert kept.announced == (f"{PROMOTED} digits/{heard[0].payload['version']}",)
    assert maintain_lake(lake, apply=True, emit=heard.append).announced == ()


def test_an_event_that_cannot_be_sent_does_not_keep_it_from_collecting(lake):
    def unreachable(_):
        msg = "connection refused"
        raise UnsentError(msg)

    kept = maintain_lake(lake, apply=True, emit=unreachable)
    assert kept.unsent == "connection refused"
    assert kept.checkpoints == (DONE,)
    assert maintain_lake(lake, apply=True, emit=lambda _: None).announced
