"""Recipes that lie on S3 or in git, brought into a folder of this machine.

s3://bucket/prefix                              every *.yaml right below the prefix, or one recipe
git+https://host/repo[@branch, tag or commit][#folder or recipe]        also git+ssh://, git+file://

S3 is reached through the storage profile that `GANMILL_RECIPES_STORAGE` names, else as every AWS
tool does it; git with its own credential helpers and keys, and it is never asked to prompt.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from flows.errors import RecipeError
from flows.prefect_manners import process_environment
from storage.stores.open import open_store
from storage.stores.settings import load_profile, load_settings

GIT = "git+"
SCHEMES = ("https", "ssh", "file")
CLONE_S = 300.0
"""Longest wait for git: one commit without its history."""
_USER = re.compile(r"(?<=://)[^/@\s]+@")


def is_remote(place: str) -> bool:
    """Say whether a place is none of this machine's folders."""
    return place.startswith(("s3://", GIT))


def shown(place: str) -> str:
    """Return a place without the login that it may hold."""
    return _USER.sub("", place)


def fetch(place: str, folder: Path) -> Path:
    """Bring the recipes of a place into an empty folder.

    Returns:
        The folder or file that holds them now.

    Raises:
        RecipeError: git is missing, or finds no such repository, reference or folder.
        SettingsError, LakeError: S3 cannot be reached.
    """
    return _from_git(place, folder) if place.startswith(GIT) else _from_s3(place, folder)


def _from_s3(place: str, folder: Path) -> Path:
    base, _, name = place.rstrip("/").rpartition("/")
    is_file = Path(name).suffix in (".yaml", ".yml")
    profile = load_profile(load_settings().recipes_storage)
    store = open_store(base if is_file else place, profile, read_only=True)
    if is_file:
        (folder / name).write_bytes(store.get(name))
        return folder / name
    for info in store.list():
        if "/" not in info.key and Path(info.key).suffix in (".yaml", ".yml"):
            (folder / info.key).write_bytes(store.get(info.key))
    return folder


@dataclass(frozen=True, kw_only=True)
class GitPlace:
    """A commit of a repository, and what of it."""

    url: str
    ref: str
    """Branch, tag or commit; HEAD unless named."""
    inside: str
    """Folder or file below the root; empty = the root."""


def parse_git(place: str) -> GitPlace:
    """Return the parts of `git+https://host/repo[@ref][#folder]`.

    Raises:
        RecipeError: another scheme, or a reference that git would take for an option.
    """
    parts = urlsplit(place.removeprefix(GIT))
    path, at, ref = parts.path.rpartition("@")
    path, ref = (path, ref) if at else (parts.path, "HEAD")
    inside = Path(parts.fragment)
    if parts.scheme not in SCHEMES or not path.strip("/"):
        msg = (
            f"{shown(place)} names no repository: write git+https://host/repo, git+ssh://host/repo "
            "or git+file:///folder, with @branch and #folder behind it if needed"
        )
        raise RecipeError(msg)
    if not ref or ref.startswith("-") or inside.is_absolute() or ".." in inside.parts:
        msg = f"{shown(place)} names no branch, tag, commit or folder that git could have"
        raise RecipeError(msg)
    url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return GitPlace(url=url, ref=ref, inside=parts.fragment)


def _from_git(place: str, folder: Path) -> Path:
    wanted = parse_git(place)
    if shutil.which("git") is None:
        msg = f"git is not installed, and {shown(place)} needs it: install git, or name a folder"
        raise RecipeError(msg)
    _git(place, folder, "init", "--quiet", "--template=")
    _git(place, folder, "fetch", "--quiet", "--depth=1", "--", wanted.url, wanted.ref)
    _git(place, folder, "-c", "core.symlinks=false", "checkout", "--quiet", "FETCH_HEAD")
    found = folder / wanted.inside
    if not found.exists():
        msg = f"{shown(place)}: {wanted.inside!r} is not in that commit; name another #folder"
        raise RecipeError(msg)
    return found


def _git(place: str, folder: Path, *words: str) -> None:
    environment = process_environment() | {"GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            command, env=environment, capture_output=True, text=True, timeout=CLONE_S, check=False
        )
    except subprocess.TimeoutExpired:
        msg = f"git did not answer for {shown(place)} within {CLONE_S:.0f} s: is it reachable?"
        raise RecipeError(msg) from None
    if done.returncode:
        said = shown((done.stderr.strip().splitlines() or ["no reason given"])[0])
        msg = (
            f"git cannot read {shown(place)} ({said.removeprefix('fatal: ')}): check address, "
            "reference and access"
        )
        raise RecipeError(msg)
