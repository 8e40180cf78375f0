"""The stage that trains: from records to a candidate in the lake, when one is due.

Whether a training is due follows from `training.when`, and a sentence says why:

changed    when source, split or settings are others than the champion's
interval   when the champion has reached its age; other settings or another split do not wait
always     every night

Due is not the same as trained: what the train key finds in the lake is not trained again. The first
trainer of a train key decides the version; the first complete snapshot wins, everyone else adopts
it. Checkpoints are mirrored to the lake, so that another machine can continue. Where no training is
due, the champion is watched instead: measured on today's records.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from flows import private
from flows.evaluate import Evaluator, TrainingRecord, put_training_record, read_training_record
from flows.foresight import check_outlook
from flows.job import Candidate, Job, judges_folder, now
from flows.keys import train_key, training_part, training_seed
from flows.pace import PaceNotice, usual_samples
from flows.recipe import Recipe
from flows.snapshots import damaged, set_aside
from flows.teacher import check_teacher
from flows.train_view import Shown, each, event_file, final_figures, say_trained
from gan.errors import DataError, OutdatedError
from gan.gate import in_force
from gan.report import ENDS, Figure
from storage.digests import sha256_file, sha256_hex
from storage.errors import AccessDeniedError, ObjectNotFoundError, SnapshotDamagedError
from storage.lake import layout, ledger, promotions, registry
from storage.lake.damage import read_damage, restore_candidate
from storage.lake.layout import version_time
from storage.lake.registry import TrainingPlan
from storage.records.durable import hold_lock
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.codecs import Codec
    from gan.config import ResolvedConfig
    from gan.protocols import Assess
    from gan.report import Event
    from gan.training.result import TrainResult


@dataclass(frozen=True, kw_only=True)
class Due:
    """Whether training is due, and why or why not, as one sentence."""

    is_due: bool
    why: str


def training_due(
    recipe: Recipe,
    night: date,
    champion: str | None,
    before: Mapping[str, Any],
    today: Mapping[str, Any],
) -> Due:
    """Return whether training is due on a night; pure.

    `before` and `today` are what the champion, named by its version, was and would now be trained
    on (`flows.keys.training_part`); `before` is empty where that was not written.
    """
    if champion is None:
        return Due(is_due=True, why=f"No generator of {recipe.name} is champion yet: training")
    if recipe.training.when == "always":
        why = f"training.when is always: training a generator of the night {night}"
        return Due(is_due=True, why=why)
    changed = what_changed(before, today)
    if recipe.training.when == "interval" and changed in (None, SOURCE):
        return _by_age(champion, night, recipe.training.interval_days)
    named = f"champion {champion}"
    if changed is None:
        return Due(is_due=False, why=f"Nothing changed since {named} was trained")
    if changed == UNKNOWN:
        return Due(is_due=True, why=f"It is not on record what {named} was trained on: training")
    return Due(is_due=True, why=f"The {changed} changed since {named} was trained: training")


SOURCE, UNKNOWN = "source", "unknown"
_PARTS: Mapping[str, str] = {
    "split_digest": "split rule",
    "algorithm_version": "version of ganmill's algorithms",
}
"""Part of a train key → what it is called; every other one is a setting of the recipe."""


def what_changed(before: Mapping[str, Any], today: Mapping[str, Any]) -> str | None:
    """Return the weightiest difference of two trainings: a setting, split rule, … , the source.

    Returns:
        None when they are equal, UNKNOWN when nothing is known of the first.
    """
    if not before:
        return UNKNOWN
    parts = [part for part in {**before, **today} if before.get(part) != today.get(part)]
    words = {"source" if part == "source_digest" else _PARTS.get(part) for part in parts}
    if None in words:
        return "recipe's settings"
    return min(words, key=lambda word: (word == SOURCE, word), default=None)


def _by_age(champion: str, night: date, interval_days: int) -> Due:
    age_days = max(0, (night - version_time(champion).date()).days)
    left_days, old = interval_days - age_days, f"Champion {champion} is {_days(age_days)} old"
    if left_days <= 0:
        return Due(is_due=True, why=f"{old}, and training is due after {_days(interval_days)}")
    return Due(is_due=False, why=f"{old}; training is due in {_days(left_days)}")


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def due_tonight(job: Job, prepared: Prepared) -> Due:
    """Return whether training is due on this night, by what the lake says of the champion."""
    champion = promotions.champion(job.lake, job.name)
    version, before = None, dict[str, Any]()
    if champion is not None:
        version = champion.version
        before = dict(read_training_record(job.lake, job.name, version).training)
    today = training_part(job.recipe, prepared, job.scheduled)
    return training_due(job.recipe, job.scheduled, version, before, today)


MIRROR_INTERVAL_S = 30.0
"""A checkpoint goes to the lake at most this often, and when a stop was asked for; the local ones
are written at every tick, and about once a minute where a tick lasts longer."""


def train(job: Job, prepared: Prepared) -> Candidate:
    """Return the candidate of this recipe and source: adopted, continued or trained anew.

    Raises:
        BlockedError: nothing that is trained on these records can be published.
        TrainingError: training failed and repair did not help.
        Interrupted: a stop was asked for; the last checkpoint is complete.
        LakeError: the lake failed.
    """
    key = train_key(job.recipe, prepared, job.scheduled)
    found = find_candidate(job, key)
    if found is not None:
        job.reporter.say(f"Trained before: generator {job.name}/{found.version}")
        return found
    due = due_tonight(job, prepared)
    if due.is_due:
        job.reporter.say(due.why)
    check_outlook(job, prepared)
    folder = job.work / "runs" / key

    def waiting() -> None:
        job.reporter.say("Another process of this machine trains this generator; waiting for it")

    with hold_lock(folder.with_suffix(".lock"), on_wait=waiting):
        return find_candidate(job, key) or _train(job, prepared, key, folder)


def find_candidate(job: Job, key: str) -> Candidate | None:
    """Return the complete candidate of a train key, None when there is none yet."""
    for plan in registry.training_plans(job.lake, key):
        if read_damage(job.lake, job.name, plan.version) is not None:
            continue
        try:
            digest = sha256_hex(job.lake.get(layout.snapshot_key(job.name, plan.version)))
        except ObjectNotFoundError:
            return None
        return Candidate(version=plan.version, snapshot_digest=digest)
    return None


def check_settings(recipe: Recipe, prepared: Prepared) -> None:
    """Check what can be checked before anything is fitted.

    Raises:
        ConfigError: a bound of the gate does not fit the metrics of these records, or TensorBoard's
            writer is missing.
    """
    from gan.modalities import load_modality
    from gan.training.event_file import check_writer

    if recipe.training.tensorboard:
        check_writer()
    in_force(load_modality(prepared.modality).metrics, recipe.gate)


def fit_and_resolve(recipe: Recipe, prepared: Prepared) -> "tuple[Codec, ResolvedConfig]":
    """Return the codec fitted on train, and what every `auto` becomes for these records.

    Of a private training it is a codec like its own, to look at: what it is trained with is fitted
    once, when it has been paid for.

    Raises:
        ConfigError: the preset does not exist, CUDA was asked for and is missing, a bound of the
            gate does not fit the metrics of these records, or TensorBoard's writer is missing.
    """
    from gan.modalities import load_modality

    check_settings(recipe, prepared)
    if recipe.privacy.epsilon is not None:
        return private.fit_to_look(recipe, prepared)
    modality = load_modality(prepared.modality)
    codec = modality.codec.fit(prepared.records["train"], prepared.label)
    resolved = modality.resolve(
        recipe.generator,
        recipe.training,
        codec,
        train_rows=prepared.rows["train"],
        seed=recipe.seed,
    )
    return codec, resolved


def _train(job: Job, prepared: Prepared, key: str, folder: Path) -> Candidate:
    from gan.config import ResolvedConfig
    from gan.device import choose_device, count_devices
    from gan.protocols import Hooks
    from gan.sample import check_request
    from gan.training.launch import Launch
    from gan.training.loop import train as run_loop

    seed = training_seed(job.recipe, job.scheduled)
    recipe, records = job.recipe.model_copy(update={"seed": seed}), prepared.records
    is_private = recipe.privacy.epsilon is not None
    if is_private:
        check_settings(recipe, prepared)
        codec, resolved = private.fit_once(dataclasses.replace(job, recipe=recipe), prepared, key)
    else:
        codec, resolved = fit_and_resolve(recipe, prepared)
    check_request(codec, recipe.synthesis.given, recipe.synthesis.samples)
    check_teacher(recipe, prepared)
    proposal = TrainingPlan.propose(job.name, key, now(), resolved.model_dump(mode="json"))
    plan = registry.agree_training(job.lake, proposal)
    config = ResolvedConfig.model_validate(plan.resolved)
    for note in (*codec.notes, *config.notes):
        job.reporter.say(f"  {note}")
    registry.fetch_checkpoint(job.lake, key, folder / "checkpoints")
    seen = max((int(path.name) for path in (folder / "checkpoints").glob("[0-9]*")), default=0)
    if seen:
        job.reporter.say(f"Continuing at {seen:,} samples")
    single = config.ranks == 1 and not is_private
    assess = _build_assess(job, prepared, seed) if single else None
    device = choose_device(recipe.training.device)
    gpus = min(config.ranks, count_devices("auto", device))
    with gpu_lease(job, device, gpus), job.spent.using(device, gpus):
        with (
            job.reporter.meter("Training", "samples", config.budget_samples) as meter,
            job.stop.asking(),
            event_file(job, prepared.modality, folder) as events,
        ):
            meter.update(seen)
            shown = Shown(meter)
            usual = partial(usual_samples, recipe, prepared, codec, config)
            pace = PaceNotice(job.reporter.say, config, codec, device, usual)
            hooks = Hooks(
                assess=assess,
                validation=None if is_private else records["validation"],
                on_tick=each(shown.on_tick, events.on_tick, pace.on_tick),
                on_frame=events.on_frame,
                on_progress=shown.on_progress,
                on_checkpoint=_mirror(job, key),
                on_event=lambda event: say_event(job, event),
                should_stop=job.stop,
            )
            run = run_loop if config.ranks == 1 else Launch(judges_folder(job)).train
            result = run(config, codec, records["train"], folder, hooks=hooks, device=device)
        figures = final_figures(job, prepared, codec, config, result)
    say_trained(job, result)
    job.lake.put_once(layout.stats_key(key), (folder / "stats.jsonl").read_bytes())
    return _store(job, prepared, plan, result, Ended(codec.notes, figures))


def _build_assess(job: Job, prepared: Prepared, seed: int) -> "Assess":
    """Return the assessment of a training; of several ranks the first makes its own."""
    from gan.modalities import load_modality

    with job.reporter.meter("Preparing the assessment", "records"):
        return load_modality(prepared.modality).build_assess(
            prepared.records["train"],
            prepared.records["validation"],
            label=prepared.label,
            seed=seed,
            cache=judges_folder(job),
        )


def say_event(job: Job, event: "Event") -> None:
    """Say at once what the watch did; how a training ended is said when it has."""
    if event.kind not in ENDS:
        job.reporter.say(f"At {event.samples_seen:,} samples: {event.text}")


def gpu_lease(job: Job, device: str, gpus: int = 1) -> AbstractContextManager[object]:
    """Return what is held while training on a device: the job's lease of GPUs, else nothing."""
    return job.gpu_lease(gpus) if device == "cuda" else nullcontext()


