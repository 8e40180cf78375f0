"""Tuning in Prefect: a deployment whose run makes the trials and shows what they found."""

from types import SimpleNamespace

import pytest

from flows.cockpit.specs import wanted
from flows.errors import RecipeError
from flows.progress import StopSignal
from flows.recipe import parse_recipe
from flows.tracked import on_demand
from gan.tuning.result import FinishedTrial, TuningResult

TRIALS = (
    FinishedTrial(number=1, state="complete", settings={}, drawn={}, rank=4.0, cpu_s=10.0),
    FinishedTrial(
        number=2, state="complete", settings={"generator.width": 64}, drawn={}, rank=3.0, cpu_s=9.0
    ),
)
RESULT = TuningResult(
    name="digits", study="5" * 64, modality="images", device="cpu", trial_s=10.0, trials=TRIALS
)


@pytest.fixture
def run(monkeypatch):
    """Run the flow's function; what was asked for and shown lies in its attributes."""
    job = SimpleNamespace(
        name="digits",
        stop=StopSignal(),
        lake=None,
        lake_uri="lake",
        recipe=SimpleNamespace(output=SimpleNamespace(lake="lake")),
    )

    def pretend(_, prepared, request):
        call.asked = (prepared, request.trials, request.trial_s)
        return SimpleNamespace(result=RESULT, report_key="runs/5/reports/a/report.html")

    def call(*given, **named):
        return on_demand.tune_flow.fn.__wrapped__(*given, **named)

    call.shown, call.asked = {}, None
    stages = SimpleNamespace(prepare=lambda: "prepared")
    monkeypatch.setattr(on_demand, "open_named", lambda _: job)
    monkeypatch.setattr(on_demand, "tracked_stages", lambda _: stages)
    monkeypatch.setattr(on_demand, "tune", pretend)
    monkeypatch.setattr(on_demand, "report_link", lambda *_: "http://127.0.0.1:4300/page")
    monkeypatch.setattr(
        on_demand, "create_markdown_artifact", lambda text, key: call.shown.update({key: text})
    )
    return call


def test_the_best_ends_the_run_and_every_trial_is_shown(run):
    said = run("digits", trials=2, budget_s=20.0)
    assert run.asked == ("prepared", 2, 10.0)
    assert said.startswith("Trial 2 is the best: rank 3.000, the recipe as it is 4.000.")
    assert said.endswith("report http://127.0.0.1:4300/page")
    text = run.shown["digits-tuning"]
    assert "```yaml\ngenerator:\n  width: 64\n```" in text
    assert "| 1 |" in text
    assert "[open it](http://127.0.0.1:4300/page)" in text


def test_too_little_is_refused_before_anything_is_opened(run):
    with pytest.raises(RecipeError, match="tuning takes 2 to"):
        run("digits", trials=1)
    assert run.asked is None


def test_the_form_asks_for_recipe_trials_and_budget_with_bounds():
    recipe = parse_recipe({"name": "digits", "source": {"uri": "example:digits"}})
    (one,) = [each for each in wanted([recipe]) if each.flow.name == "tune"]
    fields = one.form["properties"]
    assert list(fields) == ["recipe", "trials", "budget_s"]
    assert (fields["trials"]["minimum"], fields["trials"]["maximum"]) == (2, 10_000)
    assert (fields["trials"]["default"], fields["budget_s"]["default"]) == (20, 3600.0)
    assert fields["budget_s"]["exclusiveMinimum"] == 0
    assert [fields[name]["title"] for name in fields] == ["Recipe", "Trials", "Budget in seconds"]
    assert all(fields[name]["description"] for name in fields)
    assert one.description.startswith("Try settings that a recipe leaves at auto")
