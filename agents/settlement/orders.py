"""An order comes: forward it, refuse it, or recognise it.

An order of the same identity and content is a repeat and moves nothing.  Under the same payment id it is the same
order again; under another it ends as ``PaymentRepeated``.  It is never refused: the sender knows one transaction by
that identity, and would take the refusal for the first one's outcome.  It is told how the first ended, if it has.

The same identity or UETR with other content is refused as a duplicate.  If it has the payment id of what it conflicts
with, it is parked, since that id has, or will have, its one outcome.

Every refusal ends in one outcome and one confirmation to the sender, and claims what it can: an id that failed stays
failed.  What is forwarded holds a reservation and a deadline from here on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.settlement.checks import Refusal, cap_of, refusal_of
from agents.settlement.messages import confirm
from agents.settlement.transfers import (
    ClearedTransfer,
    OpenTransfer,
    State,
    Transfers,
    fingerprint,
    identity_of,
)
from agents.streams import OUTBOUND, OUTCOMES
from pipeline.kernel.hashrange import hash_key
from schemas.events import PaymentAuthorised, PaymentForwarded, PaymentRejected, PaymentRepeated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.directory import Directory
    from agents.settlement.positions import Positions
    from pipeline.kernel.agent import Context
    from schemas.schemes.profile import SchemeProfile

REFUSED_BY = "clearing"


class Orders:
    """Takes orders in for the clearing."""

    def __init__(
        self,
        transfers: Transfers,
        positions: Positions,
        directory: Directory,
        schemes: Mapping[str, SchemeProfile],
        open_payments_max: int,
    ) -> None:
        self._transfers = transfers
        self._positions = positions
        self._directory = directory
        self._schemes = schemes
        self._open_payments_max = open_payments_max

    def take(self, order: PaymentAuthorised, ctx: Context) -> None:
        """Forward an order, or say why not."""
        payment_id = order.transfer.payment_id
        scheme = self._schemes.get(order.scheme)
        if scheme is None:
            return ctx.park(f"payment {payment_id}: unknown scheme {order.scheme[:16]!r}")
        if ctx.hashed != hash_key(order.debtor_settlement_account):
            return ctx.park(f"payment {payment_id}: its record is not keyed by its debtor's settlement account")
        first = self._transfers.find(identity_of(order))
        if first is not None and _is_same(first, order):
            return self._repeat(first, order, ctx)
        holders = self._transfers.holders(order)
        if payment_id in holders:
            return ctx.park(f"payment {payment_id}: its id came again with other content")
        if holders:
            refusal: Refusal | None = Refusal(scheme.reasons.duplicate, f"its identity belongs to payment {holders[0]}")
        else:
            refusal = refusal_of(order, scheme, self._directory, ctx.now_us) or self._over_limit(order, scheme, ctx)
        if refusal is None:
            return self._forward(order, scheme, ctx)
        return self._refuse(order, refusal, ctx)

    def _repeat(self, first: OpenTransfer | ClearedTransfer, order: PaymentAuthorised, ctx: Context) -> None:
        transfer = order.transfer
        if transfer.payment_id != first.payment_id:
            repeated = PaymentRepeated(transfer.payment_id, of=first.payment_id)
            ctx.emit(OUTCOMES, transfer.debtor.account, repeated)
        if isinstance(first, ClearedTransfer):
            confirm(transfer.debtor.agent, identity_of(order), first, ctx)

    def _over_limit(self, order: PaymentAuthorised, scheme: SchemeProfile, ctx: Context) -> Refusal | None:
        account, participant = order.debtor_settlement_account, order.transfer.debtor.agent
        if self._positions.open_payments(account, participant) >= self._open_payments_max:
            explanation = f"{participant} has {self._open_payments_max} payments open, the most we take"
            return Refusal(scheme.reasons.too_many_open, explanation)
        cap = cap_of(account, self._directory)
        exposure = self._positions.exposure_minor(account, ctx)
        if exposure + order.transfer.amount.minor > cap:
            explanation = f"{account} is exposed with {exposure} of its cap of {cap}: too little for this payment"
            return Refusal(scheme.reasons.over_cap, explanation)
        return None

    def _refuse(self, order: PaymentAuthorised, refusal: Refusal, ctx: Context) -> None:
        transfer = order.transfer
        refused = self._transfers.refuse(order, refusal.reason)
        rejected = PaymentRejected(
            transfer.payment_id, REFUSED_BY, refusal.reason, (refusal.explanation,), transfer.accepted_us
        )
        ctx.emit(OUTCOMES, transfer.debtor.account, rejected)
        confirm(transfer.debtor.agent, identity_of(order), refused, ctx)

    def _forward(self, order: PaymentAuthorised, scheme: SchemeProfile, ctx: Context) -> None:
        transfer, account = order.transfer, order.debtor_settlement_account
        # An acceptance from the future counts from now: no bad clock keeps a reservation longer than the scheme does.
        deadline_us = min(transfer.accepted_us, ctx.now_us) + scheme.answer_us_max
        self._positions.reserve(account, transfer.debtor.agent, transfer.amount)
        self._transfers.wait(OpenTransfer(State.FORWARDED, order, deadline_us, due_us=deadline_us), ctx)
        forwarded = PaymentForwarded(transfer, order.scheme, account, deadline_us)
        ctx.emit(OUTBOUND, transfer.creditor.agent, forwarded)


def _is_same(first: OpenTransfer | ClearedTransfer, order: PaymentAuthorised) -> bool:
    known = first.fingerprint if isinstance(first, ClearedTransfer) else fingerprint(first.order)
    return known == fingerprint(order)
