"""Does synthetic data help: downstream models trained with and without it, and an honest answer."""
