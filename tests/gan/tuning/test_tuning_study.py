"""The sampler and the pruner: told what is finished, seeded by the number, never by a clock."""

import math
from contextlib import suppress
from types import SimpleNamespace

import pytest

from gan.errors import ConfigError
from gan.tuning.knobs import PRESET, FactorKnob, NameKnob, SpanKnob
from gan.tuning.result import FinishedTrial, TuningResult, budget_text
from gan.tuning.study import (
    FEWEST_TRAINED,
    PRESET_TRIALS,
    SPARED_STEPS,
    SPARED_TRIALS,
    STEPS,
    Exhausted,
    SearchSpace,
    importance,
    start,
    step_at,
)

RATE, DEPTH = "generator.learning_rate", "generator.depth"


def resolve(settings):
    """A toy: `deep` alone has a depth, and does not go with the sharpest rate."""
    preset, rate = settings.get(PRESET, "flat"), settings.get(RATE, 0.01)
    if preset == "deep" and rate > 0.03:
        msg = f"deep does not go with {rate}"
        raise ConfigError(msg)
    return SimpleNamespace(preset=preset, rate=rate, depth=2 if preset == "deep" else None)


SPACE = SearchSpace(
    knobs=(
        NameKnob(setting=PRESET, names=("flat", "deep"), own=lambda c: c.preset),
        FactorKnob(setting=RATE, low=0.1, high=10.0, own=lambda c: c.rate),
        SpanKnob(setting=DEPTH, low=1, high=4, own=lambda c: c.depth),
    ),
    resolve=resolve,
)


def drawn(finished, number, seed=0):
    trial = start(SPACE, finished, number, seed)
    try:
        trial.draw(SPACE)
    except ConfigError:
        return trial, False
    return trial, True


def rank_of(settings):
    """Best at a third of the rate, and a little better with depth."""
    miss = abs(math.log(settings.get(RATE, 0.01) / 0.003))
    return 1 + miss - 0.2 * (settings.get(PRESET) == "deep")


def played(trials, seed=0):
    """Return the finished trials of a study of the toy."""
    finished = []
    for number in range(1, trials + 1):
        trial, sound = drawn(finished, number, seed)
        rank = rank_of(trial.settings) if sound else None
        state = "complete" if sound else "refused"
        finished.append(trial.ended(state, rank=rank, why="" if sound else "no"))
    return finished


def test_the_first_trial_is_the_recipe_as_it_is_and_is_told_as_such():
    trial, _ = drawn([], 1)
    assert trial.settings == {}
    assert trial.drawn == {PRESET: "flat", RATE: 1.0}


def test_then_every_preset_is_tried_as_it_is():
    trial, _ = drawn([], 2)
    assert trial.settings == {PRESET: "deep"}
    assert trial.drawn == {PRESET: "deep", RATE: 1.0, DEPTH: 2}
    names = [f"p{number}" for number in range(20)]
    knob = NameKnob(setting=PRESET, names=names, own=lambda c: c.preset)
    many = SearchSpace(knobs=(knob,), resolve=lambda settings: sound(settings.get(PRESET, "p3")))
    own = many.resolve({})
    tried = [many.preset_of(number, own) for number in range(1, 10)]
    assert tried == [None, "p0", "p1", "p2", "p4", "p5", "p6", None, None]
    assert len(tried) - tried.count(None) == PRESET_TRIALS
    without = SearchSpace(knobs=(), resolve=many.resolve)
    assert without.preset_of(2, own) is None


def test_equal_history_gives_equal_draws_whoever_asks():
    finished = played(5)
    once, again = drawn(finished, 6)[0], drawn(list(reversed(finished)), 6)[0]
    assert (once.settings, once.drawn) == (again.settings, again.drawn)
    other = {number: drawn(finished, number)[0].drawn[RATE] for number in (6, 7, 8)}
    assert len(set(other.values())) == 3
    assert drawn(finished, 6, seed=1)[0].drawn != once.drawn


def test_a_setting_is_drawn_where_the_preset_has_it():
    by_preset = {}
    for one in played(14):
        by_preset.setdefault(one.drawn[PRESET], []).append(one)
    assert all(DEPTH in one.drawn for one in by_preset["deep"])
    assert all(DEPTH not in one.drawn for one in by_preset["flat"])


