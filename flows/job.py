"""One run of one recipe: its job, what its stages hand to each other, what it used, its outcome.

The values are small and frozen; everything large is in the lake or in the cache of this machine.
"""

import dataclasses
import resource
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from flows.errors import RecipeError
from flows.progress import Reporter, SilentReporter, StopSignal, make_reporter
from flows.recipe import Recipe
from gan.gate import Judgement
from gan.lift.result import Lift, lift_record
from gan.report import Evaluation, Report, Verdict
from storage.lake import datasets, layout
from storage.lake.file_list import FileEntry
from storage.lake.manifest import Manifest
from storage.lake.plan import Plan
from storage.lake.promotions import Promotion, PromotionDraft, Standing
from storage.shards.format import load_format
from storage.sources.overlap import find_overlap
from storage.sources.prepared import Prepared
from storage.stores.counting import CountingStore
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile, load_profile, load_settings

if TYPE_CHECKING:
    from flows.copy_tally import CopyTally


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A complete generator in the lake."""

    version: str
    snapshot_digest: str
    trained: bool = False
    """Whether this run trained it; False when the lake had it already."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A generator, what was measured on it today, and what the gate says."""

    version: str
    snapshot_digest: str
    split_digest: str
    """Of the split rule it was trained under."""
    evaluation: Evaluation
    judgement: Judgement
    report: Report
    report_digest: str

    @property
    def lift(self) -> Lift | None:
        """Whether its records help a downstream model; None where that was not measured."""
        return self.report.lift


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """The candidate, and the champion when it is another generator, on the same holdout."""

    standing: Standing
    """The log of promotions as it was when this was measured."""
    challenger: Judged
    champion: Judged | None
    is_outdated: bool = False
    """Whether the champion is of an algorithm version that cannot be run any more."""
    is_damaged: bool = False
    """Whether the champion's files are not those that were stored."""
    seen: frozenset[str] = frozenset()
    """What blocked in the report on which a person made the champion."""

    @property
    def is_champion(self) -> bool:
        """Whether the candidate is the champion already: the version, and the very files."""
        champion, mine = self.standing.champion, self.challenger
        return champion is not None and champion.is_of(mine.version, mine.snapshot_digest)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a person is asked about the generator of a choice before the job goes on."""

    kind: Literal["override", "approval"]
    """override: the gate refused this generator. approval: it passed, and a person must agree."""
    why: str
    """The gate's sentence."""
    default: str
    """What the gate would do if it did not ask, as an infinitive."""
    champion: str | None
    """The generator that publishes when the answer is `keep champion`; None when none can."""
    blocking_reason: str = ""
    """Why no champion can, as a sentence's second half."""


