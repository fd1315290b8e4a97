"""What an account did decides what becomes of its orders; refused orders never become a habit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agents.fraud.account import fingerprint
from agents.fraud.payee_risk import SLOT_BYTES, TOLD_FOR_US
from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from agents.table_numbers import PAYEE_RISK
from pipeline.kernel import keys
from schemas.events import PayeeRiskChanged, PaymentAuthorised, PaymentHeld, PaymentRejected
from tests.builders import BANK_A, BANK_B, PAYEE, a_party, a_transfer, eur, gbp
from tests.stage_under_test import START_US
from tests.unit.authorise.authorise_under_test import Authorise
from tests.unit.diary import sent_by

if TYPE_CHECKING:
    from schemas.events import CreditTransfer
    from schemas.money import Money

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MULE = "account-of-mule"
NOW_US = START_US + 10 * DAY_US
"""After ten days of normal life."""


def an_order(number: int, money: Money, *, payee: str = PAYEE, at_us: int = NOW_US) -> CreditTransfer:
    return a_transfer(number, amount=money, creditor=a_party(payee, BANK_B), accepted_us=at_us)


def live_ten_days(authorise: Authorise, money: Callable[[str], Money]) -> None:
    """One payment of 10.00 a day to the same payee."""
    for day in range(10):
        at_us = START_US + day * DAY_US
        authorise.submit(an_order(1_000 + day, money("10.00"), at_us=at_us), at_us=at_us)
    authorise.tick(NOW_US)
    authorise.forget_outputs()


@pytest.fixture
def in_pounds(authorise: Authorise) -> Authorise:
    """An account that has lived ten days, in pounds: orders may wait for a review."""
    live_ten_days(authorise, gbp)
    return authorise


@pytest.fixture
def in_euros(authorise: Authorise) -> Authorise:
    """The same in euros: an order is executed or refused."""
    live_ten_days(authorise, eur)
    return authorise


def test_nobody_is_suspected_for_being_new(authorise: Authorise) -> None:
    authorise.submit(an_order(1, gbp("900000.00"), at_us=START_US))

    [authorised] = authorise.decisions()
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.score == 0


def test_normal_life_scores_nothing(in_pounds: Authorise) -> None:
    in_pounds.submit(an_order(1, gbp("11.00")))

    [authorised] = in_pounds.decisions()
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.score == 0


def test_a_large_first_payment_to_a_new_payee_waits_where_it_may(in_pounds: Authorise) -> None:
    in_pounds.submit(an_order(1, gbp("100.00"), payee="new"))

    assert in_pounds.decisions() == [PaymentHeld("payment-1", 4_000, ("amount-unusual", "payee-new"), NOW_US)]


def test_where_it_may_not_wait_it_goes_with_its_score(in_euros: Authorise) -> None:
    in_euros.submit(an_order(1, eur("100.00"), payee="new"))

    [authorised] = in_euros.decisions()
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.score == 4_000


@pytest.mark.parametrize(("money", "reason"), [(gbp, "1161"), (eur, "FRAD")])
def test_from_the_block_threshold_on_it_is_refused(
    authorise: Authorise, money: Callable[[str], Money], reason: str
) -> None:
    live_ten_days(authorise, money)
    authorise.broadcast(PayeeRiskChanged(MULE, 2, NOW_US + DAY_US))

    authorise.submit(an_order(1, money("300.00"), payee=MULE))

    reasons = ("amount-unusual", "payee-at-risk", "payee-new")
    assert authorise.decisions() == [PaymentRejected("payment-1", "authorise", reason, reasons, NOW_US)]


def test_a_held_order_is_not_usual_at_the_third_try(in_pounds: Authorise) -> None:
    for number in range(1, 4):
        in_pounds.submit(an_order(number, gbp("200.00"), payee="new"))

    assert [type(decision) for decision in in_pounds.decisions()] == [PaymentHeld] * 3


def test_refused_orders_count_as_a_burst(in_pounds: Authorise) -> None:
    for number in range(1, 9):
        in_pounds.submit(an_order(number, gbp("200.00"), payee="new"))

    last = in_pounds.decisions()[-1]
    assert isinstance(last, PaymentHeld)
    assert last.explanations == ("amount-unusual", "orders-in-quick-succession", "payee-new")


def test_an_order_that_cannot_be_routed_teaches_nothing(in_pounds: Authorise) -> None:
    for number in range(1, 9):
        unroutable = replace(an_order(number, gbp("200.00")), creditor=a_party("new", "NOBODEFF"))
        in_pounds.submit(unroutable)
    in_pounds.forget_outputs()

    in_pounds.submit(an_order(9, gbp("10.00")))

    [authorised] = in_pounds.decisions()
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.score == 0


def test_a_payee_is_known_after_the_first_payment(in_pounds: Authorise) -> None:
    in_pounds.submit(an_order(1, gbp("10.00"), payee="new"), an_order(2, gbp("10.00"), payee="new"))

    assert [event.score for event in in_pounds.emitted(CLEARING) if isinstance(event, PaymentAuthorised)] == [1_500, 0]


def test_each_currency_has_a_life_of_its_own(in_euros: Authorise) -> None:
    in_euros.submit(an_order(1, gbp("5000.00"), payee="new"))

    [authorised] = in_euros.decisions()
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.score == 0


def test_money_that_passes_through_is_noticed(in_pounds: Authorise) -> None:
    in_pounds.credit("account-of-payer", gbp("1000.00"))

    in_pounds.submit(an_order(1, gbp("900.00"), payee="new"))

    [held] = in_pounds.decisions()
    assert isinstance(held, PaymentHeld)
    assert held.explanations == ("amount-unusual", "payee-new", "money-passed-through")


def test_an_account_that_wakes_up_is_noticed(in_pounds: Authorise) -> None:
    at_us = NOW_US + 200 * DAY_US

    in_pounds.submit(an_order(1, gbp("10.00"), at_us=at_us), at_us=at_us)

    [authorised] = in_pounds.emitted(CLEARING)
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.score == 2_000


# --- payees --------------------------------------------------------------------------------------------------------


def fan_in(authorise: Authorise, payers: int, at_us: int) -> None:
    for number in range(payers):
        authorise.credit(MULE, gbp("100.00"), debtor=a_party(f"victim-{number}"), at_us=at_us + number)


def told(authorise: Authorise) -> list[object]:
    return [event for event in authorise.emitted(PAYMENTS) if isinstance(event, PayeeRiskChanged)]


@pytest.fixture
def a_payee(authorise: Authorise) -> Authorise:
    """A payee that has lived ten days: one credit a day from its employer."""
    for day in range(10):
        authorise.credit(MULE, gbp("100.00"), debtor=a_party("employer"), at_us=START_US + day * DAY_US)
    authorise.tick(NOW_US)
    authorise.forget_outputs()
    return authorise


def test_fan_in_is_told_to_every_shard_once(a_payee: Authorise) -> None:
    fan_in(a_payee, payers=8, at_us=NOW_US)

    assert told(a_payee) == [PayeeRiskChanged(MULE, 1, NOW_US + 5 + TOLD_FOR_US)]


def test_fan_in_that_is_passed_on_is_a_higher_step(a_payee: Authorise) -> None:
    fan_in(a_payee, payers=12, at_us=NOW_US)
    for number in range(1, 5):
        order = replace(an_order(number, gbp("250.00")), debtor=a_party(MULE, BANK_B), creditor=a_party("x", BANK_A))
        a_payee.submit(order)

    assert [event.step for event in told(a_payee) if isinstance(event, PayeeRiskChanged)] == [1, 2, 3]


def test_the_same_payers_every_day_are_no_fan_in(authorise: Authorise) -> None:
    for day in range(10):
        fan_in(authorise, payers=12, at_us=START_US + day * DAY_US)

    assert [event.step for event in told(authorise) if isinstance(event, PayeeRiskChanged)] == [1]  # the first day


def test_a_shop_with_new_customers_every_day_is_no_fan_in(authorise: Authorise) -> None:
    for number in range(200):
        at_us = START_US + number * 2 * HOUR_US
        authorise.credit(MULE, gbp("100.00"), debtor=a_party(f"customer-{number}"), at_us=at_us)
    authorise.forget_outputs()

    fan_in(authorise, payers=8, at_us=authorise.now_us)

    assert told(authorise) == []


def test_a_risk_that_lasts_is_told_again_before_it_expires(a_payee: Authorise) -> None:
    fan_in(a_payee, payers=6, at_us=NOW_US)

    for number in range(6, 20):
        at_us = NOW_US + (number - 5) * HOUR_US
        a_payee.credit(MULE, gbp("100.00"), debtor=a_party(f"victim-{number}"), at_us=at_us)

    assert len(told(a_payee)) == 2


def test_what_was_told_expires(in_pounds: Authorise) -> None:
    in_pounds.broadcast(PayeeRiskChanged(PAYEE, 3, NOW_US + HOUR_US))

    in_pounds.submit(an_order(1, gbp("10.00")))
    in_pounds.submit(an_order(2, gbp("10.00")), at_us=NOW_US + HOUR_US)

    held, authorised = in_pounds.decisions()
    assert held == PaymentHeld("payment-1", 4_500, ("payee-at-risk",), NOW_US)
    assert isinstance(authorised, PaymentAuthorised)
    assert authorised.score == 0


def test_what_was_told_survives_a_restart(in_pounds: Authorise) -> None:
    in_pounds.broadcast(PayeeRiskChanged(PAYEE, 3, NOW_US + HOUR_US))
    again = in_pounds.restarted()

    again.submit(an_order(1, gbp("10.00")))

    assert [type(event) for event in again.emitted(OUTCOMES)] == [PaymentHeld]


def test_another_account_in_the_same_slot_is_not_mistaken(in_pounds: Authorise) -> None:
    slot = fingerprint(PAYEE)[:SLOT_BYTES]
    twin = next(name for number in range(10**6) if fingerprint(name := f"n{number}")[:SLOT_BYTES] == slot)
    in_pounds.broadcast(PayeeRiskChanged(twin, 3, NOW_US + HOUR_US))

    in_pounds.submit(an_order(1, gbp("10.00")))

    assert in_pounds.emitted(OUTCOMES) == []


def test_shards_agree_about_a_slot_in_whatever_order_they_are_told() -> None:
    slot = fingerprint(PAYEE)[:SLOT_BYTES]
    twin = next(name for number in range(10**6) if fingerprint(name := f"n{number}")[:SLOT_BYTES] == slot)
    teller = Authorise()
    earlier = sent_by("shard-0", 7, teller.broadcast_record(PayeeRiskChanged(PAYEE, 3, NOW_US), START_US))
    later = sent_by("shard-1", 7, teller.broadcast_record(PayeeRiskChanged(twin, 1, NOW_US), START_US + 1))

    rows = []
    for heard in ((earlier, later), (later, earlier)):
        shard = Authorise()
        shard.feed_bytes(*heard)
        rows.append([row for row in shard.rows() if row[0][:2] == keys.BROADCAST + bytes([PAYEE_RISK])])

    assert len(rows[0]) == 1
    assert rows[0] == rows[1]
