"""What went wrong in other systems, and must not here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.streams import CLEARING
from pipeline.errors import InvariantViolation
from pipeline.kernel.envelope import decode, encode
from pipeline.kernel.position import Source
from schemas.events import (
    CutOffScheduled,
    PaymentExpired,
    PaymentRejected,
    PaymentRepeated,
    PaymentSettled,
    PaymentUnknown,
    SettlementCredited,
)
from schemas.schemes.sct_inst import SCT_INST
from tests.builders import BANK_A, BANK_B, a_transfer, eur
from tests.stage_under_test import START_US
from tests.unit.settlement.builders import DEADLINE_US, FOREIGN_BANK, SECOND_US, Clearing, account_of, an_order


def test_a_replay_of_what_is_older_than_the_claims_settles_nothing(clearing: Clearing) -> None:
    """28 accounts were credited again by a replay that reached back before the dedupe store existed."""
    a_week_later = START_US + 7 * 24 * 3600 * SECOND_US

    for number in range(28):
        clearing.take(an_order(a_transfer(number)), at_us=a_week_later)

    reasons = [o.reason for o in clearing.outcomes() if isinstance(o, PaymentRejected)]
    assert reasons == [SCT_INST.reasons.too_late_on_arrival] * 28
    assert not clearing.stage.emitted(CLEARING)


def test_a_repeat_is_one_though_another_came_between(clearing: Clearing) -> None:
    """A duplicate marker that held only the last id seen failed on the order A, B, A."""
    first = clearing.order(1)
    clearing.order(2)
    clearing.forget()

    clearing.take(replace(first, transfer=replace(first.transfer, payment_id="payment-3")))

    assert clearing.outcomes() == [PaymentRepeated("payment-3", of="payment-1")]


def test_claims_positions_and_reservations_are_restored_together(clearing: Clearing) -> None:
    """Counters were restored without the dedupe state, and the reverse."""
    settled = clearing.settle(1, eur("600.00"))
    clearing.order(2, amount=eur("100.00"))

    clearing.restart()
    clearing.forget()
    clearing.take(settled)
    clearing.stage.tick(DEADLINE_US)

    assert clearing.outcomes() == [PaymentExpired("payment-2", "AB06", START_US)]
    assert clearing.has_headroom(eur("400.00"))
    assert not clearing.has_headroom(eur("400.01"))


def test_a_cycle_that_is_finalised_twice_stops_the_shard_and_doubles_nothing(clearing: Clearing) -> None:
    """Position and balance were doubled after a settlement was finalised twice."""
    clearing.settle(1, eur("600.00"))
    clearing.stage.broadcast(CutOffScheduled(0, START_US))
    clearing.stage.tick(START_US)
    marker = decode(clearing.stage.publisher.outputs[-1].record)
    clearing.loop_back()
    of_another_shard = marker._replace(source=Source("test", CLEARING, "shard-1").pack())

    with pytest.raises(InvariantViolation, match="cycle 0"):
        clearing.stage.feed_bytes(encode(of_another_shard))
    clearing.restart()

    assert clearing.nets(0) == {"ALFADEFF/EUR": -600_00, "BRAVDEFF/EUR": 600_00}
    assert account_of(clearing, "ALFADEFF/EUR").cycles[0].debits_minor == 600_00


def test_a_credit_that_the_log_brings_twice_is_posted_once(clearing: Clearing) -> None:
    """The same, by way of a worker that published its outputs again."""
    clearing.accept(clearing.order(1, amount=eur("600.00")))
    (credit,) = [output.record for output in clearing.stage.publisher.outputs if output.stream == CLEARING]

    clearing.stage.feed_bytes(credit)
    clearing.stage.feed_bytes(credit)

    assert account_of(clearing, "BRAVDEFF/EUR").cycles[0].credits_minor == 600_00


def test_a_rejected_reservation_cannot_be_posted(clearing: Clearing) -> None:
    """A reservation that was rejected could still be committed, and overdrew."""
    order = clearing.order(1, amount=eur("600.00"))
    clearing.reject(order)
    clearing.order(2, amount=eur("600.00"))
    clearing.forget()

    clearing.accept(order)

    assert "contradicts" in clearing.parked_because()[0]
    assert len(clearing.stage.publisher.outputs) == 1
    assert account_of(clearing, "ALFADEFF/EUR").pending_minor == 600_00


def test_an_expired_reservation_cannot_be_posted(clearing: Clearing) -> None:
    """The same, by way of the clock."""
    order = clearing.order(1, amount=eur("600.00"))
    clearing.stage.tick(DEADLINE_US)
    clearing.forget()

    clearing.accept(order)

    assert not clearing.outcomes()
    assert not clearing.stage.emitted(CLEARING)
    assert account_of(clearing, "ALFADEFF/EUR").pending_minor == 0


def test_a_payment_expires_at_its_deadline_and_not_at_the_next_look(clearing: Clearing) -> None:
    """A poller looked for time-outs every 15 s, against a scheme's clock of 10 s."""
    clearing.order(1)
    clearing.forget()

    clearing.order(2, debtor=BANK_B, creditor=BANK_A, at_us=DEADLINE_US)

    assert clearing.outcomes() == [PaymentExpired("payment-1", "AB06", START_US)]


