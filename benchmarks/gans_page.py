"""The page of every generator of images on equal budgets, made from the results of `gans`.

    python -m benchmarks.gans_page

writes `benchmarks/gans.md` from every `benchmarks/results/gans-*.json`. Figures of several seeds
are means, with the range in brackets.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.timing import RESULTS

PAGE = Path(__file__).with_name("gans.md")

HEAD = """# Generators of images by name, on equal budgets

    python -m benchmarks.gans IMAGES.parquet --label LABEL --budget-cpu-s 60 --store NAME
    python -m benchmarks.gans_page

The first command trains every preset of `ganmill presets` on one source and stores what the judge
finds; the second writes this page from what is stored. The images are split once, the judge learns
them once, and every preset and seed is held against the same holdout by the same nets. Coverage,
worst class, label accuracy and FD are of the worse of two feature nets and divided by what other
real images reach, copies by the share that is nominal (1: as real images); C2ST is the AUC with
which a small convolutional net tells synthetic images from real ones (.5: it cannot). The budget is
of training on one thread, and the assessments that choose the snapshot count in it. A step's speed
is images per processor second without them; `mixture` has no steps. Lift is off. At most 2,000
images are compared on each side and intervals are of 20 resamples, as a recipe's own judging would
cost more than these trainings.

A minute is short: what assessments leave of it shows the convolutional pairs some thousand images,
where their papers show them millions. So the table says what a user of a processor gets within a
minute, not what these systems can reach.
"""

COLUMNS = (
    ("FD ÷ ceiling", "fd", ".1f"),
    ("coverage", "coverage", ".2f"),
    ("worst class", "worst_class", ".2f"),
    ("label accuracy", "label_accuracy", ".2f"),
    ("copies", "copies", ".2f"),
    ("C2ST", "c2st_network", ".3f"),
    ("images per CPU-s", "images_per_cpu_s", ",.0f"),
    ("images seen", "samples_seen", ",.0f"),
    ("training, CPU-s", "training_cpu_s", ".0f"),
    ("assessing in it", "assessing_cpu_s", ".0f"),
)
"""Heading, key of a row, format."""


def figure(rows: Sequence[dict[str, Any]], key: str, form: str) -> str:
    """Return the mean over the seeds, with the range where there are several."""
    values = [row[key] for row in rows if row.get(key) is not None]
    if not values:
        return ""
    mean = format(fmean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ({format(min(values), form)} to {format(max(values), form)})"


def line(preset: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return a preset's line of the table."""
    ended = [row for row in rows if "failed" not in row]
    cells = [figure(ended, key, form) for _, key, form in COLUMNS]
    seeds = str(len(rows))
    if len(ended) < len(rows):
        seeds = f"{len(rows)}, of which {len(rows) - len(ended)} gave up"
    return f"| `{preset}` | {' | '.join(cells)} | {seeds} |"


def table(page: dict[str, Any], known: Sequence[str]) -> str:
    """Return the section of one source, the lowest Fréchet distance first.

    Args:
        page: the stored results.
        known: presets that were measured on any source; those that are missing here are named.
    """
    by_preset: dict[str, list[dict[str, Any]]] = {}
    for row in page["results"]:
        by_preset.setdefault(row["preset"], []).append(row)

    def distance(preset: str) -> float:
        found = [row["fd"] for row in by_preset[preset] if "fd" in row]
        return fmean(found) if found else float("inf")

    order = sorted(by_preset, key=distance)
    rows = page["rows"]
    headings = ["preset", *(heading for heading, _, _ in COLUMNS), "seeds"]
    twins = page.get("twins", {})
    same = [f"`{name}` is `{other}` here" for name, other in twins.items()]
    missing = [f"`{name}`" for name in known if name not in by_preset and name not in twins]
    left_out = [f"not measured: {', '.join(missing)}"] if missing else []
    said = [
        f"{rows['train']:,} images in train, {rows['validation']:,} in validation, "
        f"{rows['holdout']:,} held out, {page['compared']:,} compared on each side; "
        f"{page['budget_cpu_s']:g} CPU-seconds each; {page['machine']}, other processes beside"
    ]
    return "\n".join(
        [
            f"## {page['images']}",
            "",
            f"{'; '.join([*said, *same, *left_out])}.",
            "",
            f"| {' | '.join(headings)} |",
            f"|{' --- |' * len(headings)}",
            *(line(preset, by_preset[preset]) for preset in order),
            "",
        ]
    )


def page(results: Path = RESULTS) -> str:
    """Return the whole page."""
    pages = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("gans-*.json"))
    ]
    known = list(dict.fromkeys(row["preset"] for page in pages for row in page["results"]))
    return "\n".join([HEAD, *(table(page, known) for page in pages)])


def write() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
