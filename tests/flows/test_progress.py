"""Progress: bars in a terminal, lines elsewhere, never on standard output."""

import io

import pytest
from rich.console import Console

from flows.progress import BarReporter, LineReporter, SilentReporter, make_reporter


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
