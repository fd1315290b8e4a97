"""The links to the participants: what the clearing sends goes out once, and what they answer comes in.

    outbound ── turn ─ intents, answers, debts and positions committed, synced ─ the wire: payments, questions
    the wire ── inbox ─ answers ┘                                              └ answers to the log, and acknowledged

An intent is durable before the wire, so after a crash nothing is sent that may have been sent before: what has an
intent and no answer is *asked about* (pacs.028), and only what its participant says it never received is sent then.
Nothing is sent after its deadline, neither at first nor later; a status request of the clearing about what was never
received is answered so, with AG09.

An answer is durable before the log has it, and before its participant hears that it was taken.  One that may be in the
log already is put again after a crash, the same bytes: the clearing knows an answer by its transaction, and the number
of its intent is the record's counter.  A participant that repeats itself, or contradicts what it said first, is given
its first answer's due: the first one counts.

How a payment ended is owed to its two participants, and told again until they have heard it.

Commits are synced (FULL): an intent that a loss of power could take back would be sent a second time blindly.  One
commit holds all that came since the last, so under load there are less than a hundred a second.
"""

from __future__ import annotations

import logging
from asyncio import get_running_loop
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from agents.edge.link_inputs import Incoming, Outbound, Remainders, said_in
from agents.edge.link_messages.terms import NEVER_RECEIVED, RecallAnswer, Reply, Transaction, UnusableMessageError
from agents.edge.link_messages.writing import write_confirmation, write_payment, write_question, write_recall
from agents.edge.link_questions import Questions
from agents.edge.link_recalls import AnsweredRecall, Recalls
from agents.edge.links_store import Answer, LinksStore
from agents.edge.producer import EdgeProducer, Identity
from agents.edge.reader import SqlitePlaces, StreamTail
from agents.edge.wire.courier import Courier, Dispatch, Fate, Report
from agents.edge.wire.port import OverloadedError, Refusal, Wire
from agents.streams import CLEARING, OUTBOUND
from schemas.events import ParticipantAnswered, PaymentForwarded, RecallRequested

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.kernel.agent import Output
    from pipeline.ports import Clock, Log
    from schemas.iso20022.messages import Message
    from schemas.iso20022.walk import Content

PRODUCER: Final = b"participant-links"
RETURNS_PRODUCER: Final = b"participant-links/recalls"
INCOMING_MAX: Final = 10_000
"""Messages that wait for a turn."""
_NO_DEADLINE_US: Final = 1 << 62

logger = logging.getLogger("payments.edge.links")


class Subject(NamedTuple):
    """What a message that goes once is about."""

    kind: Literal["payment", "question"]
    transaction: Transaction


