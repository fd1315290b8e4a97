"""Everything that a log has taken, in memory, for the auditor."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.ports import Log, Record, ShardDescription
from replay.recorded import recorded


class LogRecording:
    """The recording of a log that nobody writes to any more."""

    def __init__(self) -> None:
        self._shards: dict[str, Sequence[ShardDescription]] = {}
        self._records: dict[tuple[str, str], list[Record]] = {}

    async def take(self, log: Log, streams: Sequence[str]) -> None:
        """Read ``streams`` from their beginnings to their ends."""
        for stream in streams:
            self._shards[stream] = await log.shards(stream)
            for shard in self._shards[stream]:
                first = await log.trim_horizon(stream, shard.shard_id)
                portions = recorded(log, stream, shard.shard_id, first)
                self._records[stream, shard.shard_id] = [record async for portion in portions for record in portion]

    def shards_of(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards, parents before their children."""
        return self._shards[stream]

    def records_of(self, stream: str, shard_id: str) -> Sequence[Record]:
        """Return everything that a shard has taken, in order."""
        return self._records[stream, shard_id]
