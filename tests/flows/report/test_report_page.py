"""The page as a whole: complete, self-contained, escaped, in the right order, readable."""

import dataclasses
import math
import re
from importlib.resources import files

import pytest
from walked_page import Page

from flows.report import render
from flows.report.page import render_internal
from flows.report.verdict import outcomes_of
from gan.report import Event, Figure, Metric, Reason, Report

HOSTILE = "<script>alert(1)</script>\"'&"


def test_page_is_complete_and_equal_for_equal_reports(make_report):
    text = render(make_report())
    page = Page(text)
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert text == render(Report.from_json(make_report().to_json()))
    order = ["verdict", "samples", "metrics", "privacy", "lift", "training", "data"]
    places = [text.index(f'id="{name}"') for name in order]
    assert places == sorted(places)
    assert [text.count(f'href="#{name}"') for name in order] == [2, 1, 2, 2, 2, 1, 1]
    assert places[-1] < text.index(">Events<") < text.index(">Provenance<")
    assert "20 November 2026, 02:03 UTC" in page.text
    assert "holdout 359 · train 1,078 · validation 360" in page.text


def test_title_is_the_name_or_what_is_asked_for(make_report):
    assert "<title>digits: warn</title>" in render(make_report())
    assert "<h1>Nightly digits</h1>" in render(make_report(), title="Nightly digits")


