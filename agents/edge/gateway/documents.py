"""What a client sends and gets as JSON: the shapes, as OpenAPI tells them and as they are read.

What is sent is read by ``schemas.edge``: nothing is coerced, no field is unknown, none is there twice.  Lengths and
characters are those of the elements of a pacs.008 that the fields become (``json_orders``).  An optional text that is
not given is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, with_config

_STRICT: Final = ConfigDict(strict=True, extra="forbid")

_Name = Annotated[str, Field(min_length=1, max_length=140, pattern=r"^[^\x00-\x1f\x7f\ufffe\uffff]*$")]
_Reference = Annotated[str, Field(max_length=140, pattern=r"^[^\x00-\x1f\x7f\ufffe\uffff]*$")]
_Bic = Annotated[str, Field(pattern=r"^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$", examples=["DEUTDEFF"])]
_Identifier = Annotated[str, Field(pattern=r"^[!-~]{0,35}$")]
_Iban = Annotated[str, Field(pattern=r"^([A-Z]{2}[0-9]{2}[A-Z0-9]{11,30})?$", examples=["DE02120300000000202051"])]
_OtherNumber = Annotated[str, Field(pattern=r"^([A-Z0-9]{1,34})?$", examples=["20000055779911"])]
_Uetr = Annotated[str, Field(pattern=r"^([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})?$")]
_VerificationId = Annotated[str, Field(pattern=r"^(vop_[0-9a-f]{24})?$")]
_AmountText = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,14})\.[0-9]{2}$", examples=["12.50"])]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class AccountDocument:
    """An account: its IBAN, or a number of its country's own form, such as sort code and account number in Britain."""

    iban: _Iban = ""
    bban: _OtherNumber = ""

    def __post_init__(self) -> None:
        if bool(self.iban) == bool(self.bban):
            raise ValueError("either iban or bban must be given, and not both")


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class PartyDocument:
    """One side of a payment."""

    name: _Name
    account: AccountDocument
    agent: _Bic
    """The bank that holds the account."""


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class AmountDocument:
    """An amount of money."""

    value: _AmountText
    """In whole units and two decimals, as text: no client's JSON library rounds it."""
    currency: Literal["EUR", "GBP"]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class OrderDocument:
    """A payment order."""

    amount: AmountDocument
    debtor: PartyDocument
    creditor: PartyDocument
    end_to_end_id: _Identifier = "NOTPROVIDED"
    reference: _Reference = ""
    transaction_id: _Identifier = ""
    """The scheme's identity of the payment.  Not given: derived from tenant and Idempotency-Key."""
    uetr: _Uetr = ""
    """Likewise."""
    payee_verification: _VerificationId = ""
    """The id of the verification of payee that the payer has seen.  Whatever it said, the payment goes on."""

    def __post_init__(self) -> None:
        if not self.end_to_end_id:
            raise ValueError("end_to_end_id is empty; leave it out if there is none")


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class VerificationDocument:
    """Whom a payer believes to be about to pay."""

    name: _Name
    account: AccountDocument
    agent: _Bic


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class RecallDocument:
    """Why a payment is wanted back."""

    reason: Literal["DUPL", "TECH", "FRAD", "AC03", "AM09", "CUST"]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class LinksDocument:
    """Where more is told."""

    self: str
    """How the payment stands: GET."""
    recall: str
    """Want it back: POST."""


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class AcceptedDocument:
    """A payment that the log has; every retry is answered the same."""

    payment_id: str
    status: Literal["accepted"]
    accepted_at: str
    """When the first request came, in UTC."""
    links: LinksDocument


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class VerificationResultDocument:
    """What the payee's bank says of a name."""

    verification_id: str
    result: Literal["MTCH", "CMTC", "NMTC", "NOAP"]
    """Match, close match, no match, not possible."""
    verified_at: str
    responder: str
    matched_name: str | None = None
    """Of a close match: whose the account is.  Told once, to who asked."""


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class RecallAcceptedDocument:
    """A recall that the log has; every retry is answered the same."""

    recall_id: str
    payment_id: str
    status: Literal["requested"]
    requested_at: str


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class RecallStandingDocument:
    """How the recall of a payment stands."""

    recall_id: str
    status: Literal["requested", "returned", "refused"]
    requested_at: str
    reason: str | None = None
    """ISO 20022's code: why it was returned, or why not."""
    return_payment_id: str | None = None
    """Of the payment that brings the money back."""


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class PaymentDocument:
    """How a payment stands."""

    payment_id: str
    status: Literal["accepted", "settled", "rejected", "expired", "held", "unknown", "repeated", "conflict"]
    """Accepted: not decided yet.  Unknown: another rail has not answered.  Repeated, conflict: its transaction id is
    that of an earlier payment, with the same content or with other; ``detail`` names it."""
    accepted_at: str
    links: LinksDocument
    ended_at: str | None = None
    reason: str | None = None
    """The scheme's code."""
    detail: str | None = None
    amount: AmountDocument | None = None
    cycle: int | None = None
    """Of its settlement; -1 for a transfer inside one bank."""
    payee_verification: VerificationResultDocument | None = None
    """The one that the order named."""
    recall: RecallStandingDocument | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class FaultDocument:
    """One thing that is wrong with a body."""

    path: str
    rule: str
    message: str


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class ProblemDocument:
    """RFC 9457's problem details."""

    type: str
    title: str
    status: int
    detail: str
    reason: str | None = None
    """The scheme's code, where it has one for this."""
    faults: list[FaultDocument] | None = None
