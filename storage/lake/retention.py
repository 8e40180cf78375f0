"""What may leave a lake, and in which order: first a record in the log, then the deletion.

retire    a committed version that readers no longer see; its files go after a grace period
abandon   a version that was planned and never committed; its files go at once
delete    the files of a version that the log has given up

Every record is appended right behind the log it was decided on, or the decision is made again: so
whatever publishers, readers and other collections do meanwhile, the order of the log decides. What
the log has given up never comes back, so deleting needs no further look. A data set whose log is
not whole is left alone: the record that is missing may be a pin.

A period is over when it is over by every clock that is known: this machine's against the time that
a record says, and the store's own against the time it put the object. A time that is still to come
is of a clock that was wrong; then the store's clock alone decides, and where it does not say,
nothing goes.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from storage.errors import ObjectNotFoundError, RetentionError
from storage.lake.datasets import load_manifest
from storage.lake.hint import refresh_hint
from storage.lake.layout import (
    check_version,
    commits_folder,
    dataset_folder,
    numbered_key,
    version_time,
)
from storage.lake.log import RETENTION, Commit, Versions, fold, read_versions, version_log
from storage.lake.log_check import check_log
from storage.lake.markdown import one_line
from storage.stores.interface import ObjectInfo, ObjectStore

GRACE_PERIOD = timedelta(hours=24)
"""How long the files of a retired version stay, for whoever is reading them."""
UNCOMMITTED_PERIOD = timedelta(days=7)
"""How old a version must be that was never committed; a run that is still at it starts anew."""
LONGEST_BY = 200
LONGEST_WHY = 2_000
"""Letters of who decides and why, as the log takes them."""

Step = Literal["retire", "abandon", "delete"]

_OF_VERSION = re.compile(r"datasets/([^/]+)/(?:_meta/)?(\d{8}T\d{6}Z-[0-9a-f]{8})/.+")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One thing that leaves the lake."""

    step: Step
    name: str
    version: str
    reason: str
    objects: int = 0
    """How many the version has; with `retire` they stay for now."""
    total_bytes: int = 0


