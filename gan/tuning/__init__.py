"""Which settings make a better generator: what is tried, how the next trial is chosen, the result."""
