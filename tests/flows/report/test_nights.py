"""The panel over nights: what the last versions of a data set measured, from their reports."""

import json
from dataclasses import replace

from flows.report import render
from flows.report.lake import LakeRow, render_lake
from flows.report.nights import ID, Night, nights_figures
from gan.lift.result import Effect, Estimate, Lift
from gan.report import Ceiling, Metric

LIFT = Lift(
    answer="helps",
    text="It helps.",
    task="class of label",
    effect=Effect(
        arm="real + fill",
        model="linear",
        metric="accuracy",
        baseline=0.8,
        value=0.84,
        effect=Estimate(0.04, 0.01, 0.07),
        detectable=0.02,
    ),
    remedy=None,
)


def night(make_report, day, coverage, *, generator="20260101T020000Z-aaaaaaaa", **more):
    metric = Metric(
        name="coverage",
        scope="classifier",
        value=coverage,
        low=coverage,
        high=coverage,
        n=100,
        ceiling=Ceiling(value=0.96, low=0.95, high=0.97),
        direction="higher",
    )
    report = make_report(
        metrics=(metric,), generator=generator, created=f"2026-01-{day:02}T03:00:00+00:00", **more
    )
    return Night(version=f"202601{day:02}T030000Z-aaaaaaaa", report=report)


def test_each_night_is_a_point_and_another_generator_a_mark(make_report):
    nights = [
        night(make_report, 1, 0.72),
        night(make_report, 2, 0.84, lift=LIFT),
        night(make_report, 3, 0.96, generator="20260103T020000Z-bbbbbbbb", verdict="block"),
    ]
    found = {figure.id: figure for figure in nights_figures(nights)}
    (line,) = found[ID].data["series"]
    assert line["name"] == "coverage, classifier"
    assert [round(value, 3) for value in line["y"]] == [0.75, 0.875, 1.0]
    (mark,) = found[ID].data["marks"]
    assert (mark["x"], mark["text"]) == (2.0, "3 Jan: generator 20260103T020000Z-bbbbbbbb")
    assert [tick["text"] for tick in found[ID].data["ticks"]] == ["1 Jan", "2 Jan", "3 Jan"]
    assert [one["y"] for one in found["nights-lift"].data["series"]] == [
        [None, 0.04, None],
        [None, 0.01, None],
        [None, 0.07, None],
    ]
    newest, middle, _ = found["nights-table"].data["rows"]
    assert newest[:3] == ["20260103T030000Z-aaaaaaaa", "20260103T020000Z-bbbbbbbb", "block"]
    assert middle[-1] == "helps: +0.040 (0.010 to 0.070)"


def test_a_single_night_has_no_panel(make_report):
    assert nights_figures([night(make_report, 1, 0.9)]) == ()


def test_the_page_shows_the_panel_and_its_report_is_valid(make_report):
    nights = [night(make_report, day, 0.8 + day / 100) for day in range(1, 13)]
    report = nights[-1].report
    report = replace(report, figures=(*report.figures, *nights_figures(nights)))
    assert len(json.loads(report.to_json())["figures"]) == 7
    page = render(report)
    assert '<h2 id="nights">Nights</h2>' in page
    assert page.index('id="lift"') < page.index('id="nights"') < page.index('id="training"')
    assert page.count("2 Jan") >= 1


def test_the_card_of_a_data_set_draws_its_nights():
    row = LakeRow(
        name="shops",
        version="20260103T030000Z-aaaaaaaa",
        created="2026-01-03T03:00:00+00:00",
        modality="tables",
        rows=10,
        total_bytes=10,
        verdict="pass",
        overridden=False,
        helps="",
        report="report.html",
        preview=None,
        trend=(0.75, 0.875, 1.0),
        trend_name="coverage",
    )
    page = render_lake([row])
    assert "coverage ÷ ceiling over 3 versions: 0.750 to 1.00" in page
    assert 'points="0,1000 500,500 1000,0"' in page
    assert "<polyline" not in render_lake([replace(row, trend=(1.0,))])


def test_versions_of_one_day_have_the_time_and_fewer_ticks(make_report):
    nights = [
        replace(one, report=replace(one.report, created=f"2026-01-01T0{hour}:30:00+00:00"))
        for hour, one in enumerate(night(make_report, 1, 0.8) for _ in range(6))
    ]
    (quality, *_) = nights_figures(nights)
    ticks = [tick["text"] for tick in quality.data["ticks"]]
    assert ticks == ["1 Jan 01:30", "1 Jan 03:30", "1 Jan 05:30"]


def test_where_lift_changes_is_said_with_its_metric(make_report):
    nights = [night(make_report, day, 0.8, lift=LIFT) for day in (1, 2)]
    lift = next(one for one in nights_figures(nights) if one.id == "nights-lift")
    assert lift.data["y_label"] == "change of accuracy"
    assert lift.data["marks"] == []
    page = render(replace(nights[0].report, figures=nights_figures(nights)))
    assert " at 1</small>" not in page
