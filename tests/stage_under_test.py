"""A whole stage in a test, without a log: feed it events, look at what it emitted.

    stage = StageUnderTest(AUTHORISE)
    stage.feed(PAYMENTS, "token-1", a_submission())
    assert stage.emitted(CLEARING) == [...]

The shard runtime, its state and its commit are the real ones; only the log is a list.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.kernel import system_events
from pipeline.kernel.envelope import FROM_EDGE, FROM_SHARD, Envelope, decode, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.position import Position, Source, pack_lineage
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND
from pipeline.ports import Record
from pipeline.restore import genesis_rows
from pipeline.shard import Shard
from pipeline.state.digest import END_OF_KEYS
from pipeline.state.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kernel.agent import Output, Stage

START_US = 1_764_000_000_000_000


@dataclass
class CapturingPublisher:
    """Takes what a shard publishes."""

    outputs: list[Output] = field(default_factory=list)

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Keep ``outputs``."""
        self.outputs += outputs


class StageUnderTest:
    """One shard that owns every hash."""

    def __init__(self, stage: Stage, store: MemoryStore | None = None) -> None:
        self.stage = stage
        self.publisher = CapturingPublisher()
        if store is None:
            store = MemoryStore()
            store.write(genesis_rows(stage, Source("test", stage.source_stream, "shard-0"), FULL_RANGE))
        self.store = store
        self.shard = Shard(stage, store, self.publisher)
        self.now_us = START_US
        self._sequence = self.shard.position.sequence
        self._told_by_shards = 0

    def feed(self, key: str, *events: object, at_us: int | None = None) -> None:
        """Put ``events`` under ``key``, in one record that arrives at ``at_us`` (default: the time so far); commit."""
        self.feed_bytes(*(self.record(key, event, at_us) for event in events), at_us=at_us)

    def broadcast(self, *events: object, at_us: int | None = None) -> None:
        """Put ``events`` addressed to the whole hash space, as an edge would put a tick."""
        self.feed_bytes(*(self.broadcast_record(event, at_us) for event in events), at_us=at_us)

    def tick(self, at_us: int) -> None:
        """Move the stage's time to ``at_us``."""
        self.broadcast(system_events.Tick(), at_us=at_us)

    def feed_bytes(self, *user_records: bytes, at_us: int | None = None) -> None:
        """Put raw user records, in one record, and commit."""
        self.now_us = max(self.now_us, at_us or 0)
        self._sequence += 1
        asyncio.run(self.shard.process([Record(self._sequence, self.now_us, user_records)]))

    def record(self, key: str, event: object, at_us: int | None = None) -> bytes:
        """Return the user record of ``event`` under ``key``, as an edge puts it, or a shard what no edge may tell."""
        hashed = hash_key(key)
        return self._record((hashed, hashed), event, at_us)

    def broadcast_record(self, event: object, at_us: int | None = None) -> bytes:
        """Return the user record of ``event`` addressed to the whole hash space."""
        return self._record((FULL_RANGE.first_bytes, FULL_RANGE.last_bytes), event, at_us)

    def emitted(self, stream: str) -> list[object]:
        """Return the events emitted to ``stream`` so far."""
        return [self._event(output.record) for output in self.publisher.outputs if output.stream == stream]

    def emitted_to(self, stream: str, key: str) -> list[object]:
        """Return the events emitted to ``stream`` under ``key`` so far."""
        hashed = hash_key(key)
        return [self._event(o.record) for o in self.publisher.outputs if o.stream == stream and o.first == hashed]

    def forget_outputs(self) -> None:
        """Look only at what is emitted from here on."""
        self.publisher.outputs.clear()

    def restarted(self) -> StageUnderTest:
        """Return the stage as another process would find it: from what was committed."""
        return self._on(self.store)

    def copied(self) -> StageUnderTest:
        """Return the stage as it would go on from what was committed, beside this one."""
        return self._on(MemoryStore(dict(self.store.scan(b"", END_OF_KEYS))))

    def _on(self, store: MemoryStore) -> StageUnderTest:
        again = StageUnderTest(self.stage, store)
        again.now_us = self.now_us
        again._told_by_shards = self._told_by_shards
        return again

    def _record(self, address: tuple[bytes, bytes], event: object, at_us: int | None) -> bytes:
        if type(event) in system_events.kind_of_type:
            kind, version, body = system_events.encode(event)
        else:
            kind, version, body = self.stage.codec.encode(event)
        at_us = self.now_us if at_us is None else at_us
        if kind < FIRST_APPLICATION_KIND or type(event) in self.stage.behaviours[1].told_by_edges:
            return encode(Envelope(FROM_EDGE, kind, version, at_us, *address, edge_lineage(1, 1), b"test", body))
        self._told_by_shards += 1
        lineage = pack_lineage(Position(self._told_by_shards, 0).pack(), 0)
        return encode(Envelope(FROM_SHARD, kind, version, at_us, *address, lineage, b"test/upstream/shard-0", body))

    def _event(self, record: bytes) -> object:
        envelope = decode(record)
        if envelope.kind < FIRST_APPLICATION_KIND:
            return system_events.decode(envelope.kind, envelope.version, envelope.body)
        return self.stage.codec.decode(envelope.kind, envelope.version, envelope.body)
