"""Lift is measured once, kept, and read; what cannot be measured is an answer; the gate may ask."""

import json
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from deciding import NEW, OLD, judged, promote, snapshot

import flows.lift as stage
from flows.by_hand import newest_report
from flows.decision import gate
from flows.errors import RecipeError
from flows.job import Assessed, Candidate, Job
from flows.lift import Lifter, is_known, lift
from flows.nightly import lift_alone
from flows.publish import synthesize
from flows.recipe import parse_recipe
from gan.errors import ConfigError, DataError
from gan.gate import judge_lift, lift_reason
from gan.lift.measure import Cost
from gan.lift.result import Effect, Estimate, Lift
from gan.modalities import GanModality
from gan.report import Report
from gan.teacher import Labeller
from storage.lake.layout import generator_internal_key, generator_report_key, snapshot_key
from storage.lake.promotions import standing
from storage.sources.prepared import Prepared
from storage.stores.memory import MemoryStore
from storage.stores.retry import RetryingStore, RetryPolicy

NIGHT = date(2026, 1, 3)
RECORDS = pa.table({"x": [1.0, 2.0], "y": ["a", "b"]})
PREPARED = Prepared(
    modality="tables",
    folder=None,
    source_digest="s",
    split_rule=MappingProxyType({"by": "content", "rows": "distinct", "holdout_uri_digest": None}),
    split_digest="p",
    records=dict.fromkeys(("train", "validation", "holdout"), RECORDS),
    label="y",
    schema=RECORDS.schema,
    class_counts={"train": (("a", 2), ("b", 1))},
    rows={},
    skipped=(),
    ignored_files=0,
    notes=(),
)


def effect(value: float, arm: str = "real + fill") -> Effect:
    return Effect(
        arm=arm,
        model="trees",
        metric="auc",
        baseline=0.8,
        value=0.8 + value,
        effect=Estimate(value, value - 0.01, value + 0.01),
        detectable=0.02,
    )


def answered(answer: str, value: float = 0.0, remedy: float | None = None) -> Lift:
    return Lift(
        answer=answer,
        text=f"Training with synthetic rows {answer}.",
        task="class of y",
        effect=effect(value),
        remedy=None if remedy is None else effect(remedy, "oversampling"),
        seeds=5,
    )


COSTS = [Cost(fits=10, cpu_s=most, least_cpu_s=least) for most, least in ((20.0, 2.0), (7.0, 7.0))]
"""By constants, and by a trial."""


@dataclass
class Measurer:
    """What `gan` measures, as told, and how often and with what it was asked."""

    answer: Lift | BaseException = field(default_factory=lambda: answered("helps", 0.05))
    task: object = field(default_factory=lambda: SimpleNamespace(models={"trees": "", "lines": ""}))
    seeds: list[int] = field(default_factory=list)
    made: list[tuple[int, int]] = field(default_factory=list)
    asked: list[object] = field(default_factory=list)
    codec: object = field(
        default_factory=lambda: SimpleNamespace(classes=("a", "b"), draws_classes=False)
    )

    def build_task(self, *_, **__):
        if isinstance(self.task, Exception):
            raise self.task
        return self.task

    def measure(self, _task, _real, make, request, progress, _teach):
        self.seeds.append(request.seed)
        make(3)
        make((("a", 2),))
        progress(4)
        progress(6)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def records(self, rows, *, seed, index, **_):
        self.asked.append(rows)
        self.made.append((seed, index))
        return RECORDS


@pytest.fixture
def measurer(monkeypatch) -> Measurer:
    made = Measurer()
    monkeypatch.setattr(GanModality, "build_task", lambda *_, **__: made.build_task())
    monkeypatch.setattr("gan.lift.measure.measure_lift", made.measure)
    monkeypatch.setattr("gan.lift.measure.forecast", lambda *_: COSTS[0])
    monkeypatch.setattr("gan.lift.measure.estimate", lambda *_: COSTS[1])
    monkeypatch.setattr(stage, "load_sampler", lambda *_: made)
    return made


@pytest.fixture
def lake() -> RetryingStore:
    made = RetryingStore(MemoryStore(), RetryPolicy())
    for version in (OLD, NEW):
        made.put_once(snapshot_key("n", version), snapshot(version))
    return made


def job_on(lake, tmp_path, night: date = NIGHT, **sections) -> Job:
    raw = {"name": "n", "source": {"uri": "x", "label": "y"}} | sections
    return Job(
        recipe=parse_recipe(raw), lake=lake, lake_profile=None, work=tmp_path, scheduled=night
    )