Answer = Literal["publish", "keep champion", "stop"]
"""What a person may decide."""
ChoiceKind = Literal["promoted", "champion", "kept", "blocked", "asked"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Who synthesizes, and why."""

    kind: ChoiceKind
    """promoted: the candidate took over. champion: the candidate had been promoted before.
    kept: the champion synthesizes although the candidate was refused. blocked: nobody does.
    asked: nobody does until a person has answered the question."""
    judged: Judged
    """The generator that synthesizes; with `blocked` and `asked`, the candidate."""
    reason: str
    draft: PromotionDraft | None = None
    """What `promote` adds to the log of promotions; None when the log says it already."""
    question: Question | None = None
    """With `asked`."""
    signed: Promotion | None = None
    """The record by which a person made the generator champion; None when the gate did."""

    @property
    def override(self) -> Promotion | None:
        """The record by which a person publishes this report although the gate refuses it."""
        signed, judged = self.signed, self.judged
        if signed is None or signed.overrides(judged.report_digest):
            return signed
        is_blocked = judged.judgement.verdict == "block"
        return signed if is_blocked and signed.outlasts_reports(judged.snapshot_digest) else None

    @property
    def approval(self) -> Promotion | None:
        """The record by which a person agreed to it, where nothing had to be overridden."""
        return None if self.override else self.signed


@dataclass(frozen=True, kw_only=True)
class SynthesisResult:
    """Shards that are in the lake."""

    plan: Plan
    entries: Mapping[int, FileEntry] = field(default_factory=dict)
    """Those this run has put."""
    copies: "CopyTally | None" = None
    """What was counted of their records so far."""
    committed: bool = False
    """True when the version was published before."""


def _cpu_s() -> float:
    """Return the processor seconds of this process and of its children that were waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass(kw_only=True)
class Spending:
    """The running account of one run; its clocks start when it is made."""

    gpu_s: float = 0.0
    """Wall time in which training, evaluation or synthesis held a CUDA device, busy or not; of
    several together the sum."""
    written_bytes: int = 0
    """Objects created or replaced in the lake: checkpoints, generator, reports, shards, papers."""
    started_s: float = field(default_factory=monotonic)
    cpu_before_s: float = field(default_factory=_cpu_s)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def wrote(self, size_bytes: int) -> None:
        """Add an object that was put in the lake; from any thread."""
        with self._lock:
            self.written_bytes += size_bytes

    @contextmanager
    def using(self, device: str, devices: int = 1) -> Iterator[None]:
        """Count the time of the block as GPU time, of so many, when the device is one."""
        began_s = monotonic()
        try:
            yield
        finally:
            if device.startswith("cuda"):
                self.gpu_s += devices * (monotonic() - began_s)

    def so_far(self) -> dict[str, float]:
        """Return what was used until now, for the manifest and `--json`.

        `wall_s` counts from the opening of the lake, waiting included; `cpu_s` is of this process
        and of its worker processes that have ended; actors of a Ray cluster are not in it.
        """
        return {
            "wall_s": round(monotonic() - self.started_s, 3),
            "cpu_s": round(_cpu_s() - self.cpu_before_s, 3),
            "gpu_s": round(self.gpu_s, 3),
            "written_bytes": self.written_bytes,
        }


def uncounted(lake: ObjectStore) -> ObjectStore:
    """Return the lake without its counter, for objects that are counted when they are done."""
    return lake.inner if isinstance(lake, CountingStore) else lake


def cost_text(cost: Mapping[str, Any]) -> str:
    """Return the cost that a manifest or an outcome holds as a line for people."""
    gpu = f"{cost['gpu_s']:,.0f} GPU-s, " if cost["gpu_s"] else ""
    written = f"{cost['written_bytes'] / 2**20:,.1f} MiB written"
    return f"{gpu}{cost['cpu_s']:,.0f} CPU-s in {cost['wall_s']:,.0f} s, {written}"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one recipe. Holds credentials in memory: never a task parameter, never logged."""

    recipe: Recipe
    lake: ObjectStore
    lake_profile: StorageProfile | None
    work: Path
    """Folder of this machine for caches and checkpoints; it may be lost at any time."""
    scheduled: date
    """The night this run belongs to; a retry keeps it."""
    reporter: Reporter = field(default_factory=SilentReporter)
    stop: StopSignal = field(default_factory=StopSignal)
    emit: Callable[[Any], None] | None = None
    """Sends a `storage.lake.announce.Announcement`; None: they stay pending."""
    spent: Spending = field(default_factory=Spending)
    """What this run has used so far."""
    gpu_lease: Callable[[int], AbstractContextManager[object]] = nullcontext
    """Held while training on so many GPUs; waits until they are free."""

    @property
    def name(self) -> str:
        """Of the generator and the data set."""
        return self.recipe.name

    @property
    def lake_uri(self) -> str:
        """The lake, absolute, so that another process finds it from any folder."""
        uri = self.recipe.output.lake
        return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def open_job(
    recipe: Recipe,
    *,
    scheduled: date | None = None,
    reporter: Reporter | None = None,
    stop: StopSignal | None = None,
) -> Job:
    """Open the lake of a recipe and return the job.

    Raises:
        SettingsError: the storage profile does not exist, or the lake's URI is not served.
        RecipeError: source and lake overlap, so that the job would read its own output.
    """
    check_apart(recipe)
    profile = None if recipe.output.storage is None else load_profile(recipe.output.storage)
    spent = Spending()
    return Job(
        recipe=recipe,
        lake=CountingStore(open_store(recipe.output.lake, profile), spent.wrote),
        lake_profile=profile,
        work=load_settings().work_folder,
        scheduled=scheduled or datetime.now(UTC).date(),
        reporter=reporter or SilentReporter(),
        stop=stop or StopSignal(),
        spent=spent,
    )


def check_apart(recipe: Recipe) -> None:
    """Check that neither the source nor the holdout can hold what the lake holds.

    Raises:
        RecipeError: one can.
    """
    source, output = recipe.source, recipe.output
    read = {"source.uri": source.uri, "source.split.holdout_uri": source.split.holdout_uri}
    for place, uri in read.items():
        overlap = None
        if uri is not None:
            overlap = find_overlap(
                uri, output.lake, source_storage=source.storage, lake_storage=output.storage
            )
        if overlap is not None:
            msg = (
                f"`{place}` {uri!r} {overlap} the lake {output.lake!r}, so a later run would learn "
                "from synthetic data: write the lake to a place of its own with `output.lake`, or "
                f"name the real data alone in `{place}`"
            )
            raise RecipeError(msg)


@contextmanager
def opened(recipe: Recipe) -> Iterator[Job]:
    """Open the job of a command: its progress goes to standard error, signals stop it."""
    stop = StopSignal()
    with stop.listening():
        yield open_job(recipe, reporter=make_reporter(), stop=stop)


def judges_folder(job: Job) -> Path:
    """Return where this machine keeps what judges learned of real records; it may go at any time.

    It lies beside the records themselves, and is as confidential as they are.
    """
    return job.work / "judges"


def now() -> datetime:
    """Return the time, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


Status = Literal["published", "present", "blocked"]
"""How a job ended; present: everything had been done before."""
ClassLabel = str | int | bool
"""A class as the real data names it."""


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
    class_counts: tuple[tuple[ClassLabel, int], ...]
    existed: bool
    """True when an earlier run had published it."""
    verdict: str
    """Of the generator when the version was published."""
    override: Mapping[str, Any] | None
    """by, reason and at, where a person published against the verdict."""
    composition: tuple[str, ...] = ()
    """What was re-weighted or conditioned after the verdict, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a job."""

    name: str
    status: Status
    choice: ChoiceKind
    reason: str
    generator: str
    """Version of the generator that synthesized; with `blocked`, of the candidate."""
    report: Report
    report_page: str
    """The HTML report, as a path or URI."""
    published: Published | None
    cost: Mapping[str, float]
    """What this run used (`Spending.so_far`), whatever earlier runs had done for it."""

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
            "lift": lift_record(self.report.lift),
            "report": self.report_page,
            "published": None if self.published is None else dataclasses.asdict(self.published),
            "cost": dict(self.cost),
        }


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The stages of one job (`flows.nightly`); the tracked run wraps each as a task."""

    prepare: Callable[[], Prepared]
    watch: Callable[[Prepared], Candidate | None]
    train: Callable[[Prepared], Candidate]
    evaluate: Callable[[Prepared, Candidate], Assessed]
    lift: Callable[[Prepared, Assessed], Assessed]
    gate: Callable[[Assessed], Choice]
    ask: Callable[[Assessed, Choice], Choice]
    promote: Callable[[Assessed, Choice], Choice]
    synthesize: Callable[[Prepared, Choice], SynthesisResult]
    publish: Callable[[Prepared, Choice, SynthesisResult], Outcome]


def outcome_of(job: Job, choice: Choice, made: SynthesisResult | None = None) -> Outcome:
    """Return the outcome of a job, which published nothing if no shards were made."""
    published = None if made is None else _published(job, made)
    status: Status = "blocked"
    if published is not None:
        status = "present" if published.existed else "published"
    return Outcome(
        name=job.name,
        status=status,
        choice=choice.kind,
        reason=choice.reason,
        generator=choice.judged.version,
        report=choice.judged.report,
        report_page=published.report_html if published else report_page(job, choice.judged),
        published=published,
        cost=job.spent.so_far(),
    )


def _published(job: Job, made: SynthesisResult) -> Published:
    name, version = made.plan.name, made.plan.version
    manifest = datasets.read_manifest(job.lake, name, version)
    folder = in_lake(job, layout.version_folder(name, version)) + "/"
    return Published(
        version=version,
        path=folder,
        reading=how_to_read(manifest, folder),
        manifest=in_lake(job, layout.manifest_key(name, version)),
        report_html=in_lake(job, layout.meta_key(name, version, "report.html")),
        rows=manifest.rows,
        shards=len(manifest.files),
        total_bytes=manifest.total_bytes,
        class_counts=tuple(manifest.class_counts),
        existed=made.committed,
        verdict=str(manifest.fields.gate.get("verdict", "-")),
        override=manifest.fields.gate.get("override"),
        composition=tuple(manifest.fields.composition.get("sentences", ())),
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
