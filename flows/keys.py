"""What a training, an evaluation and a data set version are, as digests.

Equal keys mean equal results, whoever computes them, and where. Lake, engine, workers, device,
owner and the time to train are in no key; the gate is in that of a verdict alone, and what `lift`
says in that of the answer to "does it help?".
"""

from datetime import date
from typing import Any

from flows.recipe import Recipe
from gan.config import ALGORITHM_VERSION, LATER_KNOBS
from gan.gate import GATE_VERSION
from gan.lift.config import LIFT_VERSION
from gan.lift.installed import origins
from gan.report import EVALUATION_VERSION
from storage.digests import digest_json
from storage.lake.synthesis import SynthesisConfig
from storage.sources.builder import load_builder
from storage.sources.prepared import Prepared

NO_WEIGHTS = {"device", "devices", "when", "interval_days", "tensorboard"}
"""What `training` says besides the weights: where, when, and who watches."""

NOT_JUDGED = {"on_reject", "approval", "require_lift"}
"""Fields of the gate that say what happens after the verdict on the records: in no key."""
NOT_IN_LIFT = {"samples", "balance", "fill_counts", "class_fractions", "seed", "shard_samples"}
"""What `synthesis` says of how many records are made: lift asks for its own, of every arm."""


def source_part(recipe: Recipe, prepared: Prepared) -> dict[str, Any]:
    """Return the settings that shape the records, JSON-able."""
    builder = load_builder(prepared.modality)
    return builder.settings(recipe.source, recipe.privacy.min_group)


def reading_part(prepared: Prepared) -> dict[str, Any]:
    """Return what the data decided of their reading, nothing where they were read as usual."""
    return {"reading": dict(prepared.reading)} if prepared.reading else {}


def privacy_part(recipe: Recipe) -> dict[str, Any]:
    """Return what a private training guarantees, nothing of another; what is left is in no key."""
    privacy = recipe.privacy
    if privacy.epsilon is None:
        return {}
    return {"privacy": {"epsilon": privacy.epsilon, "delta": privacy.delta}}


def training_seed(recipe: Recipe, night: date) -> int:
    """Return the seed of a training: the recipe's, or one of its own for every night.

    With `training.when: always` a retry of the same night continues the same training.
    """
    if recipe.training.when != "always":
        return recipe.seed
    return int(digest_json([recipe.seed, "training", night.isoformat()])[:16], 16) >> 1


def generator_part(recipe: Recipe) -> dict[str, Any]:
    """Return what the recipe says of the generator; what came later only where it is set."""
    said = recipe.generator.model_dump(mode="json")
    unset = ("auto", None)
    return {name: one for name, one in said.items() if name not in LATER_KNOBS or one not in unset}


def training_part(recipe: Recipe, prepared: Prepared, night: date) -> dict[str, Any]:
    """Return everything that decides the weights, JSON-able; its digest is the train key.

    Args:
        recipe: of the job.
        prepared: its source.
        night: the run's scheduled date; it counts with `training.when: always` only.
    """
    unset = {  # earlier keys stay
        name for name in ("budget_cpu_s", "until") if not getattr(recipe.training, name)
    }
    return {
        "algorithm_version": ALGORITHM_VERSION,
        "source_digest": prepared.source_digest,
        "split_digest": prepared.split_digest,
        "source": source_part(recipe, prepared),
        **reading_part(prepared),
        **privacy_part(recipe),
        "generator": generator_part(recipe),
        "training": recipe.training.model_dump(mode="json", exclude=NO_WEIGHTS | unset),
        "seed": training_seed(recipe, night),
    }


def train_key(recipe: Recipe, prepared: Prepared, night: date) -> str:
    """Return the identity of a training: source, split, generator, budget, seed, algorithm."""
    return digest_json(training_part(recipe, prepared, night))


