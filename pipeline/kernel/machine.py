"""A shard as a deterministic machine: (state, record) -> (state', outputs).  Pure: what it knows comes from the log.

For each record that is news, in this order: the shard's time moves; markers of the cut-offs that have passed go out;
timers that are due fire; the record is handled; what it put out goes into the audit chain.

The records of one entry of the log are read all together before the first of them is handled, and the digests of a
batch follow behind its last: each is a short loop over much data, and costs less than in turns.

Nothing is written here.  ``collect`` gives what has changed since it was last called, for one atomic write; where that
falls must make no difference to any output, nor to the state in the end.
"""

from __future__ import annotations

from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING

from pipeline.errors import InvariantViolation, Poison, UnknownBehaviourError
from pipeline.kernel import audit_chain, keys, system_events
from pipeline.kernel.agent import Context, Output, Stage
from pipeline.kernel.cycles import Cycles, Marker
from pipeline.kernel.envelope import BODY_BYTES_MAX, FROM_EDGE, FROM_SHARD, Envelope, decode
from pipeline.kernel.hashrange import HashRange, missing_from
from pipeline.kernel.meta import Meta, write_meta
from pipeline.kernel.position import LAST_SUB_SEQUENCE, Position
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND
from pipeline.kernel.tables import NO_VERSION, Changes, Dropped, Scope, Tables
from pipeline.kernel.timers import Timers
from pipeline.kernel.watermarks import Watermarks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.ports import Record, StateStore

_SUB_SEQUENCE = Struct(">I")


class _Opened:
    """A record, and what it says: no envelope if it cannot be read, and a reason if it is poison."""

    __slots__ = ("envelope", "event", "reason", "record")

    def __init__(self, record: bytes, envelope: Envelope | None, event: object, reason: str) -> None:
        self.record = record
        self.envelope = envelope
        self.event = event
        self.reason = reason


