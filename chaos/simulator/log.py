"""The log in memory, going wrong as logs do.

A put gives the turn away before each of its entries, so that anything may happen between two of them.  What was taken
is archived: a trim removes what readers can reach, and not what auditors can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple, Protocol

from chaos.auditor.invariants import Breach, Invariant
from chaos.simulator.faults import Fault, Odds, Recovery
from chaos.virtual_time import HOUR_US, NEXT_TURN, VirtualTime
from pipeline.errors import LogError, Poison
from pipeline.kernel.envelope import FROM_SHARD, Envelope, decode, readdress
from pipeline.kernel.hashrange import HASH_BYTES, HashRange
from pipeline.ports import Entry, Landed, Record, Refused, ShardDescription, Slice
from pipeline.stream_logs.memory import MemoryLog

NO_HASH: Final = bytes(HASH_BYTES)
RETENTION_US: Final = 24 * HOUR_US


class Mover(Protocol):
    """Whoever's turn it is."""

    @property
    def is_gone(self) -> bool:
        """Say whether it died, or another has taken its place."""


class Tip(Protocol):
    """How far a shard of the log goes."""

    @property
    def end(self) -> int:
        """The sequence number of the newest record."""

    @property
    def closed(self) -> bool:
        """True once the shard was split or merged."""


class LatePut(NamedTuple):
    """An entry that is still on its way."""

    stream: str
    entry: Entry
    sender: Mover | None


@dataclass(slots=True)
class Outcome:
    """What is known of an output by its lineage."""

    content: bytes
    heard: bool = False
    left_over: tuple[HashRange, ...] = ()
    """What did not land where it belongs."""


Hear = Callable[[str, Envelope], None]


class SimulatedLog(MemoryLog):
    """A log whose puts are refused, lost from sight or late, and whose reads are empty or fail."""

    def __init__(self, time: VirtualTime, odds: Odds, random: Random, hear: Hear) -> None:
        """Tell ``hear`` of every output that lands where it belongs, the first time: its stream and its envelope."""
        super().__init__(time, "simulated", retention_us=RETENTION_US)
        self.late: list[LatePut] = []
        self.mover: Mover | None = None
        self.archive: dict[tuple[str, str], list[Record]] = {}
        self.unavailable_until_us = 0
        self._time = time
        self._odds = odds
        self._random = random
        self._hear = hear
        self._outputs: dict[tuple[str, bytes, bytes], Outcome] = {}
        self._in_flight: list[tuple[Mover | None, str]] = []

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        """Store what does not go wrong."""
        request = self.mover, stream
        if request in self._in_flight:
            raise Breach(Invariant.BOUNDED, f"{self.mover} has two requests to {stream} in flight")
        self._in_flight.append(request)
        try:
            return await self._put_all(stream, entries)
        finally:
            self._in_flight.remove(request)

    async def _put_all(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        await NEXT_TURN
        for entry in entries:
            self._check_fork(stream, entry)
        results: list[Landed | Refused] = []
        for entry in entries:
            if results:
                await NEXT_TURN
            results.append(await self._put(stream, entry))
        if 0 < sum(isinstance(result, Refused) for result in results) < len(results):
            self._odds.fire(Fault.PUT_PARTLY_REFUSED)
        return results

    async def _put(self, stream: str, entry: Entry) -> Landed | Refused:
        if self.is_unavailable:
            return Refused("unavailable")
        if self._odds.happens(Fault.PUT_REFUSED, 0.05):
            return Refused("throttled")
        if self._odds.happens(Fault.PUT_LATE, 0.03):
            self.late.append(LatePut(stream, entry, self.mover))
            return Refused("timed out")
        landed = await self.put_surely(stream, entry)
        if self._odds.happens(Fault.ACKNOWLEDGEMENT_LOST, 0.05):
            return Refused("the connection was lost")
        return landed

    async def put_surely(self, stream: str, entry: Entry) -> Landed:
        """Store an entry."""
        (landed,) = await super().put_records(stream, [entry])
        if not isinstance(landed, Landed):
            raise TypeError(f"the log in memory refused an entry: {landed}")
        shard = self._map(stream).get(landed.shard_id)
        newest = self._shards[stream, landed.shard_id].records[-1]
        self.archive.setdefault((stream, landed.shard_id), []).append(newest)
        for user_record in entry.user_records:
            self._note(stream, user_record, shard)
        return landed

    async def deliver(self, late: LatePut) -> None:
        """Let an entry arrive that was late."""
        self.late.remove(late)
        if late.sender is not None and late.sender.is_gone:
            self._odds.fire(Fault.PUT_AFTER_TAKE_OVER)
        await self.put_surely(late.stream, late.entry)

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        """Return the records behind ``after``, or nothing although there are some."""
        self._check_available()
        if self._odds.happens(Fault.READ_FAILED, 0.002):
            raise LogError(f"{stream}/{shard_id}: the iterator expired")
        found = await super().read(stream, shard_id, after, limit)
        if found.records and self._odds.happens(Fault.EMPTY_READ, 0.03):
            return Slice((), ended=False, behind_records=found.behind_records + 1, behind_us=found.behind_us)
        return found

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards."""
        await NEXT_TURN
        self._check_available()
        return self.shards_of(stream)

    def shards_of(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards, for those who need no turn."""
        return self._map(stream).shards

    def tip_of(self, stream: str, shard_id: str) -> Tip:
        """Return where a shard ends, for as long as the world lives."""
        return self._shards[stream, shard_id]

    @property
    def written_to(self) -> list[str]:
        """The streams to which requests are in flight."""
        return [stream for _, stream in self._in_flight]

    @property
    def is_unavailable(self) -> bool:
        """Say whether nothing can be put or read now."""
        return self._time.us < self.unavailable_until_us

    def _check_available(self) -> None:
        if self.is_unavailable:
            raise LogError("the log is unavailable")

    def _check_fork(self, stream: str, entry: Entry) -> None:
        """Never take one lineage for two different outputs."""
        for record in entry.user_records:
            envelope = decode(record)
            content = readdress(record, NO_HASH, NO_HASH)  # copies of a broadcast differ in it
            key = stream, envelope.source, envelope.lineage
            known = self._outputs.get(key)
            if known is None:
                self._outputs[key] = Outcome(content)
            elif known.content != content:
                raise Breach(
                    Invariant.AUDIT_CHAIN,
                    f"{envelope.source.decode()} sent two outputs to {stream} under lineage {envelope.lineage.hex()}",
                )
            elif known.heard:
                self._odds.recover(Recovery.REPEAT_SENT)

    def _note(self, stream: str, record: bytes, shard: ShardDescription) -> None:
        """Tell of an output that has landed where it belongs, the first time."""
        try:
            envelope = decode(record)
        except Poison:
            return
        if envelope.origin != FROM_SHARD:
            return
        known = self._outputs[stream, envelope.source, envelope.lineage]
        address = HashRange.from_bytes(envelope.first, envelope.last)
        left_over = address.without(shard.hash_range)
        if left_over:
            known.left_over += tuple(left_over)
            self._odds.fire(Fault.RECORD_STRADDLES)
        elif any(address.overlap(part) for part in known.left_over):
            known.left_over = ()
            keyed = envelope.first == envelope.last
            self._odds.recover(Recovery.REST_SENT if keyed else Recovery.REST_OF_BROADCAST_SENT)
        if not known.heard and left_over != [address]:
            known.heard = True
            self._hear(stream, envelope)