def synthesis_part(
    recipe: Recipe, synthesis: SynthesisConfig, snapshot_digest: str
) -> dict[str, Any]:
    """Return everything that decides the shards, JSON-able; its digest is the run key.

    Args:
        recipe: names the data set and the shard format.
        synthesis: with its seed and balance resolved.
        snapshot_digest: of the generator that synthesizes.
    """
    left_out = set() if synthesis.given else {"given"}
    if synthesis.balance != "fill" or synthesis.fill_counts == "train":
        left_out.add("fill_counts")  # `fill` without it is what it was before it had a choice
    if synthesis.labels == "generator":
        left_out.add("labels")  # earlier keys stay
    escaped = {"escape_formulas": True} if recipe.output.csv.escape_formulas else {}
    return {
        "algorithm_version": ALGORITHM_VERSION,
        "name": recipe.name,
        "snapshot_digest": snapshot_digest,
        "synthesis": synthesis.model_dump(mode="json", exclude=left_out),
        "format": recipe.output.format,
        **escaped,
    }


def run_key(recipe: Recipe, synthesis: SynthesisConfig, snapshot_digest: str) -> str:
    """Return the identity of a data set version: generator, synthesis settings, format."""
    return digest_json(synthesis_part(recipe, synthesis, snapshot_digest))


def evaluation_key(recipe: Recipe, prepared: Prepared, snapshot_digest: str) -> str:
    """Return the identity of what is measured: generator, holdout, seed, what may be shown."""
    known = recipe.privacy.quasi_identifiers
    return digest_json(
        {
            "algorithm_version": ALGORITHM_VERSION,
            "evaluation_version": EVALUATION_VERSION,
            "snapshot_digest": snapshot_digest,
            "source_digest": prepared.source_digest,
            "split_digest": prepared.split_digest,
            "source": source_part(recipe, prepared),
            **reading_part(prepared),
            "confidential": recipe.source.confidential,
            "seed": recipe.seed,
            **({"quasi_identifiers": list(known)} if known else {}),
            **({"groups": list(recipe.report.groups)} if recipe.report.groups else {}),
        }
    )


def lift_seed(recipe: Recipe, night: date) -> int:
    """Return the seed of a measurement of lift: the recipe's, or one of its own for every night.

    With `lift.when: always` a retry of the same night reads what the first try measured.
    """
    if recipe.lift.when != "always":
        return recipe.seed
    return int(digest_json([recipe.seed, "lift", night.isoformat()])[:16], 16) >> 1


def _models_part(recipe: Recipe) -> dict[str, Any]:
    """Return which packages bring the named downstream models, nothing where none does."""
    found = {} if recipe.lift.models == "auto" else origins(recipe.lift.models)
    return {"packages": found} if found else {}


def lift_key(
    recipe: Recipe,
    prepared: Prepared,
    snapshot_digest: str,
    night: date,
    *,
    thorough: bool = False,
    curve: bool = False,
) -> str:
    """Return the identity of a measurement of lift: generator, real records, seed, how thoroughly.

    Args:
        recipe: of the job; of its synthesis only what changes a record counts.
        prepared: its source.
        snapshot_digest: of the generator.
        night: the run's scheduled date; it counts with `lift.when: always` only.
        thorough: all arms at full size, as `ganmill lift --thorough` measures them.
        curve: also with parts of the real records.
    """
    left_out = NOT_IN_LIFT
    if recipe.synthesis.labels == "teacher":  # a teacher's labels are another's where it re-weights
        left_out = NOT_IN_LIFT - {"balance"}
    made = recipe.synthesis.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    extent = {"thorough": thorough, "curve": curve}
    return digest_json(
        {
            "lift_version": LIFT_VERSION,
            "algorithm_version": ALGORITHM_VERSION,
            "snapshot_digest": snapshot_digest,
            "source_digest": prepared.source_digest,
            "split_digest": prepared.split_digest,
            "source": source_part(recipe, prepared),
            **reading_part(prepared),
            "lift": recipe.lift.model_dump(mode="json", exclude={"when"}),
            **_models_part(recipe),
            "synthesis": made,
            "seed": lift_seed(recipe, night),
            **({"groups": list(recipe.report.groups)} if recipe.report.groups else {}),
            **{name: True for name, is_on in extent.items() if is_on},
        }
    )


def verdict_key(recipe: Recipe, prepared: Prepared, snapshot_digest: str) -> str:
    """Return the identity of a verdict and its report: what is measured, and the gate's bounds."""
    return digest_json(
        {
            "evaluation": evaluation_key(recipe, prepared, snapshot_digest),
            "gate": recipe.gate.model_dump(mode="json", exclude=NOT_JUDGED),
            "gate_version": GATE_VERSION,
        }
    )
