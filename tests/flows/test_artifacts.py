"""What a tracked run shows: small pictures and plain Markdown."""

import base64
import io
import re
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from flows.evaluate import public_notes
from flows.job import Outcome, Published
from flows.report.curves import curves_markdown, curves_svg
from flows.report.markdown import (
    MAX_BYTES,
    MAX_PNG_BYTES,
    MIN_WIDTH,
    outcome_line,
    outcome_markdown,
    samples_markdown,
    verdict_line,
    verdict_markdown,
)
from gan.images.judge import METRICS
from gan.report import Ceiling, Event, Figure, Metric, Reason, Report

NASTY = "a|b <img src=x> *c* `d` [e](f)\n# g"


def figure(side: int, section: str = "samples") -> Figure:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = {"png": base64.b64encode(buffer.getvalue()).decode(), "width": side, "height": side}
    return Figure(id="grid", section=section, caption="c", alt="a", kind="image", data=data)


def coverage(scope: str, value: float = 0.9) -> Metric:
    ceiling = Ceiling(value=0.97, low=0.9, high=1.0)
    return Metric(
        name="coverage", scope=scope, value=value, low=0.8, high=1.0, n=10, ceiling=ceiling
    )


def report(*figures: Figure, metrics=None, **changes) -> Report:
    reason = Reason(metric="coverage", scope="classifier", outcome="warn", text="is low")
    fine = Reason(metric="label_accuracy", scope="classifier", outcome="pass", text="is high")
    fields = {
        "name": "digits",
        "generator": "v",
        "snapshot_digest": "",
        "created": "",
        "modality": "images",
        "metrics": metrics or [coverage("classifier"), coverage("classifier/7")],
        "verdict": "warn",
        "reasons": [reason, fine],
        "figures": figures,
    }
    return Report(**fields | changes)


def assessed(challenger: Report, champion: Report | None = None, reigning: str | None = None):
    version = champion.generator if champion else reigning
    return SimpleNamespace(
        challenger=SimpleNamespace(
            report=challenger,
            version=challenger.generator,
            judgement=SimpleNamespace(metrics=METRICS),
        ),
        champion=None if champion is None else SimpleNamespace(report=champion),
        standing=SimpleNamespace(champion=version and SimpleNamespace(version=version)),
        is_champion=version == challenger.generator,
    )


def verdict(challenger: Report, champion: Report | None = None, **options) -> str:
    return verdict_markdown(assessed(challenger, champion, **options), "lake/r.html")


