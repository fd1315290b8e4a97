"""What a text must be to be a value of one of XML Schema's simple types, as its facets restrict it.

A check takes a text as it stands in the message and returns None, or what is wrong with it in words that follow the
element's name: "is no date".  Space around a decimal or a boolean is not part of it, and is part of everything else.

Source: XML Schema Part 2, second edition.  Where that leaves room - how many digits a year may have - and in one place
where it does not, a check decides as libxml2 does, which most of the world validates with, so that a message has one
verdict.  The one place is space around a date or a time: libxml2 takes it before a time of day and behind the zone of a
date and time, and nowhere else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from schemas.wording import shown

Check = Callable[[str], str | None]

WHITESPACE: Final = " \t\n\r"
"""XML's; what Python strips is more."""

_YEAR_MAX: Final = (1 << 63) - 1
_FEBRUARY: Final = 2
_DAYS: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_YEAR = "-?(?P<year>[0-9]{4}|[1-9][0-9]{4,18})"
_MONTH = "(?P<month>0[1-9]|1[0-2])"
_DAY = "(?P<day>0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?)"
_SPACE = r"[ \t\n\r]*"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_match_date = re.compile(f"{_YEAR}-{_MONTH}-{_DAY}{_ZONE}?").fullmatch
_match_date_time = re.compile(f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}(?:{_ZONE}{_SPACE})?").fullmatch
_match_time = re.compile(f"{_SPACE}{_TIME}{_ZONE}?").fullmatch
_match_year = re.compile(f"{_YEAR}{_ZONE}?").fullmatch
_match_year_month = re.compile(f"{_YEAR}-{_MONTH}{_ZONE}?").fullmatch
_match_decimal = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?").fullmatch
_match_base64 = re.compile(
    "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?"
).fullmatch


@dataclass(frozen=True, slots=True)
class Text:
    """A text of so many characters."""

    length_min: int = 0
    length_max: int = sys.maxsize

    def __call__(self, value: str) -> str | None:
        length = len(value)
        if self.length_min <= length <= self.length_max:
            return None
        if not value:
            return "is empty"
        return f"has {length} characters, not {self.length_min} to {self.length_max}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text that an expression describes from its first character to its last."""

    expression: str
    matches: Callable[[str], re.Match[str] | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", re.compile(self.expression).fullmatch)

    def __call__(self, value: str) -> str | None:
        return None if self.matches(value) else f"{shown(value)} does not match {self.expression}"


@dataclass(frozen=True, slots=True)
class Enumeration:
    """One of a few texts."""

    values: frozenset[str]

    def __call__(self, value: str) -> str | None:
        return None if value in self.values else f"{shown(value)} is none of {', '.join(sorted(self.values))}"


@dataclass(frozen=True, slots=True)
class DecimalNumber:
    """A decimal number; zeros that change nothing do not count as digits."""

    total_digits: int
    fraction_digits: int
    may_be_negative: bool

    def __call__(self, value: str) -> str | None:
        found = _match_decimal(value.strip(WHITESPACE))
        if found is None or not (found["whole"] or found["fraction"]):
            return f"{shown(value)} is no decimal number"
        whole, fraction = found["whole"].lstrip("0"), (found["fraction"] or "").rstrip("0")
        if len(fraction) > self.fraction_digits:
            return f"has {len(fraction)} digits behind the point, more than {self.fraction_digits}"
        if len(whole) + len(fraction) > self.total_digits:
            return f"has {len(whole) + len(fraction)} digits, more than {self.total_digits}"
        if found["sign"] == "-" and (whole or fraction) and not self.may_be_negative:
            return "is below zero"
        return None


@dataclass(frozen=True, slots=True)
class Base64:
    """So many bytes in base 64."""

    length_min: int = 0
    length_max: int = sys.maxsize

    def __call__(self, value: str) -> str | None:
        digits = "".join(value.split())
        if _match_base64(digits) is None:
            return "is not in base 64"
        length = len(digits) // 4 * 3 - digits[-2:].count("=")
        if not self.length_min <= length <= self.length_max:
            return f"has {length} bytes, not {self.length_min} to {self.length_max}"
        return None


def boolean(value: str) -> str | None:
    """Check a truth value."""
    return (
        None if value.strip(WHITESPACE) in {"true", "false", "1", "0"} else f"{shown(value)} is neither true nor false"
    )


def date(value: str) -> str | None:
    """Check a day, with or without a time zone."""
    found = _match_date(value)
    return None if found and _is_day(found) else f"{shown(value)} is no date"


def date_time(value: str) -> str | None:
    """Check a moment, with or without a time zone."""
    found = _match_date_time(value)
    return None if found and _is_day(found) else f"{shown(value)} is no date and time"


def time(value: str) -> str | None:
    """Check a time of day, with or without a time zone."""
    return None if _match_time(value) else f"{shown(value)} is no time of day"


def year(value: str) -> str | None:
    """Check a year."""
    found = _match_year(value)
    return None if found and _is_year(found) else f"{shown(value)} is no year"


def year_month(value: str) -> str | None:
    """Check a month of a year."""
    found = _match_year_month(value)
    return None if found and _is_year(found) else f"{shown(value)} is no year and month"


def _is_day(found: re.Match[str]) -> bool:
    month, day = int(found["month"]), int(found["day"])
    return day <= _DAYS[month] and (month != _FEBRUARY or day < _DAYS[month] or _is_leap(found)) and _is_year(found)


def _is_leap(found: re.Match[str]) -> bool:
    number = int(found["year"])
    return number % 4 == 0 and (number % 100 != 0 or number % 400 == 0)


def _is_year(found: re.Match[str]) -> bool:
    return 0 < int(found["year"]) <= _YEAR_MAX
