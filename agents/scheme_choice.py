"""By which scheme a payment goes, and between which settlement accounts: a pure function of order and directory.

Each currency has its schemes, the first the best.  The first by which the creditor's bank can be reached is taken; the
debtor's bank only has to be known, since every order it may give came through us.  Both sides in one bank: a book
transfer, which no scheme carries; its currency's first scheme still says which codes are used and whether an order may
wait for a review, so that a bank's own customers get no other answers than everybody else.

What only depends on the two banks and the currency is worked out once and remembered until the directory changes; that
the order is within the scheme's limits is asked of each.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from agents.directory import Directory
from agents.streams import settlement_account
from schemas.events import CreditTransfer
from schemas.money import MINOR_DIGITS
from schemas.schemes.catalogue import SCHEMES
from schemas.schemes.profile import SchemeProfile

SCHEMES_BY_CURRENCY: Final = {
    "EUR": (SCHEMES["sct-inst"], SCHEMES["sct-inst-foreign"]),
    "GBP": (SCHEMES["fps"],),
}
_REMEMBERED_MAX = 10_000
if SCHEMES_BY_CURRENCY.keys() != MINOR_DIGITS.keys():
    raise ValueError("every supported currency needs its schemes")


class Route(NamedTuple):
    """How a payment goes."""

    scheme: SchemeProfile
    debtor_settlement_account: str
    """Empty, as is the next, for a book transfer."""
    creditor_settlement_account: str


class Refusal(NamedTuple):
    """Why a payment cannot go: the scheme's reason code, and what a person should know."""

    reason: str
    explanation: str


def first_scheme(currency: str) -> SchemeProfile:
    """Return the scheme whose codes speak for ``currency`` when no route is known."""
    return SCHEMES_BY_CURRENCY[currency][0]


class Routes:
    """The routes that a directory gives."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._revision = directory.revision
        self._between: dict[tuple[str, str, str], Route | Refusal] = {}

    def find(self, transfer: CreditTransfer) -> Route | Refusal:
        """Return how ``transfer`` goes, or why it cannot."""
        amount = transfer.amount
        banks = (transfer.debtor.agent, transfer.creditor.agent, amount.currency)
        if self._revision != self._directory.revision or len(self._between) > _REMEMBERED_MAX:
            self._between.clear()
            self._revision = self._directory.revision
        route = self._between.get(banks)
        if route is None:
            route = self._between[banks] = connect(*banks, self._directory)
        if isinstance(route, Refusal) or not route.debtor_settlement_account:
            return route
        scheme = route.scheme
        limit = scheme.amount_minor_max
        if limit is not None and amount.minor > limit:
            explanation = f"{scheme.name} carries at most {limit} minor units of {scheme.currency} at once"
            return Refusal(scheme.reasons.over_scheme_limit, explanation)
        if len(transfer.reference) > scheme.reference_length_max:
            explanation = f"{scheme.name} carries a reference of at most {scheme.reference_length_max} characters"
            return Refusal(scheme.reasons.invalid, explanation)
        return route


def connect(debtor_agent: str, creditor_agent: str, currency: str, directory: Directory) -> Route | Refusal:
    """Return how money of ``currency`` goes from one bank to the other, or why it cannot."""
    schemes = SCHEMES_BY_CURRENCY[currency]
    debtor = directory.find(debtor_agent)
    if debtor is None:
        return Refusal(schemes[0].reasons.invalid, f"{debtor_agent}, the debtor's bank, is no participant")
    if debtor_agent == creditor_agent:
        return Route(schemes[0], "", "")
    creditor = directory.find(creditor_agent)
    if creditor is None:
        return Refusal(schemes[0].reasons.unreachable, f"{creditor_agent}, the creditor's bank, is no participant")
    for scheme in schemes:
        if scheme.name in creditor.schemes:
            break
    else:
        return Refusal(schemes[0].reasons.unreachable, f"{creditor_agent} cannot be reached in {currency}")
    if not directory.is_available(creditor_agent):
        return Refusal(scheme.reasons.creditor_agent_offline, f"{creditor_agent} is not available")
    return Route(
        scheme,
        settlement_account(debtor.settles_through, currency),
        settlement_account(creditor.settles_through, currency),
    )
