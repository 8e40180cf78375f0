"""The page in a real browser: one report per modality, narrow and wide, light, dark and on paper.

Pictures of what was seen lie in `build/screenshots`, outside of git. axe-core is taken from
`GANMILL_AXE` (a path of `axe.min.js`) or, where there is npm, fetched once into `build`.
"""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hostile import hostile_report

from flows.cli.app import execute
from flows.report import render
from storage.sources.series.examples import make_shops

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
WIDTHS = (400, 900, 1400)
SCREEN = 900
MOST_SCREENS = {400: 10.0, 900: 7.5, 1400: 5.2}
AXE = "axe-core@4"
TIMEOUT_MS = 180_000

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

OUTSIDE = """() => {
  const width = document.documentElement.clientWidth, found = [];
  for (const one of document.querySelectorAll("main *")) {
    const scrolls = one.closest(".wide");
    if ((scrolls && scrolls !== one) || (one.closest("svg") && one.tagName !== "svg")) continue;
    const box = one.getBoundingClientRect();
    if (box.width && (box.right > width + 2 || box.left < -2))
      found.push(one.tagName + " " + one.className + " " + one.textContent.slice(0, 40));
  }
  return {found, scroll: document.documentElement.scrollWidth, width,
          height: document.documentElement.scrollHeight};
}"""
"""What reaches beyond the page; what scrolls by itself, and what is drawn in a chart, may."""
CLIPPED = """() => [...document.querySelectorAll(
    "main :is(p, li, td, th, b, small, summary, h1, h2, a)")]
  .filter(one => one.getClientRects().length && getComputedStyle(one).overflow === "hidden"
    && one.scrollWidth > one.clientWidth + 1)
  .map(one => one.tagName + " " + one.textContent.slice(0, 40))"""
"""Texts that are cut by their box."""
SMALL = """() => [...document.querySelectorAll(
    "main :is(p, li, td, th, dd, dt, summary, a, span, small)")]
  .filter(one => one.childElementCount === 0 && one.textContent.trim()
    && parseFloat(getComputedStyle(one).fontSize) < 10)
  .map(one => one.tagName + " " + one.className + " " + one.textContent.slice(0, 40))"""
"""Texts too small to be read."""
LEFT_OUT = """() => [...document.querySelectorAll(".cards tbody tr")]
  .filter(row => row.getClientRects().length)
  .filter(row => [...row.cells].some(cell => cell.getBoundingClientRect().right >
    document.documentElement.clientWidth + 1)).length"""
"""Rows of tables with a cell beyond the page."""


