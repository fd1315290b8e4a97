"""What the intake takes in: something to claim under an id, with the record that says it to the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agents.edge.gateway.claims import Claim
from agents.edge.vault.port import Account
from agents.streams import PAYMENTS
from schemas.events import PaymentSubmitted

if TYPE_CHECKING:
    from agents.edge.gateway.orders import Order
    from agents.edge.producer import EdgeProducer
    from schemas.iso20022.walk import Content


class Submission(Protocol):
    """Something that a client submits."""

    @property
    def claim_id(self) -> str:
        """The id to claim."""

    @property
    def accounts(self) -> Sequence[Account]:
        """The accounts in it, whose tokens its claim needs."""

    @property
    def remainder(self) -> Content | None:
        """What the vault is to keep of it under its id."""

    def claim(self, tokens: Sequence[str], producer: EdgeProducer) -> Claim:
        """Return what to claim, given the tokens of the accounts."""


class PaymentSubmission(NamedTuple):
    """An order as a client submitted it."""

    order: Order
    client: str
    received_us: int

    @property
    def claim_id(self) -> str:
        return self.order.identity.payment_id

    @property
    def accounts(self) -> Sequence[Account]:
        order = self.order
        return [Account(order.identity.tenant, number) for number in (order.debtor_number, order.creditor_number)]

    @property
    def remainder(self) -> Content | None:
        return self.order.remainder

    def claim(self, tokens: Sequence[str], producer: EdgeProducer) -> Claim:
        order, client, received_us = self
        debtor_token, creditor_token = tokens
        event = PaymentSubmitted(order.transfer(debtor_token, creditor_token))
        output = producer.record(PAYMENTS, debtor_token, event, received_us, order.identity.counter)
        return Claim(
            claim_id=order.identity.payment_id,
            tenant=order.identity.tenant,
            client=client,
            digest=order.digest(debtor_token, creditor_token),
            received_us=received_us,
            verification_id=order.verification_id,
            record=output.record,
        )
