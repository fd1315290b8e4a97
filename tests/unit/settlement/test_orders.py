"""An order comes: what is forwarded, what is refused, and what is only a repeat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.settlement.limits import ClearingLimits
from schemas.events import (
    ParticipantAvailabilityChanged,
    PaymentConfirmed,
    PaymentForwarded,
    PaymentRejected,
    PaymentRepeated,
)
from schemas.schemes.fps import FPS
from schemas.schemes.sct_inst import SCT_INST
from tests.builders import BANK_A, BANK_B, PAYEE, PAYER, a_participant, a_party, a_transfer, eur, gbp
from tests.stage_under_test import START_US
from tests.unit.settlement.builders import (
    CAP_MINOR,
    DEADLINE_US,
    FOREIGN_BANK,
    NO_SUCH_BANK,
    SECOND_US,
    Clearing,
    a_clearing,
    an_order,
)


def refused(clearing: Clearing, number: int = 1) -> PaymentRejected:
    """Return the one outcome, a refusal by the clearing, and check that the sender and only the sender was told."""
    (outcome,) = clearing.outcomes()
    assert isinstance(outcome, PaymentRejected)
    assert (outcome.payment_id, outcome.refused_by) == (f"payment-{number}", "clearing")
    assert outcome.explanations
    assert len(clearing.stage.publisher.outputs) == 2
    assert clearing.confirmations(BANK_A) == [
        PaymentConfirmed(BANK_A, f"payment-{number}", f"tx-{number}", BANK_A, False, outcome.reason, -1)
    ]
    return outcome


def test_an_order_is_forwarded_to_the_creditors_agent_with_its_deadline(clearing: Clearing) -> None:
    order = clearing.order(1)

    assert clearing.told(BANK_B) == [PaymentForwarded(order.transfer, "sct-inst", "ALFADEFF/EUR", DEADLINE_US)]
    assert len(clearing.stage.publisher.outputs) == 1


def test_an_acceptance_from_the_future_counts_from_now(clearing: Clearing) -> None:
    transfer = a_transfer(1, accepted_us=START_US + 3600 * SECOND_US)

    clearing.take(an_order(transfer))

    assert clearing.told(BANK_B) == [PaymentForwarded(transfer, "sct-inst", "ALFADEFF/EUR", DEADLINE_US)]


def test_an_order_that_comes_when_its_time_has_passed_is_refused(clearing: Clearing) -> None:
    clearing.take(an_order(a_transfer(1)), at_us=DEADLINE_US)

    assert refused(clearing).reason == SCT_INST.reasons.too_late_on_arrival


def test_an_order_that_comes_a_microsecond_before_its_time_has_passed_is_forwarded(clearing: Clearing) -> None:
    clearing.take(an_order(a_transfer(1)), at_us=DEADLINE_US - 1)

    assert clearing.told(BANK_B)


def test_an_order_to_a_bank_that_is_no_participant_is_refused(clearing: Clearing) -> None:
    clearing.order(1, creditor=NO_SUCH_BANK)

    assert refused(clearing).reason == SCT_INST.reasons.unreachable


def test_an_order_to_a_participant_that_its_scheme_does_not_reach_is_refused(clearing: Clearing) -> None:
    clearing.order(1, creditor=FOREIGN_BANK, scheme="sct-inst")

    assert refused(clearing).reason == SCT_INST.reasons.unreachable


def test_an_order_to_a_participant_that_is_off_line_is_refused(clearing: Clearing) -> None:
    clearing.stage.broadcast(ParticipantAvailabilityChanged(BANK_B, available=False))

    clearing.order(1)

    assert refused(clearing).reason == SCT_INST.reasons.creditor_agent_offline


def test_an_order_of_a_bank_that_is_no_participant_is_refused(clearing: Clearing) -> None:
    clearing.order(1, debtor=NO_SUCH_BANK)

    (outcome,) = clearing.outcomes()
    assert isinstance(outcome, PaymentRejected)
    assert outcome.reason == SCT_INST.reasons.invalid
    assert len(clearing.confirmations(NO_SUCH_BANK)) == 1


def test_an_order_on_a_settlement_account_that_is_not_its_senders_is_refused(clearing: Clearing) -> None:
    clearing.take(replace(an_order(a_transfer(1)), debtor_settlement_account="CHARDEFF/EUR"))

    assert refused(clearing).reason == SCT_INST.reasons.invalid


def test_an_order_to_a_settlement_account_that_is_not_its_receivers_is_refused(clearing: Clearing) -> None:
    clearing.take(replace(an_order(a_transfer(1)), creditor_settlement_account="CHARDEFF/EUR"))

    assert refused(clearing).reason == SCT_INST.reasons.invalid


def test_an_order_in_another_currency_than_its_scheme_has_is_refused(clearing: Clearing) -> None:
    clearing.order(1, amount=gbp("10.00"), scheme="sct-inst")

    assert refused(clearing).reason == SCT_INST.reasons.invalid


def test_an_order_above_the_limit_of_its_scheme_is_refused(clearing: Clearing) -> None:
    clearing.order(1, amount=gbp("1000000.01"), scheme="fps")

    assert refused(clearing).reason == FPS.reasons.over_scheme_limit


def test_an_order_with_a_longer_reference_than_its_scheme_carries_is_refused(clearing: Clearing) -> None:
    clearing.take(an_order(a_transfer(1, amount=gbp("10.00"), reference="x" * 19), "fps"))

    assert refused(clearing).reason == FPS.reasons.invalid


def test_an_order_within_one_bank_is_a_book_transfer_and_refused(clearing: Clearing) -> None:
    clearing.order(1, creditor=BANK_A)

    assert refused(clearing).reason == SCT_INST.reasons.invalid


def test_an_order_of_exactly_the_cap_is_forwarded(clearing: Clearing) -> None:
    clearing.order(1, amount=eur("1000.00"))

    assert clearing.told(BANK_B)


def test_an_order_of_a_cent_more_than_the_cap_is_refused(clearing: Clearing) -> None:
    clearing.order(1, amount=eur("1000.01"))

    assert refused(clearing).reason == SCT_INST.reasons.over_cap


def test_what_is_reserved_counts_against_the_cap(clearing: Clearing) -> None:
    clearing.order(1, amount=eur("600.00"))
    clearing.forget()

    clearing.order(2, amount=eur("400.01"))

    assert refused(clearing, 2).reason == SCT_INST.reasons.over_cap


def test_a_refusal_reserves_nothing(clearing: Clearing) -> None:
    clearing.order(1, amount=eur("1000.01"))

    assert clearing.has_headroom(eur("1000.00"))


def test_a_settlement_account_without_a_cap_can_send_nothing(clearing: Clearing) -> None:
    clearing.stage.broadcast(a_participant(BANK_A, caps={"GBP": CAP_MINOR}), at_us=START_US + 1)

    clearing.order(1, amount=eur("0.01"))

    assert refused(clearing).reason == SCT_INST.reasons.over_cap


def test_a_cap_falls_at_once_and_what_is_reserved_still_settles(clearing: Clearing) -> None:
    order = clearing.order(1, amount=eur("600.00"))

    clearing.stage.broadcast(a_participant(BANK_A, caps={"EUR": 500_00}), at_us=START_US + 1)
    clearing.accept(order)

    assert clearing.confirmations(BANK_B)[0].settled
    assert not clearing.has_headroom(eur("0.01"))


def test_the_open_payments_of_a_participant_are_bounded() -> None:
    clearing = a_clearing(ClearingLimits(open_payments_max=2))
    clearing.order(1)
    clearing.order(2)
    clearing.forget()

    clearing.order(3)

    assert refused(clearing, 3).reason == SCT_INST.reasons.too_many_open


def test_a_payment_that_has_ended_makes_room_for_another() -> None:
    clearing = a_clearing(ClearingLimits(open_payments_max=1))
    clearing.accept(clearing.order(1))
    clearing.forget()

    clearing.order(2)

    assert clearing.told(BANK_B)


def test_an_order_of_an_unknown_scheme_is_parked(clearing: Clearing) -> None:
    clearing.order(1, scheme="carrier-pigeon")

    assert clearing.parked_because() == ["payment payment-1: unknown scheme 'carrier-pigeon'"]
    assert not clearing.outcomes()


def test_an_order_under_a_foreign_key_is_parked(clearing: Clearing) -> None:
    clearing.stage.feed("CHARDEFF/EUR", an_order(a_transfer(1)))

    assert len(clearing.parked_because()) == 1
    assert not clearing.outcomes()


# --- repeats and conflicts -------------------------------------------------------------------------------------------


def test_the_same_order_again_moves_nothing_while_it_is_open(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.forget()

    clearing.take(order)

    assert not clearing.stage.publisher.outputs
    assert clearing.has_headroom(eur("990.00"))


def test_the_same_order_again_is_told_how_it_ended(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.accept(order)
    ended = clearing.confirmations(BANK_A)
    clearing.forget()

    clearing.take(order)

    assert clearing.confirmations(BANK_A) == ended
    assert len(clearing.stage.publisher.outputs) == 1


def test_the_same_order_under_another_id_of_ours_is_a_repeat(clearing: Clearing) -> None:
    clearing.order(1)
    clearing.forget()

    clearing.take(an_order(a_transfer(1, payment_id="payment-other")))

    assert clearing.outcomes() == [PaymentRepeated("payment-other", of="payment-1")]
    assert len(clearing.stage.publisher.outputs) == 1


def test_a_repeat_of_a_payment_that_has_ended_is_told_how(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.reject(order)
    ended = clearing.confirmations(BANK_A)
    clearing.forget()

    clearing.take(an_order(a_transfer(1, payment_id="payment-other")))

    assert clearing.outcomes() == [PaymentRepeated("payment-other", of="payment-1")]
    assert clearing.confirmations(BANK_A) == ended


def test_a_repeat_is_recognised_however_late_it_comes(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.accept(order)
    clearing.forget()

    clearing.take(order, at_us=DEADLINE_US + 3600 * SECOND_US)

    assert clearing.confirmations(BANK_A)[0].settled
    assert not clearing.outcomes()


CHANGES = {
    "amount": {"amount": eur("11.00")},
    "creditor's account": {"creditor": a_party("account-of-another", BANK_B)},
    "creditor's agent": {"creditor": a_party(PAYEE, "CHARDEFF")},
    "debtor's account": {"debtor": a_party("account-of-another-payer", BANK_A)},
    "time of acceptance": {"accepted_us": START_US + 1},
    "reference": {"reference": "another"},
    "end-to-end id": {"end_to_end_id": "another"},
    "UETR": {"uetr": "00000002-0000-4000-8000-000000000002"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_identity_with_other_content_is_refused_as_a_duplicate(clearing: Clearing, change: str) -> None:
    clearing.order(1)
    clearing.forget()

    clearing.take(an_order(replace(a_transfer(1, payment_id="payment-2"), **CHANGES[change])))  # type: ignore[arg-type]

    (outcome,) = clearing.outcomes()
    assert isinstance(outcome, PaymentRejected)
    assert (outcome.payment_id, outcome.reason) == ("payment-2", SCT_INST.reasons.duplicate)
    assert clearing.confirmations(BANK_A) == [
        PaymentConfirmed(BANK_A, "payment-2", "tx-1", BANK_A, False, SCT_INST.reasons.duplicate, -1)
    ]


def test_the_same_identity_by_another_scheme_is_refused_as_a_duplicate(clearing: Clearing) -> None:
    clearing.order(1)
    clearing.forget()

    clearing.take(an_order(a_transfer(1, payment_id="payment-2"), "sct-inst-foreign"))

    (outcome,) = clearing.outcomes()
    assert isinstance(outcome, PaymentRejected)
    assert outcome.reason == SCT_INST.reasons.duplicate


def test_the_same_uetr_under_another_transaction_id_is_refused_as_a_duplicate(clearing: Clearing) -> None:
    first = clearing.order(1)
    clearing.forget()

    clearing.take(an_order(replace(a_transfer(2), uetr=first.transfer.uetr)))

    assert refused(clearing, 2).reason == SCT_INST.reasons.duplicate


@pytest.mark.parametrize("end", ["accepted", "rejected", "expired"])
def test_a_uetr_stays_claimed_when_its_payment_has_ended(clearing: Clearing, end: str) -> None:
    first = clearing.order(1)
    if end == "accepted":
        clearing.accept(first)
    elif end == "rejected":
        clearing.reject(first)
    else:
        clearing.stage.tick(DEADLINE_US)
    clearing.forget()

    again = replace(a_transfer(2, accepted_us=clearing.stage.now_us), uetr=first.transfer.uetr)
    clearing.take(an_order(again))

    assert refused(clearing, 2).reason == SCT_INST.reasons.duplicate


def test_the_same_transaction_id_of_another_participant_is_another_payment(clearing: Clearing) -> None:
    clearing.order(1)
    clearing.forget()

    other = replace(a_transfer(2, debtor=a_party(agent="CHARDEFF")), transaction_id="tx-1")
    clearing.take(an_order(other))

    assert len(clearing.told(BANK_B)) == 1


def test_our_own_id_with_other_content_is_parked_since_it_has_its_one_outcome(clearing: Clearing) -> None:
    clearing.order(1)
    clearing.forget()

    clearing.take(an_order(a_transfer(1, amount=eur("11.00"))))

    assert clearing.parked_because() == ["payment payment-1: its id came again with other content"]
    assert not clearing.outcomes()


def test_a_conflict_leaves_the_first_as_it_was(clearing: Clearing) -> None:
    first = clearing.order(1)
    clearing.take(an_order(a_transfer(1, amount=eur("11.00"), payment_id="payment-2")))

    clearing.accept(first)

    assert [c.settled for c in clearing.confirmations(BANK_B)] == [True]
    assert clearing.has_headroom(eur("990.00"))
    assert not clearing.has_headroom(eur("990.01"))


def test_a_conflict_does_not_take_the_identity_over(clearing: Clearing) -> None:
    first = clearing.order(1)
    clearing.accept(first)
    clearing.take(an_order(a_transfer(1, amount=eur("11.00"), payment_id="payment-2")))
    clearing.forget()

    clearing.take(first)

    assert [c.settled for c in clearing.confirmations(BANK_A)] == [True]


def test_a_conflict_does_not_take_the_uetr_over(clearing: Clearing) -> None:
    first = clearing.order(1)
    clearing.accept(first)
    clearing.take(an_order(replace(a_transfer(2), uetr=first.transfer.uetr)))
    clearing.forget()

    clearing.take(an_order(replace(a_transfer(3), uetr=first.transfer.uetr)))

    assert refused(clearing, 3).explanations == ("its identity belongs to payment payment-1",)


def test_a_claim_ends_when_the_horizon_has_passed_and_the_order_is_then_too_old(clearing: Clearing) -> None:
    order = clearing.order(1)
    clearing.accept(order)
    clearing.forget()

    clearing.take(order, at_us=START_US + 48 * 3600 * SECOND_US)

    assert refused(clearing).reason == SCT_INST.reasons.too_late_on_arrival


def test_claims_must_outlive_the_schemes_clock() -> None:
    with pytest.raises(ValueError, match="claims must be kept longer"):
        a_clearing(ClearingLimits(claims_horizon_us=FPS.answer_us_max))


def test_the_payer_is_who_the_outcome_is_keyed_by(clearing: Clearing) -> None:
    clearing.accept(clearing.order(1))

    assert len(clearing.stage.emitted_to("outcomes", PAYER)) == 1
