"""Which shards a stream has, who owns a hash, and what a split or a merge makes of them.

A ``ShardMap`` is a value: resharding returns the next one.  It is what the embedded log keeps in a stream's file and
what the log in memory keeps in a variable, so that both reshard alike.  Shards are numbered in the order in which they
came into being, as Kinesis numbers them, and stand in that order: parents before their children.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.errors import LogError
from pipeline.kernel.hashrange import FULL_RANGE, HASH_BYTES, HashRange
from pipeline.ports import ShardDescription

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1
SHARDS_MAX = 10_000
RETENTION_US_DEFAULT = 24 * 3_600 * 1_000_000
"""Kinesis's: 24 hours."""
"""Shards that a stream may ever have had."""


class ShardMap:
    """The shards of one stream."""

    __slots__ = ("_by_id", "_first_hashes", "_owners", "shards", "stream")

    def __init__(self, stream: str, shards: Sequence[ShardDescription]) -> None:
        if len(shards) > SHARDS_MAX:
            raise LogError(f"{stream}: a stream has at most {SHARDS_MAX} shards in its life, not {len(shards)}")
        self.stream = stream
        self.shards = tuple(shards)
        self._by_id = {shard.shard_id: shard for shard in shards}
        takers = sorted((s for s in shards if not s.closed), key=lambda s: s.hash_range.first)
        self._first_hashes = [shard.hash_range.first_bytes for shard in takers]
        self._owners = [shard.shard_id for shard in takers]

    @classmethod
    def create(cls, stream: str, shards: int) -> ShardMap:
        """Return the map of a new stream, with ``shards`` shards of equal hash ranges."""
        if not 1 <= shards <= SHARDS_MAX:
            raise LogError(f"{stream}: a stream is created with 1 to {SHARDS_MAX} shards, not {shards}")
        ranges = FULL_RANGE.divide(shards)
        return cls(stream, [ShardDescription(_name(i), part, (), closed=False) for i, part in enumerate(ranges)])

    def get(self, shard_id: str) -> ShardDescription:
        """Return the shard of that id, or raise ``LogError``."""
        try:
            return self._by_id[shard_id]
        except KeyError:
            raise LogError(f"stream {self.stream} has no shard {shard_id!r}; it has {', '.join(self._by_id)}") from None

    def owner(self, explicit_hash: bytes) -> str:
        """Return the id of the open shard that owns the hash (16 bytes, big-endian)."""
        if len(explicit_hash) != HASH_BYTES:
            raise LogError(f"{self.stream}: an explicit hash has {HASH_BYTES} bytes, not {len(explicit_hash)}")
        return self._owners[bisect_right(self._first_hashes, explicit_hash) - 1]

    def split(self, shard_id: str, at: int) -> ShardMap:
        """Return the map in which ``shard_id`` is closed and two shards have its hashes below and from ``at``."""
        parent = self.open_shard(shard_id)
        try:
            parts = parent.hash_range.split(at)
        except ValueError as error:
            raise LogError(f"{self.stream}/{shard_id} cannot be split: {error}") from error
        return self._reshard((parent,), parts)

    def merge(self, shard_id: str, adjacent_shard_id: str) -> ShardMap:
        """Return the map in which both are closed and one shard has the hashes of both."""
        parents = self.open_shard(shard_id), self.open_shard(adjacent_shard_id)
        try:
            joined = parents[0].hash_range.join(parents[1].hash_range)
        except ValueError as error:
            raise LogError(f"{self.stream}: {shard_id} and {adjacent_shard_id} cannot be merged: {error}") from error
        return self._reshard(parents, (joined,))

    def open_shard(self, shard_id: str) -> ShardDescription:
        """Return the shard of that id, or raise ``LogError`` if it is closed."""
        shard = self.get(shard_id)
        if shard.closed:
            raise LogError(f"{self.stream}/{shard_id} is closed: it was split or merged before")
        return shard

    def _reshard(self, parents: Sequence[ShardDescription], ranges: Sequence[HashRange]) -> ShardMap:
        kept = [replace(shard, closed=True) if shard in parents else shard for shard in self.shards]
        names = tuple(parent.shard_id for parent in parents)
        children = [ShardDescription(_name(len(kept) + i), part, names, closed=False) for i, part in enumerate(ranges)]
        return ShardMap(self.stream, kept + children)

    def to_json(self) -> str:
        """Return the map as the text of a stream's file."""
        shards = [
            {
                "shard_id": shard.shard_id,
                "first_hash": f"{shard.hash_range.first:032x}",
                "last_hash": f"{shard.hash_range.last:032x}",
                "parents": shard.parents,
                "closed": shard.closed,
            }
            for shard in self.shards
        ]
        return json.dumps({"format": FORMAT, "stream": self.stream, "shards": shards}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ShardMap:
        """Return the map that :meth:`to_json` wrote; a text that is none raises ``ValueError`` or ``KeyError``."""
        stored = json.loads(text)
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']} is not {FORMAT}, which this build knows")
        return cls(
            stored["stream"],
            [
                ShardDescription(
                    shard["shard_id"],
                    HashRange(int(shard["first_hash"], 16), int(shard["last_hash"], 16)),
                    tuple(shard["parents"]),
                    closed=shard["closed"],
                )
                for shard in stored["shards"]
            ],
        )


def _name(number: int) -> str:
    return f"shardId-{number:012d}"
