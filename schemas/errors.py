"""What can be wrong with what claims to be an event: its bytes inside, its JSON at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAULTS_SHOWN_MAX: Final = 20
"""Faults that a message tells one by one; how many more there are is said in one line."""


class UndecodableEventError(ValueError):
    """Bytes that are not the event they claim to be; the message says why.

    The message becomes the reason of a parked record, and so a part of the audit chain: it is a function of the bytes
    and of this build's rules, and never holds the words of a library.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a document."""

    path: str
    """The field, from the outside in: ``transfer.amount.minor``; empty for the document itself."""
    rule: str
    """What kind of fault it is, for programs: ``document``, ``missing``, ``unknown``, ``type`` or ``rule``; of an ISO
    20022 message one of those in ``docs/iso20022.md``."""
    message: str
    """What is wrong, for people; on one line, and without the value of more than a few characters."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidEventError(ValueError):
    """JSON or a mapping that is not the event it should be; the message has a line for each fault."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        lines = [str(fault) for fault in faults[:FAULTS_SHOWN_MAX]]
        if len(faults) > FAULTS_SHOWN_MAX:
            lines.append(f"and {len(faults) - FAULTS_SHOWN_MAX} more")
        super().__init__("\n".join(lines))
