"""For how long a payment can be recalled."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from agents.edge.gateway.recall_windows import is_business_day, is_too_late, last_day


def at(day: date, hour: int = 12) -> int:
    return int(datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    "closed",
    [
        date(2026, 1, 1),
        date(2026, 4, 3),  # Good Friday
        date(2026, 4, 6),
        date(2024, 3, 29),
        date(2025, 4, 21),
        date(2026, 5, 1),
        date(2026, 12, 25),
        date(2025, 12, 26),
        date(2026, 11, 28),  # a Saturday
    ],
)
def test_target_is_closed(closed: date) -> None:
    assert not is_business_day(closed)


def test_ten_business_days_go_round_weekends_and_holidays() -> None:
    assert last_day("DUPL", at(date(2026, 11, 24))) == date(2026, 12, 8)
    assert last_day("TECH", at(date(2026, 3, 31))) == date(2026, 4, 16)


def test_thirteen_months_end_with_a_month_that_is_shorter() -> None:
    assert last_day("FRAD", at(date(2026, 1, 31))) == date(2027, 2, 28)
    assert last_day("CUST", at(date(2026, 11, 24))) == date(2027, 12, 24)


def test_the_last_day_counts_whole() -> None:
    settled_us = at(date(2026, 11, 24))

    assert not is_too_late("DUPL", settled_us, at(date(2026, 12, 8), 23))
    assert is_too_late("DUPL", settled_us, at(date(2026, 12, 9), 0))
