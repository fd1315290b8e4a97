"""The one commit protocol: every shard of every stage, on every log, moves like this and in no other way.

    step      every record in order; collect outputs; advance the audit chain        (pure)
    publish   the outputs, each with its lineage, until all are acknowledged
    commit    tables, watermarks, timers, cycles, chain head and position, in one atomic write

A crash after ``step`` repeats it; after ``publish`` it repeats the same outputs, which are dropped downstream by their
lineage; after ``commit`` nothing repeats.  The position inside the state is the truth about what was read.

A shard whose step or publish failed is not used again: its tables hold what was never committed.  Restore it.
"""

from __future__ import annotations

from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING

import msgspec

from pipeline.errors import InvariantViolation, Poison, UnknownBehaviourError
from pipeline.kernel import audit_chain, keys, system_events
from pipeline.kernel.agent import Context, Output, Stage
from pipeline.kernel.cycles import Cycles, Marker
from pipeline.kernel.envelope import BODY_BYTES_MAX, FROM_EDGE, FROM_SHARD, Envelope, decode
from pipeline.kernel.hashrange import HashRange, missing_from
from pipeline.kernel.position import LAST_SUB_SEQUENCE, Position
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND
from pipeline.kernel.tables import NO_VERSION, Changes, Dropped, Scope, Tables
from pipeline.kernel.timers import Timers
from pipeline.kernel.watermarks import Watermarks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
            raise InvariantViolation(f"stage {stage.name}: this state store was never set up")
        self.stage = stage
        self.store = store
        self.committed = meta
        """What the store holds.  Everything below runs ahead of it between step and commit."""
        self._publisher = publisher
        self._in_hand = False
        self._source = meta.source.encode()
        self._position = meta.position
        self._head = meta.chain_head
        self._records = meta.records
        self._ended = meta.ended
        self._heads: Changes = {}
        self._keep_head_at = 0
        self._scope = Scope(meta.now_us)
        self._tables = Tables(self._scope, store, cached_per_table)
        self._timers = Timers(store)
        self._watermarks = Watermarks(store)
        self._cycles = Cycles(store)
        for parts in (self._watermarks.pieces, self._cycles.ranges):
            if missing_from(meta.hash_range, parts):
                raise InvariantViolation(f"{meta.source}: the state has rows for a part of {meta.hash_range} only")
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

    @property
    def cached_rows(self) -> int:
        """How many rows of state are kept decoded."""
        return self._tables.cached_rows

    async def process(self, records: Sequence[Record]) -> None:
        """Take in a batch: step, publish, commit."""
        self._take_in_hand()
        outputs = self.step(records)
        await self.publish(outputs)
        self.commit()
        self._in_hand = False

    async def finish(self) -> None:
        """Tell the destinations that this shard, closed and read to its end, will send nothing more; commit that."""
        if self._ended:
            return
        self._take_in_hand()
        last = Position(Position.unpack(self._position).sequence, LAST_SUB_SEQUENCE)
        self._position = last.pack()
        self._context.begin(self._position, b"")
        for stream in self.stage.destinations:
            self._context.broadcast(stream, system_events.SourceEnded())
        self._ended = True
        self._chain(b"")
        await self.publish(self._context.outputs)
        self.commit()
        self._in_hand = False

    def step(self, records: Sequence[Record]) -> list[Output]:
        """Take every record in order and return what it puts out.  Nothing is written."""
        if self._ended and records:
            raise InvariantViolation(f"{self.committed.source} has told its destinations that it ended, and goes on")
        outputs: list[Output] = []
        context = self._context
        pack = _SUB_SEQUENCE.pack
        for record in records:
            sequence = record.sequence.to_bytes(16, "big")
            arrival_us = record.arrival_us
            for sub_sequence, user_record in enumerate(record.user_records):
                position = sequence + pack(sub_sequence)
                if position <= self._position:
                    again = Position.unpack(position)
                    raise InvariantViolation(f"{self.committed.source}: record {again} was delivered again")
                self._position = position
                if self._take(user_record, arrival_us):
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

    def _take_in_hand(self) -> None:
        if self._in_hand:
            raise InvariantViolation(f"{self.committed.source}: an earlier batch was not committed; restore the shard")
        self._in_hand = True

    def _activate(self, version: int) -> None:
        behaviour = self.stage.behaviours.get(version)
        if behaviour is None:
            known = ", ".join(map(str, sorted(self.stage.behaviours)))
            raise UnknownBehaviourError(
                f"stage {self.stage.name}: the log activated behaviour {version}, this build knows {known}"
            )
        self._behaviour = version
        self._skew_us_max = behaviour.skew_us_max
        self._head_every = behaviour.head_every
        self._keep_head_at = self._next_head()
        self._chain_of_handlers = [agent.handlers() for agent in behaviour.agents(self._tables)]
        self._handled = {event_type for handlers in self._chain_of_handlers for event_type in handlers}

    def _take(self, user_record: bytes, arrival_us: int) -> bool:
        """Handle one record at the current position; say whether it was news."""
        context, scope = self._context, self._scope
        try:
            envelope = decode(user_record)
        except Poison as poison:
            self._park_undecodable(user_record, poison)
            return True
        pieces = self._is_news(envelope)
        if pieces is None:
            return False
        context.begin(self._position, user_record)
        scope.version = (envelope.event_time_us, envelope.source, envelope.lineage)
        event_time_us = min(envelope.event_time_us, arrival_us + self._skew_us_max)
        scope.now_us = max(scope.now_us, event_time_us)
        overdue = 0
        if self._cycles.next_due_us <= scope.now_us or self._timers.next_due_us <= scope.now_us:
            self._catch_up()
            overdue = len(context.outputs)
        scope.hashed = max(envelope.first, self._first)
        try:
            self._handle(envelope, pieces)
        except Poison as poison:
            if len(context.outputs) > overdue:
                raise InvariantViolation(
                    f"{self.committed.source} at {Position.unpack(self._position)}: "
                    f"an agent put something out before it found the record to be poison: {poison.reason}"
                ) from poison
            context.park(poison.reason)
        return True

    def _park_undecodable(self, user_record: bytes, poison: Poison) -> None:
        """Park what has no key and no time; what is overdue goes before it, as before any other record."""
        self._context.begin(self._position, user_record)
        self._scope.version = NO_VERSION
        self._catch_up()
        self._scope.hashed = self._first
        self._context.park(poison.reason)

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
        if len(envelope.body) > BODY_BYTES_MAX:
            raise Poison(f"a body of {len(envelope.body)} bytes is larger than {BODY_BYTES_MAX}")
        if kind >= FIRST_APPLICATION_KIND:
            try:
                event = self.stage.codec.decode(kind, envelope.version, envelope.body)
            except RecursionError:
                raise Poison(f"kind {kind}, version {envelope.version}: its body is nested too deeply") from None
            self._dispatch(event)
            return
        self._obey(system_events.decode(kind, envelope.version, envelope.body), envelope, pieces)

    def _obey(self, event: object, envelope: Envelope, pieces: Sequence[HashRange]) -> None:
        """Do what an event of the engine says."""
        if envelope.origin == FROM_EDGE and isinstance(event, system_events.from_shards_only):
            raise Poison(f"a {type(event).__name__} is believed only from a shard")
        if isinstance(event, system_events.Tick):
            self._keep_head_at = self._records + 1
        elif isinstance(event, system_events.SourceEnded):
            self._watermarks.end(envelope.source, pieces or self._piece_of(envelope))
        elif isinstance(event, system_events.CycleClosed):
            self._close_cycle(event, pieces or self._piece_of(envelope))
        elif isinstance(event, system_events.BehaviourActivated):
            if event.version > self._behaviour:
                self._activate(event.version)
        else:
            raise Poison(f"a {type(event).__name__} is not for a stage to handle")

    def _close_cycle(self, marker: system_events.CycleClosed, pieces: Sequence[HashRange]) -> None:
        own = HashRange.from_bytes(marker.first, marker.last)
        for cycle, piece in self._cycles.cover(Marker(marker.cycle, own), pieces):
            self._scope.hashed = piece.first_bytes
            with self._own_event():
                self._dispatch(system_events.CycleFinalised(cycle, piece.first_bytes, piece.last_bytes))

    def _piece_of(self, envelope: Envelope) -> Sequence[HashRange]:
        """Return the piece of a single hash that a broadcast was cut down to; anything else must say a range."""
        for piece in self._watermarks.pieces:
            if piece.first_bytes == envelope.first and piece.last_bytes == envelope.last:
                return (piece,)
        raise Poison("what a shard tells of itself is addressed to ranges of hashes, and not to a key")

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
        raise InvariantViolation(
            f"stage {self.stage.name}: a {type(event).__name__} left the last agent; somebody must end it"
        )

    def _catch_up(self) -> None:
        """Emit the markers of the cut-offs that have passed, in cycle order; then fire the timers that are due."""
        for cycle, own in self._cycles.pass_cut_offs(self._scope.now_us):
            marker = system_events.CycleClosed(cycle, own.first_bytes, own.last_bytes)
            self._context.broadcast(self.stage.source_stream, marker)
        while (timer := self._timers.pop_due(self._scope.now_us)) is not None:
            key, event = timer
            self._scope.hashed = key[:16]
            with self._own_event():
                self._dispatch(self.stage.codec.decode(*event))

    @contextmanager
    def _own_event(self) -> Iterator[None]:
        """Handle what no record carries: a timer, the end of a cycle.  If it goes wrong, there is nothing to park."""
        record, self._context.record = self._context.record, None
        try:
            yield
        except Poison as poison:
            raise InvariantViolation(
                f"{self.committed.source} at {Position.unpack(self._position)}: "
                f"an event of the stage's own cannot be handled: {poison.reason}"
            ) from poison
        self._context.record = record

    def _chain(self, user_record: bytes) -> None:
        self._head = audit_chain.advance(self._head, self._position, user_record, self._context.outputs)
        self._records += 1
        if self._records == self._keep_head_at:
            self._heads[keys.HEAD + self._position] = self._head
            self._keep_head_at = self._next_head()

    def _next_head(self) -> int:
        """Return the number of the next record behind which a chain head is kept."""
        return (self._records // self._head_every + 1) * self._head_every
