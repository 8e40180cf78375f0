"""What TensorBoard reads: whole records, every tick once, pictures, nothing of a lost future."""

import io
import itertools
import json
import struct

import numpy as np
import pytest
from PIL import Image
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from gan.errors import ConfigError, Interrupted
from gan.modalities import load_modality
from gan.protocols import Hooks
from gan.training import event_file
from gan.training.event_file import EventFile, check_writer
from gan.training.loop import train


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(folder):
    """Return the events of the one file in a folder, every checksum checked (TFRecord)."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(body)
        found.append(Event.FromString(body))
        data = data[16 + length :]
    return found


def run(config, codec, digits, folder, steps=10**9):
    events, asked = EventFile(folder, load_modality("images").draw_frame), itertools.count(1)
    hooks = Hooks(
        on_tick=events.on_tick, on_frame=events.on_frame, should_stop=lambda: next(asked) > steps
    )
    try:
        return train(config, codec, digits, folder, hooks=hooks, device="cpu")
    finally:
        events.close()


def test_a_training_that_was_interrupted_is_shown_whole(tiny, codec, digits, tmp_path):
    with pytest.raises(Interrupted):
        run(tiny, codec, digits, tmp_path, steps=25)
    result = run(tiny, codec, digits, tmp_path)
    head, *events = records(tmp_path / "tensorboard")
    assert head.file_version == "brain.Event:2"
    values = [(event.step, value) for event in events for value in event.summary.value]
    losses = {
        step: value.simple_value for step, value in values if value.tag == "training/generator_loss"
    }
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    told = {x["samples_seen"]: x["generator_loss"] for x in lines if "generator_loss" in x}
    assert losses == pytest.approx(told)
    assert len(values) == len({(step, value.tag) for step, value in values})
    assert {"speed/samples_per_s", "training/gradient_penalty"} <= {v.tag for _, v in values}
    frames = {step: value.image for step, value in values if value.tag == "strip"}
    assert list(frames) == [frame.samples_seen for frame in result.strip.frames]
    shown = np.asarray(Image.open(io.BytesIO(frames[640].encoded_image_string)))
    np.testing.assert_array_equal(shown[:32:4, :32:4], result.strip.frames[-1].values[0, ..., 0])


def test_a_finished_training_is_shown_too(tiny, codec, digits, tmp_path):
    train(tiny, codec, digits, tmp_path, device="cpu")
    run(tiny, codec, digits, tmp_path)
    steps = {event.step for event in records(tmp_path / "tensorboard")}
    assert steps == {0, 160, 320, 480, 640}


def test_without_the_library_one_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(event_file, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'ganmill\[tensorboard\]'") as caught:
        check_writer()
    assert "training.tensorboard is true" in str(caught.value)
    with pytest.raises(ConfigError):
        EventFile(tmp_path, lambda _: b"")
