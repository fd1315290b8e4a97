"""Every event of the application: one definition, validated by pydantic at the edge, coded by msgspec inside.

Rules that must hold everywhere stand in ``__post_init__``, which both run.  Times are microseconds since the epoch,
UTC.  Accounts are tokens, never account numbers; agents are BICs.  A settlement account is ``BIC/currency`` of the
participant that settles.

    payments   PaymentSubmitted, AccountCredited, PayeeRiskChanged           key: the account's token
    clearing   PaymentAuthorised, ParticipantAnswered, SettlementCredited    key: the settlement account
    outbound   PaymentForwarded, PaymentConfirmed, StatusRequested, RecallRequested  key: the participant's BIC
    outcomes   Payment{Settled,Rejected,Expired,Held,Repeated,Conflicted,Unknown}, RecallAnswered, CycleNetted
    control    ParticipantListed, ParticipantAvailabilityChanged, CutOffScheduled, CycleSettled, BehaviourOrdered:
               told to all shards from there
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.identifiers import (
    REFERENCE_LENGTH_MAX,
    is_bic,
    is_identifier,
    is_uetr,
    not_a_bic,
    not_a_uetr,
    not_an_identifier,
    too_long_a_reference,
)
from schemas.money import AMOUNT_MINOR_MAX, MINOR_DIGITS, Money
from schemas.wording import shown, shown_number

TIME_US_MAX: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999: every time and deadline up to it fits into 64 bits, signed."""
CYCLE_MAX: Final = (1 << 63) - 1
"""Cycles are numbered from 0, within 64 bits, signed."""
BEHAVIOUR_VERSION_MAX: Final = (1 << 31) - 1
"""Of a stage's behaviour."""
CAP_MINOR_MAX: Final = AMOUNT_MINOR_MAX
"""Of a net sender cap."""
SCHEMES_MAX: Final = 16
"""Profiles by which one participant can be reached."""


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a payment: its account's token and the BIC of the agent that holds the account."""

    account: str
    """A token: never an account number."""
    agent: str
    """A BIC."""

    def __post_init__(self) -> None:
        if is_identifier(self.account) is None:
            raise not_an_identifier("account token", self.account)
        if is_bic(self.agent) is None:
            raise not_a_bic(self.agent)


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """A payment order: the part of a pacs.008 that every stage needs."""

    payment_id: str
    """Ours: derived from the client's claim, so a client's retry has the same."""
    transaction_id: str
    """The scheme's identity, per instructing participant: TxId in SCT Inst, FPID in FPS."""
    end_to_end_id: str
    """The customer's; may be NOTPROVIDED and is never a key."""
    uetr: str
    debtor: Party
    creditor: Party
    amount: Money
    accepted_us: int
    """AccptncDtTm: when the order was received; the scheme's clock starts here."""
    reference: str = ""

    def __post_init__(self) -> None:
        if is_identifier(self.payment_id) is None:
            raise not_an_identifier("payment id", self.payment_id)
        if is_identifier(self.transaction_id) is None:
            raise not_an_identifier("transaction id", self.transaction_id)
        if is_identifier(self.end_to_end_id) is None:
            raise not_an_identifier("end-to-end id", self.end_to_end_id)
        if is_uetr(self.uetr) is None:
            raise not_a_uetr(self.uetr)
        if len(self.reference) > REFERENCE_LENGTH_MAX:
            raise too_long_a_reference(self.reference)
        if not 0 < self.accepted_us <= TIME_US_MAX:
            raise _not_from_to("accepted_us", self.accepted_us, 1, TIME_US_MAX)


# --- payments ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentSubmitted:
    """A client's order, accepted at the edge: durable, not yet looked at."""

    transfer: CreditTransfer


@dataclass(frozen=True, slots=True)
class AccountCredited:
    """The creditor's side of a settled payment, for the creditor's shard."""

    payment_id: str
    debtor: Party
    creditor: Party
    amount: Money
    settled_us: int
    """When the clearing, or the hub for a book transfer, settled it."""


@dataclass(frozen=True, slots=True)
class PayeeRiskChanged:
    """An account's risk as a payee crossed a step; every payments shard hears it, until it expires."""

    account: str
    step: int
    """0 is none; a handful of steps."""
    expires_us: int


# --- clearing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentAuthorised:
    """The hub's instruction to the clearing: deduplicated, scored and routed."""

    transfer: CreditTransfer
    scheme: str
    """The profile in ``schemas.schemes`` the payment goes by."""
    debtor_settlement_account: str
    creditor_settlement_account: str
    score: int
    """The fraud score of the decision, in basis points."""


