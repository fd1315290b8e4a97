"""A client's order in its one canonical form: an event, what a pacs.008 says beside it, and what a retry must repeat.

Orders come as pacs.008 or as JSON (``xml_orders``, ``json_orders``).  Both become the content of a pacs.008, so there
is one set of rules, that of the scheme's profile, and one form to send on.

What a retry must repeat is *the content as the client gave it*: the transaction whole, with both accounts, and the
group header but for its message id and time of creation, which a resend may change.  What the gateway fills in - the
scheme's identity, the UETR, the time of acceptance - is no part of it: they are derived from the claim, or kept in it.
Account numbers enter the digest as their tokens, so that it tells nobody a number.

An account number reaches no stream.  A reference that holds one stays behind in the vault; an identifier that holds
one of the order's own is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec

from agents.dedupe import AHEAD_US_MAX
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.vault.accounts import canonical, is_iban
from agents.scheme_choice import SCHEMES_BY_CURRENCY, first_scheme
from pipeline.observe.logging import mask_accounts
from schemas.errors import Fault
from schemas.events import CreditTransfer, Party
from schemas.iso20022.bindings import moment_text
from schemas.iso20022.conversion import OrderIdentity, account_number, take_events
from schemas.iso20022.elements import whole_milliseconds
from schemas.iso20022.errors import NotConvertibleError
from schemas.iso20022.message_name import PACS_008
from schemas.iso20022.messages import Message
from schemas.iso20022.scheme_rules import check_scheme
from schemas.iso20022.walk import Amount, Content
from schemas.schemes.profile import SchemeProfile

MESSAGE: Final = "FIToFICstmrCdtTrf"
TRANSACTION: Final = "CdtTrfTxInf"
_TELLING_LENGTH: Final = 8
"""Of an account number: a shorter one is in many texts by chance."""
_ACCOUNTS: Final = ("DbtrAcct", "CdtrAcct")
_CHANGED_BY_A_RESEND: Final = ("MsgId", "CreDtTm")
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_UNTOLD: Final = OrderIdentity("-", "-", "-")
"""Stands for what is told later: tokens, which take a vault."""


@dataclass(frozen=True, slots=True)
class ClaimIdentity:
    """Who claims, and what follows from that alone: a retry has all of it again."""

    tenant: str
    key: str
    """The client's Idempotency-Key."""

    @property
    def payment_id(self) -> str:
        return f"pay_{self._digest('payment')[:20].hex()}"

    @property
    def transaction_id(self) -> str:
        return f"TX{self._digest('transaction')[:16].hex().upper()}"

    @property
    def uetr(self) -> str:
        return str(UUID(bytes=self._digest("uetr")[:16], version=4))

    @property
    def counter(self) -> int:
        """Of the record: 64 bits that no other claim is likely to have; no reader needs more of an edge's counter."""
        return int.from_bytes(self._digest("record")[:8], "big")

    def _digest(self, purpose: str) -> bytes:
        return sha256(f"{purpose} {len(self.tenant)} {self.tenant} {self.key}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Order:
    """An order that breaks no rule that can be known here."""

    identity: ClaimIdentity
    untold: CreditTransfer
    """The event, without the tokens of its accounts: :meth:`transfer` has them."""
    remainder: Content
    """What the pacs.008 says beside the event."""
    debtor_number: str
    """Canonical, as is the next."""
    creditor_number: str
    said: bytes
    """What a retry must repeat, but for the accounts."""
    verification_id: str

    def transfer(self, debtor_token: str, creditor_token: str) -> CreditTransfer:
        """Return the event."""
        debtor, creditor = self.untold.debtor, self.untold.creditor
        return replace(
            self.untold, debtor=Party(debtor_token, debtor.agent), creditor=Party(creditor_token, creditor.agent)
        )

    def digest(self, debtor_token: str, creditor_token: str) -> bytes:
        """Return 32 bytes that stand for what a retry must repeat."""
        return sha256(b"%b\n%b\n%b" % (debtor_token.encode(), creditor_token.encode(), self.said)).digest()


def refuse(reason: str, *faults: Fault) -> Problem:
    """Return the problem of an order that breaks rules; ``reason`` is the scheme's code for the first."""
    return Problem(Kind.INVALID, "; ".join(map(str, faults[:1])), reason=reason, faults=faults)


def code_of(scheme: SchemeProfile, iso_code: str) -> str:
    """Return the scheme's own code for a reason of ISO 20022, where it has its own."""
    return scheme.messages.own_reasons.get(iso_code, iso_code)


def make_order(
    message: Message, identity: ClaimIdentity, received_us: int, verification_id: str, paths: dict[str, str]
) -> Order:
    """Return the order in a valid credit transfer; raise ``Problem`` with the scheme's reason.

    ``paths`` says what the client calls a place, where that is not the element's path.
    """
    scheme, transaction = _scheme_of(message), transaction_of(message.content)
    said = _said(message.content, verification_id)
    _fill(transaction, identity, received_us)
    faults = check_scheme(message, scheme)
    if faults:
        raise refuse(_reason(scheme, faults[0]), *(_as_called(fault, paths) for fault in faults))
    numbers = tuple(_number(transaction, party, scheme, paths) for party in ("Dbtr", "Cdtr"))
    try:
        (transfer,), remainder = take_events(PACS_008, message.content, lambda _: _UNTOLD)
    except NotConvertibleError as failure:
        raise refuse(code_of(scheme, "FF01"), Fault(message.path, "event", str(failure))) from None
    if not isinstance(transfer, CreditTransfer):
        raise TypeError(f"a credit transfer became a {type(transfer).__name__}")
    if transfer.accepted_us > received_us + AHEAD_US_MAX:
        raise refuse("DT01", Fault(f"{message.path}/AccptncDtTm", "time", "is ahead of the time that it is now"))
    _refuse_numbers_in_identifiers(transfer, numbers, scheme)
    transfer = replace(transfer, payment_id=identity.payment_id)
    if _gives_a_number_away(transfer.reference, numbers):
        transaction_of(remainder)["RmtInf"] = transaction["RmtInf"]
        transfer = replace(transfer, reference="")
    debtor_number, creditor_number = numbers
    return Order(identity, transfer, remainder, debtor_number, creditor_number, said, verification_id)


def is_of_resend(kept: Content, remainder: Content) -> bool:
    """Say whether two remainders differ by no more than a resend may change."""
    return _but_for_resend(kept) == _but_for_resend(remainder)


def _but_for_resend(content: Content) -> Content:
    message = content[MESSAGE]
    if not isinstance(message, dict):
        return content
    return {**message, "GrpHdr": _header_but_for_resend(message)}


def _header_but_for_resend(message: Content) -> Content:
    header = message.get("GrpHdr")
    named = header.items() if isinstance(header, dict) else ()
    return {name: value for name, value in named if name not in _CHANGED_BY_A_RESEND}


def transaction_of(content: Content) -> Content:
    """Return the one transaction in the content of a credit transfer."""
    message = content[MESSAGE]
    transactions = message.get(TRANSACTION) if isinstance(message, dict) else None
    if not isinstance(transactions, list) or len(transactions) != 1 or not isinstance(transactions[0], dict):
        raise refuse("FF01", Fault(f"/Document/{MESSAGE}", "transactions", "holds not one transaction"))
    return transactions[0]


def _scheme_of(message: Message) -> SchemeProfile:
    amount = transaction_of(message.content).get("IntrBkSttlmAmt")
    currency = amount.currency if isinstance(amount, Amount) else ""
    if currency not in SCHEMES_BY_CURRENCY:
        place = f"{message.path}/{MESSAGE}/{TRANSACTION}/IntrBkSttlmAmt/@Ccy"
        raise refuse("CURR", Fault(place, "currency", f"is none of {', '.join(SCHEMES_BY_CURRENCY)}"))
    return first_scheme(currency)


def _reason(scheme: SchemeProfile, fault: Fault) -> str:
    if fault.rule == f"{scheme.name}.amount" and scheme.amount_minor_max is not None:
        return scheme.reasons.over_scheme_limit
    return code_of(scheme, "CURR" if fault.rule.endswith(".currency") else "FF01")


def _as_called(fault: Fault, paths: dict[str, str]) -> Fault:
    return replace(fault, path=next((called for place, called in paths.items() if place in fault.path), fault.path))


def _said(content: Content, verification_id: str) -> bytes:
    header = _but_for_resend(content)["GrpHdr"]
    transaction = {**transaction_of(content)}
    for account in _ACCOUNTS:
        held = transaction.get(account)
        if isinstance(held, dict):
            transaction[account] = {name: value for name, value in held.items() if name != "Id"}
    return _encode({"header": header, "transaction": transaction, "verification": verification_id})


def _number(transaction: Content, party: str, scheme: SchemeProfile, paths: dict[str, str]) -> str:
    """Return the canonical number of an account; raise ``Problem`` if it cannot be one."""
    place = Fault(f"/{MESSAGE}/{TRANSACTION}/{party}Acct/Id", "account", "")
    try:
        number = canonical(account_number(transaction, party))
    except NotConvertibleError:
        number = ""
    account = transaction.get(f"{party}Acct")
    identification = account.get("Id") if isinstance(account, dict) else None
    says_iban = isinstance(identification, dict) and "IBAN" in identification
    if not number:
        raise refuse(code_of(scheme, "AC01"), _as_called(replace(place, message="is not there"), paths))
    if says_iban and not is_iban(number):
        wrong = replace(place, message="is no IBAN: its check digits are wrong")
        raise refuse(code_of(scheme, "AC01"), _as_called(wrong, paths))
    return number


def _fill(transaction: Content, identity: ClaimIdentity, received_us: int) -> None:
    """Add what the client may leave to the gateway."""
    names = transaction["PmtId"]
    if isinstance(names, dict):
        if "TxId" not in names:
            names["TxId"] = identity.transaction_id
        if "UETR" not in names:
            names["UETR"] = identity.uetr
    if "AccptncDtTm" not in transaction:
        transaction["AccptncDtTm"] = moment_text(whole_milliseconds(received_us))


def _refuse_numbers_in_identifiers(transfer: CreditTransfer, numbers: Sequence[str], scheme: SchemeProfile) -> None:
    for name in ("transaction_id", "end_to_end_id"):
        if is_iban(getattr(transfer, name).upper()) or _holds_any(getattr(transfer, name), numbers):
            fault = Fault(name, "account", "holds an account number, which no stream may")
            raise refuse(code_of(scheme, "FF01"), fault)


def _gives_a_number_away(reference: str, numbers: Sequence[str]) -> bool:
    return mask_accounts(reference.upper()) != reference.upper() or _holds_any(reference, numbers)


def _holds_any(text: str, numbers: Sequence[str]) -> bool:
    """Say whether one of the account numbers is in ``text``; a very short one only if it is all of it."""
    plain = canonical(text)
    bare = [number.rpartition(":")[2] for number in numbers]
    return any(number == plain or (len(number) >= _TELLING_LENGTH and number in plain) for number in bare)
