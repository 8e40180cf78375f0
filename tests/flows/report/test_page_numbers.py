"""Every number that a reader sees on the page is one of report.json, or made of its own."""

import itertools
import json
import math
import re
from html.parser import HTMLParser

import pytest
from hostile import lift

from flows.report import render
from flows.report.html import VOID_TAGS, interval, number
from gan.report import Report

AXES = {"x-ticks", "y-ticks", "style", "legend heat-key", "mark-number"}
"""Classes of elements whose numbers are the scale of a drawing."""
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


class Numbers(HTMLParser):
    """The numbers of a page's text, axes left out, with a little of what stands around them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in VOID_TAGS:
            self.open.append(dict(attrs).get("class") or tag)

    def handle_endtag(self, tag):  # noqa: ARG002
        self.open.pop()

    def handle_data(self, data):
        if not AXES & set(self.open):
            self.found += [(one.group(), data) for one in NUMBER.finditer(data)]


def leaves(value):
    """Yield every number of JSON, and the lengths of its lists: what is counted."""
    if isinstance(value, dict):
        yield len(value)
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list):
        yield len(value)
        for one in value:
            yield from leaves(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    elif isinstance(value, str):
        yield from (float(one.replace(",", "")) for one in NUMBER.findall(value) if one.strip(","))


def shown(token, values):
    """Say whether a token is one of the values with as many decimals as it shows."""
    text = token.replace(",", "")
    mantissa = text.partition("e")[0]
    decimals = len(mantissa.partition(".")[2])
    wanted = float(text)
    size = 10.0 ** (len(text.partition("e")[2]) and int(text.partition("e")[2]))
    return any(abs(value - wanted) <= 0.51 * 10.0**-decimals * size for value in values)


@pytest.fixture
def report(make_report):
    return make_report(lift=lift())


def test_every_number_of_the_page_is_in_the_report(report):
    raw = json.loads(report.to_json())
    values = [value for value in leaves(raw) if math.isfinite(value)]
    ratios = [one.value / one.ceiling.value for one in report.metrics if one.ceiling]
    ratios += [
        end / one.ceiling.value
        for one in report.metrics
        if one.ceiling
        for end in (one.low, one.high)
    ]
    outcomes = [one["outcome"] for one in raw["reasons"]]
    counts = range(max(len(raw["metrics"]), len(outcomes)) + 1)
    values += [*ratios, *counts, 95.0, 100.0]
    found = Numbers(render(Report.from_json(report.to_json()))).found
    assert len(found) > 250
    wrong = [(token, around[:80]) for token, around in found if not shown(token, values)]
    assert not wrong


def test_a_number_that_is_not_in_the_report_is_found(report):
    values = list(leaves(json.loads(report.to_json())))
    assert not shown("0.4242", values)
    assert shown("0.947", values)
    assert shown("41.2", values)


def test_each_row_of_metrics_holds_its_own_numbers(report):
    page = render(report)
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page)
    for metric in report.metrics:
        name = metric.name.replace("_", " ")
        own = [row for row in rows if f">{metric.scope}</td>" in row and f">{name} " in row]
        assert own, (metric.name, metric.scope)
        for row in own:
            assert f"<b>{number(metric.value)}</b>" in row
            assert interval(metric.low, metric.high) in row
            if metric.ceiling:
                assert f">{number(metric.ceiling.value)}<" in row
                assert f">{number(metric.ratio)}</td>" in row
    assert len(set(itertools.chain(rows))) >= len(report.metrics)
