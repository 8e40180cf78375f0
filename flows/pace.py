"""What a budget buys on this device, said before an hour is spent: by a few timed steps.

A preset's budget of samples is what it takes to do what the preset is there for; a budget that
buys a small part of it ends in a generator that the gate blocks.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from flows.recipe import Recipe
from storage.records.modalities import words_of
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.codecs import Codec
    from gan.config import ResolvedConfig
    from gan.protocols import Tick
    from gan.training.timing import StepRate

SHORT, HOPELESS = 3.0, 10.0
"""How many times more samples than a budget buys a preset may need before that is said, and called
hopeless: with a third of them a generator is blurred, with a tenth it has hardly begun."""
NOTABLE_S = 60.0
"""Of shorter budgets of time a training itself does not say that they are small."""
LONG_S = 8 * 3600.0
"""A training that takes longer takes more than a night."""


@dataclass(frozen=True, kw_only=True)
class TrainingOutlook:
    """What a training will be on this device."""

    device: str
    samples_per_s: float
    samples_per_cpu_s: float
    samples: int
    """That the budget buys."""
    seconds: float
    """Of wall time that they take."""
    needed_samples: int
    """That the preset is made for."""
    text: str
    warning: str | None = None
    """Why that is too little or takes too long, and what to do."""


def foresee_training(
    recipe: Recipe, prepared: Prepared, codec: "Codec", config: "ResolvedConfig"
) -> TrainingOutlook:
    """Time a few steps of a training and return what it will be.

    Raises:
        ConfigError: the device is missing.
        DataError: the records do not fit the codec.
        MemoryLimitError: not even the networks and the smallest step fit.
    """
    from gan.training.timing import time_steps

    device = recipe.training.device
    pace = time_steps(config, codec, prepared.records["train"], device=device)
    needed = usual_samples(recipe, prepared, codec, config)
    return judge_pace(config, pace, needed, codec, words_of(prepared.modality).records)


def usual_samples(
    recipe: Recipe, prepared: Prepared, codec: "Codec", config: "ResolvedConfig"
) -> int:
    """Return how many samples the preset of a recipe is made for."""
    from gan.modalities import load_modality

    free: dict[str, Any] = {
        "budget_samples": "auto",
        "budget_s": None,
        "budget_cpu_s": None,
        "until": (),
    }
    modality = load_modality(prepared.modality)
    resolve = modality.resolve if config.private is None else modality.resolve_private
    usual = resolve(
        recipe.generator,
        recipe.training.model_copy(update=free),
        codec,
        train_rows=prepared.rows["train"],
        seed=recipe.seed,
    )
    return usual.budget_samples or 0


@dataclass
class PaceNotice:
    """Says once, early in a training, that its budget of time buys too little."""

    say: Callable[[str], None]
    config: "ResolvedConfig"
    codec: "Codec"
    device: str
    needed: Callable[[], int]
    """Returns how many samples the preset is made for."""
    _ticks: list["Tick"] = field(default_factory=list)

    def on_tick(self, tick: "Tick") -> None:
        """Say it at the second: the first pays for the beginning. Phases differ, so of one only."""
        config, ticks = self.config, self._ticks
        budgets = [one for one in (config.budget_s, config.budget_cpu_s) if one is not None]
        is_small = max(budgets, default=0.0) < NOTABLE_S or config.is_fitted
        if is_small or len(config.phases) > 1 or len(ticks) > 1:
            return
        ticks.append(tick)
        first, share = ticks[0], tick.progress - ticks[0].progress
        more, more_s = tick.samples_seen - first.samples_seen, tick.seconds - first.seconds
        if share <= 0 or more <= 0:  # the first, or it went back
            return
        left = 1 - tick.progress
        samples = tick.samples_seen + int(more / share * left)
        if config.budget_samples is not None and samples >= config.budget_samples:
            return
        seconds = tick.seconds + more_s / share * left
        bought = Bought(max(samples, 1), seconds, self.needed(), timed=True)
        warning = _warning(config, self.device, self.codec, bought)
        if warning is not None:
            self.say(f"Note: at the pace so far {warning}")


def judge_pace(
    config: "ResolvedConfig", pace: "StepRate", needed: int, codec: "Codec", records: str
) -> TrainingOutlook:
    """Return what a training at this pace will be; pure."""
    bought = {"": config.budget_samples}
    if config.budget_s is not None:
        bought[f"{config.budget_s:,g} s"] = int(config.budget_s * pace.samples_per_s)
    if config.budget_cpu_s is not None:
        cpu_samples = int(config.budget_cpu_s * pace.samples_per_cpu_s)
        bought[f"{config.budget_cpu_s:,g} CPU s"] = cpu_samples
    counted = {budget: max(one, 1) for budget, one in bought.items() if one is not None}
    samples, budget = min((one, budget) for budget, one in counted.items())
    seconds = samples / pace.samples_per_s
    if config.is_fitted:
        text = f"preset {config.preset} is fitted to all {records} at once, whatever the budget"
        return TrainingOutlook(
            **pace._asdict(), samples=needed, seconds=seconds, needed_samples=needed, text=text
        )
    by_cpu = budget.endswith("CPU s")
    rate = pace.samples_per_cpu_s if by_cpu else pace.samples_per_s
    speed = f"{rate:,.{1 if rate < 10 else 0}f} a {'CPU second' if by_cpu else 'second'}"
    many = f"{rounded(samples):,} {records}"
    text = (
        f"the budget of {budget} buys about {many} here ({speed} on {pace.device})"
        if budget
        else f"{many} take about {duration(seconds)} here ({speed} on {pace.device})"
    )
    return TrainingOutlook(
        **pace._asdict(),
        samples=samples,
        seconds=seconds,
        needed_samples=needed,
        text=text,
        warning=_warning(
            config, pace.device, codec, Bought(samples, seconds, needed, timed=bool(budget))
        ),
    )


@dataclass(frozen=True)
class Bought:
    """What a budget buys, and what it would have to."""

    samples: int
    seconds: float
    needed: int
    timed: bool
    """Whether a budget of time ends it, so that a quicker device buys more and none ends sooner."""


def _warning(config: "ResolvedConfig", device: str, codec: "Codec", bought: Bought) -> str | None:
    """Return why a budget is too small or too large for this device."""
    factor = bought.needed / bought.samples
    if factor >= SHORT:
        word = "hopeless" if factor >= HOPELESS else "short"
        remedies = f"raise training.budget_samples (auto: {bought.needed:,})"
        if bought.timed:
            remedies = _remedies(device, codec, factor, "raise the budget")
        return (
            f"that is {word}: preset {config.preset} needs about {rounded(factor):,g} x more; "
            f"{remedies}"
        )
    if bought.seconds > LONG_S and not bought.timed:
        return (
            f"that is longer than a night; "
            f"{_remedies(device, codec, bought.seconds / LONG_S, 'set training.budget_s')}"
        )
    return None


def _remedies(device: str, codec: "Codec", factor: float, budget: str) -> str:
    from gan.codecs import ShrinkableCodec

    ways = [] if device == "cuda" else ["use a GPU"]
    smaller = codec.smaller(factor) if isinstance(codec, ShrinkableCodec) else None
    ways += [] if smaller is None else [smaller]
    return " or ".join([*ways, budget])


def rounded(number: float) -> float:
    """Return a number to two digits, as what was timed for a second can be known."""
    return float(f"{number:.2g}") if number < 10 else int(float(f"{number:.2g}"))


def duration(seconds: float) -> str:
    """Return a duration as a person says it."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{rounded(seconds / length):g} {unit}"
    return f"{max(rounded(seconds), 1):g} s"


def as_json(foreseen: TrainingOutlook) -> dict[str, Any]:
    """Return it as JSON-able data."""
    return asdict(foreseen)
