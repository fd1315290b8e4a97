"""The orders that are measured: few accounts order much, most pay the same few people, and some orders come twice.

An order is a function of its number, and nothing is kept; the orders stay the same from version to version, so that
figures of two versions can be compared.  Who orders follows a power law.  The time between two orders depends on how
many accounts there are, so that an account does the same whatever their number: a world of a hundred times as many
accounts differs in the size of its state and in nothing else.
"""

from __future__ import annotations

import random
from hashlib import blake2b
from math import sqrt
from typing import Final
from uuid import UUID

from agents.event_codec import EventCodec
from pipeline.kernel.envelope import FROM_EDGE, FROM_SHARD, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.position import Position, pack_lineage
from schemas.events import CreditTransfer, ParticipantListed, Party, PaymentSubmitted
from schemas.money import Money

START_US: Final = 1_700_000_000_000_000
"""When the first order is accepted: long ago, since an order from the future is refused."""
DAY_US: Final = 86_400_000_000
ORDERS_A_DAY: Final = 4
"""Of an account, on average."""
PARTICIPANTS: Final = 40
CONTACTS: Final = 8
"""Whom an account pays again and again."""
STRANGER_EVERY: Final = 8
"""One order in so many goes to anybody."""
RETRY_EVERY: Final = 50
"""One order in so many is an earlier one, sent again by a client that got no answer."""
AMOUNT_MINOR_MIN, AMOUNT_MINOR_MAX = 100, 20_000

_RETRIED_AFTER = 25
_BETWEEN_CONTACTS = 7_919
_BETWEEN_ACCOUNTS = 104_729
_EPOCH = 1
_PRODUCER = b"bench"
_CURRENCY = "GBP"


class Orders:
    """The orders of a world of ``accounts`` accounts, by number."""

    def __init__(self, accounts: int) -> None:
        self._accounts = accounts
        self._between_us = DAY_US // (accounts * ORDERS_A_DAY)

    def record(self, number: int) -> bytes:
        """Return the user record of the ``number``-th order."""
        first = number
        if number % RETRY_EVERY == RETRY_EVERY - 1:
            first -= _RETRIED_AFTER
        transfer = self._transfer(first, START_US + number * self._between_us)
        hashed = hash_key(transfer.debtor.account)
        lineage = edge_lineage(_EPOCH, number)
        return _record(PaymentSubmitted(transfer), FROM_EDGE, hashed, hashed, lineage, transfer.accepted_us)

    def orders_a_day(self, account: int) -> float:
        """Return how many orders the account of this number gives a day, on average."""
        return ORDERS_A_DAY * sqrt(self._accounts) * (sqrt(account + 1) - sqrt(account))

    def draw_debtor(self, draw: random.Random) -> int:
        """Draw the number of the account that gives an order: the busiest hundredth gives a tenth of all orders."""
        return int(self._accounts * draw.random() ** 2)

    def contact(self, account: int, number: int) -> int:
        """Return the account that is the ``number``-th contact of another one."""
        return (account * _BETWEEN_ACCOUNTS + (number + 1) * _BETWEEN_CONTACTS) % self._accounts

    def _transfer(self, number: int, accepted_us: int) -> CreditTransfer:
        draw = random.Random(number)
        debtor = self.draw_debtor(draw)
        if draw.randrange(STRANGER_EVERY):
            creditor = self.contact(debtor, draw.randrange(CONTACTS))
        else:
            creditor = draw.randrange(self._accounts)
        if creditor == debtor:
            creditor = (creditor + 1) % self._accounts
        identity = blake2b(number.to_bytes(8, "big"), digest_size=16).digest()
        return CreditTransfer(
            payment_id=f"pay_{identity.hex()[:26]}",
            transaction_id=f"TX{identity.hex()[:24].upper()}",
            end_to_end_id="NOTPROVIDED",
            uetr=str(UUID(bytes=identity, version=4)),
            debtor=_party(debtor),
            creditor=_party(creditor),
            amount=Money(draw.randint(AMOUNT_MINOR_MIN, AMOUNT_MINOR_MAX), _CURRENCY),
            accepted_us=accepted_us,
            reference="INVOICE 4711",
        )


def listings() -> list[bytes]:
    """Return the user records that list the participants: what a shard hears before its first order."""
    events = [
        ParticipantListed(_bic(number), _bic(number), ("fps",), {_CURRENCY: 10**15}, available=True)
        for number in range(PARTICIPANTS)
    ]
    whole = FULL_RANGE.first_bytes, FULL_RANGE.last_bytes
    return [
        _record(event, FROM_SHARD, *whole, pack_lineage(Position(number, 0).pack(), 0), START_US)
        for number, event in enumerate(events, 1)
    ]


def token(account: int) -> str:
    """Return the token of the account of this number."""
    return f"acct_{account:026d}"


def _party(account: int) -> Party:
    return Party(token(account), _bic(account % PARTICIPANTS))


def _bic(number: int) -> str:
    return f"ZQ{chr(ord('A') + number // 26)}{chr(ord('A') + number % 26)}GBX0"


def _record(event: object, origin: int, first: bytes, last: bytes, lineage: bytes, at_us: int) -> bytes:
    kind, version, body = EventCodec.encode(event)
    return encode(Envelope(origin, kind, version, at_us, first, last, lineage, _PRODUCER, body))
