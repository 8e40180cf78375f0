"""The training curves of a report as one picture, for the UI of Prefect: SVG within Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.html import Html, compact, element, number, words
from flows.report.line_charts import curve_path, x_scale, y_scale
from flows.report.markdown import picture
from flows.report.scales import BOX, Scale, finite
from gan.report import Figure, Report
from storage.lake.markdown import plain

WIDTH, HEIGHT = 460, 250
"""Of one chart, in pixels."""
LEFT, TOP, RIGHT, BOTTOM = 56, 52, 20, 40
"""Room around the curves for texts."""
PER_ROW = 2
MAX_CHARTS, MAX_SERIES, MAX_POINTS = 8, 6, 200
STROKES = ("#2a5d8f", "#b4531a", "#3b7a57", "#8a4a8c", "#7a6a1e", "#555d66")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "4 2", "12 3")
INK, QUIET, GRID, MARK, GROUND = "#22262b", "#5a626b", "#e4e1d9", "#b02a20", "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Arial, sans-serif"


def curves_markdown(report: Report) -> str | None:
    """Return the training curves with the snapshot marked, None when none were kept."""
    charts = [
        figure
        for figure in report.figures
        if figure.section == "training" and figure.kind == "lines" and _series(figure.data)
    ][:MAX_CHARTS]
    if not charts:
        return None
    svg = curves_svg(charts)
    alt = f"Training curves of {report.name}, {len(charts)} charts over the samples seen"
    captions = [f"- **{_title(figure)}** {plain(figure.caption)}" for figure in charts]
    legend = "The dashed line marks the snapshot that was kept."
    head = f"# Training of {report.name}\n\n{picture(svg.encode(), 'image/svg+xml', alt)}"
    return "\n".join([head, "", legend, "", *captions, ""])


def curves_svg(charts: Sequence[Figure]) -> str:
    """Return the charts as one SVG document, two in a row."""
    columns = min(PER_ROW, len(charts))
    width, height = WIDTH * columns, HEIGHT * -(-len(charts) // columns)
    placed = [
        _chart(figure, WIDTH * (index % columns), HEIGHT * (index // columns))
        for index, figure in enumerate(charts)
    ]
    return element(
        "svg",
        element("rect", width=width, height=height, rx=6, fill=GROUND),
        placed,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        font_family=FONT,
        font_size=11,
        fill=INK,
    )


def _chart(figure: Figure, left: int, top: int) -> Html:
    data = figure.data
    series, marks = _series(data), list(data.get("marks", ()))
    across, up = x_scale(series, marks), y_scale(series, log=bool(data.get("log_y")))
    title, unit = _title(figure), str(data["y_label"])
    heading = title if unit in title else f"{title}, {unit}"
    return element(
        "g",
        element("text", heading, x=16, y=20, font_size=13, font_weight=600),
        _legend(series),
        _axes(across, up),
        [_mark(mark, across) for mark in marks],
        _curves(series, across, up),
        transform=f"translate({left} {top})",
    )


def _series(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [item for item in data["series"] if finite(item["y"])][:MAX_SERIES]


def _title(figure: Figure) -> str:
    return words(figure.id.removeprefix("training-").replace("-", " "))


def _legend(series: Sequence[Mapping[str, Any]]) -> list[Html]:
    """Return name and last value of every series in its colour, in one line."""
    drawn: list[Html] = []
    x = 16.0
    for index, item in enumerate(series):
        text = f"{words(str(item['name']))} {number(finite(item['y'])[-1])}"
        drawn.append(
            element("path", d=f"M{x:.1f} 36h16", stroke_width=2, fill="none", **_style(index))
        )
        drawn.append(element("text", text, x=f"{x + 20:.1f}", y=40, fill=QUIET))
        x += 40 + 5.5 * len(text)
    return drawn


def _axes(across: Scale, up: Scale) -> list[Html]:
    wide, bottom = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM
    found = []
    for tick in up.ticks:
        y = TOP + (bottom - TOP) * (1 - up.at(tick))
        found.append(element("path", d=f"M{LEFT} {y:.1f}h{wide}", stroke=GRID))
        found.append(
            element(
                "text", compact(tick), x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end", fill=QUIET
            )
        )
    for tick in across.ticks:
        x = LEFT + wide * across.at(tick)
        found.append(
            element(
                "text", compact(tick), x=f"{x:.1f}", y=bottom + 16, text_anchor="middle", fill=QUIET
            )
        )
    label = element(
        "text", "samples seen", x=WIDTH - RIGHT, y=bottom + 32, text_anchor="end", fill=QUIET
    )
    return [*found, label]


def _mark(mark: Mapping[str, Any], across: Scale) -> Html:
    x = LEFT + (WIDTH - LEFT - RIGHT) * across.at(mark["x"])
    anchor, shift = ("end", -4) if across.at(mark["x"]) > 0.5 else ("start", 4)
    return element(
        "g",
        element("path", d=f"M{x:.1f} {TOP}V{HEIGHT - BOTTOM}", stroke=MARK, stroke_dasharray="4 3"),
        element(
            "text",
            str(mark["text"]),
            x=f"{x + shift:.1f}",
            y=TOP + 10,
            fill=MARK,
            text_anchor=anchor,
        ),
    )


def _curves(series: Sequence[Mapping[str, Any]], across: Scale, up: Scale) -> Html:
    paths = [
        element(
            "path",
            d=curve_path(item, across, up, MAX_POINTS),
            fill="none",
            stroke_width=2,
            stroke_linejoin="round",
            vector_effect="non-scaling-stroke",
            **_style(index),
        )
        for index, item in enumerate(series)
    ]
    return element(
        "svg",
        paths,
        x=LEFT,
        y=TOP,
        width=WIDTH - LEFT - RIGHT,
        height=HEIGHT - BOTTOM - TOP,
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        overflow="visible",
    )


def _style(index: int) -> dict[str, str]:
    return {"stroke": STROKES[index], "stroke_dasharray": DASHES[index]}
