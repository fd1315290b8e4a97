"""How an error names a value: by its beginning, never whole, and always on one line.

Errors reach logs, parked records and clients.  What was refused may be an account number in the wrong field, a
megabyte, or a line break that would forge a second line of a log.
"""

from __future__ import annotations

from typing import Final

SHOWN_CHARACTERS: Final = 6
"""Fewer than the account numbers of any country have."""
_SHOWN_BITS: Final = 64


def shown(value: str) -> str:
    """Return the beginning of a text, quoted, in ASCII."""
    return ascii(value) if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]!a}..."


def shown_number(value: int) -> str:
    """Return a number in digits, unless it is of a size that no field of ours has."""
    return str(value) if value.bit_length() <= _SHOWN_BITS else f"a number of {value.bit_length()} bits"
