import pytest

from gan.config import GeneratorConfig, PhaseConfig, TrainingConfig
from gan.device import find_device
from gan.images.presets import resolve
from gan.training.state import (
    Progress,
    Spent,
    TrainState,
    cosine,
    crosses_tick,
    ema_decay,
    is_rested,
    is_spent,
    outlasts_tick,
    phase_at,
    seconds_left,
    used_share,
)


def test_cosine_ends():
    assert cosine(4.0, 1.0, 0.0) == 4.0
    assert cosine(4.0, 1.0, 1.0) == 1.0
    assert cosine(4.0, 1.0, 0.5) == pytest.approx(2.5)


def test_samples_decide_when_there_is_a_budget_of_samples(tiny):
    assert used_share(tiny, Spent(320, 1e9)) == 0.5
    assert used_share(tiny, Spent(6400, 0.0)) == 1.0
    timed = tiny.model_copy(update={"budget_samples": None, "budget_s": 10.0})
    assert used_share(timed, Spent(320, 2.5)) == 0.25


def test_schedules_follow_the_budget_that_will_run_out_first(tiny):
    both = tiny.model_copy(update={"budget_s": 10.0})
    assert used_share(both, Spent(320, 2.5)) == 0.5
    assert used_share(both, Spent(64, 5.0)) == 0.5
    assert used_share(both, Spent(64, 11.0)) == 1.0


def test_the_first_budget_ends_it(tiny):
    both = tiny.model_copy(update={"budget_s": 10.0})
    assert not is_spent(both, Spent(639, 9.9))
    assert is_spent(both, Spent(640, 0.0))
    assert is_spent(both, Spent(0, 10.0))


def test_ticks_are_crossed_once_each_whatever_the_batch(tiny):
    for batch_size in (16, 48, 100):
        config = tiny.model_copy(update={"batch_size": batch_size})
        seen = range(batch_size, 4801, batch_size)
        assert sum(crosses_tick(config, samples) for samples in seen) == seen[-1] // 160


def test_phases_take_their_share(tiny):
    phases = tuple(PhaseConfig(objective="adversarial", fraction=f) for f in (0.25, 0.75))
    config = tiny.model_copy(update={"phases": phases})
    assert [phase_at(config, share) for share in (0.0, 0.24, 0.25, 0.9, 1.0)] == [0, 0, 1, 1, 1]


def cut_short(tiny, codec, **budget):
    phases = (
        PhaseConfig(objective="adversarial", fraction=0.5, most_samples=96),
        PhaseConfig(objective="adversarial", fraction=0.5),
    )
    config = tiny.model_copy(update={"phases": phases, **budget})
    return TrainState(config, codec, find_device("cpu"))


def test_a_phase_ends_after_its_most_samples_and_leaves_the_rest_to_the_next(tiny, codec):
    state = cut_short(tiny, codec, budget_samples=960)
    found, rates = [], []
    for seen in (0, 80, 96, 528, 960):
        state.progress.samples_seen = seen
        share = state.begin_step()
        state.follow_schedule(share)
        found.append((phase_at(state.config, share), round(share, 3)))
        rates.append(state.optimisers["generator"].optimiser.param_groups[0]["lr"])
    assert found == [(0, 0.0), (0, round(80 / 960, 3)), (1, 0.5), (1, 0.75), (1, 1.0)]
    assert state.progress.phase_began == 96
    assert rates[1] < 0.3 * rates[0]
    assert rates[2] == rates[0] > rates[3] > rates[4]


def test_a_budget_that_ends_a_phase_earlier_changes_nothing(tiny, codec):
    state = cut_short(tiny, codec, budget_samples=128)
    shares = []
    for seen in (0, 32, 64, 96):
        state.progress.samples_seen = seen
        shares.append(state.begin_step())
    assert shares == [0.0, 0.25, 0.5, 0.75]
    assert state.progress.phase_began == 64


