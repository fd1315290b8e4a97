"""What the clearing checks of an order before it reserves anything: it trusts no hub.

A refusal moves no money and asks nobody.  The order is as it would be told to a person: first what is wrong with the
order itself, then whether it can still be in time, then who cannot be reached.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.directory import Directory
from agents.streams import settlement_account
from schemas.events import PaymentAuthorised
from schemas.schemes.profile import SchemeProfile


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is not taken."""

    reason: str
    """The scheme's code."""
    explanation: str


def refusal_of(order: PaymentAuthorised, scheme: SchemeProfile, directory: Directory, now_us: int) -> Refusal | None:
    """Return what speaks against ``order`` whatever the accounts hold, or None."""
    return _refusal_of_terms(order, scheme, now_us) or _refusal_of_participants(order, scheme, directory)


def _refusal_of_terms(order: PaymentAuthorised, scheme: SchemeProfile, now_us: int) -> Refusal | None:
    transfer, reasons, amount = order.transfer, scheme.reasons, order.transfer.amount
    if amount.currency != scheme.currency:
        return Refusal(reasons.invalid, f"{scheme.name} is for {scheme.currency}, not {amount.currency}")
    if scheme.amount_minor_max is not None and amount.minor > scheme.amount_minor_max:
        return Refusal(reasons.over_scheme_limit, f"{amount} is above the limit of {scheme.name}")
    if len(transfer.reference) > scheme.reference_length_max:
        return Refusal(reasons.invalid, f"{scheme.name} carries at most {scheme.reference_length_max} characters")
    if transfer.debtor.agent == transfer.creditor.agent:
        return Refusal(reasons.invalid, f"both sides are at {transfer.debtor.agent}: a book transfer, never cleared")
    late_us = now_us - transfer.accepted_us
    if late_us >= scheme.answer_us_max:
        return Refusal(reasons.too_late_on_arrival, f"accepted {late_us} us ago, too late for {scheme.name}")
    return None


def _refusal_of_participants(order: PaymentAuthorised, scheme: SchemeProfile, directory: Directory) -> Refusal | None:
    transfer, reasons = order.transfer, scheme.reasons
    creditor = transfer.creditor.agent
    entry = directory.find(creditor)
    if entry is None or scheme.name not in entry.schemes:
        return Refusal(reasons.unreachable, f"{creditor} cannot be reached by {scheme.name}")
    if not directory.is_available(creditor):
        return Refusal(reasons.creditor_agent_offline, f"{creditor} is off line")
    named = (order.debtor_settlement_account, order.creditor_settlement_account)
    for agent, account in zip((transfer.debtor.agent, creditor), named, strict=True):
        if account != _settles_in(agent, scheme.currency, directory):
            return Refusal(reasons.invalid, f"{agent} does not settle in {account[:16]!r}")
    return None


def cap_of(account: str, directory: Directory) -> int:
    """Return the net sender cap of a settlement account in minor units; 0 for one without."""
    bic, _, currency = account.rpartition("/")
    entry = directory.find(bic)
    return 0 if entry is None else entry.caps.get(currency, 0)


def _settles_in(agent: str, currency: str, directory: Directory) -> str | None:
    entry = directory.find(agent)
    return None if entry is None else settlement_account(entry.settles_through, currency)
