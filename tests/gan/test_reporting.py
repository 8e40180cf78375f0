import base64
import io

import pytest
from PIL import Image

from gan.evaluation.reporting import Background, Subject, build_report, training
from gan.gate import GateConfig, judge
from gan.images.judge import build_reference, evaluate
from gan.modalities import Options, Splits
from gan.protocols import Curve
from gan.report import Event, Report, ReportInputs

RANK = Curve(name="rank", samples_seen=(100, 200, 300), values=(3.0, 2.0, 1.5))
CURVES = (
    *(
        Curve(name=name, samples_seen=(100, 200, 300), values=(0.5, 0.8, 0.9))
        for name in ("generator_loss", "coverage_ratio", "worst_class_ratio", "fd_ratio")
    ),
    RANK,
)


@pytest.fixture(scope="module")
def report(digits):
    splits = Splits(
        train=digits.slice(0, 100),
        validation=digits.slice(100, 70),
        holdout=digits.slice(170, 70),
        label="digit",
    )
    candidate = digits.slice(220, 80)
    reference = build_reference(splits, Options(halves=20, replicates=4))
    evaluation = evaluate(candidate, reference)
    inputs = ReportInputs(candidate=candidate, reference=reference, label="digit")
    gate = GateConfig()
    background = Background(
        curves=CURVES,
        events=(Event(kind="choice", samples_seen=200, text="kept"),),
        notes=("picked mlp",),
        facts={"seed": 0},
        chosen_samples_seen=200,
        class_counts={"train": [(digit, 10) for digit in range(10)]},
    )
    subject = Subject(
        modality="images",
        name="digits",
        generator="20260101T000000Z-aaaaaaaa",
        snapshot_digest="00",
        created="2026-01-01T00:00:00+00:00",
    )
    judgement = judge(evaluation, gate)
    return build_report(
        subject, evaluation, judgement, gate=gate, inputs=inputs, background=background
    )


def test_it_is_a_report_that_survives_json(report):
    assert Report.from_json(report.to_json()).to_json() == report.to_json()
    assert report.notes[0] == "picked mlp"
    assert report.facts["holdout_rows"] == 70


def test_every_section_of_the_frame_has_its_figures(report):
    found = {figure.id: figure for figure in report.figures}
    assert {
        "samples",
        "ratios",
        "fd-ratio",
        "copies-ratio",
        "training-quality",
        "training-distance",
        "training-rank",
        "training-losses",
        "class-counts",
    } == set(found)
    assert all(figure.alt and figure.caption for figure in report.figures)


def test_the_grid_is_a_picture_with_a_row_per_class(report):
    data = report.figures[0].data
    picture = Image.open(io.BytesIO(base64.b64decode(data["png"])))
    assert picture.size == (data["width"], data["height"])
    assert data["rows"] == [str(digit) for digit in range(10)]


def test_bars_carry_the_bounds_of_the_gate(report):
    bars = {figure.id: figure for figure in report.figures}["ratios"].data["bars"]
    coverage = next(bar for bar in bars if bar["label"] == "coverage, random")
    assert coverage["pass_low"] == pytest.approx(0.75)
    assert coverage["block_low"] == pytest.approx(0.5)
    assert coverage["pass_high"] is None
    density = next(bar for bar in bars if bar["label"] == "density, random")
    assert (density["pass_high"], density["block_high"]) == pytest.approx((1.5, 2.0))
    assert coverage["low"] <= coverage["value"] <= coverage["high"]


def test_the_snapshot_is_marked_in_every_curve(report):
    lines = [figure for figure in report.figures if figure.kind == "lines"]
    assert all(figure.data["marks"] == [{"x": 200, "text": "snapshot"}] for figure in lines)
    assert lines[0].data["series"][0]["x"] == [100.0, 200.0, 300.0]


def test_a_rank_that_is_another_curve_is_drawn_once():
    nll = Curve(name="validation_nll", samples_seen=(1, 2), values=(3.0, 2.5))
    twice = [nll, Curve(name="rank", samples_seen=(1, 2), values=(3.0, 2.5))]
    assert [figure.id for figure in training(twice, 2)] == ["training-likelihood"]
    other = [nll, Curve(name="rank", samples_seen=(1, 2), values=(0.4, 0.3))]
    assert [figure.id for figure in training(other, 2)] == ["training-likelihood", "training-rank"]
