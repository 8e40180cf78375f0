"""What is shown where: artifacts by choice, lines in the log, and no harm when the API is away."""

import logging
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest

from flows.progress import SilentReporter
from flows.tracked import show
from flows.tracked.nightly import in_sequence
from flows.tracked.show import ProgressArtifact


@pytest.fixture
def shown(monkeypatch):
    """What the API was given, by key; a description that says `away` meets no API."""
    given = {}

    def create(text, key, description):
        if "away" in description:
            msg = "no route"
            raise httpx.ConnectError(msg)
        given[key] = text

    monkeypatch.setattr(show, "create_markdown_artifact", create)
    monkeypatch.setattr(show, "get_run_logger", lambda: logging.getLogger("run"))
    for part in ("verdict", "curves", "samples", "outcome"):
        monkeypatch.setattr(show, f"{part}_markdown", lambda *_, part=part: part)
    monkeypatch.setattr(show, "verdict_line", lambda report: report)
    monkeypatch.setattr(show, "outcome_line", lambda outcome: outcome)
    monkeypatch.setattr(show, "report_page", lambda *_: "lake/report.html")
    monkeypatch.setattr(show, "judged_link", lambda *_: None)
    monkeypatch.setattr(show, "outcome_link", lambda *_: None)
    for part in ("mark_run", "outcome_tags", "outcome_name"):
        monkeypatch.setattr(show.messages, part, lambda *_: None)
    monkeypatch.setattr(show.messages, "outcome_message", lambda *_: "how it ended")
    return given


def job(artifacts="full"):
    recipe = SimpleNamespace(gate=None, report=SimpleNamespace(artifacts=artifacts))
    return SimpleNamespace(name="digits", recipe=recipe)


def assessed(line="PASS"):
    return SimpleNamespace(challenger=SimpleNamespace(report=line))


def test_pictures_and_rows_are_shown_unless_the_recipe_wants_numbers(shown):
    show.show_verdict(job(), assessed())
    assert set(shown) == {"digits-verdict", "digits-curves", "digits-samples"}
    shown.clear()
    show.show_verdict(job("numbers"), assessed())
    assert set(shown) == {"digits-verdict", "digits-curves"}


def test_what_the_api_does_not_take_is_left_out_with_a_line_in_the_log(shown, caplog):
    show.show_verdict(job(), assessed("away"))
    assert show.show_end(job(), "away") == "how it ended"
    assert set(shown) == {"digits-curves", "digits-samples"}
    assert "The artifact digits-verdict is not shown: no route" in caplog.text


@pytest.fixture
def bars(monkeypatch):
    opened = {}

    @contextmanager
    def progress_artifact(key, title, unit, total):
        opened[key] = ProgressArtifact(unit=unit, total=total)
        yield opened[key]

    monkeypatch.setattr(show, "progress_artifact", progress_artifact)
    return opened


@pytest.mark.usefixtures("shown")
def test_a_stage_that_counts_samples_to_a_total_has_a_bar_and_every_stage_two_lines(bars, caplog):
    caplog.set_level(logging.INFO)
    reporter = show.LoggingReporter(SilentReporter(), "digits")
    with reporter.meter("Training", "samples", 100) as meter:
        for done in range(1, 101):
            meter.update(done, note="coverage 0.9")
    with reporter.meter("Publishing", "shards", 16), reporter.meter("Evaluating", "samples"):
        pass
    assert list(bars) == ["digits-training"]
    assert bars["digits-training"].text == "100 of 100 samples, coverage 0.9"
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "Training"
    assert lines[1].startswith("Training: 100 samples in ")
    assert len(lines) == 6


@pytest.mark.usefixtures("shown")
def test_the_log_gets_a_line_of_progress_when_it_is_time(bars, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(show, "LOG_INTERVAL_S", 0.0)
    with show.LoggingReporter(SilentReporter(), "digits").meter("Training", "samples", 9) as meter:
        meter.update(3, note="coverage 0.9")
    assert "Training: 3 samples, coverage 0.9" in caplog.text
    assert bars


def test_every_task_waits_for_the_one_before_and_is_not_looked_through():
    calls = []

    def task(result):
        def call(*given, wait_for):
            calls.append(([each.unwrap() for each in given], [one.unwrap() for one in wait_for]))
            return result

        return call

    runs = []
    first, nothing, last = (in_sequence(task(each), runs) for each in ("a", None, "c"))
    assert (first(), nothing("a"), last("a", "b")) == ("a", None, "c")
    assert calls == [([], []), (["a"], ["a"]), (["a", "b"], ["a"])]
