"""What a tracked run shows in the UI, made from the report: pure text and small pictures."""

import base64
import html
import io
import re
from collections.abc import Sequence

from PIL import Image

from flows.outcome import Outcome
from gan.report import Metric, Report

MAX_PNG_BYTES = 200_000
"""Artifacts lie in Prefect's database: a larger picture is scaled down."""
_SPECIAL = re.compile(r"[\\`*_\[\]|]")


def verdict_markdown(report: Report) -> str:
    """Return verdict, reasons and the overall metrics as Markdown."""
    reasons = "\n".join(f"- **{reason.outcome}** {reason.text}" for reason in report.reasons)
    overall = [metric for metric in report.metrics if "/" not in metric.scope]
    return (
        f"# {report.verdict.upper()}: {report.name}\n\ngenerator `{report.generator}`\n\n"
        f"{reasons}\n\n{_metric_table(overall)}\n"
    )


def outcome_markdown(outcome: Outcome) -> str:
    """Return what was published and how to read it, or why nothing was."""
    published = outcome.published
    if published is None:
        return f"# Nothing was published\n\n{outcome.reason}\n\nReport: `{outcome.report_page}`\n"
    reading = "\n".join(published.reading)
    return (
        f"# {outcome.name} `{published.version}`\n\n{outcome.reason}\n\n"
        f"{published.rows:,} rows in {published.shards} shards\n\n"
        f"```python\n{reading}\n```\n\n"
        f"Report: `{outcome.report_page}`\n"
    )


def samples_markdown(report: Report) -> str | None:
    """Return the synthetic rows of the report as a Markdown table, None when it has none."""
    for figure in report.figures:
        if figure.kind == "table" and figure.section == "samples":
            rows = [_markdown_row(row) for row in (figure.data["columns"], *figure.data["rows"])]
            rows.insert(1, "|" + "---|" * len(figure.data["columns"]))
            return "\n".join(["# Synthetic rows", "", *rows, "", figure.caption, ""])
    return None


def samples_uri(report: Report) -> str | None:
    """Return the grid of samples as a `data:` URI, None when the report has none."""
    for figure in report.figures:
        if figure.kind == "image" and figure.section == "samples":
            png = _shrunk(base64.b64decode(figure.data["png"]))
            return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return None


def _shrunk(png: bytes) -> bytes:
    while len(png) > MAX_PNG_BYTES:
        with Image.open(io.BytesIO(png)) as image:
            smaller = image.convert("RGB").resize((image.width // 2, image.height // 2))
        buffer = io.BytesIO()
        smaller.save(buffer, format="PNG")
        png = buffer.getvalue()
    return png


def _markdown_row(cells: Sequence[object]) -> str:
    """Return one line of a table; what Markdown or HTML would read stays text."""
    texts = [" ".join(html.escape(str(cell), quote=False).split()) for cell in cells]
    return "| " + " | ".join(_SPECIAL.sub(r"\\\g<0>", text) for text in texts) + " |"


def _metric_table(metrics: Sequence[Metric]) -> str:
    rows = ["| metric | on | value | 95 % interval | real data |", "|---|---|---:|---:|---:|"]
    for metric in metrics:
        real = "" if metric.ceiling is None else f"{metric.ceiling.value:.3f}"
        rows.append(
            f"| {metric.name} | {metric.scope} | {metric.value:.3f} "
            f"| {metric.low:.3f} to {metric.high:.3f} | {real} |"
        )
    return "\n".join(rows)
