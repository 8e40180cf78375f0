"""One plan per run key: the first publisher to arrive stores it, everyone else reads it."""

from storage.objects import ObjectStore
from storage.plan import Plan


def agree(lake: ObjectStore, proposal: Plan) -> Plan:
    """Store the plan of this run key, or return the one that is stored.

    When the stored plan's version was abandoned, or has been retired since, the next attempt is
    agreed under a new version. It also puts the README.md that keeps readers out of the folder of
    versions, so that it is there before the first shard is.

    Raises:
        LakeError: the lake failed.
        IntegrityError: a stored plan cannot be read.
    """
    raise NotImplementedError
