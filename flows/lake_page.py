"""The page of a lake: every data set with its verdict, whether it helps, and where its report is.

Written at the root of the lake after each commit, `index.html` with `index.json` beside it. It is a
hint, as `_latest.json` is: two publishers at once may leave one line behind, and maintenance writes
all of it anew. Nothing reads it but people.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from flows.report.lake import LakeRow, render_lake
from flows.report.nights import trend_of
from gan.report import Report
from storage.errors import AccessDeniedError, LakeError, NotWritableError, ObjectNotFoundError
from storage.lake.datasets import latest, list_datasets, load_manifest
from storage.lake.layout import lake_index_key, meta_key
from storage.lake.manifest import Manifest
from storage.stores.interface import ObjectStore

SCHEMA: Final = "ganmill-lake/1"
MOST_PREVIEW_BYTES: Final = 60_000
"""A larger preview is left to the report."""


@dataclass(frozen=True, kw_only=True)
class LakeIndex:
    """The newest version of every data set, by name."""

    rows: Mapping[str, LakeRow]

    def to_json(self) -> bytes:
        """Return canonical JSON."""
        rows = {name: asdict(row) for name, row in sorted(self.rows.items())}
        return json.dumps({"schema": SCHEMA, "rows": rows}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote; anything else is an empty index, as it is only a hint."""
        try:
            raw: dict[str, Any] = json.loads(data)
            if raw["schema"] != SCHEMA:
                return cls(rows={})
            return cls(rows={name: LakeRow(**row) for name, row in raw["rows"].items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls(rows={})


def refresh_lake_page(lake: ObjectStore, name: str | None = None) -> bool:
    """Write the page anew: the line of one data set, or of all of them.

    Returns False where the lake cannot be written, which is no failure of what was published.

    Args:
        lake: of the data sets.
        name: the data set that changed; None reads all of them, which lists the lake.

    Raises:
        LakeError: the lake failed otherwise.
    """
    if name is None:
        rows = {each: row for each in list_datasets(lake) if (row := _row(lake, each)) is not None}
    else:
        rows = dict(_stored(lake).rows)
        rows.pop(name, None)
        if (row := _row(lake, name)) is not None:
            rows[name] = row
    index = LakeIndex(rows=rows)
    try:
        lake.replace(lake_index_key("json"), index.to_json())
        lake.replace(lake_index_key("html"), render_lake(list(rows.values())).encode())
    except (NotWritableError, AccessDeniedError):
        return False
    return True


def bring_up_lake_page(lake: ObjectStore, name: str) -> str | None:
    """Write the line of one data set; return why it lags where that failed.

    What was published or retracted before does not hang on it.
    """
    try:
        refresh_lake_page(lake, name)
    except LakeError as error:
        return f"The page of the lake lags until the next version: {error}"
    return None


def _stored(lake: ObjectStore) -> LakeIndex:
    try:
        return LakeIndex.from_json(lake.get(lake_index_key("json")))
    except ObjectNotFoundError:
        return LakeIndex(rows={})


def _row(lake: ObjectStore, name: str) -> LakeRow | None:
    """Return the line of a data set; None where no version is to be read."""
    newest = latest(lake, name)
    if newest is None:
        return None
    manifest = load_manifest(lake, newest)
    gate = manifest.fields.gate
    return LakeRow(
        name=name,
        version=newest.version,
        created=newest.created,
        modality=manifest.fields.modality,
        rows=manifest.rows,
        total_bytes=manifest.total_bytes,
        verdict=str(gate.get("verdict", "")),
        overridden=bool(gate.get("override")),
        helps=manifest.fields.lift_answer,
        report=meta_key(name, newest.version, "report.html"),
        preview=_preview(lake, manifest),
        **_trend(lake, manifest),
    )


def _trend(lake: ObjectStore, manifest: Manifest) -> dict[str, Any]:
    """Return the first curve of the nights that the report of a version shows."""
    try:
        report = Report.from_json(
            lake.get(meta_key(manifest.name, manifest.version, "report.json"))
        )
    except (ObjectNotFoundError, ValueError, TypeError, KeyError):
        return {}
    trend = trend_of(report)
    return {} if trend is None else {"trend_name": trend[0], "trend": trend[1]}


def _preview(lake: ObjectStore, manifest: Manifest) -> str | None:
    """Return the preview as base64 text; None where there is none, or a large one."""
    key = meta_key(manifest.name, manifest.version, "preview.png")
    found = lake.stat(key)
    if found is None or found.size_bytes > MOST_PREVIEW_BYTES:
        return None
    return base64.b64encode(lake.get(key)).decode("ascii")
