"""`ganmill generators promote` and `rollback`: a person moves the champion."""

from flows.cli.output import DONE, Output
from flows.cli.places import LakeRef
from flows.decision import promote_by_hand, roll_back
from storage.lake.promotions import Promotion


def promote(place: LakeRef, name: str, version: str, *, by: str, reason: str) -> int:
    """Make a generator champion."""
    record = promote_by_hand(place.open_to_write(), name, version, by=by, reason=reason)
    return _tell(name, record)


def rollback(place: LakeRef, name: str, version: str | None, *, by: str, reason: str) -> int:
    """Make a former champion champion again."""
    record = roll_back(place.open_to_write(), name, version, by=by, reason=reason)
    return _tell(name, record)


def _tell(name: str, record: Promotion) -> int:
    output = Output()
    output.line(f"Champion  {name}/{record.version}")
    output.line(f"Record    {record.number}: {record.kind} by {record.by}, {record.reason}")
    if record.kind == "override":
        output.line("Note      the gate refused it; what it publishes says who overrode that")
    output.line("Next      ganmill run RECIPE publishes from it without training again")
    return DONE
