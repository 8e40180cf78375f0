"""What a recipe asks of the rows it synthesizes, put to a codec before anything is made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storage.given import GivenConfig

if TYPE_CHECKING:
    from gan.protocols import Codec, Given


def as_given(wishes: Sequence[GivenConfig]) -> "tuple[Given, ...]":
    """Return the conditions of a recipe or a plan as generators take them."""
    from gan.protocols import Given

    return tuple(Given(**wish.model_dump()) for wish in wishes)


def check_wishes(codec: "Codec", wishes: Sequence[GivenConfig], rows: int) -> None:
    """Check that so many records can be made under these conditions.

    Raises:
        ConfigError: an unknown column or value, conditions that contradict, or more records than
            there are different ones.
    """
    codec.check(as_given(wishes), rows)
