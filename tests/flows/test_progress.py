"""Progress: bars in a terminal, lines elsewhere, never on standard output."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from flows.progress import (
    BarReporter,
    LineMeter,
    LineReporter,
    Pace,
    SilentReporter,
    make_reporter,
    shards_words,
)
from flows.train_view import Shown, say_trained
from gan.protocols import Beat
from gan.report import Event


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


@pytest.mark.parametrize(("terminal", "kind"), [(True, BarReporter), (False, LineReporter)])
def test_the_console_decides(terminal, kind):
    assert isinstance(make_reporter(console(terminal=terminal)), kind)


def test_the_silent_reporter_writes_nothing(capsys):
    reporter = SilentReporter()
    reporter.say("hello")
    with reporter.meter("a", "b") as meter:
        meter.update(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("terminal", [True, False])
def test_brackets_in_a_sentence_are_shown_as_they_are(terminal):
    shown = console(terminal=terminal)
    make_reporter(shown).say("[0.1, 0.2] [bold]")
    assert "[0.1, 0.2] [bold]" in shown.file.getvalue()


def test_lines_tell_rate_and_time_left():
    shown = console(terminal=False)
    with LineReporter(shown, interval_s=0).meter("Work", "samples", 100) as meter:
        meter.update(0)
        meter.update(50, note="half")
        meter.update(100)
    text = shown.file.getvalue()
    assert "Work: 0 samples\n" in text
    assert "50 of 100 samples, " in text
    assert " samples/s, " in text
    assert " s left, half\n" in text
    assert text.splitlines()[-1].startswith("Work: 100 samples in ")


def test_lines_without_a_total_tell_the_rate():
    shown = console(terminal=False)
    with LineReporter(shown, interval_s=0).meter("Work", "files") as meter:
        meter.update(0)
        meter.update(5)
    assert "Work: 5 files, " in shown.file.getvalue()


def test_few_lines_are_written():
    shown = console(terminal=False)
    with LineReporter(shown, interval_s=60).meter("Work", "samples", 1000) as meter:
        for done in range(1000):
            meter.update(done)
    assert len(shown.file.getvalue().splitlines()) == 2


def test_a_bar_leaves_one_line():
    shown = console(terminal=True)
    with BarReporter(shown).meter("Work", "samples", 10) as meter:
        meter.update(10, total=10, note="done")
    assert "Work" in shown.file.getvalue().splitlines()[-1]
    assert "10 samples" in shown.file.getvalue().splitlines()[-1]


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_passes_and_claims_no_success(terminal):
    shown = console(terminal=terminal)
    with pytest.raises(ZeroDivisionError), make_reporter(shown).meter("Work", "samples"):
        raise ZeroDivisionError
    assert "✓" not in shown.file.getvalue()
    assert " in " not in shown.file.getvalue()


class Hand:
    """A clock that a test turns."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def work(pace, hand, steps, each_s, each, done=0):
    for _ in range(steps):
        hand.now_s += each_s
        done += each
        pace.mark(done)
    return done


def test_the_rate_counts_neither_what_was_there_nor_the_time_before():
    hand = Hand()
    pace = Pace(clock=hand)
    hand.now_s += 30
    pace.mark(400)
    assert pace.rate is None
    assert pace.left_s(1000) is None
    work(pace, hand, 1, 10, 100, done=400)
    assert pace.rate == 10
    assert pace.left_s(1000) == 50
    hand.now_s += 20
    assert pace.left_s(1000) == 30


def test_a_slow_start_is_forgotten_and_pauses_that_come_again_are_not():
    hand = Hand()
    pace = Pace(clock=hand)
    pace.mark(0)
    done = work(pace, hand, 10, 10, 1)
    for _ in range(30):
        done = work(pace, hand, 9, 1, 100, done)
        hand.now_s += 9
    assert pace.rate == pytest.approx(900 / 18, rel=0.1)
    assert pace.left_s(done + 9000) == pytest.approx(180, rel=0.1)
    assert len(pace.marks) < 200


