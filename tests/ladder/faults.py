"""Faults that a person sees in images at first glance, each of strength and kind to choose."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

Fault = Callable[[np.ndarray], np.ndarray]


def grain(sigma: float) -> Fault:
    """Independent noise in every value."""

    def make(images):
        noise = np.random.default_rng(7).normal(0, sigma, images.shape)
        return np.clip(np.round(images + noise), 0, 255).astype(np.uint8)

    return make


def chessboard(size: int) -> Fault:
    """Every other pixel lighter, the rest darker."""

    def make(images):
        height, width = images.shape[1:3]
        squares = np.indices((height, width)).sum(0) % 2 * 2 - 1
        return np.clip(images.astype(int) + size * squares[..., None], 0, 255).astype(np.uint8)

    return make


def blur(sigma: float) -> Fault:
    def make(images):
        soft = gaussian_filter(images.astype(float), (0, sigma, sigma, 0))
        return np.round(soft).astype(np.uint8)

    return make


def white_rows(images: np.ndarray) -> np.ndarray:
    """Every seventh row is white."""
    striped = images.copy()
    striped[:, ::7] = 255
    return striped


def jpeg(quality: int) -> Fault:
    def make(images):
        again = []
        for image in images:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
            again.append(np.asarray(Image.open(buffer)))
        return np.stack(again)

    return make


def cast(images: np.ndarray) -> np.ndarray:
    """More red, less blue."""
    return np.clip(images.astype(int) + np.array([20, 0, -20]), 0, 255).astype(np.uint8)


FAULTS: dict[str, tuple[Fault, str]] = {
    "grain 15": (grain(15), "more grain"),
    "grain 30": (grain(30), "more grain"),
    "grain 45": (grain(45), "more grain"),
    "chessboard 10": (chessboard(10), "more pattern of single pixels"),
    "chessboard 20": (chessboard(20), "more pattern of single pixels"),
    "blur 0.5": (blur(0.5), "less power of fine detail"),
    "blur 0.8": (blur(0.8), "less power of fine detail"),
    "white rows": (white_rows, "more stripes of rows"),
    "jpeg 30": (jpeg(30), "less power of fine detail"),
    "cast": (cast, "another colour"),
}
"""Name → the fault, and what the reason must name as what gives it away."""
