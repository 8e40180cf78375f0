"""The demo as a newcomer runs it, one seed, wide bounds (`make bench`: three seeds, narrow)."""

from functools import cache

import pandas as pd
import pytest

from benchmarks.demo_quality import judge, summary

SHORT = 120_000
"""Samples seen by the generator that `make test` trains: a sixth of the demo's budget."""


@pytest.fixture(scope="module")
def run_demo(tmp_path_factory):
    """Return a function that runs the demo once with these changes: its lake and its report."""

    @cache
    def run(*changes):
        lake = tmp_path_factory.mktemp("demo") / "lake"
        return lake, judge(0, lake, changes)[0]

    return run


@pytest.fixture(
    params=[
        pytest.param((f"training.budget_samples={SHORT}", "synthesis.samples=4000"), id="short"),
        pytest.param((), id="as it is", marks=pytest.mark.full),
    ]
)
def demo(request, run_demo):
    return run_demo(*request.param)


def test_the_gate_lets_the_demo_pass(demo):
    _, report = demo
    assert report.verdict in {"pass", "warn"}, [reason.text for reason in report.reasons]


@pytest.mark.full
def test_quality_on_the_holdout_is_near_the_ceiling(run_demo):
    found = summary(run_demo()[1])
    assert found["coverage_over_ceiling"] >= 0.9
    assert found["worst_class_coverage_over_ceiling"] >= 0.7
    assert found["fd_over_ceiling"] <= 3
    assert found["label_accuracy_minus_real"] >= -0.04
    assert found["copies_over_nominal"] <= 1.5 or found["copies_over_nominal_low"] <= 1


@pytest.mark.full
def test_ten_thousand_balanced_images_lie_in_sixteen_shards(run_demo):
    lake, _ = run_demo()
    (version,) = (lake / "datasets" / "digits").glob("2*")
    assert len(list(version.glob("*.parquet"))) == 16
    frame = pd.read_parquet(version)
    assert frame.label.value_counts().to_dict() == dict.fromkeys(range(10), 1000)
    assert frame.sample_id.is_unique
    assert all(image["bytes"].startswith(b"\x89PNG") for image in frame.image)