def test_a_machine_that_slows_down_is_noticed():
    hand = Hand()
    pace = Pace(clock=hand)
    pace.mark(0)
    done = work(pace, hand, 100, 1, 100)
    done = work(pace, hand, 300, 1, 10, done)
    assert pace.rate == 10


@pytest.mark.parametrize("total", [None, 10_000, 150])
def test_a_budget_of_time_bounds_what_is_left(total):
    hand = Hand()
    pace = Pace(clock=hand)
    pace.mark(0, left_s=100)
    hand.now_s += 10
    pace.mark(100, left_s=90)
    assert pace.left_s(total) == (5 if total == 150 else 90)
    hand.now_s += 30
    assert pace.left_s(total) == (0 if total == 150 else 60)


def test_a_resumed_stage_tells_its_own_rate():
    hand, said = Hand(), []
    pace = Pace(clock=hand)
    meter = LineMeter(
        say=said.append, interval_s=10, title="Training", unit="samples", total=600_000, pace=pace
    )
    hand.now_s += 5
    meter.update(300_000)
    for step in range(1, 31):
        hand.now_s += 1
        meter.update(300_000 + 694 * step, note="coverage 0.9")
    meter.finish()
    assert said == [
        "Training: 303,470 of 600,000 samples, 694 samples/s, 427 s left, coverage 0.9",
        "Training: 310,410 of 600,000 samples, 694 samples/s, 417 s left, coverage 0.9",
        "Training: 317,350 of 600,000 samples, 694 samples/s, 407 s left, coverage 0.9",
        "Training: 320,820 samples in 35.0 s",
    ]


def test_a_bar_tells_the_same():
    hand, shown = Hand(), console(terminal=True)
    with BarReporter(shown, clock=hand).meter("Work", "samples", 1000) as meter:
        meter.update(0)
        hand.now_s += 10
        meter.update(100)
        rate, left = (column.render(meter.progress.tasks[0]) for column in columns(meter))
        assert (str(rate), str(left)) == ("10 samples/s", "0:01:30")
        meter.update(100, left_s=15)
        assert str(columns(meter)[1].render(meter.progress.tasks[0])) == "0:00:15"


def columns(meter):
    own = [column for column in meter.progress.columns if type(column).__name__.startswith("_")]
    assert len(own) == 2
    return own


def test_a_training_tells_its_metric_its_time_and_a_busy_machine():
    hand, said = Hand(), []
    pace = Pace(clock=hand)
    meter = LineMeter(
        say=said.append, interval_s=1, title="Training", unit="samples", total=None, pace=pace
    )
    shown = Shown(meter)
    meter.update(0)
    hand.now_s += 10
    shown.on_tick(SimpleNamespace(metrics={"coverage_ratio": 0.5}))
    shown.on_progress(Beat(samples_seen=100, left_s=50.0, busy="0.12 of 1 core"))
    expected = "100 samples, 10 samples/s, 50 s left, coverage 0.50 of real, 0.12 of 1 core"
    assert said == [f"Training: {expected}"]


def test_what_a_training_had_of_the_processor_is_said():
    said = []
    job = SimpleNamespace(reporter=SimpleNamespace(say=said.append))
    result = SimpleNamespace(
        device="cpu",
        samples_seen=4000,
        cpu_s=7.4,
        seconds=60.2,
        threads=1,
        ranks=1,
        events=(Event(kind="machine", samples_seen=4000, text="the machine was busy"),),
    )
    say_trained(job, result)
    assert said == [
        "Trained on cpu: 4,000 samples, 7 CPU s in 60 s with 1 thread",
        "Note: the machine was busy",
    ]


@pytest.mark.parametrize(
    ("shards", "said"), [(1, "1 shard"), (2, "2 shards"), (1200, "1,200 shards")]
)
def test_shards_are_counted_in_words(shards, said):
    assert shards_words(shards) == said
