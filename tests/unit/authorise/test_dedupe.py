"""Each order is claimed once, whatever is sent again, in whatever order, at whatever time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agents.dedupe import AHEAD_US_MAX, CLAIMS_REACH_US, Claim, ClaimCodec, content_of, identity_of
from agents.streams import CLEARING, OUTCOMES, PARKED
from pipeline.kernel.system_events import Parked
from schemas.events import PaymentConflicted, PaymentRejected, PaymentRepeated, PaymentSubmitted
from tests.builders import BANK_B, PAYER, a_participant, a_party, a_transfer, eur
from tests.stage_under_test import START_US
from tests.unit.authorise.authorise_under_test import Authorise

if TYPE_CHECKING:
    from schemas.events import CreditTransfer

HOUR_US = 3_600_000_000
UNKNOWN_BANK = "NOBODEFF"


def test_the_same_order_again_is_a_repeat_and_is_not_executed(authorise: Authorise) -> None:
    first = a_transfer(1)
    again = replace(first, payment_id="another-id-of-ours", accepted_us=START_US + 1)

    authorise.submit(first, again, at_us=START_US + 1)

    assert authorise.authorised() == [first.payment_id]
    assert authorise.emitted_to(OUTCOMES, PAYER) == [PaymentRepeated(again.payment_id, of=first.payment_id)]


@pytest.mark.parametrize(
    "changed",
    [
        replace(a_transfer(1), amount=eur("10.01")),
        replace(a_transfer(1), creditor=a_party("somebody-else", BANK_B)),
        replace(a_transfer(1), creditor=a_party("account-of-payee", "ALFADEFF")),
        replace(a_transfer(1), end_to_end_id="another"),
        replace(a_transfer(1), reference="another"),
        replace(a_transfer(1), uetr=a_transfer(2).uetr),
    ],
    ids=["amount", "creditor", "creditor's bank", "end-to-end id", "reference", "uetr"],
)
def test_the_same_identity_with_other_content_is_a_conflict(authorise: Authorise, changed: CreditTransfer) -> None:
    changed = replace(changed, payment_id="changed")

    authorise.submit(a_transfer(1), changed)

    assert authorise.authorised() == ["payment-1"]
    assert authorise.emitted(OUTCOMES) == [PaymentConflicted("changed", of="payment-1")]


def test_two_coffees_are_two_payments(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1), replace(a_transfer(1), transaction_id="tx-2", payment_id="payment-2"))

    assert authorise.authorised() == ["payment-1", "payment-2"]


def test_the_same_transaction_id_of_another_bank_or_account_is_another_order(authorise: Authorise) -> None:
    authorise.submit(
        a_transfer(1),
        a_transfer(1, debtor=a_party(PAYER, BANK_B), creditor=a_party("x", "ALFADEFF"), payment_id="other bank"[:5]),
        a_transfer(1, debtor=a_party("another-account"), payment_id="account"),
    )

    assert authorise.authorised() == ["payment-1", "other", "account"]


def test_a_branch_code_makes_no_other_identity() -> None:
    with_branch = a_transfer(1, debtor=a_party(PAYER, "ALFADEFFXXX"))

    assert identity_of(with_branch) == identity_of(a_transfer(1, debtor=a_party(PAYER, "ALFADEFF")))


def test_neither_our_id_nor_the_time_is_content() -> None:
    first = a_transfer(1)

    assert content_of(first) == content_of(replace(first, payment_id="other", accepted_us=first.accepted_us + 1))


def test_parts_of_the_content_cannot_be_moved_into_each_other() -> None:
    assert content_of(a_transfer(1, end_to_end_id="A", reference="B C")) != content_of(
        a_transfer(1, end_to_end_id="A", reference="C B")
    )
    assert content_of(a_transfer(1, creditor=a_party("AB", BANK_B), end_to_end_id="C")) != content_of(
        a_transfer(1, creditor=a_party("A", BANK_B), end_to_end_id="BC")
    )


def test_incident_2_an_older_order_is_recognised_behind_a_newer_one(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1), a_transfer(2), a_transfer(1))

    assert authorise.authorised() == ["payment-1", "payment-2"]
    assert authorise.emitted(OUTCOMES) == [PaymentRepeated("payment-1", of="payment-1")]


def test_incident_10_an_id_that_failed_stays_failed(authorise: Authorise) -> None:
    order = a_transfer(1, creditor=a_party("payee", UNKNOWN_BANK))
    authorise.submit(order)
    authorise.broadcast(a_participant(UNKNOWN_BANK))
    authorise.forget_outputs()

    authorise.submit(order)

    assert authorise.emitted(CLEARING) == []
    assert authorise.emitted(OUTCOMES) == [PaymentRepeated("payment-1", of="payment-1")]


def test_a_claim_survives_a_restart(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1))
    again = authorise.restarted()

    again.submit(a_transfer(1))

    assert again.decisions() == [PaymentRepeated("payment-1", of="payment-1")]


def test_incident_1_a_replay_from_before_the_claims_is_refused(authorise: Authorise) -> None:
    orders = [a_transfer(number) for number in range(1, 29)]
    authorise.submit(*orders)
    authorise.tick(START_US + 3 * CLAIMS_REACH_US)
    authorise.forget_outputs()

    authorise.submit(*orders)

    assert authorise.emitted(CLEARING) == []
    refused = authorise.emitted(OUTCOMES)
    assert len(refused) == len(orders)
    assert all(isinstance(event, PaymentRejected) and event.reason == "AB06" for event in refused)


def test_an_order_that_is_too_old_is_refused_once_and_from_then_on_a_repeat(authorise: Authorise) -> None:
    order = a_transfer(1)
    authorise.tick(START_US + 3 * CLAIMS_REACH_US)

    authorise.submit(order, order)

    refused, repeated = authorise.emitted(OUTCOMES)
    assert isinstance(refused, PaymentRejected)
    assert repeated == PaymentRepeated("payment-1", of="payment-1")


@pytest.mark.parametrize("accepted_ahead_us", [0, AHEAD_US_MAX])
@pytest.mark.parametrize("claimed_us", range(START_US, START_US + 2 * CLAIMS_REACH_US, 7 * HOUR_US))
def test_an_order_is_never_taken_in_once_its_claim_may_be_gone(claimed_us: int, accepted_ahead_us: int) -> None:
    authorise = Authorise()
    order = a_transfer(1, accepted_us=claimed_us + accepted_ahead_us)
    authorise.submit(order, at_us=claimed_us)

    for hours in range(1, 60):
        authorise.submit(order, at_us=claimed_us + hours * HOUR_US)

    assert authorise.authorised() == ["payment-1"]


def test_an_order_as_old_as_the_claims_reach_is_still_taken_in(authorise: Authorise) -> None:
    authorise.tick(START_US + CLAIMS_REACH_US)

    authorise.submit(a_transfer(1), replace(a_transfer(2), accepted_us=START_US - 1))

    assert authorise.authorised() == ["payment-1"]


def test_an_order_from_the_future_is_parked(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1, accepted_us=START_US + AHEAD_US_MAX + 1))

    assert authorise.decisions() == []
    [parked] = authorise.emitted(PARKED)
    assert isinstance(parked, Parked)
    assert "ahead" in parked.reason


def test_an_order_under_another_key_is_parked(authorise: Authorise) -> None:
    authorise.feed("somebody-elses-account", PaymentSubmitted(a_transfer(1)))

    assert authorise.decisions() == []
    [parked] = authorise.emitted(PARKED)
    assert isinstance(parked, Parked)
    assert "key" in parked.reason


def test_a_claim_reads_as_it_was_written() -> None:
    claim = Claim("payment-1", bytes(range(16)))

    assert ClaimCodec.decode(ClaimCodec.encode(claim)) == claim
