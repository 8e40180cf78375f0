"""Which settings make a better generator: what is tried, what is tried next, what was found."""
