"""Messages of the links, read: what a valid message says to the side that it came to.

``UnusableMessageError`` names the place of what keeps a message from being used.
"""

from __future__ import annotations

from typing import Final

from agents.edge.link_messages.terms import (
    ACCEPTANCES,
    CYCLE,
    RECALL_REFUSED,
    REJECTED,
    SETTLED,
    Confirmation,
    Question,
    Recall,
    RecallAnswer,
    ReceivedPayment,
    Reply,
    Return,
    Transaction,
    UnusableMessageError,
)
from schemas.iso20022.bindings import MONEY, moment_us
from schemas.iso20022.messages import Message
from schemas.iso20022.scheme_rules import Place, places
from schemas.iso20022.walk import Value
from schemas.money import Money
from schemas.schemes.catalogue import SCHEMES
from schemas.wording import shown

_BIC: Final = "FinInstnId/BICFI"
_SENDER: Final = f"GrpHdr/InstgAgt/{_BIC}"
_RECIPIENT: Final = f"GrpHdr/InstdAgt/{_BIC}"
_DEBTORS_AGENT: Final = f"OrgnlTxRef/DbtrAgt/{_BIC}"


def read_payment(message: Message) -> ReceivedPayment:
    """Return the payment in a pacs.008."""
    parts = _Parts(message, "CdtTrfTxInf")
    scheme = parts.of_message("GrpHdr/SttlmInf/ClrSys/Prtry")
    if scheme.value not in SCHEMES:
        raise UnusableMessageError(scheme.path, "scheme", f"{shown(str(scheme.value))} is no scheme that is known here")
    transaction = Transaction(parts.text(f"DbtrAgt/{_BIC}"), parts.text("PmtId/TxId"), parts.text(f"CdtrAgt/{_BIC}"))
    accepted = parts.of_transaction("AccptncDtTm")
    try:
        accepted_us = moment_us(str(accepted.value))
    except ValueError as failure:
        raise UnusableMessageError(accepted.path, "value", str(failure)) from None
    message_id = str(parts.of_message("GrpHdr/MsgId").value)
    return ReceivedPayment(transaction, str(scheme.value), parts.money("IntrBkSttlmAmt"), accepted_us, message_id)


def read_question(message: Message) -> Question:
    """Return the status request in a pacs.028."""
    parts = _Parts(message, "TxInf")
    responder = str(parts.of_message(_RECIPIENT).value)
    transaction = Transaction(parts.text(_DEBTORS_AGENT), parts.text("OrgnlTxId"), responder)
    return Question(transaction, str(parts.of_message("GrpHdr/MsgId").value))


def read_confirmation(message: Message) -> Confirmation:
    """Return what a pacs.002 of the clearing tells a participant."""
    parts = _Parts(message, "TxInfAndSts")
    return Confirmation(
        recipient=str(parts.of_message(_RECIPIENT).value),
        reference=parts.text("ClrSysRef"),
        instructing_agent=parts.text(_DEBTORS_AGENT),
        transaction_id=parts.text("OrgnlTxId"),
        settled=parts.text("TxSts") == SETTLED,
        reason=parts.reason(),
        cycle=parts.optional("StsRsnInf/AddtlInf").removeprefix(CYCLE),
    )


def read_reply(message: Message) -> Reply:
    """Return what a participant's pacs.002 answers; a status that decides nothing is no answer."""
    parts = _Parts(message, "TxInfAndSts")
    responder = str(parts.of_message(_SENDER).value)
    transaction = Transaction(parts.text(_DEBTORS_AGENT), parts.text("OrgnlTxId"), responder)
    status = parts.of_transaction("TxSts")
    original = parts.optional_of_message("OrgnlGrpInfAndSts/OrgnlMsgId")
    if status.value in ACCEPTANCES:
        return Reply(transaction, accepted=True, reason="", original=original)
    if status.value != REJECTED:
        raise UnusableMessageError(status.path, "status", f"{status.value} says neither yes nor no")
    reason = parts.reason()
    if not reason:
        raise UnusableMessageError(f"{parts.path}/StsRsnInf/Rsn", "required", "a rejection says why")
    return Reply(transaction, accepted=False, reason=reason, original=original)


