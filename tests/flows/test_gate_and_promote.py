"""Who synthesizes: every way a decision can go, on a real log in memory."""

from dataclasses import replace

import pytest
from deciding import NEW, OLD, assessed, choose, judged, kinds, lake_of_two, promote

from flows.decision import ask, gate
from flows.decision import promote as promote_stage
from gan.gate import GateConfig
from storage.errors import PromotionConflictError


@pytest.fixture
def job():
    """A lake with two candidates and no champion."""
    return lake_of_two()


@pytest.mark.parametrize("verdict", ["pass", "warn"])
def test_the_first_candidate_that_is_not_blocked_is_promoted(job, verdict):
    assert choose(job, judged(NEW, verdict)).kind == "promoted"
    assert kinds(job) == [("promote", NEW)]


def test_a_blocked_candidate_without_a_champion_leaves_nobody(job):
    choice = choose(job, judged(NEW, "block"))
    assert choice.kind == "blocked"
    assert "is blocked" in choice.reason
    assert kinds(job) == [("reject", NEW)]


def test_a_blocked_candidate_leaves_the_work_to_the_champion(job):
    promote(job, OLD)
    choice = choose(job, judged(NEW, "block"), judged(OLD))
    assert (choice.kind, choice.judged.version) == ("kept", OLD)
    assert kinds(job) == [("promote", OLD), ("reject", NEW)]


def test_stop_means_that_nobody_synthesizes(job):
    promote(job, OLD)
    job.recipe.gate = GateConfig(on_reject="stop")
    assert choose(job, judged(NEW, "block"), judged(OLD)).kind == "blocked"


def test_a_champion_that_is_blocked_today_does_not_step_in(job):
    promote(job, OLD)
    choice = choose(job, judged(NEW, "block"), judged(OLD, "block"))
    assert choice.kind == "blocked"
    assert f"champion {OLD} is blocked today too" in choice.reason


def test_a_better_challenger_takes_over(job):
    promote(job, OLD)
    assert choose(job, judged(NEW, coverage=0.95), judged(OLD)).kind == "promoted"
    assert kinds(job) == [("promote", OLD), ("promote", NEW)]


def test_a_worse_challenger_does_not(job):
    promote(job, OLD)
    choice = choose(job, judged(NEW, coverage=0.5), judged(OLD))
    assert (choice.kind, choice.judged.version) == ("kept", OLD)
    assert "loses: coverage" in choice.reason


def test_another_split_rule_is_not_compared(job):
    promote(job, OLD)
    choice = choose(job, judged(NEW, coverage=0.95), judged(OLD, split="another"))
    assert choice.kind == "kept"
    assert "split rule" in choice.reason


def test_a_champion_that_does_not_fit_today_s_records_is_no_rival(job):
    promote(job, OLD)
    choice = choose(job, judged(NEW), None)
    assert choice.kind == "blocked"
    assert "cannot be judged on today's records" in choice.reason


@pytest.mark.parametrize(("verdict", "kind"), [("pass", "promoted"), ("block", "blocked")])
def test_a_champion_of_an_algorithm_that_is_gone_is_followed_by_whom_the_gate_lets_pass(
    job, verdict, kind
):
    promote(job, OLD)
    both = replace(assessed(job, judged(NEW, verdict)), is_outdated=True)
    choice = promote_stage(job, both, ask(job, both, gate(job, both)))
    assert choice.kind == kind
    assert (OLD in choice.reason) == (kind == "promoted")


def test_the_champion_itself_goes_on(job):
    promote(job, NEW)
    assert choose(job, judged(NEW)).kind == "champion"
    assert choose(job, judged(NEW, "block")).kind == "blocked"
    assert kinds(job) == [("promote", NEW)]


def test_who_was_champion_before_is_not_promoted_again(job):
    promote(job, NEW)
    promote(job, OLD)
    choice = choose(job, judged(NEW, coverage=0.99), judged(OLD))
    assert choice.kind == "kept"
    assert "up to a person" in choice.reason


def test_deciding_twice_leaves_one_record(job):
    promote(job, OLD)
    for _ in range(2):
        assert choose(job, judged(NEW, "block"), judged(OLD)).kind == "kept"
    assert kinds(job) == [("promote", OLD), ("reject", NEW)]


def test_a_decision_on_an_old_log_is_refused(job):
    before = assessed(job, judged(NEW))
    promote(job, OLD)
    with pytest.raises(PromotionConflictError):
        promote_stage(job, before, gate(job, before))
