"""The strip: the same latents at every tick, bounded, and the same after any interruption."""

import itertools

import numpy as np
import pytest
import torch

from gan.device import find_device
from gan.errors import Interrupted
from gan.protocols import Hooks
from gan.training import strip as module
from gan.training.checkpoint import Checkpoints
from gan.training.loop import train
from gan.training.objectives import Adversarial
from gan.training.state import TrainState
from gan.training.strip import MOST_FRAMES, Strip, row_classes, stride_of


@pytest.fixture(scope="module")
def whole(tiny, codec, digits, tmp_path_factory):
    return train(tiny, codec, digits, tmp_path_factory.mktemp("whole"), device="cpu")


def same(one, other):
    assert [frame.samples_seen for frame in one.frames] == [
        frame.samples_seen for frame in other.frames
    ]
    for a, b in zip(one.frames, other.frames, strict=True):
        np.testing.assert_array_equal(a.values, b.values)


def test_a_frame_for_the_start_and_every_tick(whole, tiny, codec):
    film = whole.strip
    assert [frame.samples_seen for frame in film.frames] == [0, 160, 320, 480, 640]
    assert film.labels_R.tolist() == list(range(10))
    state = TrainState(tiny, codec, find_device("cpu"))
    Checkpoints(folder=whole.snapshot.parent / "checkpoints", config=tiny).restore(state)
    own = Strip(tiny, codec)
    own.take(state)
    np.testing.assert_array_equal(own.frames()[0].values, film.frames[-1].values)
    assert (film.frames[0].values != film.frames[-1].values).any()


def test_interruptions_change_no_pixel(whole, tiny, codec, digits, tmp_path):
    told = []
    for steps in (3, 12, 10):
        asked = itertools.count(1)
        hooks = Hooks(should_stop=lambda: next(asked) > steps, on_frame=told.append)  # noqa: B023
        with pytest.raises(Interrupted):
            train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    result = train(tiny, codec, digits, tmp_path, device="cpu")
    same(result.strip, whole.strip)
    assert [frame.samples_seen for frame in told] == [0, 0, 160, 0, 160, 320]
    same(train(tiny, codec, digits, tmp_path, device="cpu").strip, whole.strip)


def test_a_repair_takes_the_lost_frames_back(tiny, codec, digits, tmp_path, monkeypatch):
    step, calls = Adversarial.step, itertools.count(1)

    def poisoned(self, state, batch, share):
        losses = step(self, state, batch, share)
        if next(calls) == 25:
            next(state.generator.parameters()).data.fill_(torch.nan)
        return losses

    monkeypatch.setattr(Adversarial, "step", poisoned)
    film = train(tiny, codec, digits, tmp_path, device="cpu").strip
    assert [frame.samples_seen for frame in film.frames] == [0, 160, 320, 480, 640]
    assert all(len(set(frame.values.ravel().tolist())) > 1 for frame in film.frames)


@pytest.mark.parametrize("ticks", [1, 15, 16, 100, 1000])
def test_its_length_is_bounded(ticks):
    stride = stride_of(ticks)
    kept = [number for number in range(ticks + 1) if number % stride == 0]
    assert len(kept) <= MOST_FRAMES
    assert len(kept) > MOST_FRAMES // 2 or stride == 1
    before = stride_of(ticks - 1)
    assert stride % before == 0  # what is kept was kept before


def test_a_long_training_keeps_its_start_and_its_end(whole, tiny, codec, monkeypatch):
    monkeypatch.setattr(module, "MOST_FRAMES", 4)
    state = TrainState(tiny, codec, find_device("cpu"))
    own = Strip(tiny, codec)
    for tick in range(11):
        state.progress.samples_seen = 160 * tick
        own.take(state)
        other = Strip(tiny, codec)
        other.restore(own.tensors())
        own = other
        if tick:
            state.progress.history.append({})
    assert [frame.samples_seen // 160 for frame in own.frames()] == [0, 4, 8, 10]


def test_rows_are_some_of_many_classes_and_each_of_few_several_times():
    assert row_classes(3, 10).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert row_classes(100, 4).tolist() == [0, 33, 66, 99]
    assert row_classes(0, 3).tolist() == [0, 0, 0]


def test_large_images_have_fewer_rows(tiny, codec, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 64 * MOST_FRAMES * 4)
    state = TrainState(tiny, codec, find_device("cpu"))
    own = Strip(tiny, codec)
    own.take(state)
    assert len(own.frames()[0].values) == 4
    assert own.finished(state).labels_R.tolist() == [0, 3, 6, 9]


def test_what_is_no_picture_has_no_strip(tiny, codec, monkeypatch):
    monkeypatch.setattr("gan.modalities.GanModality.has_pictures", False)
    own, state = Strip(tiny, codec), TrainState(tiny, codec, find_device("cpu"))
    own.take(state)
    assert own.finished(state) is None
    assert own.tensors() == {}