def read_recall(message: Message) -> Recall:
    """Return the recall in a camt.056."""
    parts = _Parts(message, "Undrlyg/TxInf")
    responder = str(parts.of_message(f"Assgnmt/Assgne/Agt/{_BIC}").value)
    transaction = Transaction(parts.text(_DEBTORS_AGENT), parts.text("OrgnlTxId"), responder)
    return Recall(transaction, parts.text("CxlId"), parts.money("OrgnlIntrBkSttlmAmt"))


def read_return(message: Message) -> RecallAnswer:
    """Return the transfer back in a pacs.004."""
    parts = _Parts(message, "TxInf")
    responder = str(parts.of_message(_SENDER).value)
    transaction = Transaction(parts.text(_DEBTORS_AGENT), parts.text("OrgnlTxId"), responder)
    returned = Return(parts.text("RtrId"), parts.money("RtrdIntrBkSttlmAmt"))
    return RecallAnswer(transaction, parts.text("RtrRsnInf/Rsn/Cd"), returned)


def read_recall_refusal(message: Message) -> RecallAnswer:
    """Return why a payment is not sent back, as a camt.029 says."""
    parts = _Parts(message, "CxlDtls/TxInfAndSts")
    responder = str(parts.of_message(f"Assgnmt/Assgnr/Agt/{_BIC}").value)
    transaction = Transaction(parts.text(_DEBTORS_AGENT), parts.text("OrgnlTxId"), responder)
    status = parts.of_transaction("TxCxlSts")
    if status.value != RECALL_REFUSED:
        raise UnusableMessageError(status.path, "status", f"{status.value} is no refusal, and a return is a pacs.004")
    return RecallAnswer(transaction, parts.text("CxlStsRsnInf/Rsn/Cd"), None)


class _Parts:
    """The texts of a message about one payment, by the names of the elements around them."""

    def __init__(self, message: Message, transactions: str) -> None:
        ((name, content),) = message.content.items()
        self._path = f"{message.path}/{name}" if message.has_document else message.path
        self._content: Value = content
        found = places(self._path, content, transactions)
        if len(found) != 1:
            raise UnusableMessageError(self._path, "transactions", f"is about {len(found)} payments, not one")
        self.path, self._transaction = found[0]

    def of_message(self, names: str) -> Place:
        """Return what stands once in the message."""
        return _the_only(self._path, self._content, names)

    def of_transaction(self, names: str) -> Place:
        """Return what stands once in what it says of the payment."""
        return _the_only(self.path, self._transaction, names)

    def text(self, names: str) -> str:
        return str(self.of_transaction(names).value)

    def money(self, names: str) -> Money:
        amount = self.of_transaction(names)
        try:
            money: Money = MONEY.decode(amount.value)
        except ValueError as failure:
            raise UnusableMessageError(amount.path, "value", str(failure)) from None
        return money

    def optional(self, names: str) -> str:
        return _the_first(self._transaction, names)

    def optional_of_message(self, names: str) -> str:
        return _the_first(self._content, names)

    def reason(self) -> str:
        """Return ISO 20022's code, or the scheme's own; empty where there is neither."""
        return self.optional("StsRsnInf/Rsn/Cd") or self.optional("StsRsnInf/Rsn/Prtry")


def _the_only(path: str, content: Value, names: str) -> Place:
    found = places(path, content, names)
    if len(found) != 1:
        raise UnusableMessageError(f"{path}/{names}", "required", f"is there {len(found)} times, not once")
    return found[0]


def _the_first(content: Value, names: str) -> str:
    found = places("", content, names)
    return str(found[0].value) if found else ""
