"""What the gateway does for a client, whatever the wire: the use cases behind ``api``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from agents.edge.gateway import json_orders, xml_orders
from agents.edge.gateway.claims import Claim, Standing
from agents.edge.gateway.clients import Client, Clients
from agents.edge.gateway.documents import (
    AcceptedDocument,
    AmountDocument,
    LinksDocument,
    PaymentDocument,
    RecallAcceptedDocument,
    RecallDocument,
    VerificationDocument,
    VerificationResultDocument,
)
from agents.edge.gateway.intake import Intake
from agents.edge.gateway.orders import ClaimIdentity, Order
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.gateway.rates import Rates
from agents.edge.gateway.recalls import (
    PAYMENT,
    RecallSubmission,
    check_recall,
    recall_id_of,
    recall_standing,
    transfer_of,
)
from agents.edge.gateway.statuses import PaymentStatuses
from agents.edge.gateway.submissions import PaymentSubmission
from agents.edge.gateway.verification import Verifications
from pipeline.observe import metric_defs as defs
from pipeline.observe.metrics import Metrics
from pipeline.ports import Clock
from schemas import edge
from schemas.errors import InvalidEventError
from schemas.iso20022.bindings import moment_text
from schemas.iso20022.elements import amount
from schemas.money import MINOR_DIGITS, Money

JSON: Final = "application/json"
XML: Final = "application/xml"
_MICROSECONDS: Final = 1_000_000
_BEARER: Final = "bearer "
Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client says beside the body of an order."""

    key: str
    media_type: str
    verification_id: str
    """Of an order in XML; one in JSON says it inside."""
    wait_seconds: float
    """How long the answer may wait for the outcome."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """All use cases."""

    clients: Clients | Client
    """One client for whoever asks: an open gateway."""
    rates: Rates
    intake: Intake
    statuses: PaymentStatuses
    verifications: Verifications
    clock: Clock
    metrics: Metrics

    def admit(self, authorization: str, certificate: str) -> Client:
        """Return who asks, if it may ask now; raise ``Problem`` if not.

        ``certificate`` is the SHA-256 of the connection's, in hex; both are empty where there is none.
        """
        client = self._who(authorization, certificate)
        self.rates.count(client, self.clock.now_us())
        return client

    async def submit(self, client: Client, wanted: Wanted, body: bytes) -> AcceptedDocument | PaymentDocument:
        """Return the answer to an order: that the log has it, or how it stands if that is waited for and known."""
        received_us = self.clock.now_us()
        identity = ClaimIdentity(client.tenant, wanted.key)
        order = _read(identity, wanted, body, received_us)
        if not client.may_submit_for(order.untold.debtor.agent):
            raise Problem(Kind.FORBIDDEN, f"{client.name} may not submit orders of this debtor's agent", reason="AG01")
        claim = await self.intake.submit(PaymentSubmission(order, client.name, received_us))
        self.metrics.histogram(defs.ANSWER).observe((self.clock.now_us() - received_us) / _MICROSECONDS)
        if wanted.wait_seconds:
            standing = await self.statuses.outcome(claim.claim_id, wanted.wait_seconds)
            if standing is not None:
                return _payment(claim, standing, await self._verification_of(claim))
        return AcceptedDocument(claim.claim_id, "accepted", moment_text(claim.received_us), _links(claim.claim_id))

    async def payment(self, client: Client, payment_id: str) -> PaymentDocument:
        """Return how a payment of the client's tenant stands."""
        claim = await self.claim(client, payment_id)
        told = _payment(claim, await self.statuses.of(payment_id), await self._verification_of(claim))
        recall = await self._standing(recall_id_of(payment_id))
        if recall is None:
            return told
        answer = await self.statuses.recall_answer(payment_id)
        return replace(told, recall=recall_standing(recall.claim, answer))

    async def verify(self, client: Client, body: bytes) -> VerificationResultDocument:
        """Return what the payee's bank says of a name."""
        return await self.verifications.verify(client, _document(body, VerificationDocument))

    async def recall(self, client: Client, payment_id: str, body: bytes) -> RecallAcceptedDocument:
        """Return the answer to a recall: that the log has it."""
        asked = _document(body, RecallDocument)
        payment = await self.claim(client, payment_id)
        now_us = self.clock.now_us()
        recall = RecallSubmission(payment, asked.reason, client.name, now_us)
        if await self._standing(recall.claim_id) is None:
            check_recall(transfer_of(payment), await self.statuses.of(payment_id), asked.reason, now_us)
        claim = await self.intake.submit(recall)
        return RecallAcceptedDocument(claim.claim_id, payment_id, "requested", moment_text(claim.received_us))

    async def claim(self, client: Client, payment_id: str) -> Claim:
        """Return the claim of a payment of the client's tenant; raise ``Problem`` if there is none."""
        standing = await self._standing(payment_id) if payment_id.startswith(PAYMENT) else None
        if standing is None or standing.claim.tenant != client.tenant:
            raise Problem(Kind.NOT_FOUND, "no payment of this tenant has this id")
        return standing.claim

    async def _standing(self, claim_id: str) -> Standing | None:
        stores = self.intake.stores
        (standing,) = await stores.ask(stores.claims.standing, [claim_id])
        return standing

    def _who(self, authorization: str, certificate: str) -> Client:
        if isinstance(self.clients, Client):
            return self.clients
        if authorization[: len(_BEARER)].lower() == _BEARER:
            token = authorization[len(_BEARER) :].strip()
            return self.clients.of_token(token, self.clock.now_us() / _MICROSECONDS)
        return self.clients.of_certificate(certificate)

    async def _verification_of(self, claim: Claim) -> VerificationResultDocument | None:
        if not claim.verification_id:
            return None
        return await self.verifications.find(claim.tenant, claim.verification_id)


def _document(body: bytes, shape: type[Shape]) -> Shape:
    try:
        return edge.read(body, shape)
    except InvalidEventError as failure:
        raise Problem(Kind.INVALID, str(failure.faults[0]), faults=failure.faults) from None


def _read(identity: ClaimIdentity, wanted: Wanted, body: bytes, received_us: int) -> Order:
    if wanted.media_type == JSON:
        return json_orders.read_order(body, identity, received_us)
    return xml_orders.read_order(body, identity, received_us, wanted.verification_id)


def _links(payment_id: str) -> LinksDocument:
    return LinksDocument(self=f"/payments/{payment_id}", recall=f"/payments/{payment_id}/recall")


def _payment(
    claim: Claim, standing: Mapping[str, object] | None, verification: VerificationResultDocument | None
) -> PaymentDocument:
    said = standing or {"status": "accepted"}
    ended_us, cycle, minor = said.get("ended_us"), said.get("cycle"), said.get("minor")
    return PaymentDocument(
        payment_id=claim.claim_id,
        status=said["status"],  # type: ignore[arg-type]  # one of the projector's, which the document lists
        accepted_at=moment_text(claim.received_us),
        links=_links(claim.claim_id),
        ended_at=moment_text(ended_us) if isinstance(ended_us, int) else None,
        reason=str(said.get("reason") or "") or None,
        detail=str(said.get("detail") or "") or None,
        amount=_amount(minor, str(said.get("currency"))) if isinstance(minor, int) else None,
        cycle=cycle if isinstance(cycle, int) else None,
        payee_verification=verification,
    )


def _amount(minor: int, currency: str) -> AmountDocument | None:
    if currency not in MINOR_DIGITS:
        return None
    value, _ = amount(Money(minor, currency))
    return AmountDocument(value, currency)  # type: ignore[arg-type]  # a supported one
