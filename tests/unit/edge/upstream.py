"""A log, and a shard upstream whose outputs are put on it, once or again: what an edge tails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from agents import streams
from agents.edge.reader import event_of
from chaos.virtual_time import finished
from pipeline.kernel import system_events
from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import FROM_SHARD, Envelope, decode, encode
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.position import Position, Source, pack_lineage
from pipeline.ports import Entry, Log
from pipeline.publisher import Publisher
from pipeline.stream_logs.local import LocalLog
from pipeline.stream_logs.memory import MemoryLog
from pipeline.system_clock import SystemClock
from schemas import codec
from tests.virtual_clock import VirtualClock

T = TypeVar("T")


def now(work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` comes to."""
    return asyncio.run(work)


async def create_streams(log: Log, shards: int) -> None:
    for stream in streams.ALL_STREAMS:
        await log.create_stream(stream, 1 if stream == streams.CONTROL else shards)


def a_memory_log(clock: VirtualClock, shards: int = 2) -> MemoryLog:
    log = MemoryLog(clock, "log-1")
    now(create_streams(log, shards))
    return log


def a_local_log(folder: Path, shards: int = 2) -> LocalLog:
    log = LocalLog(folder, SystemClock())
    now(create_streams(log, shards))
    return log


def records_of(log: Log, stream: str) -> list[bytes]:
    """Return every user record of a stream, shard by shard."""

    async def read() -> list[bytes]:
        found = []
        for shard in await log.shards(stream):
            after = 0
            while records := (await log.read(stream, shard.shard_id, after, 1_000)).records:
                found += [user_record for record in records for user_record in record.user_records]
                after = records[-1].sequence
        return found

    return now(read())


def events_of(log: Log, stream: str) -> list[object]:
    """Return every event of a stream, shard by shard."""
    return [event_of(decode(record)) for record in records_of(log, stream)]


class Upstream:
    """A shard of a stage: each of its outputs has a lineage of its own."""

    def __init__(self, log: Log, stream: str = streams.CLEARING, shard_id: str = "shardId-000000000000") -> None:
        self._log = log
        self._source = Source(finished(log.incarnation_of(stream)), stream, shard_id).pack()
        self._position = 0

    def emit(self, stream: str, key: str, *events: object, at_us: int = 1) -> list[Output]:
        """Put ``events`` on ``stream``, one record for each shard, and return them, so that they can come again."""
        outputs = []
        for event in events:
            self._position += 1
            if type(event) in system_events.kind_of_type:
                kind, version, body = system_events.encode(event)
            else:
                kind, version, body = codec.encode(event)
            hashed = hash_key(key)
            lineage = pack_lineage(Position(self._position, 0).pack(), 0)
            envelope = Envelope(FROM_SHARD, kind, version, at_us, hashed, hashed, lineage, self._source, body)
            outputs.append(Output(stream, hashed, hashed, encode(envelope)))
        self.again(*outputs)
        return outputs

    def broadcast(self, stream: str, event: object) -> None:
        """Put ``event`` on every shard of ``stream``."""
        self.again(self.broadcast_of(stream, event))

    def broadcast_of(self, stream: str, event: object) -> Output:
        """Return a broadcast that is not put yet."""
        self._position += 1
        kind, version, body = codec.encode(event)
        first, last = FULL_RANGE.first_bytes, FULL_RANGE.last_bytes
        lineage = pack_lineage(Position(self._position, 0).pack(), 0)
        record = encode(Envelope(FROM_SHARD, kind, version, 1, first, last, lineage, self._source, body))
        return Output(stream, first, last, record)

    def again(self, *outputs: Output) -> None:
        """Put the same bytes again, as a shard does that died before its commit."""
        now(Publisher(self._log, SystemClock()).publish(outputs))


def put_raw(log: Log, stream: str, record: bytes, hashed: bytes = bytes(16)) -> None:
    """Put any bytes on the shard that owns ``hashed``."""
    now(log.put_records(stream, [Entry(hashed, [record])]))
