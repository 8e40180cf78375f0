"""What a tracked run shows: small pictures and plain Markdown."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from flows.artifacts import MAX_PNG_BYTES, samples_markdown, samples_uri, verdict_markdown
from flows.stages.evaluate import public_notes
from gan.report import Ceiling, Figure, Metric, Reason, Report


def figure(side: int, section: str = "samples") -> Figure:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = {"png": base64.b64encode(buffer.getvalue()).decode(), "width": side, "height": side}
    return Figure(id="grid", section=section, caption="c", alt="a", kind="image", data=data)


def report(*figures: Figure) -> Report:
    metrics = [
        Metric(
            name="coverage",
            scope=scope,
            value=0.9,
            low=0.8,
            high=1.0,
            n=10,
            ceiling=Ceiling(value=0.97, low=0.9, high=1.0),
        )
        for scope in ("classifier", "classifier/7")
    ]
    reason = Reason(metric="coverage", scope="classifier", outcome="warn", text="is low")
    return Report(
        name="digits",
        generator="v",
        snapshot_digest="",
        created="",
        modality="images",
        metrics=metrics,
        verdict="warn",
        reasons=[reason],
        figures=figures,
    )


def test_the_verdict_comes_first_and_classes_stay_in_the_report():
    text = verdict_markdown(report())
    assert text.startswith("# WARN: digits\n")
    assert "- **warn** is low" in text
    assert "| coverage | classifier | 0.900 | 0.800 to 1.000 | 0.970 |" in text
    assert "classifier/7" not in text


def test_a_report_without_samples_has_no_picture():
    assert samples_uri(report(figure(8, section="data"))) is None


@pytest.mark.parametrize("side", [8, 700])
def test_the_picture_is_a_small_png_whatever_its_size(side):
    uri = samples_uri(report(figure(side)))
    png = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert len(png) <= MAX_PNG_BYTES
    with Image.open(io.BytesIO(png)) as image:
        assert image.width in {side, side // 2, side // 4, side // 8}


def test_no_name_of_a_real_file_is_published():
    prepared = SimpleNamespace(
        skipped=("jane_doe.png (truncated)",),
        notes=("1 unreadable images were skipped: jane_doe.png (truncated).", "3 images are grey."),
    )
    assert public_notes(prepared) == ("3 images are grey.",)


def rows_figure() -> Figure:
    data = {"columns": ["name", "value"], "rows": [["a|b <i>*x*", 3], ["c\nd", None]]}
    return Figure(
        id="samples", section="samples", caption="Two rows.", alt="a", kind="table", data=data
    )


def test_rows_are_a_table_in_which_text_stays_text():
    text = samples_markdown(report(rows_figure()))
    assert text is not None
    assert text.splitlines()[2:6] == [
        "| name | value |",
        "|---|---|",
        r"| a\|b &lt;i&gt;\*x\* | 3 |",
        "| c d | None |",
    ]
    assert "Two rows." in text
    assert samples_uri(report(rows_figure())) is None
    assert samples_markdown(report(figure(8))) is None
