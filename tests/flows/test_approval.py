"""A person decides: every question and every answer, on a real log in memory."""

from dataclasses import replace
from itertools import product

import pytest
from deciding import NEW, OLD, assessed, choose, judged, kinds, lake_of_two, promote

from flows.decision import answered, gate, worsened
from flows.errors import AnswerError
from flows.job import Choice
from flows.report.markdown import QUESTION_REASONS, question_markdown
from gan.gate import GateConfig
from gan.report import Reason
from storage.lake.promotions import standing

ASK = {"on_reject": "ask"}
ALWAYS = {"approval": "always"}
PUBLISH = {"answer": "publish", "by": "Ana", "reason": "the shift is known"}
KEEP = {"answer": "keep champion", "by": "Ana", "reason": ""}
STOP = {"answer": "stop", "by": "Ana", "reason": ""}
BETTER, WORSE = 0.95, 0.5


def open_question(job, challenger, champion=None) -> Choice:
    choice = gate(job, assessed(job, challenger, champion))
    assert choice.kind == "asked"
    return choice


def form_of(choice: Choice) -> str:
    """Return what the form shows."""
    return question_markdown(choice.question, choice.judged)


@pytest.mark.parametrize(
    ("on_reject", "approval", "is_good", "champion"),
    list(
        product(
            ("keep-champion", "stop", "ask"),
            ("never", "always"),
            (True, False),
            (None, "approved", "by the gate"),
        )
    ),
)
def test_every_setting_asks_when_it_should(on_reject, approval, is_good, champion):
    job = lake_of_two(on_reject=on_reject, approval=approval)
    if champion:
        promote(job, OLD, by="Eva" if champion == "approved" else "gate")
    verdict = "pass" if is_good else "block"
    other = judged(OLD) if champion else None
    choice = gate(job, assessed(job, judged(NEW, verdict, BETTER), other))
    if is_good:
        assert choice.kind == ("asked" if approval == "always" else "promoted")
    elif on_reject == "ask":
        assert choice.kind == "asked"
    elif on_reject == "stop" or not champion:
        assert choice.kind == "blocked"
    else:
        silent = approval == "always" and champion == "by the gate"
        assert choice.kind == ("blocked" if silent else "kept")


class TestQuestion:
    def test_says_what_is_asked_and_what_the_gate_would_do(self):
        job = lake_of_two(**ASK)
        promote(job, OLD)
        asked = open_question(job, judged(NEW, "block"), judged(OLD))
        assert (asked.question.kind, asked.judged.version) == ("override", NEW)
        assert asked.question.champion == OLD
        text = form_of(asked)
        assert f"BLOCK: generator `{NEW}` was refused" in text
        assert "\n- as it is\n" in text
        assert f"the champion `{OLD}` publishes" in text
        assert f"the gate would publish from the champion {OLD}" in text

    @pytest.mark.parametrize(
        ("reigns", "champion", "why"),
        [
            (False, None, "there is no champion yet"),
            (True, None, "cannot be judged on today's records"),
            (True, judged(OLD, "block"), "is blocked today too"),
        ],
    )
    def test_says_why_no_champion_can_publish(self, reigns, champion, why):
        job = lake_of_two(**ASK)
        if reigns:
            promote(job, OLD)
        asked = open_question(job, judged(NEW, "block"), champion)
        assert asked.question.champion is None
        assert why in asked.question.blocking_reason
        assert why in form_of(asked)
        assert "would publish nothing" in form_of(asked)

    def test_a_yes_to_a_pass_is_another_question(self):
        asked = open_question(lake_of_two(**ALWAYS), judged(NEW))
        assert asked.question.kind == "approval"
        assert "PASS: generator" in form_of(asked)
        assert f"promote {NEW} and publish from it" in form_of(asked)

    def test_many_reasons_are_cut_in_the_form(self):
        challenger = judged(NEW, "block")
        reasons = [Reason(metric="m", scope="s", outcome="block", text=f"r{i}") for i in range(40)]
        told = replace(challenger, judgement=replace(challenger.judgement, reasons=tuple(reasons)))
        text = form_of(open_question(lake_of_two(**ASK), told))
        assert f"- r{QUESTION_REASONS - 1}\n" in text
        assert f"r{QUESTION_REASONS}\n" not in text
        assert f"{40 - QUESTION_REASONS} more in the report" in text


