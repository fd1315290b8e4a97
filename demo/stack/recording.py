"""Everything that a log has taken, in memory, for the auditor."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.ports import Log, Record, ShardDescription

READ_AT_ONCE = 2_000
"""User records."""


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
                self._records[stream, shard.shard_id] = await _all_of(log, stream, shard.shard_id)

    def shards_of(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards, parents before their children."""
        return self._shards[stream]

    def records_of(self, stream: str, shard_id: str) -> Sequence[Record]:
        """Return everything that a shard has taken, in order."""
        return self._records[stream, shard_id]


async def _all_of(log: Log, stream: str, shard_id: str) -> list[Record]:
    records: list[Record] = []
    after = await log.trim_horizon(stream, shard_id)
    while True:
        given = await log.read(stream, shard_id, after, READ_AT_ONCE)
        records += given.records
        if records:
            after = records[-1].sequence
        if not given.records and given.behind_records == 0:
            return records
