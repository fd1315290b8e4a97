"""Payment orders as people and companies give them: what for, how much, and under which identities.

An ``Order`` is a credit transfer before it was accepted: everything but the time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from agents.edge.workload.draws import Draws
from schemas.events import CreditTransfer, Party
from schemas.money import Money

NOT_PROVIDED: Final = "NOTPROVIDED"
_NOT_PROVIDED_PER_TEN_THOUSAND = 3_500


@dataclass(frozen=True, slots=True)
class Order:
    """A payment order without the time of its acceptance."""

    payment_id: str
    transaction_id: str
    end_to_end_id: str
    uetr: str
    debtor: Party
    creditor: Party
    amount: Money
    reference: str

    def accepted(self, accepted_us: int) -> CreditTransfer:
        """Return the credit transfer as accepted at ``accepted_us``."""
        return CreditTransfer(
            payment_id=self.payment_id,
            transaction_id=self.transaction_id,
            end_to_end_id=self.end_to_end_id,
            uetr=self.uetr,
            debtor=self.debtor,
            creditor=self.creditor,
            amount=self.amount,
            accepted_us=accepted_us,
            reference=self.reference,
        )


class Purpose(NamedTuple):
    """What payments are made for."""

    name: str
    share: int
    low_minor: int
    high_minor: int
    step_minor: int
    skewed: bool
    """Small amounts far more often than large ones."""
    reference: str
    """At most 18 characters, which is what Faster Payments carries."""


PURPOSES: Final = (
    Purpose("coffee", 22, 220, 890, 5, skewed=False, reference="COFFEE"),
    Purpose("groceries", 20, 800, 14_000, 1, skewed=True, reference="GROCERIES"),
    Purpose("round", 18, 500, 20_000, 500, skewed=True, reference="THANK YOU"),
    Purpose("bill", 15, 2_500, 22_000, 1, skewed=True, reference="BILL"),
    Purpose("rent", 5, 60_000, 165_000, 2_500, skewed=False, reference="RENT"),
    Purpose("salary", 5, 140_000, 480_000, 1, skewed=True, reference="SALARY"),
    Purpose("invoice", 13, 5_000, 350_000, 1, skewed=True, reference="INVOICE"),
    Purpose("savings", 2, 50_000, 600_000, 10_000, skewed=True, reference="SAVINGS"),
)
_SHARES = list(accumulate(purpose.share for purpose in PURPOSES))


def draw_purpose(draws: Draws) -> Purpose:
    """Draw what a payment is for."""
    return PURPOSES[bisect_right(_SHARES, draws.below(_SHARES[-1]))]


def draw_amount(draws: Draws, purpose: Purpose, currency: str) -> Money:
    """Draw an amount that fits the purpose."""
    steps = (purpose.high_minor - purpose.low_minor) // purpose.step_minor + 1
    step = draws.small(steps) if purpose.skewed else draws.below(steps)
    return Money(purpose.low_minor + step * purpose.step_minor, currency)


def make_order(seed: int, index: int, debtor: Party, creditor: Party, amount: Money, reference: str) -> Order:
    """Return the order that is submitted at ``index``, with identities of its own."""
    draws = Draws(seed, "identity", index)
    token = draws.token()
    provided = not draws.happens(_NOT_PROVIDED_PER_TEN_THOUSAND)
    return Order(
        payment_id=f"pay_{token}",
        transaction_id=f"TX{draws.token().upper()}",
        end_to_end_id=f"E2E-{token[:16].upper()}" if provided else NOT_PROVIDED,
        uetr=draws.uetr(),
        debtor=debtor,
        creditor=creditor,
        amount=amount,
        reference=reference,
    )
