"""Whether a synthesis can be done at all: asked before anything is trained or published."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gan.errors import ConfigError
from gan.protocols import Wanted
from gan.tables.chains import Chains
from gan.tables.conditions import allowed_cells
from gan.tables.contradictions import check_constraints
from gan.tables.enforce import row_rules, unique_rules
from storage.records.schema import Condition

if TYPE_CHECKING:
    from gan.tables.vocabularies import Vocabularies


def check_synthesis(codec: "Vocabularies", given: Sequence[Condition], rows: int) -> None:
    """Check that so many rows can be made under these conditions and the table's constraints.

    Raises:
        ConfigError: a condition names an unknown column or value, contradicts a constraint, or
            there are fewer keys or unique combinations than rows.
    """
    metadata, wanted = codec.metadata, Wanted(given=tuple(given))
    check_constraints(metadata)
    masks = allowed_cells(codec, wanted)
    Chains(codec, row_rules(metadata)).pools(masks)
    for unique in unique_rules(codec, metadata, wanted):
        unique.check(rows)
    for name, room in codec.capacities.items():
        if rows > room:
            msg = (
                f"{rows} rows need as many keys in column {name!r} and its form has {room}: "
                "synthesize fewer rows, or declare the column as category or text"
            )
            raise ConfigError(msg)
