"""Messages of the links: what is to be said, as XML.

Written again, a message is the same bytes: its id is made of what it says, and its time is given.

A pacs.008 is the sender's own under a header of ours, where the vault has what it said beside the event; otherwise it
is made of the event alone, with what the schema demands, and the token of an account stands for its number.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Final

from agents.edge.link_messages.terms import (
    ACCEPTED,
    CYCLE,
    NEVER_RECEIVED,
    RECALL_REFUSED,
    REJECTED,
    SETTLED,
    Question,
    RecallAnswer,
    Reply,
)
from schemas.events import CreditTransfer, PaymentConfirmed, PaymentForwarded, RecallRequested
from schemas.iso20022.bindings import moment_text
from schemas.iso20022.conversion import Converted, give_events
from schemas.iso20022.elements import agent, amount, whole_milliseconds
from schemas.iso20022.external_codes import STATUS_REASONS
from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_004, PACS_008, PACS_028
from schemas.iso20022.walk import Content
from schemas.iso20022.writing import write_message
from schemas.schemes.catalogue import SCHEMES

NOT_PROVIDED: Final = "NOTPROVIDED"
_ID_BYTES: Final = 15
_REFERENCE_LENGTH_MAX: Final = 35
_DATE_LENGTH: Final = len("2025-10-05")


def message_id(*said: object) -> str:
    """Return the id of the message that says this; 30 characters."""
    return blake2b("/".join(map(str, said)).encode(), digest_size=_ID_BYTES).hexdigest().upper()


def clearing_reference(payment_id: str) -> str:
    """Return what the clearing calls an instruction, in 35 characters."""
    return payment_id if len(payment_id) <= _REFERENCE_LENGTH_MAX else message_id("instruction", payment_id)


def write_payment(payment: PaymentForwarded, remainder: Content | None, created_us: int) -> bytes:
    """Return the pacs.008 that asks the receiving participant to take a payment."""
    transfer = payment.transfer
    content = _of_event(transfer, payment.scheme) if remainder is None else _of_remainder(transfer, remainder)
    message = content["FIToFICstmrCdtTrf"]
    if not isinstance(message, dict):
        raise TypeError("FIToFICstmrCdtTrf holds no elements")
    message["GrpHdr"] = {
        **_header(message_id("payment", transfer.debtor.agent, transfer.transaction_id), created_us),
        "NbOfTxs": "1",
        "SttlmInf": {"SttlmMtd": "CLRG", "ClrSys": {"Prtry": payment.scheme}},
        "InstgAgt": agent(transfer.debtor.agent),
        "InstdAgt": agent(transfer.creditor.agent),
    }
    return write_message(PACS_008, content)


def write_question(question: Question, created_us: int) -> bytes:
    """Return the pacs.028 that asks a participant how a payment stands."""
    instructing_agent, transaction_id, responder = question.transaction
    header = {**_header(question.message_id, created_us), "InstdAgt": agent(responder)}
    asked: Content = {"OrgnlTxId": transaction_id, "OrgnlTxRef": {"DbtrAgt": agent(instructing_agent)}}
    return write_message(PACS_028, {"FIToFIPmtStsReq": {"GrpHdr": header, "TxInf": [asked]}})


def write_confirmation(confirmed: PaymentConfirmed, created_us: int) -> bytes:
    """Return the pacs.002 that tells one of its two participants how a payment ended."""
    said = (confirmed.recipient, confirmed.payment_id, confirmed.settled)
    header = {**_header(message_id("end", *said), created_us), "InstdAgt": agent(confirmed.recipient)}
    report = _report(confirmed.instructing_agent, confirmed.transaction_id)
    if confirmed.settled:
        report |= {"TxSts": SETTLED, "StsRsnInf": [{"AddtlInf": [f"{CYCLE}{confirmed.cycle}"]}]}
    else:
        report |= _rejection(confirmed.reason)
    report["ClrSysRef"] = clearing_reference(confirmed.payment_id)
    return write_message(PACS_002, {"FIToFIPmtStsRpt": {"GrpHdr": header, "TxInfAndSts": [report]}})


def write_reply(reply: Reply, created_us: int) -> bytes:
    """Return the pacs.002 in which a participant answers a payment, or a status request.

    It names the message that it answers, and of a payment that was never received that is the request.
    """
    instructing_agent, transaction_id, responder = reply.transaction
    header = {
        **_header(message_id("reply", *reply.transaction, reply.reason, reply.original), created_us),
        "InstgAgt": agent(responder),
    }
    answered = PACS_028 if reply.reason == NEVER_RECEIVED else PACS_008
    report = _report(instructing_agent, transaction_id)
    report |= {"TxSts": ACCEPTED} if reply.accepted else _rejection(reply.reason)
    group: Content = {"OrgnlMsgId": reply.original, "OrgnlMsgNmId": answered.family}
    parts: Content = {"GrpHdr": header, "OrgnlGrpInfAndSts": [group], "TxInfAndSts": [report]}
    return write_message(PACS_002, {"FIToFIPmtStsRpt": parts})


def write_recall(recall: RecallRequested, created_us: int) -> bytes:
    """Return the camt.056 that asks the receiver of a payment to send it back."""
    recalled: Content = {
        "CxlId": recall.recall_id,
        "OrgnlEndToEndId": recall.end_to_end_id,
        **_report(recall.instructing_agent, recall.transaction_id),
        "OrgnlUETR": recall.uetr,
        "OrgnlIntrBkSttlmAmt": amount(recall.amount),
        "CxlRsnInf": [{"Orgtr": {"Nm": NOT_PROVIDED}, "Rsn": {"Cd": recall.reason}}],
    }
    said = message_id("recall", recall.instructing_agent, recall.recall_id)
    assignment = _assignment(said, recall.instructing_agent, recall.recipient, created_us)
    return write_message(CAMT_056, {"FIToFIPmtCxlReq": {"Assgnmt": assignment, "Undrlyg": [{"TxInf": [recalled]}]}})


def write_recall_answer(answer: RecallAnswer, created_us: int) -> bytes:
    """Return the pacs.004 with which a participant sends a payment back, or the camt.029 in which it says why not."""
    instructing_agent, transaction_id, responder = answer.transaction
    original = _report(instructing_agent, transaction_id)
    said = message_id("recalled", *answer.transaction)
    if answer.returned is None:
        refused: Content = {
            **original,
            "TxCxlSts": RECALL_REFUSED,
            "CxlStsRsnInf": [{"Orgtr": {"Nm": NOT_PROVIDED}, "Rsn": {"Cd": answer.reason}}],
        }
        parts: Content = {
            "Assgnmt": _assignment(said, responder, instructing_agent, created_us),
            "Sts": {"Conf": RECALL_REFUSED},
            "CxlDtls": [{"TxInfAndSts": [refused]}],
        }
        return write_message(CAMT_029, {"RsltnOfInvstgtn": parts})
    returned: Content = {
        **original,
        "RtrId": answer.returned.return_id,
        "RtrdIntrBkSttlmAmt": amount(answer.returned.amount),
        "IntrBkSttlmDt": moment_text(created_us)[:_DATE_LENGTH],
        "ChrgBr": "SLEV",
        "RtrRsnInf": [{"Rsn": {"Cd": answer.reason}}],
    }
    header = _header(said, created_us)
    header |= {"NbOfTxs": "1", "SttlmInf": {"SttlmMtd": "CLRG"}, "InstgAgt": agent(responder)}
    return write_message(PACS_004, {"PmtRtr": {"GrpHdr": header, "TxInf": [returned]}})


def _assignment(identifier: str, assigner: str, assignee: str, created_us: int) -> Content:
    created = _header(identifier, created_us)["CreDtTm"]
    agents: Content = {"Assgnr": {"Agt": agent(assigner)}, "Assgne": {"Agt": agent(assignee)}}
    return {"Id": identifier, **agents, "CreDtTm": created}


def _of_event(transfer: CreditTransfer, scheme: str) -> Content:
    """Return a pacs.008 with what the event says, times in milliseconds, and what the schema demands besides."""
    unknown: Content = {"Nm": NOT_PROVIDED}
    transfer = replace(transfer, accepted_us=whole_milliseconds(transfer.accepted_us))
    rest: Content = {
        "PmtTpInf": SCHEMES[scheme].messages.payment_type,
        "IntrBkSttlmDt": moment_text(transfer.accepted_us)[:_DATE_LENGTH],
        "ChrgBr": "SLEV",
        "Dbtr": unknown,
        "DbtrAcct": {"Id": {"Othr": {"Id": transfer.debtor.account}}},
        "Cdtr": unknown,
        "CdtrAcct": {"Id": {"Othr": {"Id": transfer.creditor.account}}},
    }
    return _of_remainder(transfer, {"FIToFICstmrCdtTrf": {"CdtTrfTxInf": [rest]}})


def _of_remainder(transfer: CreditTransfer, remainder: Content) -> Content:
    return give_events(PACS_008, Converted((transfer,), remainder))


def _header(identifier: str, created_us: int) -> Content:
    return {"MsgId": identifier, "CreDtTm": moment_text(whole_milliseconds(created_us))}


def _report(instructing_agent: str, transaction_id: str) -> Content:
    return {"OrgnlTxId": transaction_id, "OrgnlTxRef": {"DbtrAgt": agent(instructing_agent)}}


def _rejection(reason: str) -> Content:
    """Return status and reason: ISO 20022's code, or the scheme's own number."""
    kind = "Cd" if reason in STATUS_REASONS.codes else "Prtry"
    return {"TxSts": REJECTED, "StsRsnInf": [{"Rsn": {kind: reason}}]}
