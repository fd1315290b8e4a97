"""Keyed state of shards, and snapshots of it: in memory and on disk."""