def assessed_on(job, challenger, champion=None) -> Assessed:
    return Assessed(standing=standing(job.lake, "n"), challenger=challenger, champion=champion)


def test_it_is_measured_once_and_the_report_stays_the_same_report(lake, tmp_path, measurer):
    job = job_on(lake, tmp_path)
    before = assessed_on(job, judged(NEW))
    assert not is_known(job, PREPARED, before)
    first = lift(job, PREPARED, before).challenger
    assert first.lift == measurer.answer
    assert first.judgement == before.challenger.judgement, "the verdict is the gate's alone"
    stored = lake.get(generator_report_key("n", NEW, first.report_digest, "report.json"))
    assert Report.from_json(stored).lift == measurer.answer
    page = lake.get(generator_report_key("n", NEW, first.report_digest, "report.html")).decode()
    assert "Does it help?" in page
    later = job_on(lake, tmp_path, NIGHT + timedelta(days=9))
    before_later = assessed_on(later, judged(NEW))
    keys = [info.key for info in lake.list()]
    assert is_known(later, PREPARED, before_later)
    assert lift(later, PREPARED, before_later).challenger == first
    assert (measurer.seeds, [info.key for info in lake.list()]) == ([0], keys)


def test_the_records_of_every_call_are_from_a_stream_of_their_own(lake, tmp_path, measurer):
    lift(job_on(lake, tmp_path), PREPARED, assessed_on(job_on(lake, tmp_path), judged(NEW)))
    (first, second) = measurer.made
    assert first[0] == second[0] not in (0, 1)
    assert (first[1], second[1]) == (0, 1)


@pytest.mark.parametrize(
    ("codec", "asked"),
    [
        ({"classes": ("a", "b"), "draws_classes": False}, (("a", 2), ("b", 1))),
        ({"classes": ("a", "b")}, (("a", 2), ("b", 1))),
        ({"classes": ("a", "b"), "draws_classes": True}, 3),
        ({"classes": ()}, 3),
    ],
)
def test_a_mere_number_is_made_with_the_real_shares_where_classes_must_be_said(
    lake, tmp_path, measurer, codec, asked
):
    measurer.codec = SimpleNamespace(**codec)
    Lifter(job=job_on(lake, tmp_path), prepared=PREPARED).kept(judged(NEW))
    assert measurer.asked == [asked, (("a", 2),)]


@pytest.mark.parametrize(("balance", "drawn"), [("real", 1), ("fill", 4)])
def test_the_teacher_picks_of_a_mere_number_only_where_a_night_does(
    lake, tmp_path, measurer, monkeypatch, balance, drawn
):
    teacher = SimpleNamespace(
        classes=("a", "b"),
        label="y",
        predict=lambda records: np.tile([1.0, 0.0], (len(records), 1)),
    )
    labeller = Labeller(teacher=teacher, columns=("pa", "pb"), relabels=False, seed=0, picks=4)
    measurer.task.classes = ("a", "b")
    monkeypatch.setattr(stage, "labeller_of", lambda *_, **__: labeller)
    job = job_on(lake, tmp_path, synthesis={"labels": "teacher", "balance": balance})
    make = stage._Maker(Lifter(job=job, prepared=PREPARED), judged(NEW)).make
    make(3)
    make((("a", 2),))
    real = (("a", 2 * drawn), ("b", drawn))
    assert measurer.asked == [real, (("a", 8),)], "of a class that is asked for it always picks"


def test_a_teacher_s_labels_are_what_is_learned_from(lake, tmp_path, measurer, monkeypatch):
    soft, asked = object(), []

    class Says:
        def draws(self, rows):
            return ("more of", rows)

        def taught(self, records, rows, index, classes):
            asked.append((rows, index, classes))
            return records, soft

    made = []
    measurer.task.classes = ("a", "b")
    monkeypatch.setattr(stage, "labeller_of", lambda *_, seed: made.append(seed) or Says())
    job = job_on(lake, tmp_path, synthesis={"labels": "teacher"})
    make = stage._Maker(Lifter(job=job, prepared=PREPARED), judged(NEW)).make
    found = make((("a", 2),))
    assert (found.records, found.probabilities_NC) == (RECORDS, soft)
    assert asked == [((("a", 2),), 0, ("a", "b"))]
    assert measurer.asked == [("more of", (("a", 2),))]
    make((("a", 2),))
    assert made == [measurer.made[0][0]], "one teacher for all arms"


