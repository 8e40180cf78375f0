"""The JSON Schema of `report.json`, made from the dataclasses that write it.

Whoever reads reports with other software holds them against `report.schema.json`, which lies in the
package: `python -m flows.report.schema` writes it anew, and a test holds that it is what the code
says and that every report the tests write is valid.
"""

import ast
import dataclasses
import inspect
import itertools
import json
import textwrap
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from gan.lift.result import ArmResult, CurvePoint, Effect, GroupLift, Lift
from gan.report import Ceiling, Event, Figure, FigureKind, Metric, Reason, Report

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
FILE: Final = "report.schema.json"
DESCRIBED: Final = (
    Report,
    Metric,
    Ceiling,
    Reason,
    Event,
    Figure,
    Lift,
    ArmResult,
    Effect,
    GroupLift,
)
"""Dataclasses whose fields' docstrings become descriptions; `CurvePoint` is one more."""

Number = float | None


class _Part(BaseModel):
    """A part of a figure's data, which has these fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Mark(_Part):
    """A place on the axis of what was seen."""

    x: float
    text: str


class Line(_Part):
    """One series."""

    name: str
    x: list[float]
    y: list[Number]


class Bar(_Part):
    """One value with its interval and bounds."""

    label: str
    value: float
    low: float
    high: float
    pass_low: Number = None
    pass_high: Number = None
    block_low: Number = None
    block_high: Number = None
    pass_bound: Number = None
    block_bound: Number = None


class ReferenceLine(_Part):
    """A line through all bars."""

    value: float
    text: str


class Bin(_Part):
    """One bin of both distributions."""

    label: str
    start: float
    end: float
    values: list[float]


class Level(_Part):
    """One level of both distributions."""

    label: str
    values: list[float]


class AxisTick(_Part):
    """A text on the axis of a panel."""

    at: float
    text: str


class ColumnPanel(_Part):
    """One small chart."""

    title: str
    note: str
    bins: list[Bin] | None = None
    ticks: list[AxisTick] | None = None
    levels: list[Level] | None = None


class Cloud(_Part):
    """Dots of one group."""

    name: str
    x: list[float]
    y: list[float]


class Density(_Part):
    """Where another group lies."""

    name: str
    cells: list[list[float]]


class ImageData(_Part):
    """A picture with the names of its columns and rows."""

    png: str
    width: int
    height: int
    columns: list[str] | None = None
    rows: list[str] | None = None


class LinesData(_Part):
    """Curves."""

    x_label: str
    y_label: str
    log_y: bool | None = None
    series: list[Line]
    ticks: list[AxisTick] | None = None
    marks: list[Mark] | None = None


class BarsData(_Part):
    """Values against their bounds."""

    unit: str
    bars: list[Bar]
    reference: ReferenceLine | None = None


class TableData(_Part):
    """Cells; the first column names the row."""

    columns: list[str]
    rows: list[list[str | int | float | bool | None]]
    right: list[int] | None = None
    dense: bool | None = None
    shown: int | None = None
    """Rows in view; the others are behind a click. None: as many as a page has room for."""


class PanelsData(_Part):
    """Small charts that compare two distributions."""

    names: list[str]
    panels: list[ColumnPanel]


class HeatmapData(_Part):
    """The lower triangle of a symmetric matrix."""

    names: list[str]
    values: list[list[Number]]
    low: float
    high: float
    unit: str


class ScatterData(_Part):
    """Dots over a density."""

    x_label: str
    y_label: str
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    groups: list[Cloud]
    density: Density | None = None


DATA: Final[Mapping[FigureKind, type[_Part]]] = {
    "image": ImageData,
    "lines": LinesData,
    "bars": BarsData,
    "table": TableData,
    "panels": PanelsData,
    "heatmap": HeatmapData,
    "scatter": ScatterData,
}
"""Kind of a figure → what its `data` holds."""


def schema() -> dict[str, Any]:
    """Return the schema of a report, with the docstrings of the fields."""
    found = TypeAdapter(Report).json_schema(mode="serialization")
    parts: dict[str, Any] = found.pop("$defs")
    _describe(found, Report)
    for kind in (*DESCRIBED[1:], CurvePoint):
        _describe(parts[kind.__name__], kind)
    allowed = []
    for name, data in DATA.items():
        of_data = data.model_json_schema()
        parts |= of_data.pop("$defs", {})
        parts[data.__name__] = of_data
        of_kind = {"properties": {"kind": {"const": name}}}
        then = {"properties": {"data": {"$ref": f"#/$defs/{data.__name__}"}}}
        allowed.append({"if": of_kind, "then": then})
    parts["Figure"]["allOf"] = allowed
    for part in (found, *parts.values()):
        if part.get("type") == "object":
            part["additionalProperties"] = False
    found["properties"]["schema"] = {"const": Report.schema, "description": "Of this file."}
    found["required"] = [*found["required"], "schema"]
    head = {"$schema": DRAFT, "title": f"Report of ganmill, {Report.schema}"}
    return {**head, **{k: v for k, v in found.items() if k != "title"}, "$defs": parts}


def shipped() -> dict[str, Any]:
    """Return the schema that lies in the package."""
    found: dict[str, Any] = json.loads(
        files("flows.report").joinpath(FILE).read_text(encoding="utf-8")
    )
    return found


def schema_text() -> str:
    """Return the schema as its file has it."""
    return json.dumps(schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _describe(part: dict[str, Any], kind: type) -> None:
    """Put the docstrings of a dataclass and its fields into its schema."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    part["description"] = inspect.cleandoc(kind.__doc__ or "")
    names = {field.name for field in dataclasses.fields(kind)}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in itertools.pairwise(statements):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        said = text.value if isinstance(text, ast.Expr) else None
        if field.target.id in names and isinstance(said, ast.Constant):
            part["properties"][field.target.id]["description"] = inspect.cleandoc(str(said.value))


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(schema_text(), encoding="utf-8")
