"""How the authorise stage says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.streams import OUTCOMES
from schemas.events import CreditTransfer, PaymentRejected

if TYPE_CHECKING:
    from pipeline.kernel.agent import Context

REFUSED_BY: Final = "authorise"


def refuse(transfer: CreditTransfer, reason: str, explanations: tuple[str, ...], ctx: Context) -> None:
    """Tell that ``transfer`` was refused, with the scheme's ``reason`` code and what a person should know."""
    rejected = PaymentRejected(transfer.payment_id, REFUSED_BY, reason, explanations, transfer.accepted_us)
    ctx.emit(OUTCOMES, transfer.debtor.account, rejected)
