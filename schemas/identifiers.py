"""The identifiers of payments and their limits; every check names the field and what is wrong with it."""

from __future__ import annotations

import re
from typing import Final

IDENTIFIER_LENGTH_MAX: Final = 64
REFERENCE_LENGTH_MAX: Final = 140
"""ISO 20022's Max140Text for unstructured remittance information."""

_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?").fullmatch
_UETR = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch


def check_bic(bic: str) -> None:
    """Raise unless ``bic`` has the form of an ISO 9362 business identifier code (8 or 11 characters)."""
    if _BIC(bic) is None:
        message = f"not a BIC: {bic[:16]!r}"
        raise ValueError(message)


def check_uetr(uetr: str) -> None:
    """Raise unless ``uetr`` is a lower-case UUID version 4, as ISO 20022's UUIDv4Identifier."""
    if _UETR(uetr) is None:
        message = f"not a UETR: {uetr[:40]!r}"
        raise ValueError(message)


def check_identifier(name: str, value: str) -> None:
    """Raise unless ``value`` is printable ASCII without spaces, 1 to 64 characters."""
    if not 0 < len(value) <= IDENTIFIER_LENGTH_MAX:
        message = f"{name} has {len(value)} characters, not 1 to {IDENTIFIER_LENGTH_MAX}"
        raise ValueError(message)
    if not (value.isascii() and value.isprintable()) or " " in value:
        message = f"{name} has characters other than printable ASCII: {value!r}"
        raise ValueError(message)


def check_reference(reference: str) -> None:
    """Raise unless ``reference`` fits ISO 20022's 140 characters."""
    if len(reference) > REFERENCE_LENGTH_MAX:
        message = f"reference has {len(reference)} characters, at most {REFERENCE_LENGTH_MAX}"
        raise ValueError(message)
