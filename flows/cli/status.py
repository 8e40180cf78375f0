"""`ganmill status`: how every recipe's name stands in a lake."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flows.cli.exits import DONE
from flows.cli.output import Output, with_owners
from flows.cli.places import Place
from flows.job import now
from flows.status import Attempt, LakeStatus, NameStatus, read_status
from flows.words import age_words, verdict_text
from storage.lake.layout import version_folder

STEPS: Mapping[str, str] = {
    "training": "training begun",
    "synthesizing": "synthesis begun",
}
"""How an unfinished step is said; every other one is its own word."""

COLUMNS = ("name", "champion", "latest version", "rows", "verdict", "published", "last attempt")


def show_status(place: Place, *, as_json: bool) -> int:
    """Show of every name champion, latest version and verdict, last success and last attempt."""
    found, output, at = read_status(place.open()), Output(), now()
    if as_json:
        output.json(status_json(place, found, at))
        return DONE
    if not found.names:
        output.line(f"Nothing in {place.uri} yet: ganmill run RECIPE")
    else:
        _write_names(found, output, at)
    for one in found.unfinished:
        if one.samples_seen is not None:
            output.line(
                f"Unfinished training of {one.name}, begun {one.at.isoformat()}, "
                f"{one.samples_seen:,} samples in the lake: run its recipe again to continue"
            )
    return DONE


def status_json(place: Place, found: LakeStatus, at: datetime) -> dict[str, Any]:
    """Return the status for machines: ages in seconds as of `at`."""
    return {
        "names": [_name_json(place, one, at) for one in found.names],
        "unfinished": [
            {"name": one.name, "began": one.at.isoformat(), "samples_seen": one.samples_seen}
            for one in found.unfinished
            if one.samples_seen is not None
        ],
    }


def _name_json(place: Place, one: NameStatus, at: datetime) -> dict[str, Any]:
    latest, success, attempt = one.latest, one.last_success, one.last_attempt
    gate = {} if one.manifest is None else one.manifest.fields.gate
    folder = None if latest is None else version_folder(one.name, latest.version)
    return {
        "name": one.name,
        "owner": one.owner,
        "champion": one.champion,
        "latest version": None if latest is None else latest.version,
        "age_s": None if latest is None else _age_s(latest.created, at),
        "rows": None if one.manifest is None else one.manifest.rows,
        "verdict": gate.get("verdict"),
        "override": gate.get("override"),
        "path": None if folder is None else f"{place.path(folder)}/",
        "last_success": success
        and {
            "version": success.version,
            "at": success.created,
            "age_s": _age_s(success.created, at),
        },
        "last_attempt": attempt
        and {
            "step": attempt.step,
            "at": attempt.at.isoformat(),
            "age_s": _age_s(attempt.at, at),
            "detail": attempt.detail,
        },
    }


def _write_names(found: LakeStatus, output: Output, at: datetime) -> None:
    rows = [
        (
            one.name,
            one.champion or "-",
            "-" if one.latest is None else one.latest.version,
            "-" if one.manifest is None else str(one.manifest.rows),
            "-" if one.manifest is None else verdict_text(one.manifest),
            "-" if one.last_success is None else _ago(one.last_success.created, at),
            "-" if one.last_attempt is None else _tried(one.last_attempt, at),
        )
        for one in found.names
    ]
    owners = {one.name: one.owner for one in found.names}
    output.table(*with_owners(COLUMNS, rows, owners))
    for one in found.names:
        attempt = one.last_attempt
        if attempt is not None and (attempt.step != "published" or " " in attempt.detail):
            output.line(f"{one.name}: {attempt.step}, {attempt.detail}")


def _tried(attempt: Attempt, at: datetime) -> str:
    return f"{STEPS.get(attempt.step, attempt.step)} {_ago(attempt.at, at)}"


def _ago(then: str | datetime, at: datetime) -> str:
    return f"{age_words(_age_s(then, at))} ago"


def _age_s(then: str | datetime, at: datetime) -> int:
    """Return an age in whole seconds; 0 when the clock of the other machine is ahead."""
    moment = datetime.fromisoformat(then) if isinstance(then, str) else then
    return max(0, int((at - moment).total_seconds()))
