"""The links to the participants: what the clearing sends goes out once, and what they answer comes in.

    outbound ── turn ─ intents, answers and positions committed, synced ─ the wire: send, ask ─ answers to the log

An intent is durable before the wire, so after a crash nothing is sent that may have been sent before: what has an
intent and no answer is *asked about*, and only what its participant never received is sent then.  Nothing is sent
after its deadline, neither at first nor later; a status request about what was never sent is answered so, with AG09.
A recall is kept, once a payment; the simulated participants are not asked for it yet.

An answer is durable before the log has it.  One that may be in the log already is put again after a crash, the same
bytes: the clearing knows an answer by its transaction, and the number of its intent is the record's counter.

Commits are synced (FULL): an intent that a loss of power could take back would be sent a second time blindly.  One
commit holds all that came since the last, so under load there are less than a hundred a second.
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from agents.edge.errors import EdgeError
from agents.edge.links_store import Answer, LinksStore
from agents.edge.participant_answers import NEVER_RECEIVED
from agents.edge.participants import ParticipantNetwork, Reply, SimulatedParticipants, Transaction
from agents.edge.process import Stop, Turns, edge_arguments, run_process
from agents.edge.producer import EdgeProducer, Identity
from agents.edge.reader import Arrived, SqlitePlaces, StreamTail, event_of
from agents.streams import CLEARING, OUTBOUND
from pipeline.kernel.system_events import SourceEnded
from pipeline.stream_logs.naming import open_log
from schemas.events import ParticipantAnswered, PaymentConfirmed, PaymentForwarded, RecallRequested, StatusRequested

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.kernel.agent import Output
    from pipeline.ports import Clock, Log

PRODUCER = b"participant-links"
IDLE_SECONDS = 0.01

logger = logging.getLogger("payments.edge.links")


class _Messages:
    """What a batch of the outbound stream asks the links to do."""

    def __init__(self, arrived: Sequence[Arrived]) -> None:
        self.payments: list[PaymentForwarded] = []
        self.confirmations: list[PaymentConfirmed] = []
        self.questions: list[StatusRequested] = []
        self.recalls: list[RecallRequested] = []
        for record in arrived:
            if record.envelope is None:
                raise EdgeError(f"{record.stream}/{record.shard_id}: record {record.position} is no envelope")
            match event_of(record.envelope):
                case PaymentForwarded() as payment:
                    self.payments.append(payment)
                case PaymentConfirmed() as confirmation:
                    self.confirmations.append(confirmation)
                case StatusRequested() as question:
                    self.questions.append(question)
                case RecallRequested() as recall:
                    self.recalls.append(recall)
                case SourceEnded():
                    pass
                case other:
                    message = f"{record.stream}/{record.shard_id}: record {record.position} is a {type(other).__name__}"
                    raise EdgeError(f"{message}, which no participant understands")


class ParticipantLinks:
    """All links of one process."""

    def __init__(self, log: Log, clock: Clock, folder: Path, network: ParticipantNetwork) -> None:
        self._clock = clock
        self._network = network
        self._store = LinksStore(folder)
        self._tail = StreamTail(log, OUTBOUND, SqlitePlaces(self._store.database))
        epoch = int(self._store.database.fact("epoch", str(clock.now_us())))
        self._producer = EdgeProducer(log, clock, Identity(PRODUCER, epoch))
        self._put_unmarked: list[int] = []
        self._never_received: list[Reply] = []
        self.sent = 0
        self.answered = 0

    async def start(self) -> None:
        """Finish what a crash left: put the answers that may be missing, ask about what has none."""
        answers = self._store.answers_to_put()
        await self._put(answers)
        unanswered = self._store.open_transactions()
        if answers or unanswered:
            logger.info("put %d answers again, ask about %d payments", len(answers), len(unanswered))
        self._ask(unanswered)

    async def turn(self) -> bool:
        """Take in what has come from both sides; say whether there is more at once."""
        messages = _Messages(await self._tail.read())
        now_us = self._clock.now_us()
        replies = [*self._never_received, *self._network.replies(now_us)]
        if not (messages.payments or replies or self._tail.moved or self._put_unmarked):
            return False
        self._network.confirm(messages.confirmations)
        with self._store.database.transaction():
            self._store.mark_put(self._put_unmarked)
            fresh = [payment for payment in messages.payments if self._store.intend(payment)]
            asked = [self._store.question(question) for question in messages.questions]
            answers = [self._store.answer(reply, now_us) for reply in replies]
            self._store.note_recalls(messages.recalls)
            self._tail.store()
        self._put_unmarked = []
        self._never_received = []
        self._send(fresh)
        self._ask(asked)
        await self._put(answers)
        return self._tail.behind_records > 0

    def recalls(self) -> list[tuple[str, str, str]]:
        """Return (payment id, recipient, reason) of every recall."""
        return self._store.recalls()

    def close(self) -> None:
        """Close the store."""
        self._store.database.close()

    def _send(self, payments: Sequence[PaymentForwarded]) -> None:
        """Send what may still be sent; the clock is read here, behind the commit, which may have taken long."""
        now_us = self._clock.now_us()
        in_time = [payment for payment in payments if now_us < payment.deadline_us]
        if len(in_time) < len(payments):
            logger.warning("%d payments came too late to be sent", len(payments) - len(in_time))
        self._network.send(in_time, now_us)
        self.sent += len(in_time)

    def _ask(self, transactions: Sequence[Transaction]) -> None:
        """Ask about payments; what was never received is sent if there is time, or else said not to exist."""
        to_send = []
        for transaction in self._network.ask(transactions, self._clock.now_us()):
            intent = self._store.find_open(transaction)
            if intent is None:
                continue
            if intent.payment is not None and self._clock.now_us() < intent.payment.deadline_us:
                to_send.append(intent.payment)
            elif intent.asked:
                self._never_received.append(Reply(transaction, accepted=False, reason=NEVER_RECEIVED))
        self._send(to_send)

    async def _put(self, answers: Sequence[Answer]) -> None:
        """Put answers on the log; the next commit marks them."""
        await self._producer.put([self._record(answer) for answer in answers])
        self._put_unmarked += [answer.number for answer in answers]
        self.answered += len(answers)

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


async def _main(clock: Clock, stop: Stop, options: argparse.Namespace) -> None:
    log = open_log(options.log, clock)
    participants = SimulatedParticipants(options.data, options.seed)
    links = ParticipantLinks(log, clock, options.data, participants)
    await links.start()
    await Turns(clock, stop, options.seconds, IDLE_SECONDS).run(links.turn)
    logger.info("stopped; %d payments sent, %d answers put by this run", links.sent, links.answered)
    links.close()
    participants.close()
    log.close()


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    options = edge_arguments("Connect the clearing with simulated participants.")
    options.add_argument("--seed", type=int, default=1, help="how participants answer is a function of it (default: 1)")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the links and the simulated participants; return the exit code."""
    options = parser().parse_args(arguments)
    return run_process(lambda clock, stop: _main(clock, stop, options))


if __name__ == "__main__":
    sys.exit(main())
