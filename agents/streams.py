"""The names of the streams and what each is keyed by."""

from __future__ import annotations

from typing import Final

PAYMENTS: Final = "payments"
"""Key: the token of the account - the debtor's for an order, the creditor's for a credit."""
CLEARING: Final = "clearing"
"""Key: a settlement account, ``BIC/currency``."""
OUTBOUND: Final = "outbound"
"""Key: the BIC of the participant the message is for."""
OUTCOMES: Final = "outcomes"
"""Key: the token of the debtor's account."""
CONTROL: Final = "control"
"""One shard: what everybody must hear comes in here and is broadcast from here."""
PARKED: Final = "parked"
"""Key: the hash of the record that was parked."""

ALL_STREAMS: Final = (CONTROL, PAYMENTS, CLEARING, OUTBOUND, OUTCOMES, PARKED)


def settlement_account(bic: str, currency: str) -> str:
    """Return the name of the settlement account of ``bic`` in ``currency``."""
    return f"{bic}/{currency}"
