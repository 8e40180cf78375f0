"""Figures of a generator of images as data.

    sheets      cells in rows and columns, as a PNG of bounded size
    inside      paths through latents and classes, main directions, sensitivity
    strip       the same latents and classes, tick after tick
    neighbours  synthetic images beside the nearest real ones, for the internal edition alone

But for the last, no real image is in any of them.
"""

from gan.images.figures.neighbours import neighbours
from gan.images.figures.strip import frame, strip

__all__ = ["frame", "neighbours", "strip"]
