"""Synthetic samples: the picture or the rows that the report holds."""

import base64
import io

from PIL import Image

from flows.artifacts.markdown import LONGEST, picture, plain, table
from gan.report import Figure, Report

MAX_PNG_BYTES = 200_000
"""A larger picture is scaled down."""
MIN_WIDTH = 320
"""A narrower picture, in pixels, is enlarged: the UI shows every pixel as one."""
MAX_COLUMNS, MAX_ROWS = 40, 60
"""Of a table that are shown."""


def samples_markdown(report: Report) -> str | None:
    """Return the report's samples, None when it has none."""
    for figure in report.figures:
        if figure.section == "samples" and figure.kind in _SHOWN:
            shown = _SHOWN[figure.kind](figure)
            return f"# Synthetic samples\n\n{shown}\n\n{plain(figure.caption)}\n"
    return None


def _grid(figure: Figure) -> str:
    """Return the picture, and what its rows show."""
    shown = picture(_sized(base64.b64decode(figure.data["png"])), "image/png", figure.alt)
    rows = [plain(row, LONGEST) for row in figure.data.get("rows", ())[:MAX_ROWS]]
    return f"{shown}\n\nFrom the top: {', '.join(rows)}." if rows else shown


def _rows(figure: Figure) -> str:
    """Return the rows as a table; of a large one, its upper left."""
    columns, rows = figure.data["columns"], figure.data["rows"]
    shown = table(columns[:MAX_COLUMNS], [row[:MAX_COLUMNS] for row in rows[:MAX_ROWS]])
    if len(columns) > MAX_COLUMNS or len(rows) > MAX_ROWS:
        return f"{shown}\n\nThe report has all {len(rows):,} rows and {len(columns):,} columns."
    return shown


_SHOWN = {"image": _grid, "table": _rows}


def _sized(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as image:
        factor = -(-MIN_WIDTH // image.width)
        if factor > 1:
            size = (image.width * factor, image.height * factor)
            png = _png(image.resize(size, Image.Resampling.NEAREST))
    while len(png) > MAX_PNG_BYTES:
        with Image.open(io.BytesIO(png)) as image:
            png = _png(image.convert("RGB").resize((image.width // 2, image.height // 2)))
    return png


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
