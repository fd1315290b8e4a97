"""A foreign rail decides: its silence says nothing, so the money stays reserved and is asked about."""

from __future__ import annotations

import pytest

from agents.settlement.limits import LIMITS, ClearingLimits
from schemas.events import (
    PaymentAuthorised,
    PaymentForwarded,
    PaymentRejected,
    PaymentSettled,
    PaymentUnknown,
    StatusRequested,
)
from schemas.schemes.sct_inst import SCT_INST_FOREIGN
from tests.builders import BANK_A, eur
from tests.stage_under_test import START_US
from tests.unit.settlement.builders import FOREIGN_BANK, SECOND_US, Clearing, a_clearing

DEADLINE_US = START_US + SCT_INST_FOREIGN.answer_us_max
ASKED = StatusRequested(FOREIGN_BANK, "payment-1", "tx-1", BANK_A, "ALFADEFF/EUR")


def a_foreign_order(clearing: Clearing) -> PaymentAuthorised:
    """Return an order over the foreign rail that takes all of the cap."""
    return clearing.order(1, amount=eur("1000.00"), creditor=FOREIGN_BANK, scheme="sct-inst-foreign")


def an_order_in_limbo(clearing: Clearing) -> PaymentAuthorised:
    """Return an order whose deadline has passed; what that caused is forgotten."""
    order = a_foreign_order(clearing)
    clearing.stage.tick(DEADLINE_US)
    clearing.forget()
    return order


def test_silence_of_a_foreign_rail_is_an_unknown_outcome_and_it_is_asked(clearing: Clearing) -> None:
    a_foreign_order(clearing)
    clearing.forget()

    clearing.stage.tick(DEADLINE_US)

    assert clearing.outcomes() == [PaymentUnknown("payment-1", eur("1000.00"), FOREIGN_BANK, DEADLINE_US)]
    assert clearing.told(FOREIGN_BANK) == [ASKED]
    assert len(clearing.stage.publisher.outputs) == 2


def test_what_is_in_limbo_stays_reserved(clearing: Clearing) -> None:
    an_order_in_limbo(clearing)

    clearing.stage.tick(DEADLINE_US + 365 * 24 * 3600 * SECOND_US)

    assert not clearing.has_headroom(eur("0.01"))


def test_an_acceptance_out_of_limbo_settles(clearing: Clearing) -> None:
    order = an_order_in_limbo(clearing)

    clearing.accept(order)

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentSettled]
    assert [c.settled for c in clearing.confirmations(BANK_A)] == [True]


def test_a_rejection_out_of_limbo_releases(clearing: Clearing) -> None:
    order = an_order_in_limbo(clearing)

    clearing.reject(order, reason="AG09")

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentRejected]
    assert clearing.has_headroom(eur("1000.00"))


def test_an_answer_in_time_is_as_on_any_rail(clearing: Clearing) -> None:
    order = a_foreign_order(clearing)
    clearing.accept(order)
    clearing.forget()

    clearing.stage.tick(DEADLINE_US)

    assert not clearing.stage.publisher.outputs


def test_a_silent_rail_is_asked_again_in_growing_intervals_and_then_no_more(clearing: Clearing) -> None:
    an_order_in_limbo(clearing)
    intervals = LIMITS.status_requests_after_us

    asked_at_us = DEADLINE_US
    for interval_us in intervals:
        asked_at_us += interval_us
        clearing.stage.tick(asked_at_us - 1)
        assert not clearing.stage.publisher.outputs
        clearing.stage.tick(asked_at_us)
        assert clearing.told(FOREIGN_BANK) == [ASKED]
        clearing.forget()
    clearing.stage.tick(asked_at_us + 365 * 24 * 3600 * SECOND_US)

    assert list(intervals) == sorted(set(intervals))
    assert not clearing.stage.publisher.outputs
    assert clearing.stage.shard.timers == 0


def test_limbo_is_told_once_however_often_is_asked(clearing: Clearing) -> None:
    an_order_in_limbo(clearing)

    clearing.stage.tick(DEADLINE_US + 3600 * SECOND_US)

    assert not clearing.outcomes()


def test_a_jump_in_time_asks_once_not_as_often_as_was_missed(clearing: Clearing) -> None:
    an_order_in_limbo(clearing)

    clearing.stage.tick(DEADLINE_US + 3600 * SECOND_US)

    assert clearing.told(FOREIGN_BANK) == [ASKED]


def test_an_answer_ends_the_asking(clearing: Clearing) -> None:
    order = an_order_in_limbo(clearing)
    clearing.accept(order)
    clearing.forget()

    clearing.stage.tick(DEADLINE_US + 3600 * SECOND_US)

    assert not clearing.stage.publisher.outputs


def test_an_answer_settles_long_after_the_last_question(clearing: Clearing) -> None:
    order = an_order_in_limbo(clearing)
    for day in range(1, 8):
        clearing.stage.tick(DEADLINE_US + day * 24 * 3600 * SECOND_US)
    clearing.forget()

    clearing.accept(order)

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentSettled]


def test_limbo_and_its_questions_outlive_a_restart(clearing: Clearing) -> None:
    order = an_order_in_limbo(clearing)

    clearing.restart()
    clearing.stage.tick(DEADLINE_US + LIMITS.status_requests_after_us[0])
    asked = clearing.told(FOREIGN_BANK)
    clearing.accept(order)

    assert asked == [ASKED]
    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentSettled]


@pytest.mark.parametrize("days", [0, 1, 30])
def test_the_identity_of_a_payment_in_limbo_is_claimed_as_long_as_it_is_there(clearing: Clearing, days: int) -> None:
    order = an_order_in_limbo(clearing)

    clearing.take(order, at_us=DEADLINE_US + days * 24 * 3600 * SECOND_US)

    assert not clearing.outcomes()
    assert not [event for event in clearing.told(FOREIGN_BANK) if isinstance(event, PaymentForwarded)]


def test_a_payment_in_limbo_counts_as_open() -> None:
    clearing = a_clearing(ClearingLimits(open_payments_max=1))
    clearing.order(1, creditor=FOREIGN_BANK, scheme="sct-inst-foreign")
    clearing.stage.tick(DEADLINE_US)
    clearing.forget()

    clearing.order(2)

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentRejected]
