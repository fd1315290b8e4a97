"""Recalls: a client wants a payment back that has settled.

SCT Inst knows one recall of a payment; so its id follows from the payment's, and asking again for the same reason is
answered the same.  It is claimed and appended as a payment is, on the way to the creditor's participant, who says yes
with a return of its own (pacs.004) or no (camt.029).  No money moves by the recall itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from agents.edge.gateway.claims import Claim
from agents.edge.gateway.documents import RecallStandingDocument
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.gateway.recall_windows import is_too_late, last_day
from agents.edge.projector_store import Status
from agents.edge.reader import event_of
from agents.edge.vault.port import Account
from agents.routing import NO_CYCLE
from agents.scheme_choice import first_scheme
from agents.streams import OUTBOUND
from pipeline.kernel.envelope import decode
from schemas.events import CreditTransfer, PaymentSubmitted, RecallRequested
from schemas.iso20022.bindings import moment_text

if TYPE_CHECKING:
    from agents.edge.producer import EdgeProducer
    from schemas.iso20022.walk import Content

PAYMENT: Final = "pay_"
RECALL: Final = "rcl_"


class RecallSubmission(NamedTuple):
    """A recall as a client asked for it."""

    payment: Claim
    reason: str
    client: str
    requested_us: int

    @property
    def claim_id(self) -> str:
        return recall_id_of(self.payment.claim_id)

    @property
    def accounts(self) -> Sequence[Account]:
        return ()

    @property
    def remainder(self) -> Content | None:
        return None

    def claim(self, tokens: Sequence[str], producer: EdgeProducer) -> Claim:
        transfer = transfer_of(self.payment)
        event = RecallRequested(
            recall_id=self.claim_id,
            recipient=transfer.creditor.agent,
            payment_id=transfer.payment_id,
            transaction_id=transfer.transaction_id,
            end_to_end_id=transfer.end_to_end_id,
            uetr=transfer.uetr,
            instructing_agent=transfer.debtor.agent,
            amount=transfer.amount,
            accepted_us=transfer.accepted_us,
            reason=self.reason,
            requested_us=self.requested_us,
        )
        counter = int.from_bytes(sha256(self.claim_id.encode()).digest()[:8], "big")
        output = producer.record(OUTBOUND, event.recipient, event, self.requested_us, counter)
        return Claim(
            claim_id=self.claim_id,
            tenant=self.payment.tenant,
            client=self.client,
            digest=sha256(self.reason.encode()).digest(),
            received_us=self.requested_us,
            verification_id="",
            record=output.record,
        )


def recall_id_of(payment_id: str) -> str:
    """Return the id of the one recall that a payment may have; it goes out as CxlId, of at most 35 characters."""
    return f"{RECALL}{payment_id.removeprefix(PAYMENT)[:30]}"


def recall_standing(recall: Claim, answer: tuple[str, str] | None) -> RecallStandingDocument:
    """Return how a claimed recall stands, given what the creditor's bank answered."""
    requested_at = moment_text(recall.received_us)
    if answer is None:
        return RecallStandingDocument(recall.claim_id, "requested", requested_at)
    reason, return_payment_id = answer
    status: Literal["returned", "refused"] = "returned" if return_payment_id else "refused"
    return RecallStandingDocument(recall.claim_id, status, requested_at, reason, return_payment_id or None)


def transfer_of(payment: Claim) -> CreditTransfer:
    """Return the transfer that was claimed."""
    event = event_of(decode(payment.record))
    if not isinstance(event, PaymentSubmitted):
        raise TypeError(f"{payment.claim_id} claims a {type(event).__name__}")
    return event.transfer


def check_recall(transfer: CreditTransfer, standing: Mapping[str, object] | None, reason: str, now_us: int) -> None:
    """Raise ``Problem`` unless the payment that stands so can be recalled now."""
    status = "accepted" if standing is None else str(standing["status"])
    if standing is None or status != Status.SETTLED:
        raise Problem(Kind.CONFLICT, f"only a settled payment can be recalled; this one is {status}")
    scheme = first_scheme(transfer.amount.currency)
    if not scheme.recalls_max:
        raise Problem(Kind.INVALID, f"{scheme.name} has no recall")
    if standing.get("cycle") == NO_CYCLE:
        raise Problem(Kind.INVALID, "a transfer inside one bank is not the scheme's to recall")
    settled_us = standing["ended_us"]
    if isinstance(settled_us, int) and is_too_late(reason, settled_us, now_us):
        raise Problem(Kind.INVALID, f"the last day of a recall for {reason} was {last_day(reason, settled_us)}")
