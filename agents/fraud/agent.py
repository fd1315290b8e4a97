"""Score each order, and let it go, hold it or refuse it.

An account's windows learn from its orders (payer side, here) and from its credits (payee side, as ``AccountCredited``
on the account's own shard); of the payee of an order in hand only what every shard was told is known.  An order is
scored against what was known before it.

What is learned from an order that is refused or held: only that it was tried.  It counts among the hour's orders,
since a burst of refused orders is a burst.  Its amount is in no sum and its payee stays new: otherwise a refused order
would be usual at the third try.  An order that cannot be routed is not scored and teaches nothing; so it is here that
the route is found, and the scheme of the route says whether an order may be held.  Where it may not (SCT Inst: the
clock runs from acceptance), an order that should be reviewed is executed with its score on it: it is refused only from
``BLOCK`` on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agents.directory import Directory
from agents.fraud.account import Account, AccountCodec, fingerprint, moved_to_front, place_of
from agents.fraud.features import Features, features_of
from agents.fraud.payee_risk import RiskyPayees, step_of, to_be_told
from agents.fraud.scorecard import BLOCK, REVIEW, reasons, score
from agents.fraud.windows import (
    COUNTED_MINOR_MAX,
    NEW_PAYEES,
    NEW_PAYERS,
    ORDERS,
    PAYMENTS_IN,
    PAYMENTS_OUT,
    SUM_IN,
    SUM_OUT,
)
from agents.refusals import refuse
from agents.scheme_choice import Refusal, Route, Routes
from agents.streams import OUTCOMES, PAYMENTS
from agents.table_numbers import ACCOUNTS
from schemas.events import (
    AccountCredited,
    CreditTransfer,
    PayeeRiskChanged,
    PaymentHeld,
    PaymentSubmitted,
)
from schemas.schemes.profile import SchemeProfile

if TYPE_CHECKING:
    from pipeline.kernel.agent import Context, Handlers
    from pipeline.kernel.tables import Tables


class PaymentScored(NamedTuple):
    """Never in a log: an order that fraud let go, for routing."""

    transfer: CreditTransfer
    route: Route | Refusal
    score: int


class Fraud:
    """Keeps an account's state on the account's shard and scores the orders it gives."""

    def __init__(self, tables: Tables, directory: Directory) -> None:
        self._accounts = tables.keyed(ACCOUNTS, AccountCodec())
        self._risky_payees = RiskyPayees(tables)
        self._routes = Routes(directory)

    def handlers(self) -> Handlers:
        """Return what this agent handles."""
        return {
            PaymentSubmitted: self.judge,
            AccountCredited: self.learn_credit,
            PayeeRiskChanged: self.note_payee_risk,
        }

    def judge(self, payment: PaymentSubmitted, ctx: Context) -> PaymentScored | None:
        """Return the order with its score if it may go; otherwise end it here."""
        transfer = payment.transfer
        route = self._routes.find(transfer)
        if isinstance(route, Refusal):
            return PaymentScored(transfer, route, 0)
        now_us = ctx.now_us
        amount, payee = transfer.amount, transfer.creditor.account
        amount_minor = min(amount.minor, COUNTED_MINOR_MAX)
        currency = amount.currency.encode()
        account = self._account(currency, now_us)
        payee_fingerprint = fingerprint(payee)
        place = place_of(account.payees, payee_fingerprint)
        own_step = step_of(account, now_us)
        payee_step = self._risky_payees.step_of(payee, payee_fingerprint, now_us)
        features = features_of(account, amount_minor, now_us, place < 0, own_step, payee_step)
        points = score(features)
        counters = account.windows.counters
        counters[ORDERS] += 1
        account.seen_us = now_us
        goes = points < REVIEW or _lets_go(transfer, route.scheme, features, points, ctx)
        if goes:
            counters[PAYMENTS_OUT] += 1
            counters[SUM_OUT] += amount_minor
            if place:
                counters[NEW_PAYEES] += place < 0
                account.payees = moved_to_front(account.payees, payee_fingerprint, place)
            if own_step:
                self._tell_own_risk(account, transfer.debtor.account, ctx)
        self._accounts.put(account, currency)
        return PaymentScored(transfer, route, points) if goes else None

    def learn_credit(self, credited: AccountCredited, ctx: Context) -> None:
        """Add a credit to the payee side of the account."""
        now_us = ctx.now_us
        currency = credited.amount.currency.encode()
        account = self._account(currency, now_us)
        payer_fingerprint = fingerprint(credited.debtor.account)
        place = place_of(account.payers, payer_fingerprint)
        counters = account.windows.counters
        counters[PAYMENTS_IN] += 1
        counters[SUM_IN] += min(credited.amount.minor, COUNTED_MINOR_MAX)
        if place:
            counters[NEW_PAYERS] += place < 0
            account.payers = moved_to_front(account.payers, payer_fingerprint, place)
        account.seen_us = now_us
        self._tell_own_risk(account, credited.creditor.account, ctx)
        self._accounts.put(account, currency)

    def note_payee_risk(self, told: PayeeRiskChanged, _ctx: Context) -> None:
        """Remember what another shard, or this one, told about a payee."""
        self._risky_payees.note(told, fingerprint(told.account))

    def _account(self, currency: bytes, now_us: int) -> Account:
        """Return the account of the record in hand, with its windows moved to now; new if it was never seen."""
        account = self._accounts.get(currency)
        if account is None:
            account = Account(now_us)
        account.windows.advance(now_us)
        return account

    def _tell_own_risk(self, account: Account, token: str, ctx: Context) -> None:
        step = step_of(account, ctx.now_us)
        if step:
            told = to_be_told(account, token, step, ctx.now_us)
            if told is not None:
                ctx.broadcast(PAYMENTS, told)


def _lets_go(transfer: CreditTransfer, scheme: SchemeProfile, features: Features, points: int, ctx: Context) -> bool:
    """Refuse or hold an order with a high score, or say that it goes all the same."""
    if points >= BLOCK:
        refuse(transfer, scheme.reasons.suspected_fraud, reasons(features), ctx)
        return False
    if scheme.may_hold:
        held = PaymentHeld(transfer.payment_id, points, reasons(features), transfer.accepted_us)
        ctx.emit(OUTCOMES, transfer.debtor.account, held)
        return False
    return True
