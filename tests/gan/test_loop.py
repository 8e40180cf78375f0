"""The loop as a whole: exactness, choice of the snapshot, stops, repairs."""

import dataclasses
import itertools
import json
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gan.config import PhaseConfig
from gan.device import find_device
from gan.errors import ConfigError, DataError, Interrupted, MemoryLimitError, NotFiniteError
from gan.protocols import Assessment, Generator, Hooks
from gan.sample import Sampler, average_sampler
from gan.snapshot import load_snapshot, snapshot_digest
from gan.training import watch
from gan.training.batches import Batches
from gan.training.loop import train
from gan.training.objectives import OBJECTIVES, Adversarial
from gan.training.state import TrainState


@pytest.fixture(scope="module")
def whole(tiny, codec, digits, tmp_path_factory):
    """An uninterrupted training without assessment."""
    return train(tiny, codec, digits, tmp_path_factory.mktemp("whole"), device="cpu")


COUNTS = tuple((digit, 2) for digit in range(10))


def assessor(ranks, copies=None, full_coverage=True, tables=None, noise=0.0):
    """An assessment with given ranks, tick by tick; checks what it is called with."""
    numbers = zip(ranks, copies or itertools.repeat(0.05), strict=False)

    def assess(sample, samples_seen):
        table = sample(COUNTS)
        assert table.num_rows == 20
        if tables is not None:
            tables.append(table)
        assert samples_seen % 160 == 0
        rank, share = next(numbers)
        return Assessment(
            metrics={"coverage": 0.5},
            rank=rank,
            copies=share,
            full_coverage=full_coverage,
            copies_noise=noise,
        )

    return assess


def lines(folder):
    """The ticks of a training's statistics."""
    return [line for line in stats(folder) if "event" not in line]


