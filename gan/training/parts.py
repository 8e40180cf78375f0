"""Parts of an adversarial training that a recipe changes one by one, and which go together."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from gan.config import GeneratorConfig
from gan.errors import ConfigError
from gan.training.losses import ADVERSARIAL
from gan.training.optimizers import OPTIMIZERS
from gan.training.regularizers import PENALTIES
from gan.training.techniques import TECHNIQUES

GAMMAS = {"interpolated": 20.0, "r1": 1.0, "r2": 1.0, "r1-r2": 1.0}
"""Gamma of a penalty that a recipe puts in the place of the preset's; twice the published λ."""
ZERO_CENTRED = ("r1", "r2", "r1-r2")
"""Penalties whose gamma follows the size of the records: each value adds its own gradient to them,
while `interpolated` holds the length of all together at 1 whatever their number."""

ADVERSARIAL_ONLY = (
    *("gamma", "loss", "penalty", "terms", "discriminator_steps", "discriminator_rate"),
    "truncation",
)
"""Choices that nothing reads without a discriminator."""
TRAINED_ONLY = (*ADVERSARIAL_ONLY, "optimizer", "learning_rate", "latent")
"""Choices that nothing reads where a generator is fitted at once."""

NUMBERS = ("gamma", "learning_rate", "latent")
"""Of these, those that are told as numbers."""

UNSOUND: Mapping[tuple[str, str], str] = {
    **{
        (loss, "weight-clipping"): "clipped weights keep the logits near 0, and this loss needs "
        "them apart (of eight Gaussians on a ring it finds two at most)"
        for loss in ADVERSARIAL
        if loss != "wasserstein"
    },
    ("wasserstein", "none"): "without a bound on its slope the critic grows without limit",
    ("least-squares", "gradient-normalization"): "normalised logits stay short of the 1 that "
    "the loss asks for (of eight Gaussians on a ring it finds five)",
}
"""Loss and penalty → why a training with both goes wrong."""


class Parts(NamedTuple):
    """The parts that were chosen."""

    loss: str
    penalty: str
    gamma: float
    terms: Mapping[str, float]
    optimizer: str
    discriminator_steps: int
    discriminator_rate: float
    notes: tuple[str, ...]
    """What differs from the preset."""


class PresetParts(Protocol):
    """What a preset says of its parts."""

    @property
    def objective(self) -> str:
        """Of `gan.training.objectives.OBJECTIVES`."""

    @property
    def loss(self) -> str:
        """Of `ADVERSARIAL`."""

    @property
    def penalty(self) -> str:
        """Of `PENALTIES`."""

    @property
    def gamma(self) -> float | None:
        """Twice the weight of a gradient penalty."""

    @property
    def gamma_factor(self) -> float:
        """Of the gammas of zero-centred penalties, for records of this size."""

    @property
    def terms(self) -> Mapping[str, float]:
        """Of `TECHNIQUES`, with their strengths."""

    @property
    def optimizer(self) -> str:
        """Of `OPTIMIZERS`."""

    @property
    def discriminator_steps(self) -> int:
        """For one of the generator."""

    @property
    def discriminator_rate(self) -> float:
        """In learning rates of the generator."""


def choose_parts(generator: GeneratorConfig, preset: PresetParts, name: str) -> Parts:
    """Return a preset's parts with what the recipe puts in their place.

    Raises:
        ConfigError: there is no such part, the preset has no use for it, or two do not go together.
    """
    wanted = {part: getattr(generator, part) for part in TRAINED_ONLY}
    set_here = {part: value for part, value in wanted.items() if value not in ("auto", None)}
    if "terms" in set_here:
        set_here["terms"] = {term.name: term.strength for term in set_here["terms"]}
    _check_names(set_here)
    if "terms" in set_here:
        set_here["terms"] = _strengths(set_here["terms"])
    if preset.objective != "adversarial":
        _refuse(set_here, name, fitted=preset.objective == "fitted")
        return Parts(
            preset.loss,
            preset.penalty,
            preset.gamma or 0.0,
            preset.terms,
            set_here.get("optimizer", preset.optimizer),
            preset.discriminator_steps,
            preset.discriminator_rate,
            (),
        )
    loss = set_here.get("loss", preset.loss)
    penalty = set_here.get("penalty", preset.penalty)
    terms = set_here.get("terms", preset.terms)
    _check_pair(loss, penalty, terms)
    named = {part: value for part, value in set_here.items() if part not in NUMBERS}
    changed = ", ".join(f"{part} {_said(value)}" for part, value in named.items())
    return Parts(
        loss,
        penalty,
        _gamma(set_here.get("gamma"), preset, penalty),
        terms,
        set_here.get("optimizer", preset.optimizer),
        set_here.get("discriminator_steps", preset.discriminator_steps),
        set_here.get("discriminator_rate", preset.discriminator_rate),
        (f"of the recipe: {changed}",) if changed else (),
    )


