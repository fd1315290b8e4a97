"""Bugs in how outputs get to where they belong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from pipeline.kernel.agent import Output
from pipeline.kernel.hashrange import HashRange
from pipeline.ports import Clock, Entry, Landed, Log, Refused, ShardDescription
from pipeline.publisher import Publisher, Together, _Addressed


class PublishesBackwards(Publisher):
    """Outputs go out in lineage order: what is behind a later one is taken for a repeat."""

    async def publish(self, outputs: Sequence[Output]) -> None:
        await super().publish(outputs[::-1])


class SendsLaterOnesFirst(Publisher):
    """What was refused is sent again before anything later."""

    async def _publish_to(self, stream: str, todo: list[_Addressed]) -> None:
        waits = todo[:1]
        for part in (todo[1:], waits):
            await super()._publish_to(stream, part)


class LeavesTheRest(Publisher):
    """What landed on a shard that does not own it is sent again."""

    async def _left_over(self, stream: str, sent: list[_Addressed], landed_on: str) -> list[_Addressed]:
        left = await super()._left_over(stream, sent, landed_on)
        return [part for part in left if part.first != part.last]


class LeavesTheRestOfBroadcasts(Publisher):
    """A broadcast is done when the ranges that it landed on tile the hash space."""

    async def _left_over(self, stream: str, sent: list[_Addressed], landed_on: str) -> list[_Addressed]:
        left = await super()._left_over(stream, sent, landed_on)
        return [part for part in left if part.first == part.last]


class BroadcastsToTheFirstShard(Publisher):
    """A broadcast is for every shard of its stream."""

    async def _publish_to(self, stream: str, todo: list[_Addressed]) -> None:
        shards = self._maps.get(stream) or await self._refresh(stream)
        first = HashRange.from_bytes(shards.firsts[0], shards.lasts[0])
        narrowed = [
            part if part.first == part.last else part._replace(last=min(part.last, first.last_bytes)) for part in todo
        ]
        await super()._publish_to(stream, narrowed)


class _Believing:
    """A log that is believed to have stored what it did not answer."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        return await self._log.shards(stream)

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        shards = await self._log.shards(stream)
        results = await self._log.put_records(stream, entries)
        return [
            Landed(_owner_of(entry, shards), 0) if result == Refused("timed out") else result
            for entry, result in zip(entries, results, strict=True)
        ]


class BelievesTimeOuts(Publisher):
    """An output is stored when the log says so, and not before."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        tell_refused: Callable[[str, str], None] | None = None,
        together: Together | None = None,
    ) -> None:
        super().__init__(log, clock, tell_refused, together)
        self._log = _Believing(log)  # type: ignore[assignment]


class PutsTwoRequestsAtOnce(Publisher):
    """One request of a source is in flight per stream: two may land in either order."""

    async def publish(self, outputs: Sequence[Output]) -> None:
        if self._together is None:
            raise TypeError("the simulator lets a publisher send to streams at once")
        halves: list[Awaitable[None]] = [super().publish(outputs[::2]), super().publish(outputs[1::2])]
        await self._together(*halves)


def _owner_of(entry: Entry, shards: Sequence[ShardDescription]) -> str:
    hashed = int.from_bytes(entry.explicit_hash, "big")
    return next(shard.shard_id for shard in shards if not shard.closed and hashed in shard.hash_range)
