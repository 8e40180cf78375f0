"""Who synthesizes: every way a decision can go, on a real log in memory."""

from types import SimpleNamespace

import pytest

from flows.results import Assessed, Judged
from flows.stages.gate import gate
from flows.stages.promote import promote as promote_stage
from gan.evaluation.bounds import GateConfig
from gan.evaluation.gate import Judgement
from gan.evaluation.measured import Evaluation, Measured
from gan.report import Metric, Reason, Report
from storage.digests import canonical_json, sha256_hex
from storage.errors import PromotionConflictError
from storage.layout import snapshot_key
from storage.memory_store import MemoryStore
from storage.promotions import Decision, standing
from storage.promotions import decide as record
from storage.retry import RetryingStore, RetryPolicy

OLD, NEW = "20260101T000000Z-aaaaaaaa", "20260102T000000Z-bbbbbbbb"


def judged(version: str, verdict: str = "pass", coverage: float = 0.9, split: str = "s") -> Judged:
    metric = Metric(
        name="coverage", scope="random", value=coverage, low=coverage, high=coverage, n=100
    )
    evaluation = Evaluation(
        measured=(Measured(metric=metric, replicates=(coverage - 0.01, coverage + 0.01)),),
        facts=(),
        too_few=(),
        n=100,
        holdout_rows=100,
        candidate_rows=400,
        candidate_class_counts=(),
        seed=0,
    )
    reason = Reason(metric="coverage", scope="random", outcome=verdict, text="as it is")
    report = Report(
        name="n",
        generator=version,
        snapshot_digest="",
        created="",
        modality="images",
        metrics=(metric,),
        verdict=verdict,
        reasons=(reason,),
    )
    return Judged(
        version=version,
        snapshot_digest=snapshot_digest(version),
        split_digest=split,
        evaluation=evaluation,
        judgement=Judgement(verdict=verdict, reasons=(reason,)),
        report=report,
        report_digest=sha256_hex(report.to_json()),
    )


def snapshot(version: str) -> bytes:
    return canonical_json({"schema": "ganmill-snapshot/1", "files": {}, "version": version})


def snapshot_digest(version: str) -> str:
    return sha256_hex(snapshot(version))


@pytest.fixture
def job():
    """A lake with two candidates and no champion."""
    lake = RetryingStore(MemoryStore(), RetryPolicy())
    for version in (OLD, NEW):
        lake.put_once(snapshot_key("n", version), snapshot(version))
    return SimpleNamespace(lake=lake, name="n", recipe=SimpleNamespace(gate=GateConfig()))


def promote(job, version: str) -> None:
    from flows.job import now

    decision = Decision(
        kind="promote",
        version=version,
        snapshot_digest=snapshot_digest(version),
        report_digest="r",
        by="gate",
        reason="first",
    )
    record(job.lake, "n", decision, read=standing(job.lake, "n"), created=now())


def assessed(job, challenger: Judged, champion: Judged | None = None) -> Assessed:
    return Assessed(standing=standing(job.lake, "n"), challenger=challenger, champion=champion)


def choose(job, challenger: Judged, champion: Judged | None = None):
    both = assessed(job, challenger, champion)
    return promote_stage(job, both, gate(job, both))


def kinds(job) -> list[tuple[str, str]]:
    return [(one.kind, one.version) for one in standing(job.lake, "n").records]


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
