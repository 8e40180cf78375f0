"""Generators as the gate sees them, and a job on a real log in memory."""

from types import SimpleNamespace

from flows.decision import answered, ask, gate
from flows.decision import promote as promote_stage
from flows.job import Assessed, Judged, now
from gan.gate import GateConfig, Judgement
from gan.images.judge import METRICS
from gan.report import Evaluation, Fact, Measured, Metric, Reason, Report
from storage.digests import canonical_json, sha256_hex
from storage.lake.layout import snapshot_key
from storage.lake.promotions import PromotionDraft, standing
from storage.lake.promotions import decide as record
from storage.stores.memory import MemoryStore
from storage.stores.retry import RetryingStore, RetryPolicy

OLD, NEW = "20260101T000000Z-aaaaaaaa", "20260102T000000Z-bbbbbbbb"


def judged(
    version: str,
    verdict: str = "pass",
    coverage: float = 0.9,
    split: str = "s",
    broken: tuple[str, ...] = (),
) -> Judged:
    """Return a generator with its verdict; `broken` names facts that do not hold."""
    metric = Metric(
        name="coverage", scope="random", value=coverage, low=coverage, high=coverage, n=100
    )
    evaluation = Evaluation(
        measured=(Measured(metric=metric, replicates=(coverage - 0.01, coverage + 0.01)),),
        facts=tuple(
            Fact(name=name, holds=False, value=0.0, text=f"{name} does not hold") for name in broken
        ),
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
        snapshot_digest=snapshot_digest(version),
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
        judgement=Judgement(verdict=verdict, reasons=(reason,), metrics=METRICS),
        report=report,
        report_digest=sha256_hex(report.to_json()),
    )


def snapshot(version: str) -> bytes:
    return canonical_json({"schema": "ganmill-snapshot/1", "files": {}, "version": version})


def snapshot_digest(version: str) -> str:
    return sha256_hex(snapshot(version))


def lake_of_two(**config):
    """Return a job on a lake with two candidates and no champion."""
    lake = RetryingStore(MemoryStore(), RetryPolicy())
    for version in (OLD, NEW):
        lake.put_once(snapshot_key("n", version), snapshot(version))
    return SimpleNamespace(lake=lake, name="n", recipe=SimpleNamespace(gate=GateConfig(**config)))


def promote(job, version: str, kind: str = "promote", by: str = "gate", report: str = "r") -> None:
    """Make a generator champion."""
    decision = PromotionDraft(
        kind=kind,
        version=version,
        snapshot_digest=snapshot_digest(version),
        report_digest=report,
        by=by,
        reason="first",
    )
    record(job.lake, "n", decision, read=standing(job.lake, "n"), created=now())


def assessed(job, challenger: Judged, champion: Judged | None = None) -> Assessed:
    return Assessed(standing=standing(job.lake, "n"), challenger=challenger, champion=champion)


def choose(job, challenger: Judged, champion: Judged | None = None, answer: dict | None = None):
    """Gate, ask and record; a question gets the answer, or stays open without one."""
    both = assessed(job, challenger, champion)
    choice = gate(job, both)
    if answer is not None and choice.kind == "asked":
        return promote_stage(job, both, answered(both, choice, **answer))
    return promote_stage(job, both, ask(job, both, choice))


def kinds(job) -> list[tuple[str, str]]:
    return [(one.kind, one.version) for one in standing(job.lake, "n").records]
