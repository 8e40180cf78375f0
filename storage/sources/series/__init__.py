"""Sources of series: rows of steps, or one row per entity, grouped into entities."""
