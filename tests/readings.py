"""A stream as its readers see it: every shard in order, what is not theirs dropped, what came before dropped.

It is what a stage does before it looks at a record, and nothing else: pieces and watermarks, inherited at every split
and merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.kernel import keys, reshard
from pipeline.kernel.envelope import FROM_SHARD, Envelope, decode
from pipeline.kernel.system_events import SourceEnded, kind_of_type
from pipeline.kernel.tables import Changes
from pipeline.kernel.watermarks import Watermarks
from pipeline.state.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kernel.hashrange import HashRange
    from pipeline.ports import Record, ShardDescription


class WholeLog(Protocol):
    """A log of which everything can be read."""

    async def shards(self, stream: str) -> Sequence[ShardDescription]: ...

    async def records(self, stream: str, shard_id: str) -> Sequence[Record]: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that a reader took in."""

    shard_id: str
    envelope: Envelope
    pieces: Sequence[HashRange]
    """Of a broadcast: where it was news."""


async def read_stream(log: WholeLog, stream: str) -> list[Taken]:
    """Return what the readers of ``stream`` take in, parents before their children."""
    taken: list[Taken] = []
    states: dict[str, MemoryStore] = {}
    for shard in await log.shards(stream):
        store = states[shard.shard_id] = _state_of(shard, [states[parent] for parent in shard.parents])
        watermarks = Watermarks(store)
        for record in await log.records(stream, shard.shard_id):
            for user_record in record.user_records:
                taken += _take(watermarks, shard, decode(user_record))
        changes: Changes = {}
        watermarks.collect(changes)
        store.write(changes)
    return taken


def _state_of(shard: ShardDescription, parents: Sequence[MemoryStore]) -> MemoryStore:
    store = MemoryStore()
    if parents:
        store.write(reshard.small_rows(parents, shard.hash_range))
    else:
        store.write({keys.PIECE + shard.hash_range.first_bytes: shard.hash_range.last_bytes})
    return store


def _take(watermarks: Watermarks, shard: ShardDescription, envelope: Envelope) -> list[Taken]:
    first, last = envelope.first, envelope.last
    if last < shard.hash_range.first_bytes or shard.hash_range.last_bytes < first:
        return []
    if envelope.origin != FROM_SHARD:
        return [Taken(shard.shard_id, envelope, ())]
    if first == last:
        return (
            [Taken(shard.shard_id, envelope, ())] if watermarks.take(envelope.source, envelope.lineage, first) else []
        )
    news = watermarks.take_broadcast(envelope.source, envelope.lineage, first, last)
    if envelope.kind == kind_of_type[SourceEnded]:
        watermarks.end(envelope.source, news)
    return [Taken(shard.shard_id, envelope, news)] if news else []
