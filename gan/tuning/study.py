"""Which settings are tried next, and which trial is given up: Optuna, told all that is finished.

No state is carried: the sampler of trial n is seeded by n and told every finished trial, so that
whoever comes after a kill, or beside another process, goes on from what the lake holds. Sampled by
TPE (Bergstra et al., "Algorithms for hyper-parameter optimization", 2011, section 4); given up by
the median rule (Golovin et al., "Google Vizier", 2017, section 3.2.2): a trial whose best rank so
far is worse than the median of the others' at the same share of the budget.
"""

import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.randomness import derive
from gan.tuning.knobs import PRESET, Knob, NameKnob, Value
from gan.tuning.result import FIRST, FinishedTrial, TrialState

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

Settings = Mapping[str, Value]
Resolve = Callable[[Settings], ResolvedConfig]
"""From settings to the complete configuration of a trial; raises ConfigError where they do not go
together."""

STEPS: Final = 14
"""Shares of a budget at which trials are compared: as many as a timed training has ticks."""
PRESET_TRIALS: Final = 6
"""So many presets are tried as they are, right behind the recipe as it is."""
RANDOM_TRIALS: Final = 8
"""So many finished trials the sampler waits for before it models them."""
SPARED_TRIALS, SPARED_STEPS = 4, 4
"""No trial is given up before so many others ran to their end, nor before this step."""
UNUSABLE: Final = 1e9
"""Rank of a generator without a usable sample, to the pruner."""
MOST_DRAWS: Final = 50
"""So often are settings drawn again that were tried before."""
SEEDS: Final = 2**32
"""Seeds that the sampler takes."""
FEWEST_TRAINED: Final = 8
"""Importance is told from so many trained trials on."""
TOP_TRIALS, SMALLEST_TOP, LARGEST_TOP = 5, 0.1, 0.5
"""PED-ANOVA compares about so many of the best with all: at least and at most these shares."""


class Exhausted(Exception):  # noqa: N818 - no error: all there is was tried
    """Nothing is drawn any more that was not tried before."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The open knobs of a recipe, and what its settings become."""

    knobs: Sequence[Knob]
    resolve: Resolve

    @property
    def turns(self) -> tuple[Sequence[Knob], ...]:
        """The knobs in the order in which they are turned: the preset, other names, numbers.

        What there is to turn, and the numbers that multiples are of, follow from the names.
        """
        preset = [knob for knob in self.knobs if knob.setting == PRESET]
        names = [k for k in self.knobs if isinstance(k, NameKnob) and k.setting != PRESET]
        numbers = [knob for knob in self.knobs if not isinstance(knob, NameKnob)]
        return preset, names, numbers

    def describe(self) -> dict[str, list[Value]]:
        """Return what may be drawn, by setting: part of a study's identity."""
        return {knob.setting: knob.domain for knob in self.knobs}

    def preset_of(self, number: int, own: ResolvedConfig) -> str | None:
        """Return the preset that a trial of a low number takes as it is, None for all others.

        Presets are whole systems: one as published says more than one with parts of another. The
        recipe's own is the first trial, so that it is passed over.
        """
        for knob in self.turns[0]:
            names = [str(name) for name in knob.domain if name != knob.own(own)]
            place = number - FIRST - 1
            if 0 <= place < min(len(names), PRESET_TRIALS):
                return names[place]
        return None

    def is_empty(self, config: ResolvedConfig) -> bool:
        """Return whether the recipe, which is this configuration, has nothing to turn."""
        return all(knob.own(config) is None for knob in self.knobs)

    def unchanged(self, config: ResolvedConfig) -> dict[str, Value]:
        """Return the draws that leave the recipe as it is, which is this configuration."""
        found = dict[str, Value]()
        for knob in self.knobs:
            own = knob.own(config)
            drawn = None if own is None else knob.unchanged(own)
            if drawn is not None:
                found[knob.setting] = drawn
        return found


