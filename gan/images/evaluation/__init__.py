"""How images are judged: feature nets, ceilings, neighbours, hard facts."""
