"""From an effect to the answer, its sentences, and what the gate makes of it."""

import pytest

from gan.gate import lift_reason
from gan.lift.answer import Price, answer_of, no_label, text_of, title_of, unknown
from gan.lift.result import CurvePoint, Effect, Estimate, Lift

PRICE = Price(made=500, real=1000)


def effect(value, low, high, *, arm="real + fill", detectable=0.02):
    return Effect(
        arm=arm,
        model="trees",
        metric="auc",
        baseline=0.9,
        value=0.9 + value,
        effect=Estimate(value, low, high),
        detectable=detectable,
    )


HELPS, HURTS = effect(0.02, 0.01, 0.03), effect(-0.02, -0.03, -0.01)
NOTHING = effect(0.002, -0.01, 0.01)
UNSEEN = effect(0.02, -0.1, 0.12, detectable=0.16)


def lift_of(own, remedy=None, *, is_cut=False):
    answer = answer_of(own, is_cut=is_cut)
    return Lift(answer=answer, text="", task="class of kind", effect=own, remedy=remedy)


@pytest.mark.parametrize(
    ("own", "is_cut", "answer"),
    [
        (HELPS, False, "helps"),
        (HELPS, True, "cannot be known"),
        (HURTS, True, "hurts"),
        (NOTHING, False, "no measurable effect"),
        (NOTHING, True, "no measurable effect"),
        (UNSEEN, False, "cannot be known"),
        (effect(0.3, 0.1, 0.5, detectable=0.3), False, "helps"),
        (effect(0.0002, 0.0001, 0.0003), False, "no measurable effect"),
        (effect(-0.0002, -0.0003, -0.0001), False, "no measurable effect"),
        (None, False, "cannot be known"),
    ],
)
def test_the_answer_follows_from_the_interval(own, is_cut, answer):
    assert answer_of(own, is_cut=is_cut) == answer


def test_the_text_names_effect_interval_price_and_remedy():
    text = text_of(lift_of(HELPS, effect(0.01, -0.01, 0.03, arm="SMOTE")), "AUC", PRICE)
    assert text == (
        "Training with synthetic records helps: AUC 0.900 → 0.920 (+0.020, 95 % interval +0.010 to "
        "+0.030; trees, real + fill), at the price of 500 synthetic records beside 1,000 real "
        "ones. The best that costs nothing, SMOTE, gives +0.010, 95 % interval -0.010 to +0.030."
    )


def test_a_free_remedy_that_wins_comes_first():
    better = effect(0.05, 0.03, 0.07, arm="class weights")
    lift = lift_of(HELPS, better)
    assert lift.free_wins
    text = text_of(lift, "AUC", PRICE)
    assert text.startswith("Class weights helps, for nothing: AUC 0.900 → 0.950 (+0.050")
    assert "Training with synthetic records helps" in text
    assert not lift_of(HELPS, effect(0.05, -0.01, 0.1, arm="SMOTE")).free_wins
    assert not lift_of(HELPS, effect(0.01, 0.005, 0.015, arm="SMOTE")).free_wins


def test_what_cannot_be_known_says_what_is_missing():
    assert "bring more holdout records" in text_of(lift_of(UNSEEN), "AUC", PRICE)
    assert "measure thoroughly" in text_of(lift_of(HELPS, is_cut=True), "AUC", PRICE)
    surely = effect(0.3, 0.1, 0.5, detectable=0.3)
    assert "measure thoroughly" in text_of(lift_of(surely, is_cut=True), "AUC", PRICE)
    assert no_label().text == (
        "Whether synthetic data helps cannot be known: no label says what a downstream model "
        "predicts (source.label)."
    )


@pytest.mark.parametrize(
    ("own", "not_harmful", "positive"),
    [
        (HELPS, "pass", "pass"),
        (NOTHING, "pass", "block"),
        (HURTS, "block", "block"),
        (UNSEEN, "pass", "block"),
    ],
)
def test_what_the_gate_requires(own, not_harmful, positive):
    lift = lift_of(own)
    assert lift_reason(lift, "no") is None
    assert lift_reason(lift, "not-harmful").outcome == not_harmful
    assert lift_reason(lift, "positive").outcome == positive


def test_what_was_not_measured_is_unknown_or_blocks():
    assert lift_reason(None, "no") is None
    assert lift_reason(None, "not-harmful").outcome == "unknown"
    reason = lift_reason(None, "positive")
    assert reason.outcome == "block"
    assert reason.text == "lift was not measured; required is 'positive' (gate.require_lift)"


def test_json_holds_everything():
    point = CurvePoint(real_rows=10, real=Estimate(1, 2, 3), best=Estimate(4, 5, 6))
    lift = Lift(**{**vars(lift_of(HELPS, NOTHING)), "curve": (point,), "notes": ("é",)})
    assert Lift.from_json(lift.to_json()) == lift
    assert Lift.from_json(unknown("nothing", "why").to_json()).effect is None


def test_titles():
    assert title_of("r2") == "R²"
    assert title_of("recall/a/b") == "recall of 'a/b'"
