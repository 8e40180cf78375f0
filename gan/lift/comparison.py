"""What arms change on the holdout, on all of it and in groups: does it help all of them?

For groups the models are those of the one comparison, trained on everybody; only what they are
scored on is cut down to a group. So nothing is trained for it, and a group of few records has a
wide interval: what cannot be known of it is said so.

Shapes: S seeds, E records of the holdout, B draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gan.lift.answer import answer_of
from gan.lift.arms import BASELINE, Arm
from gan.lift.choice import Lab
from gan.lift.effect import difference, resampled
from gan.lift.result import Effect, GroupLift
from gan.lift.scoring import LEAST, Array, Scoring
from gan.lift.task import Grouped

Scores = Mapping[str, Sequence[Array]]
"""Arm → the scores of every seed by which arms are compared."""


def compare(
    lab: Lab, model: str, scores: Scores, targets_E: Array, scoring: Scoring, draws: int
) -> dict[str, Effect]:
    """Return what each arm changes against the baseline.

    Args:
        lab: its seed draws the records.
        model: that was trained.
        scores: of the records that are compared.
        targets_E: of the same.
        scoring: its primary metric is compared.
        draws: resamples behind an effect.
    """
    if not scores:
        return {}
    metric = scoring.primary
    found = resampled({metric: scoring.primary_of}, targets_E, scores, lab.seed, draws)
    baseline_SB, effects = found[BASELINE.name, metric], {}
    for name in scores:
        values_SB = found[name, metric]
        changed = difference(values_SB, baseline_SB, lab.seed)
        effects[name] = Effect(
            arm=name,
            model=model,
            metric=metric,
            baseline=float(baseline_SB[:, 0].mean()),
            value=float(values_SB[:, 0].mean()),
            effect=changed.interval,
            detectable=changed.detectable,
        )
    return effects


def group_lifts(
    lab: Lab, model: str, scores: Scores, arm: Arm | None, columns: Sequence[str], draws: int
) -> tuple[GroupLift, ...]:
    """Return what an arm changes in every group that may be named, the largest first.

    Args:
        lab: task and scoring.
        model: that was trained.
        scores: of the whole holdout.
        arm: that is compared with the baseline; None where there is none.
        columns: whose values are groups.
        draws: resamples behind an effect.
    """
    if arm is None or arm.name not in scores or not isinstance(lab.task, Grouped):
        return ()
    both = {name: scores[name] for name in (BASELINE.name, arm.name)}
    return tuple(
        _group_lift(lab, model, both, GroupLift(column=column, group=name), is_in_E, draws)
        for column in columns
        for name, is_in_E in lab.task.groups(column).items()
    )


def _group_lift(
    lab: Lab, model: str, scores: Scores, group: GroupLift, is_in_E: Array, draws: int
) -> GroupLift:
    """Return what the last arm changes in one group."""
    targets = lab.task.targets("holdout")[is_in_E]
    scoring = _restricted(lab.scoring, targets)
    if why := _too_few(scoring, targets):
        return replace(group, rows=len(targets), why=why)
    own = {name: [one[is_in_E] for one in of_seeds] for name, of_seeds in scores.items()}
    *_, effect = compare(lab, model, own, targets, scoring, draws).values()
    answer = answer_of(effect, is_cut=lab.is_cut)
    return replace(group, rows=len(targets), answer=answer, effect=effect)


def _restricted(scoring: Scoring, targets: Array) -> Scoring:
    """Return the scoring of the classes of which the group has enough records."""
    if scoring.goal == "numbers":
        return scoring
    counts_C = np.bincount(targets, minlength=len(scoring.classes))
    return replace(scoring, scored=scoring.scored[counts_C[scoring.scored] >= LEAST])


def _too_few(scoring: Scoring, targets: Array) -> str:
    """Return why nothing can be said of a group; empty where something can."""
    if scoring.goal == "numbers":
        few = len(targets) < 2 * LEAST
        return f"{len(targets)} records, and {2 * LEAST} are needed" if few else ""
    if len(scoring.scored) >= 2:
        return ""
    return f"two classes need {LEAST} records each"
