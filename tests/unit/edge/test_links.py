"""What the clearing sends goes out once and in time, and what participants answer comes in, whatever dies when."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import pytest

from agents.edge.errors import EdgeError
from agents.edge.link_messages.reading import read_payment, read_question
from agents.edge.link_messages.terms import Recall, RecallAnswer, ReceivedPayment, Reply, Return, Transaction
from agents.edge.link_messages.writing import write_payment, write_recall_answer, write_reply
from agents.edge.messages.sequence import GeneratedMessage, message_at
from agents.edge.participant_answers import Plan, plan_answer, plan_recall
from agents.edge.participant_links import ParticipantLinks
from agents.edge.participant_queries import ConfirmedFlow, ParticipantQueries
from agents.edge.participants import SimulatedParticipants
from agents.edge.wire.port import Refusal
from agents.streams import CLEARING, OUTBOUND, OUTCOMES, PAYMENTS
from pipeline.kernel.agent import Output
from pipeline.kernel.system_events import SourceEnded
from schemas.events import (
    CreditTransfer,
    CycleSettled,
    ParticipantAnswered,
    PaymentConfirmed,
    PaymentForwarded,
    PaymentSubmitted,
    RecallAnswered,
    RecallRequested,
    StatusRequested,
)
from schemas.iso20022.conversion import OrderIdentity, take_events
from schemas.iso20022.message_name import PACS_008, MessageName
from schemas.iso20022.messages import Message, read_messages
from schemas.iso20022.walk import Content
from schemas.money import Money
from schemas.schemes.sct_inst import RECALL_REFUSALS
from tests.builders import BANK_A, BANK_B, a_transfer, eur
from tests.memory_wire import MemoryWire, let_posts_arrive
from tests.unit.edge.upstream import Upstream, a_memory_log, events_of, put_raw, records_of
from tests.virtual_clock import SOME_DAY_US, US_PER_SECOND, VirtualClock

ACCOUNT = f"{BANK_A}/EUR"
SEED = 1
DEADLINE_US = SOME_DAY_US + 7 * US_PER_SECOND
LINKS, BANKS = "links", "banks"


def forwarded(number: int, *, scheme: str = "sct-inst", deadline_us: int = DEADLINE_US) -> PaymentForwarded:
    return PaymentForwarded(a_transfer(number, accepted_us=SOME_DAY_US), scheme, ACCOUNT, deadline_us)


def received(payment: PaymentForwarded) -> ReceivedPayment:
    transfer = payment.transfer
    transaction = Transaction(BANK_A, transfer.transaction_id, BANK_B)
    return ReceivedPayment(transaction, payment.scheme, transfer.amount, transfer.accepted_us, "id")


def numbered(answers: str, *, scheme: str = "sct-inst") -> PaymentForwarded:
    """Return a payment that its participant will answer so: promptly, late, never, or only when it is asked."""
    for number in range(1, 5_000):
        payment = forwarded(number, scheme=scheme)
        plan = plan_answer(SEED, received(payment), SOME_DAY_US)
        if _kind(plan) == answers:
            return payment
    raise ValueError(answers)


def _kind(plan: Plan) -> str:
    if plan.answer_us is None:
        return "never" if plan.asked_after_us is None else "when-asked"
    return "late" if plan.answer_us > DEADLINE_US else "promptly"


def recalled(payment: PaymentForwarded, recall_id: str = "rcl_1", reason: str = "DUPL") -> RecallRequested:
    transfer = payment.transfer
    names = (transfer.payment_id, transfer.transaction_id, transfer.end_to_end_id, transfer.uetr, BANK_A)
    return RecallRequested(recall_id, BANK_B, *names, transfer.amount, SOME_DAY_US, reason, SOME_DAY_US)


def numbered_for_recall(*, returned: bool) -> PaymentForwarded:
    """Return a payment that its receiver sends back, or does not."""
    for number in range(1, 5_000):
        payment = forwarded(number)
        recall = Recall(received(payment).transaction, "rcl_1", payment.transfer.amount)
        answer, _ = plan_recall(SEED, recall, is_known=True)
        if (answer.returned is not None) is returned:
            return payment
    raise ValueError(returned)


def question(payment: PaymentForwarded) -> StatusRequested:
    transfer = payment.transfer
    return StatusRequested(BANK_B, transfer.payment_id, transfer.transaction_id, BANK_A, ACCOUNT)


def confirmed(payment: PaymentForwarded, recipient: str, *, settled: bool = True, cycle: int = 3) -> PaymentConfirmed:
    transfer = payment.transfer
    reason, cycle = ("", cycle) if settled else ("AB06", -1)
    return PaymentConfirmed(recipient, transfer.payment_id, transfer.transaction_id, BANK_A, settled, reason, cycle)


def reply_to(payment: PaymentForwarded, reason: str = "", *, original: str = "id") -> Message:
    """Return a message in which its participant accepts a payment, or says why not."""
    reply = Reply(received(payment).transaction, accepted=not reason, reason=reason, original=original)
    return read_messages(write_reply(reply, SOME_DAY_US))[0]


class World:
    """A log, an upstream clearing, the links and the participants, each of which can be killed and started again."""

    def __init__(self, folder: Path, vault: Mapping[str, Content] | None = None) -> None:
        self.clock = VirtualClock()
        self.log = a_memory_log(self.clock)
        self.clearing = Upstream(self.log)
        self.wire = MemoryWire()
        self.addresses = {BANK_A: BANKS, BANK_B: BANKS}
        self._vault = None if vault is None else VaultOfRemainders(vault)
        self._folder = folder
        self._runner = asyncio.Runner()
        self.start_banks()
        self.start_links()

    def start_links(self) -> None:
        self.links = ParticipantLinks(self.log, self.clock, self._folder, self.wire, self.addresses, self._vault)
        self._runner.run(self.links.start())
        self.wire.takers[LINKS] = self.links.take

    def kill_links(self) -> None:
        del self.wire.takers[LINKS]
        self._runner.run(self.links.close())

    def start_banks(self) -> None:
        self.banks = SimulatedParticipants(self._folder, self.clock, self.wire, LINKS, SEED)
        self.wire.takers[BANKS] = self.banks.take

    def kill_banks(self) -> None:
        del self.wire.takers[BANKS]
        self._runner.run(self.banks.close())

    def restart_links(self) -> None:
        self.wire.loses_requests = self.wire.loses_replies = False
        self.kill_links()
        self.start_links()

    def restart_banks(self) -> None:
        self.wire.loses_requests = self.wire.loses_replies = False
        self.kill_banks()
        self.start_banks()

    def send(self, *events: object) -> list[Output]:
        return self.clearing.emit(OUTBOUND, BANK_B, *events)

    def turn(self, seconds: float = 0.0) -> None:
        self.clock.move(round(seconds * US_PER_SECOND))
        self._runner.run(self._turn())

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.turn(0.1)

    def posted_to_links(self, *messages: Message) -> Sequence[Refusal]:
        """Return what the links refuse of ``messages``."""
        return self._runner.run(self._post_to_links(messages))

    def answers(self) -> list[ParticipantAnswered]:
        return [event for event in events_of(self.log, CLEARING) if isinstance(event, ParticipantAnswered)]

    def participants(self) -> ParticipantQueries:
        return ParticipantQueries(self._folder)

    def is_received(self, payment: PaymentForwarded) -> bool:
        return self.participants().has_received(BANK_A, payment.transfer.transaction_id, BANK_B)

    def close(self) -> None:
        self._runner.close()

    async def _turn(self) -> None:
        await self.links.turn()
        await let_posts_arrive()
        if BANKS in self.wire.takers:
            await self.banks.turn()
        await let_posts_arrive()

    async def _post_to_links(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        taking = asyncio.create_task(self.links.take(messages))
        await let_posts_arrive()
        await self.links.turn()
        return await taking


class VaultOfRemainders:
    """Has remainders by payment id."""

    def __init__(self, kept: Mapping[str, Content]) -> None:
        self._kept = kept

    def remainders(self, ids: Sequence[str]) -> list[Content | None]:
        return [self._kept.get(each) for each in ids]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_an_answer_goes_to_the_clearing_under_the_debtors_settlement_account(world: World) -> None:
    payment = numbered("promptly")
    world.send(payment)

    world.run(2)

    (answer,) = world.answers()
    assert answer.transaction_id == payment.transfer.transaction_id
    assert (answer.instructing_agent, answer.responder, answer.settlement_account) == (BANK_A, BANK_B, ACCOUNT)


def test_a_payment_that_the_clearing_repeats_is_sent_once(world: World) -> None:
    outputs = world.send(numbered("promptly"))
    world.turn()

    world.clearing.again(*outputs)
    world.run(2)

    assert len(world.answers()) == 1
    assert world.participants().sent_again() == 0


def test_a_payment_is_not_sent_behind_its_deadline(world: World) -> None:
    payment = numbered("promptly")
    world.send(payment)

    world.turn(seconds=7)
    world.run(2)

    assert not world.is_received(payment)
    assert world.answers() == []


def test_a_payment_is_sent_a_microsecond_before_its_deadline(world: World) -> None:
    payment = numbered("promptly")
    world.send(payment)
    world.clock.move(7 * US_PER_SECOND - 1)

    world.turn()

    assert world.is_received(payment)


def test_links_killed_before_the_wire_ask_and_then_send(world: World) -> None:
    payment = numbered("promptly")
    world.send(payment)
    world.wire.loses_requests = True
    world.turn()
    assert not world.is_received(payment)

    world.restart_links()
    world.run(2)

    assert len(world.answers()) == 1
    assert world.participants().sent_again() == 0


def test_links_killed_behind_the_wire_ask_and_do_not_send_again(world: World) -> None:
    world.send(numbered("promptly"))
    world.wire.loses_replies = True
    world.turn()

    world.restart_links()
    world.run(5)

    assert len(set(world.answers())) == 1
    assert world.participants().sent_again() == 0


def test_links_that_were_down_until_the_deadline_send_nothing_any_more(world: World) -> None:
    payment = numbered("promptly")
    world.send(payment)
    world.wire.loses_requests = True
    world.turn()
    world.kill_links()
    world.wire.loses_requests = False
    world.clock.move(8 * US_PER_SECOND)

    world.start_links()
    world.run(5)

    assert not world.is_received(payment)
    assert world.answers() == []


def test_an_answer_that_may_be_in_the_log_is_put_again_byte_for_byte(world: World) -> None:
    world.send(numbered("promptly"))
    while not world.answers():
        world.turn(0.01)

    world.restart_links()  # before the next commit could mark the answer as put

    assert list(Counter(records_of(world.log, CLEARING)).values()) == [2]


def test_an_answer_that_is_known_to_be_in_the_log_is_not_put_again(world: World) -> None:
    world.send(numbered("promptly"))
    world.run(2)

    world.restart_links()
    world.run(5)

    assert len(world.answers()) == 1


def test_a_silent_participant_is_left_alone_when_the_links_start_again(world: World) -> None:
    world.send(numbered("never"))
    world.run(1)

    world.restart_links()
    world.run(20)

    assert world.answers() == []
    assert world.participants().sent_again() == 0


def test_a_foreign_participant_may_answer_when_it_is_asked(world: World) -> None:
    payment = numbered("when-asked", scheme="sct-inst-foreign")
    world.send(payment)
    world.run(10)
    assert world.answers() == []

    world.send(question(payment))
    world.run(5)

    assert [answer.transaction_id for answer in world.answers()] == [payment.transfer.transaction_id]


def test_a_question_is_not_forgotten_by_a_restart(world: World) -> None:
    payment = numbered("when-asked", scheme="sct-inst-foreign")
    world.send(payment)
    world.turn()
    world.send(question(payment))
    world.turn()

    world.restart_links()
    world.run(5)

    assert len(set(world.answers())) == 1


def test_a_foreign_participant_may_stay_silent_for_ever(world: World) -> None:
    payment = numbered("never", scheme="sct-inst-foreign")
    world.send(payment)
    world.run(1)
    world.send(question(payment))

    world.run(20)

    assert world.answers() == []


def test_who_is_asked_about_a_payment_that_was_never_sent_says_so(world: World) -> None:
    payment = numbered("promptly", scheme="sct-inst-foreign")
    world.send(payment)
    world.turn(seconds=8)

    world.send(question(payment))
    world.run(1)

    (answer,) = world.answers()
    assert (answer.accepted, answer.reason) == (False, "AG09")


def test_a_question_that_comes_again_gets_the_same_answer(world: World) -> None:
    payment = numbered("when-asked", scheme="sct-inst-foreign")
    world.send(payment)
    world.turn()
    world.send(question(payment))
    world.run(4)
    world.send(question(payment))

    world.run(4)

    first, second = world.answers()
    assert first == second


def test_what_participants_were_told_adds_up(world: World) -> None:
    paid, failed = forwarded(1), forwarded(2)
    world.send(paid, failed)
    world.turn()

    world.send(confirmed(paid, BANK_A), confirmed(paid, BANK_B), confirmed(failed, BANK_A, settled=False))
    world.turn()

    minor = eur("10.00").minor
    assert world.participants().flows() == [
        ConfirmedFlow(BANK_A, "EUR", 0, minor),
        ConfirmedFlow(BANK_B, "EUR", minor, 0),
    ]
    assert world.participants().nets({BANK_A: BANK_A, BANK_B: BANK_A}) == {}


def test_a_confirmation_that_is_repeated_counts_once(world: World) -> None:
    payment = forwarded(1)
    outputs = world.send(payment, confirmed(payment, BANK_A), confirmed(payment, BANK_B))
    world.turn()

    world.clearing.again(*outputs)
    world.turn()

    assert [flow.paid_in for flow in world.participants().flows()] == [0, eur("10.00").minor]
    assert world.participants().contradicted() == 0


def test_two_endings_of_one_payment_are_noticed(world: World) -> None:
    payment = forwarded(1)
    world.send(payment, confirmed(payment, BANK_B), confirmed(payment, BANK_B, settled=False))

    world.turn()

    assert world.participants().contradicted() == 1


def test_an_acceptance_that_came_to_nothing_is_reversed(world: World) -> None:
    payment = numbered("late")
    world.send(payment)
    world.run(10)

    world.send(confirmed(payment, BANK_B, settled=False))
    world.turn()

    assert world.participants().reversals() == 1


def test_the_end_of_a_source_is_no_message(world: World) -> None:
    world.send(SourceEnded())

    world.run(1)

    assert world.answers() == []


def test_what_no_participant_understands_stops_the_links(world: World) -> None:
    world.send(CycleSettled(1))

    with pytest.raises(EdgeError, match="CycleSettled"):
        world.turn()


def test_what_is_no_envelope_stops_the_links(world: World) -> None:
    put_raw(world.log, OUTBOUND, b"{}")

    with pytest.raises(EdgeError, match="no envelope"):
        world.turn()


def test_participants_answer_in_two_modes_and_some_reject_are_late_or_silent() -> None:
    plans = [plan_answer(SEED, received(forwarded(number)), SOME_DAY_US) for number in range(1, 5_001)]
    taken_ms = [(plan.answer_us - SOME_DAY_US) // 1_000 for plan in plans if plan.answer_us is not None]

    assert 0.85 < sum(20 <= ms <= 80 for ms in taken_ms) / len(plans) < 0.97
    assert 0.05 < sum(700 <= ms <= 1_500 for ms in taken_ms) / len(plans) < 0.12
    assert 0.01 < sum(not plan.accepted for plan in plans) / len(plans) < 0.04
    assert any(ms > 7_000 for ms in taken_ms)
    assert any(plan.answer_us is None for plan in plans)
    assert {plan.reason for plan in plans if plan.accepted} == {""}


def test_banks_that_are_down_get_what_they_are_owed_when_they_are_back(world: World) -> None:
    payment = forwarded(1)
    world.send(payment)
    world.turn()
    world.kill_banks()
    world.send(confirmed(payment, BANK_A), confirmed(payment, BANK_B))
    world.run(2)
    world.restart_links()
    world.run(2)

    world.start_banks()
    world.run(2)

    assert [flow.paid_in for flow in world.participants().flows()] == [0, eur("10.00").minor]
    assert world.participants().contradicted() == 0


def test_banks_killed_before_they_answer_do_so_when_they_are_back(world: World) -> None:
    world.send(numbered("promptly"))
    world.turn()
    assert world.answers() == []

    world.restart_banks()
    world.run(2)

    assert len(set(world.answers())) == 1


def test_banks_that_do_not_hear_that_their_answer_was_taken_repeat_it(world: World) -> None:
    payment = numbered("promptly")
    world.send(payment)
    world.turn()
    world.wire.loses_replies = True
    world.turn(0.5)
    world.turn()
    assert len(world.answers()) == 1

    world.restart_banks()
    world.run(2)

    first, second = world.answers()
    assert first == second


def test_a_payment_that_could_not_be_posted_is_asked_about_and_then_sent(world: World) -> None:
    payment = numbered("promptly")
    world.kill_banks()
    world.send(payment)
    world.run(1)
    world.start_banks()

    world.run(4)

    assert world.is_received(payment)
    assert len(set(world.answers())) == 1
    assert world.participants().sent_again() == 0


def test_never_received_counts_only_as_the_answer_to_the_question_that_was_asked(world: World) -> None:
    payment = numbered("never", scheme="sct-inst-foreign")
    world.send(payment)
    world.run(8)
    world.send(question(payment))
    world.run(1)

    assert world.posted_to_links(reply_to(payment, "AG09", original="another question")) == []

    assert world.answers() == []


def test_nobody_is_asked_about_a_payment_that_is_under_way(world: World) -> None:
    payment = numbered("promptly", scheme="sct-inst-foreign")
    world.wire.loses_replies = True
    world.send(payment)
    world.turn()

    world.send(question(payment))
    world.run(1)

    assert not any(b"FIToFIPmtStsReq" in message for message in world.wire.posted)


def test_nobody_is_asked_any_more_when_our_own_clock_has_decided(world: World) -> None:
    world.kill_banks()
    world.send(numbered("promptly"))
    world.run(8)

    world.start_banks()
    world.run(3)

    assert world.wire.posted == []


def test_never_received_is_no_answer_when_our_own_clock_has_decided(world: World) -> None:
    payment = numbered("promptly")
    world.wire.takers[BANKS] = say_nothing
    world.send(payment)
    world.turn()
    world.restart_links()
    world.turn()
    (asked,) = read_messages(world.wire.posted[-1])
    world.clock.move(8 * US_PER_SECOND)

    world.posted_to_links(reply_to(payment, "AG09", original=read_question(asked).message_id))

    assert world.answers() == []


async def say_nothing(_messages: Sequence[Message]) -> Sequence[Refusal]:
    """Take everything in, and never answer."""
    return ()


def test_the_first_of_two_answers_counts(world: World) -> None:
    payment = numbered("never")
    world.send(payment)
    world.turn()

    world.posted_to_links(reply_to(payment), reply_to(payment, "AC04"))
    world.turn()

    assert {answer.accepted for answer in world.answers()} == {True}


def test_an_answer_to_what_was_never_sent_is_refused(world: World) -> None:
    (refusal,) = world.posted_to_links(reply_to(forwarded(1)))

    assert (refusal.number, refusal.rule) == (0, "transaction")
    assert world.answers() == []


def test_what_is_wrong_with_one_message_does_not_keep_out_another(world: World) -> None:
    payment = numbered("never")
    world.send(payment)
    world.turn()
    undecided = write_reply(Reply(received(payment).transaction, accepted=True, reason="", original="id"), SOME_DAY_US)
    (pending,) = read_messages(undecided.replace(b"ACCP", b"PDNG"))

    (refusal,) = world.posted_to_links(pending, reply_to(payment))
    world.turn()

    assert (refusal.number, refusal.rule, refusal.path[-6:]) == (0, "status", "/TxSts")
    assert len(world.answers()) == 1


def test_only_statuses_come_in(world: World) -> None:
    (credit_transfer,) = read_messages(write_payment(forwarded(1), None, SOME_DAY_US))

    (refusal,) = world.posted_to_links(credit_transfer)

    assert refusal.rule == "message"


def test_a_payment_for_a_participant_without_an_address_is_not_sent_and_its_end_waits(world: World) -> None:
    world.addresses.clear()
    world.restart_links()
    payment = forwarded(1)
    world.send(payment, confirmed(payment, BANK_B, settled=False))
    world.run(2)
    assert not world.is_received(payment)

    world.addresses[BANK_B] = BANKS
    world.restart_links()
    world.run(10)

    told = [message for message in world.wire.posted if b"AB06" in message]
    assert len(told) == 1


def test_a_payment_goes_as_its_sender_said_it_where_the_vault_has_that(tmp_path: Path) -> None:
    payment = forwarded(1)
    message = a_message(PACS_008)
    (sent,) = read_messages(message.document)
    identity = OrderIdentity(payment.transfer.payment_id, "debtor", "creditor")
    events, remainder = take_events(PACS_008, sent.content, lambda _: identity)
    (transfer,) = events
    assert isinstance(transfer, CreditTransfer)
    world = World(tmp_path, {transfer.payment_id: remainder})
    world.addresses[transfer.creditor.agent] = BANKS
    world.send(PaymentForwarded(transfer, "sct-inst", ACCOUNT, DEADLINE_US))

    world.turn()
    world.close()

    (posted,) = world.wire.posted
    (arrived,) = read_messages(posted)
    assert without_header(arrived) == without_header(sent)
    assert read_payment(arrived).scheme == "sct-inst"


def without_header(message: Message) -> Content:
    ((_, content),) = message.content.items()
    assert isinstance(content, dict)
    return {name: value for name, value in content.items() if name != "GrpHdr"}


def a_message(name: MessageName) -> GeneratedMessage:
    messages = (message_at(3, index, SOME_DAY_US, 0) for index in count())
    return next(message for message in messages if (message.type, message.scheme) == (str(name), "sct-inst"))


def returned(world: World) -> list[CreditTransfer]:
    """Return the payments back that the links have put."""
    return [event.transfer for event in events_of(world.log, PAYMENTS) if isinstance(event, PaymentSubmitted)]


def recall_answers(world: World) -> list[RecallAnswered]:
    return [event for event in events_of(world.log, OUTCOMES) if isinstance(event, RecallAnswered)]


def test_a_payment_that_is_sent_back_is_a_payment_the_other_way(world: World) -> None:
    payment = numbered_for_recall(returned=True)
    world.send(payment, recalled(payment))

    world.run(3)

    (back,) = returned(world)
    transfer = payment.transfer
    assert (back.debtor, back.creditor, back.amount) == (transfer.creditor, transfer.debtor, transfer.amount)
    (answer,) = recall_answers(world)
    assert (answer.payment_id, answer.answered_by, answer.reason) == (transfer.payment_id, BANK_B, "FOCR")
    assert answer.return_payment_id == back.payment_id


def test_a_recall_that_is_refused_moves_nothing_and_says_why(world: World) -> None:
    payment = numbered_for_recall(returned=False)
    world.send(payment, recalled(payment))

    world.run(3)

    (answer,) = recall_answers(world)
    assert (answer.returned, answer.return_payment_id) == (False, "")
    assert answer.reason in RECALL_REFUSALS
    assert returned(world) == []


def test_a_payment_is_recalled_once_whatever_is_repeated(world: World) -> None:
    payment = numbered_for_recall(returned=True)
    outputs = world.send(payment, recalled(payment), recalled(payment, "rcl_2", "FRAD"))
    world.turn()

    world.restart_links()
    world.clearing.again(*outputs)
    world.run(3)

    assert sum(b"<CxlId>rcl_1" in message for message in set(world.wire.posted)) == 1
    assert not any(b"rcl_2" in message for message in world.wire.posted)
    assert len(set(returned(world))) == len(set(recall_answers(world))) == 1


def test_links_killed_with_an_answer_to_a_recall_put_the_same_records(world: World) -> None:
    payment = numbered_for_recall(returned=True)
    world.send(payment, recalled(payment))
    while not returned(world):
        world.turn(0.1)

    world.restart_links()  # before the next commit could mark the answer as put
    world.run(1)

    assert list(Counter(records_of(world.log, PAYMENTS)).values()) == [2]
    assert list(Counter(records_of(world.log, OUTCOMES)).values()) == [2]


def test_links_and_banks_that_die_between_a_recall_and_its_answer_bring_it_about_once(world: World) -> None:
    payment = numbered_for_recall(returned=True)
    world.send(payment)
    world.turn()
    world.kill_banks()
    world.send(recalled(payment))
    world.run(1)
    world.restart_links()
    world.start_banks()
    world.run(1)
    world.restart_banks()

    world.run(3)

    assert len(set(returned(world))) == 1


def test_nothing_comes_back_that_was_not_recalled(world: World) -> None:
    payment = forwarded(1)
    world.send(payment)
    world.turn()

    (refusal,) = world.posted_to_links(a_return_of(payment))

    assert (refusal.rule, refusal.message) == ("recall", "answers no recall")
    assert returned(world) == []


def test_no_more_comes_back_than_was_paid(world: World) -> None:
    payment = numbered("never")
    world.send(payment, recalled(payment))
    world.turn()

    (refusal,) = world.posted_to_links(a_return_of(payment, eur("10.01")))

    assert refusal.message == "returns another amount than was paid"
    assert returned(world) == []


def a_return_of(payment: PaymentForwarded, amount: Money | None = None) -> Message:
    back = Return("RT1", amount or payment.transfer.amount)
    answer = RecallAnswer(received(payment).transaction, "FOCR", back)
    return read_messages(write_recall_answer(answer, SOME_DAY_US))[0]
