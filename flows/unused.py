"""Settings of a recipe that change nothing: each is warned of, so that none is silently ignored.

A setting of the source that differs from its default is unused when the records would be the same
without it: the builder of the modality says what shapes them (`Builder.settings`), and what of that
the files at hand do not need (`Builder.unused`). The other sections depend on themselves alone.
"""

from collections.abc import Callable
from typing import Final

from flows.recipe import Recipe
from storage.records.modalities import MODALITIES, words_of
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.open import EXAMPLE
from storage.sources.prepared import Prepared

ELSEWHERE: Final = frozenset(
    {"uri", "storage", "modality", "include", "exclude", "confidential", "split", "max_rows"}
)
"""Settings of the source that act on something else than the records' content."""

NOT_BY_ITSELF: Final = "lift.when is never (it is for what ganmill lift measures)"

RULES: Final[dict[str, tuple[Callable[[Recipe], bool], str]]] = {
    "source.storage": (
        lambda recipe: recipe.source.storage is not None and not _remote(recipe.source.uri),
        "the source is no object storage",
    ),
    "source.include": (
        lambda recipe: bool(recipe.source.include) and recipe.source.uri.startswith(EXAMPLE),
        "an example has no files",
    ),
    "source.exclude": (
        lambda recipe: bool(recipe.source.exclude) and recipe.source.uri.startswith(EXAMPLE),
        "an example has no files",
    ),
    "source.split.holdout": (
        lambda recipe: _said(recipe, "holdout") and recipe.source.split.column is not None,
        "source.split.column says which records are held out",
    ),
    "output.storage": (
        lambda recipe: recipe.output.storage is not None and not _remote(recipe.output.lake),
        "the lake is a local folder",
    ),
    "output.csv.escape_formulas": (
        lambda recipe: recipe.output.csv.escape_formulas and recipe.output.format != "csv",
        "output.format is not csv (it is for what ganmill impute writes as CSV)",
    ),
    "training.interval_days": (
        lambda recipe: _said(recipe, "interval_days") and recipe.training.when != "interval",
        "training.when is not interval",
    ),
    "engine.address": (
        lambda recipe: _said(recipe, "address") and recipe.engine.kind != "ray",
        "engine.kind is not ray",
    ),
    "schedule.timezone": (
        lambda recipe: _said(recipe, "timezone") and recipe.schedule.cron is None,
        "there is no schedule.cron",
    ),
    "lift.seeds": (
        lambda recipe: _said(recipe, "seeds") and recipe.lift.when == "never",
        NOT_BY_ITSELF,
    ),
    "lift.models": (
        lambda recipe: _said(recipe, "models") and recipe.lift.when == "never",
        NOT_BY_ITSELF,
    ),
    "synthesis.samples": (
        lambda recipe: _said(recipe, "samples") and recipe.synthesis.balance == "fill",
        "synthesis.balance: fill counts for itself",
    ),
}
"""Setting → when it does nothing, and why."""


def unused_settings(recipe: Recipe, prepared: Prepared) -> tuple[str, ...]:
    """Return a sentence for every setting that has no effect on these records."""
    found = {setting: why for setting, (is_unused, why) in RULES.items() if is_unused(recipe)}
    records = words_of(prepared.modality).records
    builder = load_builder(prepared.modality)
    shaped = builder.settings(recipe.source, recipe.privacy.min_group)
    for name, field in SourceConfig.model_fields.items():
        if name in ELSEWHERE or getattr(recipe.source, name) == field.default:
            continue
        without = recipe.source.model_copy(update={name: field.default})
        if builder.settings(without, recipe.privacy.min_group) == shaped:
            found[f"source.{name}"] = f"it does not apply to these {records}"
    for key in _keys_of_others(prepared.modality):
        if _differs(recipe, key) and not any(name.startswith(key) for name in found):
            found[key] = f"it does not apply to these {records}"
    if prepared.split_rule.get("holdout") is not None:
        found.pop("source.split.holdout", None)  # the column says train and validation alone
    if recipe.report.groups and not set(recipe.report.groups) & set(prepared.schema.names):
        found["report.groups"] = f"these {records} have no such column"
    found |= builder.unused(recipe.source, prepared.schema)
    return tuple(f"{setting} has no effect: {why}." for setting, why in sorted(found.items()))


def _remote(uri: str) -> bool:
    return uri.startswith("s3://")


def _keys_of_others(modality: str) -> tuple[str, ...]:
    """Return the keys, but for those of the source, that only other kinds of data have."""
    keys = {key for row in MODALITIES.values() for key in row.own_keys}
    others = keys.difference(MODALITIES[modality].own_keys)
    return tuple(sorted(key for key in others if not key.startswith("source.")))


def _differs(recipe: Recipe, key: str) -> bool:
    """Whether a setting of a section differs from its default."""
    section, _, name = key.partition(".")
    owner = getattr(recipe, section)
    return bool(getattr(owner, name) != type(owner).model_fields[name].default)


def _said(recipe: Recipe, name: str) -> bool:
    """Whether a setting, whose last name is unique, differs from its default."""
    sections = (
        recipe.source.split,
        recipe.training,
        recipe.schedule,
        recipe.synthesis,
        recipe.lift,
        recipe.engine,
    )
    owner = next(one for one in sections if name in type(one).model_fields)
    return bool(getattr(owner, name) != type(owner).model_fields[name].default)
