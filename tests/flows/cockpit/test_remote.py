"""Recipes that lie in git or on S3: the same ones, and a sentence for everything that is amiss."""

import shutil
import subprocess

import pytest
import yaml

from flows.cli.app import execute
from flows.cockpit import recipes
from flows.cockpit.recipes import find_recipes, parse_git, shown
from flows.errors import USAGE, RecipeError
from storage.stores.open import open_store

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def text(name, **changes):
    recipe = {"name": name, "source": {"uri": "example:digits"}, "output": {"lake": "s3://b/lake"}}
    return yaml.safe_dump(recipe | changes)


def git(folder, *words):
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Recipes in a folder, another number of samples on a branch, the first commit tagged."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "nights").mkdir()
    (folder / "nights" / "a.yaml").write_text(text("a"))
    (folder / "nights" / "local.yml").write_text(text("local", output={"lake": "./lake"}))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "tag", "v1")
    git(folder, "checkout", "--quiet", "-b", "more")
    (folder / "nights" / "a.yaml").write_text(text("a", synthesis={"samples": 7}))
    git(folder, "commit", "--quiet", "-am", "two")
    return folder


@needs_git
def test_a_branch_a_tag_and_a_commit_each_give_their_own_recipe(repository):
    place = f"git+file://{repository}"
    words = ["git", "-C", str(repository), "rev-parse", "more"]
    head = subprocess.check_output(words, text=True).strip()
    samples = {}
    for ref in ("", "@main", "@v1", "@more", f"@{head}"):
        (recipe,) = find_recipes(f"{place}{ref}#nights/a.yaml")
        samples[ref] = recipe.synthesis.samples
    assert samples == {"": 7, "@main": 10_000, "@v1": 10_000, "@more": 7, f"@{head}": 7}


@needs_git
def test_a_relative_lake_has_no_folder_to_start_from_until_one_is_named(repository):
    place = f"git+file://{repository}@v1#nights"
    with pytest.raises(RecipeError, match=r"local\.yml: `output\.lake` is '\./lake'.*--lake") as e:
        find_recipes(place)
    assert "ganmill-recipes-" not in str(e.value)
    found = find_recipes(place, ["output.lake=s3://b/other"])
    assert [recipe.name for recipe in found] == ["a", "local"]


@needs_git
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("git+file://{0}@nobody", "git cannot read"),
        ("git+file://{0}/missing", "git cannot read"),
        ("git+file://{0}#days", "'days' is not in that commit"),
        ("git+file://{0}#../nights", "no branch, tag, commit or folder"),
        ("git+file://{0}@--upload-pack=x", "no branch, tag, commit or folder"),
        ("git+ext://sh", "names no repository"),
    ],
)
def test_what_git_cannot_give_is_one_sentence(repository, place, words):
    with pytest.raises(RecipeError, match=words) as error:
        find_recipes(place.format(repository))
    assert "\n" not in str(error.value)


def test_without_git_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(recipes.shutil, "which", lambda _: None)
    with pytest.raises(RecipeError, match="git is not installed"):
        find_recipes("git+https://host.example/repo")


def test_a_login_is_never_shown(monkeypatch, tmp_path):
    place = "git+https://me:open-sesame@host.example/team/repo@main#recipes"
    assert shown(place) == "git+https://host.example/team/repo@main#recipes"
    url = "https://me:open-sesame@host.example/team/repo"
    assert parse_git(place) == (url, "main", "recipes")
    said = "fatal: unable to access 'https://me:open-sesame@host.example/team/repo/': no route"
    failed = subprocess.CompletedProcess([], 128, stdout="", stderr=said)
    monkeypatch.setattr(recipes.shutil, "which", lambda _: "/usr/bin/git")
    monkeypatch.setattr(recipes.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(RecipeError, match="no route") as error:
        find_recipes(place)
    assert "open-sesame" not in str(error.value)


def test_ssh_keeps_its_user_for_git_alone():
    wanted = parse_git("git+ssh://git@host.example/team/repo@v2")
    assert wanted == ("ssh://git@host.example/team/repo", "v2", "")


def test_recipes_right_below_a_prefix_of_s3_are_found(s3_profile, s3_uri, monkeypatch):
    store = open_store(s3_uri, s3_profile)
    store.put_once("a.yaml", text("a").encode())
    store.put_once("b.yml", text("b", output={"lake": "./lake"}).encode())
    store.put_once("old/c.yaml", text("c").encode())
    store.put_once("notes.txt", b"no recipe")
    monkeypatch.setenv("GANMILL_RECIPES_STORAGE", "test")
    prefix = "GANMILL_STORAGE__TEST__"
    monkeypatch.setenv(f"{prefix}ENDPOINT_URL", s3_profile.endpoint_url)
    monkeypatch.setenv(f"{prefix}REGION", s3_profile.region)
    monkeypatch.setenv(f"{prefix}KEY", s3_profile.key)
    monkeypatch.setenv(f"{prefix}SECRET", s3_profile.secret.get_secret_value())
    (one,) = find_recipes(f"{s3_uri}/a.yaml")
    assert one.name == "a"
    both = find_recipes(s3_uri, ["output.lake=s3://b/lake"])
    assert [recipe.name for recipe in both] == ["a", "b"]
    with pytest.raises(RecipeError, match=r"b\.yml: `output\.lake`"):
        find_recipes(s3_uri)
    with pytest.raises(RecipeError, match="there is no recipe in s3://"):
        find_recipes(f"{s3_uri}/none")


@needs_git
def test_the_command_ends_with_one_sentence_and_without_the_login(capsys):
    place = "git+https://me:open-sesame@localhost:1/team/repo"
    assert execute(["deploy", "--recipes", place, "--check"]) == USAGE
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: git cannot read git+https://localhost:1/team/repo")
    assert "open-sesame" not in said
    assert len(said.splitlines()) == 1
