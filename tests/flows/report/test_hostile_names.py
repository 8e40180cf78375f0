"""A report made of hostile names stays itself: no markup, no lost text, in HTML and Markdown."""

import re
from types import SimpleNamespace

import pytest
from hostile import COLUMNS, NAMES, hostile_report
from walked_page import Page

from flows.report import render
from flows.report.markdown import MAX_BYTES, samples_markdown, verdict_markdown
from gan.tables.judge import METRICS


@pytest.fixture(scope="module")
def pages():
    return {}


@pytest.fixture
def report(make_report, pages):
    if not pages:
        made = hostile_report(make_report)
        pages.update(report=made, html=render(made))
    return pages["report"]


def test_names_become_text_and_nothing_else(report, pages):
    text = pages["html"]
    page = Page(text)
    assert not {"script", "iframe", "form", "object"} & {tag for tag, _ in page.tags}
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert not {name for _, attrs in page.tags for name in attrs if name.startswith("on")}
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
    for name in NAMES[:2]:
        assert name in page.text
    shown = [one for one in NAMES if len(one) < 60 and not set(one) & set("\n\u202e")]
    assert all(one.strip() in page.text for one in shown)


def test_long_names_are_cut_where_they_are_labels_and_whole_at_a_touch(report, pages):
    page = Page(pages["html"])
    cells = [attrs for attrs in page.all("td") if attrs.get("data-label")]
    assert max(len(attrs["data-label"]) for attrs in cells) <= 28
    assert NAMES[2] in {attrs.get("title") for attrs in page.all("span")}
    assert "x" * 59 + "…" in page.text


def test_of_many_columns_the_first_are_in_view_and_the_others_counted(report, pages):
    text = pages["html"]
    assert f"{COLUMNS - 12} more, {COLUMNS - 12} of them outside a pass bound" in text
    assert re.search(r"\d+ more of errors of single columns: blocks", text)
    assert "more are in the table per column." in text


def test_the_artifacts_of_the_ui_hold_them_too(report):
    one = SimpleNamespace(report=report, version="v", judgement=SimpleNamespace(metrics=METRICS))
    assessed = SimpleNamespace(
        challenger=one,
        champion=None,
        standing=SimpleNamespace(champion=None),
        is_champion=False,
    )
    for text in (verdict_markdown(assessed, "lake/r.html"), samples_markdown(report)):
        assert len(text.encode()) < MAX_BYTES
        assert not re.search(r"(?<!\\)<(script|img)", text)
        assert not re.search(r"(?<!\\)\[link(?<!\\)\]\(javascript", text)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\r]", text)
        tables = [line for line in text.splitlines() if line.startswith("|")]
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
        assert len(widths) <= 3, "a name became a cell of its own"
        assert max(len(line) for line in tables) < 3_000
