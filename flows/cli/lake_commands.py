"""The commands on a lake: its data sets and its generators."""

from typing import Annotated

import typer

from flows.cli.arguments import (
    AsJson,
    GeneratorName,
    Lake,
    Name,
    OneVersion,
    Person,
    Reason,
    Storage,
    Version,
)

datasets = typer.Typer(no_args_is_help=True, help="Show and check published data sets.")
generators = typer.Typer(
    no_args_is_help=True, help="Show trained generators, and choose the champion by hand."
)


@generators.command("list")
def generators_list(*, lake: Lake = None, storage: Storage = None, as_json: AsJson = False) -> int:
    """List trained generators, and which one is champion."""
    from flows.cli.listings import show_generators
    from flows.cli.places import LakeRef

    return show_generators(LakeRef(lake=lake, storage=storage), as_json=as_json)


@generators.command("promote")
def generators_promote(
    name: GeneratorName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="See `generators list`.")],
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Make a generator champion by hand; where the gate refused it this is an override."""
    from flows.cli.generator_moves import promote
    from flows.cli.places import LakeRef

    return promote(LakeRef(lake=lake, storage=storage), name, version, by=by, reason=reason)


@generators.command("rollback")
def generators_rollback(
    name: GeneratorName,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="The former champion unless given.")
    ] = None,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Make a former champion champion again."""
    from flows.cli.generator_moves import rollback
    from flows.cli.places import LakeRef

    return rollback(LakeRef(lake=lake, storage=storage), name, version, by=by, reason=reason)


@datasets.command("list")
def datasets_list(*, lake: Lake = None, storage: Storage = None, as_json: AsJson = False) -> int:
    """List published data sets and their versions."""
    from flows.cli.listings import show_datasets
    from flows.cli.places import LakeRef

    return show_datasets(LakeRef(lake=lake, storage=storage), as_json=as_json)


@datasets.command("show")
def datasets_show(
    name: Name,
    version: Version = None,
    *,
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Show one version: rows, classes, verdict, provenance, and how to read it."""
    from flows.cli.listings import show_dataset
    from flows.cli.places import LakeRef

    return show_dataset(LakeRef(lake=lake, storage=storage), name, version, as_json=as_json)


@datasets.command("verify")
def datasets_verify(
    name: Name,
    version: Version = None,
    *,
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Read every file of a version and name each one that is not what was committed."""
    from flows.cli.listings import verify_dataset
    from flows.cli.places import LakeRef

    return verify_dataset(LakeRef(lake=lake, storage=storage), name, version, as_json=as_json)


@datasets.command("pin")
def datasets_pin(
    name: Name,
    version: OneVersion,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Keep a version for good, whatever output.keep_last says."""
    from flows.cli.maintain import pin
    from flows.cli.places import LakeRef

    return pin(LakeRef(lake=lake, storage=storage), name, version, by=by, reason=reason)


@datasets.command("unpin")
def datasets_unpin(
    name: Name,
    version: OneVersion,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Let retention have a version again."""
    from flows.cli.maintain import unpin
    from flows.cli.places import LakeRef

    return unpin(LakeRef(lake=lake, storage=storage), name, version, by=by, reason=reason)


@datasets.command("retract")
def datasets_retract(
    name: Name,
    version: OneVersion,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Take a version out of readers' sight at once; gc deletes its files a day later."""
    from flows.cli.maintain import retract
    from flows.cli.places import LakeRef

    return retract(LakeRef(lake=lake, storage=storage), name, version, by=by, reason=reason)