@dataclass(frozen=True)
class Collector:
    """Collects what one lake no longer needs, as of one time."""

    lake: ObjectStore
    now: datetime

    @cached_property
    def store_now(self) -> datetime:
        """The time by the clock that stamps objects; this machine's where the store keeps none."""
        return self.lake.now() or self.now

    def due(self) -> list[Removal]:
        """Return what `collect` would do now; reads only."""
        return [
            removal
            for name, stored in self._stored().items()
            for removal in self._due(name, stored)
        ]

    def collect(self) -> list[Removal]:
        """Do what is due, and return what was done."""
        done = [removal for removal in self.due() if self._do(removal)]
        for name in {removal.name for removal in done}:
            refresh_hint(self.lake, name)
        return done

    def _stored(self, prefix: str = "datasets/") -> dict[str, dict[str, list[ObjectInfo]]]:
        """Return the objects of every version of every data set."""
        found: dict[str, dict[str, list[ObjectInfo]]] = {}
        for info in self.lake.list(prefix):
            match = _OF_VERSION.fullmatch(info.key)
            if match:
                found.setdefault(match[1], {}).setdefault(match[2], []).append(info)
        return found

    def _due(self, name: str, stored: Mapping[str, list[ObjectInfo]]) -> Iterator[Removal]:
        if check_log(self.lake, name):
            return
        facts = read_versions(self.lake, name)
        keep = keep_last(self.lake, facts)
        for version, objects in stored.items():
            found = self._judge(facts, version, keep, objects)
            if found is not None:
                step, reason = found
                yield Removal(
                    step=step,
                    name=name,
                    version=version,
                    reason=reason,
                    objects=len(objects),
                    total_bytes=sum(info.size_bytes for info in objects),
                )

    def _judge(
        self, facts: Versions, version: str, keep: int | None, objects: Sequence[ObjectInfo]
    ) -> tuple[Step, str] | None:
        """Return what is to be done with a version and why; None: it stays."""
        commit = facts.of(version)
        if commit is None:
            return self._judge_uncommitted(facts, version, objects)
        if commit.retired:
            over = self._grace_is_over(commit)
            return ("delete", f"retired at {commit.retired_at}") if over else None
        if is_surplus(facts, commit, keep):
            return "retire", f"output.keep_last is {keep}"
        return None

    def _judge_uncommitted(
        self, facts: Versions, version: str, objects: Sequence[ObjectInfo]
    ) -> tuple[Step, str] | None:
        if version in facts.abandoned:
            return "delete", "abandoned"
        stamps = [info.stored_at for info in objects if info.stored_at is not None]
        newest = max(stamps, default=None)
        if not self._is_over(UNCOMMITTED_PERIOD, said=version_time(version), stored=newest):
            return None
        return (
            "abandon",
            f"planned more than {UNCOMMITTED_PERIOD.days} days ago and never committed",
        )

    def _grace_is_over(self, commit: Commit) -> bool:
        try:
            said = datetime.fromisoformat(commit.retired_at)
        except ValueError:
            return False
        if said.tzinfo is None:  # a time of which nobody knows when it was
            return False
        record = self.lake.stat(numbered_key(commits_folder(commit.name), commit.retired_in))
        stored = None if record is None else record.stored_at
        return self._is_over(GRACE_PERIOD, said=said, stored=stored)

    def _is_over(self, period: timedelta, *, said: datetime, stored: datetime | None) -> bool:
        """Say whether a period is over since a time that was said, and since the store's own."""
        if stored is None:
            return said + period <= self.now
        if stored + period > self.store_now:
            return False
        return said > self.now or said + period <= self.now

    def _do(self, removal: Removal) -> bool:
        """Do one step; False when the log says otherwise by now."""
        version = removal.version
        record = _record(removal.step, version, RETENTION, removal.reason, self.now)
        if removal.step == "retire":
            return _append(self.lake, removal.name, record, lambda log: self._is_due(log, version))
        if removal.step == "abandon" and not _append(
            self.lake,
            removal.name,
            record,
            lambda log: log.of(version) is None and version not in log.abandoned,
        ):
            return False
        self._delete(removal.name, version)
        return True

    def _is_due(self, facts: Versions, version: str) -> bool:
        commit = facts.of(version)
        return commit is not None and is_surplus(facts, commit, keep_last(self.lake, facts))

    def _delete(self, name: str, version: str) -> None:
        """Delete the files of a version that the log has given up, those in `_meta` last."""
        found = self._stored(f"{dataset_folder(name)}/").get(name, {}).get(version, [])
        for info in sorted(found, key=lambda info: "/_meta/" in info.key):
            self.lake.delete(info.key)


def keep_last(lake: ObjectStore, facts: Versions) -> int | None:
    """Return how many versions stay, as the latest manifest says; None keeps all."""
    if not facts.visible:
        return None
    keep = (load_manifest(lake, facts.visible[-1]).fields.retention or {}).get("keep_last")
    return keep if isinstance(keep, int) and keep >= 1 else None


def is_surplus(facts: Versions, commit: Commit, keep: int | None) -> bool:
    """Say whether retention may retire a version: never the newest ones, never a pinned one."""
    if keep is None or commit.retired or commit.pinned:
        return False
    newest = {one.version for one in facts.visible[-keep:]}
    return commit.version not in newest


def pin(lake: ObjectStore, name: str, version: str, *, by: str, reason: str) -> bool:
    """Keep a version for good; False when it is pinned already.

    Raises:
        ObjectNotFoundError: there is no such version.
        RetentionError: it is retired.
    """
    record = _record("pin", version, by, reason, datetime.now(UTC))
    return _decide(lake, name, record, lambda log: not _visible_commit(name, version, log).pinned)


