"""Orders as JSON: read by the shapes in ``documents``, and made the pacs.008 that they stand for."""

from __future__ import annotations

from typing import Final

from agents.edge.gateway.documents import AccountDocument, OrderDocument, PartyDocument
from agents.edge.gateway.orders import MESSAGE, TRANSACTION, ClaimIdentity, Order, make_order, refuse
from agents.scheme_choice import first_scheme
from schemas import edge
from schemas.errors import InvalidEventError
from schemas.iso20022.bindings import moment_text
from schemas.iso20022.elements import agent
from schemas.iso20022.message_name import PACS_008
from schemas.iso20022.messages import Message
from schemas.iso20022.walk import Amount, Content

_PATH: Final = f"/{MESSAGE}"
_PATHS: Final = {
    "/IntrBkSttlmAmt": "amount",
    "/DbtrAcct": "debtor.account",
    "/CdtrAcct": "creditor.account",
    "/DbtrAgt": "debtor.agent",
    "/CdtrAgt": "creditor.agent",
    "/Dbtr/Nm": "debtor.name",
    "/Cdtr/Nm": "creditor.name",
    "/RmtInf": "reference",
    "/PmtId/TxId": "transaction_id",
    "/PmtId/EndToEndId": "end_to_end_id",
    "/PmtId/UETR": "uetr",
}
"""An element -> the field that it was made of."""


def read_order(body: bytes, identity: ClaimIdentity, received_us: int) -> Order:
    """Return the order in a JSON object; raise ``Problem`` naming each fault by its field."""
    try:
        document = edge.read(body, OrderDocument)
    except InvalidEventError as failure:
        raise refuse("FF01", *failure.faults) from None
    content = _content(document, identity, received_us)
    message = Message(PACS_008, _PATH, has_document=False, content=content, faults=())
    return make_order(message, identity, received_us, document.payee_verification, _PATHS)


def account_content(account: AccountDocument) -> Content:
    """Return an account as ISO 20022 has it."""
    if account.iban:
        return {"Id": {"IBAN": account.iban}}
    return {"Id": {"Othr": {"Id": account.bban, "SchmeNm": {"Cd": "BBAN"}}}}


def _content(document: OrderDocument, identity: ClaimIdentity, received_us: int) -> Content:
    currency = document.amount.currency
    names: Content = {"EndToEndId": document.end_to_end_id}
    names |= {"TxId": document.transaction_id} if document.transaction_id else {}
    names |= {"UETR": document.uetr} if document.uetr else {}
    transaction: Content = {
        "PmtId": names,
        "PmtTpInf": first_scheme(currency).messages.payment_type,
        "IntrBkSttlmAmt": Amount(document.amount.value, currency),
        "ChrgBr": "SLEV",
        **_party(document.debtor, "Dbtr"),
        **_party(document.creditor, "Cdtr"),
    }
    if document.reference:
        transaction["RmtInf"] = {"Ustrd": [document.reference]}
    header: Content = {
        "MsgId": identity.transaction_id.replace("TX", "MSG", 1),
        "CreDtTm": moment_text(received_us),
        "NbOfTxs": "1",
        "SttlmInf": {"SttlmMtd": "CLRG"},
    }
    return {MESSAGE: {"GrpHdr": header, TRANSACTION: [transaction]}}


def _party(party: PartyDocument, name: str) -> Content:
    return {
        name: {"Nm": party.name},
        f"{name}Acct": account_content(party.account),
        f"{name}Agt": agent(party.agent),
    }