def test_settings_are_what_differs_from_what_the_preset_takes():
    for one in played(14)[1:]:
        assert (PRESET in one.settings) is bool(one.settings), "numbers are those of a preset"
        assert one.settings.get(PRESET, "flat") == one.drawn[PRESET]
        assert one.settings.get(DEPTH, 2) == one.drawn.get(DEPTH, 2)


def test_names_are_drawn_before_the_numbers_that_follow_from_them():
    """A penalty that has no gamma is refused with one: none is drawn for it."""

    def penalised(settings):
        penalty = settings.get("generator.penalty", "r1")
        if penalty == "none" and "generator.gamma" in settings:
            msg = "none has no gamma"
            raise ConfigError(msg)
        return SimpleNamespace(penalty=penalty, gamma=1.0 if penalty == "r1" else None)

    space = SearchSpace(
        knobs=(
            FactorKnob(setting="generator.gamma", low=0.1, high=10.0, own=lambda c: c.gamma),
            NameKnob(setting="generator.penalty", names=("r1", "none"), own=lambda c: c.penalty),
        ),
        resolve=penalised,
    )
    seen = set()
    for number in range(2, 30):
        trial = start(space, [], number, 0)
        trial.draw(space)
        assert ("generator.gamma" in trial.drawn) is (trial.drawn["generator.penalty"] == "r1")
        seen.add(trial.drawn["generator.penalty"])
    assert seen == {"r1", "none"}


def test_what_was_tried_is_not_drawn_again():
    names = SearchSpace(
        knobs=(NameKnob(setting=PRESET, names=("a", "b", "c", "bad"), own=lambda c: c.preset),),
        resolve=lambda settings: sound(settings.get(PRESET, "a")),
    )
    finished = []
    for number in range(1, 5):
        trial = start(names, finished, number, 0)
        with suppress(ConfigError):
            trial.draw(names)
        state = "refused" if trial.settings.get(PRESET) == "bad" else "complete"
        finished.append(trial.ended(state, rank=1.0 if state == "complete" else None))
    assert sorted(one.settings.get(PRESET, "a") for one in finished) == ["a", "b", "bad", "c"]
    with pytest.raises(Exhausted, match="50 draws in a row had all been tried before"):
        start(names, finished, 5, 0).draw(names)


def sound(preset):
    if preset == "bad":
        msg = "bad does not go"
        raise ConfigError(msg)
    return SimpleNamespace(preset=preset)


def test_what_is_refused_is_told_and_avoided():
    finished = played(30)
    refused = [one.number for one in finished if one.state == "refused"]
    assert refused, "the toy has unsound pairs"
    assert sum(number > 15 for number in refused) <= sum(number <= 15 for number in refused)


def test_the_sampler_finds_what_is_better_than_chance_does():
    finished = played(30)
    early = [one.rank for one in finished[1:11] if one.rank is not None]
    late = [one.rank for one in finished[20:] if one.rank is not None]
    assert sum(late) / len(late) < sum(early) / len(early)
    assert min(one.rank for one in finished if one.rank is not None) < rank_of({})


def ticks(level):
    return tuple((share / STEPS, level) for share in range(1, STEPS + 1))


def others(levels):
    return [
        FinishedTrial(
            number=number,
            state="complete",
            settings={},
            drawn={PRESET: "flat", RATE: 1.0},
            rank=level,
            curve=ticks(level),
        )
        for number, level in enumerate(levels, start=1)
    ]


def until_given_up(finished, curve, number=50):
    trial, _ = drawn(finished, number)
    return next((share for share, rank in curve if trial.report(share, rank)), None)


def test_a_trial_is_given_up_when_it_is_worse_than_the_median_and_never_at_its_end():
    finished = others([4.0, 5.0, 6.0, 7.0, 8.0])
    assert until_given_up(finished, ticks(6.5)) == SPARED_STEPS / STEPS
    assert until_given_up(finished, ticks(5.5)) is None
    late = [(share, 6.5 if share < 1 else 60.0) for share, _ in ticks(0)][-1:]
    assert until_given_up(finished, late) is None
    assert until_given_up(finished[: SPARED_TRIALS - 1], ticks(99.0)) is None


def test_the_recipe_as_it_is_is_never_given_up():
    assert until_given_up(others([4.0] * 5), ticks(99.0), number=1) is None


