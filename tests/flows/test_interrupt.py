"""Signals: asked where the work looks by itself, cut elsewhere, cut at the second."""

import os
import signal
import threading

import pytest

from flows.progress import SIGNALS, StopSignal


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def number(request):
    return request.param


def test_elsewhere_the_first_signal_cuts(number):
    stop = StopSignal()
    with pytest.raises(KeyboardInterrupt), stop.listening():
        os.kill(os.getpid(), number)
    assert stop()


def test_while_asking_the_first_signal_is_noted_and_the_second_cuts(number):
    stop = StopSignal()
    with stop.listening(), stop.asking():
        os.kill(os.getpid(), number)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_the_handlers_are_given_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopSignal().listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_another_thread_listens_to_nothing():
    stop, done = StopSignal(), []

    def work():
        with stop.listening():
            done.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [False]
