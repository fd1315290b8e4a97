"""Waiting until every shard of a stream has been told something.

What enters the control shard is broadcast from there, so an edge that put it cannot know when it has arrived - but it
can look: a shard takes its records in order, so what is put on a shard behind the broadcast is taken in behind it.
The control shard broadcasts in the order in which it was told, so the last thing it was told stands for all.
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


async def wait_until_heard(log: Log, clock: Clock, stream: str, event: object, seconds_max: float) -> None:
    """Return when every open shard of ``stream`` holds a broadcast of ``event``; raise ``EdgeError`` if none comes."""
    end_us = clock.now_us() + round(seconds_max * 1_000_000)
    read_to: dict[str, int] = {}
    heard: set[str] = set()
    while True:
        missing = []
        for shard in await log.shards(stream):
            shard_id = shard.shard_id
            if shard.closed or shard_id in heard or heard.issuperset(shard.parents or (shard_id,)):
                continue
            if shard_id not in read_to:
                read_to[shard_id] = await log.trim_horizon(stream, shard_id)
            while shard_id not in heard:
                given = await log.read(stream, shard_id, read_to[shard_id], SHARD_BATCH)
                if not given.records:
                    missing.append(shard_id)
                    break
                read_to[shard_id] = given.records[-1].sequence
                if _holds(given.records, event):
                    heard.add(shard_id)
        if not missing:
            return
        if clock.now_us() >= end_us:
            message = f"{stream}: {', '.join(missing)} heard nothing of the control events for {seconds_max:.0f} s"
            raise EdgeError(f"{message}; is a worker running the control stage?")
        await clock.sleep(LOOK_SECONDS)


def _holds(records: Sequence[Record], event: object) -> bool:
    for record in records:
        for user_record in record.user_records:
            try:
                envelope = decode(user_record)
                if envelope.origin == FROM_SHARD and event_of(envelope) == event:
                    return True
            except Poison:
                continue
    return False
