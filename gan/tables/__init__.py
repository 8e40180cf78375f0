"""The tables modality."""