@dataclass(frozen=True, slots=True)
class ParticipantAnswered:
    """The receiving participant's answer to a forwarded payment (pacs.002), or to a status request."""

    transaction_id: str
    instructing_agent: str
    responder: str
    settlement_account: str
    """Of the debtor's side: the payment's home."""
    accepted: bool
    reason: str
    """Empty when accepted; otherwise the scheme's reason code."""
    answered_us: int

    def __post_init__(self) -> None:
        if is_identifier(self.transaction_id) is None:
            raise not_an_identifier("transaction id", self.transaction_id)
        if is_bic(self.instructing_agent) is None:
            raise not_a_bic(self.instructing_agent)
        if is_bic(self.responder) is None:
            raise not_a_bic(self.responder)
        if is_identifier(self.settlement_account) is None:
            raise not_an_identifier("settlement account", self.settlement_account)
        if self.accepted:
            if self.reason:
                message = "an acceptance has no reason"
                raise ValueError(message)
        elif is_identifier(self.reason) is None:
            raise not_an_identifier("reason of a rejection", self.reason)
        if not 0 < self.answered_us <= TIME_US_MAX:
            raise _not_from_to("answered_us", self.answered_us, 1, TIME_US_MAX)


@dataclass(frozen=True, slots=True)
class SettlementCredited:
    """The credit side of a posting: belongs to the cycle of its debit, whenever it arrives."""

    payment_id: str
    account: str
    counter_account: str
    amount: Money
    cycle: int


@dataclass(frozen=True, slots=True)
class AnswerDeadlinePassed:
    """A timer of the clearing: no answer came in the scheme's time."""

    instructing_agent: str
    transaction_id: str


# --- outbound ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentForwarded:
    """To the receiving participant (pacs.008): funds are reserved, answer before the deadline."""

    transfer: CreditTransfer
    scheme: str
    settlement_account: str
    """Of the debtor's side: what the answer is keyed by."""
    deadline_us: int


@dataclass(frozen=True, slots=True)
class PaymentConfirmed:
    """To a participant of either side (pacs.002): how the payment ended."""

    recipient: str
    """The participant's BIC."""
    payment_id: str
    transaction_id: str
    instructing_agent: str
    settled: bool
    reason: str
    """Empty when settled; otherwise the scheme's reason code."""
    cycle: int
    """The cycle it was posted in; -1 when it was not."""


@dataclass(frozen=True, slots=True)
class StatusRequested:
    """To the receiving participant (pacs.028): we do not know how this ended, tell us."""

    recipient: str
    payment_id: str
    transaction_id: str
    instructing_agent: str
    settlement_account: str


@dataclass(frozen=True, slots=True)
class RecallRequested:
    """To the receiving participant (camt.056), from an edge: the sender asks to have a settled payment back."""

    recall_id: str
    """One for each payment, derived from its id."""
    recipient: str
    """The participant's BIC."""
    payment_id: str
    transaction_id: str
    end_to_end_id: str
    uetr: str
    instructing_agent: str
    amount: Money
    accepted_us: int
    """When the payment was accepted."""
    reason: str
    """ISO 20022's code."""
    requested_us: int
    """When the sender asked."""

    def __post_init__(self) -> None:
        if is_identifier(self.recall_id) is None:
            raise not_an_identifier("recall id", self.recall_id)
        if is_bic(self.recipient) is None:
            raise not_a_bic(self.recipient)
        if not 0 < self.requested_us <= TIME_US_MAX:
            raise _not_from_to("requested_us", self.requested_us, 1, TIME_US_MAX)


# --- outcomes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentSettled:
    """The payment was posted, or was a book transfer inside one bank (then without accounts, and cycle -1)."""

    payment_id: str
    amount: Money
    debtor_settlement_account: str
    creditor_settlement_account: str
    cycle: int
    accepted_us: int


@dataclass(frozen=True, slots=True)
class PaymentRejected:
    """The payment was refused, and no money moved."""

    payment_id: str
    refused_by: str
    """``authorise``, ``clearing``, or the BIC of the participant that refused."""
    reason: str
    """A reason code of the scheme's list."""
    explanations: tuple[str, ...]
    """For people; the code is what counts."""
    accepted_us: int


@dataclass(frozen=True, slots=True)
class PaymentExpired:
    """No answer came before the deadline: the reservation was released."""

    payment_id: str
    reason: str
    accepted_us: int


@dataclass(frozen=True, slots=True)
class PaymentHeld:
    """The payment waits for a person's review, where the scheme allows that."""

    payment_id: str
    score: int
    explanations: tuple[str, ...]
    accepted_us: int


@dataclass(frozen=True, slots=True)
class PaymentRepeated:
    """The same order came again; what happened to the first stands."""

    payment_id: str
    of: str
    """The payment id of the first."""