class Knows:
    """A teacher that says `b` of everything."""

    label, classes = "y", ("a", "b")

    def predict(self, records):
        return np.tile([0.0, 1.0], (records.num_rows, 1))


@pytest.mark.parametrize("labels", ["generator", "teacher"])
def test_a_teacher_on_real_records_is_measured_where_one_labels_or_thoroughly(
    lake, tmp_path, measurer, monkeypatch, labels
):
    job = job_on(lake, tmp_path, synthesis={"labels": labels})
    lifter = Lifter(job=job, prepared=PREPARED)
    assert lifter.request.labels == labels
    assert lifter.request.has_teacher == (labels == "teacher")
    assert replace(lifter, thorough=True).request.has_teacher
    unlabelled = replace(PREPARED, label=None, class_counts={"train": ()})
    assert not Lifter(job=job, prepared=unlabelled, thorough=True).request.has_teacher

    measurer.task.classes = ("b", "a")
    kept, anew = [], []
    labeller = SimpleNamespace(teacher=Knows()) if labels == "teacher" else None
    monkeypatch.setattr(stage, "labeller_of", lambda *_, seed: kept.append(seed) or labeller)
    monkeypatch.setattr(stage, "teacher_of", lambda *_: anew.append(1) or Knows())
    maker = stage._Maker(lifter, judged(NEW))
    assert maker.teach(RECORDS).tolist() == [[1.0, 0.0]] * RECORDS.num_rows
    assert len(anew) == (labels == "generator"), "the teacher that labels is the one that is asked"


def test_numbers_that_are_none_are_left_out_of_what_is_kept():
    endless = replace(effect(0.1), detectable=float("inf"))
    found = stage.finite(replace(answered("cannot be known", 0.1, 0.2), effect=endless))
    assert (found.effect, found.remedy.effect.value) == (None, 0.2)
    json.loads(found.to_json(), parse_constant=pytest.fail)


def test_always_measures_every_night_anew_and_a_retry_of_the_night_reads(lake, tmp_path, measurer):
    for night in (NIGHT, NIGHT, NIGHT + timedelta(days=1)):
        job = job_on(lake, tmp_path, night, lift={"when": "always"})
        lift(job, PREPARED, assessed_on(job, judged(NEW)))
    assert len(measurer.seeds) == len(set(measurer.seeds)) == 2
    assert len(set(measurer.made)) == 4


def test_never_leaves_everything_as_it_was(lake, tmp_path, measurer):
    job = job_on(lake, tmp_path, lift={"when": "never"})
    before = assessed_on(job, judged(NEW))
    assert lift(job, PREPARED, before) is before
    assert is_known(job, PREPARED, before)
    assert measurer.seeds == []


@pytest.mark.parametrize(
    ("task", "answer", "said"),
    [
        (None, None, "there is nothing to predict of rows"),
        (DataError("validation has 3 rows: bring more"), None, "validation has 3 rows"),
        (..., DataError("one class alone"), "one class alone"),
        (..., ConfigError("the generator does not know class 'b'"), "does not know class 'b'"),
    ],
)
def test_what_cannot_be_measured_is_an_answer_and_ends_no_night(
    lake, tmp_path, measurer, task, answer, said
):
    measurer.task = measurer.task if task is ... else task
    measurer.answer = answer or measurer.answer
    job = job_on(lake, tmp_path)
    found = lift(job, PREPARED, assessed_on(job, judged(NEW))).challenger
    assert found.lift.answer == "cannot be known"
    assert said in found.lift.text
    assert found.judgement.verdict == "pass"
    if isinstance(measurer.answer, ConfigError):
        again = lift(job, PREPARED, assessed_on(job, judged(NEW))).challenger
        assert again.report_digest == found.report_digest
        measurer.answer = answered("helps", 0.05)
        again = lift(job, PREPARED, assessed_on(job, judged(NEW))).challenger
        assert again.lift.answer == "helps", "it was not kept, as another machine may measure it"
    assert is_known(job, PREPARED, assessed_on(job, judged(NEW)))


def test_an_unknown_model_is_refused_with_the_known_ones(lake, tmp_path, measurer):
    job = job_on(lake, tmp_path, lift={"models": ["trees", "forest"]})
    with pytest.raises(ConfigError, match=r"'forest'.* choose from trees, lines"):
        lift(job, PREPARED, assessed_on(job, judged(NEW)))
    with pytest.raises(ConfigError, match="'forest'"):
        stage.check_models(job, PREPARED)
    stage.check_models(job_on(lake, tmp_path, lift={"models": ["lines"]}), PREPARED)
    assert not list(lake.list(generator_internal_key("n", NEW, "")))


