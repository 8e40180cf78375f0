"""Series: codec, networks and presets of entities that live in time."""
