"""Between a message and the events in it, one for each transaction.

Taking events out of a message leaves a remainder: all that the events do not say - names, addresses, account numbers,
the group header.  Most of it is personal data, which no stream may hold; so the remainder is for a store that may.
Events and remainder put together are the message again, element for element; without the message a remainder is
written by hand (``{"FIToFIPmtStsRpt": {"GrpHdr": ..., "TxInfAndSts": [{}]}}``).

Places are by name, so a message of another version is converted where its transactions have the same elements in the
same places, and refused with ``NotConvertibleError`` where not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from schemas.events import CreditTransfer, Party
from schemas.iso20022.bindings import MOMENT, MONEY, OPTIONAL_MOMENT, OPTIONAL_TEXT, TEXT, Binding
from schemas.iso20022.correspondence import (
    PaymentRecalled,
    PaymentReturned,
    PaymentStatusAsked,
    PaymentStatusReported,
    RecallRefused,
)
from schemas.iso20022.errors import NotConvertibleError
from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_004, PACS_008, PACS_028, MessageName
from schemas.iso20022.walk import Content, Value

Event = CreditTransfer | PaymentStatusReported | PaymentStatusAsked | PaymentReturned | PaymentRecalled | RecallRefused


class Converted(NamedTuple):
    """The events in a message, in order, and the rest of it."""

    events: tuple[Event, ...]
    remainder: Content


class OrderIdentity(NamedTuple):
    """What an order is called and which accounts it is about, as the edge has it; the message has only numbers."""

    payment_id: str
    debtor_account: str
    """A token."""
    creditor_account: str
    """A token."""


IdentityOf = Callable[[Content], OrderIdentity]
"""Given a transaction of a credit transfer; ``account_number`` says the accounts in it."""


@dataclass(frozen=True, slots=True)
class _Conversion:
    transactions: tuple[str, ...]
    """Names of elements from the message's own element on."""
    make: Callable[..., Event]
    """The event of its fields by name."""
    bindings: tuple[Binding, ...]


_ORIGINAL: Final = (
    Binding("transaction_id", "OrgnlTxId", OPTIONAL_TEXT),
    Binding("end_to_end_id", "OrgnlEndToEndId", OPTIONAL_TEXT),
    Binding("uetr", "OrgnlUETR", OPTIONAL_TEXT),
)


def _credit_transfer(identity: OrderIdentity, **values: Any) -> CreditTransfer:  # noqa: ANN401 - fields' values
    debtor = Party(identity.debtor_account, values.pop("debtor.agent"))
    creditor = Party(identity.creditor_account, values.pop("creditor.agent"))
    return CreditTransfer(payment_id=identity.payment_id, debtor=debtor, creditor=creditor, **values)


_CONVERSIONS: Final = {
    PACS_008.family: _Conversion(
        ("CdtTrfTxInf",),
        _credit_transfer,
        (
            Binding("transaction_id", "PmtId/TxId", TEXT),
            Binding("end_to_end_id", "PmtId/EndToEndId", TEXT),
            Binding("uetr", "PmtId/UETR", TEXT),
            Binding("debtor.agent", "DbtrAgt/FinInstnId/BICFI", TEXT),
            Binding("creditor.agent", "CdtrAgt/FinInstnId/BICFI", TEXT),
            Binding("amount", "IntrBkSttlmAmt", MONEY),
            Binding("accepted_us", "AccptncDtTm", MOMENT),
            Binding("reference", "RmtInf/Ustrd[]", OPTIONAL_TEXT),
        ),
    ),
    PACS_002.family: _Conversion(
        ("TxInfAndSts",),
        PaymentStatusReported,
        (
            *_ORIGINAL,
            Binding("status", "TxSts", TEXT),
            Binding("reason", "StsRsnInf[]/Rsn/Cd", OPTIONAL_TEXT),
            Binding("own_reason", "StsRsnInf[]/Rsn/Prtry", OPTIONAL_TEXT),
            Binding("accepted_us", "AccptncDtTm", OPTIONAL_MOMENT),
        ),
    ),
    PACS_028.family: _Conversion(("TxInf",), PaymentStatusAsked, _ORIGINAL),
    PACS_004.family: _Conversion(
        ("TxInf",),
        PaymentReturned,
        (
            *_ORIGINAL,
            Binding("return_id", "RtrId", TEXT),
            Binding("amount", "RtrdIntrBkSttlmAmt", MONEY),
            Binding("reason", "RtrRsnInf[]/Rsn/Cd", OPTIONAL_TEXT),
        ),
    ),
    CAMT_056.family: _Conversion(
        ("Undrlyg", "TxInf"),
        PaymentRecalled,
        (
            *_ORIGINAL,
            Binding("recall_id", "CxlId", OPTIONAL_TEXT),
            Binding("reason", "CxlRsnInf[]/Rsn/Cd", OPTIONAL_TEXT),
        ),
    ),
    CAMT_029.family: _Conversion(
        ("CxlDtls", "TxInfAndSts"),
        RecallRefused,
        (*_ORIGINAL, Binding("reason", "CxlStsRsnInf[]/Rsn/Cd", OPTIONAL_TEXT)),
    ),
}