class TestWithoutAnAnswer:
    def test_nothing_is_published_and_a_sentence_says_what_to_do(self):
        job = lake_of_two(**ASK)
        choice = choose(job, judged(NEW, "block"))
        assert choice.kind == "asked"
        assert f"ganmill generators promote n {NEW} --by YOU --reason WHY" in choice.reason
        assert "is blocked" in choice.reason
        assert kinds(job) == [("reject", NEW)]

    def test_a_pass_that_waits_for_a_yes_is_no_refusal(self):
        job = lake_of_two(**ALWAYS)
        assert "waits for a person's yes" in choose(job, judged(NEW)).reason
        assert kinds(job) == []

    def test_asking_twice_leaves_one_record(self):
        job = lake_of_two(**ASK)
        for _ in range(2):
            assert choose(job, judged(NEW, "block")).kind == "asked"
        assert kinds(job) == [("reject", NEW)]


class TestPublish:
    def test_a_refused_generator_is_an_override(self):
        job = lake_of_two(**ASK)
        promote(job, OLD)
        choice = choose(job, judged(NEW, "block"), judged(OLD), PUBLISH)
        assert (choice.kind, choice.judged.version) == ("promoted", NEW)
        assert choice.override.by == "Ana"
        assert choice.override.reason == "the shift is known"
        assert choice.approval is None
        last = standing(job.lake, "n").records[-1]
        assert (last.kind, last.by, last.reason) == ("override", "Ana", "the shift is known")
        assert last.report_digest == choice.judged.report_digest
        assert choice.override == last

    def test_a_yes_to_a_pass_is_a_promotion(self):
        job = lake_of_two(**ALWAYS)
        choice = choose(job, judged(NEW), answer=PUBLISH)
        assert (choice.kind, choice.override) == ("promoted", None)
        assert choice.approval.by == "Ana"
        assert kinds(job) == [("promote", NEW)]

    def test_the_same_report_is_not_asked_about_again(self):
        job = lake_of_two(**ASK)
        choose(job, judged(NEW, "block"), answer=PUBLISH)
        again = choose(job, judged(NEW, "block"))
        assert (again.kind, again.override.by) == ("champion", "Ana")
        assert kinds(job) == [("override", NEW)]

    def test_a_fact_that_is_broken_anew_asks_again(self):
        job = lake_of_two(**ASK)
        choose(job, judged(NEW, "block"), answer=PUBLISH)
        tonight = judged(NEW, "block", coverage=0.1, broken=("classes",))
        asked = open_question(job, tonight)
        assert "is the champion itself" in asked.question.blocking_reason
        assert "before it was known that classes does not hold" in asked.question.why
        choice = choose(job, tonight, answer=PUBLISH)
        assert (choice.kind, choice.override.by) == ("champion", "Ana")
        assert kinds(job) == [("override", NEW)] * 2

    def test_a_fact_that_she_knew_to_be_broken_does_not(self):
        job = lake_of_two()
        promote(job, NEW, kind="override", by="Ana")
        tonight = judged(NEW, "block", broken=("classes",))
        both = replace(assessed(job, tonight), seen=frozenset({"classes"}))
        assert gate(job, both).override.by == "Ana"
        assert gate(job, assessed(job, tonight)).kind == "blocked"

    def test_an_override_holds_for_these_files_whatever_is_said_of_them_later(self):
        job = lake_of_two(**ASK)
        choose(job, judged(NEW, "block"), answer=PUBLISH)
        choice = choose(job, judged(NEW, "block", coverage=0.1))
        assert (choice.kind, choice.override.by, choice.approval) == ("champion", "Ana", None)
        assert "holds although today's verdict on it is block" in choice.reason
        fine = choose(job, judged(NEW, "pass", coverage=0.2))
        assert (fine.kind, fine.override, fine.approval.by) == ("champion", None, "Ana")

    def test_an_overridden_champion_steps_in_on_its_own_report(self):
        job = lake_of_two(**ASK)
        choose(job, judged(OLD, "block"), answer=PUBLISH)
        job.recipe.gate = GateConfig()
        choice = choose(job, judged(NEW, "block"), judged(OLD, "block"))
        assert (choice.kind, choice.judged.version, choice.override.by) == ("kept", OLD, "Ana")

    @pytest.mark.parametrize("reason", ["", "  \n"])
    def test_needs_a_reason(self, reason):
        job = lake_of_two(**ASK)
        with pytest.raises(AnswerError, match="the reason has 0 characters: write 1 to"):
            choose(job, judged(NEW, "block"), answer=PUBLISH | {"reason": reason})
        assert kinds(job) == []

    @pytest.mark.parametrize("by", ["", " ", "gate"])
    def test_needs_the_name_of_a_person(self, by):
        with pytest.raises(AnswerError, match="name of the person"):
            choose(lake_of_two(**ASK), judged(NEW, "block"), answer=PUBLISH | {"by": by})

    def test_a_reason_has_an_end(self):
        with pytest.raises(AnswerError, match="the reason has 2001 characters"):
            choose(
                lake_of_two(**ASK), judged(NEW, "block"), answer=PUBLISH | {"reason": "x" * 2001}
            )


