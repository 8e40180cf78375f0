"""Damaged series, each made of real entities nobody has seen: blocked, for the right reason."""

import numpy as np
import pytest

from gan.gate import GateConfig, judge
from gan.modalities import Options
from gan.series.evaluation import paper_scores
from gan.series.judge import METRICS, build_reference, evaluate
from tests.gan.series.panel import few_items, make_panel, share_panel
from tests.ladder.series_faults import LADDER

REPRESENTATIVE = {"time reversed", "half shifted copies"}
"""One of each kind of damage, on few items; `make test-full` judges all, on more."""


def judged(candidate, reference):
    return judge(evaluate(candidate, reference), METRICS, GateConfig())


def blocking(judgement):
    return {reason.metric for reason in judgement.reasons if reason.outcome == "block"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What no rule judges need not be good here."""
    for name in ("discriminative", "predictive"):
        monkeypatch.setitem(paper_scores.STEPS, name, 2)


@pytest.fixture(scope="module")
def few():
    return few_items()


@pytest.fixture(scope="module")
def many():
    panel = share_panel(make_panel(2400, 0), 0)
    return panel, build_reference(panel.splits, Options(halves=20, replicates=20))


@pytest.mark.parametrize("name", sorted(REPRESENTATIVE))
def test_few_damaged_items_are_blocked_for_the_right_reason(name, few):
    panel, reference = few
    make, guilty, innocent = LADDER[name]
    found = blocking(judged(make(panel, np.random.default_rng(7)), reference))
    assert guilty <= found
    assert not innocent & found


@pytest.mark.full
@pytest.mark.parametrize("name", LADDER)
def test_a_damaged_panel_is_blocked_for_the_right_reason(name, many):
    panel, reference = many
    make, guilty, innocent = LADDER[name]
    judgement = judged(make(panel, np.random.default_rng(7)), reference)
    assert judgement.verdict == "block"
    assert guilty <= blocking(judgement)
    assert not innocent & blocking(judgement)


def test_other_real_items_are_not_blocked_and_do_not_pretend(few):
    panel, reference = few
    judgement = judged(panel.unseen, reference)
    assert judgement.verdict != "block"
    assert set(judgement.unknown) <= {"copies"}


@pytest.mark.full
def test_real_items_pass_in_nearly_all_resplits():
    """A candidate is as large as a generator's: four times the holdout."""
    panels, outcomes = make_panel(1200, 3), []
    for seed in range(20):
        panel = share_panel(panels, seed)
        reference = build_reference(panel.splits, Options(seed=seed, halves=30, replicates=20))
        candidate = make_panel(reference.wanted, 1000 + seed)
        outcomes.append(judged(candidate, reference))
    assert [one.verdict for one in outcomes].count("pass") >= 19
    assert all(one.verdict != "block" for one in outcomes)


@pytest.mark.full
def test_what_gives_a_candidate_away_is_named(many):
    panel, reference = many
    wanted = {
        "time reversed": "rises of stock",
        "frozen after half": "repeats of units",
        "prices of others": "correlation of price and promotion",
        "other length": "length",
        "another weekday": "weekday of units",
    }
    for name, clue in wanted.items():
        evaluation = evaluate(LADDER[name][0](panel, np.random.default_rng(7)), reference)
        assert clue in evaluation.find("c2st", "statistics").because, name
