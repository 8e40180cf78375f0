"""What a reader sees of lift: the answer, its interval, and what can be had for nothing first."""

import re
from dataclasses import replace

import pytest
from rich.console import Console

from flows.cli.jobs import show_lift
from flows.cli.lift import show_whole_lift
from flows.cli.output import Output
from flows.report.comparison import compare_reports, render_comparison
from flows.report.lift import lift_view
from flows.report.lift_panel import lift_panel
from flows.report.markdown import lift_markdown, whole_lift_markdown
from flows.report.page import render
from gan.lift.result import ArmResult, Effect, Estimate, GroupLift, Lift, lift_record

NASTY = "<b>a|b</b>"


def arm(name: str, kind: str, value: float, *, confirmed: bool = False) -> ArmResult:
    scores = {"average_precision": Estimate(value, value - 0.02, value + 0.02)}
    return ArmResult(
        name=name,
        kind=kind,
        model="trees",
        real_rows=1000,
        synthetic_rows=0 if kind != "synthetic" else 500,
        validation=scores,
        holdout=scores if confirmed else {},
    )


def effect(name: str, change: float) -> Effect:
    return Effect(
        arm=name,
        model="trees",
        metric="average_precision",
        baseline=0.61,
        value=0.61 + change,
        effect=Estimate(change, change - 0.012, change + 0.012),
        detectable=0.017,
    )


def measured(remedy: float | None = 0.032, change: float = 0.004, **fields) -> Lift:
    found = {
        "answer": "no measurable effect",
        "text": f"Oversampling adds .032 and costs nothing; synthetic rows of {NASTY} add .004.",
        "task": f"class of {NASTY}",
        "effect": effect("real + fill", change),
        "remedy": None if remedy is None else effect("oversampling", remedy),
        "per_class": ((NASTY, 0.21, 0.4),),
        "arms": (
            arm("real", "baseline", 0.61, confirmed=True),
            arm("real + fill", "synthetic", 0.614, confirmed=True),
            arm("oversampling", "free", 0.642, confirmed=True),
            arm("synthetic only", "synthetic", 0.4),
        ),
        "seeds": 5,
        "cpu_s": 83.26,
        "notes": ("Every fit takes 200 trees.",),
    }
    return Lift(**found | fields)


def test_what_needs_no_generator_stands_first_where_it_wins_and_only_there():
    def order(lift):
        return [row.arm for row in lift_view(lift).effects]

    assert order(measured()) == ["oversampling", "real + fill"]
    assert order(measured(remedy=0.001, change=0.03)) == ["real + fill", "oversampling"]
    assert order(measured(remedy=-0.01, change=-0.03)) == ["real + fill", "oversampling"]
    assert order(measured(remedy=None)) == ["real + fill"]


def test_the_view_holds_effect_interval_price_and_every_arm():
    view = lift_view(measured())
    assert (view.word, view.outcome) == ("no measurable effect", "reported")
    best = view.effects[0].cells
    assert best == ("oversampling", "no generator", "+0.032", "0.020 to 0.044", "0.642", "0.610")
    assert "average precision of trees on the holdout" in view.subject
    assert view.price == (
        "5 trainings of every arm; an effect of 0.017 would have been seen; "
        "measuring it took 83.3 CPU-s"
    )
    assert [row[0] for row in view.arms] == [one.name for one in measured().arms]
    assert view.arms[3][-1] == "—", "it was not confirmed on the holdout"
    assert view.metric_columns[1:] == ("real", "real + fill", "oversampling")