def test_page_loads_and_runs_nothing(make_report):
    text = render(make_report())
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "base", "form"} & {t for t, _ in page.tags}
    assert not re.search(r"https?:|@import|url\(|\son\w+=", text)
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    policies = [m["content"] for m in page.all("meta") if m.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def hostile(value):
    """Return the report with every text replaced by hostile text."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, dict):
        return {
            key: item if key in {"png", "columns"} and isinstance(item, str) else hostile(item)
            for key, item in value.items()
        } | {HOSTILE: HOSTILE}
    if isinstance(value, list | tuple):
        return [hostile(item) for item in value]
    return value


def test_hostile_text_is_shown_as_text_everywhere(make_report):
    report = make_report()
    keep = {"kind", "outcome", "direction", "verdict", "schema", "section"}

    def poison(item):
        changed = {
            field.name: hostile(getattr(item, field.name))
            for field in dataclasses.fields(item)
            if field.name not in keep and isinstance(getattr(item, field.name), str | dict)
        }
        return dataclasses.replace(item, **changed)

    extra = Figure(
        id="x",
        section=HOSTILE,
        caption=HOSTILE,
        alt=HOSTILE,
        kind="table",
        data={"columns": [HOSTILE], "rows": [[HOSTILE]]},
    )
    poisoned = dataclasses.replace(
        poison(report),
        metrics=[poison(item) for item in report.metrics],
        reasons=[poison(item) for item in report.reasons],
        events=[Event(kind=HOSTILE, samples_seen=1, text=HOSTILE)],
        figures=[*(poison(item) for item in report.figures), extra],
        notes=[HOSTILE],
    )
    text = render(poisoned, title=HOSTILE)
    page = Page(text)
    assert "<script" not in text
    assert HOSTILE in page.text
    names = {name for _, attrs in page.tags for name in attrs}
    assert not {name for name in names if name.startswith("on")}


def test_report_without_anything_still_says_its_verdict(make_report):
    bare = make_report(metrics=(), reasons=(), events=(), figures=(), notes=(), facts={})
    page = Page(render(dataclasses.replace(bare, verdict="block")))
    assert "Block" in page.texts
    headings = re.findall(r"<h2[^>]*>([A-Z]\w+)</h2>", render(bare))
    assert headings == ["Privacy", "Provenance"]


@pytest.mark.parametrize(
    ("verdict", "word"), [("pass", "Pass"), ("warn", "Warn"), ("block", "Block")]
)
def test_verdict_is_a_word_and_not_only_a_colour(make_report, verdict, word):
    page = Page(render(make_report(verdict=verdict)))
    assert word in page.texts


def test_reasons_that_decide_stand_before_those_that_pass(make_report):
    reasons = [
        Reason(metric=name, scope="all", outcome=outcome, text=f"{name} text")
        for name, outcome in (("a", "pass"), ("b", "warn"), ("c", "unknown"), ("d", "block"))
    ]
    text = Page(render(make_report(reasons=reasons, metrics=()))).text
    places = [text.index(f"{name} text") for name in "dcba"]
    assert places == sorted(places)
    assert "1 rule passed" in text


def test_unknown_sections_follow_under_their_own_name(make_report):
    lift = Figure(
        id="lift",
        section="does_it_help",
        caption="Five paired seeds.",
        alt="Lift by arm",
        kind="table",
        data={"columns": ["arm", "lift"], "rows": [["real", None], ["both", 1.5]]},
    )
    text = render(make_report(figures=[lift]))
    assert '<h2 id="more-0">Does it help</h2>' in text
    assert text.index("Does it help") < text.index("Provenance")


def test_every_picture_has_an_alternative_and_every_table_headers(make_report):
    page = Page(render(make_report()))
    assert all(image["alt"] for image in page.all("img"))
    charts = [attrs for tag, attrs in page.tags if attrs.get("class") in {"chart", "bars"}]
    assert len(charts) == 3
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert {head.get("scope") for head in page.all("th")} == {"col", "row"}


def test_metrics_of_classes_are_folded_and_carry_their_outcome(make_report):
    reasons = [Reason(metric="coverage", scope="classifier/3", outcome="block", text="low")]
    text = render(make_report(reasons=reasons))
    assert "Per class: 10 more metrics" in text
    row = re.search(r'<td data-label="On">classifier/3</td>.*?</tr>', text).group()
    assert "is-block" in row


def test_metrics_that_the_gate_judges_and_does_not_name_have_passed(make_report):
    outcomes = outcomes_of(make_report())
    assert outcomes["fd", "random"] == "warn"
    assert outcomes["fd", "classifier"] == "pass"
    assert outcomes["coverage", "classifier/3"] == "pass"
    assert ("density", "random") not in outcomes
    assert ("label_accuracy", "all") not in outcomes


def test_reasons_name_their_metric_once(make_report):
    reasons = [
        Reason(metric="coverage", scope="all", outcome="block", text="coverage is low"),
        Reason(metric="finite", scope="all", outcome="block", text="3 values are not numbers"),
    ]
    text = render(make_report(reasons=reasons, metrics=(), figures=()))
    assert "<b>Blocks </b>coverage is low" in text
    assert "<b>Blocks </b>finite (all): 3 values" in text


def test_numbers_that_are_not_finite_are_named(make_report):
    broken = Metric(name="fd", scope="all", value=math.nan, low=math.nan, high=math.inf, n=3)
    text = render(make_report(metrics=[broken], figures=[], reasons=[]))
    assert "not finite" in text
    assert not re.search(r"\b(nan|inf)\b", text)


# --- colours -------------------------------------------------------------------------------


def palettes():
    css = files("flows.report").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)[:2]
    read = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]
    return {"light": read[0], "dark": read[1]}


def luminance(colour):
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "panel"])
def test_text_and_curves_can_be_seen(scheme, ground):
    colours = palettes()[scheme]
    for text in ("ink", "quiet", "pass", "warn", "block", "unknown"):
        assert contrast(colours[text], colours[ground]) >= 4.5, text
    for name in (name for name in colours if name.startswith("curve")):
        assert contrast(colours[name], colours[ground]) >= 3, name
    assert set(palettes()["light"]) == set(palettes()["dark"])


def test_the_internal_edition_says_what_it_is_and_runs_nothing():
    figure = Figure(
        id="n", section="real_neighbours", caption="Side by side.", alt="x", kind="table",
        data={"columns": ["a"], "rows": [["1"]]},
    )  # fmt: skip
    page = render_internal(
        "mine <b>", "20260101T000000Z-aaaaaaaa", "2026-01-01T00:00:00Z", [figure]
    )
    assert "Internal edition: shows real records, not to be passed on" in page
    assert "<h2>Real neighbours</h2>" in page
    assert "mine &lt;b&gt;" in page
    assert "default-src &#x27;none&#x27;" in page


@pytest.mark.parametrize(("shown", "rows"), [(2, [2, 3]), (0, [5]), (None, [5])])
def test_a_table_says_how_many_of_its_rows_are_in_view(make_report, shown, rows):
    data = {"columns": ["c"], "rows": [[f"r{i}"] for i in range(5)], "shown": shown}
    item = Figure(
        id="t", section="groups", caption="Groups of c: each.", alt="t", kind="table", data=data
    )
    page = render(make_report(figures=(item,)))
    part = page[page.index('id="more-0"') :]
    bodies = re.findall(r"<tbody>(.*?)</tbody>", part)[: len(rows)]
    assert [body.count("<tr>") for body in bodies] == rows
    assert ("<summary>3 more</summary>" in part) == (shown == 2)
    assert ('class="phone-fold"' in part) == (shown != 0)
    assert "Groups of c" in part
