"""Who owns a name in a lake: a create-only record, put by the first job that says an owner.

It keeps two teams from using one name by mistake. It is no lock: who may write where is the
business of the store's own policies.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from storage.digests import canonical_json
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.layout import owner_key
from storage.objects import ObjectStore, put_or_adopt


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """One name of a lake, as generator and as data set, and whose it is."""

    name: str
    owner: str
    since: str
    """UTC, ISO 8601."""


def read_owner(lake: ObjectStore, name: str) -> Ownership | None:
    """Return whose a name is; None when it is nobody's.

    Raises:
        IntegrityError: the record is not one.
    """
    key = owner_key(name)
    try:
        return _ownership(lake, key, lake.get(key))
    except ObjectNotFoundError:
        return None


def claim(lake: ObjectStore, name: str, owner: str, created: datetime) -> Ownership:
    """Claim a name that is nobody's, and return whose it is now: the first to arrive has it.

    Raises:
        IntegrityError: the record that is there is not one.
    """
    stamp = created.astimezone(UTC).isoformat(timespec="seconds")
    mine = Ownership(name=name, owner=owner, since=stamp)
    key = owner_key(name)
    return _ownership(lake, key, put_or_adopt(lake, key, canonical_json(asdict(mine))))


def _ownership(lake: ObjectStore, key: str, data: bytes) -> Ownership:
    try:
        raw = json.loads(data)
        return Ownership(name=raw["name"], owner=raw["owner"], since=raw["since"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{lake.uri}/{key} does not say who owns the name ({error!r}); restore or delete it"
        raise IntegrityError(msg) from error