@dataclass(frozen=True, slots=True)
class PaymentConflicted:
    """An order came under an identity that another order, with other content, has."""

    payment_id: str
    of: str
    """The payment id of the order that has it."""


@dataclass(frozen=True, slots=True)
class PaymentUnknown:
    """A foreign rail did not answer in time: the reservation stays, and the amount is in limbo until it does."""

    payment_id: str
    amount: Money
    counterparty: str
    """The BIC of the creditor's agent."""
    since_us: int
    """When its deadline passed."""


@dataclass(frozen=True, slots=True)
class RecallAnswered:
    """What the receiving participant said to a recall, from the participant links."""

    payment_id: str
    recall_id: str
    answered_by: str
    """The participant's BIC."""
    returned: bool
    reason: str
    """ISO 20022's code: why it was returned, or why not."""
    return_payment_id: str
    """Of the payment that brings the money back; empty if it was not returned."""
    answered_us: int


@dataclass(frozen=True, slots=True)
class NetPosition:
    """What an account owes (below zero) or is owed of one cycle, in minor units."""

    account: str
    currency: str
    net_minor: int


@dataclass(frozen=True, slots=True)
class CycleNetted:
    """A piece of the hash space has finalised a cycle; the pieces of a cycle tile the space and sum to zero."""

    cycle: int
    first: bytes
    """Lowest hash of the piece, 16 bytes."""
    last: bytes
    """Highest hash of the piece."""
    positions: tuple[NetPosition, ...]


# --- control -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParticipantListed:
    """A participant's entry in the directory, whole: the latest one counts."""

    bic: str
    settles_through: str
    """The BIC whose settlement accounts it uses: its own, or its sponsor's."""
    schemes: tuple[str, ...]
    """The profiles by which it can be reached."""
    caps: dict[str, int]
    """Per currency: the net sender cap of its settlement account, in minor units; empty if it settles elsewhere."""
    available: bool

    def __post_init__(self) -> None:
        for bic in (self.bic, self.settles_through):
            if is_bic(bic) is None:
                raise not_a_bic(bic)
        if len(self.schemes) > SCHEMES_MAX:
            message = f"a participant has at most {SCHEMES_MAX} schemes, not {len(self.schemes)}"
            raise ValueError(message)
        for scheme in self.schemes:
            if is_identifier(scheme) is None:
                raise not_an_identifier("name of a scheme", scheme)
        for currency, cap_minor in self.caps.items():
            if currency not in MINOR_DIGITS:
                message = f"a cap in an unknown currency: {shown(currency)}"
                raise ValueError(message)
            if not 0 <= cap_minor <= CAP_MINOR_MAX:
                raise _not_from_to(f"cap in {currency}", cap_minor, 0, CAP_MINOR_MAX)


@dataclass(frozen=True, slots=True)
class ParticipantAvailabilityChanged:
    """A participant went off line, or came back."""

    bic: str
    available: bool

    def __post_init__(self) -> None:
        if is_bic(self.bic) is None:
            raise not_a_bic(self.bic)


@dataclass(frozen=True, slots=True)
class CutOffScheduled:
    """When a cycle is cut off; cycles are numbered from 0."""

    cycle: int
    at_us: int

    def __post_init__(self) -> None:
        if not 0 <= self.cycle <= CYCLE_MAX:
            raise _not_from_to("cycle", self.cycle, 0, CYCLE_MAX)
        if not 0 < self.at_us <= TIME_US_MAX:
            raise _not_from_to("at_us", self.at_us, 1, TIME_US_MAX)


@dataclass(frozen=True, slots=True)
class CycleSettled:
    """The RTGS has settled a cycle: its net debits no longer count against the caps."""

    cycle: int

    def __post_init__(self) -> None:
        if not 0 <= self.cycle <= CYCLE_MAX:
            raise _not_from_to("cycle", self.cycle, 0, CYCLE_MAX)


@dataclass(frozen=True, slots=True)
class BehaviourOrdered:
    """An operator's order, once every worker runs a build that knows ``version``: from now on a stage behaves so."""

    stage: str
    """``authorise`` or ``settle``."""
    version: int

    def __post_init__(self) -> None:
        if is_identifier(self.stage) is None:
            raise not_an_identifier("name of a stage", self.stage)
        if not 0 <= self.version <= BEHAVIOUR_VERSION_MAX:
            raise _not_from_to("version", self.version, 0, BEHAVIOUR_VERSION_MAX)


def _not_from_to(name: str, value: int, low: int, high: int) -> ValueError:
    return ValueError(f"{name} is from {low} to {high}, not {shown_number(value)}")
