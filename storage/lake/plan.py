"""What a data set version will hold, decided before the first record is made.

Pure functions from a configuration to a `Plan`: rows and class counts of every shard, the schema,
the version. The first publisher to arrive stores the plan, everyone else reads it
(`storage.lake.publish.agree`), so that several publishers of one run make one version.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

import pyarrow as pa

from storage.digests import canonical_json
from storage.errors import IntegrityError, PlanError
from storage.lake import layout
from storage.lake.shard_plan import (
    ShardPlan,
    ShardTable,
    plan_shards,
    total_counts,
    total_rows,
)
from storage.lake.synthesis import (
    SynthesisConfig,
    check_conditions,
    counted_records,
    plan_classes,
    plan_rows,
    resolve_balance,
)
from storage.records.modalities import MODALITIES
from storage.records.schema import ClassCounts, Condition, read_class_counts, soft_label_columns
from storage.records.table_metadata import read_table_metadata
from storage.shards.format import SAMPLE_ID, load_format

FORMAT = "ganmill-plan/1"
RUNS_FORMAT = "ganmill-plan/2"
"""Of a plan of so many shards that they are written as runs of equal ones."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose data this is: what made it, and under which name."""

    name: str
    run_key: str
    generator: str
    """Name and version of the generator, `digits/20260101T000000Z-0123abcd`."""
    snapshot_digest: str
    """sha256 of the generator's snapshot.json."""


@dataclass(frozen=True, kw_only=True)
class RecordKind:
    """What the records look like, and the classes of the real ones."""

    schema: pa.Schema
    """Of the records, without `sample_id`."""
    label: str | None
    """The column that conditions the generation, or None."""
    class_counts: ClassCounts
    """Of the real training records; empty where nothing conditions."""
    modality: str
    """A name in `storage.records.modalities.MODALITIES`."""
    bytes_per_row: int | None = None
    """Encoded size of one record where it was measured; else the format's own guess."""
    split_counts: Mapping[str, ClassCounts] = field(default_factory=dict)
    """Split → class counts of its real records, for `balance: fill`."""
    teacher: str = ""
    """sha256 of the teacher, for `labels: teacher`; empty while there is none yet."""
    teacher_file: str = ""
    """Its name among the generator's internal files."""


