"""What a shard has recorded, to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pipeline.ports import Log, Record

READ_AT_ONCE = 2_000
"""User records."""


async def recorded(log: Log, stream: str, shard_id: str, after: int) -> AsyncIterator[Sequence[Record]]:
    """Give what was recorded behind the sequence number ``after``, portion by portion, up to where the log ends now."""
    while True:
        found = await log.read(stream, shard_id, after, READ_AT_ONCE)
        if found.records:
            yield found.records
            after = found.records[-1].sequence
        if found.ended or not (found.records or found.behind_records):
            return
