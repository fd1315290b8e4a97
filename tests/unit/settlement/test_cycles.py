"""Cycles: what counts against a cap and until when, and nets that sum to zero."""

from __future__ import annotations

import pytest

from agents.streams import CLEARING, OUTCOMES
from pipeline.errors import InvariantViolation
from schemas.events import CutOffScheduled, CycleNetted, PaymentSettled, SettlementCredited
from tests.builders import BANK_A, BANK_B, eur, gbp
from tests.stage_under_test import START_US
from tests.unit.settlement.builders import ALSO_SPONSORED, BANK_C, SECOND_US, SPONSORED, Clearing, account_of

CUT_OFF_US = START_US + 3 * SECOND_US


def a_credit(cycle: int, account: str = "ALFADEFF/EUR", amount: str = "500.00") -> SettlementCredited:
    """Return a credit whose debit was posted on another shard."""
    return SettlementCredited("payment-elsewhere", account, "CHARDEFF/EUR", eur(amount), cycle)


# --- what counts against the cap --------------------------------------------------------------------------------------


def test_a_posted_debit_counts(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))

    assert clearing.has_headroom(eur("400.00"))
    assert not clearing.has_headroom(eur("400.01"))


def test_a_posted_credit_gives_headroom_back_at_once(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))

    clearing.settle(2, eur("500.00"), debtor=BANK_B, creditor=BANK_A)

    assert clearing.has_headroom(eur("900.00"))
    assert not clearing.has_headroom(eur("900.01"))


def test_credits_give_headroom_beyond_the_cap_within_the_open_cycle(clearing: Clearing) -> None:
    clearing.settle(1, eur("500.00"), debtor=BANK_B, creditor=BANK_A)

    assert clearing.has_headroom(eur("1500.00"))
    assert not clearing.has_headroom(eur("1500.01"))


def test_what_is_only_promised_to_an_account_gives_no_headroom(clearing: Clearing) -> None:
    order = clearing.order(1, amount=eur("500.00"), debtor=BANK_B, creditor=BANK_A)
    pending = clearing.has_headroom(eur("1000.01"))
    clearing.accept(order)

    assert not pending
    assert not clearing.has_headroom(eur("1000.01"))  # the credit is in transit still


def test_the_cut_off_frees_nothing(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))

    clearing.cut_off(0)

    assert clearing.nets(0)
    assert clearing.has_headroom(eur("400.00"))
    assert not clearing.has_headroom(eur("400.01"))


def test_the_cut_off_ends_the_headroom_of_a_net_receiver(clearing: Clearing) -> None:
    clearing.settle(1, eur("500.00"), debtor=BANK_B, creditor=BANK_A)

    clearing.cut_off(0)

    assert not clearing.has_headroom(eur("1000.01"))