@dataclass(kw_only=True)
class RunningTrial:
    """A trial whose settings are drawn; the pruner looks at its ranks."""

    number: int
    settings: dict[str, Value] = field(default_factory=dict)
    """What differs from the recipe."""
    drawn: dict[str, Value] = field(default_factory=dict)
    curve: list[tuple[float, float | None]] = field(default_factory=list)
    _study: "Study"
    _tried: Collection[Settings] = ()
    _is_set: bool = False
    """Whether the number says the settings, and nothing is drawn."""
    _trial: "Trial | None" = None
    _step: int = -1

    def draw(self, space: SearchSpace) -> ResolvedConfig:
        """Draw settings that were not tried yet, and return the configuration.

        What was drawn stays when it is refused.

        Raises:
            ConfigError: the settings do not go together.
            Exhausted: nothing new is found.
        """
        for _ in range(MOST_DRAWS):
            self.settings, self.drawn, refusal = {}, {}, None
            self._trial = self._study.ask()
            try:
                config = self._draw(space, self._trial)
            except ConfigError as error:
                refusal = error
            if self.settings in self._tried and not self._is_set:
                continue
            if refusal is not None:
                raise refusal
            return config
        msg = f"{MOST_DRAWS} draws in a row had all been tried before"
        raise Exhausted(msg)

    def _draw(self, space: SearchSpace, trial: "Trial") -> ResolvedConfig:
        config = space.resolve({})
        preset = space.preset_of(self.number, config)
        self._is_set = self.number == FIRST or preset is not None
        if preset is not None:
            self.settings[PRESET] = self.drawn[PRESET] = preset
            config = space.resolve(self.settings)
        if self._is_set:
            self.drawn = space.unchanged(config) | self.drawn
            return config
        for turn in space.turns:
            for knob in turn:
                has = knob.own(config)
                if has is None:
                    continue
                drawn = self.drawn[knob.setting] = knob.draw(trial)
                value = knob.value(has, drawn)
                if value != has:
                    self.settings[knob.setting] = value
            config = space.resolve(self.settings)
        return self._with_preset(space, config)

    def _with_preset(self, space: SearchSpace, config: ResolvedConfig) -> ResolvedConfig:
        """Name the preset beside its numbers: with another budget `auto` may be another one."""
        if not self.settings or PRESET in self.settings or not space.turns[0]:
            return config
        self.settings[PRESET] = config.preset
        return space.resolve(self.settings)

    def ended(
        self,
        state: TrialState,
        *,
        rank: float | None = None,
        why: str = "",
        samples_seen: int = 0,
        seconds: float = 0.0,
        cpu_s: float = 0.0,
    ) -> FinishedTrial:
        """Return the trial as it is kept."""
        return FinishedTrial(
            number=self.number,
            state=state,
            settings=dict(self.settings),
            drawn=dict(self.drawn),
            rank=rank,
            curve=tuple(self.curve),
            samples_seen=samples_seen,
            seconds=round(seconds, 3),
            cpu_s=round(cpu_s, 3),
            why=why,
        )

    def report(self, share: float, rank: float) -> bool:
        """Take note of a tick; True when the trial is to be given up.

        Args:
            share: of the budget that is used, 0 to 1.
            rank: of the generator now; infinite where it is unusable.
        """
        usable = math.isfinite(rank)
        self.curve.append((round(share, 4), rank if usable else None))
        step, trial = step_at(share), self._trial
        if trial is None:
            return False
        if step > self._step:
            trial.report(rank if usable else UNUSABLE, step)
            self._step = step
        return share < 1 and self.number != FIRST and trial.should_prune()


def step_at(share: float) -> int:
    """Return the step of a used share of the budget."""
    return min(int(share * STEPS + 1e-9), STEPS)


def start(
    space: SearchSpace, finished: Sequence[FinishedTrial], number: int, seed: int
) -> RunningTrial:
    """Return the trial of a number, whose settings are still to be drawn.

    Args:
        space: what may be drawn.
        finished: every trial that is over.
        number: of this one.
        seed: of the study.
    """
    study = _told(space, finished, seed=derive(seed, "tuning", number) % SEEDS)
    tried = [dict(one.settings) for one in finished]
    return RunningTrial(number=number, _study=study, _tried=tried)


def importance(space: SearchSpace, finished: Sequence[FinishedTrial]) -> dict[str, float]:
    """Return which settings decide whether a trial is among the best, the largest first; sum 1.

    By PED-ANOVA, Optuna's own: Watanabe et al., "PED-ANOVA: efficiently quantifying hyperparameter
    importance in arbitrary subspaces" (2023), with trials that have not all settings as in its
    conditional form. It asks only which trials are among the best, so those that were given up or
    failed take part, behind all others. A setting that less than half of the best have is left
    out: one or two values tell nothing of it. Empty where too few were trained.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    trained = [one for one in finished if one.state != "refused"]
    if len(trained) < FEWEST_TRAINED or not space.knobs:
        return {}
    ranked = [
        one if one.state == "complete" else replace(one, state="complete", rank=UNUSABLE)
        for one in trained
    ]
    top = min(max(TOP_TRIALS / len(ranked), SMALLEST_TOP), LARGEST_TOP)
    best = sorted(ranked, key=lambda one: (one.rank or 0.0, one.number))
    best = best[: math.ceil(top * len(ranked))]
    known = [
        knob.setting
        for knob in space.knobs
        if 2 * sum(knob.setting in one.drawn for one in best) >= len(best)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that hardly any trial has
        found = get_param_importances(
            _told(space, ranked, seed=0),
            evaluator=PedAnovaImportanceEvaluator(target_quantile=top),
            params=known,
        )
    shares = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return {setting: float(share) for setting, share in shares}


def _told(space: SearchSpace, finished: Sequence[FinishedTrial], *, seed: int) -> "Study":
    """Return a study in memory that knows the finished trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS),
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=SPARED_TRIALS, n_warmup_steps=SPARED_STEPS
        ),
        direction="minimize",
    )
    study.add_trials(_frozen(space, one) for one in sorted(finished, key=lambda one: one.number))
    return study


def _frozen(space: SearchSpace, one: FinishedTrial) -> "FrozenTrial":
    """Return a finished trial as Optuna knows it: refused and failed ones are pruned at once."""
    from optuna.trial import TrialState, create_trial

    distributions = {
        knob.setting: knob.distribution for knob in space.knobs if knob.setting in one.drawn
    }
    is_complete = one.state == "complete" and one.rank is not None
    told = one.state in ("complete", "pruned")
    return create_trial(
        state=TrialState.COMPLETE if is_complete else TrialState.PRUNED,
        value=one.rank if is_complete else None,
        params=dict(one.drawn),
        distributions=distributions,
        intermediate_values=_at_steps(one) if told else {},
    )


def _at_steps(one: FinishedTrial) -> dict[int, float]:
    """Return the best rank so far at every step from the first tick to the last."""
    found, lowest = dict[int, float](), math.inf
    ticks = [(step_at(share), UNUSABLE if rank is None else rank) for share, rank in one.curve]
    last = max((step for step, _ in ticks), default=-1)
    for step in range(min((step for step, _ in ticks), default=0), last + 1):
        lowest = min([lowest, *(rank for at, rank in ticks if at == step)])
        found[step] = lowest
    return found
