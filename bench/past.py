"""The past of a world: what its accounts did in the month before, and which orders were claimed.

It is written as a shard would have written it, through the tables that the agents use, only faster: no order is ever
made.  An account's windows hold a month at the account's own pace, so that what it orders in the measured run is usual
for it, and it remembers the contacts that it will pay.  Accounts of about the same pace share one of a few months.

Claims are written in no order of their keys, half of them in the generation before, as time would have left them: then
the database has the shape that it has in real life.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from math import log2

from agents.dedupe import AHEAD_US_MAX, CLAIMS_REACH_US, Claim, ClaimCodec
from agents.fraud.account import FINGERPRINT_BYTES, REMEMBERED_MAX, Account, AccountCodec, fingerprint
from agents.fraud.windows import (
    BUCKET_US,
    NEW_PAYEES,
    NEW_PAYERS,
    ORDERS,
    PAYMENTS_IN,
    PAYMENTS_OUT,
    SUM_IN,
    SUM_OUT,
    Windows,
)
from agents.table_numbers import ACCOUNTS, CLAIMS
from bench.orders import AMOUNT_MINOR_MAX, CONTACTS, DAY_US, START_US, STRANGER_EVERY, Orders, token
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.tables import Changes, Scope, Tables
from pipeline.ports import StateStore

_CURRENCY = b"GBP"
_MONTH_DAYS = 30
_OPENED_DAYS = 90
_MONTHS_PER_PACE = 4
_WRITTEN_AT_ONCE = 10_000
_IDENTITY_BYTES = _CONTENT_BYTES = 16
_HORIZON_US = CLAIMS_REACH_US + AHEAD_US_MAX


class Past:
    """Writes the past of a world into the store of a shard that has read nothing yet."""

    def __init__(self, store: StateStore, orders: Orders) -> None:
        self._store = store
        self._orders = orders
        self._scope = Scope(START_US - _HORIZON_US)
        self._tables = Tables(self._scope, store, cached_per_table=0)
        self._months: dict[tuple[int, int], Windows] = {}
        payers = random.Random(0)
        self._payers = [payers.randbytes(REMEMBERED_MAX * FINGERPRINT_BYTES) for _ in range(_MONTHS_PER_PACE)]

    def open_accounts(self, numbers: Iterable[int]) -> None:
        """Write the state of the accounts of these numbers."""
        table = self._tables.keyed(ACCOUNTS, AccountCodec())
        for written, number in enumerate(numbers):
            self._scope.hashed = hash_key(token(number))
            table.put(self._account(number), _CURRENCY)
            self._write_when(written)
        self._write()

    def claim(self, numbers: Iterable[int], count: int) -> None:
        """Write a claim for each of ``numbers``, of which there are ``count``: of no order that will be read."""
        table = self._tables.horizon(CLAIMS, ClaimCodec(), _HORIZON_US)
        draw = random.Random(count)
        draw_bytes = draw.randbytes
        for written, number in enumerate(numbers):
            self._scope.now_us = START_US if number >= count // 2 else START_US - _HORIZON_US
            self._scope.hashed = hash_key(token(self._orders.draw_debtor(draw)))
            identity = draw_bytes(_IDENTITY_BYTES)
            table.put(Claim(f"pay_{identity.hex()[:26]}", draw_bytes(_CONTENT_BYTES)), identity)
            self._write_when(written)
        self._write()

    def _account(self, number: int) -> Account:
        pace = self._orders.orders_a_day(number)
        account = Account(START_US - _OPENED_DAYS * DAY_US)
        account.seen_us = START_US - int(DAY_US / pace)
        contacts = (self._orders.contact(number, contact) for contact in range(CONTACTS))
        account.payees = b"".join(fingerprint(token(contact)) for contact in contacts)
        account.payers = self._payers[number % _MONTHS_PER_PACE]
        account.windows = self._month(int(2 * log2(pace)), number % _MONTHS_PER_PACE)
        return account

    def _month(self, half_octave: int, variant: int) -> Windows:
        """Return one of the months of an account of ``2 ** (half_octave / 2)`` orders a day."""
        key = half_octave, variant
        if key not in self._months:
            self._months[key] = _month(2 ** (half_octave / 2), random.Random(variant))
        return self._months[key]

    def _write_when(self, written: int) -> None:
        if written % _WRITTEN_AT_ONCE == _WRITTEN_AT_ONCE - 1:
            self._write()

    def _write(self) -> None:
        changes: Changes = {}
        self._tables.collect(changes, [])
        self._store.write(changes)


def _month(orders_a_day: float, draw: random.Random) -> Windows:
    """Return the windows of an account that kept up a pace for a month."""
    windows = Windows()
    counters = windows.counters
    between_us = max(BUCKET_US, int(DAY_US / orders_a_day))
    at_once = max(1, round(orders_a_day * between_us / DAY_US))
    at_us = START_US - _MONTH_DAYS * DAY_US
    while at_us < START_US:
        windows.advance(at_us)
        for counter in (ORDERS, PAYMENTS_OUT, PAYMENTS_IN):
            counters[counter] += at_once
        strangers = sum(draw.randrange(STRANGER_EVERY) == 0 for _ in range(at_once))
        counters[NEW_PAYEES] += strangers
        counters[NEW_PAYERS] += strangers
        counters[SUM_OUT] += at_once * AMOUNT_MINOR_MAX // 2
        counters[SUM_IN] += at_once * AMOUNT_MINOR_MAX
        at_us += int(between_us * draw.uniform(0.5, 1.5))
    return windows
