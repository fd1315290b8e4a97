"""The one commit protocol: every shard of every stage, on every log, moves like this and in no other way.

    step      every record in order; collect outputs; advance the audit chain        (pure)
    publish   the outputs, each with its lineage, until all are acknowledged
    commit    tables, watermarks, timers, cycles, chain head and position, in one atomic write

A crash after ``step`` repeats it; after ``publish`` it repeats the same outputs, which are dropped downstream by their
lineage; after ``commit`` nothing repeats.  The position inside the state is the truth about what was read.

A shard whose step or publish failed must not be used again: its tables hold what was never committed.  Restore it.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

import msgspec

from pipeline.errors import InvariantViolation, Poison, UnknownBehaviourError
from pipeline.kernel import audit_chain, keys, system_events
from pipeline.kernel.agent import Context, Output, Stage
from pipeline.kernel.cycles import Cycles, Marker
from pipeline.kernel.envelope import FROM_SHARD, Envelope, decode
from pipeline.kernel.hashrange import HashRange
from pipeline.kernel.position import LAST_SUB_SEQUENCE, Position
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND
from pipeline.kernel.tables import Changes, Dropped, Scope, Tables
from pipeline.kernel.timers import Timers
from pipeline.kernel.watermarks import Watermarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.ports import OutputPublisher, Record, StateStore

_SUB_SEQUENCE = Struct(">I")


class Meta(msgspec.Struct, frozen=True):
    """What a shard knows about itself; committed with everything else."""

    source: str
    """The packed ``Source``: state of another log, stream or shard is not taken for this one's."""
    first: bytes
    last: bytes
    position: bytes
    chain_head: bytes
    now_us: int
    behaviour: int
    records: int
    """Records in the chain so far."""
    ended: bool = False
    """The shard was closed, read to its end, and has told its destinations."""

    @property
    def hash_range(self) -> HashRange:
        """The range the shard owns."""
        return HashRange.from_bytes(self.first, self.last)


_encode_meta = msgspec.msgpack.Encoder().encode
_meta_decoder = msgspec.msgpack.Decoder(Meta)


def read_meta(store: StateStore) -> Meta | None:
    """Return what the state in ``store`` is, or None if it was never completely set up."""
    data = store.get(keys.META)
    return None if data is None else _meta_decoder.decode(data)


def write_meta(meta: Meta, changes: Changes) -> None:
    """Put the row of ``meta`` into ``changes``."""
    changes[keys.META] = _encode_meta(meta)


