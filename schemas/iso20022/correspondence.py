"""What participants tell each other about a payment that was sent: the events in the other five messages.

Times are microseconds since the epoch, UTC, and 0 where none is said; other texts are empty where nothing is said.  A
payment is named by the sender's identities, of which a message has one at least.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.money import Money


@dataclass(frozen=True, slots=True)
class PaymentStatusReported:
    """How a payment stands (pacs.002)."""

    transaction_id: str
    end_to_end_id: str
    uetr: str
    status: str
    """Of ISO 20022's transaction statuses."""
    reason: str
    """ISO 20022's code."""
    own_reason: str
    """The scheme's own code, where it has its own."""
    accepted_us: int
    """When the payment was accepted, as its order said."""


@dataclass(frozen=True, slots=True)
class PaymentStatusAsked:
    """How does it stand? (pacs.028)."""

    transaction_id: str
    end_to_end_id: str
    uetr: str


@dataclass(frozen=True, slots=True)
class PaymentReturned:
    """A payment comes back, as a transfer of its own (pacs.004)."""

    return_id: str
    transaction_id: str
    end_to_end_id: str
    uetr: str
    amount: Money
    reason: str


@dataclass(frozen=True, slots=True)
class PaymentRecalled:
    """Please send it back (camt.056)."""

    recall_id: str
    transaction_id: str
    end_to_end_id: str
    uetr: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecallRefused:
    """No (camt.029)."""

    transaction_id: str
    end_to_end_id: str
    uetr: str
    reason: str
