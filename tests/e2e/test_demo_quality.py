"""The demo as a newcomer runs it, one seed, wide bounds (`make bench`: three seeds, narrow)."""

import pandas as pd
import pytest

from benchmarks.demo_quality import judge, summary
from gan.report import Report


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The lake of the demo as it is, and its report."""
    lake = tmp_path_factory.mktemp("demo") / "lake"
    return lake, judge(0, lake)[0]


def check_passed(report):
    assert report.verdict in {"pass", "warn"}, [reason.text for reason in report.reasons]


def test_the_gate_lets_a_shorter_demo_pass(short_demo):
    (path,) = (short_demo / "lake").glob("generators/digits/*/reports/*/report.json")
    check_passed(Report.from_json(path.read_bytes()))


@pytest.mark.full
def test_the_gate_lets_the_demo_pass(demo):
    check_passed(demo[1])


@pytest.mark.full
def test_quality_on_the_holdout_is_near_the_ceiling(demo):
    found = summary(demo[1])
    assert found["coverage_over_ceiling"] >= 0.9
    assert found["worst_class_coverage_over_ceiling"] >= 0.7
    assert found["fd_over_ceiling"] <= 3
    assert found["label_accuracy_minus_real"] >= -0.04
    assert found["copies_over_nominal"] <= 1.5 or found["copies_over_nominal_low"] <= 1


@pytest.mark.full
def test_ten_thousand_balanced_images_lie_in_sixteen_shards(demo):
    lake, _ = demo
    (version,) = (lake / "datasets" / "digits").glob("2*")
    assert len(list(version.glob("*.parquet"))) == 16
    frame = pd.read_parquet(version)
    assert frame.label.value_counts().to_dict() == dict.fromkeys(range(10), 1000)
    assert frame.sample_id.is_unique
    assert all(image["bytes"].startswith(b"\x89PNG") for image in frame.image)
