"""What is wrong with a valid message by the rules of a scheme, which are data of its profile.

A fault's rule is the scheme's name and the kind of rule: ``sct-inst.currency``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from schemas.errors import Fault
from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_004, PACS_008, PACS_028
from schemas.iso20022.messages import Message
from schemas.iso20022.walk import Amount, Content, Value
from schemas.money import MINOR_DIGITS, Money
from schemas.schemes.profile import SchemeProfile
from schemas.wording import shown

_TRANSACTIONS = {
    PACS_008.family: "CdtTrfTxInf",
    PACS_002.family: "TxInfAndSts",
    PACS_028.family: "TxInf",
    PACS_004.family: "TxInf",
    CAMT_056.family: "Undrlyg/TxInf",
    CAMT_029.family: "CxlDtls/TxInfAndSts",
}
_AMOUNTS = {PACS_008.family: "CdtTrfTxInf/IntrBkSttlmAmt", PACS_004.family: "TxInf/RtrdIntrBkSttlmAmt"}
_COUNTED = {PACS_008.family, PACS_004.family}
_REFERENCE = "CdtTrfTxInf/RmtInf/Ustrd"


class Place(NamedTuple):
    """A value of a message, and where it stands."""

    path: str
    value: Value


def places(path: str, value: Value, names: str) -> list[Place]:
    """Return what stands under ``names``, separated by slashes, below a value at ``path``."""
    held = value
    steps = names.split("/")
    for number, name in enumerate(steps, 1):
        inside = held.get(name) if isinstance(held, dict) else None
        if inside is None:
            return []
        if isinstance(inside, list):
            if len(inside) != 1:
                return _places_in_each(f"{path}/{'/'.join(steps[:number])}", inside, "/".join(steps[number:]))
            inside = inside[0]
        held = inside
    return [Place(f"{path}/{names}", held)]


def _places_in_each(path: str, several: list[Value], names: str) -> list[Place]:
    numbered = [(f"{path}[{number}]", each) for number, each in enumerate(several, 1)]
    if not names:
        return [Place(at, each) for at, each in numbered]
    return [place for at, each in numbered for place in places(at, each, names)]


def check_scheme(message: Message, scheme: SchemeProfile) -> tuple[Fault, ...]:
    """Return what the scheme does not allow in a message that is valid otherwise."""
    if message.name is None or str(message.name) not in scheme.messages.names:
        return (Fault(message.path, f"{scheme.name}.message", f"{scheme.name} has no {message.name}"),)
    return tuple(_Rules(message, message.name.family, scheme).faults())


class _Rules:
    """One message and the rules of one scheme."""

    def __init__(self, message: Message, family: str, scheme: SchemeProfile) -> None:
        ((name, inner),) = message.content.items()
        self._path = f"{message.path}/{name}" if message.has_document else message.path
        self._content: Content = inner if isinstance(inner, dict) else {}
        self._family = family
        self._transactions = self._at(_TRANSACTIONS[family])
        self._scheme = scheme
        self._rules = scheme.messages.by_family[family]

    def faults(self) -> Iterator[Fault]:
        yield from self._wrong_counts()
        yield from self._wrong_amounts()
        yield from self._long_references()
        yield from self._missing()
        yield from self._wrong_texts()

    def _at(self, names: str) -> list[Place]:
        return places(self._path, self._content, names)

    def _fault(self, path: str, kind: str, message: str) -> Fault:
        return Fault(path, f"{self._scheme.name}.{kind}", message)

    def _wrong_counts(self) -> Iterator[Fault]:
        most = self._scheme.messages.transactions_max
        transactions = self._transactions
        if len(transactions) > most:
            yield self._fault(transactions[most].path, "transactions", f"is one of {len(transactions)}, at most {most}")
        if self._family in _COUNTED:
            for path, stated in self._at("GrpHdr/NbOfTxs"):
                if str(stated).lstrip("0") != str(len(transactions)):
                    yield self._fault(path, "transactions", f"is not the number of transactions, {len(transactions)}")

    def _wrong_amounts(self) -> Iterator[Fault]:
        currency, most = self._scheme.currency, self._scheme.amount_minor_max
        for path, amount in self._at(_AMOUNTS.get(self._family, "-")):
            if not isinstance(amount, Amount):
                continue
            minor = Decimal(amount.number).scaleb(MINOR_DIGITS[currency])
            if amount.currency != currency:
                yield self._fault(f"{path}/@Ccy", "currency", f"is {amount.currency}, not {currency}")
            elif minor != int(minor) or minor == 0:
                yield self._fault(path, "amount", f"is no amount of one minor unit of {currency} or more, and whole")
            elif most is not None and minor > most:
                yield self._fault(path, "amount", f"is more than {Money(most, currency)}")

    def _long_references(self) -> Iterator[Fault]:
        most = self._scheme.reference_length_max
        for path, text in self._at(_REFERENCE if self._family == PACS_008.family else "-"):
            if len(str(text)) > most:
                yield self._fault(path, "reference", f"has {len(str(text))} characters, more than {most}")

    def _missing(self) -> Iterator[Fault]:
        above = f"{_TRANSACTIONS[self._family]}/"
        for names in self._rules.required:
            inside = names.removeprefix(above)
            for path, transaction in self._transactions:
                if not places(path, transaction, inside):
                    yield self._fault(f"{path}/{inside}", "required", "is missing")

    def _wrong_texts(self) -> Iterator[Fault]:
        for names, texts in self._rules.allowed:
            for path, text in self._at(names):
                if text not in texts:
                    wanted = f"is {shown(str(text))}, not {' or '.join(sorted(texts))}"
                    yield self._fault(path, "code", wanted if texts else "is not used in this scheme")
        for names, form in self._rules.forms:
            for path, text in self._at(names):
                if form.fullmatch(str(text)) is None:
                    yield self._fault(path, "form", f"does not match {form.pattern}")