class Machine:
    """The state of one shard of a stage, and what records do to it."""

    def __init__(self, stage: Stage, meta: Meta, store: StateStore, cached_per_table: int) -> None:
        self._stage = stage
        self._name = meta.source
        self._hash_range = meta.hash_range
        self._first, self._last = meta.first, meta.last
        self._position = meta.position
        self._head = meta.chain_head
        self._records = meta.records
        self._ended = meta.ended
        self._heads: Changes = {}
        self._unchained: list[tuple[bytes, bytes, Sequence[Output], bool]] = []
        """Position, record and outputs of what was taken, and whether the head behind it is kept."""
        self._keep_head_at = 0
        self._scope = Scope(meta.now_us)
        self._tables = Tables(self._scope, store, cached_per_table)
        self._timers = Timers(store)
        self._watermarks = Watermarks(store)
        self._cycles = Cycles(store)
        for parts in (self._watermarks.pieces, self._cycles.ranges):
            if missing_from(self._hash_range, parts):
                raise InvariantViolation(f"{self._name}: the state has rows for a part of {self._hash_range} only")
        self._context = Context(stage, meta.source.encode(), self._scope, self._timers, self._cycles, self._hash_range)
        self._activate(meta.behaviour)

    @property
    def timers(self) -> int:
        """How many timers are set."""
        return len(self._timers)

    @property
    def cached_rows(self) -> int:
        """How many rows of state are kept decoded."""
        return self._tables.cached_rows

    def step(self, records: Sequence[Record]) -> list[Output]:
        """Take every record in order and return what it puts out."""
        if self._ended and records:
            raise InvariantViolation(f"{self._name} has told its destinations that it ended, and goes on")
        outputs: list[Output] = []
        context, open_record = self._context, self._open
        pack = _SUB_SEQUENCE.pack
        for record in records:
            sequence = record.sequence.to_bytes(16, "big")
            arrival_us = record.arrival_us
            opened_records = [open_record(user_record) for user_record in record.user_records]
            for sub_sequence, opened in enumerate(opened_records):
                position = sequence + pack(sub_sequence)
                if position <= self._position:
                    again = Position.unpack(position)
                    raise InvariantViolation(f"{self._name}: record {again} was delivered again")
                self._position = position
                if self._take(opened, arrival_us):
                    self._note(opened.record)
                    outputs += context.outputs
            self._chain()
        return outputs

    def end(self) -> Sequence[Output]:
        """Return what tells the destinations that this shard, closed and read to its end, sends nothing more."""
        last = Position(Position.unpack(self._position).sequence, LAST_SUB_SEQUENCE)
        self._position = last.pack()
        self._context.begin(self._position, b"")
        for stream in self._stage.destinations:
            self._context.broadcast(stream, system_events.SourceEnded())
        self._ended = True
        self._note(b"")
        self._chain()
        return self._context.outputs

    def collect(self) -> tuple[Meta, Changes, Dropped]:
        """Return how far the machine is, the rows that have changed since this was last called, and ranges to drop."""
        changes: Changes = {}
        dropped: Dropped = []
        self._tables.collect(changes, dropped)
        self._timers.collect(changes)
        self._watermarks.collect(changes)
        self._cycles.collect(changes)
        changes.update(self._heads)
        self._heads = {}
        meta = Meta(
            source=self._name,
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
        return meta, changes, dropped

    def _activate(self, version: int) -> None:
        behaviour = self._stage.behaviours.get(version)
        if behaviour is None:
            known = ", ".join(map(str, sorted(self._stage.behaviours)))
            raise UnknownBehaviourError(
                f"stage {self._stage.name}: the log activated behaviour {version}, this build knows {known}"
            )
        self._behaviour = version
        self._skew_us_max = behaviour.skew_us_max
        self._head_every = behaviour.head_every
        self._keep_head_at = self._next_head()
        self._told_by_edges = behaviour.told_by_edges | {system_events.Tick}
        self._chain_of_handlers = [agent.handlers() for agent in behaviour.agents(self._tables)]
        self._handled = {event_type for handlers in self._chain_of_handlers for event_type in handlers}

    def _open(self, user_record: bytes) -> _Opened:
        """Read what a record says: nothing before it can change that."""
        envelope = None
        try:
            envelope = decode(user_record)
            return _Opened(user_record, envelope, self._event_in(envelope), "")
        except Poison as poison:
            return _Opened(user_record, envelope, None, poison.reason)

    def _event_in(self, envelope: Envelope) -> object:
        kind, body = envelope.kind, envelope.body
        if len(body) > BODY_BYTES_MAX:
            raise Poison(f"a body of {len(body)} bytes is larger than {BODY_BYTES_MAX}")
        if kind < FIRST_APPLICATION_KIND:
            return system_events.decode(kind, envelope.version, body)
        try:
            return self._stage.codec.decode(kind, envelope.version, body)
        except RecursionError:
            raise Poison(f"kind {kind}, version {envelope.version}: its body is nested too deeply") from None

    def _take(self, opened: _Opened, arrival_us: int) -> bool:
        """Handle one record at the current position; say whether it was news."""
        context, scope = self._context, self._scope
        envelope = opened.envelope
        if envelope is None:
            self._park_undecodable(opened)
            return True
        pieces = self._is_news(envelope)
        if pieces is None:
            return False
        context.begin(self._position, opened.record)
        scope.version = (envelope.event_time_us, envelope.source, envelope.lineage)
        event_time_us = min(envelope.event_time_us, arrival_us + self._skew_us_max)
        scope.now_us = max(scope.now_us, event_time_us)
        overdue = 0
        if self._cycles.next_due_us <= scope.now_us or self._timers.next_due_us <= scope.now_us:
            self._catch_up()
            overdue = len(context.outputs)
        scope.hashed = max(envelope.first, self._first)
        try:
            self._handle(opened, envelope, pieces)
        except Poison as poison:
            if len(context.outputs) > overdue:
                raise InvariantViolation(
                    f"{self._name} at {Position.unpack(self._position)}: "
                    f"an agent put something out before it found the record to be poison: {poison.reason}"
                ) from poison
            context.park(poison.reason)
        return True

    def _park_undecodable(self, opened: _Opened) -> None:
        """Park what has no key and no time; what is overdue goes before it, as before any other record."""
        self._context.begin(self._position, opened.record)
        self._scope.version = NO_VERSION
        self._catch_up()
        self._scope.hashed = self._first
        self._context.park(opened.reason)

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

    def _handle(self, opened: _Opened, envelope: Envelope, pieces: Sequence[HashRange]) -> None:
        if opened.reason:
            raise Poison(opened.reason)
        if envelope.origin == FROM_EDGE and type(opened.event) not in self._told_by_edges:
            raise Poison(f"a {type(opened.event).__name__} is believed only from a shard")
        if envelope.kind >= FIRST_APPLICATION_KIND:
            self._dispatch(opened.event)
        else:
            self._obey(opened.event, envelope, pieces)

    def _obey(self, event: object, envelope: Envelope, pieces: Sequence[HashRange]) -> None:
        """Do what an event of the engine says."""
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
            raise Poison(f"no agent of stage {self._stage.name} takes a {type(event).__name__}")
        context = self._context
        for handlers in self._chain_of_handlers:
            handler = handlers.get(type(event))
            if handler is not None:
                event = handler(event, context)
                if event is None:
                    return
        raise InvariantViolation(
            f"stage {self._stage.name}: a {type(event).__name__} left the last agent; somebody must end it"
        )

    def _catch_up(self) -> None:
        """Emit the markers of the cut-offs that have passed, in cycle order; then fire the timers that are due."""
        for cycle, own in self._cycles.pass_cut_offs(self._scope.now_us):
            marker = system_events.CycleClosed(cycle, own.first_bytes, own.last_bytes)
            self._context.broadcast(self._stage.source_stream, marker)
        while (timer := self._timers.pop_due(self._scope.now_us)) is not None:
            key, event = timer
            self._scope.hashed = key[:16]
            with self._own_event():
                self._dispatch(self._stage.codec.decode(*event))

    @contextmanager
    def _own_event(self) -> Iterator[None]:
        """Handle what no record carries: a timer, the end of a cycle.  If it goes wrong, there is nothing to park."""
        record, self._context.record = self._context.record, None
        try:
            yield
        except Poison as poison:
            raise InvariantViolation(
                f"{self._name} at {Position.unpack(self._position)}: "
                f"an event of the stage's own cannot be handled: {poison.reason}"
            ) from poison
        self._context.record = record

    def _note(self, user_record: bytes) -> None:
        """Count a record that was news; its digest is due."""
        self._records += 1
        is_kept = self._records == self._keep_head_at
        if is_kept:
            self._keep_head_at = self._next_head()
        self._unchained.append((self._position, user_record, self._context.outputs, is_kept))

    def _chain(self) -> None:
        """Advance the chain over what was noted: all in a row, which costs less than one by one."""
        head = self._head
        for position, user_record, outputs, is_kept in self._unchained:
            head = audit_chain.advance(head, position, user_record, outputs)
            if is_kept:
                self._heads[keys.HEAD + position] = head
        self._head = head
        self._unchained.clear()

    def _next_head(self) -> int:
        """Return the number of the next record behind which a chain head is kept."""
        return (self._records // self._head_every + 1) * self._head_every
