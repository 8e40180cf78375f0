import pytest

from gan.config import PhaseConfig
from gan.training.state import cosine, crosses_tick, ema_decay, is_spent, phase_at, used_share


def test_cosine_ends():
    assert cosine(4.0, 1.0, 0.0) == 4.0
    assert cosine(4.0, 1.0, 1.0) == 1.0
    assert cosine(4.0, 1.0, 0.5) == pytest.approx(2.5)


def test_samples_decide_when_there_is_a_budget_of_samples(tiny):
    assert used_share(tiny, 320, 1e9) == 0.5
    assert used_share(tiny, 6400, 0.0) == 1.0
    timed = tiny.model_copy(update={"budget_samples": None, "budget_s": 10.0})
    assert used_share(timed, 320, 2.5) == 0.25


def test_schedules_follow_the_budget_that_will_run_out_first(tiny):
    both = tiny.model_copy(update={"budget_s": 10.0})
    assert used_share(both, 320, 2.5) == 0.5
    assert used_share(both, 64, 5.0) == 0.5
    assert used_share(both, 64, 11.0) == 1.0


def test_the_first_budget_ends_it(tiny):
    both = tiny.model_copy(update={"budget_s": 10.0})
    assert not is_spent(both, 639, 9.9)
    assert is_spent(both, 640, 0.0)
    assert is_spent(both, 0, 10.0)


def test_ticks_are_crossed_once_each_whatever_the_batch(tiny):
    for batch_size in (16, 48, 100):
        config = tiny.model_copy(update={"batch_size": batch_size})
        seen = range(batch_size, 4801, batch_size)
        assert sum(crosses_tick(config, samples) for samples in seen) == seen[-1] // 160


def test_phases_take_their_share(tiny):
    phases = tuple(PhaseConfig(objective="adversarial", fraction=f) for f in (0.25, 0.75))
    config = tiny.model_copy(update={"phases": phases})
    assert [phase_at(config, share) for share in (0.0, 0.24, 0.25, 0.9, 1.0)] == [0, 0, 1, 1, 1]


def test_average_halves_over_its_half_life():
    assert ema_decay(10_000, 100, half_life_samples=100, ramp=1.0) == pytest.approx(0.5)
    steps = [ema_decay(10**6, 100, half_life_samples=1000, ramp=1.0)] * 10
    product = 1.0
    for step in steps:
        product *= step
    assert product == pytest.approx(0.5)


def test_average_follows_quickly_at_first():
    early = ema_decay(100, 100, half_life_samples=10_000, ramp=0.05)
    late = ema_decay(10**6, 100, half_life_samples=10_000, ramp=0.05)
    assert early < 1e-3 < 0.99 < late < 1
