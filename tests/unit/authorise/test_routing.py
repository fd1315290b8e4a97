"""An order goes by the scheme that reaches the creditor's bank, or is told why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from schemas.events import (
    AccountCredited,
    ParticipantAvailabilityChanged,
    PaymentAuthorised,
    PaymentRejected,
    PaymentSettled,
)
from tests.builders import BANK_A, BANK_B, PAYEE, PAYER, a_participant, a_party, a_transfer, eur, gbp
from tests.stage_under_test import START_US
from tests.unit.authorise.authorise_under_test import FOREIGN_BANK, GBP_ONLY_BANK, OFFLINE_BANK, Authorise

if TYPE_CHECKING:
    from schemas.events import CreditTransfer


def test_euros_go_by_sct_inst_under_the_debtors_settlement_account(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1, amount=eur("12.34")))

    assert authorise.emitted_to(CLEARING, "ALFADEFF/EUR") == [
        PaymentAuthorised(a_transfer(1, amount=eur("12.34")), "sct-inst", "ALFADEFF/EUR", "BRAVDEFF/EUR", score=0)
    ]


def test_pounds_go_by_faster_payments(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1, amount=gbp("12.34")))

    [authorised] = authorise.emitted_to(CLEARING, "ALFADEFF/GBP")
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.scheme == "fps"


def test_a_bank_of_a_foreign_clearing_is_reached_through_its_sponsor(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1, creditor=a_party(PAYEE, FOREIGN_BANK)))

    [authorised] = authorise.emitted(CLEARING)
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.scheme == "sct-inst-foreign"
    assert authorised.creditor_settlement_account == "BRAVDEFF/EUR"


@pytest.mark.parametrize(
    ("order", "reason", "explanation"),
    [
        (a_transfer(creditor=a_party(PAYEE, "NOBODEFF")), "AB08", "NOBODEFF, the creditor's bank, is no participant"),
        (a_transfer(creditor=a_party(PAYEE, GBP_ONLY_BANK)), "AB08", "GBPOGB2L cannot be reached in EUR"),
        (a_transfer(creditor=a_party(PAYEE, OFFLINE_BANK)), "AB08", "OFLNDEFF is not available"),
        (
            a_transfer(creditor=a_party(PAYEE, OFFLINE_BANK), amount=gbp("1.00")),
            "9910",
            "OFLNDEFF is not available",
        ),
        (a_transfer(debtor=a_party(PAYER, "NOBODEFF")), "AC01", "NOBODEFF, the debtor's bank, is no participant"),
        (a_transfer(amount=gbp("1000000.01")), "1172", "fps carries at most 100000000 minor units of GBP at once"),
        (
            a_transfer(amount=gbp("1.00"), reference="nineteen characters"),
            "1930",
            "fps carries a reference of at most 18 characters",
        ),
    ],
)
def test_an_order_that_cannot_go_is_refused_with_the_schemes_code(
    authorise: Authorise, order: CreditTransfer, reason: str, explanation: str
) -> None:
    authorise.submit(order)

    assert authorise.decisions() == [PaymentRejected("payment-1", "authorise", reason, (explanation,), START_US)]


def test_the_limit_itself_is_within_the_limit(authorise: Authorise) -> None:
    authorise.submit(a_transfer(amount=gbp("1000000.00"), reference="eighteen character"))

    assert authorise.authorised() == ["payment-1"]


def test_sct_inst_has_no_limit(authorise: Authorise) -> None:
    authorise.submit(a_transfer(amount=eur("999999999999999.99"), reference="r" * 140))

    assert authorise.authorised() == ["payment-1"]


def test_inside_one_bank_an_order_is_booked_and_never_cleared(authorise: Authorise) -> None:
    order = a_transfer(creditor=a_party(PAYEE, BANK_A))

    authorise.submit(order)

    assert authorise.emitted(CLEARING) == []
    assert authorise.emitted_to(OUTCOMES, PAYER) == [PaymentSettled("payment-1", order.amount, "", "", -1, START_US)]
    assert authorise.emitted_to(PAYMENTS, PAYEE) == [
        AccountCredited("payment-1", order.debtor, order.creditor, order.amount, START_US)
    ]


def test_a_bank_that_went_off_line_is_refused_until_it_is_back(authorise: Authorise) -> None:
    authorise.broadcast(ParticipantAvailabilityChanged(BANK_B, available=False), at_us=START_US + 1)
    authorise.submit(a_transfer(1))
    authorise.broadcast(ParticipantAvailabilityChanged(BANK_B, available=True), at_us=START_US + 2)
    authorise.submit(a_transfer(2))

    assert authorise.authorised() == ["payment-2"]


def test_a_bank_that_changed_its_sponsor_settles_through_the_new_one(authorise: Authorise) -> None:
    authorise.submit(a_transfer(1))
    authorise.broadcast(a_participant(BANK_A, settles_through=BANK_B), at_us=START_US + 1)

    authorise.submit(a_transfer(2))

    assert len(authorise.emitted_to(CLEARING, "BRAVDEFF/EUR")) == 1
