"""`ganmill lift`: whether training on the synthetic records of a recipe helps."""

import json
from collections.abc import Sequence
from pathlib import Path

from flows.cli.jobs import show_lift
from flows.cli.output import Output
from flows.errors import BLOCKED, DONE
from flows.job import opened
from flows.nightly import lift_alone, plain_stages
from flows.recipe import load_recipe
from flows.report.lift import LiftView, lift_view
from gan.gate import lift_reason


def measure_lift_of(
    path: Path, changes: Sequence[str], *, thorough: bool, curve: bool, as_json: bool
) -> int:
    """Measure, or read what was measured, and show all of it; decides and publishes nothing."""
    recipe, output = load_recipe(path, changes), Output()
    with opened(recipe) as job:
        generator, kept = lift_alone(job, plain_stages(job), thorough=thorough, curve=curve)
    if as_json:
        found = {"name": recipe.name, "version": generator.version, "measured": kept.measured}
        extent = {"thorough": thorough, "curve": curve}
        output.json(found | extent | {"lift": json.loads(kept.lift.to_json())})
    else:
        output.line(f"Generator {recipe.name}/{generator.version}, measured {kept.measured}")
        show_whole_lift(lift_view(kept.lift), output)
    reason = lift_reason(kept.lift, recipe.gate.require_lift)
    return BLOCKED if reason is not None and reason.outcome == "block" else DONE


def show_whole_lift(view: LiftView, output: Output) -> None:
    """Write the answer and everything that it rests on."""
    show_lift(view, output)
    tables = (
        (view.arm_columns, view.arms),
        (view.metric_columns, view.metrics),
        (view.class_columns, view.classes),
        (view.curve_columns, view.curve),
    )
    for columns, rows in tables:
        if rows:
            output.line()
            output.table(columns, [[str(cell) for cell in row] for row in rows])
    for note in view.notes:
        output.line(f"Note      {note}")
