"""Every recipe of `deployments/recipes/classic/` trains, from its file to a candidate in a lake.

None is stopped by a gate that must know everything, as a table of few rows would be."""

from pathlib import Path

import pytest

from flows.cli.app import execute
from flows.errors import DONE

CLASSIC = sorted((Path(__file__).parents[2] / "deployments" / "recipes" / "classic").glob("*.yaml"))
LITTLE = ("training.budget_cpu_s=null", "training.budget_samples=160", "training.batch_size=16")


@pytest.mark.full
@pytest.mark.parametrize("recipe", CLASSIC, ids=lambda path: path.stem)
def test_a_classic_recipe_trains(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    changes = [word for change in LITTLE for word in ("--set", change)]
    assert execute(["train", str(recipe), *changes]) == DONE
    assert "Candidate" in capsys.readouterr().out
    assert list(tmp_path.glob("lake/generators/*/*/generator.safetensors"))
