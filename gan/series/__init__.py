"""Series: entities that live in time."""
