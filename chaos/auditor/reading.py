"""A stream as whoever reads it should take it in: each output once, by its identity, on a shard that it is for.

A reader of the product tells repeats from news by watermarks.  This one remembers every lineage that it has seen, which
needs no order and no watermark; if the two ever differ, one of the invariants shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.errors import Poison
from pipeline.kernel.envelope import FROM_SHARD, Envelope, decode
from pipeline.kernel.hashrange import HashRange, missing_from
from pipeline.kernel.position import Position
from pipeline.ports import Record, ShardDescription

SKEW_US_MAX: Final = 2_000_000
"""How far an event's own time may be ahead of its arrival (``PROTOCOL.md`` 2)."""


class Recording(Protocol):
    """Everything that a log has ever taken."""

    def shards_of(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards, parents before their children."""

    def records_of(self, stream: str, shard_id: str) -> Sequence[Record]:
        """Return everything that a shard has taken, in order."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that a reader takes in."""

    shard: ShardDescription
    position: bytes
    """Packed: where it is in its shard."""
    arrival_us: int
    now_us: int
    """The shard's time with it."""
    envelope: Envelope | None
    """None for what is no envelope."""
    record: bytes


class Reading:
    """One reading of one stream."""

    def __init__(self, recording: Recording, stream: str) -> None:
        self.shards = recording.shards_of(stream)
        self.taken: list[Taken] = []
        self._seen: dict[tuple[bytes, bytes], list[HashRange]] = defaultdict(list)
        self._now_us: dict[str, int] = {}
        for shard in self.shards:
            self.taken += self._read(shard, recording.records_of(stream, shard.shard_id))

    def _read(self, shard: ShardDescription, records: Sequence[Record]) -> Iterator[Taken]:
        now_us = max((self._now_us[parent] for parent in shard.parents), default=0)
        for record in records:
            for sub_sequence, user_record in enumerate(record.user_records):
                position = Position(record.sequence, sub_sequence).pack()
                try:
                    envelope = decode(user_record)
                except Poison:
                    yield Taken(shard, position, record.arrival_us, now_us, None, user_record)
                    continue
                if self._is_news(envelope, shard.hash_range):
                    now_us = max(now_us, min(envelope.event_time_us, record.arrival_us + SKEW_US_MAX))
                    yield Taken(shard, position, record.arrival_us, now_us, envelope, user_record)
        self._now_us[shard.shard_id] = now_us

    def _is_news(self, envelope: Envelope, owned: HashRange) -> bool:
        """Say whether some of what ``envelope`` is addressed to is the shard's, and new."""
        part = HashRange.from_bytes(envelope.first, envelope.last).overlap(owned)
        if part is None:
            return False
        if envelope.origin != FROM_SHARD:
            return True
        seen = self._seen[envelope.source, envelope.lineage]
        if not missing_from(part, seen):
            return False
        seen.append(part)
        return True
