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
from pipeline.kernel.envelope import FROM_EDGE, Envelope, decode, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.position import Source
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND
from pipeline.ports import Record
from pipeline.restore import genesis_rows
from pipeline.shard import Shard
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

    def feed(self, key: str, *events: object, at_us: int | None = None) -> None:
        """Put ``events`` under ``key``, in one record that arrives at ``at_us`` (default: the time so far); commit."""
        self.feed_bytes(*(self.record(key, event, at_us) for event in events), at_us=at_us)

    def broadcast(self, *events: object, at_us: int | None = None) -> None:
        """Put ``events`` addressed to the whole hash space, as an edge would put a tick."""
        whole = (FULL_RANGE.first_bytes, FULL_RANGE.last_bytes)
        self.feed_bytes(*(self._record(whole, event, at_us) for event in events), at_us=at_us)

    def tick(self, at_us: int) -> None:
        """Move the stage's time to ``at_us``."""
        self.broadcast(system_events.Tick(), at_us=at_us)

    def feed_bytes(self, *user_records: bytes, at_us: int | None = None) -> None:
        """Put raw user records, in one record, and commit."""
        self.now_us = max(self.now_us, at_us or 0)
        self._sequence += 1
        asyncio.run(self.shard.process([Record(self._sequence, self.now_us, user_records)]))

    def record(self, key: str, event: object, at_us: int | None = None) -> bytes:
        """Return the user record of ``event`` under ``key``, as an edge would put it."""
        hashed = hash_key(key)
        return self._record((hashed, hashed), event, at_us)

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
        again = StageUnderTest(self.stage, self.store)
        again.now_us = self.now_us
        return again

    def _record(self, address: tuple[bytes, bytes], event: object, at_us: int | None) -> bytes:
        if type(event) in system_events.kind_of_type:
            kind, version, body = system_events.encode(event)
        else:
            kind, version, body = self.stage.codec.encode(event)
        first, last = address
        at_us = self.now_us if at_us is None else at_us
        return encode(Envelope(FROM_EDGE, kind, version, at_us, first, last, edge_lineage(1, 1), b"test", body))

    def _event(self, record: bytes) -> object:
        envelope = decode(record)
        if envelope.kind < FIRST_APPLICATION_KIND:
            return system_events.decode(envelope.kind, envelope.version, envelope.body)
        return self.stage.codec.decode(envelope.kind, envelope.version, envelope.body)
