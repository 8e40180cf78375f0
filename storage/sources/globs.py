"""Globs on '/'-separated relative paths.

`*` and `?` stay within one folder, `**` crosses folders, `[ab]` and `[!ab]` match one character.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

WILDCARD: Final = re.compile(r"[*?\[]")
_OF_SYSTEMS: Final = frozenset(
    {"__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "recycler", "lost+found"}
    | {"system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
    | {"__pycache__", "@tmp", "#snapshot", "@sharebin"}
)
"""Files and folders of macOS, Windows and network disks: thumbnails, metadata, waste."""


def split_glob(uri: str) -> tuple[str, str]:
    """Cut an URI with wildcards into the folder above the first one and the glob below it."""
    cut = literal_prefix(uri).rfind("/")
    if cut < 0:
        return ".", uri
    return uri[:cut] or "/", uri[cut + 1 :]


def literal_prefix(glob: str) -> str:
    """Return what every match of `glob` starts with."""
    return WILDCARD.split(glob, maxsplit=1)[0]


def compile_glob(glob: str) -> re.Pattern[str]:
    """Translate a glob to a regular expression for `fullmatch` on a relative path."""
    tokens = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|[^*?\[]+|\[")
    return re.compile("".join(_translate(token) for token in tokens.findall(glob)), re.DOTALL)


def any_of(globs: Sequence[str]) -> Callable[[str], bool]:
    """Return a test whether a relative path matches one of `globs`.

    A glob without a slash applies to the file name alone; `folder/` means everything below it.
    """
    by_name = [compile_glob(glob) for glob in globs if "/" not in glob]
    by_path = [
        compile_glob(glob.removeprefix("./").lstrip("/") + ("**" if glob.endswith("/") else ""))
        for glob in globs
        if "/" in glob
    ]

    def matches(path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(p.fullmatch(name) for p in by_name) or any(p.fullmatch(path) for p in by_path)

    return matches


def is_hidden(path: str) -> bool:
    """Say whether a file or a folder of the path is hidden (`.name`) or a system's own."""
    return any(part.startswith(".") or part.lower() in _OF_SYSTEMS for part in path.split("/"))


def _translate(token: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token.startswith("[") and len(token) > 2:
        body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^/{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token)
