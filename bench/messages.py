"""``python -m bench.messages``: what it costs to make an event of a pacs.008, from its bytes on.

The messages are those that `payments generate --format xml` gives, each parsed once: parse, walk by the tables - which
validates and reads - and the event.  Printed is the median of portions, in JSON.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Final

import msgspec

from agents.edge.messages.sequence import message_at
from bench.measurement import now, pin_to_one_core
from schemas.iso20022.conversion import OrderIdentity, take_events
from schemas.iso20022.message_name import PACS_008
from schemas.iso20022.messages import read_messages
from schemas.iso20022.walk import Content

_CREATED_US: Final = 1_764_000_000_000_000
_PORTIONS: Final = 20
_PORTION_MESSAGES: Final = 200
_MS: Final = 1_000
_IDENTITY: Final = OrderIdentity("pay_1", "acct_debtor", "acct_creditor")


@dataclass(frozen=True, slots=True)
class MessageFigures:
    """What it costs to parse and validate a pacs.008, and to make an event of it."""

    messages: int
    bytes_mean: int
    ms_per_credit_transfer: float
    cpu_ms_per_credit_transfer: float


def measure() -> MessageFigures:
    """Measure, on one core."""
    documents = _documents()
    for document in documents[:_PORTION_MESSAGES]:
        _event_of(document)
    portions = []
    for first in range(0, len(documents), _PORTION_MESSAGES):
        portion = documents[first : first + _PORTION_MESSAGES]
        before = now()
        for document in portion:
            _event_of(document)
        portions.append(now().less(before))
    return MessageFigures(
        messages=len(documents),
        bytes_mean=sum(map(len, documents)) // len(documents),
        ms_per_credit_transfer=round(median(spent.wall for spent in portions) * _MS / _PORTION_MESSAGES, 4),
        cpu_ms_per_credit_transfer=round(median(spent.cpu for spent in portions) * _MS / _PORTION_MESSAGES, 4),
    )


def _documents() -> list[bytes]:
    wanted = str(PACS_008)
    generated = (message_at(1, index, _CREATED_US, invalid_percent=0) for index in count())
    transfers = (message.document for message in generated if message.type == wanted)
    return [next(transfers) for _ in range(_PORTIONS * _PORTION_MESSAGES)]


def _event_of(document: bytes) -> None:
    (message,) = read_messages(document)
    if message.faults:
        raise ValueError(f"a generated message is not valid: {message.faults[0]}")
    take_events(PACS_008, message.content, _identity)


def _identity(_transaction: Content) -> OrderIdentity:
    return _IDENTITY


if __name__ == "__main__":
    pin_to_one_core()
    sys.stdout.buffer.write(msgspec.json.encode(measure()))
