"""Night after night on one lake: what is trained, what goes on, and what a second call does."""

import io
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lenient import setting
from PIL import Image

from flows.evaluate import Evaluator, read_training_record
from flows.job import Job, Outcome, open_job
from flows.nightly import find_finished, nightly, plain_stages
from flows.recipe import load_recipe
from gan.errors import OutdatedError
from storage.lake import promotions, registry
from storage.lake.datasets import versions
from storage.lake.layout import version_time

BOUNDS = setting(fd=15)
"""FD ÷ ceiling: the champion has less than 2 on pictures like its own, 30 on inverted ones."""


@dataclass
class Told:
    """A reporter that keeps what it was told."""

    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def meter(self, *_):
        return nullcontext(Silent())


class Silent:
    def update(self, *_, **__) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class Nights:
    """The small job, run as of some night after its champion was made."""

    recipe: Path
    first: date

    def open(self, days: int, *changes: str) -> Job:
        recipe = load_recipe(self.recipe, ("synthesis.seed=night", *changes))
        return open_job(recipe, scheduled=self.first + timedelta(days=days), reporter=Told())

    def run(self, days: int, *changes: str) -> tuple[Outcome, list[str], Job]:
        job = self.open(days, *changes)
        outcome = nightly(job, plain_stages(job))
        return outcome, job.reporter.said, job


@pytest.fixture
def nights(copy, monkeypatch) -> Nights:
    """A copy of the finished job, which published from a champion that was trained just now."""
    monkeypatch.chdir(copy.folder)
    recipe = Path("stripes.yaml")
    champion = promotions.champion(open_job(load_recipe(recipe)).lake, "stripes")
    return Nights(recipe=recipe, first=version_time(champion.version).date())


def repaint(change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change every picture of the source."""
    path = Path("stripes.parquet")
    table = pq.read_table(path)
    images = []
    for row in table["image"].to_pylist():
        picture, buffer = np.array(Image.open(io.BytesIO(row["bytes"]))), io.BytesIO()
        Image.fromarray(change(picture)).save(buffer, "PNG")
        images.append({"bytes": buffer.getvalue(), "path": None})
    images = pa.array(images, table.schema.field("image").type)
    path.unlink()
    pq.write_table(table.set_column(0, "image", images), path)


def generators(job: Job) -> int:
    return len(registry.candidates(job.lake, "stripes"))


def test_an_unchanged_source_trains_nothing_and_every_night_has_its_version(nights):
    first, said, job = nights.run(1)
    second, _, _ = nights.run(2)
    assert (first.status, second.status) == ("published", "published")
    assert first.generator == second.generator
    assert first.published.version != second.published.version
    assert len(versions(job.lake, "stripes")) == 3
    assert generators(job) == 1
    assert said[0] == f"Trained before: generator stripes/{first.generator}"
    assert nights.run(2)[0].status == "present", "a retry of the night makes nothing new"


@pytest.mark.full
def test_interval_goes_on_from_a_young_champion_then_drift_trains(nights):
    """Night 3: other pictures of the same kind. Night 4: pictures that the champion cannot make."""
    interval = ("training.when=interval", BOUNDS)
    repaint(np.flipud)
    young, said, job = nights.run(3, *interval)
    assert (young.status, young.choice) == ("published", "champion")
    assert said[0] == f"Champion {young.generator} is 3 days old; training is due in 4 days"
    assert generators(job) == 1

    repaint(lambda picture: 255 - picture)
    drifted, said, job = nights.run(4, *interval)
    assert f"Today's verdict on champion {young.generator} is block: training" in said
    assert generators(job) == 2
    assert (drifted.status, drifted.choice) == ("published", "promoted")
    assert f"the champion {young.generator} is blocked today" in drifted.reason

    again, said, job = nights.run(4, *interval)
    assert (again.status, again.choice, again.generator) == (
        "present",
        "champion",
        drifted.generator,
    )
    assert generators(job) == 2
    found = find_finished(nights.open(4, *interval), plain_stages(nights.open(4, *interval)))
    assert found.published.version == drifted.published.version


@pytest.mark.full
def test_interval_trains_on_the_changed_source_when_the_champion_is_old(nights):
    repaint(np.flipud)
    outcome, said, job = nights.run(7, "training.when=interval")
    assert "is 7 days old, and training is due after 7 days" in said[0]
    assert generators(job) == 2
    assert outcome.status == "published"


@pytest.mark.full
def test_a_champion_that_cannot_be_judged_on_today_s_records_trains(nights):
    repaint(lambda picture: np.kron(picture, np.ones((2, 2), np.uint8)))
    outcome, said, job = nights.run(1, "training.when=interval")
    assert said[1].startswith(f"The champion {champion(job)} cannot be judged today (")
    assert generators(job) == 2
    assert outcome.status == "blocked"
    assert "give the recipe another name" in outcome.reason


@pytest.mark.full
def test_changed_says_what_changed(nights):
    repaint(np.flipud)
    old = champion(nights.open(1))
    _, said, job = nights.run(1)
    assert said[0] == f"The source changed since champion {old} was trained: training"
    assert generators(job) == 2


@pytest.mark.full
def test_always_trains_once_a_night(nights):
    for night, trains in ((1, True), (1, False), (2, True)):
        _, said, job = nights.run(night, "training.when=always")
        told = f"training.when is always: training a generator of the night {job.scheduled}"
        assert (said[0] == told) is trains
    made = registry.candidates(job.lake, "stripes")
    seeds = [
        read_training_record(job.lake, "stripes", version).resolved["seed"] for version in made
    ]
    assert len(set(seeds)) == 3
    assert seeds[0] == 0


def champion(job: Job) -> str:
    return promotions.champion(job.lake, "stripes").version


@pytest.mark.full
@pytest.mark.parametrize("when", ["changed", "interval"])
def test_a_champion_of_an_algorithm_that_is_gone_has_a_successor(nights, monkeypatch, when):
    gone, load = champion(nights.open(0)), Evaluator._sampler

    def refuse(desk, version, digest):
        if version == gone:
            message = "the snapshot is of algorithm version 1"
            raise OutdatedError(message)
        return load(desk, version, digest)

    monkeypatch.setattr(Evaluator, "_sampler", refuse)
    repaint(np.flipud)
    outcome, said, job = nights.run(1, f"training.when={when}")
    assert outcome.status == "published"
    assert outcome.generator == champion(job) != gone
    assert any("algorithm version 1" in line for line in said)
    record = promotions.standing(job.lake, "stripes").records[-1]
    assert record.reason == f"the algorithm that made champion {gone} is gone"
