"""What the clearing sends goes out once and in time, and what participants answer comes in, whatever dies when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agents.edge.errors import EdgeError
from agents.edge.links import ParticipantLinks
from agents.edge.participant_answers import Plan, plan_answer
from agents.edge.participant_queries import ConfirmedFlow, ParticipantQueries
from agents.edge.participants import SimulatedParticipants, Transaction
from agents.streams import CLEARING, OUTBOUND
from pipeline.kernel.agent import Output
from pipeline.kernel.system_events import SourceEnded
from schemas.events import (
    CycleSettled,
    ParticipantAnswered,
    PaymentConfirmed,
    PaymentForwarded,
    RecallRequested,
    StatusRequested,
)
from tests.builders import BANK_A, BANK_B, a_transfer, eur
from tests.unit.edge.upstream import Upstream, a_memory_log, events_of, now, put_raw, records_of
from tests.virtual_clock import SOME_DAY_US, US_PER_SECOND, VirtualClock

ACCOUNT = f"{BANK_A}/EUR"
SEED = 1
DEADLINE_US = SOME_DAY_US + 7 * US_PER_SECOND


class KillError(Exception):
    """The links are killed here."""


class Wire(SimulatedParticipants):
    """The simulated participants, on a wire that can kill whoever sends on it, before or behind the delivery."""

    kills_before = False
    kills_behind = False

    def send(self, payments: Sequence[PaymentForwarded], now_us: int) -> None:
        if self.kills_before:
            raise KillError
        super().send(payments, now_us)
        if self.kills_behind:
            raise KillError


def forwarded(number: int, *, scheme: str = "sct-inst", deadline_us: int = DEADLINE_US) -> PaymentForwarded:
    return PaymentForwarded(a_transfer(number, accepted_us=SOME_DAY_US), scheme, ACCOUNT, deadline_us)


def numbered(answers: str, *, scheme: str = "sct-inst") -> PaymentForwarded:
    """Return a payment that its participant will answer so: promptly, late, never, or only when it is asked."""
    for number in range(1, 5_000):
        payment = forwarded(number, scheme=scheme)
        plan = plan_answer(SEED, payment, SOME_DAY_US)
        if _kind(plan) == answers:
            return payment
    raise ValueError(answers)


def _kind(plan: Plan) -> str:
    if plan.answer_us is None:
        return "never" if plan.asked_after_us is None else "when-asked"
    return "late" if plan.answer_us > DEADLINE_US else "promptly"


def question(payment: PaymentForwarded) -> StatusRequested:
    transfer = payment.transfer
    return StatusRequested(BANK_B, transfer.payment_id, transfer.transaction_id, BANK_A, ACCOUNT)


def confirmed(payment: PaymentForwarded, recipient: str, *, settled: bool = True, cycle: int = 3) -> PaymentConfirmed:
    transfer = payment.transfer
    reason, cycle = ("", cycle) if settled else ("AB06", -1)
    return PaymentConfirmed(recipient, transfer.payment_id, transfer.transaction_id, BANK_A, settled, reason, cycle)


class World:
    """A log, an upstream clearing and the links, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.log = a_memory_log(self.clock)
        self.clearing = Upstream(self.log)
        self._folder = folder
        self.start()

    def start(self) -> None:
        self.wire = Wire(self._folder, SEED)
        self.links = ParticipantLinks(self.log, self.clock, self._folder, self.wire)
        now(self.links.start())

    def kill(self) -> None:
        self.links.close()
        self.wire.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def send(self, *events: object) -> list[Output]:
        return self.clearing.emit(OUTBOUND, BANK_B, *events)

    def turn(self, seconds: float = 0.0) -> None:
        self.clock.move(round(seconds * US_PER_SECOND))
        now(self.links.turn())

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.turn(0.1)

    def answers(self) -> list[ParticipantAnswered]:
        return [event for event in events_of(self.log, CLEARING) if isinstance(event, ParticipantAnswered)]

    def participants(self) -> ParticipantQueries:
        return ParticipantQueries(self._folder)

    def is_received(self, payment: PaymentForwarded) -> bool:
        transaction = Transaction(BANK_A, payment.transfer.transaction_id, BANK_B)
        return not self.wire.ask([transaction], self.clock.now_us())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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
    world.wire.kills_before = True
    with pytest.raises(KillError):
        world.turn()
    assert not world.is_received(payment)

    world.restart()
    world.run(2)

    assert len(world.answers()) == 1
    assert world.participants().sent_again() == 0


def test_links_killed_behind_the_wire_ask_and_do_not_send_again(world: World) -> None:
    world.send(numbered("promptly"))
    world.wire.kills_behind = True
    with pytest.raises(KillError):
        world.turn()

    world.restart()
    world.run(5)

    assert len(world.answers()) == 1
    assert world.participants().sent_again() == 0


def test_links_that_were_down_until_the_deadline_send_nothing_any_more(world: World) -> None:
    payment = numbered("promptly")
    world.send(payment)
    world.wire.kills_before = True
    with pytest.raises(KillError):
        world.turn()
    world.kill()
    world.clock.move(8 * US_PER_SECOND)

    world.start()
    world.run(5)

    assert not world.is_received(payment)
    assert world.answers() == []


def test_an_answer_that_may_be_in_the_log_is_put_again_byte_for_byte(world: World) -> None:
    world.send(numbered("promptly"))
    while not world.answers():
        world.turn(0.01)

    world.restart()  # before the next commit could mark the answer as put

    assert list(Counter(records_of(world.log, CLEARING)).values()) == [2]


def test_an_answer_that_is_known_to_be_in_the_log_is_not_put_again(world: World) -> None:
    world.send(numbered("promptly"))
    world.run(2)

    world.restart()
    world.run(5)

    assert len(world.answers()) == 1


def test_a_silent_participant_is_left_alone_when_the_links_start_again(world: World) -> None:
    world.send(numbered("never"))
    world.run(1)

    world.restart()
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

    world.restart()
    world.run(5)

    assert len(world.answers()) == 1


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
    plans = [plan_answer(SEED, forwarded(number), SOME_DAY_US) for number in range(1, 5_001)]
    taken_ms = [(plan.answer_us - SOME_DAY_US) // 1_000 for plan in plans if plan.answer_us is not None]

    assert 0.85 < sum(20 <= ms <= 80 for ms in taken_ms) / len(plans) < 0.97
    assert 0.05 < sum(700 <= ms <= 1_500 for ms in taken_ms) / len(plans) < 0.12
    assert 0.01 < sum(not plan.accepted for plan in plans) / len(plans) < 0.04
    assert any(ms > 7_000 for ms in taken_ms)
    assert any(plan.answer_us is None for plan in plans)
    assert {plan.reason for plan in plans if plan.accepted} == {""}


def test_a_recall_is_kept_once_a_payment(world: World) -> None:
    transfer = forwarded(1).transfer
    names = (transfer.payment_id, transfer.transaction_id, transfer.end_to_end_id, transfer.uetr, BANK_A)
    first = RecallRequested("rcl_1", BANK_B, *names, eur("1.00"), SOME_DAY_US, "DUPL", SOME_DAY_US)

    outputs = world.send(first, replace(first, reason="FRAD"))
    world.turn()
    world.restart()
    world.clearing.again(*outputs)
    world.turn()

    assert world.links.recalls() == [(transfer.payment_id, BANK_B, "DUPL")]
