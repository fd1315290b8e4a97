"""The receiving participants, simulated: what they got, what they answered, and what they were told in the end.

``ParticipantNetwork`` is all that the links know of them.  The simulated ones live in the links' process and have a
store of their own, as banks do: a payment received is remembered, so that one sent twice would be recognised by its
transaction identity, and a status request can be answered.  Answers travel once; one that was under way when the
links died is lost, and the links must ask.

What they got and what they were told is theirs to say: ``participant_queries`` asks them.

The store is not synced per commit: a loss of power may cost these banks, not us, the last moment.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agents.edge.database import EdgeDatabase
from agents.edge.participant_answers import Plan, plan_answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from schemas.events import PaymentConfirmed, PaymentForwarded

FILE = "participants.sqlite"


class Transaction(NamedTuple):
    """How the two sides of a link name a payment."""

    instructing_agent: str
    transaction_id: str
    responder: str


class Reply(NamedTuple):
    """What a participant says of a payment."""

    transaction: Transaction
    accepted: bool
    reason: str


class ParticipantNetwork(Protocol):
    """The wire to the participants."""

    def send(self, payments: Sequence[PaymentForwarded], now_us: int) -> None:
        """Deliver payments (pacs.008); a participant recognises one that it has."""

    def ask(self, transactions: Sequence[Transaction], now_us: int) -> Sequence[Transaction]:
        """Ask for the status of payments (pacs.028); return those that their participant never received."""

    def confirm(self, confirmations: Sequence[PaymentConfirmed]) -> None:
        """Deliver how payments ended (pacs.002); the same again changes nothing."""

    def replies(self, now_us: int) -> Sequence[Reply]:
        """Return the answers that have come by now."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS received (
    instructing_agent TEXT NOT NULL, transaction_id TEXT NOT NULL, responder TEXT NOT NULL,
    currency TEXT NOT NULL, minor INTEGER NOT NULL, received_us INTEGER NOT NULL,
    accepted INTEGER NOT NULL, reason TEXT NOT NULL, answer_us INTEGER, asked_after_us INTEGER,
    deliveries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (instructing_agent, transaction_id, responder)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS confirmed (
    recipient TEXT NOT NULL, payment_id TEXT NOT NULL, instructing_agent TEXT NOT NULL, transaction_id TEXT NOT NULL,
    settled INTEGER NOT NULL, reason TEXT NOT NULL, cycle INTEGER NOT NULL, contradicted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (recipient, payment_id)
) WITHOUT ROWID;
"""
_RECEIVE = "INSERT OR IGNORE INTO received VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
_RECEIVE_AGAIN = """
UPDATE received SET deliveries = deliveries + 1 WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?
"""
_KNOWN = """
SELECT accepted, reason, answer_us, asked_after_us FROM received
WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?
"""
_CONFIRM = """
INSERT INTO confirmed VALUES (?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (recipient, payment_id) DO UPDATE SET contradicted = 1
WHERE settled != excluded.settled OR cycle != excluded.cycle
"""


class SimulatedParticipants:
    """All participants' sides of all links."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._database = EdgeDatabase(folder / FILE, _SCHEMA, "NORMAL")
        self._seed = seed
        self._under_way: list[tuple[int, Reply]] = []

    def send(self, payments: Sequence[PaymentForwarded], now_us: int) -> None:
        """Let the participants receive ``payments``."""
        if not payments:
            return
        with self._database.transaction() as connection:
            for payment in payments:
                transfer = payment.transfer
                plan = plan_answer(self._seed, payment, now_us)
                transaction = Transaction(transfer.debtor.agent, transfer.transaction_id, transfer.creditor.agent)
                money = transfer.amount
                row = (*transaction, money.currency, money.minor, now_us, *plan)
                if connection.execute(_RECEIVE, row).rowcount:
                    self._answer(transaction, plan, plan.answer_us)
                else:
                    connection.execute(_RECEIVE_AGAIN, transaction)

    def ask(self, transactions: Sequence[Transaction], now_us: int) -> list[Transaction]:
        """Ask the participants; their answers come when they would have, or as late as they please."""
        unknown = []
        for transaction in transactions:
            row = self._database.connection.execute(_KNOWN, transaction).fetchone()
            if row is None:
                unknown.append(transaction)
                continue
            plan = Plan(bool(row[0]), *row[1:])
            if plan.asked_after_us is not None:
                self._answer(transaction, plan, max(plan.answer_us or 0, now_us + plan.asked_after_us))
        return unknown

    def confirm(self, confirmations: Sequence[PaymentConfirmed]) -> None:
        """Let the participants know how payments ended."""
        if not confirmations:
            return
        rows = [
            (c.recipient, c.payment_id, c.instructing_agent, c.transaction_id, c.settled, c.reason, c.cycle)
            for c in confirmations
        ]
        with self._database.transaction() as connection:
            connection.executemany(_CONFIRM, rows)

    def replies(self, now_us: int) -> list[Reply]:
        """Return the answers that are due."""
        due = []
        while self._under_way and self._under_way[0][0] <= now_us:
            due.append(heappop(self._under_way)[1])
        return due

    def close(self) -> None:
        """Close the store."""
        self._database.close()

    def _answer(self, transaction: Transaction, plan: Plan, at_us: int | None) -> None:
        if at_us is not None:
            heappush(self._under_way, (at_us, Reply(transaction, plan.accepted, plan.reason)))