def stats(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def stop_after(steps, **others):
    asked = itertools.count(1)
    return Hooks(should_stop=lambda: next(asked) > steps, **others)


# --- exactness ---


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stops=st.lists(st.integers(0, 12), max_size=3))
def test_interruptions_change_no_bit(stops, whole, tiny, codec, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    for steps in stops:
        with pytest.raises(Interrupted, match="run it again"):
            train(tiny, codec, digits, folder, hooks=stop_after(steps), device="cpu")
    result = train(tiny, codec, digits, folder, device="cpu")
    assert snapshot_digest(result.snapshot) == snapshot_digest(whole.snapshot)
    losses = [{k: v for k, v in line.items() if k.endswith("loss")} for line in lines(folder)]
    expected = lines(whole.snapshot.parent)
    assert losses == [{k: v for k, v in line.items() if k.endswith("loss")} for line in expected]


def test_interruptions_do_not_change_the_choice(tiny, codec, digits, tmp_path):
    ranks = [3.0, 1.0, 2.0, 1.5]
    hooks = Hooks(assess=assessor(ranks))
    one = train(tiny, codec, digits, tmp_path / "one", hooks=hooks, device="cpu")
    hooks = stop_after(25, assess=assessor(ranks))
    with pytest.raises(Interrupted):
        train(tiny, codec, digits, tmp_path / "two", hooks=hooks, device="cpu")
    hooks = Hooks(assess=assessor(ranks[2:]))
    two = train(tiny, codec, digits, tmp_path / "two", hooks=hooks, device="cpu")
    assert snapshot_digest(one.snapshot) == snapshot_digest(two.snapshot)
    assert one.best_samples_seen == two.best_samples_seen == 320


def test_a_finished_training_is_found_finished(whole, tiny, codec, digits):
    def never(_):
        raise AssertionError

    before = snapshot_digest(whole.snapshot)
    hooks = Hooks(on_tick=never)
    again = train(tiny, codec, digits, whole.snapshot.parent, hooks=hooks, device="cpu")
    assert again.samples_seen == 640
    assert snapshot_digest(again.snapshot) == before


def test_another_seed_gives_another_generator(whole, tiny, codec, digits, tmp_path):
    other = train(tiny.model_copy(update={"seed": 12}), codec, digits, tmp_path, device="cpu")
    one, two = (load_snapshot(result.snapshot).weights for result in (whole, other))
    assert not any(torch.equal(one[name], two[name]) for name in one)


def test_global_randomness_and_threads_are_left_alone(tiny, codec, digits, tmp_path):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    train(tiny, codec, digits, tmp_path, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == precision


# --- the choice of the snapshot ---


def test_without_assessment_the_last_average_ships(whole):
    assert whole.samples_seen == whole.best_samples_seen == 640
    assert {event.kind for event in whole.events} == {"stop", "choice"}
    names = [curve.name for curve in whole.curves]
    losses = ["discriminator_loss", "generator_loss", "gradient_penalty"]
    assert names == [*losses, "generator_gradient", "discriminator_gradient", "diversity"]
    assert whole.curves[0].samples_seen == (160, 320, 480, 640)
    assert all(math.isfinite(value) for curve in whole.curves for value in curve.values)


def test_the_best_rank_ships_and_not_the_last(tiny, codec, digits, tmp_path):
    tables = []
    hooks = Hooks(assess=assessor([3.0, 1.0, 2.0, math.inf], tables=tables))
    result = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert (result.samples_seen, result.best_samples_seen) == (640, 320)
    generator = Sampler.load(result.snapshot).generator
    assert average_sampler(generator, codec, tiny)(COUNTS).equals(tables[1])
    assert not tables[2].equals(tables[1])
    assert [line.get("rank") for line in lines(tmp_path)] == [3.0, 1.0, 2.0, None]


@pytest.mark.parametrize(("first", "chosen"), [(1.0, 0), (9.0, 160)])
def test_what_is_complete_when_fitted_ships_unless_training_betters_it(
    first, chosen, tiny, codec, digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(Generator, "complete_when_fitted", True)
    hooks = Hooks(assess=assessor([first, 2.0, 3.0, 4.0, 5.0, 6.0]))
    result = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert result.best_samples_seen == chosen
    assert f"the snapshot of {chosen:,} samples is kept" in {event.text for event in result.events}


def test_rising_copies_stop_it_and_are_not_chosen(tiny, codec, digits, tmp_path):
    hooks = Hooks(assess=assessor([4.0, 3.0, 2.0, 1.0], copies=[0.04, 0.05, 0.07, 0.07]))
    longer = tiny.model_copy(update={"budget_samples": 6400})
    result = train(longer, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert (result.samples_seen, result.best_samples_seen) == (640, 320)
    assert any("copies rose to 0.070" in event.text for event in result.events)


def test_what_few_validation_records_explain_is_no_rise_of_copies(tiny, codec, digits, tmp_path):
    hooks = Hooks(
        assess=assessor([4.0, 3.0, 2.0, 1.0], copies=[0.04, 0.05, 0.07, 0.07], noise=0.02)
    )
    result = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert result.samples_seen == result.best_samples_seen == 640


def test_one_tick_of_copies_is_noise(tiny, codec, digits, tmp_path):
    hooks = Hooks(assess=assessor([4.0, 3.0, 2.0, 1.0], copies=[0.04, 0.07, 0.05, 0.07]))
    result = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert (result.samples_seen, result.best_samples_seen) == (640, 480)


def test_copies_are_not_watched_before_full_coverage(tiny, codec, digits, tmp_path):
    hooks = Hooks(
        assess=assessor([4.0, 3.0, 2.0, 1.0], copies=[0.01, 0.1, 0.2, 0.3], full_coverage=False)
    )
    result = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert result.best_samples_seen == 640


def test_patience_ends_it(tiny, codec, digits, tmp_path):
    hooks = Hooks(assess=assessor([1.0, 2.0, 2.0, 2.0]))
    config = tiny.model_copy(update={"patience_samples": 320})
    result = train(config, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert (result.samples_seen, result.best_samples_seen) == (480, 160)
    assert any("no better snapshot for 320 samples" in event.text for event in result.events)


def test_patience_and_copies_wait_for_the_last_phase(tiny, codec, digits, tmp_path):
    phases = tuple(PhaseConfig(objective="adversarial", fraction=part) for part in (0.75, 0.25))
    config = tiny.model_copy(update={"patience_samples": 320, "phases": phases})
    ranks, copies = [1.0, 2.0, 2.0, 2.0], [0.05, 0.1, 0.05, 0.05]
    hooks = Hooks(assess=assessor(ranks, copies))
    result = train(config, codec, digits, tmp_path / "patience", hooks=hooks, device="cpu")
    assert (result.samples_seen, result.best_samples_seen) == (640, 160)
    hooks = Hooks(assess=assessor(ranks, [0.05, 0.1, 0.1, 0.1]))
    result = train(config, codec, digits, tmp_path / "copies", hooks=hooks, device="cpu")
    assert result.samples_seen == 640, "and not 480, where two ticks in a row had copies"
    assert any("copies rose" in event.text for event in result.events)


def test_nothing_usable_ships_the_last_average_and_says_so(tiny, codec, digits, tmp_path):
    hooks = Hooks(assess=assessor([math.inf] * 4))
    result = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert result.best_samples_seen == 640
    assert any("no snapshot was usable" in event.text for event in result.events)


# --- budgets and callbacks ---


def test_seconds_end_it_too(tiny, codec, digits, tmp_path):
    config = tiny.model_copy(update={"budget_samples": None, "budget_s": 1e-6})
    result = train(config, codec, digits, tmp_path, device="cpu")
    assert result.samples_seen == 16


def test_ticks_and_checkpoints_are_told(tiny, codec, digits, tmp_path):
    ticks, paths = [], []
    hooks = Hooks(on_tick=ticks.append, on_checkpoint=paths.append)
    train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert [tick.samples_seen for tick in ticks] == [160, 320, 480, 640]
    assert [tick.progress for tick in ticks] == [0.25, 0.5, 0.75, 1.0]
    assert all(tick.samples_per_s > 0 for tick in ticks)
    assert [int(path.name) for path in paths] == [160, 320, 480, 640]
    kept = sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    assert kept == [480, 640]


def test_batches_cross_epochs_and_show_everything_once(tiny, codec, digits):
    batches = Batches(codec.encode(digits), codec, find_device("cpu"), seed=0)
    rows = torch.cat([batches._rows(position, 16) for position in range(0, 1600, 16)])[:1500]
    for epoch in rows.split(300):
        assert torch.equal(epoch.sort().values, torch.arange(300))
    assert not torch.equal(rows[:300], rows[300:600])


# --- time ---


def ticking(wall_s, cpu_s=0.0):
    """Clocks by which so much passes between two looks at them."""
    return {
        "wall_s": itertools.count(0.0, wall_s).__next__,
        "cpu_s": itertools.count(0.0, cpu_s).__next__,
    }


def test_time_makes_checkpoints_between_ticks_and_changes_no_bit(
    whole, tiny, codec, digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(watch, "SAVED_SHARE", 1.0)
    paths, asked = [], []
    hooks = dataclasses.replace(killed_after(28), on_checkpoint=paths.append, **ticking(25.0))
    with pytest.raises(KeyboardInterrupt):
        train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    between = [int(path.name) for path in paths if int(path.name) % 160]
    assert len(between) >= 6
    assert between[-1] > 320 + 64
    hooks = Hooks(should_stop=lambda: asked.append(1) and False, **ticking(0.1))
    again = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert len(asked) == (640 - between[-1]) // 16
    assert snapshot_digest(again.snapshot) == snapshot_digest(whole.snapshot)
    kept = [line["samples_seen"] for line in lines(tmp_path)]
    assert kept == [160, 320, 480, 640]


def test_saving_takes_a_small_share_of_the_time(tiny, codec, digits, tmp_path):
    clock, saved = ticking(25.0), []

    def slow(path):
        saved.append(int(path.name))
        for _ in range(10):
            clock["wall_s"]()

    hooks = Hooks(on_checkpoint=slow, **clock)
    train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert [at for at in saved if at % 160] == [48], "a pause of 20 times the 250 s it took"


def test_a_repair_after_checkpoints_between_ticks_changes_no_bit(
    tiny, codec, digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(watch, "SAVED_SHARE", 1.0)
    monkeypatch.setitem(OBJECTIVES, "adversarial", Sick)
    one = train(tiny, codec, digits, tmp_path / "one", device="cpu")
    for steps in (13, 7, 3):
        hooks = dataclasses.replace(killed_after(steps), **ticking(100.0))
        with pytest.raises(KeyboardInterrupt):
            train(tiny, codec, digits, tmp_path / "two", hooks=hooks, device="cpu")
    hooks = Hooks(**ticking(100.0))
    two = train(tiny, codec, digits, tmp_path / "two", hooks=hooks, device="cpu")
    assert snapshot_digest(one.snapshot) == snapshot_digest(two.snapshot)


def test_no_checkpoint_between_ticks_of_what_is_broken(tiny, codec, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "SAVED_SHARE", 1.0)
    monkeypatch.setitem(OBJECTIVES, "adversarial", Poisoned)
    saved = []
    hooks = Hooks(on_checkpoint=lambda path: saved.append(int(path.name)), **ticking(100.0))
    train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    again = saved.index(176, saved.index(176) + 1)
    assert max(saved[:again]) == 240, "the step from 240 on is the sick one"
    assert saved[-1] == 640


def test_a_budget_of_time_ticks_by_time(tiny, codec, digits, tmp_path):
    config = tiny.model_copy(
        update={"budget_samples": None, "budget_s": 140.0, "tick_samples": 10**9}
    )
    seen = []

    def assess(sample, samples_seen):
        seen.append(samples_seen)
        return Assessment(metrics={}, rank=abs(len(seen) - 5), copies=0.05, full_coverage=False)

    hooks = Hooks(assess=assess, **ticking(1.0))
    result = train(config, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert 10 <= len(seen) <= 15
    assert result.best_samples_seen == seen[4] < result.samples_seen
    assert result.seconds == pytest.approx(140, abs=3)


def test_processor_seconds_end_it_however_long_they_take(tiny, codec, digits, tmp_path):
    config = tiny.model_copy(update={"budget_samples": None, "budget_cpu_s": 20.0})
    done = [
        train(config, codec, digits, tmp_path / f"{wall_s}", hooks=hooks, device="cpu")
        for wall_s, hooks in ((s, Hooks(**ticking(s, 1.0))) for s in (1.0, 8.0))
    ]
    assert [result.cpu_s for result in done] == pytest.approx([20, 20], abs=3)
    assert done[0].samples_seen == pytest.approx(done[1].samples_seen, abs=80)
    assert done[1].seconds > 100


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_that_wait_for_each_other_are_told(threads, tiny, codec):
    config = tiny.model_copy(update={"threads": threads})
    state = TrainState(config, codec, find_device("cpu"))
    state.progress.cpu_s, state.progress.asked_cpu_s, state.progress.seconds = 8.0, 120.0, 60.0
    found = watch.busy_machine(state)
    assert found.startswith(f"the machine was busy: training had 0.13 of {threads} core")
    assert ("on one core (taskset -c 0)" in found) == (threads == 2)


@pytest.mark.parametrize(("cpu_s", "said"), [(1.0, False), (0.5, True)])
def test_a_busy_machine_is_told(cpu_s, said, tiny, codec, digits, tmp_path):
    config = tiny.model_copy(update={"budget_s": 1e6})
    beats = []
    hooks = Hooks(on_progress=beats.append, **ticking(1.0, cpu_s))
    result = train(config, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert bool(beats[-1].busy) == said
    assert beats[0].busy is None, "the first seconds tell nothing"
    found = [event.text for event in result.events if event.kind == "machine"]
    assert bool(found) == said
    assert result.threads == 1
    if said:
        assert "the machine was busy: training had 0.5" in found[0]
        assert "of 1 core" in found[0]
        assert "training.budget_cpu_s" in found[0]
    again = train(config, codec, digits, tmp_path, device="cpu")
    assert [event.kind for event in again.events] == [event.kind for event in result.events]


def test_progress_is_told_between_ticks(tiny, codec, digits, tmp_path):
    config, beats = tiny.model_copy(update={"budget_s": 1e4}), []
    hooks = Hooks(on_progress=beats.append, **ticking(0.5))
    train(config, codec, digits, tmp_path, hooks=hooks, device="cpu")
    seen = [beat.samples_seen for beat in beats]
    assert seen[:3] == [32, 64, 96]
    assert {160, 320, 480, 640} <= set(seen)
    assert beats[0].left_s == pytest.approx(1e4 - 1)


# --- bad input ---


def test_another_configuration_in_the_folder(whole, tiny, codec, digits):
    other = tiny.model_copy(update={"seed": 99})
    with pytest.raises(ConfigError, match="another configuration"):
        train(other, codec, digits, whole.snapshot.parent, device="cpu")


def test_no_records(tiny, codec, digits, tmp_path):
    with pytest.raises(DataError, match="0 rows"):
        train(tiny, codec, digits.slice(0, 0), tmp_path, device="cpu")


# --- repairs ---


class Sick(Adversarial):
    """Returns losses that are no numbers, three steps long, once the seen samples reach a point."""

    until_factor = 0.5

    def step(self, state, batch, share):
        losses = super().step(state, batch, share)
        progress = state.progress
        at = progress.samples_seen
        if 240 <= at < 288 and progress.learning_rate_factor > self.until_factor:
            losses = losses * math.nan
        return losses


class Poisoned(Adversarial):
    """Leaves weights that are no numbers, once the seen samples reach a point."""

    def step(self, state, batch, share):
        losses = super().step(state, batch, share)
        progress = state.progress
        if progress.samples_seen == 240 and progress.learning_rate_factor == 1:
            with torch.no_grad():
                next(state.generator.parameters()).fill_(math.nan)
        return losses


def test_repair_goes_back_with_smaller_steps(tiny, codec, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "adversarial", Sick)
    result = train(tiny, codec, digits, tmp_path, device="cpu")
    assert result.samples_seen == 640
    repairs = [event for event in result.events if event.kind == "repair"]
    assert [event.samples_seen for event in repairs] == [160]
    assert "3 steps in a row were not finite, at 320 samples" in repairs[0].text
    assert "went back to 160 with half the learning rate" in repairs[0].text
    assert [line["samples_seen"] for line in lines(tmp_path)] == [160, 320, 480, 640]


def test_repairs_end(tiny, codec, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(Sick, "until_factor", 0.0)
    monkeypatch.setitem(OBJECTIVES, "adversarial", Sick)
    with pytest.raises(NotFiniteError, match="after 2 repairs that did not help"):
        train(tiny, codec, digits, tmp_path, device="cpu")


def test_a_kill_after_a_repair_changes_no_bit(tiny, codec, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "adversarial", Sick)
    one = train(tiny, codec, digits, tmp_path / "one", device="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(tiny, codec, digits, tmp_path / "two", hooks=killed_after(24), device="cpu")
    two = train(tiny, codec, digits, tmp_path / "two", device="cpu")
    assert snapshot_digest(one.snapshot) == snapshot_digest(two.snapshot)


def test_an_interruption_before_a_repair_changes_no_bit(tiny, codec, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "adversarial", Sick)
    one = train(tiny, codec, digits, tmp_path / "one", device="cpu")
    for steps in (13, 3):
        with pytest.raises(Interrupted):
            train(tiny, codec, digits, tmp_path / "two", hooks=stop_after(steps), device="cpu")
    two = train(tiny, codec, digits, tmp_path / "two", device="cpu")
    assert snapshot_digest(one.snapshot) == snapshot_digest(two.snapshot)


def test_no_checkpoint_of_what_is_broken(tiny, codec, digits, tmp_path, monkeypatch):
    class Broken(Adversarial):
        def step(self, state, batch, share):
            losses = super().step(state, batch, share)
            with torch.no_grad():
                next(state.generator.parameters()).fill_(math.nan)
            return losses

    monkeypatch.setitem(OBJECTIVES, "adversarial", Broken)
    with pytest.raises(Interrupted):
        train(tiny, codec, digits, tmp_path, hooks=stop_after(3), device="cpu")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["0" * 12]


def killed_after(steps):
    """Hooks that end the process without a checkpoint, as far as the folder can tell."""
    asked = itertools.count(1)

    def ask():
        if next(asked) > steps:
            raise KeyboardInterrupt
        return False

    return Hooks(should_stop=ask)


# --- memory ---


def limited(largest, error):
    """An objective on a device that holds so many samples at once."""

    class Limited(Adversarial):
        def _pairs(self, state, part, share):
            if len(part.labels_N) > largest:
                raise error
            return super()._pairs(state, part, share)

    return Limited


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")]
)
def test_memory_is_found_by_halving(error, tiny, codec, digits, tmp_path, monkeypatch):
    config = tiny.model_copy(update={"augment": (), "budget_samples": 160})
    one = train(config, codec, digits, tmp_path / "one", device="cpu")
    monkeypatch.setitem(OBJECTIVES, "adversarial", limited(5, error))
    two = train(config, codec, digits, tmp_path / "two", device="cpu")
    assert [e.text.split()[3] for e in two.events if e.kind == "memory"] == ["8", "4"]
    weights = [load_snapshot(result.snapshot).weights for result in (one, two)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=0, atol=5e-3)


def test_memory_limit_is_an_error_of_ours(tiny, codec, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "adversarial", limited(1, torch.OutOfMemoryError("out")))
    with pytest.raises(MemoryLimitError, match="2 samples at once on cpu"):
        train(tiny, codec, digits, tmp_path, device="cpu")


def test_other_errors_pass_through(tiny, codec, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "adversarial", limited(1, RuntimeError("odd")))
    with pytest.raises(RuntimeError, match="odd"):
        train(tiny, codec, digits, tmp_path, device="cpu")


def test_memory_outside_of_a_step(tiny, codec, digits, tmp_path):
    def assess(sample, samples_seen):
        raise torch.OutOfMemoryError

    with pytest.raises(MemoryLimitError, match="outside of a step"):
        train(tiny, codec, digits, tmp_path, hooks=Hooks(assess=assess), device="cpu")


# --- one step ---


def test_no_gradient_reaches_the_other_network(tiny, codec, digits, monkeypatch):
    place = find_device("cpu")
    state = TrainState(tiny, codec, place)
    batch = Batches(codec.encode(digits), codec, place, seed=0).take(0, 16, tiny.latent)
    seen = []

    def look(state, network, changes):
        assert not list(changes)
        touched = {
            name: any(p.grad is not None for p in network.parameters())
            for name, network in (("G", state.generator), ("D", state.discriminator))
        }
        seen.append(touched)
        state.optimisers[network].optimiser.zero_grad()

    monkeypatch.setattr(TrainState, "apply", look)
    Adversarial(tiny, place).step(state, batch, 0.0)
    assert seen == [{"G": False, "D": True}, {"G": True, "D": False}]


def test_lazy_penalty_is_as_strong_on_average(tiny, codec, digits, monkeypatch):
    config = tiny.model_copy(update={"penalty_interval": 4})
    place = find_device("cpu")
    state = TrainState(config, codec, place)
    batch = Batches(codec.encode(digits), codec, place, seed=0).take(0, 16, tiny.latent)
    whole, strengths = Adversarial.discriminator_step, []

    def look(self, state, pairs, part, strength, weight):
        strengths.append(strength)
        return whole(self, state, pairs, part, strength, weight)

    monkeypatch.setattr(Adversarial, "discriminator_step", look)
    for step in range(8):
        state.progress.samples_seen = step * config.batch_size
        Adversarial(config, place).step(state, batch, 0.0)
    assert strengths == [2.0, 0, 0, 0, 2.0, 0, 0, 0]


@pytest.mark.parametrize("rank", [0.5, 0.7])
def test_the_best_weights_are_finished_unless_that_is_worse(
    tiny, codec, digits, tmp_path, monkeypatch, rank
):
    """All samples and the seed reach `finish`; what it changes is shipped, and nothing else."""
    seen = []

    def finish(self, samples, seed, most):
        seen.append((len(samples()), seed, most))
        with torch.no_grad():
            next(self.parameters()).add_(1.0)
        return True

    def trained(folder, last):
        ranks = itertools.chain([0.9, 0.6], itertools.repeat(0.8, ticks - 2), last)
        hooks = Hooks(assess=assessor(ranks))
        return train(tiny, codec, digits, tmp_path / folder, hooks=hooks, device="cpu")

    ticks = tiny.budget_samples // tiny.tick_samples
    plain = trained("plain", [])
    monkeypatch.setattr(Generator, "finish", finish)
    found = trained("finished", [rank])
    assert seen == [(digits.num_rows, tiny.seed, tiny.budget_samples)]
    before, after = (load_snapshot(each.snapshot).weights for each in (plain, found))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    (said,) = (event.text for event in found.events if "was finished" in event.text)
    assert ("not kept" in said) == (rank == 0.7)
    assert len(changed) == (rank != 0.7)
    for name in changed:
        torch.testing.assert_close(after[name], before[name] + 1.0)
    assert not [event for event in plain.events if "was finished" in event.text]
