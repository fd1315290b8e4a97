"""Who claimed a payment first, and with what: the gateway's memory, and what makes a retry the same payment.

    claimed    durable, with the record to append, before the append         a crash from here on is repaired
    appended   the log has the record                                        the client may be answered

A payment's claim id is its payment id, which is derived from tenant and Idempotency-Key.  The first claim stays for
ever; a retry is answered from it, and another body under the same key is a conflict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed under an id."""

    claim_id: str
    tenant: str
    client: str
    digest: bytes
    """Of what a retry must repeat."""
    received_us: int
    verification_id: str
    """Of the verification of payee that the payer saw; may be empty."""
    record: bytes
    """As it goes, and if need be goes again, to the log."""


class Standing(NamedTuple):
    """The claim that stands under an id."""

    claim: Claim
    appended: bool
    """False also where the log has the record, and the store has not been told yet."""


class ClaimStore(Protocol):
    """Keeps claims.  Several gateways may share a store where it says so."""

    def epoch(self, now_us: int) -> int:
        """Return when the store was made: of the producer of its records."""

    def require_fact(self, name: str, value: str) -> None:
        """Raise ``EdgeError`` if something else than ``value`` was said of ``name`` before."""

    def standing(self, claim_ids: Sequence[str]) -> list[Standing | None]:
        """Return what stands under each id."""

    def claim(self, wanted: Sequence[Claim], appended: Collection[str]) -> list[Standing]:
        """Claim, durably, and note what was appended; return what stands for each: itself, or who came first.

        No id is in ``wanted`` twice.
        """

    def unappended(self) -> Iterator[Claim]:
        """Return the claims of which nobody knows whether the log has their records."""

    def keep(self, document_id: str, content: bytes) -> bytes:
        """Keep, durably, what came first under an id, and return that."""

    def kept(self, document_id: str) -> bytes | None:
        """Return what was kept under an id."""

    def close(self) -> None:
        """Release what is held."""
