"""What the links must not forget: one row per payment they were given to send, its question and its answer.

Rows stay: the row is what keeps a payment from being sent a second time.  Beside them lies what is owed to participants
until they have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agents.edge.database import EdgeDatabase
from agents.edge.errors import EdgeError
from agents.edge.link_messages.terms import Reply, Transaction
from agents.edge.wire.outbox import Outbox
from schemas import codec
from schemas.events import PaymentForwarded, StatusRequested

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE = "links.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    number INTEGER PRIMARY KEY,
    instructing_agent TEXT NOT NULL, transaction_id TEXT NOT NULL, responder TEXT NOT NULL,
    settlement_account TEXT NOT NULL, deadline_us INTEGER NOT NULL,
    kind INTEGER, version INTEGER, payment BLOB,
    asked INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER, reason TEXT, answered_us INTEGER, put INTEGER NOT NULL DEFAULT 0,
    UNIQUE (instructing_agent, transaction_id, responder)
);
CREATE INDEX IF NOT EXISTS open_intents ON intents (number) WHERE answered_us IS NULL;
CREATE INDEX IF NOT EXISTS answers_to_put ON intents (number) WHERE answered_us IS NOT NULL AND NOT put;
"""
_INTEND = """
INSERT OR IGNORE INTO intents
(instructing_agent, transaction_id, responder, settlement_account, deadline_us, kind, version, payment)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_QUESTION = """
INSERT INTO intents (instructing_agent, transaction_id, responder, settlement_account, deadline_us, asked)
VALUES (?, ?, ?, ?, 0, 1) ON CONFLICT (instructing_agent, transaction_id, responder) DO UPDATE SET asked = 1
"""
_FIND_OPEN = """
SELECT asked, kind, version, payment FROM intents
WHERE instructing_agent = ? AND transaction_id = ? AND responder = ? AND answered_us IS NULL
"""
_LIST_OPEN = """
SELECT instructing_agent, transaction_id, responder FROM intents
WHERE answered_us IS NULL AND (deadline_us > ? OR asked) ORDER BY number
"""
_PAYMENT = """
SELECT kind, version, payment FROM intents WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?
"""
_ANSWER = "UPDATE intents SET accepted = ?, reason = ?, answered_us = ? WHERE number = ?"
_ANSWERED = """
SELECT number, instructing_agent, transaction_id, responder, settlement_account, accepted, reason, answered_us
FROM intents WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?
"""
_ANSWERS_TO_PUT = """
SELECT number, instructing_agent, transaction_id, responder, settlement_account, accepted, reason, answered_us
FROM intents WHERE answered_us IS NOT NULL AND NOT put ORDER BY number
"""


class OpenIntent(NamedTuple):
    """A payment to send that has no answer yet."""

    asked: bool
    """The clearing has asked for its status."""
    payment: PaymentForwarded | None
    """None if the links were asked about it and never given it."""

    def is_in_time(self, now_us: int) -> bool:
        """Say whether it may be sent now."""
        return self.payment is not None and now_us < self.payment.deadline_us


class Answer(NamedTuple):
    """An answer as it goes, and if need be goes again, to the clearing."""

    number: int
    transaction: Transaction
    settlement_account: str
    accepted: bool
    reason: str
    answered_us: int


class LinksStore:
    """The links' own database; what writes runs inside ``database.transaction()``."""

    def __init__(self, folder: Path, addresses: Mapping[str, str]) -> None:
        self.database = EdgeDatabase(folder / FILE, _SCHEMA, "FULL")
        self._connection: sqlite3.Connection = self.database.connection
        self.outbox = Outbox(self.database, addresses)

    def intend(self, payment: PaymentForwarded) -> bool:
        """Note that ``payment`` is to be sent; return False if that was noted before."""
        transfer = payment.transfer
        kind, version, body = codec.encode(payment)
        row = (
            transfer.debtor.agent,
            transfer.transaction_id,
            transfer.creditor.agent,
            payment.settlement_account,
            payment.deadline_us,
            kind,
            version,
            body,
        )
        return self._connection.execute(_INTEND, row).rowcount == 1

    def question(self, request: StatusRequested) -> Transaction:
        """Note that the clearing asks for a status."""
        transaction = Transaction(request.instructing_agent, request.transaction_id, request.recipient)
        self._connection.execute(_QUESTION, (*transaction, request.settlement_account))
        return transaction

    def answer(self, reply: Reply, now_us: int) -> Answer | None:
        """Note a reply; return the answer for the clearing: the first reply there was; None if nobody was sent this."""
        row = self._connection.execute(_ANSWERED, reply.transaction).fetchone()
        if row is None:
            return None
        number, *_, settlement_account, accepted, reason, answered_us = row
        if answered_us is None:
            accepted, reason, answered_us = reply.accepted, reply.reason, now_us
            self._connection.execute(_ANSWER, (accepted, reason, answered_us, number))
        return Answer(number, reply.transaction, settlement_account, bool(accepted), reason, answered_us)

    def find_answer(self, transaction: Transaction) -> Answer | None:
        """Return the answer to a payment, if it has come."""
        row = self._connection.execute(f"{_ANSWERED} AND answered_us IS NOT NULL", transaction).fetchone()
        return None if row is None else _answer(row)

    def is_known(self, transaction: Transaction) -> bool:
        """Say whether these links ever had to do with a payment."""
        return self._connection.execute(_ANSWERED, transaction).fetchone() is not None

    def find_payment(self, transaction: Transaction) -> PaymentForwarded | None:
        """Return a payment that these links were given to send, answered or not; None if there is none."""
        row = self._connection.execute(_PAYMENT, transaction).fetchone()
        return None if row is None else self._decoded(transaction, *row)

    def mark_put(self, numbers: Iterable[int]) -> None:
        """Note that the log has these answers."""
        self._connection.executemany("UPDATE intents SET put = 1 WHERE number = ?", [(number,) for number in numbers])

    def find_open(self, transaction: Transaction) -> OpenIntent | None:
        """Return the intent of ``transaction``, or None if it has an answer, or there is none."""
        row = self._connection.execute(_FIND_OPEN, transaction).fetchone()
        if row is None:
            return None
        asked, *encoded = row
        return OpenIntent(bool(asked), self._decoded(transaction, *encoded))

    def _decoded(
        self, transaction: Transaction, kind: int, version: int, body: bytes | None
    ) -> PaymentForwarded | None:
        payment = None if body is None else codec.decode(kind, version, body)
        if payment is not None and not isinstance(payment, PaymentForwarded):
            raise EdgeError(f"{self.database.path}: the intent of {transaction} is a {type(payment).__name__}")
        return payment

    def open_transactions(self, now_us: int) -> list[Transaction]:
        """Return all whose answer still matters, and has not come: their time is not over, or the clearing asks."""
        rows = self._connection.execute(_LIST_OPEN, (now_us,))
        return [Transaction(*row) for row in rows]

    def answers_to_put(self) -> list[Answer]:
        """Return the answers of which nobody knows whether the log has them."""
        rows = self._connection.execute(_ANSWERS_TO_PUT)
        return [_answer(row) for row in rows]


def _answer(row: tuple[int, str, str, str, str, int, str, int]) -> Answer:
    number, agent, transaction_id, responder, settlement_account, accepted, reason, answered_us = row
    transaction = Transaction(agent, transaction_id, responder)
    return Answer(number, transaction, settlement_account, bool(accepted), reason, answered_us)
