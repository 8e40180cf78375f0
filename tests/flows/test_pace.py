"""What a budget buys, in words."""

import pytest

from flows.pace import PaceNotice, duration, judge_pace, rounded
from gan.config import GeneratorConfig, TrainingConfig
from gan.images.codec import ImageCodec
from gan.images.presets import resolve
from gan.protocols import Tick
from gan.training.timing import StepRate


def foreseen(rate, needed=400_000, device="cpu", side=(96, 128), preset="resnet", **training):
    codec = ImageCodec(height=side[0], width=side[1], channels=1)
    training = TrainingConfig(device="cpu", **training)
    generator = GeneratorConfig(preset=preset)
    config = resolve(generator, training, codec, train_rows=500, seed=0)
    return judge_pace(config, StepRate(device, 1.6 * rate, rate), needed, codec, "images")


def test_a_budget_that_buys_little_is_hopeless_and_the_way_out_is_said():
    found = foreseen(2.8, budget_samples=None, budget_cpu_s=3600)
    assert found.samples == 10_080
    assert found.text == (
        "the budget of 3,600 CPU s buys about 10,000 images here (2.8 a CPU second on cpu)"
    )
    assert found.warning == (
        "that is hopeless: preset resnet needs about 40 x more; use a GPU or source.resize: 16x20 "
        "or raise the budget"
    )


def test_wall_time_buys_what_all_threads_do():
    found = foreseen(50, budget_samples=None, budget_s=1000, side=(32, 32))
    assert found.samples == 80_000
    assert "that is short: preset resnet needs about 5 x more" in found.warning
    assert "source.resize: 16" in found.warning


def test_a_budget_that_is_enough_is_said_without_a_warning():
    found = foreseen(1000, budget_samples=None, budget_cpu_s=300)
    assert found.warning is None
    assert "buys about 300,000 images" in found.text


def test_what_is_fitted_at_once_needs_no_budget():
    found = foreseen(1000, needed=500, preset="mixture", budget_samples=None, budget_cpu_s=0.001)
    assert found.text == "preset mixture is fitted to all images at once, whatever the budget"
    assert found.warning is None
    assert found.samples == 500


@pytest.mark.parametrize(
    ("budget", "seen", "said"),
    [(600.0, 500, True), (600.0, 20_000, False), (30.0, 25, False)],
    ids=["hopeless", "enough", "a trial"],
)
def test_a_training_says_early_what_its_budget_buys(budget, seen, said):
    codec, told = ImageCodec(height=96, width=128, channels=1), []
    training = TrainingConfig(device="cpu", budget_cpu_s=budget)
    generator = GeneratorConfig(preset="resnet")
    config = resolve(generator, training, codec, train_rows=500, seed=0)
    pace = PaceNotice(told.append, config, codec, "cpu", lambda: 400_000)
    for number, share in ((0.3, 0.05), (1.3, 0.1), (2.3, 0.15)):  # the first tick is slow
        used = budget * share
        pace.on_tick(
            Tick(
                samples_seen=int(number * seen),
                progress=share,
                seconds=used,
                cpu_s=used,
                samples_per_s=seen / used,
                metrics={},
            )
        )
    sentence = (
        "Note: at the pace so far that is hopeless: preset resnet needs about 41 x more; use a GPU "
        "or source.resize: 16x20 or raise the budget"
    )
    assert told == [sentence] * said


def test_of_several_budgets_the_first_to_run_out_counts():
    found = foreseen(100, budget_samples=100_000, budget_s=1e6, budget_cpu_s=1e6)
    assert found.text == "100,000 images take about 10 min here (160 a second on cpu)"
    assert foreseen(100, budget_samples=10**6, budget_cpu_s=500).samples == 50_000


def test_few_samples_are_few_on_any_device():
    found = foreseen(100, budget_samples=20_000)
    assert found.warning == (
        "that is hopeless: preset resnet needs about 20 x more; "
        "raise training.budget_samples (auto: 400,000)"
    )


def test_a_training_of_forty_hours_is_said_to_be_one():
    found = foreseen(1.75, budget_samples="auto")
    assert found.text == "400,000 images take about 40 h here (2.8 a second on cpu)"
    assert found.warning.startswith("that is longer than a night; use a GPU or source.resize: ")
    assert found.warning.endswith("or set training.budget_s")


def test_a_budget_of_time_is_as_long_as_it_was_asked_to_be():
    assert foreseen(1000, budget_samples=None, budget_s=9 * 3600).warning is None


def test_no_gpu_is_proposed_on_one_and_no_size_that_is_none():
    found = foreseen(1, budget_samples=None, budget_s=100, device="cuda", side=(16, 16))
    assert found.warning.endswith("x more; raise the budget")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (100, "100 s"), (121, "2 min"), (7200, "2 h"), (1e6, "280 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("number", "near"), [(41_234, 41_000), (7.77, 7.8), (38.6, 39)])
def test_numbers_are_rounded_to_what_is_known(number, near):
    assert rounded(number) == near