class Shard:
    """One shard of a stage: its state, and the way through step, publish and commit."""

    def __init__(
        self, stage: Stage, store: StateStore, publisher: OutputPublisher, cached_per_table: int = 20_000
    ) -> None:
        meta = read_meta(store)
        if meta is None:
            message = f"stage {stage.name}: this state store was never set up"
            raise InvariantViolation(message)
        self.stage = stage
        self.store = store
        self.committed = meta
        """What the store holds.  Everything below runs ahead of it between step and commit."""
        self._publisher = publisher
        self._source = meta.source.encode()
        self._position = meta.position
        self._head = meta.chain_head
        self._records = meta.records
        self._ended = meta.ended
        self._heads: Changes = {}
        self._scope = Scope(meta.now_us)
        self._tables = Tables(self._scope, store, cached_per_table)
        self._timers = Timers(store)
        self._watermarks = Watermarks(store)
        self._cycles = Cycles(store)
        self._context = Context(stage, self._source, self._scope, self._timers, self._cycles)
        self._first, self._last = meta.first, meta.last
        self._activate(meta.behaviour)

    @property
    def position(self) -> Position:
        """The last record that was committed."""
        return Position.unpack(self.committed.position)

    @property
    def timers(self) -> int:
        """How many timers are set."""
        return len(self._timers)

    async def process(self, records: Sequence[Record]) -> None:
        """Take in a batch: step, publish, commit."""
        outputs = self.step(records)
        await self.publish(outputs)
        self.commit()

    async def finish(self) -> None:
        """Tell the destinations that this shard, closed and read to its end, will send nothing more; commit that."""
        if self._ended:
            return
        last = Position(Position.unpack(self._position).sequence, LAST_SUB_SEQUENCE)
        self._position = last.pack()
        self._context.begin(self._position, b"")
        for stream in self.stage.destinations:
            self._context.broadcast(stream, system_events.SourceEnded())
        self._ended = True
        self._chain(b"")
        await self.publish(self._context.outputs)
        self.commit()

    def step(self, records: Sequence[Record]) -> list[Output]:
        """Take every record in order and return what it puts out.  Nothing is written."""
        outputs: list[Output] = []
        context = self._context
        pack = _SUB_SEQUENCE.pack
        for record in records:
            sequence = record.sequence.to_bytes(16, "big")
            time_limit_us = record.arrival_us + self._skew_us_max
            for sub_sequence, user_record in enumerate(record.user_records):
                position = sequence + pack(sub_sequence)
                if position <= self._position:
                    message = f"{self.committed.source}: record {Position.unpack(position)} was delivered again"
                    raise InvariantViolation(message)
                self._position = position
                if self._take(user_record, time_limit_us):
                    self._chain(user_record)
                    outputs += context.outputs
        return outputs

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Return once every output is stored where it belongs."""
        if outputs:
            await self._publisher.publish(outputs)

    def commit(self) -> None:
        """Write everything that the steps since the last commit changed, in one atomic batch."""
        changes: Changes = {}
        dropped: Dropped = []
        self._tables.collect(changes, dropped)
        self._timers.collect(changes)
        self._watermarks.collect(changes)
        self._cycles.collect(changes)
        changes.update(self._heads)
        self._heads = {}
        meta = Meta(
            source=self.committed.source,
            first=self._first,
            last=self._last,
            position=self._position,
            chain_head=self._head,
            now_us=self._scope.now_us,
            behaviour=self._behaviour,
            records=self._records,
            ended=self._ended,
        )
        write_meta(meta, changes)
        self.store.write(changes, dropped)
        self.committed = meta

    def _activate(self, version: int) -> None:
        behaviour = self.stage.behaviours.get(version)
        if behaviour is None:
            known = ", ".join(map(str, sorted(self.stage.behaviours)))
            message = f"stage {self.stage.name}: the log activated behaviour {version}, this build knows {known}"
            raise UnknownBehaviourError(message)
        self._behaviour = version
        self._skew_us_max = behaviour.skew_us_max
        self._head_every = behaviour.head_every
        self._chain_of_handlers = [agent.handlers() for agent in behaviour.agents(self._tables)]
        self._handled = {event_type for handlers in self._chain_of_handlers for event_type in handlers}

    def _take(self, user_record: bytes, time_limit_us: int) -> bool:
        """Handle one record at the current position; say whether it was news."""
        context, scope = self._context, self._scope
        try:
            envelope = decode(user_record)
        except Poison as poison:
            scope.hashed = self._first
            context.begin(self._position, user_record)
            context.park(poison.reason)
            return True
        pieces = self._is_news(envelope)
        if pieces is None:
            return False
        context.begin(self._position, user_record)
        event_time_us = min(envelope.event_time_us, time_limit_us)
        scope.now_us = max(scope.now_us, event_time_us)
        if self._cycles.next_due_us <= scope.now_us:
            self._pass_cut_offs()
        if self._timers.next_due_us <= scope.now_us:
            self._fire_timers()
        scope.hashed = max(envelope.first, self._first)
        scope.version = (envelope.event_time_us, envelope.source, envelope.lineage)
        try:
            self._handle(envelope, pieces)
        except Poison as poison:
            context.park(poison.reason)
        return True

    def _is_news(self, envelope: Envelope) -> Sequence[HashRange] | None:
        """Return None for a record that is another shard's or was taken in before, else the pieces it is for."""
        first, last = envelope.first, envelope.last
        if last < self._first or self._last < first:
            return None
        if first != last:
            if envelope.origin == FROM_SHARD:
                return self._watermarks.take_broadcast(envelope.source, envelope.lineage, first, last) or None
            return self._watermarks.pieces
        if envelope.origin == FROM_SHARD and not self._watermarks.take(envelope.source, envelope.lineage, first):
            return None
        return ()

    def _handle(self, envelope: Envelope, pieces: Sequence[HashRange]) -> None:
        kind = envelope.kind
        if kind >= FIRST_APPLICATION_KIND:
            self._dispatch(self.stage.codec.decode(kind, envelope.version, envelope.body))
            return
        event = system_events.decode(kind, envelope.version, envelope.body)
        if isinstance(event, system_events.Tick):
            self._heads[keys.HEAD + self._position] = self._head
        elif isinstance(event, system_events.SourceEnded):
            self._watermarks.end(envelope.source, pieces)
        elif isinstance(event, system_events.CycleClosed):
            marker = Marker(event.cycle, HashRange.from_bytes(event.first, event.last))
            for cycle, piece in self._cycles.cover(marker, pieces):
                self._scope.hashed = piece.first_bytes
                self._dispatch(system_events.CycleFinalised(cycle, piece.first_bytes, piece.last_bytes))
        elif isinstance(event, system_events.BehaviourActivated):
            self._activate(event.version)
        else:
            raise Poison(f"a {type(event).__name__} is not for a stage to handle")

    def _dispatch(self, event: object | None) -> None:
        """Pass ``event`` from agent to agent until one ends it."""
        if type(event) not in self._handled:
            raise Poison(f"no agent of stage {self.stage.name} takes a {type(event).__name__}")
        context = self._context
        for handlers in self._chain_of_handlers:
            handler = handlers.get(type(event))
            if handler is not None:
                event = handler(event, context)
                if event is None:
                    return
        message = f"stage {self.stage.name}: a {type(event).__name__} left the last agent; somebody must end it"
        raise InvariantViolation(message)

    def _pass_cut_offs(self) -> None:
        for cycle, own in self._cycles.pass_cut_offs(self._scope.now_us):
            marker = system_events.CycleClosed(cycle, own.first_bytes, own.last_bytes)
            self._context.broadcast(self.stage.source_stream, marker)

    def _fire_timers(self) -> None:
        while (timer := self._timers.pop_due(self._scope.now_us)) is not None:
            key, event = timer
            self._scope.hashed = key[:16]
            try:
                self._dispatch(self.stage.codec.decode(*event))
            except Poison as poison:
                message = f"stage {self.stage.name}: a timer of our own cannot be handled: {poison.reason}"
                raise InvariantViolation(message) from poison

    def _chain(self, user_record: bytes) -> None:
        self._head = audit_chain.advance(self._head, self._position, user_record, self._context.outputs)
        self._records += 1
        if self._records % self._head_every == 0:
            self._heads[keys.HEAD + self._position] = self._head
