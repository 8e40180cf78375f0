"""What a person on duty reads in lists: the end of a run, or its question, in one line."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from flows.job import Question
from flows.tracked import messages
from flows.tracked.messages import (
    mark_run,
    outcome_message,
    outcome_name,
    outcome_tags,
    question_message,
    tags_with,
)

NEW, OLD, VERSION = "20261128T0200Z-new", "20261101T0200Z-old", "20261128T0300Z-data"
LINK = "http://127.0.0.1:4300/abc/report.html"


def outcome(choice="promoted", verdict="pass", *, existed=False, made=True, **published):
    held = {"version": VERSION, "rows": 10_000, "verdict": verdict, "override": None} | published
    return SimpleNamespace(
        name="digits",
        choice=choice,
        verdict=verdict,
        reason="coverage is .2 of .9",
        generator=OLD if choice in ("kept", "champion") else NEW,
        report=SimpleNamespace(modality="images"),
        published=SimpleNamespace(existed=existed, **held) if made else None,
    )


@pytest.fixture
def job(monkeypatch):
    """A job in whose lake a champion serves a version."""
    served = SimpleNamespace(champion=SimpleNamespace(version=OLD), latest=VERSION)
    monkeypatch.setattr(messages.promotions, "champion", lambda *_: served.champion)
    monkeypatch.setattr(
        messages.datasets,
        "latest",
        lambda *_: served.latest and SimpleNamespace(version=served.latest),
    )
    return SimpleNamespace(name="digits", lake=None, served=served)


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (
            outcome(),
            f"published digits {VERSION}: 10,000 images, verdict PASS, new champion {NEW}",
        ),
        (
            outcome("champion", "warn"),
            f"published digits {VERSION}: 10,000 images, verdict WARN, champion {OLD}",
        ),
        (
            outcome("kept"),
            f"kept champion {OLD}: the new generator was refused, coverage is .2 of .9; "
            f"published digits {VERSION}: 10,000 images, verdict PASS",
        ),
        (
            outcome("champion", existed=True),
            f"nothing new, published before: digits {VERSION}: 10,000 images, verdict PASS, "
            f"champion {OLD}",
        ),
        (
            outcome(verdict="block", override={"by": "Ana"}),
            f"published digits {VERSION}: 10,000 images, verdict BLOCK (overridden by Ana), "
            f"new champion {NEW}",
        ),
        (
            outcome("blocked", "block", made=False),
            f"nothing published: coverage is .2 of .9; verdict BLOCK on {NEW}; champion stays "
            f"{OLD}, readers have version {VERSION}",
        ),
    ],
)
def test_the_end_says_what_was_published_the_verdict_and_who_is_champion(job, ended, said):
    assert outcome_message(job, ended, None) == said
    assert outcome_message(job, ended, LINK) == f"{said}; report {LINK}"
    assert outcome_message(job, ended, f"https://bucket/{'x' * 300}") == said


def test_without_a_champion_and_a_version_it_says_so(job):
    job.served.champion = job.served.latest = None
    said = outcome_message(job, outcome("blocked", "block", made=False), None)
    assert said.endswith("there is no champion, readers have no version yet")


@pytest.mark.parametrize(
    ("ended", "tags", "name"),
    [
        (outcome(), ("PASS", "published"), "PASS, published, 10,000 images"),
        (outcome("kept", "warn"), ("WARN", "kept champion"), "WARN, kept champion, 10,000 images"),
        (outcome(existed=True), ("PASS", "nothing new"), "PASS, nothing new, 10,000 images"),
        (
            outcome("blocked", "block", made=False),
            ("BLOCK", "nothing published"),
            "BLOCK, nothing published",
        ),
    ],
)
def test_tags_and_name_are_the_shortest_of_it(ended, tags, name):
    assert (outcome_tags(ended), outcome_name(ended)) == (tags, name)


def test_a_question_says_since_when_what_and_where():
    question = Question(kind="approval", why="it passed", default="publish", champion=None)
    at = datetime(2026, 11, 28, 2, 14, tzinfo=UTC)
    assert question_message(question, "warn", at, LINK) == (
        "waits for your answer since 2026-11-28 02:14 UTC: WARN, it passed; report "
        f"{LINK}; answer with Resume on this run's page"
    )


def test_tags_of_people_stay_and_ours_are_replaced():
    before = ["ganmill", "team-a", "waits for your answer", "WARN"]
    assert tags_with(before, ("PASS", "published")) == ["ganmill", "team-a", "PASS", "published"]


def test_outside_a_flow_run_nothing_is_marked(monkeypatch):
    monkeypatch.setattr(messages, "get_client", lambda **_: pytest.fail("no run is in hand"))
    mark_run(("PASS",), "PASS")
