"""The log in memory: real Kinesis semantics, no disk, no thread, no waiting.

Tests and the deterministic simulator run on it.  Nothing here awaits anything, so a put or a read happens whole at the
moment at which its coroutine is run, and the only time it knows is that of the clock that it was given.  Sequence
numbers are those that the embedded log would give the same records.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from pipeline.errors import BeyondEndError, LogError, TrimmedRangeError
from pipeline.ports import Landed, Record, Slice
from pipeline.stream_logs.frame import check_record, frame_length
from pipeline.stream_logs.shard_map import RETENTION_US_DEFAULT, ShardMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.ports import Clock, Entry, Refused, ShardDescription


class _Shard:
    """The records of one shard, and how many user records there were up to and with each."""

    __slots__ = ("arrivals", "born", "closed", "counts", "newest_us", "records", "sequences", "trimmed_through")

    def __init__(self, born: int, newest_us: int) -> None:
        self.records: list[Record] = []
        self.sequences: list[int] = []
        self.arrivals: list[int] = []
        self.counts: list[int] = []
        self.born = self.trimmed_through = born
        self.newest_us = newest_us
        self.closed = False

    @property
    def end(self) -> int:
        return self.sequences[-1] if self.sequences else self.trimmed_through

    def append(self, user_records: Sequence[bytes], now_us: int) -> int:
        sequence = self.end + frame_length(user_records)
        self.newest_us = max(self.newest_us, now_us)
        counted = self.counts[-1] if self.counts else 0
        self.records.append(Record(sequence, self.newest_us, tuple(user_records)))
        self.sequences.append(sequence)
        self.arrivals.append(self.newest_us)
        self.counts.append(counted + len(user_records))
        return sequence

    def read(self, after: int, limit: int) -> Slice:
        first = bisect_right(self.sequences, after)
        if first == len(self.records):
            return Slice((), self.closed, 0, 0)
        counted = self.counts[first] - len(self.records[first].user_records)
        end = min(bisect_left(self.counts, counted + limit, lo=first), len(self.records) - 1) + 1
        return Slice(
            self.records[first:end],
            ended=self.closed and end == len(self.records),
            behind_records=self.counts[-1] - self.counts[end - 1],
            behind_us=self.newest_us - self.arrivals[end - 1],
        )

    def trim(self, before_us: int) -> None:
        gone = bisect_left(self.arrivals, before_us)
        if gone:
            self.trimmed_through = self.sequences[gone - 1]
            del self.records[:gone], self.sequences[:gone], self.arrivals[:gone], self.counts[:gone]


class MemoryLog:
    """Streams in memory; see ``ports.Log`` for what each method promises."""

    def __init__(self, clock: Clock, incarnation: str, *, retention_us: int = RETENTION_US_DEFAULT) -> None:
        self._clock = clock
        self._retention_us = retention_us
        self._incarnation = incarnation
        self._maps: dict[str, ShardMap] = {}
        self._shards: dict[tuple[str, str], _Shard] = {}

    @property
    def incarnation(self) -> str:
        """A name that no other log has had; whoever makes a ``MemoryLog`` sees to it."""
        return self._incarnation

    async def incarnation_of(self, stream: str) -> str:
        """Return the log's: streams of a log in memory are never deleted."""
        return self._incarnation

    async def retention_us(self, stream: str) -> int:
        """Return what the maker said; only ``trim`` removes anything."""
        return self._retention_us

    async def create_stream(self, stream: str, shards: int) -> None:
        """Create ``stream``, unless it is there."""
        if stream not in self._maps:
            self._maps[stream] = ShardMap.create(stream, shards)
            for shard in self._maps[stream].shards:
                self._shards[stream, shard.shard_id] = _Shard(0, 0)

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards, parents before their children."""
        return self._map(stream).shards

    async def split(self, stream: str, shard_id: str, at: int) -> None:
        """Close a shard and open two."""
        self._reshard(self._map(stream).split(shard_id, at))

    async def merge(self, stream: str, shard_id: str, adjacent_shard_id: str) -> None:
        """Close two adjacent shards and open one."""
        self._reshard(self._map(stream).merge(shard_id, adjacent_shard_id))

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        """Store the entries; none is ever refused."""
        shard_map = self._map(stream)
        for entry in entries:
            check_record(entry.user_records)
        owners = [shard_map.owner(entry.explicit_hash) for entry in entries]
        now_us = self._clock.now_us()
        return [
            Landed(owner, self._shards[stream, owner].append(entry.user_records, now_us))
            for owner, entry in zip(owners, entries, strict=True)
        ]

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        """Return the records behind ``after``."""
        shard = self._shard(stream, shard_id)
        if after > shard.end:
            raise BeyondEndError(stream, shard_id, after, shard.end)
        if after < shard.trimmed_through and shard.trimmed_through > shard.born:
            raise TrimmedRangeError(stream, shard_id, after, shard.trimmed_through)
        return shard.read(after, limit)

    async def trim_horizon(self, stream: str, shard_id: str) -> int:
        """Return the sequence number before the oldest record kept."""
        return self._shard(stream, shard_id).trimmed_through

    async def latest(self, stream: str, shard_id: str) -> int:
        """Return the sequence number of the newest record."""
        return self._shard(stream, shard_id).end

    async def at_time(self, stream: str, shard_id: str, arrival_us: int) -> int:
        """Return the sequence number before the first record that arrived at or after ``arrival_us``."""
        shard = self._shard(stream, shard_id)
        first = bisect_left(shard.arrivals, arrival_us)
        return shard.sequences[first - 1] if first else shard.trimmed_through

    async def trim(self, stream: str, shard_id: str, before_us: int) -> int:
        """Forget the records that arrived before ``before_us``; return the new trim horizon."""
        shard = self._shard(stream, shard_id)
        shard.trim(before_us)
        return shard.trimmed_through

    def _reshard(self, changed: ShardMap) -> None:
        stream = changed.stream
        for description in changed.shards:
            key = stream, description.shard_id
            if key in self._shards:
                self._shards[key].closed = description.closed
            else:
                parents = [self._shards[stream, parent] for parent in description.parents]
                self._shards[key] = _Shard(max(p.end for p in parents), max(p.newest_us for p in parents))
        self._maps[stream] = changed

    def _map(self, stream: str) -> ShardMap:
        try:
            return self._maps[stream]
        except KeyError:
            raise LogError(f"there is no stream {stream!r}: create it first") from None

    def _shard(self, stream: str, shard_id: str) -> _Shard:
        description = self._map(stream).get(shard_id)
        return self._shards[stream, description.shard_id]
