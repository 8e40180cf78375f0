"""The composition, with stages that only note that they were called."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from flows.errors import EngineError
from flows.job import Choice, Spending, Stages
from flows.nightly import ATTEMPTS, nightly
from storage.errors import AbandonedError, PromotionConflictError, SourceError
from storage.stores.memory import MemoryStore


@dataclass
class Notes:
    """Stages that note their names, fail as told, and hand on what they were given."""

    kind: str = "promoted"
    fresh: str | None = None
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def _note(self, name, result):
        def stage(*given):
            self.calls.append(name)
            if self.faults.get(name):
                raise self.faults[name].pop(0)
            return result

        return stage

    def stages(self) -> Stages:
        judged = SimpleNamespace(version="v", report_digest="0" * 64, report=None)
        choice = Choice(kind=self.kind, judged=judged, reason="because")
        return Stages(
            prepare=self._note("prepare", "prepared"),
            watch=self._note("watch", self.fresh),
            train=self._note("train", "candidate"),
            evaluate=self._note("evaluate", "assessed"),
            lift=self._note("lift", "assessed"),
            gate=self._note("gate", choice),
            ask=self._note("ask", choice),
            promote=self._note("promote", choice),
            synthesize=self._note("synthesize", "made"),
            publish=self._note("publish", "outcome"),
        )


JOB = SimpleNamespace(
    name="n",
    lake=MemoryStore(),
    emit=None,
    recipe=SimpleNamespace(output=SimpleNamespace(lake="./lake")),
    spent=Spending(),
)
WHOLE = [
    "prepare", "watch", "train", "evaluate", "lift", "gate", "ask", "promote", "synthesize",
    "publish",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["promoted", "champion", "kept"])
def test_every_stage_runs_once_in_order(kind):
    notes = Notes(kind=kind)
    assert nightly(JOB, notes.stages()) == "outcome"
    assert notes.calls == WHOLE


def test_a_champion_that_needs_no_successor_is_judged_and_nothing_is_trained():
    notes = Notes(kind="champion", fresh="champion")
    seen = []
    stages = replace(notes.stages(), evaluate=lambda _, candidate: seen.append(candidate))
    assert nightly(JOB, stages) == "outcome"
    assert seen == ["champion"]
    assert notes.calls == ["prepare", "watch", *WHOLE[4:]]


@pytest.mark.parametrize("kind", ["blocked", "asked"])
def test_a_block_or_an_open_question_ends_the_job_before_anything_is_made(kind):
    notes = Notes(kind=kind)
    versions = {"version": "20260101T000000Z-0123abcd"}
    stages = notes.stages()
    choice = stages.promote("assessed", "choice")
    judged = SimpleNamespace(**vars(choice.judged) | versions)
    stages = replace(stages, promote=lambda *_: replace(choice, judged=judged))
    notes.calls.clear()
    outcome = nightly(JOB, stages)
    assert outcome.status == "blocked"
    assert outcome.published is None
    assert outcome.report_page.startswith("lake/generators/n/20260101T000000Z-0123abcd/reports/")
    assert notes.calls == WHOLE[:7]


def test_a_champion_that_changed_meanwhile_is_judged_again():
    notes = Notes(faults={"promote": [PromotionConflictError(), PromotionConflictError()]})
    assert nightly(JOB, notes.stages()) == "outcome"
    assert notes.calls == [*WHOLE[:3], *WHOLE[3:8] * 3, *WHOLE[8:]]


def test_a_champion_that_keeps_changing_ends_the_job():
    notes = Notes(faults={"promote": [PromotionConflictError()] * ATTEMPTS})
    with pytest.raises(PromotionConflictError):
        nightly(JOB, notes.stages())


def test_an_abandoned_version_is_made_again_as_a_new_one():
    notes = Notes(faults={"publish": [AbandonedError()], "synthesize": [AbandonedError()]})
    assert nightly(JOB, notes.stages()) == "outcome"
    assert notes.calls.count("train") == 1
    assert notes.calls[-5:] == ["synthesize", "synthesize", "publish", "synthesize", "publish"]


def test_versions_that_are_abandoned_for_ever_end_the_job():
    notes = Notes(faults={"publish": [AbandonedError()] * ATTEMPTS})
    with pytest.raises(EngineError, match="given up by other processes"):
        nightly(JOB, notes.stages())


@pytest.mark.parametrize("stage", WHOLE)
def test_any_other_fault_passes_and_nothing_follows(stage):
    notes = Notes(faults={stage: [SourceError("broken")]})
    with pytest.raises(SourceError, match="broken"):
        nightly(JOB, notes.stages())
    assert notes.calls == WHOLE[: WHOLE.index(stage) + 1]
