"""Lift in Prefect: a task of its own that shows the verdict, and a deployment that measures it."""

from types import SimpleNamespace

import pytest

from flows.job import Candidate
from flows.lift import KeptLift
from flows.tracked import nightly, on_demand
from gan.lift.result import Lift


@pytest.fixture
def shown(monkeypatch):
    """What was shown of the verdict."""
    found: list[object] = []
    monkeypatch.setattr(nightly, "show_verdict", lambda _, assessed: found.append(assessed))
    return found


def tasks(when):
    job = SimpleNamespace(recipe=SimpleNamespace(lift=SimpleNamespace(when=when)))
    plain = SimpleNamespace(evaluate=lambda *_: "evaluated", lift=lambda *_: "lifted")
    return nightly._evaluate_task(job, plain), nightly._lift_task(job, plain)


def test_the_verdict_is_shown_once_with_the_answer_on_lift(shown):
    evaluate, lift = tasks("changed")
    assert (evaluate.name, lift.name) == ("evaluate", "lift")
    assert evaluate.fn("prepared", "candidate") == "evaluated"
    assert shown == []
    assert lift.fn("prepared", "assessed") == "lifted"
    assert shown == ["lifted"]


def test_without_lift_the_verdict_is_shown_at_once(shown):
    evaluate, _ = tasks("never")
    evaluate.fn("prepared", "candidate")
    assert shown == ["evaluated"]


def test_on_demand_every_arm_is_shown_and_the_answer_ends_the_run(monkeypatch):
    artifacts, asked = {}, {}
    answer = Lift(answer="hurts", text="It loses .02.", task="t", effect=None, remedy=None)
    made = Candidate(version="v", snapshot_digest="d")

    def measure(job, stages, **extent):
        asked.update(extent)
        return made, KeptLift(measured="2026-01-01T00:00:00+00:00", lift=answer)

    monkeypatch.setattr(on_demand, "open_named", lambda name: SimpleNamespace(name=name))
    monkeypatch.setattr(on_demand, "tracked_stages", lambda _: None)
    monkeypatch.setattr(on_demand, "lift_alone", measure)
    monkeypatch.setattr(
        on_demand, "create_markdown_artifact", lambda text, key: artifacts.update({key: text})
    )
    said = on_demand.lift_flow.fn.__wrapped__("digits", thorough=True)
    assert said == "hurts: It loses .02."
    assert asked == {"thorough": True, "curve": False}
    assert artifacts["digits-lift"].startswith("# Does `digits/v` help?")
    assert "**HURTS** It loses .02." in artifacts["digits-lift"]