def test_a_run_that_is_killed_leaves_nothing_half(lake, tmp_path, measurer):
    measurer.answer = KeyboardInterrupt()
    job, keys = job_on(lake, tmp_path), [info.key for info in lake.list()]
    with pytest.raises(KeyboardInterrupt):
        lift(job, PREPARED, assessed_on(job, judged(NEW)))
    assert [info.key for info in lake.list()] == keys


def test_a_run_that_was_killed_before_its_report_makes_it_up(lake, tmp_path, measurer):
    job = job_on(lake, tmp_path)
    kept = Lifter(job=job, prepared=PREPARED).kept(judged(NEW))
    found = lift(job, PREPARED, assessed_on(job, judged(NEW))).challenger
    assert len(measurer.seeds) == 1
    assert newest_report(lake, "n", NEW)[0] == found.report_digest
    assert found.report.created == kept.measured


def test_of_two_reports_of_one_second_the_one_that_knows_lift_is_the_newest(lake):
    plain = replace(judged(NEW).report, created="2026-01-03T02:00:00+00:00")
    known = replace(plain, lift=answered("helps"))
    for report in (known, plain):
        key = generator_report_key("n", NEW, stage.report_digest(report), "report.json")
        lake.put_once(key, report.to_json())
    assert newest_report(lake, "n", NEW)[1].lift == known.lift


REQUIRED = [
    ("not-harmful", "helps", "pass", "pass"),
    ("not-harmful", "no measurable effect", "pass", "pass"),
    ("not-harmful", "cannot be known", "pass", "pass"),
    ("not-harmful", "hurts", "block", "block"),
    ("positive", "helps", "pass", "pass"),
    ("positive", "no measurable effect", "block", "block"),
    ("positive", "cannot be known", "block", "block"),
    ("positive", "hurts", "block", "block"),
]


@pytest.mark.parametrize(("required", "answer", "outcome", "verdict"), REQUIRED)
def test_what_the_gate_requires_of_lift(tmp_path, lake, required, answer, outcome, verdict):
    config = job_on(lake, tmp_path, gate={"require_lift": required}).recipe.gate
    before = judged(NEW).judgement
    after = judge_lift(before, answered(answer), config)
    reason = next(one for one in after.reasons if one.metric == "lift")
    assert (after.verdict, reason.outcome) == (verdict, outcome)
    assert lift_reason(answered(answer), required) == reason
    assert f"required is '{required}'" in reason.text
    assert [one for one in after.reasons if one is not reason] == list(before.reasons)
    blocked = judge_lift(replace(before, verdict="block"), answered("helps"), config)
    assert blocked.verdict == "block"


def test_a_generator_that_does_not_help_is_refused_where_that_is_required(lake, tmp_path, measurer):
    measurer.answer = answered("no measurable effect")
    job = job_on(lake, tmp_path, gate={"require_lift": "positive"})
    found = lift(job, PREPARED, assessed_on(job, judged(NEW)))
    choice = gate(job, found)
    assert choice.kind == "blocked"
    assert "Training with synthetic rows no measurable effect" in choice.reason
    report = found.challenger.report
    assert (report.verdict, report.facts["gate"]["require_lift"]) == ("block", "positive")
    allowed = job_on(lake, tmp_path, gate={"require_lift": "not-harmful"})
    assert gate(allowed, lift(allowed, PREPARED, assessed_on(job, judged(NEW)))).kind == "promoted"
    assert len(measurer.seeds) == 1, "what is required is judged without measuring again"


def test_the_champion_is_measured_where_it_would_publish_and_not_else(lake, tmp_path, measurer):
    job = job_on(lake, tmp_path)
    promote(job, OLD)
    better = lift(job, PREPARED, assessed_on(job, judged(NEW), judged(OLD)))
    assert better.champion.lift is None
    assert len(measurer.seeds) == 1
    refused = assessed_on(job, judged(NEW, "block"), judged(OLD))
    assert not is_known(job, PREPARED, refused)
    kept = lift(job, PREPARED, refused)
    assert kept.champion.lift == measurer.answer
    assert is_known(job, PREPARED, refused)
    asking = job_on(lake, tmp_path, gate={"on_reject": "ask"})
    assert lift(asking, PREPARED, refused).champion.lift == measurer.answer
    stops = job_on(lake, tmp_path, gate={"on_reject": "stop"})
    assert lift(stops, PREPARED, refused).champion.lift is None


