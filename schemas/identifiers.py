"""The identifiers of payments: what each must look like, and what to say of one that does not.

The patterns are used on every record, so an event asks the pattern itself and comes here only to explain.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.wording import shown

IDENTIFIER_LENGTH_MAX: Final = 64
REFERENCE_LENGTH_MAX: Final = 140
"""ISO 20022's Max140Text for unstructured remittance information."""

is_identifier = re.compile(r"[!-~]{1,64}").fullmatch
"""Printable ASCII without spaces, 1 to 64 characters."""
is_bic = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?").fullmatch
"""ISO 9362, 8 or 11 characters."""
is_uetr = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch
"""A lower-case UUID version 4, ISO 20022's UUIDv4Identifier."""


def not_an_identifier(name: str, value: str) -> ValueError:
    """Return what to raise for a ``value`` that :data:`is_identifier` refused."""
    if not 0 < len(value) <= IDENTIFIER_LENGTH_MAX:
        return ValueError(f"{name} has {len(value)} characters, not 1 to {IDENTIFIER_LENGTH_MAX}")
    return ValueError(f"{name} has characters other than printable ASCII without spaces: {shown(value)}")


def not_a_bic(value: str) -> ValueError:
    """Return what to raise for a ``value`` that :data:`is_bic` refused."""
    return ValueError(f"not a BIC: {shown(value)}")


def not_a_uetr(value: str) -> ValueError:
    """Return what to raise for a ``value`` that :data:`is_uetr` refused."""
    return ValueError(f"not a UETR: {shown(value)}")


def too_long_a_reference(value: str) -> ValueError:
    """Return what to raise for a reference of more than 140 characters."""
    return ValueError(f"reference has {len(value)} characters, at most {REFERENCE_LENGTH_MAX}")
