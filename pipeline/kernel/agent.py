"""What an agent is: a deterministic step over one kind of state.

An agent declares handlers, ``{event type: method}``.  A method takes ``(event, context)`` and returns the event for
the next agent of the stage, or None when this one ended it.  Everything it may know is in the event, in its tables
and in the context; everything it may do is to write its tables, emit, broadcast, park and set timers.

A handler that finds its event to be poison says so before it does anything else: it parks it and returns None, or
raises ``Poison``.  What a timer or the end of a cycle brings is the stage's own, and cannot be parked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pipeline.errors import InvariantViolation
from pipeline.kernel import system_events
from pipeline.kernel.envelope import FROM_SHARD, encode_fields
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.position import Position, pack_lineage

if TYPE_CHECKING:
    from pipeline.kernel.cycles import Cycles
    from pipeline.kernel.hashrange import HashRange
    from pipeline.kernel.tables import Scope, Tables
    from pipeline.kernel.timers import Timers

_FIRST_HASH = FULL_RANGE.first_bytes
_LAST_HASH = FULL_RANGE.last_bytes
_PREFIX = Struct(">HI")

OUTPUT_BYTES_MAX = 1_000_000
"""Of one output, so that it fits into a record of any log; a stage that takes it up may have a lower limit."""
PARKED_BYTES_MAX = 500_000
"""Of a record that is parked whole: together with the reason it is one that a stage would take."""
REASON_CHARACTERS_MAX = 500

Handlers = Mapping[type, Callable[[Any, "Context"], object | None]]


class Agent(Protocol):
    """One step of a stage."""

    def handlers(self) -> Handlers:
        """Return the events this agent handles; any other event passes it untouched."""


class Codec(Protocol):
    """Codes the application's events; the kernel never looks into them."""

    def encode(self, event: object) -> tuple[int, int, bytes]:
        """Return (kind, version, body); kinds from 256."""

    def decode(self, kind: int, version: int, body: bytes) -> object:
        """Return the event, or raise ``Poison`` naming what is wrong."""


class Output(NamedTuple):
    """A record for another shard: keyed when ``first == last``, else a broadcast to the hashes between."""

    stream: str
    first: bytes
    last: bytes
    record: bytes

    def canonical_prefix(self) -> bytes:
        """Return the stream's name and the record's length, so that outputs in a row cannot be read another way."""
        stream = self.stream.encode()
        return _PREFIX.pack(len(stream), len(self.record)) + stream


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One version of how a stage behaves: its agents, and every limit that can alter a step."""

    agents: Callable[[Tables], tuple[Agent, ...]]
    told_by_edges: frozenset[type] = frozenset()
    """The application's events that an edge may tell; any other is believed only from a shard, which sends it once."""
    remembers_us: int | None = None
    """How far back the stage can tell a repeat from news; a stream that keeps records for longer is refused."""
    skew_us_max: int = 2_000_000
    """How far an event's own time may be ahead of its arrival before it is cut to that."""
    head_every: int = 1_000
    """A chain head is kept each so many records."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Agents in a row on one stream: one read, one commit, one hop."""

    name: str
    source_stream: str
    destinations: tuple[str, ...]
    """Every stream the agents may write to."""
    parked_stream: str
    codec: Codec
    behaviours: Mapping[int, Behaviour]
    """By version; a shard begins with the lowest and changes when the log says so."""


class Context:
    """What an agent may know and do beside its event and its tables.  One per shard, moved from record to record."""

    def __init__(
        self,
        stage: Stage,
        source: bytes,
        scope: Scope,
        timers: Timers,
        cycles: Cycles,
        owned: HashRange = FULL_RANGE,
    ) -> None:
        self.timers = timers
        self.cycles = cycles
        self.outputs: list[Output] = []
        self.record: bytes | None = None
        """The record in hand; None while the stage handles an event of its own."""
        self._scope = scope
        self._source = source
        self._source_name = source.decode()
        self._first, self._last = owned.first_bytes, owned.last_bytes
        self._position = b""
        self._encode_event = stage.codec.encode
        self._destinations = frozenset((*stage.destinations, stage.parked_stream))
        self._parked_stream = stage.parked_stream

    @property
    def now_us(self) -> int:
        """The shard's event time, microseconds since the epoch; it never goes back."""
        return self._scope.now_us

    @property
    def hashed(self) -> bytes:
        """The hash of the key of the record in hand, under which tables are reached."""
        return self._scope.hashed

    def turn_to(self, hashed: bytes) -> None:
        """Reach tables under ``hashed``, which this shard owns; for what concerns many keys at once."""
        if not self._first <= hashed <= self._last:
            raise InvariantViolation(f"{self._source_name} turns to {hashed.hex()}, which another shard owns")
        self._scope.hashed = hashed

    def begin(self, position: bytes, record: bytes) -> None:
        """Turn to the input at the packed ``position``; outputs count from 0."""
        self._position = position
        self.record = record
        self.outputs = []

    def emit(self, stream: str, key: str, event: object) -> None:
        """Send ``event`` to the shard of ``stream`` that owns ``key``."""
        hashed = hash_key(key)
        self._append(stream, hashed, hashed, event)

    def broadcast(self, stream: str, event: object) -> None:
        """Send ``event`` to every shard of ``stream``: one output, however many shards there are.

        A shard that came of a merge may handle it once for some of its hashes and later once more for the others, so
        a handler of broadcasts must not mind doing its work again.
        """
        self._append(stream, _FIRST_HASH, _LAST_HASH, event)

    def park(self, reason: str) -> None:
        """Keep the record in hand, whole, on the parked stream; the handler returns None behind this."""
        record = self.record
        position = str(Position.unpack(self._position))
        if record is None:
            raise InvariantViolation(
                f"{self._source_name} at {position}: an event of the stage's own cannot be parked: {reason}"
            )
        kept = record if len(record) <= PARKED_BYTES_MAX else b""
        parked = system_events.Parked(_printable(reason), self._source_name, position, kept, sha256(record).digest())
        hashed = self._scope.hashed
        self._append(self._parked_stream, hashed, hashed, parked)

    def set_timer(self, due_us: int, key: bytes, event: object) -> None:
        """Hand ``event`` to this stage once the shard's time has reached ``due_us``.

        A timer belongs to the hash of the record in hand; one set again under the same ``key`` replaces the first.
        """
        self.timers.set(due_us, self._scope.hashed + key, self._encode_event(event))

    def cancel_timer(self, key: bytes) -> None:
        """Forget the timer under ``key``, if there is one."""
        self.timers.cancel(self._scope.hashed + key)

    def _append(self, stream: str, first: bytes, last: bytes, event: object) -> None:
        if stream not in self._destinations:
            raise ValueError(f"{self._source_name}: stream {stream!r} is not one of the stage's destinations")
        outputs = self.outputs
        if type(event) in system_events.kind_of_type:
            kind, version, body = system_events.encode(event)
        else:
            kind, version, body = self._encode_event(event)
        lineage = pack_lineage(self._position, len(outputs))
        record = encode_fields(FROM_SHARD, kind, version, self._scope.now_us, first, last, lineage, self._source, body)
        if len(record) > OUTPUT_BYTES_MAX:
            raise InvariantViolation(
                f"{self._source_name} at {Position.unpack(self._position)}: an output of kind {kind} for {stream} has "
                f"{len(record)} bytes, more than {OUTPUT_BYTES_MAX}: the stage's limits must not let it grow so large"
            )
        outputs.append(Output(stream, first, last, record))


def _printable(reason: str) -> str:
    return reason[:REASON_CHARACTERS_MAX].encode(errors="backslashreplace").decode()
