"""One report, one HTML file: no script, no request, nothing but text, pictures and style."""

import re
from functools import cache
from importlib.resources import files

from flows.report import sections
from flows.report.markup import Html, element, join
from gan.report import Report

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Even if text ever became markup, a browser would load and run nothing."""


def render(report: Report, *, title: str | None = None) -> str:
    """Return the page of a report; equal reports give equal pages.

    Args:
        report: What was measured.
        title: The heading; the report's name when None.

    Raises:
        ValueError: a figure is of an unknown kind or its picture cannot be read.
    """
    heading = title or report.name
    body = element(
        "body",
        element(
            "main",
            sections.header(report, heading),
            sections.verdict(report),
            sections.samples(report),
            sections.metrics(report),
            sections.columns(report),
            sections.training(report),
            sections.data(report),
            [part for part in sections.others(report) if part],
            sections.events(report),
            sections.provenance(report),
        ),
    )
    page = element("html", _head(heading, report), body, lang="en")
    return f"<!doctype html>\n{page}\n"


def _head(heading: str, report: Report) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content="ganmill"),
        element("title", f"{heading}: {sections.VERDICTS[report.verdict][0].lower()}"),
        join(element("style", _style())),
    )


@cache
def _style() -> Html:
    """Return the style sheet, our own file, without comments and blank space."""
    text = files("flows.report").joinpath("style.css").read_text(encoding="utf-8")
    return Html(re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip())
