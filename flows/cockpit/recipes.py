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
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from flows.errors import RecipeError
from flows.prefect_defaults import process_environment
from flows.recipe import Recipe, load_recipe
from storage.stores.open import open_store
from storage.stores.settings import load_profile, load_settings

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
    """Return the recipes of a file or a folder, by name.

    Local paths in a recipe are meant as seen from the folder that the command runs in. A recipe
    from git or S3 has no such folder: it must name its source and its lake in full.

    Args:
        location: a recipe, or a folder of them (folders below it are not read), of this machine, as
            `s3://bucket/prefix`, or as `git+https://host/repo[@ref][#folder]`.
        changes: `key=value`, applied to every recipe.
        folder: instead of the one that the command runs in.

    Raises:
        RecipeError: there is none, one is wrong, two have the same name, or git cannot read it.
        SettingsError, LakeError: S3 cannot be reached.
    """
    text = str(location)
    if not text.startswith(("s3://", GIT)):
        return _by_name(location, _load(Path(location), changes), folder or Path.cwd())
    fetch = _from_git if text.startswith(GIT) else _from_s3
    with tempfile.TemporaryDirectory(prefix="ganmill-recipes-") as scratch:
        try:
            return _by_name(shown(text), _load(fetch(text, Path(scratch)), changes), None)
        except RecipeError as error:
            raise RecipeError(str(error).replace(scratch, shown(text))) from None


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


def _load(location: Path, changes: Sequence[str]) -> Iterator[tuple[Path, Recipe]]:
    inside = (path for suffix in SUFFIXES for path in location.glob(f"*{suffix}"))
    for path in [location] if location.is_file() else sorted(inside):
        yield path, load_recipe(path, changes)


def _by_name(
    location: str | Path, recipes: Iterator[tuple[Path, Recipe]], folder: Path | None
) -> tuple[Recipe, ...]:
    """Return the recipes by name, anchored in a folder, or independent of any."""
    found: dict[str, Path] = {}
    kept = []
    for path, recipe in recipes:
        if recipe.name in found:
            msg = (
                f"{found[recipe.name]} and {path} both have the name {recipe.name!r}, which names "
                "generator, data set and deployment: rename one of them"
            )
            raise RecipeError(msg)
        found[recipe.name] = path
        if folder is None:
            _check_independent(path, recipe)
        kept.append(recipe if folder is None else anchored(recipe, folder))
    if not kept:
        msg = f"there is no recipe in {location}: name a folder of *.yaml recipes, or one recipe"
        raise RecipeError(msg)
    return tuple(sorted(kept, key=lambda recipe: recipe.name))


def _check_independent(path: Path, recipe: Recipe) -> None:
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


def _absolute(uri: str, folder: Path) -> str:
    """Return a local path as an absolute one; URIs such as `s3://…` and `example:…` stay."""
    return str(folder / Path(uri).expanduser()) if is_relative(uri) else uri
