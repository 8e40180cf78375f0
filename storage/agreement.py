"""One plan per run key: the first publisher to arrive stores it, everyone else reads it."""

import dataclasses
from datetime import timedelta

from storage.cards import root_readme
from storage.commits import read_versions
from storage.errors import IntegrityError
from storage.layout import dataset_readme_key, make_version, plan_key
from storage.objects import ObjectStore
from storage.plan import Plan


def agree(lake: ObjectStore, proposal: Plan) -> Plan:
    """Store the plan of this run key, or return the one that is stored.

    When the stored plan's version was abandoned, or has been retired since, the next attempt is
    agreed under a new version. It also puts the README.md that keeps readers out of the folder of
    versions, so that it is there before the first shard is.

    Raises:
        LakeError: the lake failed.
        IntegrityError: a stored plan cannot be read or is another run's.
    """
    identity = proposal.identity
    lake.put_once(dataset_readme_key(identity.name), root_readme(identity.name))
    versions = read_versions(lake, identity.name)
    while True:
        key = plan_key(identity.run_key, proposal.attempt)
        plan = Plan.from_json(lake.put_or_adopt(key, proposal.to_json()))
        if plan.identity != identity or plan.attempt != proposal.attempt:
            msg = f"{lake.uri}/{key} is the plan of {plan.identity}; delete it and run again"
            raise IntegrityError(msg)
        if not versions.is_gone(plan.version):
            return plan
        proposal = _next_attempt(proposal, plan)


def _next_attempt(proposal: Plan, given_up: Plan) -> Plan:
    """Return the proposal under a version that was never used by this run."""
    created = max(proposal.created, given_up.created + timedelta(seconds=1))
    version = make_version(created, proposal.identity.run_key)
    attempt = given_up.attempt + 1
    return dataclasses.replace(proposal, attempt=attempt, created=created, version=version)
