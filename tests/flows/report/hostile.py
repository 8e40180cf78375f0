"""A report whose names come from anywhere: markup, letters without end, other directions."""

import dataclasses

from gan.lift.result import Effect, Estimate, GroupLift, Lift
from gan.report import Ceiling, Event, Figure, Metric, Reason

NAMES = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "x" * 300,
    "a name of many words " * 15,
    "عمود طويل جدا من اليمين إلى اليسار",
    "\u202ereversed\u202c by a mark",
    "👩‍👩‍👧‍👦🏳️‍🌈 emoji 🇩🇪" * 3,
    "two\nlines\r\nand\ta tab",
    "--> ]]> {{7*7}} ${x} %s",
    "[link](javascript:alert(1)) `code` **bold** | cell | # head",
    "'quotes\" and & ampersands;",
    "列の名前が非常に長い場合" * 12,
    "snake_case_" * 20,
    "12345678901234567890123456789012345678901234567890",
    "",
    " ",
)
"""Names of columns and classes, one kind of trouble each."""
LONG = "9" * 60
COLUMNS = 200


def name(index):
    """Return a hostile name; the first ones plain, then numbered, so that all differ."""
    base = NAMES[index % len(NAMES)]
    return base if index < len(NAMES) else f"{base} {index}"


def metric(kind, scope, value, *, ceiling=0.1, direction="lower"):
    return Metric(
        name=kind,
        scope=scope,
        value=value,
        low=value * 0.9,
        high=value * 1.1,
        n=1_234_567_890,
        ceiling=Ceiling(value=ceiling, low=ceiling * 0.9, high=ceiling * 1.1),
        direction=direction,
    )


def hostile_report(make_report, columns=COLUMNS):
    """Return a blocked report of a table of so many columns, every text of it hostile."""
    names = [name(index) for index in range(columns)]
    metrics = [
        metric("one_way", "all", 0.2),
        metric("c2st", "all", 0.9, ceiling=0.5),
        *(metric("one_way", f"all/{one}", 0.2 + place / 1e3) for place, one in enumerate(names)),
        metric("tstr_gap", "+".join(names[:5]), 123_456_789_012_345.678, ceiling=1e-12),
    ]
    reasons = [
        Reason(
            metric="one_way",
            scope=f"all/{one}",
            outcome="block" if place % 3 else "warn",
            text=f"one_way of column {one!r} is 0.2: the whole interval is above 0.15",
            aspect="fidelity",
            title="errors of single columns",
        )
        for place, one in enumerate(names[:60])
    ]
    return make_report(
        name=NAMES[0] + NAMES[2],
        modality="tables",
        metrics=metrics,
        verdict="block",
        reasons=reasons,
        events=[Event(kind=NAMES[2], samples_seen=10**15, text=NAMES[3])],
        figures=tuple(figures(make_report, names)),
        notes=names[:16],
        facts={one or "empty": one for one in names[:16]}
        | {"rows": dict.fromkeys(names[:8], 10**18), "losses": names[:16], "judged": NAMES[0]},
        lift=lift(),
    )


def lift():
    effect = Effect(
        arm=NAMES[2],
        model=NAMES[0],
        metric="accuracy",
        baseline=1e-9,
        value=123456789.0,
        effect=Estimate(123456789.0, -1e-9, 1e15),
        detectable=0.1,
    )
    return Lift(
        answer="helps",
        text=f"It helps {NAMES[1]} {NAMES[2]}",
        task=NAMES[3],
        effect=effect,
        remedy=None,
        per_class=tuple((one, 0.5, 0.6) for one in NAMES),
        groups=tuple(
            GroupLift(column=NAMES[0], group=one, rows=10**9, answer="hurts", effect=effect)
            for one in NAMES
        ),
        notes=NAMES,
    )


def figures(make_report, names):
    """Yield a figure of every kind."""
    bars = [
        {"label": one, "value": 1e12, "low": -1e-12, "high": 1e15, "pass_high": 1.0}
        for one in names
    ]
    bins = [
        {"label": one, "start": place / 4, "end": (place + 1) / 4, "values": [0.25, 0.25]}
        for place, one in enumerate(names[:4])
    ]
    ticks = [{"at": place / 4, "text": LONG if place == 2 else "1"} for place in range(5)]
    levels = [{"label": one, "values": [0.1, 0.2]} for one in names[:8]]
    panels = [
        {"title": one, "note": f"error {LONG}", "levels": levels}
        if place % 2
        else {"title": one, "note": "", "bins": bins, "ticks": ticks}
        for place, one in enumerate(names[:24])
    ]
    marks = [{"x": 1.0, "text": NAMES[2]}, {"x": 2.0, "text": NAMES[0]}]
    lines = {
        "x_label": NAMES[3],
        "y_label": NAMES[2],
        "log_y": False,
        "series": [{"name": one, "x": [0.0, 1e15], "y": [1e-9, 1e15]} for one in names[:8]],
        "marks": marks,
    }
    cloud = {"name": NAMES[2], "x": [0.0, 1.0], "y": [0.0, 1.0]}
    heat = [[2.0] * (row + 1) for row in range(24)]
    rows = [[one, LONG, 10**18, 1e300, None] for one in names]
    kinds = {
        "bars": {"unit": NAMES[2], "bars": bars, "reference": {"value": 1.0, "text": NAMES[0]}},
        "panels": {"names": [NAMES[2], NAMES[0]], "panels": panels},
        "lines": lines,
        "heatmap": {"names": names[:24], "values": heat, "low": 1.0, "high": 3.0, "unit": NAMES[2]},
        "scatter": {
            "x_label": NAMES[2],
            "y_label": NAMES[3],
            "x_low": 0.0,
            "x_high": 1.0,
            "y_low": 0.0,
            "y_high": 1.0,
            "groups": [cloud],
            "density": {"name": NAMES[4], "cells": [[0, 0, 1, 1, 1.0]]},
        },
        "table": {"columns": [NAMES[0], *NAMES[2:6]], "rows": rows, "right": [2]},
    }
    places = {
        "samples": ("table",),
        "columns": ("panels", "heatmap", "scatter"),
        "metrics": ("bars",),
        "training": ("lines",),
        NAMES[0]: ("table", "lines"),
    }
    for place, shown in places.items():
        for kind in shown:
            yield Figure(
                id=f"{place}-{kind}",
                section=place,
                caption=NAMES[3],
                alt=NAMES[2],
                kind=kind,
                data=kinds[kind],
            )
    picture = next(one for one in make_report().figures if one.kind == "image")
    data = {**picture.data, "rows": list(NAMES[:10]), "columns": list(NAMES[:10])}
    yield dataclasses.replace(picture, caption=NAMES[2], alt=NAMES[0], data=data)
