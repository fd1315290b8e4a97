"""How an edge puts records on a stream: through the engine's publisher, under an identity of its own.

An edge's record carries the producer's name, the epoch (one per store of the producer, made when the store is) and a
counter that the store keeps, so that a record put again after a crash is the same bytes.  Readers do not deduplicate
by it - only lineages have watermarks - but by the event's own business key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import hash_key
from pipeline.publisher import Publisher
from schemas import codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.ports import Clock, Log


class Identity(NamedTuple):
    """Who puts a record."""

    name: bytes
    epoch: int


class EdgeProducer:
    """Puts the records of one producer, in order."""

    def __init__(self, log: Log, clock: Clock, identity: Identity) -> None:
        self.identity = identity
        self._publisher = Publisher(log, clock)

    def record(self, stream: str, key: str, event: object, event_time_us: int, counter: int) -> Output:
        """Return the record of ``event``; ``counter`` is never given to another record of this producer."""
        kind, version, body = codec.encode(event)
        hashed = hash_key(key)
        lineage = edge_lineage(self.identity.epoch, counter)
        envelope = Envelope(FROM_EDGE, kind, version, event_time_us, hashed, hashed, lineage, self.identity.name, body)
        return Output(stream, hashed, hashed, encode(envelope))

    async def put(self, outputs: Sequence[Output]) -> None:
        """Return once all ``outputs`` are stored, durably, on the shards that own them."""
        if outputs:
            await self._publisher.publish(outputs)
