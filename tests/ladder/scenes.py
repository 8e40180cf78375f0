"""Pictures that are drawn: eight kinds of objects, shaded and textured, before a coloured ground.

Rich enough that grain, blur, stripes, JPEG's blocks and a cast of colour are faults a person sees
at first glance, which digits of 8 x 8 pixels are too coarse for.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

SIDE = 32
KINDS = 8


def draw_scenes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (count, 32, 32, 3), uint8, and the kind of each, int64."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(KINDS, size=count)
    grid = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    shift = rng.uniform(-0.25, 0.25, (2, count, 1, 1))
    y, x = grid[None, :, None] - shift[0], grid[None, None, :] - shift[1]
    turn = rng.uniform(-0.5, 0.5, (count, 1, 1))
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside = _inside(kinds, u, v, rng.uniform(0.4, 0.65, (count, 1, 1)))
    soft = gaussian_filter(rng.normal(size=(count, SIDE, SIDE)), (0, 3, 3)) * 3
    weave = np.sin(u * rng.uniform(8, 16, (count, 1, 1)) + rng.uniform(0, 6, (count, 1, 1)))
    slope = rng.uniform(-0.3, 0.3, (2, count, 1, 1))
    light = 1 + slope[0] * x + slope[1] * y + 0.1 * soft
    shade = 1.1 - 0.5 * (u * u + v * v) + 0.12 * weave
    tint = np.array([1.2, 1.0, 0.8]) * rng.uniform(0.85, 1.15, (count, 1, 1, 3))
    ground = rng.uniform(50, 120, (count, 1, 1, 1)) * tint * light[..., None]
    thing = rng.uniform(90, 235, (count, 1, 1, 3)) * shade[..., None]
    mixed = ground + (thing - ground) * inside[..., None]
    mixed += rng.normal(0, 2.0, mixed.shape)
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8), kinds.astype(np.int64)


def _inside(kinds, u, v, size):
    """Return how much of every pixel the object covers, from signed distances to its edge."""
    radius = np.sqrt(u * u + v * v)
    across, up = np.abs(u), np.abs(v)
    distances = np.stack(
        [
            radius - size,  # disc
            np.abs(radius - size) - 0.16,  # ring
            np.maximum(across, up) - 0.85 * size,  # square
            np.maximum(0.87 * across + 0.5 * v, -v) - 0.55 * size,  # triangle
            np.minimum(np.maximum(across - 0.18, up - size), np.maximum(up - 0.18, across - size)),
            0.7 * (across + 0.6 * up) - 0.6 * size,  # rhomb
            np.maximum(radius - size, size * 0.75 - np.hypot(u - 0.4 * size, v)),  # crescent
            np.maximum(np.abs(np.sin(v * 5)) - 0.55, np.maximum(across, up) - size),  # bars
        ]
    )
    own = np.take_along_axis(distances, kinds[None, :, None, None], axis=0)[0]
    return np.clip(0.5 - own * SIDE / 2, 0, 1)