def digits():
    """Half of the digits to learn from, half to judge."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = (bunch.images * 15).astype(np.uint8), bunch.target
    for name, part in (("real", slice(0, 1200)), ("given", slice(1200, None))):
        np.savez(f"{name}-images.npz", images=images[part], labels=labels[part])
    return "real-images.npz", "given-images.npz", {"label": "label"}


def cancer():
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame.sample(frac=1, random_state=0)
    frame["diagnosis"] = frame.pop("target").map({0: "malignant", 1: "benign"})
    frame[:400].to_csv("real-tables.csv", index=False)
    damaged = frame[400:].copy()
    damaged["mean radius"] = damaged["mean radius"].sample(frac=1, random_state=0).to_numpy()
    damaged.to_csv("given-tables.csv", index=False)
    return "real-tables.csv", "given-tables.csv", {"label": "diagnosis"}


def shops():
    panel = make_shops()
    items = panel["item"].to_pylist()
    first = np.array([int(one.rpartition("-")[2]) < 400 for one in items])
    pq.write_table(panel.filter(first), "real-series.parquet")
    pq.write_table(panel.filter(~first), "given-series.parquet")
    where = {"entity": "item", "time": "date", "label": "shop"}
    return "real-series.parquet", "given-series.parquet", where


MAKERS = {"images": digits, "tables": cancer, "series": shops}


@pytest.fixture(scope="module")
def pages(made_once):
    """Return a folder with a page per modality, judged as `ganmill judge` does."""

    def make(folder):
        before = Path.cwd()
        try:
            os.chdir(folder)
            os.environ["GANMILL_WORK_FOLDER"] = str(folder / "work")
            for name, maker in MAKERS.items():
                real, given, where = maker()
                recipe = {
                    "name": name,
                    "source": {"uri": real, **where},
                    "lift": {"when": "never"},
                    "output": {"lake": "lake"},
                }
                Path(f"{name}.yaml").write_text(yaml.safe_dump(recipe))
                page = f"{name}.html"
                code = execute(["judge", given, "--recipe", f"{name}.yaml", "--report", page])
                assert code in (0, 3), (name, code)
        finally:
            os.environ.pop("GANMILL_WORK_FOLDER", None)
            os.chdir(before)

    return made_once("report-pages", make)


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pictures(pytestconfig):
    folder = Path(pytestconfig.rootpath) / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def axe(pytestconfig):
    """Return the text of axe-core, of which nothing is in this repository."""
    given = os.environ.get("GANMILL_AXE")
    if given:
        return Path(given).read_text(encoding="utf-8")
    folder = Path(pytestconfig.rootpath) / "build" / "axe"
    found = sorted(folder.glob("axe-core-*.tgz"))
    if not found and shutil.which("npm"):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", AXE, "--silent", "--pack-destination", str(folder)]
        subprocess.run(command, check=False, capture_output=True, timeout=120)
        found = sorted(folder.glob("axe-core-*.tgz"))
    if not found:
        pytest.skip("axe-core is not to be had: set GANMILL_AXE to a file axe.min.js")
    with tarfile.open(found[-1]) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode("utf-8")


@pytest.fixture
def show(chromium):
    """Return a function that opens a page at a width, in a colour scheme."""
    contexts = []

    def opened(path, width=1400, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": SCREEN}, color_scheme=scheme, bypass_csp=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(Path(path).as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_reaches_beyond_the_page(pages, show, pictures, name, width):
    for scheme in ("light", "dark"):
        page = show(pages / f"{name}.html", width, scheme)
        found = page.evaluate(OUTSIDE)
        page.screenshot(path=pictures / f"report-{name}-{width}-{scheme}.png", full_page=True)
        assert (found["found"], found["scroll"]) == ([], found["width"])
        assert found["height"] / SCREEN <= MOST_SCREENS[width]
        assert page.evaluate(CLIPPED) == []
        assert page.evaluate(SMALL) == []
    if width == WIDTHS[0]:
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert page.evaluate(LEFT_OUT) == 0, "a phone does not show every column"
        assert page.evaluate(OUTSIDE)["found"] == []


@pytest.mark.parametrize("name", MAKERS)
def test_axe_finds_no_serious_violation(pages, show, axe, name):
    for scheme in ("light", "dark"):
        page = show(pages / f"{name}.html", 1200, scheme)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        bad = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in bad] == []


@pytest.mark.parametrize("name", MAKERS)
def test_on_paper_everything_is_open(pages, show, pictures, name):
    page = show(pages / f"{name}.html", 1200)
    file = pictures / f"report-{name}.pdf"
    page.pdf(path=file, format="A4", print_background=True)
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", file.read_bytes())) <= 30
    page.emulate_media(media="print")
    closed = page.evaluate(
        "[...document.querySelectorAll('details:not([open]) > :not(summary)')]"
        ".filter(one => !one.checkVisibility({contentVisibilityAuto: true})).length"
    )
    assert closed == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_stay_on_the_page(make_report, show, pictures, tmp_path, width):
    file = tmp_path / "hostile.html"
    file.write_text(render(hostile_report(make_report, 40)), encoding="utf-8")
    page = show(file, width)
    said = []
    page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
    found = page.evaluate(OUTSIDE)
    page.screenshot(path=pictures / f"report-hostile-{width}.png", full_page=True)
    assert (found["found"], found["scroll"]) == ([], found["width"])
    assert not said
    assert page.evaluate("document.scripts.length") == 0
