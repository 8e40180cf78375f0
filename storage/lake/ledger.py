"""The ledger: what differentially private trainings have taken of the privacy of a source's rows.

One log for the whole lake, create-only and chained, as those of versions are. A training writes
what it takes before it looks at a row, and whoever finds its number taken reads the log again, so
that two at once cannot both take the last of a budget:

    {"kind": "spend", "source", "source_digest", "name", "train_key", "attempt", "epsilon", "delta"}
    {"kind": "done", "train_key", "attempt"}

A training that was interrupted is the same one when it goes on: what it has taken is taken once.
One that was finished and is trained again, because its files are lost, takes it again: its noise is
new. Sums are those of basic composition (Dwork & Roth 2014, theorem 3.16), an upper bound whatever
was trained in which order. Records on one source are those of its place, its content or its
name, and what these are linked with: a source that grows every night is the same people.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from storage.digests import sha256_hex
from storage.errors import IntegrityError, OverspentError
from storage.lake.layout import ledger_folder
from storage.lake.log import AppendLog, Entry
from storage.stores.interface import ObjectStore

SPEND, DONE = "spend", "done"
ROUNDING = 1e-9
"""Sums of decimal fractions may miss a total by so much."""


@dataclass(frozen=True, kw_only=True)
class SourceIdentity:
    """Whose rows: three ways in which trainings may be on the same ones."""

    source: str
    """Digest of where it lies."""
    source_digest: str
    """Of its content."""
    name: str
    """Of generator and data set."""

    @classmethod
    def of(cls, uri: str, source_digest: str, name: str) -> "SourceIdentity":
        """Return the identity; the ledger tells nobody where the source lies."""
        return cls(
            source=sha256_hex(uri.rstrip("/").encode()), source_digest=source_digest, name=name
        )


@dataclass(frozen=True, kw_only=True)
class Spend(SourceIdentity):
    """What one training takes."""

    train_key: str
    attempt: int
    """From 1; higher where a finished training is done again."""
    epsilon: float
    delta: float


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What was taken of one source."""

    epsilon: float
    delta: float
    trainings: int
    total_epsilon: float | None = None
    """What the recipe allows; None: any."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """What is said of it."""
        many = "training" if self.trainings == 1 else "trainings"
        of = "" if self.total_epsilon is None else f" of {self.total_epsilon:g}"
        return (
            f"{self.trainings} {many} on this source took ε {self.epsilon:g}{of} together "
            f"(δ {self.delta:.2g})"
        )


def spend(
    lake: ObjectStore,
    identity: SourceIdentity,
    train_key: str,
    *,
    epsilon: float,
    delta: float,
    total_epsilon: float | None,
) -> Balance:
    """Write down what a training takes, before it takes it, and return the balance with it.

    The same training writes it once.

    Raises:
        OverspentError: together with earlier trainings it would take more than the total.
        IntegrityError: a record of the ledger cannot be read.
    """
    while True:
        log = AppendLog(lake, ledger_folder(), chained=True)
        entries = log.read()
        spends = _spends(entries)
        attempt = 1 + sum(
            entry.record.get("kind") == DONE and entry.record.get("train_key") == train_key
            for entry in entries
        )
        own = (train_key, attempt)
        if any((one.train_key, one.attempt) == own for one in spends):
            return _balance(_linked(spends, identity), total_epsilon)
        taken = _balance(_linked(spends, identity), total_epsilon)
        _check(taken, epsilon, total_epsilon)
        new = Spend(
            **asdict(identity), train_key=train_key, attempt=attempt, epsilon=epsilon, delta=delta
        )
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        number = entries[-1].number + 1 if entries else 1
        if log.append_at(number, {"kind": SPEND, **asdict(new), "created": stamp}):
            return _balance(_linked([*spends, new], identity), total_epsilon)


def finish(lake: ObjectStore, train_key: str) -> None:
    """Write down that a training has left a generator: another one takes its own share.

    Nothing is written for a training that took nothing, or that was finished before.
    """
    log = AppendLog(lake, ledger_folder(), chained=True)
    entries = log.read()
    begun = max(
        (one.attempt for one in _spends(entries) if one.train_key == train_key), default=None
    )
    if begun is None:
        return
    record = {"kind": DONE, "train_key": train_key, "attempt": begun}
    log.append(record, lambda other: {**other, **record} == other)


def balance(
    lake: ObjectStore, identity: SourceIdentity, total_epsilon: float | None = None
) -> Balance:
    """Return what private trainings on this source have taken so far."""
    spends = _spends(AppendLog(lake, ledger_folder(), chained=True).read())
    return _balance(_linked(spends, identity), total_epsilon)


def balance_of(lake: ObjectStore, name: str) -> Balance | None:
    """Return what was taken of the source of a data set; None where nothing was."""
    spends = _spends(AppendLog(lake, ledger_folder(), chained=True).read())
    own = next((one for one in spends if one.name == name), None)
    return None if own is None else _balance(_linked(spends, own), None)


def _check(taken: Balance, epsilon: float, total_epsilon: float | None) -> None:
    """Refuse to spend more than there is."""
    if total_epsilon is None or taken.epsilon + epsilon <= total_epsilon + ROUNDING:
        return
    msg = (
        f"this training would take ε {epsilon:g}, {taken.trainings} before it on this source took "
        f"{taken.epsilon:g}, and privacy.total_epsilon is {total_epsilon:g}: nothing was trained; "
        "publish from the champion (`ganmill synthesize`), or let a person raise the total"
    )
    raise OverspentError(msg)


def _balance(spends: Sequence[Spend], total_epsilon: float | None) -> Balance:
    return Balance(
        epsilon=round(sum(one.epsilon for one in spends), 12),
        delta=sum(one.delta for one in spends),
        trainings=len(spends),
        total_epsilon=total_epsilon,
    )


def _linked(spends: Sequence[Spend], identity: SourceIdentity) -> list[Spend]:
    """Return what was taken of the source, in every way in which trainings are on the same rows."""
    known = _names(identity)
    while True:
        found = [one for one in spends if _names(one) & known]
        more = known.union(*(_names(one) for one in found))
        if more == known:
            return found
        known = more


def _names(one: SourceIdentity) -> set[tuple[str, str]]:
    return {("source", one.source), ("digest", one.source_digest), ("name", one.name)}


def _spends(entries: Sequence[Entry]) -> list[Spend]:
    """Return what was spent. Kinds that this ganmill does not know are passed over."""
    found = []
    for entry in entries:
        record = {key: value for key, value in entry.record.items() if key in _FIELDS}
        if entry.record.get("kind") != SPEND:
            continue
        try:
            found.append(Spend(**record))
        except TypeError as error:
            msg = f"record {entry.number} of the ledger cannot be read ({error}); restore it"
            raise IntegrityError(msg) from error
    return found


_FIELDS = frozenset(Spend.__dataclass_fields__)
