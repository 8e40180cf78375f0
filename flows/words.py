"""What a person calls the records of a modality."""

from collections.abc import Mapping

from storage.sources.prepared import Prepared

RECORDS: Mapping[str, str] = {"images": "images", "tables": "rows"}


def records_word(modality: str) -> str:
    """Return the plural by which records of a modality are counted."""
    return RECORDS.get(modality, "records")


def kind_of(prepared: Prepared) -> str:
    """Return in a few words what the records are: size of the images, width of the table."""
    if prepared.modality == "images":
        height, width, channels = prepared.schema.field("image").type.shape
        return f"images of {height} x {width} x {channels} (height x width x channels)"
    return f"rows of {len(prepared.schema)} columns"
