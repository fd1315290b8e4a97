"""A log as a test speaks to it: one stream, calls that wait for their answer, whatever is behind the port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from pipeline.kernel.hashrange import LAST_HASH
from pipeline.ports import Entry, Landed, Log, Record, ShardDescription, Slice
from pipeline.stream_logs.frame import RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

Answer = TypeVar("Answer")

STREAM = "payments"
ALL = 1_000_000
QUARTER = (LAST_HASH + 1) // 4
FIRST_SHARD = "shardId-000000000000"


class TrimmingLog(Log, Protocol):
    """A log that can be told to forget; Kinesis does so by itself."""

    async def trim(self, stream: str, shard_id: str, before_us: int) -> int:
        """Forget what arrived before a time."""


def an_entry(*user_records: bytes, hashed: int = 0) -> Entry:
    return Entry(hashed.to_bytes(16, "big"), user_records)


def contents(records: Sequence[Record]) -> list[bytes]:
    """Return the user records of all ``records``, in order."""
    return [user_record for record in records for user_record in record.user_records]


class LogUnderTest:
    """One stream of a log."""

    def __init__(self, log: TrimmingLog, shards: int = 1, user_bytes_max: int = RECORD_BYTES_MAX) -> None:
        """Create the stream, unless it is there or ``shards`` is 0; ``user_bytes_max`` fit into one record."""
        self.log = log
        self.user_bytes_max = user_bytes_max
        self._runner = asyncio.Runner()
        if shards:
            self.wait(log.create_stream(STREAM, shards))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._runner.close()

    def wait(self, answer: Awaitable[Answer]) -> Answer:
        """Run ``answer`` to its end and return it."""

        async def waiting() -> Answer:
            return await answer

        return self._runner.run(waiting())

    @property
    def incarnation(self) -> str:
        return self.wait(self.log.incarnation_of(STREAM))

    def put(self, *user_records: bytes, hashed: int = 0) -> Landed:
        """Put one record, and return where it landed."""
        (landed,) = self.put_all(an_entry(*user_records, hashed=hashed))
        return landed

    def put_in_turn(self, *user_records: bytes) -> list[int]:
        """Put a record of each, and return their sequence numbers."""
        return [self.put(user_record).sequence for user_record in user_records]

    def put_all(self, *entries: Entry) -> list[Landed]:
        """Put several records at once, none of which may be refused."""
        results = self.wait(self.log.put_records(STREAM, entries))
        landed = [result for result in results if isinstance(result, Landed)]
        assert landed == list(results)
        return landed

    def read(self, after: int = 0, limit: int = ALL, shard_id: str = FIRST_SHARD) -> Slice:
        return self.wait(self.log.read(STREAM, shard_id, after, limit))

    def contents(self, shard_id: str = FIRST_SHARD) -> list[bytes]:
        """Return all user records of a shard."""
        return contents(self.read(shard_id=shard_id).records)

    def shards(self) -> list[ShardDescription]:
        return list(self.wait(self.log.shards(STREAM)))

    def split(self, at: int, shard_id: str = FIRST_SHARD) -> list[ShardDescription]:
        """Split a shard and return its children."""
        self.wait(self.log.split(STREAM, shard_id, at))
        return [shard for shard in self.shards() if shard_id in shard.parents]

    def merge(self, shard_id: str, adjacent_shard_id: str) -> ShardDescription:
        """Merge two shards and return their child."""
        self.wait(self.log.merge(STREAM, shard_id, adjacent_shard_id))
        (child,) = [shard for shard in self.shards() if shard_id in shard.parents]
        return child

    def latest(self, shard_id: str = FIRST_SHARD) -> int:
        return self.wait(self.log.latest(STREAM, shard_id))

    def at_time(self, arrival_us: int, shard_id: str = FIRST_SHARD) -> int:
        return self.wait(self.log.at_time(STREAM, shard_id, arrival_us))

    def trim_horizon(self, shard_id: str = FIRST_SHARD) -> int:
        return self.wait(self.log.trim_horizon(STREAM, shard_id))

    def trim(self, before_us: int, shard_id: str = FIRST_SHARD) -> int:
        return self.wait(self.log.trim(STREAM, shard_id, before_us))
