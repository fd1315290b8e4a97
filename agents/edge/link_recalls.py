"""Recalls of settled payments: asked for once (camt.056), answered by a return (pacs.004) or why not (camt.029).

A recall is durable before the wire, and with it its message, among what is owed to the receiving participant.  A
payment has one at most, and its first answer counts.  A return is a payment of its own, from the account that was paid
to the one that paid: its identity follows from the return's, so that it comes about once whatever is repeated, and it
goes the way of every payment - authorised, checked against the returning participant's cap, cleared.

An answer is in the log under counters that its recall's number makes, so what is put again after a crash is the same.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from agents.edge.link_messages.terms import RecallAnswer, Transaction
from agents.streams import OUTCOMES, PAYMENTS
from schemas.events import CreditTransfer, PaymentForwarded, PaymentSubmitted, RecallAnswered, RecallRequested
from schemas.money import Money

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.edge.links_store import LinksStore
    from agents.edge.producer import EdgeProducer
    from pipeline.kernel.agent import Output

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS recalls (
    number INTEGER PRIMARY KEY,
    instructing_agent TEXT NOT NULL, transaction_id TEXT NOT NULL, responder TEXT NOT NULL,
    payment_id TEXT NOT NULL, recall_id TEXT NOT NULL, reason TEXT NOT NULL, requested_us INTEGER NOT NULL,
    answer TEXT, return_id TEXT, minor INTEGER, answered_us INTEGER, put INTEGER NOT NULL DEFAULT 0,
    UNIQUE (instructing_agent, transaction_id, responder)
);
CREATE INDEX IF NOT EXISTS recalls_to_put ON recalls (number) WHERE answered_us IS NOT NULL AND NOT put;
"""
_REQUEST: Final = """
INSERT OR IGNORE INTO recalls
(instructing_agent, transaction_id, responder, payment_id, recall_id, reason, requested_us)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ANSWER: Final = """
UPDATE recalls SET answer = ?, return_id = ?, minor = ?, answered_us = ?
WHERE instructing_agent = ? AND transaction_id = ? AND responder = ? AND answered_us IS NULL
"""
_IS_RECALLED: Final = "SELECT 1 FROM recalls WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?"
_TO_PUT: Final = """
SELECT number, instructing_agent, transaction_id, responder, payment_id, recall_id, answer, return_id, minor,
answered_us FROM recalls WHERE answered_us IS NOT NULL AND NOT put ORDER BY number
"""
_RECORDS_PER_RECALL: Final = 2
_ID_BYTES: Final = 16


class AnsweredRecall(NamedTuple):
    """A row whose answer the log may not have."""

    number: int
    transaction: Transaction
    payment_id: str
    recall_id: str
    reason: str
    return_id: str | None
    minor: int | None
    answered_us: int


class Recalls:
    """The recalls in the links' store; what writes runs inside a transaction of it."""

    def __init__(self, store: LinksStore) -> None:
        self._store = store
        self._connection = store.database.connection
        self._connection.executescript(_SCHEMA)

    def request(self, recall: RecallRequested) -> bool:
        """Note a recall; return False if the payment was recalled before."""
        row = (
            recall.instructing_agent,
            recall.transaction_id,
            recall.recipient,
            recall.payment_id,
            recall.recall_id,
            recall.reason,
            recall.requested_us,
        )
        return self._connection.execute(_REQUEST, row).rowcount == 1

    def refusal_of(self, answer: RecallAnswer) -> str | None:
        """Return why an answer cannot be taken, or None."""
        if self._connection.execute(_IS_RECALLED, answer.transaction).fetchone() is None:
            return "answers no recall"
        forwarded = self._store.find_payment(answer.transaction)
        if answer.returned is None:
            return None
        if forwarded is None:
            return "returns a payment that these links never sent"
        amount, back = forwarded.transfer.amount, answer.returned.amount
        if back.currency != amount.currency or not 0 < back.minor <= amount.minor:
            return "returns another amount than was paid"
        return None

    def answer(self, answer: RecallAnswer, now_us: int) -> None:
        """Note an answer; only the first counts."""
        back = answer.returned
        said = (answer.reason, back.return_id if back else None, back.amount.minor if back else None, now_us)
        self._connection.execute(_ANSWER, (*said, *answer.transaction))

    def to_put(self) -> list[AnsweredRecall]:
        """Return the answers of which nobody knows whether the log has them."""
        rows = self._connection.execute(_TO_PUT)
        return [AnsweredRecall(row[0], Transaction(*row[1:4]), *row[4:]) for row in rows]

    def mark_put(self, answered: Sequence[AnsweredRecall]) -> None:
        """Note that the log has these answers."""
        self._connection.executemany(
            "UPDATE recalls SET put = 1 WHERE number = ?", [(each.number,) for each in answered]
        )

    def records(self, answered: AnsweredRecall, producer: EdgeProducer) -> list[Output]:
        """Return what the log is told: the answer, and behind it the payment back, if there is one."""
        forwarded = self._store.find_payment(answered.transaction)
        back = None if forwarded is None else _transfer_back(forwarded, answered)
        told = RecallAnswered(
            answered.payment_id,
            answered.recall_id,
            answered.transaction.responder,
            back is not None,
            answered.reason,
            "" if back is None else back.payment_id,
            answered.answered_us,
        )
        key = answered.payment_id if forwarded is None else forwarded.transfer.debtor.account
        counter = answered.number * _RECORDS_PER_RECALL
        records = [producer.record(OUTCOMES, key, told, answered.answered_us, counter)]
        if back is not None:
            submitted = PaymentSubmitted(back)
            records.append(producer.record(PAYMENTS, back.debtor.account, submitted, answered.answered_us, counter + 1))
        return records


def _transfer_back(forwarded: PaymentForwarded, answered: AnsweredRecall) -> CreditTransfer | None:
    """Return the payment that a return is, or None if the recall was refused."""
    if answered.return_id is None or answered.minor is None:
        return None
    transfer = forwarded.transfer
    drawn = blake2b(f"{transfer.creditor.agent}/{answered.return_id}".encode(), digest_size=_ID_BYTES).digest()
    return CreditTransfer(
        payment_id=f"rtn_{drawn.hex()}",
        transaction_id=answered.return_id,
        end_to_end_id=transfer.end_to_end_id,
        uetr=str(UUID(bytes=drawn, version=4)),
        debtor=transfer.creditor,
        creditor=transfer.debtor,
        amount=Money(answered.minor, transfer.amount.currency),
        accepted_us=answered.answered_us,
        reference=f"RETURN {transfer.transaction_id}",
    )
