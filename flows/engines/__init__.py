"""Engines: where the shards of a plan are synthesized. The shards are the same on every one."""
