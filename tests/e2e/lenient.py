"""Bounds that a generator of a few seconds passes; the numbers are judged in tests/gan."""

import json


def bounds(fd: float = 1e9) -> list[dict[str, object]]:
    """Return bounds of images that nothing is past, but for the Fréchet distance, if wanted."""
    return [
        {"metric": "coverage", "pass": 0.0, "block": 0.0},
        {"metric": "density_low", "pass": 0.0, "block": 0.0},
        {"metric": "density_high", "pass": 1e9, "block": 1e9},
        {"metric": "fd", "pass": fd, "block": fd},
        {"metric": "label_accuracy", "pass": 1.0, "block": 0.0},
        {"metric": "copies", "pass": 1e9},
        {"metric": "c2st/statistics", "pass": 1.0},
        {"metric": "c2st/network", "pass": 1.0},
        {"metric": "recall", "pass": 0.0, "block": 0.0},
        {"metric": "tstr_gap", "pass": 1.0, "block": 1.0},
        {"metric": "spread", "pass": 0.0, "block": 0.0},
        {"metric": "repeats", "pass": 1.0, "block": 1.0},
    ]


def setting(fd: float) -> str:
    """Return these bounds as a change of a recipe, for `--set`."""
    return f"gate.bounds={json.dumps(bounds(fd))}"


LENIENT = {"accept_unknown": True, "bounds": bounds()}
STRICT = {"bounds": bounds(1e-4)}
"""The Fréchet distance blocks whatever was made."""
