"""The participants, simulated: what they got, what they answered, and what they were told in the end.

All of them live in one process behind one address, as banks do that share a provider, with a store of their own.  What
they are sent is durable before they say that they have it.  A payment received is remembered, so that one sent twice
would be recognised by its transaction identity, and a status request can be answered.  Answers are owed until the
clearing has them, whoever is killed meanwhile.

What they got and what they were told is theirs to say: ``participant_queries`` asks them.

The store is not synced per commit: a loss of power may cost these banks, not us, the last moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from agents.edge.database import EdgeDatabase
from agents.edge.link_messages.reading import read_confirmation, read_payment, read_question, read_recall
from agents.edge.link_messages.terms import (
    NEVER_RECEIVED,
    Confirmation,
    Question,
    Recall,
    ReceivedPayment,
    Reply,
    UnusableMessageError,
)
from agents.edge.link_messages.writing import write_recall_answer, write_reply
from agents.edge.participant_answers import MANNERS, Manners, Plan, plan_answer, plan_recall
from agents.edge.wire.courier import Courier
from agents.edge.wire.outbox import Outbox
from agents.edge.wire.port import Refusal, Wire
from schemas.iso20022.message_name import CAMT_056, PACS_002, PACS_008, PACS_028
from schemas.iso20022.messages import Message

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ports import Clock

FILE: Final = "participants.sqlite"
CLEARING: Final = "clearing"
"""To whom answers are owed."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS received (
    instructing_agent TEXT NOT NULL, transaction_id TEXT NOT NULL, responder TEXT NOT NULL,
    currency TEXT NOT NULL, minor INTEGER NOT NULL, received_us INTEGER NOT NULL, message_id TEXT NOT NULL,
    accepted INTEGER NOT NULL, reason TEXT NOT NULL, answer_us INTEGER, asked_after_us INTEGER,
    deliveries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (instructing_agent, transaction_id, responder)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS confirmed (
    recipient TEXT NOT NULL, reference TEXT NOT NULL, instructing_agent TEXT NOT NULL, transaction_id TEXT NOT NULL,
    settled INTEGER NOT NULL, reason TEXT NOT NULL, cycle TEXT NOT NULL, contradicted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (recipient, reference)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recalled (
    instructing_agent TEXT NOT NULL, transaction_id TEXT NOT NULL, responder TEXT NOT NULL, recall_id TEXT NOT NULL,
    returned INTEGER NOT NULL,
    PRIMARY KEY (instructing_agent, transaction_id, responder)
) WITHOUT ROWID;
"""
_RECEIVE = "INSERT OR IGNORE INTO received VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
_RECEIVE_AGAIN = """
UPDATE received SET deliveries = deliveries + 1 WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?
"""
_KNOWN = """
SELECT message_id, accepted, reason, answer_us, asked_after_us FROM received
WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?
"""
_RECALLED = "INSERT OR IGNORE INTO recalled VALUES (?, ?, ?, ?, ?)"
_CONFIRM = """
INSERT INTO confirmed VALUES (?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (recipient, reference) DO UPDATE SET contradicted = 1
WHERE settled != excluded.settled OR cycle != excluded.cycle
"""


class SimulatedParticipants:
    """All participants' sides of all links."""

    def __init__(
        self, folder: Path, clock: Clock, wire: Wire, clearing: str, seed: int, manners: Manners = MANNERS
    ) -> None:
        """Answer to the address ``clearing``."""
        self._database = EdgeDatabase(folder / FILE, _SCHEMA, "NORMAL")
        self._clock = clock
        self._seed = seed
        self._manners = manners
        self._outbox = Outbox(self._database, {CLEARING: clearing})
        self._courier: Courier[None] = Courier(wire, clock, self._outbox)
        self._understands: Mapping[str, Callable[[Message], Callable[[int], None]]] = {
            PACS_008.family: lambda message: partial(self._receive, read_payment(message)),
            PACS_028.family: lambda message: partial(self._asked, read_question(message)),
            PACS_002.family: lambda message: partial(self._confirmed, read_confirmation(message)),
            CAMT_056.family: lambda message: partial(self._recalled, read_recall(message)),
        }

    async def take(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        """Take in what the clearing posts, once it is durable; return what is refused."""
        now_us = self._clock.now_us()
        refusals = []
        with self._database.transaction():
            for number, message in enumerate(messages):
                try:
                    take = self._reading_of(message)
                except UnusableMessageError as failure:
                    refusals.append(Refusal(number, failure.path, failure.rule, failure.message))
                else:
                    take(now_us)
        return refusals

    async def turn(self) -> bool:
        """Post the answers that are due; never more at once."""
        if self._outbox.has_news:
            with self._database.transaction():
                self._outbox.store()
        self._courier.turn()
        return False

    async def close(self) -> None:
        """End what is under way, and close the store."""
        await self._courier.close()
        self._database.close()

    def _reading_of(self, message: Message) -> Callable[[int], None]:
        read = None if message.name is None else self._understands.get(message.name.family)
        if read is None:
            raise UnusableMessageError(message.path, "message", f"{message.name} is nothing that a clearing sends")
        return read(message)

    def _receive(self, payment: ReceivedPayment, now_us: int) -> None:
        plan = plan_answer(self._seed, payment, now_us, self._manners)
        money = payment.amount
        row = (*payment.transaction, money.currency, money.minor, now_us, payment.message_id, *plan)
        if not self._database.connection.execute(_RECEIVE, row).rowcount:
            self._database.connection.execute(_RECEIVE_AGAIN, payment.transaction)
        elif plan.answer_us is not None:
            self._owe(Reply(payment.transaction, plan.accepted, plan.reason, payment.message_id), plan.answer_us)

    def _asked(self, question: Question, now_us: int) -> None:
        """Answer when that would have been the case, or as late as it pleases; at once what was never received."""
        row = self._database.connection.execute(_KNOWN, question.transaction).fetchone()
        if row is None:
            reply = Reply(question.transaction, accepted=False, reason=NEVER_RECEIVED, original=question.message_id)
            self._owe(reply, now_us)
            return
        message_id, accepted, *rest = row
        plan = Plan(bool(accepted), *rest)
        if plan.asked_after_us is not None:
            reply = Reply(question.transaction, plan.accepted, plan.reason, message_id)
            self._owe(reply, max(plan.answer_us or 0, now_us + plan.asked_after_us))

    def _confirmed(self, confirmation: Confirmation, _now_us: int) -> None:
        self._database.connection.execute(_CONFIRM, confirmation)

    def _recalled(self, recall: Recall, now_us: int) -> None:
        """Send the money back, or say why not, in its own time; what was never received has nothing to send."""
        known = self._database.connection.execute(_KNOWN, recall.transaction).fetchone()
        answer, after_us = plan_recall(self._seed, recall, is_known=known is not None)
        row = (*recall.transaction, recall.recall_id, answer.returned is not None)
        if self._database.connection.execute(_RECALLED, row).rowcount:
            due_us = now_us + after_us
            self._outbox.add(CLEARING, write_recall_answer(answer, due_us), due_us)

    def _owe(self, reply: Reply, due_us: int) -> None:
        self._outbox.add(CLEARING, write_reply(reply, due_us), due_us)