def take_events(name: MessageName, content: Content, identity_of: IdentityOf | None = None) -> Converted:
    """Return the events in the content of a valid message, and the rest; ``content`` stays as it is.

    ``identity_of`` is asked for each credit transfer.  ``NotConvertibleError`` names what no event can say.
    """
    conversion = _conversion_of(name)
    remainder = _copied(content)
    return Converted(
        tuple(_take(conversion, transaction, identity_of) for transaction in _transactions(conversion, remainder)),
        remainder,
    )


def give_events(name: MessageName, converted: Converted) -> Content:
    """Return the content of the message that events and remainder make together."""
    conversion = _conversion_of(name)
    content = _copied(converted.remainder)
    for event, transaction in zip(converted.events, _transactions(conversion, content), strict=True):
        for binding in conversion.bindings:
            binding.give(binding.of(event), transaction)
    return content


def account_number(transaction: Content, party: str) -> str:
    """Return the account of ``Dbtr`` or ``Cdtr`` in a credit transfer, in its canonical form.

    An IBAN as it is; another number behind the name of its scheme, if it has one, and a colon.
    """
    account = transaction.get(f"{party}Acct")
    identification = account.get("Id") if isinstance(account, dict) else None
    if not isinstance(identification, dict):
        raise NotConvertibleError(f"{party}Acct/Id: is not there")
    iban, other = identification.get("IBAN"), identification.get("Othr")
    if isinstance(iban, str):
        return iban
    if not isinstance(other, dict):
        raise NotConvertibleError(f"{party}Acct/Id: is neither an IBAN nor another number")
    scheme = other.get("SchmeNm")
    kind = next(iter(scheme.values()), "") if isinstance(scheme, dict) else ""
    return f"{kind}:{other['Id']}" if kind else str(other["Id"])


def _take(conversion: _Conversion, transaction: Content, identity_of: IdentityOf | None) -> Event:
    given = {}
    if conversion.make is _credit_transfer:
        if identity_of is None:
            raise TypeError("a credit transfer needs its identity")
        given["identity"] = identity_of(transaction)
    values = {binding.attribute: binding.take(transaction) for binding in conversion.bindings}
    try:
        return conversion.make(**given, **values)
    except ValueError as failure:
        raise NotConvertibleError(str(failure)) from None


def _conversion_of(name: MessageName) -> _Conversion:
    conversion = _CONVERSIONS.get(name.family)
    if conversion is None:
        raise NotConvertibleError(f"there are no events of {name}")
    return conversion


def _transactions(conversion: _Conversion, content: Content) -> Iterator[Content]:
    inside: list[Value] = list(content.values())
    for name in conversion.transactions:
        held = [each.get(name) for each in inside if isinstance(each, dict)]
        inside = [one for many in held if isinstance(many, list) for one in many]
    yield from (each for each in inside if isinstance(each, dict))


def _copied(content: Content) -> Content:
    """Return a copy of a content that shares only texts with it."""
    copied = content.copy()
    for name, value in content.items():
        if isinstance(value, dict):
            copied[name] = _copied(value)
        elif isinstance(value, list):
            copied[name] = [_copied(each) if isinstance(each, dict) else each for each in value]
    return copied
