"""Whose name a job uses: checked before anything is read or trained.

The first job whose recipe has an `owner` claims the name in its lake. Later jobs on that name must
say the same owner; a job that says none is refused too, since a forgotten line must not make a
team's name anybody's.
"""

from flows.errors import RecipeError
from flows.job import Job, now
from storage.lake.registry import Ownership, claim, read_owner


def claim_name(job: Job) -> None:
    """Claim the recipe's name for its owner, or find that it is free to use.

    Raises:
        RecipeError: the name belongs to somebody else.
        LakeError: the lake failed.
    """
    owner = job.recipe.owner
    found = read_owner(job.lake, job.name)
    if found is None and owner is not None:
        found = claim(job.lake, job.name, owner, now())
    _check(job, found)


def check_name(job: Job) -> Ownership | None:
    """Return whose the recipe's name is, claiming nothing.

    Raises:
        RecipeError: the name belongs to somebody else.
        LakeError: the lake failed.
    """
    found = read_owner(job.lake, job.name)
    _check(job, found)
    return found


def _check(job: Job, found: Ownership | None) -> None:
    owner = job.recipe.owner
    if found is None or found.owner == owner:
        return
    said = "the recipe says no owner" if owner is None else f"the recipe says owner {owner!r}"
    msg = (
        f"the name {job.name!r} belongs to {found.owner!r} in {job.recipe.output.lake} since "
        f"{found.since}, and {said}: choose another name, or write `owner: {found.owner}` if that "
        "is you"
    )
    raise RecipeError(msg)