def unpin(lake: ObjectStore, name: str, version: str, *, by: str, reason: str) -> bool:
    """Let retention have a version again; False when it is not pinned.

    Raises:
        ObjectNotFoundError: there is no such version.
        RetentionError: it is retired.
    """
    record = _record("unpin", version, by, reason, datetime.now(UTC))
    return _decide(lake, name, record, lambda log: _visible_commit(name, version, log).pinned)


def retract(lake: ObjectStore, name: str, version: str, *, by: str, reason: str) -> None:
    """Retire a version by hand, also the latest; readers go on with the one before.

    The run that made it does not publish the same again, until a person permits it.

    Raises:
        ObjectNotFoundError: there is no such version.
        RetentionError: it is pinned or retired, or no person is named.
    """
    if one_line(by) == RETENTION:
        msg = f"the retraction is signed {by!r}: sign it with a name and a reason of a person"
        raise RetentionError(msg)

    def check(log: Versions) -> bool:
        if _visible_commit(name, version, log).pinned:
            msg = f"{name}/{version} is pinned: run `ganmill datasets unpin {name} {version}` first"
            raise RetentionError(msg)
        return True

    _decide(lake, name, _record("retire", version, by, reason, datetime.now(UTC)), check)


def permit(lake: ObjectStore, name: str, version: str, *, by: str, reason: str) -> bool:
    """Let the run that made a retracted version publish it again; False when it may already.

    It is published under a new version: what was retired never comes back.

    Raises:
        ObjectNotFoundError: there is no such version.
        RetentionError: it was not retracted.
    """

    def check(log: Versions) -> bool:
        commit = _commit(name, version, log)
        if not commit.retired:
            msg = f"{name}/{version} is not retracted: there is nothing to permit"
            raise RetentionError(msg)
        return commit.is_retracted

    return _decide(lake, name, _record("permit", version, by, reason, datetime.now(UTC)), check)


def _commit(name: str, version: str, facts: Versions) -> Commit:
    commit = facts.of(check_version(version))
    if commit is None:
        msg = f"{name!r} has no committed version {version}; see `ganmill datasets list`"
        raise ObjectNotFoundError(msg)
    return commit


def _visible_commit(name: str, version: str, facts: Versions) -> Commit:
    """Return the commit of a version that readers see."""
    commit = _commit(name, version, facts)
    if commit.retired:
        msg = f"{name}/{version} is retired, which is final; publish it again under a new version"
        raise RetentionError(msg)
    return commit


def _record(kind: str, version: str, by: str, reason: str, at: datetime) -> Mapping[str, Any]:
    by, reason = one_line(by), one_line(reason)
    if not by or len(by) > LONGEST_BY or not reason or len(reason) > LONGEST_WHY:
        msg = (
            f"the log takes 1 to {LONGEST_BY} letters for who decides and 1 to {LONGEST_WHY} "
            f"for why, not {len(by)} and {len(reason)}: sign it with a name and a reason"
        )
        raise RetentionError(msg)
    created = at.astimezone(UTC).isoformat(timespec="seconds")
    return {"kind": kind, "version": version, "created": created, "by": by, "reason": reason}


def _decide(
    lake: ObjectStore, name: str, record: Mapping[str, Any], is_due: Callable[[Versions], bool]
) -> bool:
    """Append a person's decision and bring the hint up to it; False when the log has it already."""
    done = _append(lake, name, record, is_due)
    refresh_hint(lake, name)
    return done


def _append(
    lake: ObjectStore,
    name: str,
    record: Mapping[str, Any],
    is_due: Callable[[Versions], bool],
) -> bool:
    """Append a record right behind the log that makes it due; False when the log does not."""
    log = version_log(lake, name)
    while True:
        entries = log.read()
        if not is_due(fold(name, entries)):
            return False
        if log.append_at(entries[-1].number + 1 if entries else 1, record):
            return True
