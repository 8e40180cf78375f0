import base64
import io

import pytest
from PIL import Image

from gan.evaluation.reporting import class_table, metric_figures, training
from gan.gate import GateConfig, judge
from gan.images import judge as images
from gan.images.judge import BARS, METRICS, build_reference, evaluate
from gan.modalities import Options, Splits
from gan.protocols import Curve
from gan.report import ReportInputs
from gan.tables import judge as tables

RANK = Curve(name="rank", samples_seen=(100, 200, 300), values=(3.0, 2.0, 1.5))
CURVES = (
    *(
        Curve(name=name, samples_seen=(100, 200, 300), values=(0.5, 0.8, 0.9))
        for name in ("generator_loss", "coverage_ratio", "worst_class_ratio", "fd_ratio")
    ),
    RANK,
)


@pytest.fixture(scope="module")
def figures(digits, quick_nets):
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
    judgement = judge(evaluation, METRICS, GateConfig())
    counts = {"train": [(digit, 10) for digit in range(10)]}
    return (
        *images.figures(evaluation, inputs),
        *metric_figures(evaluation.metrics, BARS, judgement.metrics),
        *training(CURVES, 200, images.CURVES, METRICS),
        *class_table(counts, evaluation.candidate_class_counts),
    )


def test_every_section_of_the_frame_has_its_figures(figures):
    found = {figure.id: figure for figure in figures}
    assert {
        "samples",
        "ratios",
        "fd-ratio",
        "telling",
        "usefulness",
        "copies-ratio",
        "near-copies",
        "metrics-meaning",
        "training-quality",
        "training-distance",
        "training-rank",
        "training-losses",
        "class-counts",
    } == set(found)
    assert all(figure.alt and figure.caption for figure in figures)


def test_the_grid_is_a_picture_with_a_row_per_class(figures):
    data = figures[0].data
    picture = Image.open(io.BytesIO(base64.b64decode(data["png"])))
    assert picture.size == (data["width"], data["height"])
    assert data["rows"] == [str(digit) for digit in range(10)]


def test_bars_carry_the_bounds_of_the_gate(figures):
    bars = {figure.id: figure for figure in figures}["ratios"].data["bars"]
    coverage = next(bar for bar in bars if bar["label"] == "coverage, random")
    assert coverage["pass_low"] == pytest.approx(0.75)
    assert coverage["block_low"] == pytest.approx(0.5)
    assert coverage["pass_high"] is None
    density = next(bar for bar in bars if bar["label"] == "density, random")
    assert (density["pass_high"], density["block_high"]) == pytest.approx((1.5, 2.0))
    assert coverage["low"] <= coverage["value"] <= coverage["high"]


def test_the_snapshot_is_marked_in_every_curve(figures):
    lines = [figure for figure in figures if figure.kind == "lines"]
    assert all(figure.data["marks"] == [{"x": 200, "text": "snapshot"}] for figure in lines)
    assert lines[0].data["series"][0]["x"] == [100.0, 200.0, 300.0]


def test_a_rank_that_is_another_curve_is_drawn_once():
    def drawn(*ranks):
        rank = Curve(name="rank", samples_seen=(1, 2), values=ranks)
        return [one.id for one in training([nll, rank], 2, tables.CURVES, tables.METRICS)]

    nll = Curve(name="validation_nll", samples_seen=(1, 2), values=(3.0, 2.5))
    assert drawn(3.0, 2.5) == ["training-likelihood"]
    assert drawn(0.4, 0.3) == ["training-likelihood", "training-rank"]


def test_only_this_modalitys_metrics_are_explained(figures):
    (table,) = [figure for figure in figures if figure.id == "metrics-meaning"]
    shown = {row[0]: row[3:] for row in table.data["rows"]}
    assert list(shown) == [
        "coverage",
        "density_low",
        "density_high",
        "fd",
        "label_accuracy",
        "c2st/statistics",
        "c2st/network",
        "tstr_gap",
        "copies",
        "near_copies",
        "near_copies/pixels/near",
        "repeats",
        "spread",
        "validation_nll",
        "trtr",
        "tstr",
        "kid",
        "precision",
        "recall",
    ]
    assert shown["coverage"] == ["≥ 0.75 times real data", "< 0.5 times real data"]
    assert shown["fd"][0] == "≤ 5 times real data (upper end)"
    assert shown["label_accuracy"] == ["≥ real data - 0.1", "< 0.5 times real data"]
    assert shown["c2st/statistics"] == ["≤ 0.75 (upper end)", "> 1"]
    assert shown["kid"] == ["not judged: fd judges the distance of the same features", None]


def test_classes_that_have_names_are_shown_with_them():
    counts = {"train": [(0, 3), (1, 4)]}
    [table] = class_table(counts, [(0, 5), (2, 1)], ("ring", "cross"))
    assert [row[0] for row in table.data["rows"]] == ["0 (ring)", "1 (cross)", "2"]
