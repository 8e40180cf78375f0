"""The demo as a newcomer runs it, one seed, wide bounds (`make bench`: three seeds, narrow)."""

import pandas as pd
import pytest

from benchmarks.demo_quality import judge, summary


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    lake = tmp_path_factory.mktemp("demo") / "lake"
    report, _ = judge(0, lake)
    return lake, report


def test_the_gate_lets_the_demo_pass(demo):
    _, report = demo
    assert report.verdict in {"pass", "warn"}, [reason.text for reason in report.reasons]


def test_quality_on_the_holdout_is_near_the_ceiling(demo):
    found = summary(demo[1])
    assert found["coverage_over_ceiling"] >= 0.9
    assert found["worst_class_coverage_over_ceiling"] >= 0.7
    assert found["fd_over_ceiling"] <= 3
    assert found["label_accuracy_minus_real"] >= -0.04
    assert found["copies_over_nominal"] <= 1.5 or found["copies_over_nominal_low"] <= 1


def test_ten_thousand_balanced_images_lie_in_sixteen_shards(demo):
    lake, _ = demo
    (version,) = (lake / "datasets" / "digits").glob("2*")
    assert len(list(version.glob("*.parquet"))) == 16
    frame = pd.read_parquet(version)
    assert frame.label.value_counts().to_dict() == dict.fromkeys(range(10), 1000)
    assert frame.sample_id.is_unique
    assert all(image["bytes"].startswith(b"\x89PNG") for image in frame.image)
