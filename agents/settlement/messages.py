"""What the clearing tells participants in more than one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.settlement.transfers import ClearedTransfer, Identity, State
from agents.streams import OUTBOUND
from schemas.events import PaymentConfirmed

if TYPE_CHECKING:
    from pipeline.kernel.agent import Context


def confirm(recipient: str, identity: Identity, ended: ClearedTransfer, ctx: Context) -> None:
    """Tell ``recipient`` how a payment ended; to say it again is harmless, to say it another way is not."""
    settled = ended.state is State.SETTLED
    agent, transaction_id = identity
    confirmed = PaymentConfirmed(recipient, ended.payment_id, transaction_id, agent, settled, ended.reason, ended.cycle)
    ctx.emit(OUTBOUND, recipient, confirmed)
