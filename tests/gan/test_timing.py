"""How fast a training will be here."""

import pytest

from gan.config import PhaseConfig
from gan.errors import MemoryLimitError
from gan.training import timing
from gan.training.timing import _kinds, _Took, time_steps


def test_real_steps_are_timed_and_leave_no_trace(tiny, codec, digits):
    pace = time_steps(tiny, codec, digits, device="cpu")
    assert pace.device == "cpu"
    assert pace.samples_per_s == pace.samples_per_cpu_s > 100
    shared = time_steps(tiny.model_copy(update={"threads": 2}), codec, digits, device="cpu")
    assert shared.samples_per_s == pytest.approx(2 * shared.samples_per_cpu_s)


@pytest.mark.parametrize(
    ("s_per_sample", "sizes"), [(10.0, {4}), (0.01, {4, 16}), (1e-4, {4, 16, 64})]
)
def test_slow_networks_are_timed_on_little(s_per_sample, sizes, tiny, codec, digits, monkeypatch):
    seen = []

    def step(self, first, size):
        del self, first
        seen.append(size)
        return _Took(s_per_sample * size, s_per_sample * size / 2)

    monkeypatch.setattr(timing._Trial, "_step", step)
    monkeypatch.setattr(timing, "LIMIT_S", 0.5)
    config = tiny.model_copy(update={"batch_size": 64})
    pace = time_steps(config, codec, digits, device="cpu")
    assert set(seen) == sizes
    assert len(seen) <= 2 * len(sizes) + timing.REPEATS
    assert pace.samples_per_cpu_s == pytest.approx(2 / s_per_sample)


def two_phases(tiny, **budget):
    parts = [PhaseConfig(objective="adversarial", fraction=fraction) for fraction in (0.25, 0.75)]
    return tiny.model_copy(update={"phases": tuple(parts), **budget})


@pytest.mark.parametrize(
    ("budget", "rate"),
    [
        ({"budget_samples": 1000}, 1 / (0.25 / 100 + 0.75 / 1000)),
        ({"budget_samples": None, "budget_s": 60.0}, 0.25 * 100 + 0.75 * 1000),
    ],
)
def test_every_phase_has_its_fraction_of_the_budget(budget, rate, tiny, codec, digits, monkeypatch):
    def step(self, _, size):
        cost = 0.01 if self._share == 0 else 0.001
        return _Took(cost * size, cost * size)

    monkeypatch.setattr(timing._Trial, "_step", step)
    pace = time_steps(two_phases(tiny, **budget), codec, digits, device="cpu")
    assert pace.samples_per_cpu_s == pytest.approx(rate)


def test_what_finishes_is_timed_too(tiny, codec, digits, monkeypatch):
    begun = []
    monkeypatch.setattr(
        "gan.protocols.Generator.begin", lambda _, objective: begun.append(objective), raising=True
    )
    assert time_steps(two_phases(tiny), codec, digits, device="cpu").samples_per_cpu_s > 10
    assert begun == ["adversarial"]


def test_where_memory_ends_what_fitted_counts(tiny, codec, digits, monkeypatch):
    def step(_, __, size):
        if size > fits:
            msg = "can't allocate memory"
            raise RuntimeError(msg)
        return _Took(1e-5 * size, 1e-5 * size)

    fits = 4
    monkeypatch.setattr(timing._Trial, "_step", step)
    pace = time_steps(tiny, codec, digits, device="cpu")
    assert pace.samples_per_cpu_s == pytest.approx(1e5)
    fits = 0
    with pytest.raises(MemoryLimitError, match=r"smallest step .*lower generator\.width"):
        time_steps(tiny, codec, digits, device="cpu")


def test_steps_of_every_kind_have_their_share(tiny):
    config = tiny.model_copy(update={"penalty_interval": 4, "discriminator_steps": 2})
    kinds = _kinds(config)
    assert [kind.first for kind in kinds] == [0, 1, 2]
    assert [kind.share for kind in kinds] == [0.25, 0.5, 0.25]
    assert [kind.share for kind in _kinds(tiny)] == [1.0]
