"""How many records a budget can read, which a sample need not exceed."""

import pytest

from flows.nightly import ROWS_PER_CPU_S, rows_in_reach
from flows.recipe import Recipe
from gan.config import TrainingConfig
from storage.lake.synthesis import SynthesisConfig


@pytest.mark.parametrize(
    ("budget", "rows"),
    [
        ({"budget_samples": "auto"}, None),
        ({"budget_samples": 300_000}, 500_000),
        ({"budget_samples": None, "budget_cpu_s": 6}, 10 * ROWS_PER_CPU_S),
        ({"budget_samples": 60, "budget_s": 6.0}, 100),
    ],
)
def test_the_rows_of_a_budget(budget, rows) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "shop",
            "source": {"uri": "rows.parquet"},
            "training": TrainingConfig(**budget).model_dump(),
            "synthesis": SynthesisConfig().model_dump(),
        }
    )
    assert rows_in_reach(recipe) == rows
