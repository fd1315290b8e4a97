"""Payments for the benchmark: seeded, among accounts that follow a power law and have a history already."""

from __future__ import annotations

import random
from hashlib import blake2b
from uuid import UUID

from agents.event_codec import EventCodec
from agents.fraud.account import Account
from agents.fraud.windows import PAYMENTS_OUT, SUM_OUT
from agents.table_numbers import ACCOUNTS
from pipeline.kernel import keys
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.tables import Changes
from pipeline.ports import StateStore
from schemas.events import CreditTransfer, ParticipantListed, Party, PaymentSubmitted
from schemas.money import Money

START_US = 1_764_000_000_000_000
PARTICIPANTS = 40
PAYMENTS_A_SECOND = 1_000
"""In event time: one shard's share of Kinesis's limit."""
_POWER = 3
"""An account's number is drawn as ``accounts * u ** 3``: the busiest hundredth makes a fifth of all payments."""
_HISTORIES = 256
_WRITTEN_AT_ONCE = 10_000
_EPOCH = 1
_PRODUCER = b"bench"


class BenchPayments:
    """The ``number``-th payment is a function of the number: nothing is kept."""

    participants = PARTICIPANTS

    def __init__(self, accounts: int) -> None:
        self._accounts = accounts
        self._encode_event = EventCodec.encode

    def participant(self, number: int) -> bytes:
        """Return the user record that lists a participant."""
        bic = _bic(number)
        listed = ParticipantListed(bic, bic, ("fps",), {"GBP": 10**15}, available=True)
        return self._record(listed, FULL_RANGE.first_bytes, FULL_RANGE.last_bytes, number, START_US)

    def payment(self, number: int) -> bytes:
        """Return the user record of a payment."""
        draw = random.Random(number)
        at_us = START_US + number * 1_000_000 // PAYMENTS_A_SECOND
        debtor, creditor = (self._draw_account(draw) for _ in range(2))
        identity = blake2b(number.to_bytes(8, "big"), digest_size=16).digest()
        transfer = CreditTransfer(
            payment_id=identity.hex(),
            transaction_id=identity.hex()[:24],
            end_to_end_id="NOTPROVIDED",
            uetr=str(UUID(bytes=identity, version=4)),
            debtor=Party(_token(debtor), _bic(debtor % PARTICIPANTS)),
            creditor=Party(_token(creditor), _bic((debtor + 1 + creditor % (PARTICIPANTS - 1)) % PARTICIPANTS)),
            amount=Money(draw.randint(100, 20_000), "GBP"),
            accepted_us=at_us,
            reference="INVOICE 4711",
        )
        hashed = hash_key(transfer.debtor.account)
        return self._record(PaymentSubmitted(transfer), hashed, hashed, number, at_us)

    def open_accounts(self, store: StateStore) -> None:
        """Write the state of every account, as a month of payments would have left it."""
        histories = [_history(random.Random(number)) for number in range(_HISTORIES)]
        rows: Changes = {}
        for number in range(self._accounts):
            row = keys.KEYED + hash_key(_token(number)) + bytes([ACCOUNTS]) + b"GBP"
            rows[row] = histories[number % _HISTORIES]
            if len(rows) == _WRITTEN_AT_ONCE:
                store.write(rows)
                rows = {}
        store.write(rows)
        store.flush()

    def _draw_account(self, draw: random.Random) -> int:
        return int(self._accounts * draw.random() ** _POWER)

    def _record(self, event: object, first: bytes, last: bytes, number: int, at_us: int) -> bytes:
        kind, version, body = self._encode_event(event)
        origin = edge_lineage(_EPOCH, number)
        return encode(Envelope(FROM_EDGE, kind, version, at_us, first, last, origin, _PRODUCER, body))


def _history(draw: random.Random) -> bytes:
    """Return an account with a month of payments behind it."""
    account = Account(START_US - 90 * 86_400_000_000)
    at_us = START_US - 30 * 86_400_000_000
    while at_us < START_US:
        account.windows.advance(at_us)
        account.windows.counters[PAYMENTS_OUT] += 1
        account.windows.counters[SUM_OUT] += draw.randint(100, 20_000)
        account.payees = draw.randbytes(4) + account.payees[:60]
        account.seen_us = at_us
        at_us += draw.randint(3_600_000_000, 3 * 86_400_000_000)
    return account.encode()


def _bic(number: int) -> str:
    return f"BNK{number:03d}GB"[:3] + chr(65 + number // 26) + "GB" + f"{number:02d}"


def _token(number: int) -> str:
    return f"acct_{number:026d}"