def lines(id_: str, series: int, points: int) -> Figure:
    draw = np.random.default_rng(0)
    data = {
        "x_label": "samples seen",
        "y_label": "loss",
        "log_y": False,
        "series": [
            {"name": f"s{n}", "x": list(range(points)), "y": draw.normal(size=points).tolist()}
            for n in range(series)
        ],
        "marks": [{"x": points // 2, "text": "snapshot"}],
    }
    return Figure(
        id=id_, section="training", caption=f"The {id_}.", alt="a", kind="lines", data=data
    )


def embedded(text: str) -> bytes:
    return base64.b64decode(re.search(r"base64,([A-Za-z0-9+/=]+)\)", text)[1])


class TestVerdict:
    def test_comes_first_with_its_reasons_and_classes_stay_in_the_report(self):
        text = verdict(report())
        head, _, rest = text.partition("## Metrics")
        assert head.startswith("# WARN: digits\n")
        assert "- **warn** coverage (classifier): is low\n- **pass** label accuracy" in head
        assert "There is no champion yet." in head
        assert (
            "| \\! coverage, classifier | 0.900 (0.80 to 1.00) | 0.970 "
            "| ≥ 0.728 | &lt; 0.485 |" in rest
        )
        assert "classifier/7" not in text
        assert "Report: `lake/r.html`" in rest

    def test_in_a_line_is_its_first_reason(self):
        bad = [
            Reason(metric="fd", scope="all", outcome="block", text=f"fd {name}") for name in "a*b"
        ]
        assert verdict_line(report(verdict="block", reasons=bad)) == "**BLOCK** fd a, and 2 more"
        fine = Reason(metric="fd", scope="all", outcome="pass", text="fd is small")
        told = verdict_line(report(verdict="pass", reasons=[fine]))
        assert told == "**PASS** nothing stands against it"

    def test_names_the_champion_and_its_values(self):
        theirs = report(metrics=[coverage("classifier", 0.85)], generator="w", verdict="pass")
        text = verdict(report(), theirs)
        assert "The champion is `w`, today PASS." in text
        assert "| 0.900 (0.80 to 1.00) | 0.850 | 0.970 |" in text
        assert "It is the champion." in verdict(report(), reigning="v")
        assert "`old` cannot be judged" in verdict(report(), reigning="old")

    def test_names_the_worst_parts_by_what_they_use_of_their_bound(self):
        values = {"classifier/3": 0.9, "random/3": 0.6, "classifier/5": 0.7, "classifier/8": 0.95}
        metrics = [coverage(scope, value) for scope, value in values.items()]
        text = verdict(report(metrics=[coverage("classifier"), *metrics]))
        assert (
            "Worst classes of 3:\n\n- **3** coverage 0.600, passes ≥ 0.728\n"
            "- **5** coverage 0.700" in text
        )

    def test_tells_interventions_or_that_there_were_none(self):
        ends = [Event(kind="stop", samples_seen=9000, text="training stopped: budget")]
        assert "training\n\nnone\n\nThe end: training stopped: budget." in verdict(
            report(events=ends)
        )
        repair = Event(kind="repair", samples_seen=4000, text="went back, half the rate")
        text = verdict(report(events=[repair, *ends]))
        assert "training\n\n- at 4,000 samples: went back, half the rate\n\nThe end" in text

    def test_of_a_thousand_classes_and_reasons_is_short(self):
        scopes = [f"classifier/{NASTY * 20}{n}" for n in range(1000)]
        reasons = [
            Reason(metric="coverage", scope=scope, outcome="block", text=f"{scope} is low")
            for scope in scopes
        ]
        events = [Event(kind="repair", samples_seen=n, text=NASTY * 50) for n in range(1000)]
        text = verdict(
            report(metrics=[coverage(scope) for scope in scopes], reasons=reasons, events=events)
        )
        assert len(text) < 30_000
        assert "- and 992 more in the report" in text
        assert "- and 988 more in the report" in text

    def test_shows_names_as_they_are(self):
        odd = Reason(metric="coverage", scope="x", outcome="warn", text=NASTY)
        text = verdict(report(metrics=[coverage(f"all/{NASTY}", 0.1)], reasons=[odd]))
        shown = r"a\|b &lt;img src=x&gt; \*c\* \`d\` \[e\](f) \# g"
        assert f"- **warn** coverage (x): {shown}\n" in text
        assert f"- **{shown}** coverage" in text


class TestSamples:
    def test_a_report_without_samples_has_none(self):
        assert samples_markdown(report(figure(8, section="data"))) is None

    @pytest.mark.parametrize("side", [8, 40, 700])
    def test_a_picture_is_a_small_png_that_can_be_seen(self, side):
        text = samples_markdown(report(figure(side)))
        png = embedded(text)
        assert text.startswith("# Synthetic samples\n\n![a](data:image/png;base64,")
        assert len(png) <= MAX_PNG_BYTES
        assert len(text) < MAX_BYTES
        with Image.open(io.BytesIO(png)) as image:
            if side <= MIN_WIDTH:
                assert image.width == MIN_WIDTH
            else:
                assert image.width in {side, side // 2, side // 4, side // 8}

    def test_rows_are_a_table_in_which_text_stays_text(self):
        data = {"columns": ["name", "value"], "rows": [["a|b <i>*x*", 3], ["c\nd", None]]}
        rows = Figure(
            id="samples", section="samples", caption="Two rows.", alt="a", kind="table", data=data
        )
        text = samples_markdown(report(rows))
        assert text.splitlines()[2:6] == [
            "| name | value |",
            "|---|---|",
            r"| a\|b &lt;i&gt;\*x\* | 3 |",
            "| c d | None |",
        ]
        assert "Two rows." in text

    @pytest.mark.parametrize(("columns", "rows"), [(200, 10), (11, 200)])
    def test_a_wide_table_stays_small(self, columns, rows):
        data = {
            "columns": [f"{NASTY}{n}" for n in range(columns)],
            "rows": [["<" * 500] * columns for _ in range(rows)],
        }
        wide = Figure(id="s", section="samples", caption="c", alt="a", kind="table", data=data)
        text = samples_markdown(report(wide))
        assert len(text) < MAX_BYTES
        assert f"The report has all {rows} rows and {columns} columns." in text


class TestCurves:
    def test_are_none_without_a_training(self):
        assert samples_markdown(report()) is None
        assert curves_markdown(report(figure(8))) is None

    def test_are_one_picture_with_the_snapshot_marked(self):
        text = curves_markdown(
            report(lines("training-losses", 2, 30), lines("training-rank", 1, 1))
        )
        assert text.startswith("# Training of digits\n\n![")
        assert "(data:image/svg+xml;base64," in text
        assert "- **losses** The training-losses." in text
        drawn = ElementTree.fromstring(embedded(text))  # noqa: S314 - made here
        texts = [item.text for item in drawn.iter("{http://www.w3.org/2000/svg}text")]
        assert texts.count("snapshot") == 2
        assert "losses" in texts
        paths = list(drawn.iter("{http://www.w3.org/2000/svg}path"))
        assert sum(path.get("vector-effect") is not None for path in paths) == 3

    def test_of_the_longest_training_stay_small(self):
        charts = [lines(f"training-{n}", 40, 5000) for n in range(12)]
        assert len(curves_markdown(report(*charts))) < 200_000

    def test_names_are_text(self):
        chart = lines("training-x", 1, 3)
        chart.data["series"][0]["name"] = "<script>&"
        ElementTree.fromstring(curves_svg([chart]))  # noqa: S314 - made here
        assert "<script>" not in curves_svg([chart])


COST = {"wall_s": 61.2, "cpu_s": 100.0, "gpu_s": 0.0, "written_bytes": 2**20}


def outcome(**changes) -> Outcome:
    counts = changes.pop("class_counts", (("a|b", 600), ("c", 400)))
    published = Published(
        version="20260101T000000Z-abababab",
        path="lake/datasets/digits/v/",
        reading=("import pandas", 'pandas.read_parquet("lake/datasets/digits/v/")'),
        manifest="lake/m.json",
        report_html="lake/r.html",
        rows=1000,
        shards=16,
        total_bytes=3 * 2**20,
        class_counts=counts,
        existed=False,
        verdict="warn",
        override=changes.pop("override", None),
    )
    fields = {
        "name": "digits",
        "status": "published",
        "choice": "promoted",
        "reason": "v is the first champion",
        "generator": "v",
        "report": report(),
        "report_page": "lake/r.html",
        "published": published,
        "cost": COST,
    }
    return Outcome(**fields | changes)


class TestOutcome:
    def test_is_the_data_set_with_the_lines_that_read_it(self):
        text = outcome_markdown(outcome())
        assert text.startswith("# digits 20260101T000000Z-abababab\n\nv is the first champion.")
        assert "- **Size** 1,000 images in 16 shards, 3.0 MiB\n" in text
        assert "- **Classes** a\\|b: 600, c: 400\n" in text
        assert "- **Verdict** WARN\n" in text
        assert "- **Cost of this run** 100 CPU-s in 61 s, 1.0 MiB written" in text
        assert (
            '```python\nimport pandas\npandas.read_parquet("lake/datasets/digits/v/")\n```' in text
        )

    def test_links_to_its_report_where_a_browser_can_open_it(self):
        link = "http://127.0.0.1:4300/abc/r.html"
        assert f"- **Report** [open it]({link}), `lake/r.html`" in outcome_markdown(outcome(), link)
        odd = outcome_markdown(outcome(), "http://127.0.0.1/a)b")
        assert "- **Report** `lake/r.html`" in odd

    def test_in_a_line_is_the_version_or_why_there_is_none(self):
        line = outcome_line(outcome())
        assert line == "**20260101T000000Z-abababab** 1,000 images, v is the first champion"
        line = outcome_line(outcome(published=None, reason="fd is *too* far"))
        assert line == r"**Nothing published** fd is \*too\* far"

    def test_names_the_person_who_overrode_the_verdict(self):
        signed = {"by": "Ada", "reason": "a *test*", "at": "2026-01-01"}
        text = outcome_markdown(outcome(override=signed))
        assert "WARN, **overridden** by Ada at 2026-01-01: a \\*test\\*" in text

    def test_of_a_thousand_classes_is_short(self):
        text = outcome_markdown(
            outcome(class_counts=tuple((f"{NASTY}{n}", n) for n in range(1, 1001)))
        )
        assert "- **Classes** 1,000 of them, of 1 to 1,000 each" in text

    def test_says_why_nothing_was_published_and_what_it_cost(self):
        text = outcome_markdown(outcome(published=None, status="blocked", reason="fd is too far"))
        assert text.startswith("# Nothing was published\n\nfd is too far\n")
        assert "`lake/r.html`" in text
        assert "100 CPU-s" in text

    def test_is_json_with_the_cost(self):
        assert outcome().to_json()["cost"] == {
            "wall_s": 61.2,
            "cpu_s": 100.0,
            "gpu_s": 0.0,
            "written_bytes": 2**20,
        }


def test_no_name_of_a_real_file_is_published():
    prepared = SimpleNamespace(
        skipped=("jane_doe.png (truncated)",),
        notes=(
            "1 unreadable images were skipped: jane_doe.png (truncated).",
            'Consider source.labels: "jane.csv", as this file names 3 of the 3 images.',
            "3 images are grey.",
        ),
    )
    assert public_notes(prepared) == ("3 images are grey.",)


def test_a_question_shows_names_and_reasons_as_text():
    from deciding import NEW, judged

    from flows.job import Question
    from flows.report.markdown import question_markdown

    hostile = "a\n# b <script>x</script> [l](https://e.x) s3://AK:hunter2@b"
    asked = Question(
        kind="override", why=hostile, default=hostile, champion=None, blocking_reason=hostile
    )
    loud = Reason(metric="m", scope="all", outcome="alarm", text=hostile)
    one = judged(NEW, "block")
    one = replace(one, judgement=replace(one.judgement, unjudged=(loud,)))
    text = question_markdown(asked, one)
    for raw in ("<script", "hunter2", "[l](http", "\n# "):
        assert raw not in text
    assert text.count("&lt;script&gt;") == 4


def test_the_verdict_shows_the_rules_of_the_records_and_of_many_the_first():
    rows = [
        [f"sum 'total{n}' = 'a' + 'b'", "all", "99.61 %" if n == 0 else "all"] for n in range(15)
    ]
    rows[1][0] = NASTY
    data = {"columns": ["rule", "real rows", "synthetic rows"], "rows": rows, "right": [1, 2]}
    rules = Figure(id="s", section="structure", caption="c", alt="a", kind="table", data=data)
    text = verdict_markdown(assessed(report(rules)), "report.html")
    shown = text.partition("## Structure")[2].partition("## Interventions")[0]
    assert "| rule | real rows | synthetic rows |\n|---|---:|---:|" in shown
    assert "total0' = 'a' + 'b' | all | 99.61 % |" in shown.replace("\\", "")
    assert "total11" in shown
    assert "total12" not in shown
    assert "and 3 more in the report." in shown
    assert "<img" not in shown
    assert "## Structure" not in verdict_markdown(assessed(report(figure(8))), "report.html")
