"""How records become the bytes of one shard, and back."""
