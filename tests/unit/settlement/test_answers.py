"""Answer or deadline, whichever is first in the log; what comes behind the first moves no money."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.settlement.transfers import TRANSITIONS, State, Stimulus
from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from schemas.events import (
    AccountCredited,
    AnswerDeadlinePassed,
    PaymentAuthorised,
    PaymentConfirmed,
    PaymentExpired,
    PaymentRejected,
    PaymentSettled,
    SettlementCredited,
)
from schemas.schemes.fps import FPS
from tests.builders import BANK_A, BANK_B, PAYEE, PAYER, a_transfer, eur, gbp
from tests.stage_under_test import START_US
from tests.unit.settlement.builders import (
    BANK_C,
    DEADLINE_US,
    FOREIGN_BANK,
    SECOND_US,
    Clearing,
    an_answer,
    an_order,
)


def confirmed(recipient: str, *, settled: bool, reason: str = "") -> PaymentConfirmed:
    return PaymentConfirmed(recipient, "payment-1", "tx-1", BANK_A, settled, reason, 0 if settled else -1)


def an_expired_order(clearing: Clearing) -> PaymentAuthorised:
    """Return an order whose deadline has passed; what that caused is forgotten."""
    order = clearing.order(1)
    clearing.stage.tick(DEADLINE_US)
    clearing.forget()
    return order


# --- accepted, rejected, expired ------------------------------------------------------------------------------------


def test_an_acceptance_in_time_settles_and_both_sides_are_told(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.forget()

    clearing.accept(order, at_us=DEADLINE_US - 1)

    assert clearing.outcomes() == [
        PaymentSettled("payment-1", eur("10.00"), "ALFADEFF/EUR", "BRAVDEFF/EUR", 0, START_US)
    ]
    assert clearing.told(BANK_A) == [confirmed(BANK_A, settled=True)]
    assert clearing.told(BANK_B) == [confirmed(BANK_B, settled=True)]


def test_an_acceptance_credits_the_other_settlement_account_in_the_cycle_of_the_debit(clearing: Clearing) -> None:
    clearing.cut_off(0)
    order = clearing.order(1)

    clearing.accept(order)

    assert clearing.stage.emitted_to(CLEARING, "BRAVDEFF/EUR") == [
        SettlementCredited("payment-1", "BRAVDEFF/EUR", "ALFADEFF/EUR", eur("10.00"), cycle=1)
    ]


def test_an_acceptance_tells_the_creditors_shard(clearing: Clearing) -> None:
    order = clearing.order(1)

    clearing.accept(order, at_us=START_US + 5)

    assert clearing.stage.emitted_to(PAYMENTS, PAYEE) == [
        AccountCredited("payment-1", order.transfer.debtor, order.transfer.creditor, eur("10.00"), START_US + 5)
    ]


def test_a_rejection_releases_and_only_the_sender_is_told(clearing: Clearing) -> None:
    order = clearing.order(1, amount=eur("1000.00"))
    clearing.forget()

    clearing.reject(order, reason="AC04")

    assert clearing.outcomes() == [PaymentRejected("payment-1", BANK_B, "AC04", (), START_US)]
    assert clearing.told(BANK_A) == [confirmed(BANK_A, settled=False, reason="AC04")]
    assert len(clearing.stage.publisher.outputs) == 2
    assert clearing.has_headroom(eur("1000.00"))


def test_silence_until_the_deadline_releases_and_both_sides_are_told(clearing: Clearing) -> None:
    clearing.order(1, amount=eur("1000.00"))
    clearing.forget()

    clearing.stage.tick(DEADLINE_US)

    assert clearing.outcomes() == [PaymentExpired("payment-1", "AB06", START_US)]
    assert clearing.told(BANK_A) == [confirmed(BANK_A, settled=False, reason="AB06")]
    assert clearing.told(BANK_B) == [confirmed(BANK_B, settled=False, reason="AB06")]
    assert len(clearing.stage.publisher.outputs) == 3
    assert clearing.has_headroom(eur("1000.00"))


def test_the_deadline_is_the_schemes(clearing: Clearing) -> None:
    clearing.order(1, amount=gbp("10.00"), scheme="fps")
    clearing.forget()

    clearing.stage.tick(START_US + FPS.answer_us_max - 1)
    before = clearing.outcomes()
    clearing.stage.tick(START_US + FPS.answer_us_max)

    assert not before
    assert clearing.outcomes() == [PaymentExpired("payment-1", "9911", START_US)]


def test_the_deadline_passes_once(clearing: Clearing) -> None:
    an_expired_order(clearing)

    clearing.stage.tick(DEADLINE_US + 3600 * SECOND_US)

    assert not clearing.stage.publisher.outputs


def test_a_payment_that_was_answered_has_no_deadline_any_more(clearing: Clearing) -> None:
    clearing.accept(clearing.order(1))
    clearing.forget()

    clearing.stage.tick(DEADLINE_US)

    assert not clearing.stage.publisher.outputs
    assert clearing.stage.shard.timers == 0


def test_deadlines_that_are_overdue_at_a_restart_pass_before_anything_else(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.restart()
    clearing.forget()

    clearing.accept(order, at_us=DEADLINE_US + SECOND_US)

    assert isinstance(clearing.outcomes()[0], PaymentExpired)
    assert [c.settled for c in clearing.confirmations(BANK_B)] == [False, False]


# --- both orders ----------------------------------------------------------------------------------------------------


def test_the_answer_wins_when_it_is_first_in_the_log_whatever_time_it_says(clearing: Clearing) -> None:
    order = clearing.order(1)
    late_by_its_own_clock = replace(an_answer(order), answered_us=DEADLINE_US + SECOND_US)

    clearing.answer(late_by_its_own_clock, at_us=DEADLINE_US - 1)
    clearing.stage.tick(DEADLINE_US)

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentSettled]


def test_the_deadline_wins_when_it_is_first_in_the_log_whatever_time_the_answer_says(clearing: Clearing) -> None:
    order = clearing.order(1)
    early_by_its_own_clock = replace(an_answer(order), answered_us=START_US)

    clearing.answer(early_by_its_own_clock, at_us=DEADLINE_US)

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentExpired]


# --- behind the first -----------------------------------------------------------------------------------------------


def test_a_late_acceptance_posts_nothing_and_is_answered_negative(clearing: Clearing) -> None:
    order = an_expired_order(clearing)

    clearing.accept(order)

    assert clearing.told(BANK_B) == [confirmed(BANK_B, settled=False, reason="AB06")]
    assert len(clearing.stage.publisher.outputs) == 1
    assert clearing.has_headroom(eur("1000.00"))


def test_a_late_acceptance_again_is_answered_negative_again(clearing: Clearing) -> None:
    order = an_expired_order(clearing)

    clearing.accept(order)
    clearing.accept(order)

    assert [c.settled for c in clearing.confirmations(BANK_B)] == [False, False]


def test_a_late_rejection_agrees_and_nothing_comes_of_it(clearing: Clearing) -> None:
    order = an_expired_order(clearing)

    clearing.reject(order)
    clearing.reject(order)

    assert not clearing.stage.publisher.outputs


def test_the_same_acceptance_again_moves_nothing_and_is_confirmed_again(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.accept(order)
    clearing.forget()

    clearing.accept(order)

    assert clearing.told(BANK_B) == [confirmed(BANK_B, settled=True)]
    assert len(clearing.stage.publisher.outputs) == 1
    assert clearing.has_headroom(eur("990.00"))


def test_the_same_rejection_again_changes_nothing(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.reject(order)
    clearing.forget()

    clearing.reject(order)

    assert not clearing.stage.publisher.outputs


# --- every line of the table, and every line that is not there ------------------------------------------------------


def a_payment_that_is(state: State, clearing: Clearing) -> PaymentAuthorised:
    """Bring payment 1 into ``state``, and forget how."""
    hold = state is State.UNKNOWN
    order = an_order(
        a_transfer(1, amount=eur("2000.00") if state is State.REFUSED else eur("10.00")),
        "sct-inst-foreign" if hold else "sct-inst",
    )
    if hold:
        transfer = replace(order.transfer, creditor=replace(order.transfer.creditor, agent=FOREIGN_BANK))
        order = an_order(transfer, "sct-inst-foreign")
    clearing.take(order)
    if state is State.SETTLED:
        clearing.accept(order)
    if state is State.REJECTED:
        clearing.reject(order)
    if state in {State.EXPIRED, State.EXPIRED_ACCEPTED, State.EXPIRED_REJECTED, State.UNKNOWN}:
        clearing.stage.tick(DEADLINE_US + 2 * SECOND_US)
    if state is State.EXPIRED_ACCEPTED:
        clearing.accept(order)
    if state is State.EXPIRED_REJECTED:
        clearing.reject(order)
    clearing.loop_back()
    clearing.forget()
    return order


@pytest.mark.parametrize("stimulus", [Stimulus.ACCEPTANCE, Stimulus.REJECTION])
@pytest.mark.parametrize("state", list(State))
def test_an_answer_without_a_line_in_the_table_is_parked_and_money_is_untouched(
    clearing: Clearing, state: State, stimulus: Stimulus
) -> None:
    order = a_payment_that_is(state, clearing)
    agrees = (state, stimulus) in TRANSITIONS

    if stimulus is Stimulus.ACCEPTANCE:
        clearing.accept(order)
    else:
        clearing.reject(order)

    assert bool(clearing.parked_because()) is not agrees
    if not agrees:
        assert len(clearing.stage.publisher.outputs) == 1
        assert state.value in clearing.parked_because()[0]


@pytest.mark.parametrize("state", [State.SETTLED, State.REJECTED, State.EXPIRED, State.EXPIRED_ACCEPTED, State.REFUSED])
@pytest.mark.parametrize("stimulus", [Stimulus.ACCEPTANCE, Stimulus.REJECTION])
def test_no_answer_moves_money_once_a_payment_has_ended(clearing: Clearing, state: State, stimulus: Stimulus) -> None:
    order = a_payment_that_is(state, clearing)
    before = clearing.has_headroom(eur("1000.00"))

    for _ in range(2):
        if stimulus is Stimulus.ACCEPTANCE:
            clearing.accept(order)
        else:
            clearing.reject(order)

    assert not clearing.outcomes()
    assert not clearing.stage.emitted(CLEARING)
    assert not clearing.stage.emitted(PAYMENTS)
    assert clearing.has_headroom(eur("1000.00")) is before


def test_a_rejection_behind_a_late_acceptance_contradicts_it(clearing: Clearing) -> None:
    order = an_expired_order(clearing)
    clearing.accept(order)
    clearing.forget()

    clearing.reject(order)

    assert "contradicts" in clearing.parked_because()[0]


# --- answers that are nobody's --------------------------------------------------------------------------------------


def test_an_answer_of_somebody_who_was_not_asked_is_parked(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.forget()

    clearing.accept(order, responder=BANK_C)

    assert clearing.parked_because() == ["transaction tx-1 of ALFADEFF: answered by CHARDEFF, but BRAVDEFF was asked"]
    assert len(clearing.stage.publisher.outputs) == 1


def test_somebody_who_was_not_asked_cannot_answer_a_payment_that_has_ended(clearing: Clearing) -> None:
    order = an_expired_order(clearing)

    clearing.accept(order, responder=BANK_C)

    assert len(clearing.parked_because()) == 1
    assert not clearing.told(BANK_C)


def test_an_answer_to_a_payment_that_nobody_knows_is_parked(clearing: Clearing) -> None:
    clearing.accept(an_order(a_transfer(1)))

    assert len(clearing.parked_because()) == 1
    assert len(clearing.stage.publisher.outputs) == 1


def test_an_answer_under_another_account_than_the_payments_is_parked(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.forget()

    clearing.answer(replace(an_answer(order), settlement_account="BRAVDEFF/EUR"))

    assert len(clearing.parked_because()) == 1
    assert not clearing.outcomes()


def test_a_rejection_without_a_reason_is_parked_and_the_payment_stays_open(clearing: Clearing) -> None:
    order = clearing.order(1)
    answer = an_answer(order)
    object.__setattr__(answer, "accepted", False)

    clearing.answer(answer)
    clearing.accept(order)

    assert len(clearing.parked_because()) == 1
    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentSettled]


def test_a_deadline_that_somebody_put_into_the_log_is_parked(clearing: Clearing) -> None:
    order = clearing.order(1)
    deadline = AnswerDeadlinePassed(BANK_A, "tx-1")

    clearing.stage.feed(order.debtor_settlement_account, deadline)

    assert clearing.parked_because() == ["transaction tx-1 of ALFADEFF: no deadline is due"]
    assert not clearing.stage.emitted_to(OUTCOMES, PAYER)