def test_a_time_out_of_a_foreign_rail_is_not_taken_for_a_rejection(clearing: Clearing) -> None:
    """Time-outs were taken for rejections without asking."""
    clearing.order(1, creditor=FOREIGN_BANK, scheme="sct-inst-foreign")

    clearing.stage.tick(DEADLINE_US + 3600 * SECOND_US)

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentUnknown]


@pytest.mark.parametrize("scheme", ["sct-inst", "sct-inst-foreign"])
def test_a_payment_that_timed_out_is_not_executed_again(clearing: Clearing, scheme: str) -> None:
    """An in-progress idempotency record that timed out was executed again: a duplicate withdrawal."""
    order = clearing.order(1, creditor=BANK_B if scheme == "sct-inst" else FOREIGN_BANK, scheme=scheme)
    clearing.stage.tick(DEADLINE_US + 3 * SECOND_US)
    forwarded = len(clearing.told(order.transfer.creditor.agent))

    clearing.take(order)

    assert len(clearing.told(order.transfer.creditor.agent)) == forwarded


def test_a_changed_payload_under_the_same_id_is_a_conflict_and_says_so(clearing: Clearing) -> None:
    """Same id with a changed payload was accepted as a retry."""
    clearing.order(1, amount=eur("10.00"))
    clearing.forget()

    clearing.take(an_order(a_transfer(1, amount=eur("11.00"), payment_id="payment-2")))

    (outcome,) = clearing.outcomes()
    assert isinstance(outcome, PaymentRejected)
    assert outcome.reason == SCT_INST.reasons.duplicate
    assert outcome.explanations == ("its identity belongs to payment payment-1",)


def test_an_id_that_failed_stays_failed(clearing: Clearing) -> None:
    """A failed payment id later succeeded on retry."""
    refused = clearing.order(1, amount=eur("1000.01"))
    clearing.settle(2, eur("500.00"), debtor=BANK_B, creditor=BANK_A)  # now there would be headroom
    ended = clearing.confirmations(BANK_A)[0]
    clearing.forget()

    clearing.take(refused)

    assert clearing.told(BANK_A) == [ended]
    assert not clearing.told(BANK_B)


def test_a_uetr_that_failed_stays_failed(clearing: Clearing) -> None:
    """The same, by way of a fresh transaction id."""
    refused = clearing.order(1, amount=eur("1000.01"))
    clearing.forget()

    clearing.take(an_order(replace(a_transfer(2, amount=eur("1.00")), uetr=refused.transfer.uetr)))

    assert [type(outcome) for outcome in clearing.outcomes()] == [PaymentRejected]
    assert not clearing.told(BANK_B)


def test_at_most_one_settlement_whatever_comes_again(clearing: Clearing) -> None:
    order = clearing.order(1)
    for _ in range(3):
        clearing.take(order)
        clearing.accept(order)
        clearing.restart()
        clearing.loop_back()

    settled = [outcome for outcome in clearing.outcomes() if isinstance(outcome, PaymentSettled)]

    assert len(settled) == 1
    assert account_of(clearing, "BRAVDEFF/EUR").cycles[0].credits_minor == 10_00
    assert not [event for event in clearing.stage.emitted(CLEARING) if isinstance(event, SettlementCredited)]
