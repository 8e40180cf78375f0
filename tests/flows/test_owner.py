"""Names that belong to somebody: who may use them, and who is told before anything is read."""

from pathlib import Path

import pytest
import yaml

from flows.cli.app import execute
from flows.errors import RecipeError
from flows.job import Job, now
from flows.nightly import check_name
from flows.recipe import parse_recipe
from storage.lake.registry import claim, read_owner
from storage.stores.memory import MemoryStore
from storage.stores.open import open_store

NOWHERE = {"uri": "nowhere/*.parquet"}
"""A source that cannot be read, so that a test sees what is done before it."""


@pytest.fixture
def lake():
    return MemoryStore()


def job(lake, owner: str | None) -> Job:
    recipe = parse_recipe({"name": "digits", "source": NOWHERE, "owner": owner})
    return Job(recipe=recipe, lake=lake, lake_profile=None, work=Path(), scheduled=now().date())


def test_the_first_owner_claims_the_name_and_keeps_it(lake):
    check_name(job(lake, None), claims=True)
    assert read_owner(lake, "digits") is None
    check_name(job(lake, "vision"), claims=True)
    check_name(job(lake, "vision"), claims=True)
    assert read_owner(lake, "digits").owner == "vision"


@pytest.mark.parametrize("claims", [True, False])
@pytest.mark.parametrize(
    ("owner", "said"), [("sound", "says owner 'sound'"), (None, "says no owner")]
)
def test_everybody_else_is_refused_in_one_sentence(lake, claims, owner, said):
    check_name(job(lake, "vision"), claims=True)
    with pytest.raises(RecipeError) as refused:
        check_name(job(lake, owner), claims=claims)
    text = str(refused.value)
    assert text.startswith("the name 'digits' belongs to 'vision' in ./lake since ")
    assert said in text
    assert "choose another name, or write `owner: vision` if that is you" in text


def test_a_check_claims_nothing(lake):
    assert check_name(job(lake, "vision")) is None
    assert read_owner(lake, "digits") is None


@pytest.mark.parametrize("owner", ["", "Vision", "-vision", "a b", "x" * 64])
def test_an_owner_is_written_like_a_name(owner):
    with pytest.raises(RecipeError, match="owner"):
        parse_recipe({"name": "digits", "source": NOWHERE, "owner": owner})


@pytest.mark.parametrize("command", ["run", "train", "evaluate", "check"])
def test_a_command_on_somebody_else_s_name_exits_2_before_the_source_is_read(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(yaml.safe_dump({"name": "digits", "source": NOWHERE}))
    assert execute([command, "r.yaml"]) == 4, "the source is nowhere"
    claim(open_store("lake"), "digits", "vision", now())
    capsys.readouterr()
    assert execute([command, "r.yaml"]) == 2
    assert "belongs to 'vision'" in capsys.readouterr().err
    assert execute([command, "r.yaml", "--set", "owner=vision"]) == 4


def test_a_check_goes_on_without_a_lake_that_does_not_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.cli.check.LAKE_DEADLINE_S", 0.0)
    for name, value in {"KEY": "k", "SECRET": "s", "ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(f"GANMILL_STORAGE__FAR__{name}", value)
    output = {"lake": "s3://bucket/lake", "storage": "far"}
    recipe = {"name": "digits", "source": NOWHERE, "output": output}
    Path("r.yaml").write_text(yaml.safe_dump(recipe))
    assert execute(["check", "r.yaml"]) == 4
    told = capsys.readouterr().err
    assert "Whose the name is cannot be found out" in told
    assert "nowhere" in told, "the source is read all the same"