class TestKeepChampion:
    def test_the_champion_publishes_and_the_answer_holds(self):
        job = lake_of_two(**ASK)
        promote(job, OLD)
        for answer in (KEEP, None):
            choice = choose(job, judged(NEW, "block"), judged(OLD), answer)
            assert (choice.kind, choice.judged.version) == ("kept", OLD)
            assert "Ana" in choice.reason
        assert kinds(job) == [("promote", OLD), ("reject", NEW)]
        assert standing(job.lake, "n").records[-1].then == "keep champion"

    def test_a_new_report_asks_again(self):
        job = lake_of_two(**ASK)
        promote(job, OLD)
        choose(job, judged(NEW, "block"), judged(OLD), KEEP)
        choice = choose(job, judged(NEW, "block", coverage=0.1), judged(OLD))
        assert choice.kind == "asked"

    @pytest.mark.parametrize("champion", [None, judged(OLD, "block")])
    def test_is_refused_where_none_can_publish(self, champion):
        job = lake_of_two(**ASK)
        if champion:
            promote(job, OLD)
        with pytest.raises(AnswerError, match="no champion can publish, because"):
            choose(job, judged(NEW, "block"), champion, KEEP)

    def test_is_refused_where_the_champion_lacks_a_yes(self):
        job = lake_of_two(**ALWAYS)
        promote(job, OLD)
        with pytest.raises(AnswerError, match="lacks a person's yes"):
            choose(job, judged(NEW, coverage=BETTER), judged(OLD), KEEP)

    def test_is_refused_for_the_champion_itself(self):
        job = lake_of_two(**ASK)
        promote(job, NEW)
        with pytest.raises(AnswerError, match="is the champion itself"):
            choose(job, judged(NEW, "block"), answer=KEEP)


class TestStop:
    def test_nothing_is_published_and_the_answer_holds(self):
        job = lake_of_two(**ASK)
        promote(job, OLD)
        for answer in (STOP, None):
            choice = choose(job, judged(NEW, "block"), judged(OLD), answer)
            assert (choice.kind, choice.judged.version) == ("blocked", NEW)
            assert "Ana" in choice.reason
        assert kinds(job) == [("promote", OLD), ("reject", NEW)]

    def test_a_person_may_change_her_mind(self):
        job = lake_of_two(**ASK)
        choose(job, judged(NEW, "block"), answer=STOP)
        report = judged(NEW, "block").report_digest
        promote(job, NEW, kind="override", by="Eva", report=report)
        choice = choose(job, judged(NEW, "block"))
        assert (choice.kind, choice.override.by) == ("champion", "Eva")

    def test_a_no_to_a_pass_holds_too(self):
        job = lake_of_two(**ALWAYS)
        for answer in (STOP, None):
            assert choose(job, judged(NEW), answer=answer).kind == "blocked"


class TestReigning:
    def test_a_champion_that_nobody_approved_needs_a_yes(self):
        job = lake_of_two(**ALWAYS)
        promote(job, NEW)
        choice = choose(job, judged(NEW), answer=PUBLISH)
        assert (choice.kind, choice.approval.by) == ("champion", "Ana")
        assert kinds(job) == [("promote", NEW)] * 2
        assert choose(job, judged(NEW, coverage=WORSE)).kind == "champion"

    def test_a_person_who_replaced_a_generator_is_not_asked_about_it(self):
        job = lake_of_two(**ASK)
        promote(job, OLD)
        promote(job, NEW)
        promote(job, OLD, kind="rollback", by="Eva")
        choice = choose(job, judged(NEW, coverage=BETTER), judged(OLD))
        assert (choice.kind, choice.approval.by) == ("kept", "Eva")


def test_an_answer_does_not_outlive_a_worse_verdict():
    assert worsened(judged(NEW, "block"), "block") == ""
    assert "is now block, not warn" in worsened(judged(NEW, "block"), "warn")
    assert worsened(judged(NEW, "warn"), "block") == ""


def test_only_a_question_is_answered():
    job = lake_of_two()
    both = assessed(job, judged(NEW))
    with pytest.raises(ValueError, match="asks nothing"):
        answered(both, gate(job, both), **PUBLISH)
