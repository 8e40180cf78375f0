"""What is said of a verdict, and that every renderer says it."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from flows.cli.jobs import show_verdict
from flows.cli.output import Output
from flows.job import Assessed
from flows.report import render
from flows.report.markdown import verdict_line, verdict_markdown
from flows.report.verdict import OUTCOMES, VERDICTS, verdict_view
from gan.bounds import Bounds
from gan.report import Ceiling, Metric, Reason

MIXED = [
    Reason(metric=name, scope="all", outcome=outcome, text=f"{name} is as it is")
    for name, outcome in (("a", "pass"), ("b", "warn"), ("c", "unknown"), ("d", "block"))
]


def metric(scope: str = "all", value: float = 0.6, **changes) -> Metric:
    ceiling = Ceiling(value=0.9, low=0.8, high=1.0)
    fields = {"name": "row_coverage", "low": 0.5, "high": 0.7, "n": 1000, "ceiling": ceiling}
    return Metric(scope=scope, value=value, **fields | changes)


def terminal(report) -> str:
    shown = Output(Console(file=io.StringIO(), width=200))
    show_verdict(report, shown, headline="digits")
    return shown.console.file.getvalue()


class TestReasons:
    def test_stand_worst_first(self, make_report):
        view = verdict_view(make_report(reasons=MIXED))
        assert [reason.metric for reason in view.reasons] == ["d", "c", "b", "a"]
        assert [reason.metric for reason in view.deciding] == ["d", "c", "b"]
        assert [reason.metric for reason in view.passing] == ["a"]

    def test_name_their_metric_once(self, make_report):
        bare = Reason(metric="row_coverage", scope="all", outcome="warn", text="is low")
        named = Reason(metric="row_coverage", scope="all", outcome="warn", text="row coverage low")
        view = verdict_view(make_report(reasons=[bare, named]))
        assert [reason.text for reason in view.reasons] == [
            "row coverage (all): is low",
            "row coverage low",
        ]


class TestMetrics:
    def test_are_text_beside_the_champion_s_and_the_bounds(self, make_report):
        mine, theirs = make_report(metrics=[metric()]), make_report(metrics=[metric(value=0.5)])
        bounds = Bounds(pass_low=0.8, block_high=2.0)
        (row,) = verdict_view(mine, champion=theirs, bounds_of=lambda _: bounds).overall
        assert (row.name, row.value, row.interval) == ("row coverage", "0.600", "0.500 to 0.700")
        assert (row.ceiling, row.ceiling_interval, row.ratio) == ("0.900", "0.80 to 1.00", "0.667")
        assert (row.champion, row.passes, row.blocks) == ("0.500", "≥ 0.800", "> 2.00")
        assert row.used == pytest.approx(0.8 / 0.6)

    def test_without_bounds_or_ceiling_say_nothing_of_them(self, make_report):
        (row,) = verdict_view(make_report(metrics=[metric(ceiling=None)], reasons=[])).overall
        assert (row.ceiling, row.ratio, row.champion, row.passes, row.mark) == ("",) * 5
        assert row.used is row.outcome is None

    def test_of_classes_are_parts(self, make_report):
        view = verdict_view(make_report(metrics=[metric(), metric("all/7")]))
        assert [row.part for row in view.of_parts] == ["7"]
        assert [row.scope for row in view.overall] == ["all"]
        assert view.part == "class"


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_renderer_shows_the_same_words_marks_and_reasons(make_report, verdict):
    report = make_report(verdict=verdict, reasons=MIXED)
    view = verdict_view(report)
    page, shown = render(report), terminal(report)
    assert re.search(f">{view.word}</h2>", page)
    assert verdict_line(report).startswith(f"**{view.word.upper()}** d is as it is")
    assert shown.startswith(f"{view.word.upper()}  digits\n")
    for reason in view.reasons:
        mark = OUTCOMES[reason.outcome][0]
        assert reason.text in page
        assert f">{mark}</span>" in page
        assert f"    {mark} {reason.text}\n" in shown
    assert all(row.value in page and row.value in shown for row in view.overall)


def test_a_block_says_what_to_do_next(make_report):
    assert "training.budget_samples" in render(make_report(verdict="block"))
    assert "training.budget_samples" not in render(make_report(verdict="warn"))


OPEN = [
    Reason(metric="a", scope="all", outcome="pass", text="a is as it is"),
    Reason(
        metric="calm", scope="all", outcome="reported", text="calm is 1: no rule", why="no rule"
    ),
    Reason(
        metric="row_coverage",
        scope="all",
        outcome="alarm",
        text="row_coverage is 1: copies; not judged: no rule",
        why="copies; not judged: no rule",
    ),
]
ROWS = {"judged": "The verdict speaks of 9 rows", "published_rows": ["Re-weighted since"]}


def test_what_no_rule_judges_stands_in_every_renderer_with_its_reason(make_report):
    report = make_report(verdict="pass", reasons=OPEN, metrics=[metric(ceiling=None)], facts=ROWS)
    view = verdict_view(report)
    assert [reason.metric for reason in view.alarms] == ["row_coverage"]
    assert [reason.metric for reason in view.reported] == ["calm"]
    assert not view.deciding
    assert view.headline.endswith("1 value that no rule judges stands out.")
    (row,) = view.overall
    assert (row.outcome, row.word, row.why) == ("alarm", "not judged", OPEN[2].why)
    judged = SimpleNamespace(version="v", report=report, judgement=SimpleNamespace(metrics=()))
    assessed = Assessed(standing=SimpleNamespace(champion=None), challenger=judged, champion=None)
    shown = (render(report), terminal(report), verdict_markdown(assessed, "report.html"))
    for text in shown:
        for wanted in ("copies; not judged: no rule", "calm", "no rule", *ROWS["published_rows"]):
            assert wanted in text
        assert "The verdict speaks of 9 rows" in text
        assert "not judged" in text.lower()


def test_a_metric_that_no_rule_judges_has_passed_nowhere(make_report):
    reasons = [Reason(metric="row_coverage", scope="b", outcome="reported", text="", why="w")]
    report = make_report(metrics=[metric("b"), metric("c")], reasons=reasons)
    rows = verdict_view(report).overall
    assert [(row.outcome, row.why) for row in rows] == [("reported", "w"), ("reported", "w")]


def test_what_privacy_takes_stands_in_every_renderer_beside_a_pass(make_report):
    loss = "fraud: it loses all variation"
    report = make_report(facts={"losses": [loss]})
    judged = SimpleNamespace(version="v", report=report, judgement=SimpleNamespace(metrics=()))
    assessed = Assessed(standing=SimpleNamespace(champion=None), challenger=judged, champion=None)
    for text in (render(report), terminal(report), verdict_markdown(assessed, "report.html")):
        assert loss in text
    many = verdict_view(make_report(facts={"losses": [f"c{n}: less" for n in range(7)]}))
    assert many.first_losses(3) == ("c0: less", "c1: less", "c2: less", "4 more in the report")
