"""The engine's own events: time, the end of a source, parked records, behaviour versions and cycle markers.

They travel in the same envelopes as the application's, under kinds below 256, and are coded as MessagePack maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pipeline.errors import Poison

FIRST_APPLICATION_KIND = 256


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


@dataclass(frozen=True, slots=True)
class BehaviourActivated:
    """From this record on the shard behaves as ``version`` says; a build that does not know it halts."""

    version: int


@dataclass(frozen=True, slots=True)
class CycleClosed:
    """A marker: the hashes from ``first`` to ``last`` of a source will not add to ``cycle`` any more."""

    cycle: int
    first: bytes
    last: bytes


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
    """Return the event, or raise ``Poison``."""
    decoder = _decoders.get(kind)
    if decoder is None or version != _VERSION:
        raise Poison(f"unknown system event: kind {kind}, version {version}")
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as failure:
        raise Poison(f"{type_of_kind[kind].__name__}: {failure}") from None
