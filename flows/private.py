"""Differentially private trainings: what is spent before, and what is said of it after.

(ε, δ) covers the generator: the codec's counts and every step of the training, and with them all
rows that are made of it, for whatever is made of something private is private. A row of the source
is in one split alone, and only those of train are looked at, so it holds for every row of the
source. It covers no verdict, no metric and no figure: those are measured exactly, on real rows.
"""

import json
from typing import TYPE_CHECKING

from flows.evaluate import read_training_record
from flows.guarantee import Guarantee, identity_of
from flows.job import Choice, Job
from flows.recipe import Recipe
from flows.snapshots import local_snapshot
from gan.config import ResolvedConfig
from gan.errors import DataError
from storage.digests import canonical_json
from storage.errors import ObjectNotFoundError
from storage.lake import ledger
from storage.lake.layout import codec_key
from storage.records.schema import ClassCounts
from storage.sources.prepared import Prepared
from storage.stores.interface import put_or_agree, read_agreed

if TYPE_CHECKING:
    from gan.accounting import Counting
    from gan.codecs import Codec


NO_STRUCTURE = (
    "What holds between columns (source.structure) is not looked for with privacy.epsilon: it "
    "would be learnt from the rows without noise"
)


def delta_of(recipe: Recipe, prepared: Prepared) -> float:
    """Return δ: the recipe's, or the usual one for so many training records."""
    from gan.accounting import usual_delta

    delta = recipe.privacy.delta
    return usual_delta(prepared.rows["train"]) if delta == "auto" else delta


def plan_counting(recipe: Recipe, prepared: Prepared) -> "Counting":
    """Return how the columns are counted.

    Raises:
        ConfigError: what the recipe asks for cannot be private, or an extra is missing.
    """
    from gan.modalities import load_modality

    return load_modality(prepared.modality).begin_private(
        recipe.generator,
        prepared.records["train"].schema,
        epsilon=_epsilon(recipe),
        delta=delta_of(recipe, prepared),
    )


def fit_once(job: Job, prepared: Prepared, key: str) -> "tuple[Codec, ResolvedConfig]":
    """Spend, then fit the codec of this training, or read the one that was fitted for it.

    Raises:
        OverspentError: the total does not suffice.
        ConfigError: what the recipe asks for cannot be private, or an extra is missing.
        DataError: a column of which nothing stands out of the noise; that, too, was told by the
            data, so that the next try spends again.
    """
    from gan.modalities import load_modality

    recipe, lake = job.recipe, job.lake
    counting = plan_counting(recipe, prepared)
    taken = ledger.spend(
        lake,
        identity_of(recipe, prepared),
        key,
        epsilon=_epsilon(recipe),
        delta=delta_of(recipe, prepared),
        total_epsilon=recipe.privacy.total_epsilon,
    )
    job.reporter.say(f"  Privacy: {taken.sentence}, this one included")
    modality = load_modality(prepared.modality)
    try:
        data = read_agreed(lake, codec_key(key))
    except ObjectNotFoundError:
        try:
            codec = modality.fit_privately(prepared.records["train"], prepared.label, counting)
        except DataError:
            ledger.finish(lake, key)
            raise
        data = put_or_agree(lake, codec_key(key), canonical_json(codec.to_json()))
    codec = modality.codec.from_json(json.loads(data))
    return codec, resolve(recipe, prepared, codec, counting)


def fit_to_look(recipe: Recipe, prepared: Prepared) -> "tuple[Codec, ResolvedConfig]":
    """Return a codec like that of a private training, which nothing is made of, and its plan.

    Raises:
        ConfigError, DataError: as `fit_once`.
    """
    from gan.modalities import load_modality

    counting = plan_counting(recipe, prepared)
    modality = load_modality(prepared.modality)
    codec = modality.fit_privately(prepared.records["train"], prepared.label, counting)
    return codec, resolve(recipe, prepared, codec, counting)


def resolve(
    recipe: Recipe, prepared: Prepared, codec: "Codec", counting: "Counting"
) -> ResolvedConfig:
    """Return the complete configuration of a private training."""
    from gan.accounting import plan_training
    from gan.modalities import load_modality

    records = prepared.rows["train"]
    config = load_modality(prepared.modality).resolve_private(
        recipe.generator, recipe.training, codec, train_rows=records, seed=recipe.seed
    )
    if recipe.source.structure == "off":
        config = config.model_copy(update={"notes": (*config.notes, NO_STRUCTURE)})
    return plan_training(_epsilon(recipe), delta_of(recipe, prepared), counting, config, records)


def guarantee_of(job: Job, prepared: Prepared, version: str) -> Guarantee | None:
    """Return the guarantee of a generator of the lake; None where there is none."""
    record = read_training_record(job.lake, job.name, version)
    return Guarantee.of(record.resolved, prepared.modality)


def published_class_counts(job: Job, prepared: Prepared, choice: Choice) -> ClassCounts:
    """Return the class counts that may be published: exact ones, or those that a codec noised."""
    counts = prepared.source_class_counts["train"]
    if not counts or guarantee_of(job, prepared, choice.judged.version) is None:
        return counts
    from gan.modalities import load_modality
    from gan.snapshot import load_snapshot

    folder = local_snapshot(job, choice.judged.version, choice.judged.snapshot_digest)
    codec = load_snapshot(folder).codec
    return load_modality(prepared.modality).private_class_counts(codec, prepared.rows["train"])


def _epsilon(recipe: Recipe) -> float:
    if recipe.privacy.epsilon is None:
        msg = "a recipe without privacy.epsilon spends nothing"
        raise ValueError(msg)
    return recipe.privacy.epsilon
