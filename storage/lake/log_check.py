"""Whether the logs of a name are whole, and whether its versions are what their names say."""

from collections.abc import Iterator, Sequence

from storage.errors import IntegrityError
from storage.lake.datasets import load_manifest
from storage.lake.hint import removed_records, seen_records
from storage.lake.layout import commits_folder, numbered_key, promotions_folder
from storage.lake.log import FOLLOWS, AppendLog, Commit, Entry, Problem, fold, version_log
from storage.stores.interface import ObjectStore


def check_log(lake: ObjectStore, name: str) -> list[Problem]:
    """Return what is wrong with the log of a data set's versions; reads the log alone.

    Checked are that the numbers count from 1 without a hole, that every record follows the one that
    was before it when it was written, and that no record is gone that was seen once. What is found
    is looked at once more, as a bit may flip on the way.

    Raises:
        IntegrityError: a record cannot be read.
    """
    return _log_problems(lake, name) and _log_problems(lake, name)


def _log_problems(lake: ObjectStore, name: str) -> list[Problem]:
    seen = seen_records(lake, name)
    entries = version_log(lake, name).read()
    folder = commits_folder(name)
    found = [*_holes(folder, entries), *_broken_links(folder, entries)]
    known = {problem.key for problem in found}
    removed = removed_records(lake, name, seen, entries)
    return found + [problem for problem in removed if problem.key not in known]


def check_names(lake: ObjectStore, name: str) -> list[Problem]:
    """Return what is wrong with the logs of a name and with the manifests of its versions."""
    promotions = AppendLog(lake, promotions_folder(name)).read()
    problems = [*check_log(lake, name), *_holes(promotions_folder(name), promotions)]
    for commit in fold(name, version_log(lake, name).read()).visible:
        problems += _misnamed(lake, commit)
    return problems


def _holes(folder: str, entries: Sequence[Entry]) -> Iterator[Problem]:
    numbers = {entry.number for entry in entries}
    for number in range(1, max(numbers, default=0)):
        if number not in numbers:
            what = "this record of the log is missing; restore it from a backup"
            yield Problem(key=numbered_key(folder, number), what=what)


def _broken_links(folder: str, entries: Sequence[Entry]) -> Iterator[Problem]:
    """Yield the records that are not those that the next one was written behind."""
    digests = {entry.number: entry.digest for entry in entries}
    for entry in entries:
        follows, before = entry.record.get(FOLLOWS), digests.get(entry.number - 1)
        if follows is not None and before is not None and follows != before:
            what = (
                f"it was changed after record {entry.number} was written (sha256 {before}, not "
                f"{follows}); restore it from a backup"
            )
            yield Problem(key=numbered_key(folder, entry.number - 1), what=what)


def _misnamed(lake: ObjectStore, commit: Commit) -> Iterator[Problem]:
    """Yield what a version's name, its commit record and its manifest do not agree on."""
    try:
        manifest = load_manifest(lake, commit)
    except IntegrityError as error:
        yield Problem(key=commit.manifest_key, what=str(error))
        return
    told = (manifest.name, manifest.version)
    if told != (commit.name, commit.version):
        what = (
            f"it is the manifest of {'/'.join(told)}, and record {commit.number} commits it as "
            f"{commit.name}/{commit.version}; retract that version"
        )
        yield Problem(key=commit.manifest_key, what=what)
    elif not commit.version.endswith(f"-{manifest.run_key[:8]}"):
        what = (
            f"its run_key begins with {manifest.run_key[:8]!r}, and its version ends in "
            f"{commit.version.rpartition('-')[2]!r}: it is not of the run it is named after; "
            "retract that version"
        )
        yield Problem(key=commit.manifest_key, what=what)
