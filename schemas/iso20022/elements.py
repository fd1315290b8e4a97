"""Elements that many messages have, made of our own values."""

from __future__ import annotations

from typing import Final

from schemas.iso20022.walk import Amount, Content
from schemas.money import Money

_MILLISECOND_US: Final = 1_000


def agent(bic: str) -> Content:
    """Return the financial institution with a BIC."""
    return {"FinInstnId": {"BICFI": bic}}


def amount(money: Money) -> Amount:
    """Return money as a decimal number of whole units, and its currency."""
    number, _, currency = str(money).partition(" ")
    return Amount(number, currency)


def whole_milliseconds(us: int) -> int:
    """Return a time in microseconds without what is finer than a millisecond, which is as fine as schemes take it."""
    return us // _MILLISECOND_US * _MILLISECOND_US
