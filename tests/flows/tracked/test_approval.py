"""A flow run that asks: what it keeps, when it suspends, and what an answer does to it."""

import re
from dataclasses import replace
from types import SimpleNamespace
from uuid import UUID

import pytest
from deciding import NEW, OLD, assessed, judged, kinds, lake_of_two, promote

from flows.decision import gate
from flows.job import Candidate, Stages
from flows.progress import SilentReporter
from flows.tracked import approval
from flows.tracked.approval import RESPONSE, with_questions
from flows.tracked.messages import WAITS
from storage.lake.damage import Damage, set_aside

RUN, OTHER = UUID(int=1), UUID(int=2)
CANDIDATE = Candidate(version=NEW, snapshot_digest="d", trained=True)


class SuspendedError(Exception):
    """Stands for Prefect's end of the process."""


class Place:
    """One flow run of a deployment, its inputs in memory, its process ended by an exception."""

    def __init__(self, **config) -> None:
        self.job = lake_of_two(on_reject="ask", **config)
        self.job.reporter, self.job.emit = SilentReporter(), None
        self.job.lake_uri = "memory://lake"
        self.inputs: dict[tuple[UUID, str], object] = {}
        self.keys: list[str] = []
        self.messages: list[str] = []
        self.marked: list[tuple[tuple[str, ...], str]] = []
        self.descriptions: list[str] = []
        self.trained = 0
        self.challenger, self.champion = judged(NEW, "block"), None
        self.waiting: list[tuple[UUID, str]] = []

    def run_inputs(self, run: UUID):
        def write(key, value):
            assert (run, key) not in self.inputs, "Prefect refuses a key that is there"
            self.inputs[run, key] = value

        def read(key):
            value = self.inputs.get((run, key))
            return dict(value) if value else None

        return SimpleNamespace(run=run, write=write, read=read)

    def suspend(self, run, *, wait_for_input, key, timeout, message):
        assert (run, timeout) == (RUN, approval.ANSWER_WAIT_S)
        assert self.marked[-1][1] == WAITS
        self.keys.append(key)
        self.messages.append(message)
        self.descriptions.append(wait_for_input._description)
        raise SuspendedError

    def answer(self, number: int = 1, **given) -> None:
        self.inputs[RUN, RESPONSE.format(number)] = {"by": "Ana", "reason": "", **given}

    def go(self):
        """Do what the flow does from the top to its choice."""

        def train(_):
            self.trained += 1
            return CANDIDATE

        stages = Stages(
            prepare=None,
            watch=lambda _: None,
            train=train,
            evaluate=lambda *_: assessed(self.job, self.challenger, self.champion),
            lift=lambda _, both: both,
            gate=lambda both: gate(self.job, both),
            ask=lambda _, choice: replace(choice, reason="plain"),
            promote=None,
            synthesize=None,
            publish=None,
        )
        stages = with_questions(self.job, stages)
        both = stages.evaluate(None, stages.watch(None) or stages.train(None))
        return stages.ask(both, stages.gate(both))


@pytest.fixture
def place(monkeypatch):
    made = Place()
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(RUN))
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "any")
    monkeypatch.setattr(approval, "RunInputs", made.run_inputs)
    monkeypatch.setattr(approval, "waiting_runs", lambda: made.waiting)
    monkeypatch.setattr(approval, "suspend_flow_run", made.suspend)
    monkeypatch.setattr(approval.messages, "mark_run", lambda *said: made.marked.append(said))
    return made


def asks(place: Place, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(SuspendedError):
            place.go()


def test_what_was_asked_is_kept_before_the_run_suspends(place):
    asks(place)
    assert place.inputs[RUN, "ganmill-question-1"]["candidate"]["version"] == NEW
    assert place.keys == ["question-1"]
    assert "was refused" in place.descriptions[0]
    assert re.match(r"waits for your answer since \d{4}-.* UTC: BLOCK, .+", place.messages[0])
    assert "answer with Resume" in place.messages[0]
    assert place.marked == [(("BLOCK", WAITS), WAITS)]
    assert kinds(place.job) == [("reject", NEW)]


def test_it_goes_on_with_what_it_asked_about_and_trains_nothing(place):
    asks(place)
    place.answer(answer="publish", reason="known")
    choice = place.go()
    assert (choice.kind, choice.draft.by) == ("promoted", "Ana")
    assert place.trained == 1


def test_a_wrong_answer_asks_again_under_a_new_key(place):
    asks(place)
    place.answer(answer="publish")
    asks(place)
    place.answer(2, answer="keep champion")
    asks(place)
    assert place.keys == ["question-1", "question-2", "question-3"]
    assert "Asked again: the reason has 0 characters" in place.descriptions[1]
    assert "Asked again: no champion can publish" in place.descriptions[2]
    place.answer(3, answer="stop")
    assert place.go().kind == "blocked"
    assert place.trained == 1


def test_no_answer_at_all_asks_again_under_a_new_key(place):
    asks(place, times=2)
    assert place.keys == ["question-1", "question-2"]


def test_a_yes_does_not_hold_for_a_worse_verdict(place):
    promote(place.job, OLD)
    place.challenger, place.champion = judged(NEW, "warn", 0.5), judged(OLD)
    asks(place)
    place.answer(answer="publish", reason="known")
    place.challenger = judged(NEW, "block", 0.4)
    asks(place)
    assert "is now block, not warn" in place.descriptions[1]
    place.answer(2, answer="keep champion")
    assert place.go().judged.version == OLD


def test_the_same_question_is_not_asked_by_two_runs(place):
    asks(place)
    asked = place.inputs.pop((RUN, "ganmill-question-1"))
    place.inputs[OTHER, "ganmill-question-1"] = asked
    place.waiting = [(OTHER, "n, last night")]
    choice = place.go()
    assert choice.kind == "asked"
    assert "'n, last night' waits for the answer to the same question" in choice.reason

    place.inputs[OTHER, "ganmill-question-1"] = asked | {"name": "m"}
    asks(place)


def test_the_same_version_with_other_files_is_another_question(place):
    asks(place)
    asked = place.inputs.pop((RUN, "ganmill-question-1"))
    other = asked["candidate"] | {"snapshot_digest": "e" * 64}
    place.inputs[OTHER, "ganmill-question-1"] = asked | {"candidate": other}
    place.waiting = [(OTHER, "n, last night")]
    asks(place)


def test_a_yes_is_to_the_files_that_were_shown(place):
    asks(place)
    place.answer(answer="publish", reason="known")
    place.challenger = replace(place.challenger, snapshot_digest="e" * 64)
    asks(place)
    assert f"the answer was on generator {NEW}" in place.descriptions[1]
    assert kinds(place.job) == [("reject", NEW)]


def test_a_generator_that_was_set_aside_since_is_not_gone_on_with(place):
    asks(place)
    damage = Damage(reason="one bit", snapshot_digest="", found="")
    set_aside(place.job.lake, "n", NEW, damage)
    asks(place)
    assert place.trained == 2


def test_a_run_without_a_deployment_does_what_the_command_line_does(place, monkeypatch):
    monkeypatch.delenv("PREFECT__RUNTIME__DEPLOYMENT__ID")
    assert place.go().reason == "plain"
    assert place.keys == []


def test_a_pass_asks_nothing(place):
    place.challenger = judged(NEW)
    assert place.go().kind == "promoted"
    assert place.inputs == {}
