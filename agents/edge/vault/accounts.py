"""The canonical form of an account number, in which two ways to write one number are one."""

from __future__ import annotations


def canonical(number: str) -> str:
    """Return ``number`` without white space and in capitals: an IBAN's paper form is its electronic form."""
    return "".join(number.split()).upper()