def test_weights_decay_until_the_regularized_part_is_over(tiny, codec):
    config = tiny.model_copy(update={"weight_decay": 0.5, "regularized": 0.6})
    state = TrainState(config, codec, find_device("cpu"))
    groups = state.optimisers["generator"].optimiser.param_groups
    found = []
    for share in (0.0, 0.59, 0.6, 1.0, 0.3):
        state.follow_schedule(share)
        found.append([group["weight_decay"] for group in groups])
    assert found == [[0.5, 0.0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.0], [0.5, 0.0]]


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


def test_processor_time_is_a_budget_of_its_own(tiny):
    config = tiny.model_copy(update={"budget_s": 100.0, "budget_cpu_s": 10.0})
    assert used_share(config, Spent(64, 20.0, 5.0)) == 0.5
    assert not is_spent(config, Spent(64, 99.0, 9.9))
    assert is_spent(config, Spent(64, 99.0, 10.0))
    assert is_spent(config, Spent(64, 100.0, 1.0))


def test_what_is_left_is_that_of_the_budget_of_time_that_ends_first(tiny):
    assert seconds_left(tiny, Spent(64, 10.0, 10.0)) is None
    timed = tiny.model_copy(update={"budget_s": 100.0})
    assert seconds_left(timed, Spent(64, 40.0, 10.0)) == 60.0
    assert seconds_left(timed, Spent(64, 400.0, 10.0)) == 0.0
    both = timed.model_copy(update={"budget_cpu_s": 20.0})
    assert seconds_left(both, Spent(64, 40.0, 10.0)) == 40.0
    assert seconds_left(both, Spent(64, 40.0, 2.0)) == 60.0
    assert seconds_left(both, Spent(64, 40.0, 0.0)) == 60.0


def test_time_makes_a_tick_due_with_a_budget_of_time_only(tiny):
    before = Spent(0, 0.0)
    assert not outlasts_tick(tiny, Spent(64, 1e9, 1e9), before)
    short = tiny.model_copy(update={"budget_s": 140.0})
    assert not outlasts_tick(short, Spent(64, 4.9), before)
    assert outlasts_tick(short, Spent(64, 5.0), before)
    assert not outlasts_tick(short, Spent(96, 14.9), Spent(64, 5.0))
    assert outlasts_tick(short, Spent(96, 15.0), Spent(64, 5.0))
    long = tiny.model_copy(update={"budget_samples": None, "budget_cpu_s": 1e6})
    assert not outlasts_tick(long, Spent(0, 299.0, 299.0), before)
    assert outlasts_tick(long, Spent(0, 300.0, 30.0), before)


def test_steps_take_several_times_as_long_as_the_assessment_before_them(tiny):
    timed = tiny.model_copy(update={"budget_samples": None, "budget_cpu_s": 60.0})
    line = {"samples_seen": 64, "seconds": 20.0, "cpu_s": 20.0}
    progress = Progress(samples_seen=128, history=[line], look_cpu_s=2.0)
    progress.seconds = progress.cpu_s = 29.9
    assert not is_rested(timed, progress)
    assert is_rested(tiny, progress), "with a budget of samples alone, samples decide"
    progress.cpu_s = 30.0
    assert is_rested(timed, progress)


@pytest.mark.parametrize("budget", [2_000, 60_000, 400_000, 10**8])
@pytest.mark.parametrize("preset", ["mlp", "resnet"])
def test_the_first_assessment_comes_within_a_tenth_of_any_budget(preset, budget, codec):
    generator = GeneratorConfig(preset=preset)
    by_samples = TrainingConfig(budget_samples=budget, batch_size=64, device="cpu")
    config = resolve(generator, by_samples, codec, train_rows=300, seed=0)
    assert config.tick_samples <= budget / 10
    timed = TrainingConfig(budget_samples=None, budget_cpu_s=budget / 100, device="cpu")
    config = resolve(generator, timed, codec, train_rows=300, seed=0)
    at = budget / 100 / 20
    assert outlasts_tick(config, Spent(64, at, at), Spent(0, 0.0))
