"""How many records of which classes are made: the recipe's `synthesis`, and its arithmetic."""

from collections.abc import Mapping, Sequence, Set
from datetime import date
from fractions import Fraction
from typing import Annotated, Literal, Self

import pyarrow as pa
from pydantic import BaseModel, Field, model_validator

from storage.errors import PlanError
from storage.records.modalities import MODALITIES
from storage.records.schema import FROZEN, ClassCounts, Condition, Label

TOLERANCE = 1e-3
"""By how much class fractions may miss 1: thirds are written .333."""


class ClassFraction(BaseModel):
    """The wanted share of one class."""

    model_config = FROZEN

    label: str | int | bool = Field(title="Label")
    """The class, as the source's label column names it."""
    fraction: float = Field(title="Fraction", ge=0, le=1)
    """Its share of the samples; the shares of all classes sum to 1."""


class SynthesisConfig(BaseModel):
    """How many records are made, of which classes, from which seed."""

    model_config = FROZEN

    samples: int = Field(default=10_000, title="Samples", ge=1)
    """Records of the version. `balance: fill` counts for itself and does not use it."""
    balance: Literal["auto", "real", "equal", "fill", "fractions"] = Field(
        default="auto", title="Class balance"
    )
    """auto: real for tables, equal for images. real: the shares of the real training data. equal:
    every class the same. fill: what each class lacks to the size of the largest. fractions: as
    `class_fractions` says. All but real re-weight what the verdict speaks of; the card says so."""
    fill_counts: Literal["source", "train", "all"] = Field(default="source", title="Fill counts")
    """With `balance: fill` only: which real records each class has already. source: all but the
    holdout. train: those of the training split. all: the holdout too, so that the whole source and
    the new records together are balanced."""
    class_fractions: tuple[ClassFraction, ...] = Field(default=(), title="Class fractions")
    """With `balance: fractions` only: the share of every class that is wanted; others get none."""
    given: tuple[Condition, ...] = Field(default=(), title="Given")
    """Tables: what every row must have, such as `{column: sex, values: [Female]}`; series: the same
    of what is static. The others follow as they do in real records of that kind."""
    labels: Literal["generator", "teacher"] = Field(default="generator", title="Labels")
    """Records with a label: who says what it is. generator: the generator, as it draws the record.
    teacher: an ensemble that learned from the real training records alone, of boosted trees for
    tables (needs LightGBM), of small networks for images; its probabilities stand in columns of
    their own, `<label>_probability_<class>` (of a number: what it expects, `<label>_expected`), for
    models that learn from them."""
    seed: int | Literal["night"] = Field(default=0, title="Seed")
    """Root of all randoms of the synthesis. `night` takes the scheduled date: a retry continues,
    and the next night is new."""
    shard_samples: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", title="Samples per shard"
    )
    """Records per shard. auto: shards of 32 to 64 MiB, and at least 16 of them."""

    @model_validator(mode="after")
    def _fractions_and_balance(self) -> Self:
        if (self.balance == "fractions") != bool(self.class_fractions):
            msg = (
                f"balance is {self.balance!r} with {len(self.class_fractions)} class_fractions; "
                "give class_fractions exactly when balance is fractions"
            )
            raise ValueError(msg)
        if self.fill_counts != "source" and self.balance != "fill":
            msg = (
                f"fill_counts is {self.fill_counts!r} with balance {self.balance!r}, where nothing "
                "is filled; set balance to fill, or remove fill_counts"
            )
            raise ValueError(msg)
        return self


COUNTED: Mapping[str, tuple[str, ...]] = {
    "source": ("train", "validation"),
    "train": ("train",),
    "all": ("train", "validation", "holdout"),
}
"""What `fill_counts` says → the splits whose records `balance: fill` counts."""


def resolve(config: SynthesisConfig, modality: str, scheduled: date) -> SynthesisConfig:
    """Return the configuration with `balance: auto` and `seed: night` replaced."""
    return resolve_balance(resolve_seed(config, scheduled), modality)


def resolve_balance(config: SynthesisConfig, modality: str) -> SynthesisConfig:
    """Return the configuration with `balance: auto` replaced by what the modality does."""
    if config.balance != "auto":
        return config
    balance = "equal" if MODALITIES[modality].equal_classes else "real"
    return config.model_copy(update={"balance": balance})


def counted_records(
    config: SynthesisConfig, real_counts: ClassCounts, split_counts: Mapping[str, ClassCounts]
) -> ClassCounts:
    """Return the real records of each class that `balance: fill` counts.

    Args:
        config: says which, by `fill_counts`.
        real_counts: of the training records; their classes are those that can be made.
        split_counts: split → its class counts; a split that is missing counts for none.
    """
    splits = {"train": real_counts, **split_counts}
    found = [dict(splits.get(name, ())) for name in COUNTED[config.fill_counts]]
    return tuple((one, sum(counts.get(one, 0) for counts in found)) for one, _ in real_counts)


def resolve_seed(config: SynthesisConfig, scheduled: date) -> SynthesisConfig:
    """Return the configuration with `seed: night` replaced by the scheduled date as yyyymmdd."""
    if config.seed != "night":
        return config
    return config.model_copy(update={"seed": int(f"{scheduled:%Y%m%d}")})


