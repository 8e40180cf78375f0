"""One small project folder with the demo's lake, for everything the docs do with its result."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import csv

from storage.sources.series.examples import make_shops

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def project(tmp_path_factory, short_demo):
    """Return a folder with recipes, images of shapes, and a lake with one version of digits."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(short_demo / "lake", folder / "lake")
    shutil.copytree(ROOT / "deployments", folder / "deployments")
    for name in ("ring", "cross"):
        _draw(folder / "photos" / name, name)
    for recipe in ("shapes.yaml", "customers.yaml", "panel.yaml"):
        shutil.copy(ROOT / "tests" / "docs" / recipe, folder / recipe)
    _sell(folder / "customers.csv")
    csv.write_csv(make_shops(), folder / "panel.csv")
    return folder


def _draw(folder, kind):
    """Write 80 images of rings or crosses of different size and place."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(kind))
    y, x = np.mgrid[:32, :32]
    for index in range(80):
        row, column = rng.uniform(10, 22, 2)
        radius = rng.uniform(5, 9)
        distance = np.hypot(y - row, x - column)
        ring = np.abs(distance - radius) < 1.5
        cross = np.minimum(abs(y - row), abs(x - column)) < 1.5
        inside = ring if kind == "ring" else cross & (distance < radius)
        Image.fromarray((inside * 255).astype(np.uint8)).save(folder / f"{index:04d}.png")


def _sell(path):
    """Write 300 customers of a shop."""
    rng = np.random.default_rng(7)
    lines = ["customer_id,zip,country,age,spent,churned"]
    for row in range(300):
        country = rng.choice(["DE", "AT", "CH"])
        spent = f"{rng.gamma(3, 20):.2f}"
        churned = rng.choice(["yes", "no"])
        zip_code = rng.choice(["01067", "10115", "60311"])
        lines.append(f"C-{row:05d},{zip_code},{country},{rng.integers(18, 80)},{spent},{churned}")
    path.write_text("\n".join(lines) + "\n")
