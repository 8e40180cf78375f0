"""The progress bar in the UI: few calls, 100 % at the end, and never in the way."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest

from flows.tracked import show as module
from flows.tracked.show import ProgressArtifact, following, progress_artifact


class Sent(list):
    """What was sent, and a way to wait for it."""

    def __init__(self) -> None:
        self.happened = threading.Condition()

    @contextmanager
    def line(self):
        yield self.send

    def send(self, percent, text):
        with self.happened:
            self.append((percent, text))
            self.happened.notify_all()

    def wait_for(self, count):
        with self.happened:
            assert self.happened.wait_for(lambda: len(self) >= count, timeout=30)


def test_it_moves_with_the_stage_and_ends_at_a_hundred():
    sent, meter = Sent(), ProgressArtifact(unit="samples", total=400)
    with following(meter, sent.line, interval_s=0.01):
        sent.wait_for(1)
        meter.update(100, note="coverage 0.7")
        sent.wait_for(2)
        meter.update(500)
    assert sent[0] == (0.0, "0 of 400 samples")
    assert sent[1] == (25.0, "100 of 400 samples, coverage 0.7")
    assert sent[-1] == (100.0, "500 of 400 samples")
    assert max(percent for percent, _ in sent[:-1]) < 100


def test_many_updates_are_two_calls():
    sent, meter = Sent(), ProgressArtifact(unit="samples", total=1000)
    with following(meter, sent.line, interval_s=60):
        sent.wait_for(1)
        for done in range(1000):
            meter.update(done)
    assert [percent for percent, _ in sent] == [0.0, 100.0]


def test_what_does_not_change_is_not_sent_again():
    sent, meter = Sent(), ProgressArtifact(unit="samples", total=10)
    with following(meter, sent.line, interval_s=0.001):
        sent.wait_for(1)
        threading.Event().wait(0.1)
    assert len(sent) == 2


def test_a_stage_that_fails_stays_where_it_was():
    sent, meter = Sent(), ProgressArtifact(unit="samples", total=10)
    meter.update(5)
    with pytest.raises(RuntimeError), following(meter, sent.line, interval_s=60):
        raise RuntimeError
    assert sent[-1] == (50.0, "5 of 10 samples")


class Client:
    """An API of which the first so many calls fail."""

    def __init__(self, faults: int) -> None:
        self.faults, self.created, self.updated = faults, [], []

    def __enter__(self):
        return self

    def __exit__(self, *details):
        return None

    def _fail(self):
        if self.faults:
            self.faults -= 1
            msg = "no route"
            raise httpx.ConnectError(msg)

    def create_artifact(self, artifact):
        self._fail()
        self.created.append(artifact)
        return SimpleNamespace(id=uuid4())

    def update_artifact(self, _, artifact):
        self._fail()
        self.updated.append(artifact)


@pytest.mark.parametrize("faults", [0, 1, 99])
def test_an_api_that_fails_harms_nothing(monkeypatch, faults):
    client = Client(faults)
    monkeypatch.setattr(module, "get_client", lambda *_, **__: client)
    with progress_artifact("digits-training", "Training", "samples", 100) as meter:
        meter.update(40)
    said = [*client.created, *client.updated]
    assert len(said) == max(2 - faults, 0)
    for each in said[-1:]:
        assert (each.data, each.description) == (100.0, "Training: 40 of 100 samples")
    assert all((one.key, one.type) == ("digits-training", "progress") for one in client.created)
