"""The whole job: the stages, composed once for the command line and for Prefect.

prepare      source → decoded, split records in the work folder
watch        champion, where training is not due → it goes on, or it fails on today's records
train        records → candidate in the lake
evaluate     candidate (and champion) on the holdout → verdict and report
lift         downstream models with and without synthetic records → does it help, in the report
gate         verdicts → who synthesizes, or what a person is asked
ask          question → a person's answer, where one can be had
promote      that decision → the log of promotions
synthesize   generator and plan → shards in the lake
publish      shards → manifest and commit record

Every stage is idempotent, and quick when its result is in the lake. `find_finished` says whether
all of them are done already; the functions at the end do one stage alone. The first job whose
recipe has an `owner` claims the name in its lake, before anything is read or trained; later jobs
on that name must say the same owner.
"""

from contextlib import suppress
from functools import partial

from flows.decision import ask, gate, promote
from flows.errors import BlockedError, EngineError, RecipeError
from flows.evaluate import Evaluator, evaluate
from flows.job import (
    Assessed,
    Candidate,
    Choice,
    Job,
    Judged,
    Outcome,
    Stages,
    now,
    outcome_of,
)
from flows.keys import train_key
from flows.lift import KeptLift, Lifter, is_known, lift
from flows.publish import (
    announce,
    announce_blocked,
    bring_up_hint,
    engine_of,
    is_published,
    publish,
    synthesize,
)
from flows.recipe import Recipe
from flows.snapshots import set_aside
from flows.train import find_candidate, train, watch, young_champion
from flows.unused import unused_settings
from storage.errors import AbandonedError, PromotionConflictError, SnapshotDamagedError
from storage.lake import promotions
from storage.lake.registry import Ownership, claim, read_owner
from storage.sources.prepare import prepare as prepare_source
from storage.sources.prepared import Prepared


def prepare(job: Job, *, say_notes: bool = True) -> Prepared:
    """Return the records of the recipe's source; milliseconds when they were prepared before.

    Args:
        job: whose source is read.
        say_notes: whether the reporter says what was noticed; not where the caller shows it.

    Raises:
        SourceError: the source is missing or unfit.
        LakeError: the store that holds it failed.
    """
    recipe = job.recipe
    with job.reporter.meter(f"Reading {recipe.source.uri}", "records") as meter:
        prepared = prepare_source(
            recipe.source,
            folder=job.work / "prepared",
            min_group=recipe.privacy.min_group,
            progress=meter.update,
            say=job.reporter.say,
            seen_rows=rows_in_reach(recipe),
        )
        meter.update(sum(prepared.rows.values()))
    if say_notes:
        for note in (*prepared.notes, *unused_settings(recipe, prepared)):
            job.reporter.say(f"  {note}")
    return prepared


ROWS_PER_CPU_S = 100_000
"""More rows than a training reads in a second of processor time, whatever the preset."""


def rows_in_reach(recipe: Recipe) -> int | None:
    """Return of how many records the training can read no more, as its budget is; None: of any."""
    training, split = recipe.training, recipe.source.split
    reads = [training.budget_cpu_s * ROWS_PER_CPU_S] if training.budget_cpu_s else []
    if isinstance(training.budget_samples, int):
        reads.append(training.budget_samples)
    return round(min(reads) / (1 - split.validation - split.holdout)) if reads else None


def check_name(job: Job, *, claims: bool = False) -> Ownership | None:
    """Return whose the recipe's name is; a job that claims takes a free one for its owner.

    Raises:
        RecipeError: the name belongs to somebody else.
        LakeError: the lake failed.
    """
    owner, found = job.recipe.owner, read_owner(job.lake, job.name)
    if claims and found is None and owner is not None:
        found = claim(job.lake, job.name, owner, now())
    if found is None or found.owner == owner:
        return found
    said = "the recipe says no owner" if owner is None else f"the recipe says owner {owner!r}"
    msg = (
        f"the name {job.name!r} belongs to {found.owner!r} in {job.recipe.output.lake} since "
        f"{found.since}, and {said}: choose another name, or write `owner: {found.owner}` if that "
        "is you"
    )
    raise RecipeError(msg)


