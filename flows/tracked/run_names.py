"""What a flow run is called: by the person who made it, else by what it does.

Prefect gives every run a made-up name, two words on its server and a star in the form of its UI;
those are replaced, as they say nothing. When a run ends or waits, its outcome is added behind a
name that was not typed.
"""

import re
from contextlib import suppress
from functools import cache
from importlib.resources import files

from prefect import runtime

_GREEK = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|omicron|pi|rho|sigma"
    "|tau|upsilon|phi|chi|psi|omega"
)
_STAR = re.compile(rf"({_GREEK})\d*(-[a-z]+){{1,3}}")
"""Such as `rho4-cancri-b`; a person may mean a name like that, so that it is kept in brackets."""
_DATED = re.compile(r".*, \d{4}-\d{2}-\d{2}( \([a-z0-9-]+\))?")
_ADDED = ": "
"""Between a name and the outcome behind it."""


def given_name(ours: str) -> str:
    """Return the name of the flow run in hand: the one that was typed, else ours."""
    known = runtime.flow_run.name or ""
    if known.startswith(ours):
        return known.partition(_ADDED)[0]
    if not known or is_made_up(known):
        return ours
    return f"{ours} ({known})" if _STAR.fullmatch(known) else known


def with_outcome(name: str, outcome: str) -> str:
    """Return a name with the outcome, if any, behind it, unless a person typed the name."""
    base = name.partition(_ADDED)[0]
    if not outcome:
        return base if _DATED.fullmatch(base) else name
    return f"{base}{_ADDED}{outcome}" if _DATED.fullmatch(base) else name


def is_made_up(name: str) -> bool:
    """Say whether a name is of two or three of the words that Prefect's server makes names of."""
    parts = name.split("-")
    return 1 < len(parts) < 4 and all(part in _words() for part in parts)


@cache
def _words() -> frozenset[str]:
    """Return the words of `coolname`, from which Prefect's server takes its names."""
    folder = files("coolname").joinpath("data")
    with suppress(OSError):  # a version that keeps its words elsewhere: its names stay
        texts = [one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".txt")]
        return frozenset(word for text in texts for word in text.split())
    return frozenset()
