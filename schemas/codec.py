"""Events to bytes and back: MessagePack maps by field name, the kind and version of each for ever.

A kind is never given to another event, and a version never to another shape: the golden bytes in ``tests/golden`` hold
both.  Kinds below 256 are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from schemas import events
from schemas.errors import UndecodableEventError

KINDS: Final[dict[int, type]] = {
    256: events.PaymentSubmitted,
    257: events.AccountCredited,
    258: events.PayeeRiskChanged,
    272: events.PaymentAuthorised,
    273: events.ParticipantAnswered,
    274: events.SettlementCredited,
    275: events.AnswerDeadlinePassed,
    288: events.PaymentForwarded,
    289: events.PaymentConfirmed,
    290: events.StatusRequested,
    304: events.PaymentSettled,
    305: events.PaymentRejected,
    306: events.PaymentExpired,
    307: events.PaymentHeld,
    308: events.PaymentRepeated,
    309: events.PaymentConflicted,
    310: events.PaymentUnknown,
    311: events.CycleNetted,
    320: events.ParticipantListed,
    321: events.ParticipantAvailabilityChanged,
    322: events.CutOffScheduled,
    323: events.CycleSettled,
}
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
        return decoder(body)
    except (msgspec.MsgspecError, ValueError) as failure:
        message = f"{KINDS[kind].__name__}: {failure}"
        raise UndecodableEventError(message) from None
