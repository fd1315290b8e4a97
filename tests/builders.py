"""Builders: a valid event with one line, and what matters to the test said in it.

a_transfer(7, amount=eur("10.00"))          another number is another payment
a_participant(BANK_A, schemes=("fps",))
"""

from __future__ import annotations

from schemas.events import CreditTransfer, ParticipantListed, Party
from schemas.money import Money
from tests.stage_under_test import START_US

BANK_A = "ALFADEFF"
BANK_B = "BRAVDEFF"
PAYER = "account-of-payer"
PAYEE = "account-of-payee"

_ALL_SCHEMES = ("sct-inst", "fps")
_MINOR_DIGITS = 2


def eur(amount: str) -> Money:
    """Return euros: ``eur("10.00")``."""
    return Money(_minor(amount), "EUR")


def gbp(amount: str) -> Money:
    """Return pounds: ``gbp("10.00")``."""
    return Money(_minor(amount), "GBP")


def a_party(account: str = PAYER, agent: str = BANK_A) -> Party:
    """Return one side of a payment."""
    return Party(account, agent)


def a_transfer(
    number: int = 1,
    *,
    amount: Money | None = None,
    debtor: Party | None = None,
    creditor: Party | None = None,
    accepted_us: int = START_US,
    payment_id: str | None = None,
    end_to_end_id: str = "NOTPROVIDED",
    reference: str = "",
) -> CreditTransfer:
    """Return payment ``number`` from the payer at bank A to the payee at bank B; all identities come from the number.

    Only the payment id can be set on its own: for an order that comes again under another id of ours.
    """
    return CreditTransfer(
        payment_id=payment_id or f"payment-{number}",
        transaction_id=f"tx-{number}",
        end_to_end_id=end_to_end_id,
        uetr=f"{number:08x}-0000-4000-8000-{number:012x}",
        debtor=debtor or a_party(),
        creditor=creditor or a_party(PAYEE, BANK_B),
        amount=amount or eur("10.00"),
        accepted_us=accepted_us,
        reference=reference,
    )


def a_participant(
    bic: str = BANK_A,
    *,
    settles_through: str | None = None,
    schemes: tuple[str, ...] = _ALL_SCHEMES,
    caps: dict[str, int] | None = None,
    available: bool = True,
) -> ParticipantListed:
    """Return an entry of the directory: by default a bank that settles for itself, with ample caps."""
    if caps is None:
        caps = {} if settles_through else {"EUR": 100_000_000_00, "GBP": 100_000_000_00}
    return ParticipantListed(bic, settles_through or bic, schemes, caps, available)


def _minor(amount: str) -> int:
    whole, _, fraction = amount.partition(".")
    if len(fraction) != _MINOR_DIGITS:
        message = f"write an amount with {_MINOR_DIGITS} decimals, not {amount!r}"
        raise ValueError(message)
    return int(whole + fraction)
