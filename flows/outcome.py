"""What a job came to: for the screen, for `--json`, for the tracked run's artifacts."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flows.cost import Cost
from flows.job import Job
from flows.results import Choice, ChoiceKind, Judged, Made
from gan.report import Report, Verdict
from storage.lake import datasets, layout
from storage.lake.manifest import Manifest
from storage.shards.format import load_format

Label = str | int | bool


@dataclass(frozen=True, kw_only=True)
class Published:
    """The data set version that readers see."""

    version: str
    path: str
    """Folder of the shards, as a reader types it."""
    reading: tuple[str, ...]
    """Lines of Python with which pandas reads them."""
    manifest: str
    report_html: str
    rows: int
    shards: int
    total_bytes: int
    class_counts: tuple[tuple[Label, int], ...]
    existed: bool
    """True when an earlier run had published it."""
    verdict: str
    """Of the generator when the version was published."""
    override: Mapping[str, Any] | None
    """by, reason and at, where a person published against the verdict."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a job."""

    name: str
    status: Literal["published", "present", "blocked"]
    """present: everything had been done before."""
    choice: ChoiceKind
    reason: str
    generator: str
    """Version of the generator that synthesized; with `blocked`, of the candidate."""
    report: Report
    report_page: str
    """The HTML report, as a path or URI."""
    published: Published | None
    cost: Cost
    """What this run used, whatever earlier runs had done for it."""

    @property
    def verdict(self) -> Verdict:
        """What the gate says of the generator."""
        return self.report.verdict

    def to_json(self) -> dict[str, Any]:
        """Return the outcome for machines; the report without its figures."""
        return {
            "name": self.name,
            "status": self.status,
            "choice": self.choice,
            "reason": self.reason,
            "generator": self.generator,
            "verdict": self.verdict,
            "reasons": [dataclasses.asdict(reason) for reason in self.report.reasons],
            "metrics": [dataclasses.asdict(metric) for metric in self.report.metrics],
            "report": self.report_page,
            "published": None if self.published is None else dataclasses.asdict(self.published),
            "cost": self.cost.to_json(),
        }


def blocked_outcome(job: Job, choice: Choice) -> Outcome:
    """Return the outcome of a job that publishes nothing."""
    judged = choice.judged
    return Outcome(
        name=job.name,
        status="blocked",
        choice=choice.kind,
        reason=choice.reason,
        generator=judged.version,
        report=judged.report,
        report_page=report_page(job, judged),
        published=None,
        cost=job.spent.so_far(),
    )


def published_outcome(job: Job, choice: Choice, made: Made) -> Outcome:
    """Return the outcome of a job whose version is in the lake."""
    name, version = made.plan.name, made.plan.version
    manifest = datasets.read_manifest(job.lake, name, version)
    page = in_lake(job, layout.meta_key(name, version, "report.html"))
    folder = in_lake(job, layout.version_folder(name, version)) + "/"
    published = Published(
        version=version,
        path=folder,
        reading=how_to_read(manifest, folder),
        manifest=in_lake(job, layout.manifest_key(name, version)),
        report_html=page,
        rows=manifest.rows,
        shards=len(manifest.files),
        total_bytes=manifest.total_bytes,
        class_counts=tuple(manifest.class_counts),
        existed=made.committed,
        verdict=str(manifest.fields.gate.get("verdict", "-")),
        override=manifest.fields.gate.get("override"),
    )
    return Outcome(
        name=name,
        status="present" if made.committed else "published",
        choice=choice.kind,
        reason=choice.reason,
        generator=choice.judged.version,
        report=choice.judged.report,
        report_page=page,
        published=published,
        cost=job.spent.so_far(),
    )


def how_to_read(manifest: Manifest, folder: str) -> tuple[str, ...]:
    """Return the lines of Python with which pandas reads a version from its folder."""
    shard_format = load_format(manifest.shard_format)
    return shard_format.how_to_read(folder, len(manifest.files), manifest.schema)


def report_page(job: Job, judged: Judged) -> str:
    """Return the HTML report of a generator, as the user would type it."""
    key = layout.generator_report_key(job.name, judged.version, judged.report_digest, "report.html")
    return in_lake(job, key)


def in_lake(job: Job, key: str) -> str:
    """Return an object of the lake as the user would type it."""
    uri = job.recipe.output.lake.rstrip("/").removeprefix("./")
    return f"{uri}/{key}"
