"""What a message is called: ``pacs.008.001.08`` is version 08 of the first variant of pacs.008.

The namespace of a message is its name behind a prefix that is the same for all of ISO 20022.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

NAMESPACE_PREFIX: Final = "urn:iso:std:iso:20022:tech:xsd:"
_find_name = re.compile(r"(?P<family>[a-z]{4}\.[0-9]{3})\.(?P<variant>[0-9]{3})\.(?P<version>[0-9]{2})$").search


class MessageName(NamedTuple):
    """The name of a message definition."""

    family: str
    """Business area and message: ``pacs.008``; what schemes write where they mean any version."""
    variant: str
    version: str

    @classmethod
    def in_text(cls, text: str) -> Self | None:
        """Return the name that ``text`` ends with, or None: a namespace does, and a MsgDefIdr is one."""
        found = _find_name(text)
        return None if found is None else cls(**found.groupdict())

    @property
    def namespace(self) -> str:
        return f"{NAMESPACE_PREFIX}{self}"

    def __str__(self) -> str:
        return ".".join(self)


PACS_008: Final = MessageName("pacs.008", "001", "08")
"""Credit transfer."""
PACS_002: Final = MessageName("pacs.002", "001", "10")
"""Status of a payment."""
PACS_028: Final = MessageName("pacs.028", "001", "03")
"""Request for that status."""
PACS_004: Final = MessageName("pacs.004", "001", "09")
"""Return of a payment."""
CAMT_056: Final = MessageName("camt.056", "001", "08")
"""Recall of a payment."""
CAMT_029: Final = MessageName("camt.029", "001", "09")
"""Answer to a recall that is not a return."""

SPOKEN: Final = (PACS_008, PACS_002, PACS_028, PACS_004, CAMT_056, CAMT_029)
"""What this project sends: the messages of SCT Inst, on the versions of 2019."""
READ: Final = frozenset({name.family for name in SPOKEN} | {"pain.001", "camt.053", "camt.054"})
"""The families that are read, in every version whose structure is known."""