def plain_stages(job: Job) -> Stages:
    """Return the stages of a job as plain functions."""
    return Stages(
        prepare=partial(_prepare, job),
        watch=partial(watch, job),
        train=partial(train, job),
        evaluate=partial(evaluate, job),
        lift=partial(lift, job),
        gate=partial(gate, job),
        ask=partial(ask, job),
        promote=partial(promote, job),
        synthesize=partial(synthesize, job),
        publish=partial(publish, job),
    )


def _prepare(job: Job) -> Prepared:
    """Read the source, once it is known that the engine is installed and the name free to use."""
    engine_of(job.recipe)
    check_name(job, claims=True)
    return prepare(job)


ATTEMPTS = 5
"""How often a decision or a version is tried again when another process was faster."""
REPAIRS = 3
"""How many generators may turn out to be damaged in one job."""
NOBODY = ("blocked", "asked")
"""The choices with which nobody synthesizes."""


def nightly(job: Job, stages: Stages) -> Outcome:
    """Do every stage in its order; each reuses what is there.

    Where training is not due, the champion is watched instead: it is the candidate as long as it
    does on today's records. A generator whose files turn out to be damaged is set aside, and
    everything is done again without it.

    Raises:
        SourceError, LakeError, TrainingError …: what the stages raise.
    """
    prepared = stages.prepare()
    for _ in range(REPAIRS):
        try:
            return _night(job, stages, prepared)
        except SnapshotDamagedError as error:
            set_aside(job, error)
    return _night(job, stages, prepared)


def _night(job: Job, stages: Stages, prepared: Prepared) -> Outcome:
    candidate = stages.watch(prepared) or stages.train(prepared)
    choice = agree_on_choice(stages, prepared, candidate)
    if choice.kind in NOBODY:
        announce_blocked(job, choice)
        bring_up_hint(job)
        return outcome_of(job, choice)
    announce(job)
    return publish_choice(stages, prepared, choice)


