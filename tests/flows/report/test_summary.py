"""The four answers that a report begins with."""

from dataclasses import replace

import pytest

from flows.report import render
from flows.report.lift import lift_view
from flows.report.markdown import summary_markdown
from flows.report.summary import EXPOSURE, PURPOSE, USE, answers
from flows.report.verdict import verdict_view
from gan.report import Reason

COPIES = Reason(
    metric="copies",
    scope="random",
    outcome="pass",
    text="copies (random) is 0.05: within the pass bound",
    aspect="privacy",
    title="copies of training images",
)
FD = Reason(
    metric="fd",
    scope="random",
    outcome="warn",
    text="fd (random) is 12: the value is not at most 10",
    aspect="fidelity",
    title="distance of features",
)
GAP = replace(
    FD, metric="tstr_gap", title="loss of accuracy", aspect="usefulness", outcome="unknown"
)


def answered(report):
    found = answers(verdict_view(report), lift_view(report.lift))
    return {one.question: one for one in found}


def test_a_report_that_passes_says_yes(make_report):
    found = answered(make_report(verdict="pass", reasons=[COPIES, replace(FD, outcome="pass")]))
    assert (found[USE].word, found[USE].outcome) == ("Yes", "pass")
    assert found[USE].text.startswith("All 2 rules of the gate are met")
    assert found[PURPOSE].text.startswith("Like real records: 1 of 1 rules met; models")
    assert "not measured" in found[PURPOSE].text
    assert found[EXPOSURE].outcome == "pass"
    assert "Copies of training images" in found[EXPOSURE].text


def test_counts_of_rules_are_those_of_the_tables_below(make_report):
    whole = replace(FD, metric="validity", aspect="validity", outcome="pass")
    text = answered(make_report(reasons=[FD, whole, whole]))[PURPOSE].text
    assert text.startswith("Like real records: 0 of 1 rules met; valid records: 2 of 2 rules met")


@pytest.mark.parametrize(("verdict", "word"), [("warn", "With care"), ("block", "No")])
def test_what_is_not_met_is_named_in_the_words_of_a_reader(make_report, verdict, word):
    outcome = "block" if verdict == "block" else "warn"
    reasons = [replace(FD, outcome=outcome), GAP, COPIES]
    found = answered(make_report(verdict=verdict, reasons=reasons))
    assert found[USE].word == word
    assert "distance of features" in found[USE].text
    assert "0 of 1 rules met; models that learn from them: 0 of 1" in found[PURPOSE].text
    assert found[PURPOSE].outcome == ("block" if verdict == "block" else "unknown")


def test_an_alarm_of_privacy_is_a_headline(make_report):
    member = replace(
        COPIES,
        metric="membership",
        scope="all",
        outcome="alarm",
        title="membership in training",
        text="membership (all) is 1 [0.99, 1]: whoever has the generator can tell",
    )
    report = make_report(verdict="pass", reasons=[COPIES, member])
    found = answered(report)[EXPOSURE]
    assert (found.word, found.outcome) == ("Look here", "alarm")
    assert found.text.startswith("Membership in training is 1 [0.99, 1]: whoever")
    page = render(report)
    assert page.index("Membership in training is 1") < page.index('id="verdict"')


def test_a_report_without_a_word_on_privacy_does_not_say_that_nobody_is_exposed(make_report):
    found = answered(make_report(verdict="pass", reasons=[FD]))[EXPOSURE]
    assert (found.word, found.outcome) == ("Nobody knows", "unknown")


def test_the_artifact_of_the_ui_begins_with_the_same_answers(make_report):
    report = make_report(verdict="pass", reasons=[COPIES])
    text = summary_markdown(answers(verdict_view(report), lift_view(report.lift)))
    for one in answered(report).values():
        assert one.question in text
        assert one.word in text