def test_the_best_so_far_counts_and_unusable_is_worst():
    finished = others([4.0, 5.0, 6.0, 7.0, 8.0])
    dipped = [(share, 5.0 if share < 0.2 else 9.0) for share, _ in ticks(0)]
    assert until_given_up(finished, dipped) is None
    assert until_given_up(finished, ticks(math.inf)) == SPARED_STEPS / STEPS
    unusable = others([4.0, 5.0]) + [
        FinishedTrial(
            number=number, state="complete", settings={}, drawn={}, rank=9.0, curve=ticks(None)
        )
        for number in (3, 4, 5)
    ]
    assert until_given_up(unusable, ticks(8.0)) is None


def test_ticks_at_other_shares_are_compared_all_the_same():
    finished = others([4.0, 5.0, 6.0, 7.0, 8.0])
    between = [(share - 0.5 / STEPS, 6.5) for share, _ in ticks(0)]
    assert until_given_up(finished, between) is not None
    sparse = [
        FinishedTrial(
            number=number,
            state="complete",
            settings={},
            drawn={},
            rank=level,
            curve=((0.2, level), (1.0, level)),
        )
        for number, level in enumerate([4.0, 5.0, 6.0, 7.0, 8.0], start=1)
    ]
    assert until_given_up(sparse, [(0.55, 6.5)]) == 0.55


@pytest.mark.parametrize(("share", "step"), [(0.0, 0), (1 / STEPS, 1), (0.999, 13), (1.0, 14)])
def test_steps_are_shares_of_the_budget(share, step):
    assert step_at(share) == step


def test_importance_names_what_decides():
    finished = played(24)
    shares = importance(SPACE, finished)
    assert next(iter(shares)) == RATE
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert importance(SPACE, finished) == shares
    trained = [one for one in finished if one.state != "refused"]
    assert importance(SPACE, trained[: FEWEST_TRAINED - 1]) == {}


def test_a_setting_that_hardly_any_of_the_best_has_is_not_told_of():
    finished = played(24)
    deep = {one.number for one in finished if DEPTH in one.drawn}
    ranks = {
        one.number: (9.0 + one.number if one.number in deep else one.number / 10)
        for one in finished
    }
    flat_first = [
        FinishedTrial(**{**one.to_json(), "state": "complete", "rank": ranks[one.number]})
        for one in finished
    ]
    assert DEPTH not in importance(SPACE, flat_first)
    assert PRESET in importance(SPACE, flat_first)


def test_given_up_trials_count_as_none_of_the_best():
    finished = played(24)
    bad = sorted((one for one in finished if one.rank is not None), key=lambda one: -one.rank)[:8]
    cut = {one.number for one in bad}
    pruned = [
        FinishedTrial(**{**one.to_json(), "state": "pruned", "rank": None})
        if one.number in cut
        else one
        for one in finished
    ]
    assert importance(SPACE, pruned) == pytest.approx(importance(SPACE, finished))


def test_a_trial_is_read_as_it_was_written():
    trial, _ = drawn(others([4.0] * 5), 6)
    trial.report(0.5, 3.0)
    trial.report(0.7, math.inf)
    ended = trial.ended("pruned", why="w", samples_seen=7, seconds=1.23456, cpu_s=0.5)
    assert ended.curve == ((0.5, 3.0), (0.7, None))
    assert FinishedTrial.from_json(ended.to_json()) == ended
    with pytest.raises(ValueError, match="unknown state 'lost'"):
        FinishedTrial.from_json({**ended.to_json(), "state": "lost"})


def test_the_best_is_the_complete_trial_of_the_lowest_rank():
    finished = [
        *others([4.0, 3.0, 3.0]),
        FinishedTrial(number=4, state="pruned", settings={}, drawn={}, curve=((0.5, 1.0),)),
    ]
    kept = {"name": "n", "study": "s", "modality": "images", "device": "cpu", "trial_s": 60.0}
    result = TuningResult(trials=finished, **kept)
    assert (result.best.number, result.baseline.number) == (2, 1)
    assert result.best_until() == [(1, 4.0), (2, 3.0), (3, 3.0)]
    assert result.counts() == {"complete": 3, "pruned": 1, "refused": 0, "failed": 0}
    assert (result.budget, budget_text(60, "cuda")) == ("60 CPU-s", "60 s")
    assert TuningResult(trials=(), **kept).best is None
