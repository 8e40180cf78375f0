"""A sheet to draw a table on: text that is cut to its place, bars, rules; Pillow's own font."""

import io
from functools import cache

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, QUIET, RULE = "#fbfaf7", "#22262b", "#6a727b", "#e2dfd7"
PALETTE = ("#3d6f9f", "#c4692f", "#4f8f6b", "#9a5c9c", "#94822f", "#7b828a")
"""One colour per class; further classes share the last."""
TEXT, SMALL = 17, 14

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""


class Canvas:
    """A picture in the making."""

    def __init__(self, width: int, height: int) -> None:
        """Start with an empty sheet."""
        self.image = Image.new("RGB", (width, height), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def text(
        self,
        place: tuple[float, float],
        text: str,
        *,
        size: int = TEXT,
        colour: str = INK,
        align: str = "l",
    ) -> None:
        """Write one line; `place` is its left (`l`) or right (`r`) end, at half its height."""
        self._draw.text(place, text, fill=colour, font=font(size), anchor=f"{align}m")

    def bar(self, box: Box, colour: str) -> None:
        """Fill a rectangle; one without a pixel is left out."""
        left, top, right, bottom = (round(edge) for edge in box)
        if right > left and bottom > top:
            self._draw.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def rule(self, left: float, right: float, y: float, colour: str = RULE) -> None:
        """Draw a thin line from left to right."""
        self._draw.line((left, y, right, y), fill=colour, width=1)

    def png(self) -> bytes:
        """Return the sheet as a PNG."""
        buffer = io.BytesIO()
        self.image.save(buffer, format="PNG", optimize=True)
        return buffer.getvalue()


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)


def width_of(text: str, size: int = TEXT) -> float:
    """Return how many pixels a line takes."""
    return float(font(size).getlength(text))


def fit(text: str, width: float, size: int = TEXT) -> str:
    """Return the text, cut with an ellipsis when it is wider than its place."""
    text = " ".join(text.split())
    if width_of(text, size) <= width:
        return text
    while text and width_of(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
