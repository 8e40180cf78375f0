import pytest
import torch

from gan.device import find_device
from gan.errors import ConfigError
from gan.training import checkpoint
from gan.training.checkpoint import Checkpoints
from gan.training.state import TrainState


@pytest.fixture
def state(tiny, codec):
    return TrainState(tiny, codec, find_device("cpu"))


@pytest.fixture
def checkpoints(tiny, tmp_path):
    return Checkpoints(folder=tmp_path / "checkpoints", config=tiny)


def change(state, samples_seen, *, tick=True):
    with torch.no_grad():
        for index, tensor in enumerate(state.tensors().values()):
            tensor.fill_(samples_seen + index)
    state.progress.samples_seen = samples_seen
    state.progress.note("test", f"changed at {samples_seen}")
    if tick:
        state.progress.history.append({"samples_seen": samples_seen})


def test_everything_comes_back(state, checkpoints, tiny, codec):
    change(state, 32)
    checkpoints.save(state)
    fresh = TrainState(tiny, codec, find_device("cpu"))
    assert checkpoints.restore(fresh)
    assert fresh.progress == state.progress
    for name, tensor in state.tensors().items():
        assert torch.equal(fresh.tensors()[name], tensor), name
    names = {name.split(".")[0] for name in state.tensors()}
    assert names == {
        *("generator", "discriminator", "generator_ema", "best", "sums", "gauges"),
        *("generator_adam", "discriminator_adam"),
    }


def test_two_are_kept_and_the_newest_is_read(state, checkpoints):
    for samples_seen in (16, 32, 48):
        change(state, samples_seen)
        path = checkpoints.save(state)
    assert path.name == "000000000048"
    assert sorted(p.name[-2:] for p in checkpoints.folder.iterdir()) == ["32", "48"]
    change(state, 0)
    checkpoints.restore(state)
    assert state.progress.samples_seen == 48


def test_between_ticks_only_the_newest_is_kept(state, checkpoints):
    for samples_seen, tick in ((16, True), (32, True), (33, False), (34, False)):
        change(state, samples_seen, tick=tick)
        checkpoints.save(state)
    assert sorted(p.name[-2:] for p in checkpoints.folder.iterdir()) == ["16", "32", "34"]
    checkpoints.restore(state)
    assert state.progress.samples_seen == 34
    for ticks_back, found in ((1, 32), (2, 16), (3, 16)):
        checkpoints.restore(state, ticks_back=ticks_back)
        assert state.progress.samples_seen == found
    checkpoints.restore(state, ticks_back=1)
    change(state, 48)
    checkpoints.save(state)
    assert sorted(p.name[-2:] for p in checkpoints.folder.iterdir()) == ["32", "48"]


@pytest.mark.parametrize("damage", ["cut", "flip", "no index", "no tensors", "no json", "schema"])
def test_a_damaged_one_is_passed_over(damage, state, checkpoints):
    for samples_seen in (16, 32):
        change(state, samples_seen)
        newest = checkpoints.save(state)
    tensors, index = newest / checkpoint.TENSORS, newest / checkpoint.INDEX
    data = tensors.read_bytes()
    acts = {
        "cut": lambda: tensors.write_bytes(data[: len(data) // 2]),
        "flip": lambda: tensors.write_bytes(data[:-1] + bytes([data[-1] ^ 1])),
        "no index": index.unlink,
        "no tensors": tensors.unlink,
        "no json": lambda: index.write_text("{"),
        "schema": lambda: index.write_text('{"schema": "other/1"}'),
    }
    acts[damage]()
    assert checkpoints.restore(state)
    assert state.progress.samples_seen == 16


def test_nothing_to_read(state, checkpoints):
    assert not checkpoints.restore(state)
    (checkpoints.folder / ".staging-1").mkdir(parents=True)
    assert not checkpoints.restore(state)
    checkpoints.save(state)
    assert not (checkpoints.folder / ".staging-1").exists()


def test_saving_twice_at_one_moment(state, checkpoints):
    for text in ("first", "second"):
        state.progress.note("test", text)
        checkpoints.save(state)
    checkpoints.restore(state)
    assert [event.text for event in state.progress.events] == ["first", "second"]


def test_another_configuration_is_refused(state, checkpoints, tiny):
    checkpoints.save(state)
    other = Checkpoints(
        folder=checkpoints.folder, config=tiny.model_copy(update={"learning_rate": 1.0})
    )
    with pytest.raises(ConfigError, match="another configuration"):
        other.restore(state)
