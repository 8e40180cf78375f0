"""How a generator came about: told once by its trainer, kept beside it, read by every report."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from gan.report import Event
from storage.digests import canonical_json
from storage.errors import ObjectNotFoundError
from storage.lake.layout import generator_internal_key
from storage.stores.interface import ObjectStore, put_or_adopt

FILE = "training.json"


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a training leaves besides the snapshot."""

    train_key: str
    split_digest: str
    """Of the split rule it was trained under."""
    samples_seen: int = 0
    best_samples_seen: int = 0
    """Where the snapshot was taken."""
    seconds: float = 0.0
    device: str = "cpu"
    events: Sequence[Event] = ()
    curves: Sequence[Mapping[str, Any]] = ()
    """{name, samples_seen, values} of every curve."""
    notes: Sequence[str] = ()
    """What `auto` picked, and what happened."""
    resolved: Mapping[str, Any] = field(default_factory=dict)
    """The complete configuration."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Source, split and settings that it was trained on: what its train key is made of."""

    def to_json(self) -> bytes:
        """Return canonical JSON."""
        return canonical_json(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote."""
        raw = json.loads(data)
        raw["events"] = tuple(Event(**item) for item in raw["events"])
        return cls(**raw)


def put_story(lake: ObjectStore, name: str, version: str, story: Story) -> Story:
    """Store the story of a generator, or return the one its first trainer stored."""
    key = generator_internal_key(name, version, FILE)
    return Story.from_json(put_or_adopt(lake, key, story.to_json()))


def read_story(lake: ObjectStore, name: str, version: str) -> Story:
    """Return the story of a generator; an empty one where none was stored."""
    try:
        return Story.from_json(lake.get(generator_internal_key(name, version, FILE)))
    except ObjectNotFoundError:
        return Story(train_key="", split_digest="")