def agree_on_choice(stages: Stages, prepared: Prepared, candidate: Candidate) -> Choice:
    """Evaluate, decide and record it; when the champion changed meanwhile, do all of it again.

    Raises:
        PromotionConflictError: it kept changing.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(PromotionConflictError):
            return decide(stages, assess(stages, prepared, candidate))
    return decide(stages, assess(stages, prepared, candidate))


def assess(stages: Stages, prepared: Prepared, candidate: Candidate) -> Assessed:
    """Measure the candidate, and whether its records help."""
    return stages.lift(prepared, stages.evaluate(prepared, candidate))


def decide(stages: Stages, assessed: Assessed) -> Choice:
    """Gate, ask a person where the recipe wants it, and record what was decided.

    Raises:
        PromotionConflictError: the log moved on since the evaluation.
    """
    return stages.promote(assessed, stages.ask(assessed, stages.gate(assessed)))


def publish_choice(stages: Stages, prepared: Prepared, choice: Choice) -> Outcome:
    """Synthesize and publish; when the version was given up meanwhile, make a new attempt.

    Raises:
        EngineError: version after version was given up.
    """
    for _ in range(ATTEMPTS):
        with suppress(AbandonedError):
            return stages.publish(prepared, choice, stages.synthesize(prepared, choice))
    msg = f"{ATTEMPTS} versions were given up by other processes: who runs `ganmill gc`?"
    raise EngineError(msg)


def find_finished(job: Job, stages: Stages) -> Outcome | None:
    """Return the outcome when everything is in the lake; None when there is something to do.

    Reads the source and the lake; what it writes is at most an announcement that was missing, or a
    hint that lags.
    """
    with suppress(SnapshotDamagedError):
        return _find_finished(job, stages)
    return None


def _find_finished(job: Job, stages: Stages) -> Outcome | None:
    prepared = stages.prepare()
    evaluator = Evaluator(job=job, prepared=prepared)
    candidate = _candidate(job, stages, evaluator)
    if candidate is None:
        return None
    standing = promotions.standing(job.lake, job.name)
    if not any(record.version == candidate.version for record in standing.records):
        return None
    rivals = {(candidate.version, candidate.snapshot_digest)}
    if standing.champion is not None:
        rivals.add((standing.champion.version, standing.champion.snapshot_digest))
    if not all(evaluator.is_judged(version, digest) for version, digest in rivals):
        return None
    assessed = stages.evaluate(prepared, candidate)
    if not is_known(job, prepared, assessed):
        return None
    choice = decide(stages, stages.lift(prepared, assessed))
    if choice.kind in NOBODY:
        bring_up_hint(job)
        return outcome_of(job, choice)
    return publish_choice(stages, prepared, choice) if is_published(job, choice) else None


def _candidate(job: Job, stages: Stages, evaluator: Evaluator) -> Candidate | None:
    """Return what `nightly` would judge, if that takes neither training nor measuring."""
    young = young_champion(job, evaluator.prepared)
    if young is not None and not evaluator.is_judged(young.version, young.snapshot_digest):
        return None
    watched = None if young is None else stages.watch(evaluator.prepared)
    return watched or find_candidate(job, train_key(job.recipe, evaluator.prepared, job.scheduled))


def train_alone(stages: Stages) -> Candidate:
    """Train, and leave the candidate in the lake."""
    return stages.train(stages.prepare())


def evaluate_alone(job: Job, stages: Stages) -> Judged:
    """Judge the candidate of the recipe; its report is stored, nothing is decided.

    Raises:
        RecipeError: it was not trained yet.
    """
    prepared = stages.prepare()
    candidate = find_candidate(job, train_key(job.recipe, prepared, job.scheduled))
    if candidate is None:
        msg = (
            f"no generator of recipe {job.name!r} as it is now lies in {job.recipe.output.lake}: "
            "train it first"
        )
        raise RecipeError(msg)
    return assess(stages, prepared, candidate).challenger


def lift_alone(
    job: Job, stages: Stages, *, thorough: bool = False, curve: bool = False
) -> tuple[Candidate, KeptLift]:
    """Measure the lift of the recipe's candidate, else of the champion; publishes nothing.

    What it will cost is said first. As far as it is what a night measures, the night reads it.

    Raises:
        RecipeError: nothing was trained yet.
        ConfigError: `lift.models` names a downstream model that there is not.
    """
    prepared = stages.prepare()
    generator = find_candidate(job, train_key(job.recipe, prepared, job.scheduled))
    champion = promotions.champion(job.lake, job.name)
    if generator is None and champion is not None:
        generator = Candidate(version=champion.version, snapshot_digest=champion.snapshot_digest)
    if generator is None:
        msg = (
            f"no generator of recipe {job.name!r} lies in {job.recipe.output.lake}, so there is "
            "nothing whose records could help: train it first"
        )
        raise RecipeError(msg)
    lifter = Lifter(job=job, prepared=prepared, thorough=thorough, curve=curve)
    if lifter.find(generator) is None:
        job.reporter.say(f"To be measured: {lifter.foresee(timed=True)}")
    return generator, lifter.kept(generator)


def synthesize_alone(job: Job, stages: Stages) -> Outcome:
    """Publish a version from the champion of the recipe's name; trains nothing.

    Raises:
        BlockedError: there is no champion, today's verdict on it is block and nobody overrode it,
            or a person is to say yes first.
    """
    champion = promotions.champion(job.lake, job.name)
    if champion is None:
        msg = f"no generator {job.name!r} was promoted yet: run the whole job first"
        raise BlockedError(msg)
    prepared = stages.prepare()
    candidate = Candidate(version=champion.version, snapshot_digest=champion.snapshot_digest)
    assessed = assess(stages, prepared, candidate)
    choice = stages.ask(assessed, stages.gate(assessed))
    if choice.kind != "champion":
        raise BlockedError(choice.reason)
    return publish_choice(stages, prepared, choice)
