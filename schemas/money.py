"""Money: an integer of minor units, and a currency.  Nothing in this project adds two currencies or holds a float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.wording import shown, shown_number

MINOR_DIGITS: Final = {"EUR": 2, "GBP": 2}
"""The supported currencies (ISO 4217) and how many digits their minor unit has."""
AMOUNT_MINOR_MAX: Final = 10**17
"""Below ISO 20022's 18 digits, and far within 64 bits when summed."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount above zero."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not 0 < self.minor <= AMOUNT_MINOR_MAX:
            message = f"an amount is from 1 to {AMOUNT_MINOR_MAX} minor units, not {shown_number(self.minor)}"
            raise ValueError(message)
        if self.currency not in MINOR_DIGITS:
            message = f"unknown currency {shown(self.currency)}; supported: {', '.join(sorted(MINOR_DIGITS))}"
            raise ValueError(message)

    def __str__(self) -> str:
        digits = MINOR_DIGITS[self.currency]
        return f"{self.minor // 10**digits}.{self.minor % 10**digits:0{digits}d} {self.currency}"
