"""Words for people: records of a modality, ages, verdicts."""

from collections.abc import Mapping

from storage.lake.manifest import Manifest
from storage.sources.prepare import Prepared

RECORDS: Mapping[str, str] = {"images": "images", "tables": "rows"}
AGES: Mapping[str, int] = {"day": 86_400, "hour": 3_600, "minute": 60}
"""Unit → its seconds, the largest first."""
OVERRIDDEN = " (overridden)"
"""Behind what a person published although the gate refused it."""


def records_word(modality: str) -> str:
    """Return the plural by which records of a modality are counted."""
    return RECORDS.get(modality, "records")


def kind_of(prepared: Prepared) -> str:
    """Return in a few words what the records are: size of the images, width of the table."""
    if prepared.modality == "images":
        height, width, channels = prepared.schema.field("image").type.shape
        return f"images of {height} x {width} x {channels} (height x width x channels)"
    return f"rows of {len(prepared.schema)} columns"


def age_words(seconds: int) -> str:
    """Return an age as people say it: the largest unit that fits, rounded down.

    Args:
        seconds: 0 or more.
    """
    for unit, size in AGES.items():
        count = seconds // size
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


def verdict_text(manifest: Manifest) -> str:
    """Return the verdict on a version, marked when a person published it all the same."""
    gate = manifest.fields.gate
    return f"{gate.get('verdict', '-')}{OVERRIDDEN if gate.get('override') else ''}"