@dataclass(frozen=True, kw_only=True)
class TeacherPlan:
    """What a teacher says of every record."""

    sha256: str
    """Of its file; empty in a plan that only foresees it."""
    columns: tuple[str, ...]
    """Where its probabilities stand, in the order of the classes; one column for a number."""
    relabels: bool
    """Whether the label is drawn from its probabilities; else it stays what was asked for."""
    picks: int = 1
    """So many records are drawn for one that is kept: those whose class the teacher believes."""
    file: str = "teacher"
    """Its name among the generator's internal files; early plans do not say it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides the bytes of a version, agreed before work starts."""

    identity: Identity
    version: str
    created: datetime
    """UTC, whole seconds."""
    attempt: int
    """1, or more when earlier attempts were abandoned or have been retired since."""
    format: str
    """Key of a shard format; see `storage.records.modalities.FormatEntry`."""
    schema: pa.Schema
    """Of the records, without `sample_id`."""
    label: str | None
    """The column that conditions the generation."""
    seed: int
    shards: Sequence[ShardPlan]
    given: tuple[Condition, ...] = ()
    """What every record must have."""
    resolved: Mapping[str, Any] = field(default_factory=dict)
    """What every `auto` became; plain JSON values. `filled_up`: with `balance: fill`, pairs of
    class and real records that were counted. `teacher`: with `labels: teacher`."""

    @property
    def teacher(self) -> TeacherPlan | None:
        """What a teacher says of every record; None without one."""
        raw = self.resolved.get("teacher")
        return None if raw is None else TeacherPlan(**raw | {"columns": tuple(raw["columns"])})

    @property
    def name(self) -> str:
        """The data set."""
        return self.identity.name

    @property
    def record_schema(self) -> pa.Schema:
        """Of the records as a shard holds them: with a `sample_id` where the format has one."""
        if not load_format(self.format).sample_ids:
            return self.schema
        fields = [pa.field(SAMPLE_ID, pa.int64()), *self.schema]
        return pa.schema(fields, metadata=self.schema.metadata)

    @property
    def rows(self) -> int:
        """Records of the whole version."""
        return total_rows(self.shards)

    @property
    def class_counts(self) -> ClassCounts:
        """Class counts of the whole version."""
        return total_counts(self.shards)

    def shard_key(self, index: int) -> str:
        """Return where shard `index` lies in the lake."""
        extension = load_format(self.format).extension
        return layout.shard_key(self.name, self.version, index, len(self.shards), extension)

    def shard_metadata(self, index: int) -> dict[str, str]:
        """Return what shard `index` says of itself."""
        return {
            "synthetic": "true",
            "generator": self.identity.generator,
            "snapshot_digest": self.identity.snapshot_digest,
            "run_key": self.identity.run_key,
            "version": self.version,
            "shard_index": str(index),
        }

    def to_json(self) -> bytes:
        """Return canonical JSON; equal plans give equal bytes."""
        shards: dict[str, Any] = {"shards": [asdict(shard) for shard in self.shards]}
        if isinstance(self.shards, ShardTable):
            shards = {"shard_runs": self.shards.to_runs()}
        return canonical_json(
            {
                "format": RUNS_FORMAT if "shard_runs" in shards else FORMAT,
                **asdict(self.identity),
                "version": self.version,
                "created": self.created.isoformat(),
                "attempt": self.attempt,
                "shard_format": self.format,
                "schema": schema_text(self.schema),
                "label": self.label,
                "seed": self.seed,
                **shards,
                "given": [each.model_dump(mode="json") for each in self.given],
                "resolved": dict(self.resolved),
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a plan.

        Raises:
            IntegrityError: these bytes are no plan that this version of ganmill reads.
        """
        try:
            raw = json.loads(data)
            if raw["format"] not in (FORMAT, RUNS_FORMAT):
                raise ValueError(raw["format"])  # noqa: TRY301 - one translation for every defect
            return cls(
                identity=Identity(**{field.name: raw[field.name] for field in fields(Identity)}),
                version=raw["version"],
                created=datetime.fromisoformat(raw["created"]),
                attempt=raw["attempt"],
                format=raw["shard_format"],
                schema=schema_from_text(raw["schema"]),
                label=raw["label"],
                seed=raw["seed"],
                shards=_read_shards(raw),
                given=tuple(Condition.model_validate(one) for one in raw.get("given", ())),
                resolved=raw["resolved"],
            )
        except (ValueError, KeyError, TypeError, RecursionError, pa.ArrowInvalid) as error:
            msg = f"this is no {FORMAT} plan ({error!r}); delete it and run again"
            raise IntegrityError(msg) from error


def _read_shards(raw: Mapping[str, Any]) -> Sequence[ShardPlan]:
    if raw["format"] == RUNS_FORMAT:
        return ShardTable.from_runs(raw["shard_runs"])
    return tuple(
        ShardPlan(**one | {"class_counts": read_class_counts(one["class_counts"])})
        for one in raw["shards"]
    )


def schema_text(schema: pa.Schema) -> str:
    """Return the schema as base64 of its Arrow IPC message."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def schema_from_text(text: str) -> pa.Schema:
    """Read what `schema_text` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))


def propose(
    identity: Identity,
    config: SynthesisConfig,
    kind: RecordKind,
    *,
    format: str,
    created: datetime,
) -> Plan:
    """Return the plan of this run, if it is the first to arrive.

    Args:
        identity: name, run key, generator.
        config: what is wanted; its seed is resolved.
        kind: what the records look like.
        format: key of the shard format; see `storage.shards.format.format_for`.
        created: a time with a zone; the version begins with it.

    Raises:
        PlanError: balance, conditions, format or seed cannot be planned.
    """
    config = resolve_balance(config, kind.modality)
    if config.seed == "night":
        msg = "synthesis.seed is still 'night'; resolve it to the scheduled date before planning"
        raise PlanError(msg)
    check_conditions(config.given, kind.schema, kind.modality)
    teacher = plan_teacher(config, kind)
    counted = counted_records(config, kind.class_counts, kind.split_counts)
    class_counts = plan_classes(config, kind.class_counts, kind.label, counted)
    if teacher is not None and teacher.relabels:
        class_counts = ()  # the teacher decides
    schema = kind.schema if teacher is None else with_soft_labels(kind.schema, teacher)
    rows = plan_rows(config, class_counts)
    bytes_per_row = kind.bytes_per_row or load_format(format).bytes_per_row(schema)
    shards = plan_shards(class_counts, rows, bytes_per_row, config.shard_samples)
    stamp = created.astimezone(UTC).replace(microsecond=0)
    resolved: dict[str, Any] = {"shard_samples": shards[0].rows, "bytes_per_row": bytes_per_row}
    if config.balance == "fill":
        resolved["filled_up"] = [list(pair) for pair in counted]
    if teacher is not None:
        resolved["teacher"] = asdict(teacher) | {"columns": list(teacher.columns)}
    return Plan(
        identity=identity,
        version=layout.make_version(stamp, identity.run_key),
        created=stamp,
        attempt=1,
        format=format,
        schema=schema,
        label=kind.label,
        seed=config.seed,
        shards=shards,
        given=config.given,
        resolved=resolved,
    )


MOST_TAUGHT = 100
"""Classes that a teacher can have; each is a column."""
PICKS = 4
"""Records drawn for one of a class that was asked for."""


def plan_teacher(config: SynthesisConfig, kind: RecordKind) -> TeacherPlan | None:
    """Return what a teacher shall say of every record; None without one.

    It decides the label itself where nothing was asked of the label: `balance` is real, `given`
    says nothing of it, and no constraint is about it. Else the label stays what was asked for; and
    where other shares of the classes were asked for than the real ones, it picks the records,
    unless the table has keys or what must be unique, which are counted.

    Raises:
        PlanError: these records can have no teacher.
    """
    if config.labels != "teacher":
        return None
    row = MODALITIES[kind.modality]
    if row.teacher is None:
        able = " and ".join(name for name, other in MODALITIES.items() if other.teacher)
        msg = (
            f"synthesis.labels is 'teacher', but the records are {kind.modality}: teachers are for "
            f"{able}; set it to generator"
        )
        raise PlanError(msg)
    if kind.label is None:
        msg = (
            "synthesis.labels is 'teacher', but the source has no label that it could learn; name "
            "source.label, or set synthesis.labels to generator"
        )
        raise PlanError(msg)
    if len(kind.class_counts) > MOST_TAUGHT:
        msg = (
            f"synthesis.labels is 'teacher', but the label {kind.label!r} has "
            f"{len(kind.class_counts)} classes, each of which would be a column; at most "
            f"{MOST_TAUGHT} are possible: set it to generator"
        )
        raise PlanError(msg)
    classes = [one for one, _ in kind.class_counts]
    if not classes and _is_text(kind.schema.field(kind.label).type):
        msg = (
            f"synthesis.labels is 'teacher', but the label {kind.label!r} is text with too many "
            "classes to tell apart (more than 50): set it to generator"
        )
        raise PlanError(msg)
    metadata = read_table_metadata(kind.schema)
    constraints = () if metadata is None else metadata.constraints
    bound = {each.column for each in config.given} | {n for c in constraints for n in c.columns}
    columns = () if metadata is None else metadata.columns
    counted = any(one.kind == "key" for one in columns)
    counted |= any(one.kind == "unique" for one in constraints)
    asked = config.balance != "real" or not row.takes_conditions or kind.label in bound
    return TeacherPlan(
        sha256=kind.teacher,
        columns=soft_label_columns(kind.schema.names, kind.label, classes),
        relabels=bool(classes) and not asked,
        picks=PICKS if classes and config.balance != "real" and not counted else 1,
        **({"file": kind.teacher_file} if kind.teacher_file else {}),
    )


def _is_text(type_: pa.DataType) -> bool:
    plain = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def with_soft_labels(schema: pa.Schema, teacher: TeacherPlan) -> pa.Schema:
    """Return the schema with a teacher's columns behind the others; its metadata stays."""
    fields_ = [*schema, *(pa.field(name, pa.float64()) for name in teacher.columns)]
    return pa.schema(fields_, metadata=schema.metadata)
