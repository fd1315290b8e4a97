"""For how long SCT Inst lets a payment be recalled: by reason, from the day that it settled.

    DUPL, TECH           10 banking business days
    FRAD, AC03, AM09, CUST   13 months

Banking business days are those of TARGET: Monday to Friday, but for 1 January, Good Friday, Easter Monday, 1 May, 25
and 26 December.  Days are those of UTC.  Source: EPC004-16, SCT Inst scheme rulebook, 2025 version 1.0.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Final

_BUSINESS_DAYS: Final = 10
_MONTHS: Final = 13
_SHORT: Final = frozenset({"DUPL", "TECH"})
_SATURDAY: Final = 5
_DAY: Final = timedelta(days=1)
_FIXED_CLOSINGS: Final = frozenset({(1, 1), (5, 1), (12, 25), (12, 26)})
_MICROSECONDS: Final = 1_000_000


def last_day(reason: str, settled_us: int) -> date:
    """Return the last day on which a payment that settled at ``settled_us`` can be recalled for ``reason``."""
    settled = _day(settled_us)
    return _after_business_days(settled, _BUSINESS_DAYS) if reason in _SHORT else _after_months(settled, _MONTHS)


def is_too_late(reason: str, settled_us: int, now_us: int) -> bool:
    """Say whether that day is over."""
    return _day(now_us) > last_day(reason, settled_us)


def is_business_day(day: date) -> bool:
    """Say whether TARGET is open."""
    easter = _easter(day.year)
    closed = day in {easter - 2 * _DAY, easter + _DAY} or (day.month, day.day) in _FIXED_CLOSINGS
    return day.weekday() < _SATURDAY and not closed


def _after_business_days(day: date, count: int) -> date:
    while count:
        day += _DAY
        count -= is_business_day(day)
    return day


def _after_months(day: date, count: int) -> date:
    years, month = divmod(day.month - 1 + count, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def _easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar, by the anonymous algorithm (Meeus, Jones, Butcher)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    shift = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def _day(us: int) -> date:
    return datetime.fromtimestamp(us / _MICROSECONDS, UTC).date()
