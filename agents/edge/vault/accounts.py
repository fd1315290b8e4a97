"""Account numbers: the canonical form, in which two ways to write one number are one, and what gives a number away."""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import Final

_CHECK_DIGITS_REMAINDER: Final = 1
_DIGITS: Final = str.maketrans({letter: str(int(letter, 36)) for letter in ascii_uppercase})
_is_iban = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}").fullmatch


def canonical(number: str) -> str:
    """Return ``number`` without white space and in capitals: an IBAN's paper form is its electronic form."""
    return "".join(number.split()).upper()


def is_iban(number: str) -> bool:
    """Say whether a canonical ``number`` is an IBAN whose check digits are right (ISO 13616, modulo 97)."""
    if _is_iban(number) is None:
        return False
    digits = (number[4:] + number[:4]).translate(_DIGITS)
    return int(digits) % 97 == _CHECK_DIGITS_REMAINDER
