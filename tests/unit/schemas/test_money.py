"""Money is an integer of minor units and a currency that is supported, and above zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import AMOUNT_MINOR_MAX, MINOR_DIGITS, Money


@pytest.mark.parametrize("minor", [1, AMOUNT_MINOR_MAX])
def test_the_least_and_the_most_that_an_amount_can_be(minor: int) -> None:
    assert Money(minor, "EUR").minor == minor


@pytest.mark.parametrize("minor", [0, -1, AMOUNT_MINOR_MAX + 1, -AMOUNT_MINOR_MAX])
def test_an_amount_below_the_least_or_above_the_most_is_none(minor: int) -> None:
    with pytest.raises(ValueError, match=f"^an amount is from 1 to 100000000000000000 minor units, not {minor}$"):
        Money(minor, "EUR")


def test_an_amount_of_any_size_is_refused_in_a_short_line() -> None:
    with pytest.raises(ValueError, match=r"minor units, not a number of 33220 bits$"):
        Money(10**10_000, "EUR")


@pytest.mark.parametrize("currency", ["", "eur", "USD", "XTS", "EUR ", "EURO"])
def test_a_currency_that_is_not_supported_is_refused(currency: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown currency '{currency}'; supported: EUR, GBP$"):
        Money(1, currency)


def test_a_bad_currency_is_not_repeated_whole() -> None:
    with pytest.raises(ValueError, match=r"^unknown currency 'A\\nAAAA'\.\.\.; supported"):
        Money(1, "A\n" + "A" * 1_000_000)


@pytest.mark.parametrize(
    ("minor", "said"),
    [
        (1, "0.01 EUR"),
        (99, "0.99 EUR"),
        (100, "1.00 EUR"),
        (123_405, "1234.05 EUR"),
        (AMOUNT_MINOR_MAX, "1000000000000000.00 EUR"),
    ],
)
def test_money_is_said_in_major_units_with_every_digit_of_the_minor(minor: int, said: str) -> None:
    assert str(Money(minor, "EUR")) == said


@given(st.integers(1, AMOUNT_MINOR_MAX), st.sampled_from(sorted(MINOR_DIGITS)))
def test_what_is_said_is_what_it_is(minor: int, currency: str) -> None:
    major, _, rest = str(Money(minor, currency)).partition(".")
    digits, _, said_currency = rest.partition(" ")

    assert int(major + digits) == minor
    assert len(digits) == MINOR_DIGITS[currency]
    assert said_currency == currency


def test_dozens_of_the_largest_amounts_sum_within_64_bits() -> None:
    assert AMOUNT_MINOR_MAX * 92 < 2**63
