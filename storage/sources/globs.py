"""Globs over '/'-separated relative paths, and paths that lie out of sight.

`*` and `?` stay within one folder, `**` crosses folders, `[ab]` and `[!ab]` match one character.
"""

import re
from collections.abc import Callable, Sequence

_WILDCARD = re.compile(r"[*?\[]")


def has_wildcard(text: str) -> bool:
    """Say whether `text` is a glob."""
    return _WILDCARD.search(text) is not None


def split_glob(uri: str) -> tuple[str, str]:
    """Cut an URI with wildcards into the folder above the first one and the glob below it."""
    wildcard = _WILDCARD.search(uri)
    cut = uri.rfind("/", 0, wildcard.start() if wildcard else len(uri))
    if cut < 0:
        return ".", uri
    return uri[:cut] or "/", uri[cut + 1 :]


def literal_prefix(glob: str) -> str:
    """Return what every match of `glob` starts with."""
    wildcard = _WILDCARD.search(glob)
    return glob if wildcard is None else glob[: wildcard.start()]


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
    """Say whether a file or a folder of the path is hidden (`.name`) or archive debris."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def _translate(token: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token.startswith("[") and len(token) > 2:
        body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^/{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token)
