"""Send an order on its way: to the clearing, to the other account of the same bank, or back.

How an order goes was found from the directory (``scheme_choice``); here it goes.  An order for the clearing is keyed
by the debtor's settlement account, so that one shard enforces its cap in order.  A book transfer is settled with this:
no settlement account moves, the outcome says so (cycle -1), and the creditor's side is told to the creditor's shard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.fraud.agent import PaymentScored
from agents.refusals import refuse
from agents.scheme_choice import Refusal, Route
from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from schemas.events import AccountCredited, CreditTransfer, PaymentAuthorised, PaymentSettled

if TYPE_CHECKING:
    from pipeline.kernel.agent import Context, Handlers

NO_CYCLE: Final = -1


class Routing:
    """The last agent of the authorise stage."""

    def handlers(self) -> Handlers:
        """Return what this agent handles."""
        return {PaymentScored: self.send}

    def send(self, scored: PaymentScored, ctx: Context) -> None:
        """Emit the decision."""
        transfer, route, score = scored
        if isinstance(route, Refusal):
            refuse(transfer, route.reason, (route.explanation,), ctx)
        elif route.debtor_settlement_account:
            _clear(transfer, route, score, ctx)
        else:
            _book(transfer, ctx)


def _clear(transfer: CreditTransfer, route: Route, score: int, ctx: Context) -> None:
    scheme, debtor_settlement_account, creditor_settlement_account = route
    authorised = PaymentAuthorised(transfer, scheme.name, debtor_settlement_account, creditor_settlement_account, score)
    ctx.emit(CLEARING, debtor_settlement_account, authorised)


def _book(transfer: CreditTransfer, ctx: Context) -> None:
    payment_id, debtor, creditor, amount = transfer.payment_id, transfer.debtor, transfer.creditor, transfer.amount
    settled = PaymentSettled(payment_id, amount, "", "", NO_CYCLE, transfer.accepted_us)
    ctx.emit(OUTCOMES, debtor.account, settled)
    ctx.emit(PAYMENTS, creditor.account, AccountCredited(payment_id, debtor, creditor, amount, ctx.now_us))
