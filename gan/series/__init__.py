"""Series: entities that live in time; codec, networks, presets, judge and figures."""
