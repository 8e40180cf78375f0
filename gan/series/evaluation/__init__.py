"""What is measured of series, entity by entity, against the real ones."""
