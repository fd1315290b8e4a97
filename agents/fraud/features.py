"""What the score looks at: a few integers drawn from an account's state before the order in hand is added to it.

"Usual" is the account's own: what it did per payment or per day in the last 30 days, today left out.  An account that
has not lived a day, or hardly ever paid, has nothing usual, and the features that compare with it are 0: nobody is
suspected for being new.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from agents.fraud.account import Account
from agents.fraud.windows import DAY_US, NEW_PAYEES, ORDERS, PAYMENTS_OUT, SUM_IN, SUM_OUT

HABIT_MIN: Final = 5
"""So many payments make a habit; so many orders an hour, or new payees a day, are worth comparing with it."""
PASSED_THROUGH_MINOR_MIN: Final = 500_00
"""Money that passes through is looked at from this much a day."""
_MONTH_DAYS = 30


class Features(NamedTuple):
    """Integers only; a percentage is cut down to a whole one."""

    amount_percent_of_usual: int
    """The amount, of the mean of the last 30 days."""
    new_payee: int
    """1 for an account that has a habit of paying, but not this payee."""
    orders_percent_of_usual: int
    """Orders of the last hour, refused ones and this one included, of the payments on a usual day."""
    new_payees_percent_of_usual: int
    """New payees of the last 24 hours, of those on a usual day."""
    passed_through_percent: int
    """What would have left within 24 hours with this payment, of what came in."""
    own_step_as_payee: int
    """The payer's own risk as a payee."""
    idle_days: int
    """Since the account was last seen."""
    payee_step: int
    """The payee's risk, as every shard was told."""


def features_of(
    account: Account,
    amount_minor: int,
    now_us: int,
    is_new_payee: bool,  # noqa: FBT001 - once a payment: what keywords cost would show
    own_step: int,
    payee_step: int,
) -> Features:
    """Return the features of an order of ``account``, whose windows stand at ``now_us``."""
    windows = account.windows
    counters, day, month = windows.counters, windows.day, windows.month
    paid = counters[PAYMENTS_OUT] - month[PAYMENTS_OUT]
    new_payee = amount_percent = orders_percent = new_payees_percent = passed_through_percent = 0
    if paid >= HABIT_MIN:
        new_payee = int(is_new_payee)
        amount_percent = amount_minor * paid * 100 // (counters[SUM_OUT] - month[SUM_OUT])
        days_before = min((now_us - account.opened_us) // DAY_US, _MONTH_DAYS)
        if days_before:
            orders = counters[ORDERS] - windows.hour[ORDERS] + 1
            if orders >= HABIT_MIN:
                before = day[PAYMENTS_OUT] - month[PAYMENTS_OUT]
                orders_percent = orders * 100 * days_before // max(before, 1)
            new_payees = counters[NEW_PAYEES] - day[NEW_PAYEES] + is_new_payee
            if new_payees >= HABIT_MIN:
                before = day[NEW_PAYEES] - month[NEW_PAYEES]
                new_payees_percent = new_payees * 100 * days_before // max(before, 1)
    came_in = counters[SUM_IN] - day[SUM_IN]
    if came_in >= PASSED_THROUGH_MINOR_MIN:
        passed_through_percent = (counters[SUM_OUT] - day[SUM_OUT] + amount_minor) * 100 // came_in
    return Features(
        amount_percent,
        new_payee,
        orders_percent,
        new_payees_percent,
        passed_through_percent,
        own_step,
        (now_us - account.seen_us) // DAY_US,
        payee_step,
    )