def test_a_credit_of_one_cycle_does_not_pay_for_another(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.cut_off(0)
    clearing.settle(2, eur("500.00"), debtor=BANK_B, creditor=BANK_A)
    clearing.cut_off(1)

    assert clearing.has_headroom(eur("400.00"))
    assert not clearing.has_headroom(eur("400.01"))


def test_a_late_credit_lowers_what_its_closed_cycle_left_owing(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.stage.broadcast(CutOffScheduled(0, CUT_OFF_US))
    clearing.stage.tick(CUT_OFF_US)

    clearing.stage.feed("ALFADEFF/EUR", a_credit(cycle=0))

    assert clearing.has_headroom(eur("900.00"))
    assert not clearing.has_headroom(eur("900.01"))


def test_a_credit_of_a_cycle_that_is_not_open_here_gives_no_headroom_yet(clearing: Clearing) -> None:
    clearing.stage.feed("ALFADEFF/EUR", a_credit(cycle=1))
    before = clearing.has_headroom(eur("1000.01"))

    clearing.cut_off(0)

    assert not before
    assert clearing.has_headroom(eur("1500.00"))


def test_the_settlement_of_a_cycle_frees_what_it_left_owing(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.cut_off(0)
    clearing.settle(2, eur("100.00"))

    clearing.settle_cycle(0)

    assert clearing.has_headroom(eur("900.00"))
    assert not clearing.has_headroom(eur("900.01"))


def test_the_settlement_of_a_cycle_holds_for_every_account(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.settle(2, gbp("600.00"), debtor=BANK_C, creditor=BANK_B, scheme="fps")
    clearing.cut_off(0)

    clearing.settle_cycle(0)
    clearing.cut_off(1)

    assert [account_of(clearing, name).cycles for name in ("ALFADEFF/EUR", "CHARDEFF/GBP")] == [{}, {}]


def test_a_cycle_that_is_settled_again_frees_nothing_more(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.cut_off(0)
    clearing.settle(2, eur("100.00"))
    clearing.settle_cycle(0)

    clearing.settle_cycle(0)

    assert clearing.has_headroom(eur("900.00"))
    assert not clearing.has_headroom(eur("900.01"))


def test_a_cycle_that_is_settled_before_it_is_final_frees_nothing_until_it_is(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))

    clearing.settle_cycle(0)
    while_open = clearing.has_headroom(eur("400.01"))
    clearing.cut_off(0)

    assert not while_open
    assert clearing.nets(0) == {"ALFADEFF/EUR": -600_00, "BRAVDEFF/EUR": 600_00}
    assert clearing.has_headroom(eur("1000.00"))


def test_cycles_may_be_settled_out_of_order(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.cut_off(0)
    clearing.settle(2, eur("300.00"))
    clearing.cut_off(1)

    clearing.settle_cycle(1)

    assert clearing.has_headroom(eur("400.00"))
    assert not clearing.has_headroom(eur("400.01"))


def test_a_settled_cycle_stays_settled_over_a_restart(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.cut_off(0)
    clearing.settle_cycle(0)

    clearing.restart()

    assert clearing.has_headroom(eur("1000.00"))


def test_an_account_does_not_keep_cycles_that_are_over(clearing: Clearing) -> None:
    for cycle in range(20):
        clearing.settle(cycle + 1, eur("600.00"))
        clearing.cut_off(cycle)
        clearing.settle_cycle(cycle)

    assert len(account_of(clearing, "ALFADEFF/EUR").cycles) == 1


# --- which cycle ------------------------------------------------------------------------------------------------------


def test_a_payment_belongs_to_the_cycle_in_which_it_is_decided(clearing: Clearing) -> None:
    order = clearing.order(1)

    clearing.cut_off(0, at_us=CUT_OFF_US)
    clearing.accept(order)

    assert [o.cycle for o in clearing.outcomes() if isinstance(o, PaymentSettled)] == [1]
    assert not clearing.nets(0)


def test_a_credit_in_transit_at_the_cut_off_belongs_to_the_cycle_of_its_debit(clearing: Clearing) -> None:
    clearing.accept(clearing.order(1))

    clearing.cut_off(0, at_us=CUT_OFF_US)

    assert clearing.nets(0) == {"ALFADEFF/EUR": -10_00, "BRAVDEFF/EUR": 10_00}


def test_a_credit_for_a_cycle_that_is_final_stops_the_shard(clearing: Clearing) -> None:
    clearing.cut_off(0)

    with pytest.raises(InvariantViolation, match="cycle 0, which is final"):
        clearing.stage.feed("ALFADEFF/EUR", a_credit(cycle=0))


def test_a_credit_under_another_accounts_key_stops_the_shard(clearing: Clearing) -> None:
    with pytest.raises(InvariantViolation, match="not keyed by BRAVDEFF/EUR"):
        clearing.stage.feed("ALFADEFF/EUR", a_credit(cycle=0, account="BRAVDEFF/EUR"))


def test_a_credit_in_a_currency_that_the_account_does_not_hold_stops_the_shard(clearing: Clearing) -> None:
    with pytest.raises(InvariantViolation, match="does not hold EUR"):
        clearing.stage.feed("ALFADEFF/GBP", a_credit(cycle=0, account="ALFADEFF/GBP"))


# --- nets -------------------------------------------------------------------------------------------------------------


def test_the_nets_of_a_cycle_are_what_each_account_is_owed_or_owes(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.settle(2, eur("150.00"), debtor=BANK_B, creditor=BANK_C)
    clearing.settle(3, eur("50.00"), debtor=BANK_C, creditor=BANK_A)

    clearing.cut_off(0)

    assert clearing.nets(0) == {"ALFADEFF/EUR": -550_00, "BRAVDEFF/EUR": 450_00, "CHARDEFF/EUR": 100_00}


def test_the_nets_of_each_currency_sum_to_zero_by_themselves(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.settle(2, gbp("250.00"), debtor=BANK_C, creditor=BANK_A, scheme="fps")

    clearing.cut_off(0)

    (netted,) = [event for event in clearing.outcomes() if isinstance(event, CycleNetted)]
    by_currency = {
        currency: sum(net.net_minor for net in netted.positions if net.currency == currency)
        for currency in ("EUR", "GBP")
    }
    assert by_currency == {"EUR": 0, "GBP": 0}
    assert len(netted.positions) == 4


def test_positions_are_told_in_the_order_of_their_accounts(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"))
    clearing.settle(2, eur("150.00"), debtor=BANK_C, creditor=BANK_A)

    clearing.cut_off(0)

    assert list(clearing.nets(0)) == ["ALFADEFF/EUR", "BRAVDEFF/EUR", "CHARDEFF/EUR"]


def test_what_is_pending_at_the_cut_off_is_in_no_net(clearing: Clearing) -> None:
    clearing.order(1)

    clearing.cut_off(0, at_us=CUT_OFF_US)

    assert not clearing.nets(0)


def test_a_cycle_without_payments_is_told_too(clearing: Clearing) -> None:
    clearing.cut_off(0)

    (netted,) = clearing.stage.emitted_to(OUTCOMES, "cycle/0")
    assert isinstance(netted, CycleNetted)
    assert netted.positions == ()


# --- both sides in one settlement account -----------------------------------------------------------------------------


def test_two_members_of_one_settling_participant_leave_its_position_as_it_was(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"), debtor=SPONSORED, creditor=ALSO_SPONSORED)

    clearing.cut_off(0)

    assert [type(o) for o in clearing.outcomes()] == [PaymentSettled, CycleNetted]
    assert not clearing.nets(0)
    assert clearing.has_headroom(eur("1000.00"))


def test_a_payment_between_two_members_counts_until_its_credit_has_come(clearing: Clearing) -> None:
    order = clearing.order(1, amount=eur("600.00"), debtor=SPONSORED, creditor=ALSO_SPONSORED)
    clearing.accept(order)
    in_transit = clearing.has_headroom(eur("400.01"))

    clearing.loop_back()

    assert not in_transit
    assert clearing.has_headroom(eur("1000.00"))


def test_members_share_the_cap_of_the_participant_they_settle_through(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"), debtor=SPONSORED)

    assert not clearing.has_headroom(eur("400.01"), debtor=ALSO_SPONSORED)
    assert not clearing.has_headroom(eur("400.01"), debtor=BANK_A)


def test_a_member_is_told_itself_and_not_its_sponsor(clearing: Clearing) -> None:
    clearing.settle(1, eur("600.00"), debtor=SPONSORED)

    assert [c.settled for c in clearing.confirmations(SPONSORED)] == [True]
    assert not clearing.told(BANK_A)


def test_a_credit_is_sent_once(clearing: Clearing) -> None:
    order = clearing.order(1)

    clearing.accept(order)
    clearing.accept(order)

    assert len(clearing.stage.emitted(CLEARING)) == 1
