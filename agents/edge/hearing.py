"""Waiting until every shard of a stream has been told something.

What enters the control shard is broadcast from there, so an edge that put it cannot know when it has arrived - but it
can look: a shard takes its records in order, so what is put on a shard behind the broadcast is taken in behind it.
The control shard broadcasts in the order in which it was told, so the last thing it was told stands for all.

Listening begins before the thing is put, and only what comes from then on is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.edge.errors import EdgeError
from agents.edge.reader import SHARD_BATCH, event_of
from pipeline.errors import Poison
from pipeline.kernel.envelope import FROM_SHARD, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.ports import Clock, Log, Record

LOOK_SECONDS = 0.02


class Listener:
    """Listens for a broadcast on all shards of a stream."""

    def __init__(self, log: Log, clock: Clock, stream: str) -> None:
        self._log = log
        self._clock = clock
        self._stream = stream
        self._read_to: dict[str, int] = {}
        self._heard: set[str] = set()

    async def begin(self) -> None:
        """Let everything that is there already be old."""
        for shard in await self._log.shards(self._stream):
            self._read_to[shard.shard_id] = await self._log.latest(self._stream, shard.shard_id)

    async def wait_for(self, event: object, seconds_max: float) -> None:
        """Return when every open shard holds a broadcast of ``event``; raise ``EdgeError`` if that takes too long."""
        end_us = self._clock.now_us() + round(seconds_max * 1_000_000)
        while missing := await self._listen(event):
            if self._clock.now_us() >= end_us:
                shards = ", ".join(missing)
                message = f"{self._stream}: {shards} heard nothing of the control events for {seconds_max:.0f} s"
                raise EdgeError(f"{message}; is a worker running the control stage?")
            await self._clock.sleep(LOOK_SECONDS)

    async def _listen(self, event: object) -> list[str]:
        """Return the open shards that have not heard of it yet; a child has heard what all its parents heard."""
        missing = []
        for shard in await self._log.shards(self._stream):
            inherits = bool(shard.parents) and self._heard.issuperset(shard.parents)
            if shard.shard_id in self._heard or inherits or await self._hears(shard.shard_id, event):
                self._heard.add(shard.shard_id)
            elif not shard.closed:
                missing.append(shard.shard_id)
        return missing

    async def _hears(self, shard_id: str, event: object) -> bool:
        """Read on to the end of the shard, or to the event."""
        if shard_id not in self._read_to:
            self._read_to[shard_id] = await self._log.trim_horizon(self._stream, shard_id)
        while True:
            given = await self._log.read(self._stream, shard_id, self._read_to[shard_id], SHARD_BATCH)
            if _holds(given.records, event):
                return True
            if not given.records:
                return False
            self._read_to[shard_id] = given.records[-1].sequence


def _holds(records: Sequence[Record], event: object) -> bool:
    for record in records:
        for user_record in record.user_records:
            try:
                envelope = decode(user_record)
                if envelope.origin == FROM_SHARD and envelope.first != envelope.last and event_of(envelope) == event:
                    return True
            except Poison:
                continue
    return False
