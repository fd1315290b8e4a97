"""Events to bytes and back: MessagePack maps by field name, the kind and version of each for ever.

A kind is never given to another event, and a version never to another shape: the golden bytes in ``tests/golden`` hold
both.  Kinds below 256 are the engine's; ours come in blocks of sixteen, one for each stream.

An event has one sequence of bytes, the one that ``encode`` gives.  Any other that would decode to it - with a field
that this version does not have, one twice, one left out because it has a default, in another order, a number longer
than it needs - is refused: what nobody here understands may have been meant to matter, and two readers must never
take the same bytes for different orders.  The decoder would let all of that pass, so what it gives is encoded again
and compared.

Why bytes are refused becomes part of the audit chain, so it is said by ``first_fault`` and never by a library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from schemas import events
from schemas.errors import UndecodableEventError
from schemas.first_fault import first_fault

KINDS_OF_STREAM: Final[dict[str, dict[int, type]]] = {
    "payments": {
        256: events.PaymentSubmitted,
        257: events.AccountCredited,
        258: events.PayeeRiskChanged,
    },
    "clearing": {
        272: events.PaymentAuthorised,
        273: events.ParticipantAnswered,
        274: events.SettlementCredited,
        275: events.AnswerDeadlinePassed,
    },
    "outbound": {
        288: events.PaymentForwarded,
        289: events.PaymentConfirmed,
        290: events.StatusRequested,
        291: events.RecallRequested,
    },
    "outcomes": {
        304: events.PaymentSettled,
        305: events.PaymentRejected,
        306: events.PaymentExpired,
        307: events.PaymentHeld,
        308: events.PaymentRepeated,
        309: events.PaymentConflicted,
        310: events.PaymentUnknown,
        311: events.CycleNetted,
        312: events.RecallAnswered,
    },
    "control": {
        320: events.ParticipantListed,
        321: events.ParticipantAvailabilityChanged,
        322: events.CutOffScheduled,
        323: events.CycleSettled,
        324: events.BehaviourOrdered,
    },
}
KINDS: Final = {kind: event_type for kinds in KINDS_OF_STREAM.values() for kind, event_type in kinds.items()}
VERSION: Final = 1
"""Of every event so far."""

_kind_of_type = {event_type: kind for kind, event_type in KINDS.items()}
_encode = msgspec.msgpack.Encoder().encode
_decoders: dict[tuple[int, int], Callable[[bytes], object]] = {
    (kind, VERSION): msgspec.msgpack.Decoder(event_type).decode for kind, event_type in KINDS.items()
}


def encode(event: object) -> tuple[int, int, bytes]:
    """Return (kind, version, body) of an event; ``KeyError`` for what is none."""
    return _kind_of_type[type(event)], VERSION, _encode(event)


def decode(kind: int, version: int, body: bytes) -> object:
    """Return the event in ``body``, or raise ``UndecodableEventError`` saying what is wrong."""
    decoder = _decoders.get((kind, version))
    if decoder is None:
        message = f"unknown event: kind {kind}, version {version}"
        raise UndecodableEventError(message)
    try:
        event = decoder(body)
        if _encode(event) == body:
            return event
    except (msgspec.MsgspecError, ValueError, RecursionError):  # the last is raised by nesting in an unknown field
        pass
    event_type = KINDS[kind]
    message = f"{event_type.__name__}: {first_fault(event_type, body)}"
    raise UndecodableEventError(message)