class ParticipantLinks:
    """All links of one process."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        folder: Path,
        wire: Wire,
        addresses: Mapping[str, str],
        vault: Remainders | None = None,
    ) -> None:
        """``addresses`` says where the participant with a BIC is; ``vault`` has what was said beside the events."""
        self._clock = clock
        self._addresses = addresses
        self._vault = vault
        self._store = LinksStore(folder, addresses)
        self._tail = StreamTail(log, OUTBOUND, SqlitePlaces(self._store.database))
        epoch = int(self._store.database.fact("epoch", str(clock.now_us())))
        self._producer = EdgeProducer(log, clock, Identity(PRODUCER, epoch))
        self._courier: Courier[Subject] = Courier(wire, clock, self._store.outbox)
        self._questions = Questions()
        self._incoming: list[Incoming] = []
        self._recalls = Recalls(self._store)
        self._returns = EdgeProducer(log, clock, Identity(RETURNS_PRODUCER, epoch))
        self._put_unmarked: list[int] = []
        self._recalls_unmarked: list[AnsweredRecall] = []
        self.sent = 0
        self.answered = 0

    async def start(self) -> None:
        """Finish what a crash left: put the answers that may be missing, ask about what has none."""
        answers = self._store.answers_to_put()
        await self._put(answers)
        await self._put_recalls()
        now_us = self._clock.now_us()
        unanswered = self._store.open_transactions(now_us)
        if answers or unanswered:
            logger.info("put %d answers again, ask about %d payments", len(answers), len(unanswered))
        self._questions.ask(unanswered, now_us)

    async def take(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        """Take in what participants post, once it is durable; return what is refused."""
        if sum(len(incoming.said) for incoming in self._incoming) > INCOMING_MAX:
            raise OverloadedError
        said: list[tuple[int, Reply | RecallAnswer]] = []
        refusals: list[Refusal] = []
        for number, message in enumerate(messages):
            try:
                said.append((number, said_in(message)))
            except UnusableMessageError as failure:
                refusals.append(Refusal(number, failure.path, failure.rule, failure.message))
        incoming = Incoming(said, refusals, get_running_loop().create_future())
        self._incoming.append(incoming)
        return await incoming.taken

    async def turn(self) -> bool:
        """Take in what has come from both sides; say whether there is more at once."""
        messages = Outbound(await self._tail.read())
        now_us = self._clock.now_us()
        self._note(self._courier.reports(), now_us)
        incoming, self._incoming = self._incoming, []
        resent: list[PaymentForwarded] = []
        unmarked = self._put_unmarked or self._recalls_unmarked
        if incoming or self._tail.moved or unmarked or self._store.outbox.has_news:
            with self._store.database.transaction():
                self._store.mark_put(self._put_unmarked)
                self._recalls.mark_put(self._recalls_unmarked)
                self._store.outbox.store()
                for confirmed in messages.confirmations:
                    self._store.outbox.add(confirmed.recipient, write_confirmation(confirmed, now_us), now_us)
                self._note_recalls(messages.recalls, now_us)
                fresh = [payment for payment in messages.payments if self._store.intend(payment)]
                asked = [self._store.question(question) for question in messages.questions]
                answers = [answer for post in incoming for answer in self._answers(post, resent, now_us)]
                answers += [answer for answer in map(self._store.find_answer, asked) if answer is not None]
                self._tail.store()
            self._put_unmarked = []
            self._recalls_unmarked = []
            for post in incoming:
                if not post.taken.done():
                    post.taken.set_result(post.refusals)
            self._send([*fresh, *resent])
            self._questions.ask(asked, now_us)
            await self._put(answers)
            await self._put_recalls()
        self._ask()
        self._courier.turn()
        return self._tail.behind_records > 0

    async def close(self) -> None:
        """End what is under way, and close the store."""
        await self._courier.close()
        self._store.database.close()

    def _note(self, reports: Sequence[Report[Subject]], now_us: int) -> None:
        """Note what became of the messages that go once."""
        for (kind, transaction), fate in reports:
            if kind == "question":
                self._questions.end_of_question(transaction, fate, now_us)
            else:
                self._questions.end_of_payment(transaction, fate, now_us)
                self.sent += fate is not Fate.TOO_LATE
                if fate is Fate.TOO_LATE:
                    logger.warning("a payment for %s came too late to be sent", transaction.responder)

    def _answers(self, post: Incoming, resent: list[PaymentForwarded], now_us: int) -> Iterator[Answer]:
        """Note the answers of a post; add what is to be sent after all to ``resent``."""
        for number, reply in post.said:
            if isinstance(reply, RecallAnswer):
                self._answer_recall(number, reply, post.refusals, now_us)
                continue
            if reply.reason == NEVER_RECEIVED and self._store.is_known(reply.transaction):
                answer = self._answer_to_question(reply, resent, now_us)
            else:
                answer = self._store.answer(reply, now_us)
                if answer is None:
                    unknown = f"{reply.transaction.responder} was never sent this payment"
                    post.refusals.append(Refusal(number, "", "transaction", unknown))
                else:
                    self._questions.forget(reply.transaction)
            if answer is not None:
                yield answer

    def _answer_to_question(self, reply: Reply, resent: list[PaymentForwarded], now_us: int) -> Answer | None:
        """Send what was never received, if there is time, or else return that for the clearing, if it has asked."""
        intent = self._store.find_open(reply.transaction) if self._questions.is_answered_by(reply) else None
        if intent is None:
            return None
        if intent.payment is not None and intent.is_in_time(now_us):
            resent.append(intent.payment)
            return None
        return self._store.answer(reply, now_us) if intent.asked else None

    def _note_recalls(self, recalls: Sequence[RecallRequested], now_us: int) -> None:
        """Owe each recall to its participant, the first of each payment."""
        for recall in recalls:
            if self._recalls.request(recall):
                self._store.outbox.add(recall.recipient, write_recall(recall, now_us), now_us)

    def _answer_recall(self, number: int, answer: RecallAnswer, refusals: list[Refusal], now_us: int) -> None:
        why = self._recalls.refusal_of(answer)
        if why is None:
            self._recalls.answer(answer, now_us)
        else:
            refusals.append(Refusal(number, "", "recall", why))

    def _send(self, payments: Sequence[PaymentForwarded]) -> None:
        """Send payments, each until its deadline: the courier sees to that."""
        now_us = self._clock.now_us()
        for payment, remainder in zip(payments, self._remainders(payments), strict=True):
            transfer = payment.transfer
            transaction = Transaction(transfer.debtor.agent, transfer.transaction_id, transfer.creditor.agent)
            document = write_payment(payment, remainder, now_us)
            self._dispatch(Subject("payment", transaction), document, payment.deadline_us)

    def _remainders(self, payments: Sequence[PaymentForwarded]) -> Sequence[Content | None]:
        if self._vault is None:
            return [None] * len(payments)
        return self._vault.remainders([payment.transfer.payment_id for payment in payments])

    def _ask(self) -> None:
        """Ask about what is doubtful, unless it has been answered meanwhile."""
        now_us = self._clock.now_us()
        for transaction in self._questions.due(now_us):
            intent = self._store.find_open(transaction)
            if intent is not None and (intent.asked or intent.is_in_time(now_us)):
                document = write_question(self._questions.put(transaction, now_us), now_us)
                self._dispatch(Subject("question", transaction), document, _NO_DEADLINE_US)

    def _dispatch(self, subject: Subject, document: bytes, until_us: int) -> None:
        """Give a message to the courier, if there is an address for it."""
        address = self._addresses.get(subject.transaction.responder)
        if address is None:
            logger.error("%s has no address: a %s is not sent", subject.transaction.responder, subject.kind)
            return
        self._questions.begin(subject.transaction)
        self._courier.send(address, Dispatch(subject, document, until_us))

    async def _put(self, answers: Sequence[Answer]) -> None:
        """Put answers on the log; the next commit marks them."""
        await self._producer.put([self._record(answer) for answer in answers])
        self._put_unmarked += [answer.number for answer in answers]
        self.answered += len(answers)

    async def _put_recalls(self) -> None:
        """Put the answers to recalls on the log, and the payments back; the next commit marks them."""
        answered = self._recalls.to_put()
        await self._returns.put([record for each in answered for record in self._recalls.records(each, self._returns)])
        self._recalls_unmarked += answered

    def _record(self, answer: Answer) -> Output:
        event = ParticipantAnswered(
            transaction_id=answer.transaction.transaction_id,
            instructing_agent=answer.transaction.instructing_agent,
            responder=answer.transaction.responder,
            settlement_account=answer.settlement_account,
            accepted=answer.accepted,
            reason=answer.reason,
            answered_us=answer.answered_us,
        )
        return self._producer.record(CLEARING, answer.settlement_account, event, answer.answered_us, answer.number)
