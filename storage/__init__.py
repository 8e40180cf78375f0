"""Objects: sources, splits, shards, manifests, commits, registry. No torch, no Prefect."""
