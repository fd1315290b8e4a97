"""The workload as clients send it to the gateway: each submission a request, whose bytes are a function of the seed.

Accounts of the simulated world are tokens; here each gets the number that it stands for, an IBAN of its bank's country.
Every fifth order is a pacs.008, the others are JSON.  Bad data is an order whose debtor's IBAN has wrong check digits.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final, NamedTuple

from agents.edge.messages.parties import draw_iban, draw_party
from agents.edge.workload.draws import Draws
from agents.edge.workload.orders import Order
from agents.edge.workload.sequence import Kind, Submission
from agents.scheme_choice import first_scheme
from schemas.events import Party
from schemas.iso20022.bindings import moment_text
from schemas.iso20022.elements import agent, amount
from schemas.iso20022.message_name import PACS_008
from schemas.iso20022.walk import Content
from schemas.iso20022.writing import write_message

_XML_PER_TEN_THOUSAND: Final = 2_000


class ClientRequest(NamedTuple):
    """What a client sends, and sends again."""

    key: str
    """The Idempotency-Key: the order's own name, so that a retry has the same."""
    media_type: str
    body: bytes


def request_of(submission: Submission, seed: int, created_us: int) -> ClientRequest:
    """Return the request of a submission; a pacs.008 says that it was made at ``created_us``."""
    order = submission.order
    debtor, creditor = number_of(order.debtor), number_of(order.creditor)
    key = order.payment_id
    if submission.kind is Kind.BAD_DATA:
        key, debtor = f"bad-{submission.index}", f"{debtor[:2]}00{debtor[4:]}"
    if Draws(seed, "format", order.payment_id).happens(_XML_PER_TEN_THOUSAND):
        return ClientRequest(key, "application/xml", _xml(order, debtor, creditor, created_us))
    return ClientRequest(key, "application/json", _json(order, debtor, creditor))


@lru_cache(maxsize=50_000)
def number_of(party: Party) -> str:
    """Return the account number of an account of the simulated world."""
    return draw_iban(Draws(0, "number", party.account), party.agent)


@lru_cache(maxsize=50_000)
def name_of(number: str) -> str:
    """Return the name of who holds an account."""
    return str(draw_party(Draws(0, "holder", number), "DE")["Nm"])


def _json(order: Order, debtor: str, creditor: str) -> bytes:
    value, currency = amount(order.amount)
    document = {
        "amount": {"value": value, "currency": currency},
        "debtor": {"name": name_of(debtor), "account": {"iban": debtor}, "agent": order.debtor.agent},
        "creditor": {"name": name_of(creditor), "account": {"iban": creditor}, "agent": order.creditor.agent},
        "transaction_id": order.transaction_id,
        "end_to_end_id": order.end_to_end_id,
        "uetr": order.uetr,
        "reference": order.reference,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _xml(order: Order, debtor: str, creditor: str, created_us: int) -> bytes:
    names: Content = {"EndToEndId": order.end_to_end_id, "TxId": order.transaction_id, "UETR": order.uetr}
    transaction: Content = {
        "PmtId": names,
        "PmtTpInf": first_scheme(order.amount.currency).messages.payment_type,
        "IntrBkSttlmAmt": amount(order.amount),
        "ChrgBr": "SLEV",
        **_party(order.debtor, debtor, "Dbtr"),
        **_party(order.creditor, creditor, "Cdtr"),
    }
    if order.reference:
        transaction["RmtInf"] = {"Ustrd": [order.reference]}
    header: Content = {
        "MsgId": order.transaction_id,
        "CreDtTm": moment_text(created_us),
        "NbOfTxs": "1",
        "SttlmInf": {"SttlmMtd": "CLRG"},
    }
    return write_message(PACS_008, {"FIToFICstmrCdtTrf": {"GrpHdr": header, "CdtTrfTxInf": [transaction]}})


def _party(party: Party, number: str, name: str) -> Content:
    return {
        name: {"Nm": name_of(number)},
        f"{name}Acct": {"Id": {"IBAN": number}},
        f"{name}Agt": agent(party.agent),
    }
