"""The tables modality: rows of typed columns, with constraints and conditions."""
