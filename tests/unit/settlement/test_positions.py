"""Cap arithmetic against a plain slow reference: a list of everything that ever happened, summed as the rule says."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.settlement.positions import CycleTotals, SettlementAccount
from pipeline.errors import InvariantViolation

AMOUNTS = st.integers(1, 10**17)
CYCLES = st.integers(0, 3)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), AMOUNTS, CYCLES),
        st.tuples(st.just("release"), AMOUNTS, CYCLES),
        st.tuples(st.just("post"), AMOUNTS, CYCLES),
        st.tuples(st.just("credit"), AMOUNTS, CYCLES),
    ),
    max_size=30,
)


@dataclass
class Reference:
    """The rule as it stands in the books: nothing is kept but the list."""

    reserved: list[int] = field(default_factory=list)
    debits: list[tuple[int, int]] = field(default_factory=list)
    credits: list[tuple[int, int]] = field(default_factory=list)

    def net_debit(self, cycle: int) -> int:
        return sum(a for c, a in self.debits if c == cycle) - sum(a for c, a in self.credits if c == cycle)

    def exposure(self, open_cycle: int) -> int:
        others = sum(max(0, self.net_debit(cycle)) for cycle in range(4) if cycle != open_cycle)
        return others + self.net_debit(open_cycle) + sum(self.reserved)


@given(MOVES, CYCLES)
def test_exposure_is_what_the_rule_says(moves: list[tuple[str, int, int]], open_cycle: int) -> None:
    account, reference = SettlementAccount("ALFADEFF/EUR"), Reference()

    for move, amount, cycle in moves:
        if move == "reserve":
            account = account.reserved("ALFADEFF", amount)
            reference.reserved.append(amount)
        elif move == "credit":
            account = account.credited(cycle, amount)
            reference.credits.append((cycle, amount))
        elif reference.reserved:
            reserved = reference.reserved.pop(0)
            account = account.released("ALFADEFF", reserved)
            if move == "post":
                account = account.debited(cycle, reserved)
                reference.debits.append((cycle, reserved))

    assert account.exposure_minor(open_cycle) == reference.exposure(open_cycle)
    assert account.pending_minor == sum(reference.reserved)
    assert account.open_payments.get("ALFADEFF", 0) == len(reference.reserved)


def test_a_change_leaves_the_account_it_was_made_from(account: SettlementAccount) -> None:
    account.reserved("ALFADEFF", 5)
    account.debited(0, 5)
    account.credited(0, 5)

    assert account == SettlementAccount("ALFADEFF/EUR", 10, {"ALFADEFF": 1}, {})


def test_more_than_is_pending_cannot_be_released(account: SettlementAccount) -> None:
    with pytest.raises(InvariantViolation, match="ALFADEFF/EUR: cannot release 11"):
        account.released("ALFADEFF", 11)


def test_nobody_can_release_who_has_nothing_reserved(account: SettlementAccount) -> None:
    with pytest.raises(InvariantViolation, match="BRAVDEFF, who has 0 payments open"):
        account.released("BRAVDEFF", 10)


def test_what_was_released_cannot_be_released_again(account: SettlementAccount) -> None:
    released = account.released("ALFADEFF", 10)

    with pytest.raises(InvariantViolation, match="released or posted twice"):
        released.released("ALFADEFF", 10)


def test_who_has_nothing_open_any_more_is_forgotten(account: SettlementAccount) -> None:
    assert account.released("ALFADEFF", 10).open_payments == {}


def test_a_net_debit_is_debits_less_credits() -> None:
    assert CycleTotals(debits_minor=5, credits_minor=7).net_debit_minor == -2


@pytest.fixture
def account() -> SettlementAccount:
    """An account with one reservation of 10."""
    return SettlementAccount("ALFADEFF/EUR").reserved("ALFADEFF", 10)
