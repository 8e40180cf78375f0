"""`ganmill presets`: every name that a recipe's `generator` may have, with its paper."""

import dataclasses
from typing import Any

from flows.cli.output import Output
from flows.errors import DONE

HIDDEN = ("notes", "threads", "precision", "is_latent_free")
"""Numbers of a preset that follow the machine."""


def list_presets(*, as_json: bool) -> int:
    """Show presets of every modality, then every part that a recipe may change by name."""
    from gan.modalities import load_modality
    from gan.training.catalog import catalog
    from storage.records.modalities import MODALITIES

    rows = [
        {
            "part": "preset",
            "modality": modality,
            "name": name,
            "description": entry.summary,
            "source": entry.source,
            "sizes": entry.sizes or None,
            "example": entry.example_of or None,
            "defaults": _numbers(entry.example() if entry.example else None),
        }
        for modality in MODALITIES
        for name, entry in load_modality(modality).presets.items()
    ]
    rows += [
        {
            "part": entry.part,
            "modality": None,
            "name": entry.name,
            "description": entry.summary,
            "source": entry.source,
            "sizes": None,
            "example": None,
            "defaults": dict(entry.defaults),
        }
        for entry in catalog()
    ]
    if as_json:
        Output().json(rows)
        return DONE
    columns = ("part", "name", "what it is", "source")
    Output().table(
        columns,
        [
            (
                f"preset for {row['modality']}" if row["modality"] else str(row["part"]),
                str(row["name"]),
                str(row["description"]),
                str(row["source"]),
            )
            for row in rows
        ],
    )
    return DONE


def _numbers(preset: Any) -> dict[str, Any]:
    """Return a preset's numbers as JSON-able data."""
    if preset is None:
        return {}
    fields = dataclasses.asdict(preset)
    fields["phases"] = [phase.model_dump(mode="json") for phase in preset.phases]
    return {name: value for name, value in fields.items() if name not in HIDDEN}
