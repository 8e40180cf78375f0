"""The recipes that are to be deployed: found in a folder of this machine, on S3 or in git.

s3://bucket/prefix                              every *.yaml right below the prefix, or one recipe
git+https://host/repo[@branch, tag or commit][#folder or recipe]        also git+ssh://, git+file://

S3 is reached through the storage profile that `GANMILL_RECIPES_STORAGE` names, else as every AWS
tool does it; git with its own credential helpers and keys, and it is never asked to prompt.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import yaml

from flows.errors import RecipeError, one_line
from flows.prefect_defaults import process_environment
from flows.recipe import Recipe, load_recipe
from storage.stores.open import open_store
from storage.stores.settings import load_profile, load_settings


@dataclass(frozen=True, kw_only=True)
class RecipeFault:
    """A recipe that cannot be deployed."""

    sentence: str
    """File, what is wrong, and the remedy."""
    name: str | None = None
    """Of the recipe, where it can be told."""


@dataclass(frozen=True, kw_only=True)
class FoundRecipes:
    """What a location holds."""

    recipes: tuple[Recipe, ...]
    """By name."""
    faults: tuple[RecipeFault, ...]
    """By file."""


GIT = "git+"
SCHEMES = ("https", "ssh", "file")
CLONE_S = 300.0
"""Longest wait for git: one commit without its history."""
SUFFIXES = (".yaml", ".yml")
_USER = re.compile(r"(?<=://)[^/@\s]+@")


def shown(location: str) -> str:
    """Return a location without the login that it may hold."""
    return _USER.sub("", location)


def _from_s3(location: str, folder: Path) -> Path:
    """Bring recipes into an empty folder, and return the folder or file that holds them now."""
    base, _, name = location.rstrip("/").rpartition("/")
    is_file = Path(name).suffix in SUFFIXES
    profile = load_profile(load_settings().recipes_storage)
    store = open_store(base if is_file else location, profile, read_only=True)
    if is_file:
        (folder / name).write_bytes(store.get(name))
        return folder / name
    for info in store.list():
        if "/" not in info.key and Path(info.key).suffix in SUFFIXES:
            (folder / info.key).write_bytes(store.get(info.key))
    return folder


def parse_git(location: str) -> tuple[str, str, str]:
    """Return the parts of `git+https://host/repo[@ref][#folder]`.

    Returns:
        The URL; branch, tag or commit, HEAD unless named; the folder or file below the root, empty
        for the root.

    Raises:
        RecipeError: another scheme, or a reference that git would take for an option.
    """
    parts = urlsplit(location.removeprefix(GIT))
    path, at, ref = parts.path.rpartition("@")
    path, ref = (path, ref) if at else (parts.path, "HEAD")
    inside = Path(parts.fragment)
    if parts.scheme not in SCHEMES or not path.strip("/"):
        msg = (
            f"{shown(location)} names no repository: write git+https://host/repo, "
            "git+ssh://host/repo or git+file:///folder, with @branch and #folder if needed"
        )
        raise RecipeError(msg)
    if not ref or ref.startswith("-") or inside.is_absolute() or ".." in inside.parts:
        msg = f"{shown(location)} names no branch, tag, commit or folder that git could have"
        raise RecipeError(msg)
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), ref, parts.fragment


def _from_git(location: str, folder: Path) -> Path:
    url, ref, inside = parse_git(location)
    if shutil.which("git") is None:
        msg = f"git is not installed, and {shown(location)} needs it: install git, or name a folder"
        raise RecipeError(msg)
    _git(location, folder, "init", "--quiet", "--template=")
    _git(location, folder, "fetch", "--quiet", "--depth=1", "--", url, ref)
    _git(location, folder, "-c", "core.symlinks=false", "checkout", "--quiet", "FETCH_HEAD")
    found = folder / inside
    if not found.exists():
        msg = f"{shown(location)}: {inside!r} is not in that commit; name another #folder"
        raise RecipeError(msg)
    return found


def _git(location: str, folder: Path, *words: str) -> None:
    environment = process_environment() | {"GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            command, env=environment, capture_output=True, text=True, timeout=CLONE_S, check=False
        )
    except subprocess.TimeoutExpired:
        msg = f"git did not answer for {shown(location)} within {CLONE_S:.0f} s: is it reachable?"
        raise RecipeError(msg) from None
    if done.returncode:
        reason = shown((done.stderr.strip().splitlines() or ["no reason given"])[0])
        msg = (
            f"git cannot read {shown(location)} ({reason.removeprefix('fatal: ')}): check address, "
            "reference and access"
        )
        raise RecipeError(msg)


def find_recipes(
    location: str | Path, changes: Sequence[str] = (), *, folder: Path | None = None
) -> tuple[Recipe, ...]:
    """Return the recipes of a file or a folder, by name; all of them are right.

    Args:
        location: as of `sift_recipes`.
        changes: `key=value`, applied to every recipe.
        folder: instead of the one that the command runs in.

    Raises:
        RecipeError: there is none, one is wrong, two have the same name, or git cannot read it.
        SettingsError, LakeError: S3 cannot be reached.
    """
    found = sift_recipes(location, changes, folder=folder)
    if found.faults:
        raise RecipeError("; ".join(fault.sentence for fault in found.faults))
    return found.recipes


def sift_recipes(
    location: str | Path, changes: Sequence[str] = (), *, folder: Path | None = None
) -> FoundRecipes:
    """Return the recipes of a file or a folder, and what is wrong with the others of a folder.

    Local paths in a recipe are meant as seen from the folder that the command runs in. A recipe
    from git or S3 has no such folder: it must name its source and its lake in full.

    Args:
        location: a recipe, or a folder of them (folders below it are not read), of this machine, as
            `s3://bucket/prefix`, or as `git+https://host/repo[@ref][#folder]`.
        changes: `key=value`, applied to every recipe.
        folder: instead of the one that the command runs in.

    Raises:
        RecipeError: there is none, the one that is named is wrong, or git cannot read it.
        SettingsError, LakeError: S3 cannot be reached.
    """
    text = str(location)
    if not text.startswith(("s3://", GIT)):
        where = folder or Path.cwd()
        return _sift(location, Path(location), changes, lambda _, recipe: anchored(recipe, where))
    fetch = _from_git if text.startswith(GIT) else _from_s3
    with tempfile.TemporaryDirectory(prefix="ganmill-recipes-") as scratch:
        try:
            found = _sift(shown(text), fetch(text, Path(scratch)), changes, _independent)
        except RecipeError as error:
            raise RecipeError(str(error).replace(scratch, shown(text))) from None
    faults = (
        replace(fault, sentence=fault.sentence.replace(scratch, shown(text)))
        for fault in found.faults
    )
    return replace(found, faults=tuple(faults))


def anchored(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with its local paths made absolute, as seen from a folder.

    A worker runs in a folder of its own, where `./lake` would be another lake.
    """
    source, split = recipe.source, recipe.source.split
    holdout = None if split.holdout_uri is None else _absolute(split.holdout_uri, folder)
    moved = source.model_copy(
        update={
            "uri": _absolute(source.uri, folder),
            "split": split.model_copy(update={"holdout_uri": holdout}),
        }
    )
    output = recipe.output.model_copy(update={"lake": _absolute(recipe.output.lake, folder)})
    return recipe.model_copy(update={"source": moved, "output": output})


