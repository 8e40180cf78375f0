"""What differential privacy guarantees of a generator, in sentences to be signed or refused."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from flows.recipe import Recipe
from storage.lake import ledger
from storage.lake.ledger import Balance, SourceIdentity
from storage.records.modalities import words_of
from storage.sources.prepared import Prepared
from storage.stores.interface import ObjectStore

LARGEST_EPSILON: Final = 700.0
"""Of a larger one e^ε is no float, and no guarantee."""


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is guaranteed of a generator, whatever anybody knows besides."""

    epsilon: float
    delta: float
    unit: str
    """What one record is called."""

    @classmethod
    def of(cls, resolved: Mapping[str, Any], modality: str) -> Self | None:
        """Return the guarantee of a training by its configuration; None where it has none."""
        private = resolved.get("private")
        if private is None:
            return None
        unit = words_of(modality).record
        return cls(epsilon=private["epsilon"], delta=private["delta"], unit=unit)

    @property
    def short(self) -> str:
        """Return what the first screen says."""
        return f"Differentially private per {self.unit}: ε {self.epsilon:g}, δ {self.delta:.2g}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is guaranteed, of what, and of what not."""
        factor = math.exp(min(self.epsilon, LARGEST_EPSILON))
        one = self.unit
        return (
            f"The generator and every {one} made of it are differentially private with ε "
            f"{self.epsilon:g} and δ {self.delta:.2g}: with one {one} more or less in the source, "
            f"whatever comes out is at most {factor:.3g} times (e^ε) as probable, but for a "
            "probability of δ. That covers the counts of columns, the training, the choice of the "
            "snapshot and the shares of classes.",
            f"It is a promise per {one}: a person of several has it for all of them together at "
            "as many times ε. Names, types and kinds of columns, forms of keys, declared "
            "constraints, the split and the number of training records are taken as public.",
            "Not covered: the verdict, the lift, every number and figure of this report, and "
            "whether anything is published. They are measured exactly, on real records; who must "
            "not learn anything from them gets the data without manifest and report.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "sentences": list(self.sentences)}


def identity_of(recipe: Recipe, prepared: Prepared) -> SourceIdentity:
    """Return whose rows a recipe's source holds."""
    return SourceIdentity.of(recipe.source.uri, prepared.source_digest, recipe.name)


def balance_today(recipe: Recipe, prepared: Prepared, lake: ObjectStore) -> Balance:
    """Return what was taken of the recipe's source."""
    return ledger.balance(lake, identity_of(recipe, prepared), recipe.privacy.total_epsilon)
