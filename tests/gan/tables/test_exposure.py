"""What attacks with synthetic rows gain: nothing from unseen rows, much from copies."""

from dataclasses import replace

import pyarrow as pa
import pytest
from judged_tables import OPTIONS, cut, shop

from gan.errors import ConfigError
from gan.gate import GateConfig, judge
from gan.metrics.residual_risk import Attacked, residual_risk
from gan.report import Evaluation
from gan.tables.evaluation.columns import build_context
from gan.tables.evaluation.exposure import Exposure
from gan.tables.judge import METRICS

RISKS = ("singling_out", "linkability", "inference")


@pytest.fixture(scope="module")
def rows():
    return cut(shop(4000), (1600, 800, 800), None)


def measured(rows, candidate, **options):
    splits, _ = rows
    exposure = Exposure(build_context(splits, replace(OPTIONS, **options)))
    return {(one.metric.name, one.metric.scope): one for one in exposure.measure(candidate)}


def judged(found):
    evaluation = Evaluation(
        measured=tuple(found.values()),
        facts=(),
        too_few=(),
        n=800,
        holdout_rows=800,
        candidate_rows=800,
        candidate_class_counts=(),
        seed=0,
    )
    return judge(evaluation, METRICS, GateConfig())


def outcomes(found):
    return {(one.metric, one.scope): one.outcome for one in judged(found).reasons}


def test_the_risk_is_what_is_left_beyond_records_never_trained_on():
    found = residual_risk(Attacked(60, 100), Attacked(20, 100))
    assert found.value == pytest.approx(0.5)
    assert found.low == pytest.approx(0.3347, abs=0.0005)
    assert found.high == pytest.approx(0.6406, abs=0.0005)
    none = residual_risk(Attacked(20, 100), Attacked(20, 100))
    assert none.low < none.value == 0 < none.high
    assert none.chance == pytest.approx(1.96 * (0.2 * 0.8 * 2 / 100) ** 0.5 / 0.8, rel=1e-3)


@pytest.mark.parametrize("hits", [(0, 0), (10, 0), (0, 10), (10, 10)])
def test_the_risk_is_finite_at_every_rate(hits):
    found = residual_risk(Attacked(hits[0], 10), Attacked(hits[1], 10))
    assert -10 <= found.low <= found.value <= found.high <= 1


def test_unseen_rows_expose_nobody(rows):
    found = measured(rows, rows[1])
    assert {name for name, _ in found} == set(RISKS)
    assert set(outcomes(found).values()) == {"pass"}
    assert {one.outcome for one in judged(found).unjudged} == {"reported"}


def test_training_rows_expose_those_they_are_of(rows):
    found = measured(rows, rows[0].train)
    said = outcomes(found)
    assert [said[name, "all"] for name in RISKS] == ["block"] * 3
    assert (
        "of the attacks succeed on rows that were trained on" in found["inference", "all"].because
    )


def test_half_of_the_rows_copied_is_no_pass(rows):
    splits, unseen = rows
    half = pa.concat_tables([splits.train.slice(0, 800), unseen])
    said = outcomes(measured(rows, half))
    assert "pass" not in {said["linkability", "all"], said["inference", "all"]}


def test_quasi_identifiers_are_what_the_attacker_knows(rows):
    known = ("region", "day")
    found = measured(rows, rows[0].train, quasi_identifiers=known)
    secrets = {scope.partition("/")[2] for name, scope in found if "/" in scope}
    assert secrets == {"size", "price", "note", "back"}
    assert (
        found["inference", "all"].metric.value
        < measured(rows, rows[0].train)["inference", "all"].metric.value
    )


def test_equal_rows_give_equal_numbers(rows):
    assert measured(rows, rows[1]) == measured(rows, rows[1])


def test_a_quasi_identifier_that_is_no_column_is_refused(rows):
    with pytest.raises(ConfigError, match=r"privacy.quasi_identifiers names 'town', which the"):
        measured(rows, rows[1], quasi_identifiers=("town",))
