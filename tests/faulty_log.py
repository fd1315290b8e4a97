"""A log in memory whose puts go wrong as puts do: refused, stored without an answer, or stored long after the answer.

Which put goes wrong how is said by whoever makes the log: a list in a test that tells a story, a seeded draw in a
simulation.  Every call lets others run first, so that anything may happen between two calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import NamedTuple

from pipeline.kernel.envelope import FROM_SHARD, decode, readdress
from pipeline.ports import Clock, Entry, Landed, Record, Refused, ShardDescription, Slice
from pipeline.stream_logs.memory import MemoryLog


class Fate(Enum):
    """What becomes of one entry."""

    LANDED = auto()
    REFUSED = auto()
    UNACKNOWLEDGED = auto()
    """Stored, but the answer says that nobody knows."""
    LATE = auto()
    """The answer says that nobody knows, and it is stored later."""


class LatePut(NamedTuple):
    """An entry that is still on its way."""

    stream: str
    entry: Entry


class ForkError(Exception):
    """One lineage stands for two different outputs."""


NO_HASH = bytes(16)


class FaultyLog(MemoryLog):
    """Asks ``fate`` about every entry; keeps what is late, and holds every output against what it was before."""

    def __init__(self, clock: Clock, fate: Callable[[], Fate]) -> None:
        super().__init__(clock, "log-1")
        self._fate = fate
        self._seen: dict[tuple[str, bytes, bytes], bytes] = {}
        self.late: list[LatePut] = []
        self.puts: list[tuple[str, Sequence[Entry]]] = []
        """What was asked to be put, faults or not."""

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        await asyncio.sleep(0)
        self.puts.append((stream, entries))
        for entry in entries:
            self._check_fork(stream, entry)
        results = []
        for entry in entries:
            await asyncio.sleep(0)
            results.append(await self._put(stream, entry, self._fate()))
        return results

    async def _put(self, stream: str, entry: Entry, fate: Fate) -> Landed | Refused:
        if fate is Fate.REFUSED:
            return Refused("throttled")
        if fate is Fate.LATE:
            self.late.append(LatePut(stream, entry))
            return Refused("timed out")
        landed = await self.put_surely(stream, entry)
        return landed if fate is Fate.LANDED else Refused("the connection was lost")

    async def put_surely(self, stream: str, entry: Entry) -> Landed | Refused:
        """Store an entry, as an edge does."""
        (landed,) = await super().put_records(stream, [entry])
        return landed

    async def deliver(self, late: LatePut) -> None:
        """Let an entry arrive that was late."""
        self.late.remove(late)
        await self.put_surely(*late)

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        await asyncio.sleep(0)
        return await super().read(stream, shard_id, after, limit)

    async def records(self, stream: str, shard_id: str) -> Sequence[Record]:
        """Return everything that a shard holds."""
        return (await super().read(stream, shard_id, 0, 1 << 60)).records

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        await asyncio.sleep(0)
        return await super().shards(stream)

    def _check_fork(self, stream: str, entry: Entry) -> None:
        for record in entry.user_records:
            envelope = decode(record)
            if envelope.origin == FROM_SHARD:
                content = readdress(record, NO_HASH, NO_HASH)  # copies of a broadcast differ in it
                known = self._seen.setdefault((stream, envelope.source, envelope.lineage), content)
                if known != content:
                    raise ForkError(f"{envelope.source!r} sent two outputs under {envelope.lineage.hex()} to {stream}")


def fates(*said: Fate) -> Callable[[], Fate]:
    """Return fates one by one as ``said``, and from then on let everything land."""
    left = iter(said)
    return lambda: next(left, Fate.LANDED)
