"""The short form: a deployed recipe, with the few things that one changes on a Tuesday."""

from typing import Annotated, Any, Literal

from prefect import flow, runtime
from pydantic import Field

from flows.recipe import Recipe
from flows.recipe_file import parse_recipe
from flows.tracked.deployed import deployed_recipe
from flows.tracked.form import RecipeName, titled
from flows.tracked.nightly import do_nightly, scheduled_date
from flows.tracked.survive import in_a_sentence

Balance = Literal["real", "equal", "fill", "fractions"]
BudgetSamples = Annotated[int, Field(ge=1)] | Literal["auto"] | None
BudgetSeconds = Annotated[float, Field(gt=0)] | None


def _run_name() -> str:
    asked = runtime.flow_run.parameters
    return f"{asked['recipe']}, adjusted, seed {asked['seed']}, {scheduled_date():%Y-%m-%d}"


@flow(name="adjust", flow_run_name=_run_name, persist_result=False)
@in_a_sentence
def adjust_flow(  # noqa: PLR0913 - the fields of the form
    recipe: RecipeName,
    samples: Annotated[int, titled("Samples", ge=1)] = 10_000,
    balance: Annotated[Balance, titled("Class balance")] = "equal",
    synthesis_seed: Annotated[int | Literal["night"], titled("Seed of the synthesis")] = 0,
    budget_samples: Annotated[BudgetSamples, titled("Budget in samples")] = "auto",
    budget_s: Annotated[BudgetSeconds, titled("Budget in seconds")] = None,
    seed: Annotated[int, titled("Seed", ge=0, lt=2**63)] = 0,
) -> None:
    """Do the whole job of a recipe with a few things changed, for this run only.

    The form shows what the recipe says. Other samples, another balance or another seed of the
    synthesis make another data set version from the generator that is there; another budget or
    seed trains another one.

    Args:
        recipe: Name of a deployed recipe, such as `digits`; everything else is as it says.
        samples: Records of the version. `balance: fill` counts for itself and does not use it.
        balance: real: the shares of the real training data. equal: every class the same. fill:
            what each class lacks to the size of the largest. fractions: as the recipe says.
        synthesis_seed: Root of all randoms of the synthesis; `night` takes the scheduled date.
        budget_samples: Real records shown before training ends; `auto` lets the preset choose.
        budget_s: Seconds before training ends; with both budgets the first to run out ends it.
        seed: The root of all randomness of training and evaluation.

    Raises:
        BlockedError: the gate let nobody publish; the run shows as failed, with the reason.
    """
    changes = {
        "samples": samples,
        "balance": balance,
        "synthesis_seed": synthesis_seed,
        "budget_samples": budget_samples,
        "budget_s": budget_s,
        "seed": seed,
    }
    do_nightly(adjusted(deployed_recipe(recipe), changes))


def adjusted(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """Return a recipe with the values of the short form.

    Args:
        recipe: as it is deployed.
        changes: what `form_values` returns, changed.

    Raises:
        RecipeError: the values do not go together.
    """
    raw = recipe.model_dump(mode="json")
    training, synthesis = raw["training"], raw["synthesis"]
    training |= {name: changes[name] for name in ("budget_samples", "budget_s")}
    synthesis |= {name: changes[name] for name in ("samples", "balance")}
    synthesis["seed"] = changes["synthesis_seed"]
    raw["seed"] = changes["seed"]
    if changes["balance"] != "fractions":
        synthesis["class_fractions"] = []
    return parse_recipe(raw, where=f"recipe {recipe.name}, adjusted")


def form_values(recipe: Recipe) -> dict[str, Any]:
    """Return what the short form of a recipe shows before anything is changed."""
    return {
        "recipe": recipe.name,
        "samples": recipe.synthesis.samples,
        "balance": recipe.synthesis.balance,
        "synthesis_seed": recipe.synthesis.seed,
        "budget_samples": recipe.training.budget_samples,
        "budget_s": recipe.training.budget_s,
        "seed": recipe.seed,
    }
