"""How a flow's parameter looks in the run form: Prefect titles it with the bare parameter name."""

from typing import Annotated, Any

from pydantic import Field
from pydantic.fields import FieldInfo


def titled(title: str, **bounds: Any) -> FieldInfo:
    """Return what a parameter is annotated with to show a title of its own.

    Prefect overwrites `Field(title=…)` with the parameter's name; an extra of the
    schema stays.

    Args:
        title: as the form shows it.
        bounds: of `pydantic.Field`, such as `ge=1`.
    """
    field: FieldInfo = Field(json_schema_extra={"title": title}, **bounds)
    return field


RecipeName = Annotated[str, titled("Recipe", min_length=1)]
"""The name of a deployed recipe."""