def _mirror(job: Job, key: str) -> Callable[[Path], None]:
    last_s = monotonic()

    def mirror(folder: Path) -> None:
        nonlocal last_s
        if job.stop() or monotonic() - last_s >= MIRROR_INTERVAL_S:
            registry.mirror_checkpoint(job.lake, key, folder, int(folder.name))
            last_s = monotonic()

    return mirror


class Ended(NamedTuple):
    """What is said of a training besides its result."""

    notes: Sequence[str]
    """By the codec."""
    figures: Sequence[Figure]


def _store(
    job: Job,
    prepared: Prepared,
    plan: TrainingPlan,
    result: "TrainResult",
    said: Ended,
) -> Candidate:
    record = TrainingRecord(
        train_key=plan.train_key,
        split_digest=prepared.split_digest,
        samples_seen=result.samples_seen,
        best_samples_seen=result.best_samples_seen,
        seconds=round(result.seconds, 3),
        cpu_s=round(result.cpu_s, 3),
        threads=result.threads,
        device=result.device,
        events=tuple(result.events),
        curves=tuple(dataclasses.asdict(curve) for curve in result.curves),
        figures=said.figures,
        notes=(*said.notes, *result.notes),
        resolved=dict(plan.resolved),
        training=training_part(job.recipe, prepared, job.scheduled),
    )
    digest = sha256_file(result.snapshot / "snapshot.json")
    plan, is_known = _place(job, plan, digest)
    put_training_record(job.lake, job.name, plan.version, record)
    if is_known:
        try:
            restore_candidate(job.lake, job.name, plan.version, result.snapshot)
        except AccessDeniedError as error:  # a policy lets nobody overwrite what is damaged
            job.reporter.say(f"Not put back into {plan.version}, but stored as another: {error}")
            plan, _ = _place(job, plan, digest, may_restore=False)
            put_training_record(job.lake, job.name, plan.version, record)
        else:
            _finish_private(job, plan)
            return Candidate(version=plan.version, snapshot_digest=digest, trained=True)
    digest = registry.put_candidate(job.lake, job.name, plan.version, result.snapshot)
    _finish_private(job, plan)
    return Candidate(version=plan.version, snapshot_digest=digest, trained=True)


