"""The engine's own events: time, the end of a source, parked records, behaviour versions and cycle markers.

They travel in the same envelopes as the application's, under kinds below 256, and are coded as MessagePack maps.

What says that nothing more will come - the end of a source, a cycle marker - and what changes how a stage behaves is
believed only from a shard: a tool that put it into one shard would split that shard's view from all the others'.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pipeline.errors import Poison
from pipeline.kernel.hashrange import HASH_BYTES

FIRST_APPLICATION_KIND = 256
CYCLE_END = 1 << 63
"""Cycles are numbered from 0 up to below this."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Says what time it is: the envelope's event time.  Moves the shard's time, and with it its timers."""


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """The shard this comes from was closed and read to its end; no lineage of it is news from here on."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that could not be processed, kept whole to be inspected and re-driven."""

    reason: str
    source: str
    position: str
    record: bytes
    """Empty if it was too large to be kept here: it stands in the log, at ``position`` of the shard ``source``."""
    digest: bytes
    """SHA-256 of the record."""


@dataclass(frozen=True, slots=True)
class BehaviourActivated:
    """From this record on the shard behaves as ``version`` says; a build that does not know it halts."""

    version: int

    def __post_init__(self) -> None:
        if self.version < 0:
            raise ValueError(f"a behaviour has no version {self.version}")


@dataclass(frozen=True, slots=True)
class CycleClosed:
    """A marker: the hashes from ``first`` to ``last`` of a source will not add to ``cycle`` any more."""

    cycle: int
    first: bytes
    last: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.cycle < CYCLE_END:
            raise ValueError(f"there is no cycle {self.cycle}")
        if len(self.first) != HASH_BYTES or len(self.last) != HASH_BYTES or self.first > self.last:
            raise ValueError("a marker's range has no such bounds")


@dataclass(frozen=True, slots=True)
class CycleFinalised:
    """Never in a log: tells the agents that a piece of the hash space has every credit of ``cycle``."""

    cycle: int
    first: bytes
    last: bytes


type_of_kind: dict[int, type] = {1: Tick, 2: SourceEnded, 3: Parked, 4: BehaviourActivated, 5: CycleClosed}
kind_of_type: dict[type, int] = {event_type: kind for kind, event_type in type_of_kind.items()}
_VERSION = 1
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[int, msgspec.msgpack.Decoder[object]] = {
    kind: msgspec.msgpack.Decoder(event_type) for kind, event_type in type_of_kind.items()
}


def encode(event: object) -> tuple[int, int, bytes]:
    """Return kind, version and body."""
    return kind_of_type[type(event)], _VERSION, _encoder.encode(event)


def decode(kind: int, version: int, body: bytes) -> object:
    """Return the event, or raise ``Poison``, whose reason must not depend on the version of a library."""
    decoder = _decoders.get(kind)
    if decoder is None or version != _VERSION:
        raise Poison(f"unknown system event: kind {kind}, version {version}")
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise Poison(f"system event of kind {kind}, version {version}: its body is not one") from None
