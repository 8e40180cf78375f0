"""A measurement is taken once; what the gate makes of it is judged anew when the bounds change."""

import base64
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from flows.evaluate import Evaluator, TrainingRecord, evaluate, options_of, processor_facts
from flows.job import Candidate, Job
from flows.recipe import PrivacyConfig, ReportConfig, parse_recipe
from flows.report.verdict import verdict_view
from gan.errors import ConfigError
from gan.images.codec import read_images, write_images
from gan.report import Report
from storage.digests import sha256_hex
from storage.lake import promotions
from storage.lake.layout import generator_key, snapshot_key
from storage.lake.promotions import PromotionDraft
from storage.sources.prepared import Prepared
from storage.stores.memory import MemoryStore
from storage.stores.retry import RetryingStore, RetryPolicy

pytestmark = pytest.mark.usefixtures("quick_nets")

VERSION, DIGEST = "20260101T000000Z-aaaaaaaa", "d" * 64


def stripes(rows: int, seed: int) -> pa.Table:
    """Return small grey images of two classes, bright above or below, with noise."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 120, (rows, 8, 8, 1))
    classes = draw.integers(0, 2, rows)
    for image, kind in zip(images, classes, strict=True):
        image[4 * kind : 4 * kind + 4] += 100
    return pa.table(
        {"image": write_images(images.astype(np.uint8)), "kind": pa.array(classes.astype(np.int64))}
    )


RECORDS = MappingProxyType(
    {
        name: stripes(rows, seed)
        for seed, (name, rows) in enumerate((("train", 120), ("validation", 80), ("holdout", 80)))
    }
)
PREPARED = Prepared(
    modality="images",
    folder=None,
    source_digest="s",
    split_rule=MappingProxyType({"by": "content", "rows": "distinct", "holdout_uri_digest": None}),
    split_digest="p",
    records=RECORDS,
    label="kind",
    schema=RECORDS["train"].schema,
    class_counts={},
    rows={name: part.num_rows for name, part in RECORDS.items()},
    skipped=(),
    ignored_files=0,
    notes=("one file is empty",),
)


class FakeSampler:
    """A generator as good as real data, that counts what is asked of it."""

    codec = None

    def __init__(self) -> None:
        self.asked = 0

    def records(self, wanted, **_):
        self.asked += 1
        return stripes(sum(count for _, count in wanted), 9)

    def log_likelihood(self, _):
        return None


@pytest.fixture
def sampler(monkeypatch) -> FakeSampler:
    made = FakeSampler()
    monkeypatch.setattr(Evaluator, "_sampler", lambda *_: made)
    return made


@pytest.fixture(scope="module")
def lake() -> RetryingStore:
    return RetryingStore(MemoryStore(), RetryPolicy())


def evaluator(lake, tmp_path, prepared=PREPARED, **gate) -> Evaluator:
    job = Job(
        recipe=parse_recipe(RECIPE | {"gate": gate}),
        lake=lake,
        lake_profile=None,
        work=tmp_path,
        scheduled=date(2026, 1, 1),
    )
    return Evaluator(job=job, prepared=prepared)


RECIPE = {"name": "mine", "source": {"uri": "x", "label": "kind"}}
BLOCKING = {"bounds": [{"metric": "fd", "pass": 1e-6, "block": 1e-6}]}


PNG = re.compile(rb'(?:base64,|"png": ?")([A-Za-z0-9+/=]+)')


def shows_real_images(data: bytes) -> bool:
    """Whether a picture in a page or in the data of a figure shows a training image."""
    real = {image.tobytes() for image in read_images(RECORDS["train"])[..., 0]}
    for text in PNG.findall(data):
        sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
        for zoom in (1, 4):
            small = np.ascontiguousarray(sheet[::zoom, ::zoom])
            if min(small.shape) >= 8:
                windows = np.lib.stride_tricks.sliding_window_view(small, (8, 8))
                if real & {window.tobytes() for window in windows.reshape(-1, 8, 8)}:
                    return True
    return False


def test_other_bounds_are_judged_without_measuring_again(lake, tmp_path, sampler):
    first = evaluator(lake, tmp_path).judged(VERSION, DIGEST)
    assert sampler.asked == 1
    strict = evaluator(lake, tmp_path, **BLOCKING)
    assert not strict.is_judged(VERSION, DIGEST)
    blocked = strict.judged(VERSION, DIGEST)
    accepting = evaluator(lake, tmp_path, accept_unknown=True).judged(VERSION, DIGEST)
    assert sampler.asked == 1
    assert first.judgement.verdict != "block" == blocked.judgement.verdict
    assert blocked.report.verdict == "block"
    assert len({one.report_digest for one in (first, blocked, accepting)}) == 3
    assert first.evaluation == blocked.evaluation == accepting.evaluation
    bounds = {one["metric"]: one for one in blocked.report.facts["gate"]["bounds"]}
    assert bounds["fd"] == {"metric": "fd", "pass": 1e-6, "block": 1e-6}
    assert bounds["coverage"] == {"metric": "coverage", "pass": 0.75, "block": 0.5}
    assert bounds["c2st/network"] == {"metric": "c2st/network", "pass": 0.8, "block": 1.0}
    assert not set(bounds) & {"c2st", "dcr_share", "one_way"}


def test_real_images_are_in_the_internal_edition_alone(lake, tmp_path, sampler):
    judged = evaluator(lake, tmp_path).judged(VERSION, DIGEST)
    (edition,) = (one.key for one in lake.list("") if shows_real_images(lake.get(one.key)))
    assert edition.startswith(generator_key("mine", VERSION, "internal/edition-"))
    page = lake.get(edition).decode()
    assert "shows real records, not to be passed on" in page
    assert "Real neighbours" in page
    assert all(figure.section != "real_neighbours" for figure in judged.report.figures)


def test_every_metric_has_a_verdict_or_a_reason_and_the_rows_are_named(lake, tmp_path, sampler):
    report = evaluator(lake, tmp_path).judged(VERSION, DIGEST).report
    view = verdict_view(report)
    assert all(row.outcome is not None for row in (*view.overall, *view.of_parts))
    unjudged = {row.name for row in view.overall if row.why}
    assert unjudged == {"kid", "precision", "trtr", "tstr"}
    (rows,) = view.rows
    assert "with the class shares of the holdout" in rows
    assert rows.endswith("of 80 real images that training has not seen")


def test_what_was_judged_is_read(lake, tmp_path, sampler):
    strict = evaluator(lake, tmp_path, **BLOCKING)
    before = strict.judged(VERSION, DIGEST)
    assert strict.is_judged(VERSION, DIGEST)
    assert evaluator(lake, tmp_path, **BLOCKING).judged(VERSION, DIGEST) == before
    kept = evaluator(lake, tmp_path, on_reject="ask", approval="always", **BLOCKING)
    assert kept.judged(VERSION, DIGEST) == before


def test_the_next_night_measures_neither_candidate_nor_champion_again(
    lake, tmp_path, sampler, monkeypatch
):
    """Unchanged generators on an unchanged source: their verdicts are read, with no real side."""
    measurement = evaluator(lake, tmp_path)._measurement(VERSION, DIGEST)
    own, files = RetryingStore(MemoryStore(), RetryPolicy()), b"the champion's"
    champion = ("20251201T000000Z-cccccccc", sha256_hex(files))
    own.put_once(snapshot_key("mine", champion[0]), files)
    draft = PromotionDraft(
        kind="promote",
        version=champion[0],
        snapshot_digest=champion[1],
        report_digest="r" * 64,
        by="gate",
        reason="test",
    )
    read = promotions.standing(own, "mine")
    promotions.decide(own, "mine", draft, read=read, created=datetime.now(UTC))
    measured = []

    def measure(_, *generator):
        measured.append(generator)
        return measurement

    monkeypatch.setattr(Evaluator, "_measure", measure)
    nights = []
    for day in (1, 2, 3):
        recipe = parse_recipe(RECIPE | {"synthesis": {"seed": "night"}})
        night = date(2026, 1, day)
        job = Job(recipe=recipe, lake=own, lake_profile=None, work=tmp_path, scheduled=night)
        nights.append(evaluate(job, PREPARED, Candidate(version=VERSION, snapshot_digest=DIGEST)))
        assert measured == [(VERSION, DIGEST), champion]
    first, second, third = nights
    assert first == second == third
    assert (first.challenger.version, first.champion.version) == (VERSION, champion[0])


def test_another_source_is_measured(lake, tmp_path, sampler, monkeypatch):
    measurement, measured = evaluator(lake, tmp_path)._measurement(VERSION, DIGEST), []

    def measure(desk, *generator):
        measured.append((desk.prepared.source_digest, *generator))
        return measurement

    monkeypatch.setattr(Evaluator, "_measure", measure)
    for prepared in (PREPARED, replace(PREPARED, source_digest="t")):
        evaluator(lake, tmp_path, prepared).judged(VERSION, DIGEST)
    assert measured == [("t", VERSION, DIGEST)]


def test_bounds_that_do_not_fit_are_refused_before_measuring(lake, tmp_path, sampler):
    wrong = evaluator(lake, tmp_path, bounds=[{"metric": "c2st", "pass": 0.6}])
    with pytest.raises(ConfigError, match="'c2st'"):
        wrong.judged("20260102T000000Z-bbbbbbbb", DIGEST)
    assert sampler.asked == 0


def test_a_measurement_holds_what_the_report_may_show(lake, tmp_path, sampler):
    judged = evaluator(lake, tmp_path).judged(VERSION, DIGEST)
    folder = generator_key("mine", VERSION, "internal/")
    kept = {info.key.removeprefix(folder)[:4]: lake.get(info.key) for info in lake.list(folder)}
    assert set(kept) == {"edit", "eval", "verd"}
    measurement = json.loads(kept["eval"])
    assert set(measurement) == {"evaluation", "pictures", "split_digest"}
    shown = json.loads(judged.report.to_json())["figures"]
    assert [picture for picture in measurement["pictures"] if picture not in shown] == []


def test_a_report_is_itself_when_read_from_json(lake, tmp_path, sampler):
    report = evaluator(lake, tmp_path).judged(VERSION, DIGEST).report
    assert Report.from_json(report.to_json()).to_json() == report.to_json()
    assert report.notes[0] == "one file is empty"
    assert report.facts["holdout_rows"] == 80


def test_a_report_says_what_share_of_the_processor_the_training_had():
    record = TrainingRecord(train_key="k", split_digest="p", seconds=60.0, cpu_s=7.5, threads=1)
    found = processor_facts(TrainingRecord.from_json(record.to_json()))
    assert found == {"training_cpu_s": 7.5, "training_cores": 0.12, "training_threads": 1}
    assert processor_facts(TrainingRecord(train_key="k", split_digest="p")) == {}


@pytest.mark.parametrize(
    ("rule", "by_chance"),
    [
        ({}, True),
        ({"by": "group"}, False),
        ({"by": "column"}, False),
        ({"holdout_uri_digest": "ab"}, False),
    ],
)
def test_copies_are_judged_where_chance_alone_put_records_on_their_sides(rule, by_chance):
    split = {"by": "content", "rows": "distinct", "holdout_uri_digest": None} | rule
    recipe = SimpleNamespace(seed=0, privacy=PrivacyConfig(), report=ReportConfig())
    options = options_of(recipe, SimpleNamespace(split_rule=split))
    assert options.sides_by_chance is by_chance