def test_groups_are_one_sentence_and_a_table_for_each_column(make_report):
    groups = (
        GroupLift(column="sex", group="f", rows=90, answer="hurts", effect=effect("fill", -0.1)),
        GroupLift(column="sex", group="m", rows=80, answer="helps", effect=effect("fill", 0.1)),
        GroupLift(column="town", group=NASTY, rows=8, why="two classes need 10 records each"),
    )
    view = lift_view(measured(groups=groups))
    assert view.group_text.startswith("Of 3 groups it hurts in sex f and helps in sex m. ")
    assert view.groups["sex"][0][:5] == ("f", "90", "hurts", "-0.100", "-0.112 to -0.088")
    said = ("cannot be known: two classes need 10 records each", *["—"] * 4)
    assert view.groups["town"] == ((NASTY, "8", *said),)
    page, text = render(make_report(lift=measured(groups=groups))), whole_lift_markdown(view)
    for shown in (page, text):
        assert "hurts in sex f and helps in sex m" in shown
        assert NASTY not in shown
    assert "Change in each group of town" in page
    assert "groups" not in lift_panel(lift_view(measured()))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("helps", "pass"), ("hurts", "block"), ("cannot be known", "unknown")],
)
def test_every_answer_has_its_mark_in_the_page(make_report, answer, outcome):
    lift = measured(answer=answer)
    assert lift_view(lift).outcome == outcome
    panel = lift_panel(lift_view(lift))
    assert f'class="verdict is-{outcome}"' in panel
    assert panel in render(make_report(lift=lift))


def test_the_panel_shows_everything_as_text(make_report):
    page = render(make_report(lift=measured()))
    for text in ("Does it help?", "no measurable effect", "&lt;b&gt;a|b&lt;/b&gt;", "83.3 CPU-s"):
        assert text in page
    assert NASTY not in page
    assert page.index("Does it help?") < page.index('id="samples"')
    assert '<a href="#lift">Does it help?</a>' in page
    panel = lift_panel(lift_view(measured()))
    assert panel.index("oversampling (no generator)") < panel.index("real + fill (synthetic)")
    for text in ("Every fit takes 200 trees.", "Recall of each class", "All 4 arms"):
        assert text in panel


def test_a_comparison_has_the_arms_of_both_and_no_text_that_is_cut(make_report):
    long = make_report(lift=measured(text="It helps. " * 30))
    page = render_comparison(("one", "other"), compare_reports(long, make_report()))
    panel = page[page.index("<h2>Does it help?") :]
    assert "…" not in panel
    first, second, other = re.findall(r"<tr>(.*?)</tr>", panel[panel.index("<tbody>") :])
    assert "oversampling" in first
    assert "0.020 to 0.044" in first
    assert "real + fill" in second
    assert "not measured" in other


def test_without_a_measurement_the_page_says_that_nobody_knows(make_report):
    for said in (lift_panel(lift_view(None)), render(make_report())):
        assert "Nobody knows: it was not measured." in said
    assert lift_markdown(lift_view(None)) == "Nobody knows: it was not measured."
    assert lift_record(None) == {"answer": "not measured"}


def test_an_answer_without_any_number_is_shown(make_report):
    text = "Whether synthetic data helps cannot be known: one class alone"
    lift = Lift(answer="cannot be known", text=text, task="", effect=None, remedy=None)
    assert text in render(make_report(lift=lift))
    assert lift_markdown(lift_view(lift)) == f"**CANNOT BE KNOWN** {text}"
    assert whole_lift_markdown(lift_view(lift)) == lift_markdown(lift_view(lift))


def test_the_artifact_says_it_in_a_table(make_report):
    text = whole_lift_markdown(lift_view(measured()))
    assert text.startswith("**NO MEASURABLE EFFECT** Oversampling adds")
    assert NASTY not in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[1].startswith("| oversampling | no generator | ")
    assert "- Every fit takes 200 trees." in text


def test_the_terminal_says_it_in_words(capsys):
    output = Output(Console(width=200))
    show_lift(lift_view(measured()), output)
    show_whole_lift(lift_view(measured()), output)
    printed = capsys.readouterr().out
    assert printed.startswith("Does it help?  NO MEASURABLE EFFECT\n")
    assert printed.index("oversampling") < printed.index("real + fill")
    assert "synthetic only" in printed
    assert "Note      Every fit takes 200 trees." in printed


def test_the_record_of_a_manifest_holds_both_effects():
    record = lift_record(measured())
    assert record["effect"]["change"] == 0.004
    assert record["remedy"]["arm"] == "oversampling"
    assert record["free_wins"] is True
    assert lift_record(replace(measured(), remedy=None))["remedy"] is None
