"""How tables are judged: codes of the real train, errors, neighbours, trees, hard facts."""
