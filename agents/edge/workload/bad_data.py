"""What arrives although it should not: each kind of bad record, made from a good order.

None of it may stop a shard.  A record whose envelope cannot be read, whose kind or version nobody knows, or whose body
breaks a rule is parked; the log refuses nothing of this, since a log knows bytes only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.kernel.envelope import FROM_EDGE, Envelope, encode
from schemas import codec
from schemas.events import CreditTransfer, CycleSettled, PaymentSubmitted

HUGE_STRING_BYTES: Final = 1_000_000
UNKNOWN_KIND: Final = 999
UNKNOWN_VERSION: Final = 77

_KIND: Final = next(kind for kind, event_type in codec.KINDS.items() if event_type is PaymentSubmitted)
_VERSION: Final = codec.VERSION
_pack = msgspec.msgpack.Encoder().encode


class Header(NamedTuple):
    """What an edge's envelope says beside kind, version and body."""

    event_time_us: int
    hashed: bytes
    lineage: bytes
    source: bytes


Spoil = Callable[[CreditTransfer, Header], bytes]


def _envelope(header: Header, body: bytes, kind: int = _KIND, version: int = _VERSION) -> bytes:
    at_us, hashed, lineage, source = header
    return encode(Envelope(FROM_EDGE, kind, version, at_us, hashed, hashed, lineage, source, body))


def _changed(transfer: CreditTransfer, **fields: Any) -> bytes:  # noqa: ANN401 - wrong types are the point
    """Return the body of an order in which ``fields`` are replaced."""
    body = msgspec.to_builtins(PaymentSubmitted(transfer))
    body["transfer"].update(fields)
    return _pack(body)


def _no_envelope(transfer: CreditTransfer, _header: Header) -> bytes:
    return json.dumps({"payment_id": transfer.payment_id, "amount": "12.50"}).encode()


def _unknown_format(transfer: CreditTransfer, header: Header) -> bytes:
    return b"\x09" + _envelope(header, _pack(PaymentSubmitted(transfer)))[1:]


def _unknown_kind(transfer: CreditTransfer, header: Header) -> bytes:
    return _envelope(header, _pack(PaymentSubmitted(transfer)), kind=UNKNOWN_KIND)


def _unknown_version(transfer: CreditTransfer, header: Header) -> bytes:
    return _envelope(header, _pack(PaymentSubmitted(transfer)), version=UNKNOWN_VERSION)


def _json_body(transfer: CreditTransfer, header: Header) -> bytes:
    return _envelope(header, msgspec.json.encode(PaymentSubmitted(transfer)))


def _truncated_body(transfer: CreditTransfer, header: Header) -> bytes:
    return _envelope(header, _pack(PaymentSubmitted(transfer))[:-17])


def _negative_amount(transfer: CreditTransfer, header: Header) -> bytes:
    amount = {"minor": -transfer.amount.minor, "currency": transfer.amount.currency}
    return _envelope(header, _changed(transfer, amount=amount))


def _unknown_currency(transfer: CreditTransfer, header: Header) -> bytes:
    return _envelope(header, _changed(transfer, amount={"minor": transfer.amount.minor, "currency": "XTS"}))


def _amount_as_text(transfer: CreditTransfer, header: Header) -> bytes:
    return _envelope(header, _changed(transfer, amount=str(transfer.amount)))


def _bad_agent(transfer: CreditTransfer, header: Header) -> bytes:
    return _envelope(header, _changed(transfer, creditor={"account": transfer.creditor.account, "agent": "nobody"}))


def _invalid_utf8(transfer: CreditTransfer, header: Header) -> bytes:
    good = _changed(transfer, reference="MARK")
    return _envelope(header, good.replace(b"MARK", b"\xff\xfe\xc0\x80"))


def _out_of_place(_transfer: CreditTransfer, header: Header) -> bytes:
    """Return a good event, of a kind that no agent of the payments stream takes."""
    kind, version, body = codec.encode(CycleSettled(7))
    return _envelope(header, body, kind, version)


def huge_string(transfer: CreditTransfer, header: Header) -> bytes:
    """Return an order whose reference is a megabyte."""
    return _envelope(header, _changed(transfer, reference="A" * HUGE_STRING_BYTES))


SPOILS: Final[dict[str, Spoil]] = {
    "no-envelope": _no_envelope,
    "unknown-format": _unknown_format,
    "unknown-kind": _unknown_kind,
    "unknown-version": _unknown_version,
    "json-body": _json_body,
    "truncated-body": _truncated_body,
    "negative-amount": _negative_amount,
    "unknown-currency": _unknown_currency,
    "amount-as-text": _amount_as_text,
    "bad-agent": _bad_agent,
    "invalid-utf8": _invalid_utf8,
    "out-of-place": _out_of_place,
}
HUGE: Final = "huge-string"
