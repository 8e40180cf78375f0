"""Numbers of the members of a feature net become one: their mean."""

import pytest

from gan.images.evaluation.members import over_members
from gan.report import Ceiling, Measured, Metric


def _found(name, scope, value, *, ceiling=None, reals=(), replicates=()):
    metric = Metric(name=name, scope=scope, value=value, low=value - 1, high=value + 2, n=9)
    if ceiling is not None:
        metric = Metric(
            **{**metric.__dict__, "ceiling": Ceiling(value=ceiling, low=0.0, high=ceiling + 1)}
        )
    return Measured(metric=metric, reals=reals, replicates=replicates)


def test_everything_of_one_metric_and_scope_is_averaged_entry_by_entry():
    parts = [
        _found("fd", "classifier", 4.0, ceiling=1.0, reals=(1.0, 3.0), replicates=(4.0, 6.0)),
        _found("fd", "random", 7.0, ceiling=2.0, reals=(2.0,)),
        _found("fd", "classifier", 8.0, ceiling=3.0, reals=(5.0, 5.0), replicates=(8.0, 4.0)),
    ]
    both, other = over_members(parts)
    assert (both.metric.value, both.metric.low, both.metric.high) == (6.0, 5.0, 8.0)
    assert both.metric.ceiling == Ceiling(value=2.0, low=0.0, high=3.0)
    assert both.reals == (3.0, 4.0)
    assert both.replicates == (6.0, 5.0)
    assert (both.metric.name, both.metric.scope, both.metric.n) == ("fd", "classifier", 9)
    assert other == parts[1], "what is alone stays as it is"


def test_classes_and_metrics_are_kept_apart():
    parts = [
        _found("coverage", "classifier/7", 0.5),
        _found("coverage", "classifier/8", 0.7),
        _found("density", "classifier", 0.9),
        _found("coverage", "classifier/7", 0.6),
    ]
    found = {(m.metric.name, m.metric.scope): m.metric.value for m in over_members(parts)}
    assert found == {
        ("coverage", "classifier/7"): pytest.approx(0.55),
        ("coverage", "classifier/8"): 0.7,
        ("density", "classifier"): 0.9,
    }
    assert over_members(parts)[0].metric.ceiling is None