def test_a_champion_that_hurts_does_not_step_in_where_that_is_forbidden(lake, tmp_path, measurer):
    measurer.answer = answered("hurts", -0.05)
    job = job_on(lake, tmp_path, gate={"require_lift": "not-harmful"})
    promote(job, OLD)
    found = lift(job, PREPARED, assessed_on(job, judged(NEW, "block"), judged(OLD)))
    assert gate(job, found).kind == "blocked"


def test_what_is_measured_on_demand_thoroughly_is_kept_under_another_key(lake, tmp_path, measurer):
    job = job_on(lake, tmp_path)
    nightly = lift(job, PREPARED, assessed_on(job, judged(NEW))).challenger
    thorough = Lifter(job=job, prepared=PREPARED, thorough=True)
    measurer.answer = answered("hurts", -0.1)
    assert thorough.find(nightly) is None
    assert thorough.kept(nightly).lift == measurer.answer
    assert lift(job, PREPARED, assessed_on(job, judged(NEW))).challenger == nightly


def test_before_records_are_made_the_job_says_what_does_as_much_for_nothing(monkeypatch):
    said: list[str] = []
    recipe = SimpleNamespace(synthesis=SimpleNamespace(labels="generator"))
    told = SimpleNamespace(say=said.append)
    job = SimpleNamespace(reporter=told, lake=None, name="n", recipe=recipe)
    found = replace(judged(NEW).report, lift=answered("no measurable effect", 0.01, remedy=0.03))
    choice = SimpleNamespace(judged=replace(judged(NEW), report=found))
    plan = SimpleNamespace(version="v")
    monkeypatch.setattr("flows.publish.propose_plan", lambda *_: plan)
    monkeypatch.setattr("flows.publish.begin_copies", lambda *_: None)
    monkeypatch.setattr("flows.publish.agree", lambda *_: plan)
    monkeypatch.setattr("flows.publish.datasets.versions", lambda *_: [])
    monkeypatch.setattr("flows.publish.Publisher", lambda *_: SimpleNamespace(missing=list))
    synthesize(job, PREPARED, choice)
    assert len(said) == 1
    assert said[0].startswith("Before records are made: oversampling does at least as much")


def test_by_hand_the_candidate_is_measured_else_the_champion_and_else_nobody(
    lake, tmp_path, measurer, monkeypatch
):
    job = job_on(lake, tmp_path, lift={"when": "never"})
    stages = SimpleNamespace(prepare=lambda: PREPARED)
    found: list[Candidate | None] = [None]
    monkeypatch.setattr("flows.nightly.train_key", lambda *_: "key")
    monkeypatch.setattr("flows.nightly.find_candidate", lambda *_: found[0])
    measurer.task.what = "class of y"
    with pytest.raises(RecipeError, match="so there is nothing whose records could help: train"):
        lift_alone(job, stages)
    promote(job, OLD)
    generator, kept = lift_alone(job, stages)
    assert (generator.version, kept.lift) == (OLD, measurer.answer)
    found[0] = Candidate(version=NEW, snapshot_digest="d")
    assert lift_alone(job, stages, thorough=True)[0].version == NEW
    assert len(measurer.seeds) == 2
    assert lift_alone(job, stages, thorough=True)[1].lift == measurer.answer
    assert len(measurer.seeds) == 2, "it was read"


def test_what_measuring_will_cost_is_said_before(lake, tmp_path, measurer):
    measurer.task.what = "class of y"
    lifter = Lifter(job=job_on(lake, tmp_path), prepared=PREPARED)
    said = "class of y: at most 10 trainings of trees, lines, about {}"
    dearest = "2 to 20 CPU-s, by which of them is best on real records"
    assert lifter.foresee() == said.format(dearest)
    assert lifter.foresee(timed=True) == said.format("7 CPU-s")
    assert measurer.seeds == []
    measurer.task = None
    nothing = Lifter(job=job_on(lake, tmp_path), prepared=replace(PREPARED, label=None)).foresee()
    assert (
        nothing == "cannot be known: no label says what a downstream model predicts (source.label)"
    )


def test_a_kept_measurement_is_itself_when_read(lake, tmp_path, measurer):
    kept = Lifter(job=job_on(lake, tmp_path), prepared=PREPARED).kept(judged(NEW))
    (key,) = [info.key for info in lake.list(generator_internal_key("n", NEW, "lift-"))]
    assert stage.KeptLift.from_json(lake.get(key)) == kept
    assert set(json.loads(lake.get(key))) == {"measured", "lift"}