def _finish_private(job: Job, plan: TrainingPlan) -> None:
    """Write into the ledger that a private training is finished."""
    if plan.resolved.get("private") is not None:
        ledger.finish(job.lake, plan.train_key)


def _place(
    job: Job, plan: TrainingPlan, digest: str, *, may_restore: bool = True
) -> tuple[TrainingPlan, bool]:
    """Return under which version a snapshot goes into the lake, and whether it is known there.

    A version whose files are damaged or lost takes them back if they are the same; others are
    another generator, and go under a version of their own.
    """
    standing = promotions.standing(job.lake, job.name)
    for attempt in count(1):
        plan = registry.agree_training(job.lake, plan, attempt)
        damage = read_damage(job.lake, job.name, plan.version)
        known = standing.digests_of(plan.version)
        if damage is not None:
            known |= {damage.snapshot_digest}
        if not known or (may_restore and digest in known):
            return plan, bool(known)
        if damage is None:
            why = f"its files are lost, and trained again they are others ({digest[:12]})"
            (was,) = list(known)[:1]
            set_aside(job, damaged(job, plan.version, was, why))
        plan = plan.once_more(now())
    raise AssertionError


def watch(job: Job, prepared: Prepared) -> Candidate | None:
    """Return the champion when it goes on without a training; None when it is time to train.

    Only `training.when: interval` spares a training. The champion is measured on today's records
    all the same: when the verdict on it is block and no person overrode it, or when it cannot be
    judged, it is time.

    Raises:
        LakeError: the lake failed.
    """
    young = young_champion(job, prepared)
    if young is None:
        return None
    named = f"champion {young.version}"
    try:
        judged = Evaluator(job=job, prepared=prepared).judged(young.version, young.snapshot_digest)
    except (DataError, OutdatedError) as error:
        job.reporter.say(f"The {named} cannot be judged today ({error}): training")
        return None
    except SnapshotDamagedError as error:
        set_aside(job, error)
        return None
    record = promotions.champion(job.lake, job.name)
    is_overridden = record is not None and record.overrides(judged.report_digest)
    if judged.judgement.verdict == "block" and not is_overridden:
        job.reporter.say(f"Today's verdict on {named} is block: training")
        return None
    return young


def young_champion(job: Job, prepared: Prepared) -> Candidate | None:
    """Return the champion when its age alone would spare a training."""
    champion = promotions.champion(job.lake, job.name)
    if job.recipe.training.when != "interval" or champion is None:
        return None
    if read_damage(job.lake, job.name, champion.version) is not None:
        job.reporter.say(f"The champion {champion.version} is damaged: training")
        return None
    due = due_tonight(job, prepared)
    if due.is_due:
        return None
    job.reporter.say(due.why)
    return Candidate(version=champion.version, snapshot_digest=champion.snapshot_digest)