def _said(value: object) -> str:
    """Return a choice as a person says it."""
    if isinstance(value, Mapping):
        return " and ".join(f"{name} {strength:g}" for name, strength in value.items()) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _strengths(terms: Mapping[str, float | str]) -> dict[str, float]:
    """Return terms with the strengths that they have.

    Raises:
        ConfigError: one is larger than makes sense.
    """
    found = dict[str, float]()
    for name, wanted in terms.items():
        technique = TECHNIQUES[name]
        found[name] = technique.usual if wanted == "auto" else float(wanted)
        if technique.most is not None and found[name] > technique.most:
            msg = (
                f"generator.terms has {name} {found[name]:g}, and at most {technique.most:g} makes "
                f"sense: choose {technique.usual:g}, as is usual"
            )
            raise ConfigError(msg)
    return found


def _check_names(set_here: Mapping[str, Any]) -> None:
    """Refuse what no table has."""
    tables: dict[str, Mapping[str, object]] = {
        "loss": ADVERSARIAL,
        "penalty": PENALTIES,
        "optimizer": OPTIMIZERS,
        "terms": TECHNIQUES,
    }
    for part, table in tables.items():
        value = set_here.get(part, ())
        for name in [value] if isinstance(value, str) else value:
            if name not in table:
                msg = f"generator.{part} has no {name!r}: choose auto or of {', '.join(table)}"
                raise ConfigError(msg)


def _refuse(set_here: Mapping[str, Any], name: str, *, fitted: bool) -> None:
    """Refuse what a training without a discriminator, or without steps, would not read."""
    why = "is fitted at once" if fitted else "has no discriminator"
    for part in TRAINED_ONLY if fitted else ADVERSARIAL_ONLY:
        if part in set_here:
            msg = (
                f"generator.{part} is {_said(set_here[part])}, and preset {name!r} has no such "
                f"thing, for it {why}: leave it at auto, or choose another preset"
            )
            raise ConfigError(msg)


def _check_pair(loss: str, penalty: str, terms: Mapping[str, float]) -> None:
    """Refuse parts that do not go together."""
    reason = UNSOUND.get((loss, penalty))
    if reason is not None:
        sound = [name for name in PENALTIES if (loss, name) not in UNSOUND]
        msg = (
            f"generator.loss {loss!r} with generator.penalty {penalty!r} does not train: {reason}; "
            f"choose {' or '.join(sound)}"
        )
        raise ConfigError(msg)
    if "label-smoothing" in terms and not ADVERSARIAL[loss].probabilities:
        having = [name for name, each in ADVERSARIAL.items() if each.probabilities]
        msg = (
            f"generator.terms has label-smoothing, and generator.loss {loss!r} has no labels to "
            f"smooth: remove it, or choose {' or '.join(having)}"
        )
        raise ConfigError(msg)


def _gamma(wanted: float | None, preset: PresetParts, penalty: str) -> float:
    """Return the weight of the gradient penalty, 0 where there is none."""
    if PENALTIES[penalty].gradient is None:
        if wanted is not None:
            having = [name for name, each in PENALTIES.items() if each.gradient is not None]
            msg = (
                f"generator.gamma is {wanted:g}, and penalty {penalty!r} has no weight: leave it "
                f"at auto, or choose penalty {' or '.join(having)}"
            )
            raise ConfigError(msg)
        return 0.0
    if wanted is not None:
        return wanted
    if penalty == preset.penalty:
        return preset.gamma or 0.0
    return GAMMAS[penalty] * (preset.gamma_factor if penalty in ZERO_CENTRED else 1.0)
