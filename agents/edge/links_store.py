"""What the links must not forget: one row per payment they were given to send, its question and its answer.

Rows stay: the row is what keeps a payment from being sent a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agents.edge.database import EdgeDatabase
from agents.edge.errors import EdgeError
from agents.edge.participants import Reply, Transaction
from schemas import codec
from schemas.events import PaymentForwarded, RecallRequested, StatusRequested

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
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
CREATE TABLE IF NOT EXISTS recalls (
    payment_id TEXT PRIMARY KEY, recall_id TEXT NOT NULL, recipient TEXT NOT NULL, reason TEXT NOT NULL,
    requested_us INTEGER NOT NULL
) WITHOUT ROWID;
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
SELECT instructing_agent, transaction_id, responder FROM intents WHERE answered_us IS NULL ORDER BY number
"""
_ANSWER = """
UPDATE intents SET accepted = ?, reason = ?, answered_us = ?, payment = NULL
WHERE instructing_agent = ? AND transaction_id = ? AND responder = ? AND answered_us IS NULL
"""
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

    def __init__(self, folder: Path) -> None:
        self.database = EdgeDatabase(folder / FILE, _SCHEMA, "FULL")
        self._connection: sqlite3.Connection = self.database.connection

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

    def answer(self, reply: Reply, now_us: int) -> Answer:
        """Note a participant's reply and return the answer for the clearing: the first reply, if there was one."""
        self._connection.execute(_ANSWER, (reply.accepted, reply.reason, now_us, *reply.transaction))
        row = self._connection.execute(_ANSWERED, reply.transaction).fetchone()
        if row is None:
            raise EdgeError(f"{reply.transaction.responder} answers {reply.transaction}, which it was never sent")
        return _answer(row)

    def note_recalls(self, recalls: Iterable[RecallRequested]) -> None:
        """Note recalls, the first of each payment."""
        rows = [(each.payment_id, each.recall_id, each.recipient, each.reason, each.requested_us) for each in recalls]
        self._connection.executemany("INSERT OR IGNORE INTO recalls VALUES (?, ?, ?, ?, ?)", rows)

    def recalls(self) -> list[tuple[str, str, str]]:
        """Return (payment id, recipient, reason) of every recall."""
        rows = self._connection.execute("SELECT payment_id, recipient, reason FROM recalls ORDER BY payment_id")
        return rows.fetchall()

    def mark_put(self, numbers: Iterable[int]) -> None:
        """Note that the log has these answers."""
        self._connection.executemany("UPDATE intents SET put = 1 WHERE number = ?", [(number,) for number in numbers])

    def find_open(self, transaction: Transaction) -> OpenIntent | None:
        """Return the intent of ``transaction``, or None if it has an answer, or there is none."""
        row = self._connection.execute(_FIND_OPEN, transaction).fetchone()
        if row is None:
            return None
        asked, kind, version, body = row
        payment = None if body is None else codec.decode(kind, version, body)
        if payment is not None and not isinstance(payment, PaymentForwarded):
            raise EdgeError(f"{self.database.path}: the intent of {transaction} is a {type(payment).__name__}")
        return OpenIntent(bool(asked), payment)

    def open_transactions(self) -> list[Transaction]:
        """Return all that were to be sent and have no answer, oldest first."""
        rows = self._connection.execute(_LIST_OPEN)
        return [Transaction(*row) for row in rows]

    def answers_to_put(self) -> list[Answer]:
        """Return the answers of which nobody knows whether the log has them."""
        rows = self._connection.execute(_ANSWERS_TO_PUT)
        return [_answer(row) for row in rows]


def _answer(row: tuple[int, str, str, str, str, int, str, int]) -> Answer:
    number, agent, transaction_id, responder, settlement_account, accepted, reason, answered_us = row
    transaction = Transaction(agent, transaction_id, responder)
    return Answer(number, transaction, settlement_account, bool(accepted), reason, answered_us)