def plan_classes(
    config: SynthesisConfig,
    real_counts: ClassCounts,
    label: str | None = None,
    counted: ClassCounts | None = None,
) -> ClassCounts:
    """Return how many records of each class are made; empty where the generator decides.

    It decides when it is unconditional, and when something is given and the balance is real: the
    real shares among such rows are the generator's to know. `real_counts` are of the training
    records, by the column `label`; a condition on it leaves fewer classes. `counted` are the
    records that `balance: fill` counts (`counted_records`), None for the training records.

    Raises:
        PlanError: the balance cannot be met with these classes.
    """
    if not real_counts:
        if config.balance in ("fill", "fractions"):
            msg = (
                f"balance {config.balance!r} needs classes and the generator is unconditional; "
                "name source.label or choose balance: real"
            )
            raise PlanError(msg)
        return ()
    left = conditioned_classes(config.given, label, real_counts)
    if config.given and config.balance == "real":
        return ()
    if config.balance == "fill":
        return _fill(real_counts if counted is None else counted, {one for one, _ in left})
    counts = apportion(_weights(config, left), config.samples)
    return tuple((one, count) for (one, _), count in zip(left, counts, strict=True))


def _weights(config: SynthesisConfig, real_counts: ClassCounts) -> Sequence[int | Fraction]:
    if config.balance == "equal":
        return [1] * len(real_counts)
    if config.balance == "fractions":
        return _fractions(config.class_fractions, [label for label, _ in real_counts])
    return [count for _, count in real_counts]


def plan_rows(config: SynthesisConfig, class_counts: ClassCounts) -> int:
    """Return how many records are made in all."""
    return sum(count for _, count in class_counts) if class_counts else config.samples


def _fill(real_counts: ClassCounts, wanted: Set[Label]) -> ClassCounts:
    largest = max(count for _, count in real_counts)
    counts = tuple((one, largest - count) for one, count in real_counts if one in wanted)
    if not any(count for _, count in counts):
        which = "every class" if len(wanted) == len(real_counts) else "what is given"
        msg = (
            f"balance 'fill' has nothing to fill: {which} has {largest} real records; "
            "choose balance: equal"
        )
        raise PlanError(msg)
    return counts


def _fractions(wanted: Sequence[ClassFraction], labels: Sequence[Label]) -> list[Fraction]:
    by_text = {str(label): position for position, label in enumerate(labels)}
    weights = [Fraction(0)] * len(labels)
    for item in wanted:
        position = by_text.get(str(item.label))
        if position is None:
            msg = (
                f"synthesis.class_fractions names the class {item.label!r}, which the training "
                f"data does not have; its classes are {', '.join(sorted(by_text))}"
            )
            raise PlanError(msg)
        weights[position] += Fraction(item.fraction)
    if abs(float(sum(weights)) - 1) > TOLERANCE:
        msg = (
            f"synthesis.class_fractions sum to {float(sum(weights)):.4g}; "
            "give every wanted class its share, 1 in all"
        )
        raise PlanError(msg)
    return weights


def apportion(weights: Sequence[int | Fraction], total: int) -> list[int]:
    """Divide `total` in proportion to `weights` by largest remainders; ties go to the first.

    Exact integers and fractions only, so that every machine agrees.
    """
    whole = sum(weights)
    quotas = [divmod(weight * total, whole) for weight in weights]
    shares = [int(quota) for quota, _ in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: (-quotas[i][1], i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def check_conditions(given: Sequence[Condition], schema: pa.Schema, modality: str) -> None:
    """Check that conditions name columns of a table, each once.

    Raises:
        PlanError: they do not.
    """
    if not given:
        return
    if not MODALITIES[modality].takes_conditions:
        able = " and ".join(name for name, row in MODALITIES.items() if row.takes_conditions)
        msg = (
            f"synthesis.given names column {given[0].column!r}, but the records are {modality}: "
            f"conditions are for {able}; choose classes with synthesis.class_fractions"
        )
        raise PlanError(msg)
    names = [each.column for each in given]
    for position, name in enumerate(names):
        if name not in schema.names:
            msg = (
                f"synthesis.given names column {name!r}, which the table does not have; its "
                f"columns are {', '.join(schema.names)}"
            )
            raise PlanError(msg)
        if name in names[:position]:
            msg = f"synthesis.given names column {name!r} twice: say it in one entry"
            raise PlanError(msg)


def conditioned_classes(
    given: Sequence[Condition], label: str | None, real_counts: ClassCounts
) -> ClassCounts:
    """Return the classes that the condition on the label leaves, all when there is none.

    Raises:
        PlanError: it leaves no class, or names one that the training data does not have.
    """
    found = [each for each in given if each.column == label]
    if not found or not real_counts:
        return real_counts
    known = {_text(one): one for one, _ in real_counts}
    unknown = [value for value in found[0].values if value not in known]
    if unknown:
        msg = (
            f"synthesis.given names the class {unknown[0]!r} of column {label!r}, which the "
            f"training data does not have; its classes are {', '.join(known)}"
        )
        raise PlanError(msg)
    left = tuple(pair for pair in real_counts if _allows(found[0], pair[0]))
    if not left:
        msg = (
            f"synthesis.given leaves no class of column {label!r}: low {found[0].low}, high "
            f"{found[0].high}; its classes are {', '.join(known)}"
        )
        raise PlanError(msg)
    return left


def _allows(given: Condition, label: Label) -> bool:
    if given.values:
        return _text(label) in given.values
    if isinstance(label, str | bool):
        msg = (
            f"synthesis.given gives column {given.column!r} a range, but its classes are not "
            "numbers: give values"
        )
        raise PlanError(msg)
    try:
        low = given.low is None or float(given.low) <= label
        return low and (given.high is None or label <= float(given.high))
    except ValueError as error:
        msg = f"synthesis.given of column {given.column!r} is no range of numbers: {error}"
        raise PlanError(msg) from error


def _text(label: Label) -> str:
    """Return a class as a recipe writes it."""
    return str(label).lower() if isinstance(label, bool) else str(label)
