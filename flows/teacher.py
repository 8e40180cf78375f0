"""The teacher of a generator: fitted once, kept beside it, read by whoever makes shards.

    generators/<name>/<version>/internal/teacher-<key>    put once: who comes first decides

The key says what it learned: a generator that is kept while its source, split or label changes gets
another teacher, whose classes are those of today. It learned from the training records alone, so
that validation and holdout records can still say what its labels are worth. A plan names its file
and digest: shard i depends on the plan and i, whoever makes it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from flows.job import Job
from flows.keys import reading_part, source_part
from flows.recipe import Recipe
from storage.digests import digest_json, sha256_file, sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError, PlanError
from storage.lake.layout import generator_internal_key
from storage.lake.plan import Plan, RecordKind, plan_teacher, schema_text
from storage.records.durable import replace_file
from storage.sources.prepared import Prepared
from storage.stores.interface import put_or_agree, read_agreed

if TYPE_CHECKING:
    import pyarrow as pa

    from gan.teacher import Labeller, Teacher


def check_teacher(recipe: Recipe, prepared: Prepared) -> None:
    """Refuse `labels: teacher` before anything is trained, where it cannot be had.

    Raises:
        PlanError: the records can have no teacher.
        ConfigError: a library is missing.
        DataError: nothing can be learned from the training records.
    """
    from gan.modalities import load_modality

    if plan_teacher(recipe.synthesis, record_kind(prepared)) is not None:
        load_modality(prepared.modality).check_teacher(
            prepared.records["train"], label=str(prepared.label), classes=classes_of(prepared)
        )


def classes_of(prepared: Prepared) -> tuple[str | int | bool, ...]:
    """Return the classes that a teacher tells apart; empty where the label is a number."""
    return tuple(one for one, _ in prepared.class_counts["train"])


def teacher_file(recipe: Recipe, prepared: Prepared) -> str:
    """Return the name of the teacher's file, which says all that it learned from.

    Raises:
        ConfigError: these records have no teacher.
    """
    from gan.modalities import load_modality

    learned = {
        "schema": load_modality(prepared.modality).teacher_schema,
        "source_digest": prepared.source_digest,
        "split_digest": prepared.split_digest,
        "source": source_part(recipe, prepared),
        **reading_part(prepared),
        "columns": schema_text(prepared.schema),
        "label": prepared.label,
        "classes": list(classes_of(prepared)),
        "seed": recipe.seed,
    }
    return f"teacher-{digest_json(learned)[:16]}"


def fit_teacher(job: Job, prepared: Prepared, version: str) -> str:
    """Return the sha256 of the teacher of a generator, which learns now where there is none yet.

    Raises:
        ConfigError, DataError: as `check_teacher`.
        LakeError: the lake failed.
    """
    from gan.modalities import load_modality
    from gan.randomness import derive

    key = generator_internal_key(job.name, version, teacher_file(job.recipe, prepared))
    try:
        data = read_agreed(job.lake, key)
    except ObjectNotFoundError:
        train = prepared.records["train"]
        job.reporter.say(f"Teaching {prepared.label!r} on {train.num_rows:,} real training rows")
        fitted = load_modality(prepared.modality).fit_teacher(
            train,
            label=str(prepared.label),
            classes=classes_of(prepared),
            seed=derive(job.recipe.seed, "teacher"),
        )
        data = put_or_agree(job.lake, key, fitted)
    return sha256_hex(data)


def can_teach(recipe: Recipe, prepared: Prepared) -> bool:
    """Say whether a teacher could tell the classes of these records apart."""
    try:
        synthesis = recipe.synthesis.model_copy(update={"labels": "teacher"})
        return bool(classes_of(prepared)) and bool(plan_teacher(synthesis, record_kind(prepared)))
    except PlanError:
        return False


def teacher_of(prepared: Prepared, train: "pa.Table", seed: int) -> "Teacher":
    """Return a teacher that is kept nowhere, to measure what it is worth by itself.

    Raises:
        ConfigError, DataError: as `check_teacher`.
    """
    from gan.modalities import load_modality
    from gan.randomness import derive

    modality = load_modality(prepared.modality)
    fitted = modality.fit_teacher(
        train,
        label=str(prepared.label),
        classes=classes_of(prepared),
        seed=derive(seed, "teacher"),
    )
    return modality.load_teacher(fitted)


def local_teacher(job: Job, plan: Plan, version: str) -> Path | None:
    """Return the teacher of a plan as a file of this machine; None where the plan has none.

    Raises:
        IntegrityError: the lake holds another than the planned one.
        ObjectNotFoundError: it is gone.
    """
    if plan.teacher is None:
        return None
    path = job.work / "teachers" / plan.teacher.sha256
    if path.exists() and sha256_file(path) == plan.teacher.sha256:
        return path
    key = generator_internal_key(job.name, version, plan.teacher.file)
    data = read_agreed(job.lake, key)
    if sha256_hex(data) != plan.teacher.sha256:
        msg = (
            f"{job.lake.uri}/{key} is not the teacher that version {plan.version} was planned "
            "with; put it back, or choose another synthesis.seed"
        )
        raise IntegrityError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)
    return path


def labeller_of(job: Job, prepared: Prepared, version: str, *, seed: int) -> "Labeller | None":
    """Return what labels a generator's records, to measure what they are worth.

    A mere number of them is labelled as with `balance: real`, rows of classes as with `fill`,
    whichever the recipe publishes. None with `labels: generator`. The teacher is fitted where there
    is none yet.

    Raises:
        PlanError, ConfigError, DataError: as `check_teacher`.
        LakeError: the lake failed.
    """
    kind, synthesis = record_kind(prepared), job.recipe.synthesis
    free = plan_teacher(synthesis.model_copy(update={"balance": "real"}), kind)
    filled = plan_teacher(synthesis.model_copy(update={"balance": "fill"}), kind)
    if free is None or filled is None:
        return None
    from gan.modalities import load_modality
    from gan.teacher import Labeller

    fit_teacher(job, prepared, version)
    name = teacher_file(job.recipe, prepared)
    data = read_agreed(job.lake, generator_internal_key(job.name, version, name))
    return Labeller(
        teacher=load_modality(prepared.modality).load_teacher(data),
        columns=free.columns,
        relabels=free.relabels,
        seed=seed,
        picks=filled.picks,
    )


def picks_of(recipe: Recipe, prepared: Prepared) -> int:
    """Return how many records are made for one of a class, as the recipe's labels ask."""
    filled = recipe.synthesis.model_copy(update={"balance": "fill"})
    try:
        teacher = plan_teacher(filled, record_kind(prepared))
    except PlanError:  # said where records are made
        return 1
    return 1 if teacher is None else teacher.picks


def record_kind(prepared: Prepared) -> RecordKind:
    """Return what decides whether a teacher is possible, and for what."""
    return RecordKind(
        schema=prepared.schema,
        label=prepared.label,
        class_counts=prepared.class_counts["train"],
        modality=prepared.modality,
    )