def is_relative(uri: str) -> bool:
    """Say whether a URI of a recipe depends on the folder it is read from."""
    if "://" in uri or uri.startswith("example:"):
        return False
    return not Path(uri).is_absolute()


def _files(location: Path) -> list[Path]:
    inside = (path for suffix in SUFFIXES for path in location.glob(f"*{suffix}"))
    return [location] if location.is_file() else sorted(inside)


def _sift(
    shown_as: str | Path,
    location: Path,
    changes: Sequence[str],
    finish: Callable[[Path, Recipe], Recipe],
) -> FoundRecipes:
    """Load every recipe and finish it; one that is wrong takes no other with it.

    Of two with the same name neither is taken: which one is meant, nobody can tell.
    """
    paths, loaded, faults = _files(location), dict[Path, Recipe](), list[RecipeFault]()
    for path in paths:
        try:
            loaded[path] = load_recipe(path, changes)
            loaded[path] = finish(path, loaded[path])
        except (RecipeError, ValueError, RecursionError) as error:
            if location.is_file():
                raise
            recipe = loaded.pop(path, None)
            faults.append(_fault(path, error, _name_in(path) if recipe is None else recipe.name))
    for name in sorted({recipe.name for recipe in loaded.values()}):
        same = [path for path, recipe in loaded.items() if recipe.name == name]
        if len(same) > 1:
            faults.append(RecipeFault(sentence=_same_name(same, name), name=name))
            loaded = {path: one for path, one in loaded.items() if path not in same}
    if not paths:
        msg = f"there is no recipe in {shown_as}: name a folder of *.yaml recipes, or one recipe"
        raise RecipeError(msg)
    recipes = sorted(loaded.values(), key=lambda recipe: recipe.name)
    return FoundRecipes(recipes=tuple(recipes), faults=tuple(faults))


def _fault(path: Path, error: Exception, name: str | None) -> RecipeFault:
    if isinstance(error, RecipeError):
        return RecipeFault(sentence=str(error), name=name)
    reason = one_line(error) or type(error).__name__
    sentence = f"the recipe {path} cannot be read ({reason}): correct the value"
    return RecipeFault(sentence=sentence, name=name)


def _name_in(path: Path) -> str | None:
    """Return the name in a file that is no recipe, if it has one all the same."""
    try:
        name = yaml.safe_load(path.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, RecursionError, yaml.YAMLError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def _same_name(paths: Sequence[Path], name: str) -> str:
    return (
        f"{' and '.join(map(str, paths))} both have the name {name!r}, which names generator, data "
        "set and deployment: rename one of them"
    )


def _independent(path: Path, recipe: Recipe) -> Recipe:
    """Return a recipe from git or S3, whose paths need no folder."""
    uris = {
        "source.uri": recipe.source.uri,
        "source.split.holdout_uri": recipe.source.split.holdout_uri,
        "output.lake": recipe.output.lake,
    }
    for key, uri in uris.items():
        if uri is not None and is_relative(uri):
            remedy = "s3://bucket/prefix or an absolute path"
            if key == "output.lake":
                remedy += ", or name the lake with --lake"
            msg = (
                f"{path}: `{key}` is {uri!r}, but no folder is there to start from: write {remedy}"
            )
            raise RecipeError(msg)
    return recipe


def _absolute(uri: str, folder: Path) -> str:
    """Return a local path as an absolute one; URIs such as `s3://…` and `example:…` stay."""
    return str(folder / Path(uri).expanduser()) if is_relative(uri) else uri
