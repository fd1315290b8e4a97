"""The contents of valid messages, with the variety that real ones have."""

from __future__ import annotations

from typing import Final

from agents.edge.messages.parties import draw_account, draw_party
from agents.edge.workload.draws import Draws
from agents.edge.workload.orders import NOT_PROVIDED, draw_amount, draw_purpose
from agents.edge.workload.population import EURO_COUNTRIES, bic_of
from schemas.iso20022.bindings import moment_text
from schemas.iso20022.elements import agent, amount, whole_milliseconds
from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_004, PACS_008, PACS_028, MessageName
from schemas.iso20022.walk import Amount, Content
from schemas.schemes.catalogue import SCHEMES
from schemas.schemes.sct_inst import RECALL_REASONS, RECALL_REFUSALS, STATUS_REASONS

_PURPOSES: Final = ("SALA", "GDDS", "RENT", "SUPP", "TAXS", "OTHR")
_CATEGORIES: Final = ("SALA", "SUPP", "TREA", "CASH")
_REMARKS: Final = ("Rechnung Nr. 4711 / Kunde 0815", "Loyer février, merci !", "Faktura 2025/10 <pilne>", "家賃 10月")


def draw_content(name: MessageName, scheme: str, draws: Draws, created_us: int) -> Content:
    """Return a content that is valid by the schema and the scheme."""
    return {
        PACS_008: _credit_transfer,
        PACS_002: _status,
        PACS_028: _status_request,
        PACS_004: _return,
        CAMT_056: _recall,
        CAMT_029: _recall_refused,
    }[name](scheme, draws, created_us)


def _bic(scheme: str, draws: Draws) -> str:
    number = draws.below(600)
    return bic_of(number, "GB" if scheme == "fps" else EURO_COUNTRIES[number % len(EURO_COUNTRIES)])


def _header(draws: Draws, created_us: int) -> Content:
    return {"MsgId": f"MSG{draws.token().upper()}", "CreDtTm": moment_text(created_us)}


def _amount(scheme: str, draws: Draws) -> Amount:
    return amount(draw_amount(draws, draw_purpose(draws), SCHEMES[scheme].currency))


def _credit_transfer(scheme: str, draws: Draws, created_us: int) -> Content:
    accepted_us = whole_milliseconds(created_us - draws.below(300_000))
    debtor_bic, creditor_bic = _bic(scheme, draws), _bic(scheme, draws)
    transaction: Content = {
        "PmtId": _identity(draws),
        "PmtTpInf": _payment_type(scheme, draws),
        "IntrBkSttlmAmt": _amount(scheme, draws),
        "IntrBkSttlmDt": moment_text(created_us)[:10],
        "AccptncDtTm": moment_text(accepted_us),
        "ChrgBr": "SLEV",
        "InstgAgt": agent(debtor_bic),
        "InstdAgt": agent(creditor_bic),
        "Dbtr": draw_party(draws, debtor_bic[4:6]),
        "DbtrAcct": draw_account(draws, debtor_bic),
        "DbtrAgt": agent(debtor_bic),
        "CdtrAgt": agent(creditor_bic),
        "Cdtr": draw_party(draws, creditor_bic[4:6]),
        "CdtrAcct": draw_account(draws, creditor_bic),
    }
    if draws.happens(1_500):
        transaction["UltmtDbtr"] = draw_party(draws, debtor_bic[4:6])
    if draws.happens(1_500):
        transaction["UltmtCdtr"] = draw_party(draws, creditor_bic[4:6])
    if draws.happens(3_000):
        transaction["Purp"] = {"Cd": draws.pick(_PURPOSES)}
    if draws.happens(8_000):
        transaction["RmtInf"] = _remittance(scheme, draws)
    header = _header(draws, created_us)
    header |= {"NbOfTxs": "1", "SttlmInf": {"SttlmMtd": "CLRG", "ClrSys": {"Prtry": "CSM"}}}
    return {"FIToFICstmrCdtTrf": {"GrpHdr": header, "CdtTrfTxInf": [transaction]}}


def _identity(draws: Draws) -> Content:
    identity: Content = {
        "EndToEndId": NOT_PROVIDED if draws.happens(3_500) else f"E2E-{draws.token()[:16].upper()}",
        "TxId": f"TX{draws.token().upper()}",
        "UETR": draws.uetr(),
    }
    if draws.happens(3_000):
        identity["InstrId"] = f"I{draws.token()[:20].upper()}"
    return identity


def _payment_type(scheme: str, draws: Draws) -> Content:
    if scheme == "fps":
        return {"LclInstrm": {"Prtry": draws.pick(("SIP", "FDP", "SOP"))}}
    payment_type = {**SCHEMES[scheme].messages.payment_type}
    if draws.happens(2_000):
        payment_type["CtgyPurp"] = {"Cd": draws.pick(_CATEGORIES)}
    return payment_type


def _remittance(scheme: str, draws: Draws) -> Content:
    if scheme == "fps":
        return {"Ustrd": [draw_purpose(draws).reference]}
    if draws.happens(7_000):
        return {"Ustrd": [draws.pick(_REMARKS)]}
    reference = f"RF{draws.between(10, 99)}{draws.token()[:15].upper()}"
    return {"Strd": [{"CdtrRefInf": {"Tp": {"CdOrPrtry": {"Cd": "SCOR"}, "Issr": "ISO"}, "Ref": reference}}]}


def _original(draws: Draws) -> Content:
    return {"OrgnlMsgId": f"MSG{draws.token().upper()}", "OrgnlMsgNmId": "pacs.008"}


def _original_identity(draws: Draws) -> Content:
    identity = _identity(draws)
    return {f"Orgnl{name}": identity[name] for name in ("EndToEndId", "TxId", "UETR")}


def _status(scheme: str, draws: Draws, created_us: int) -> Content:
    report: Content = {**_original_identity(draws), "InstgAgt": agent(_bic(scheme, draws))}
    if draws.happens(6_000):
        report["TxSts"] = "ACCP" if scheme == "fps" else draws.pick(("ACCP", "ACSC"))
    else:
        report["TxSts"] = "RJCT"
        own = tuple(sorted(SCHEMES[scheme].messages.own_reasons.values()))
        report["StsRsnInf"] = [
            {"Rsn": {"Prtry": draws.pick(own)} if own else {"Cd": draws.pick(sorted(STATUS_REASONS))}}
        ]
    if draws.happens(5_000):
        report["AccptncDtTm"] = moment_text(whole_milliseconds(created_us))
    parts: Content = {"GrpHdr": _header(draws, created_us), "OrgnlGrpInfAndSts": [_original(draws)]}
    return {"FIToFIPmtStsRpt": {**parts, "TxInfAndSts": [report]}}


def _status_request(scheme: str, draws: Draws, created_us: int) -> Content:
    asked: Content = {"OrgnlGrpInf": _original(draws), **_original_identity(draws)}
    asked["InstgAgt"] = agent(_bic(scheme, draws))
    return {"FIToFIPmtStsReq": {"GrpHdr": _header(draws, created_us), "TxInf": [asked]}}


def _return(scheme: str, draws: Draws, created_us: int) -> Content:
    reason = {"Cd": "FOCR"} if scheme == "sct-inst" else {"Cd": draws.pick(("AC04", "AC06", "MD07", "FOCR"))}
    returned: Content = {
        "RtrId": f"R{draws.token().upper()}",
        "OrgnlGrpInf": _original(draws),
        **_original_identity(draws),
        "RtrdIntrBkSttlmAmt": _amount(scheme, draws),
        "IntrBkSttlmDt": moment_text(created_us)[:10],
        "ChrgBr": "SLEV",
        "RtrRsnInf": [{"Rsn": dict(reason)}],
    }
    header = _header(draws, created_us) | {"NbOfTxs": "1", "SttlmInf": {"SttlmMtd": "CLRG"}}
    return {"PmtRtr": {"GrpHdr": header, "TxInf": [returned]}}


def _assignment(scheme: str, draws: Draws, created_us: int) -> Content:
    return {
        "Id": f"A{draws.token().upper()}",
        "Assgnr": {"Agt": agent(_bic(scheme, draws))},
        "Assgne": {"Agt": agent(_bic(scheme, draws))},
        "CreDtTm": moment_text(created_us),
    }


def _recall(scheme: str, draws: Draws, created_us: int) -> Content:
    reason: Content = {"Orgtr": {"Nm": "Bank"}, "Rsn": {"Cd": draws.pick(sorted(RECALL_REASONS))}}
    if draws.happens(3_000):
        reason["AddtlInf"] = [draws.pick(_REMARKS)]
    recalled: Content = {
        "CxlId": f"C{draws.token().upper()}",
        "OrgnlGrpInf": _original(draws),
        **_original_identity(draws),
        "OrgnlIntrBkSttlmAmt": _amount(scheme, draws),
        "CxlRsnInf": [reason],
    }
    assignment = _assignment(scheme, draws, created_us)
    return {"FIToFIPmtCxlReq": {"Assgnmt": assignment, "Undrlyg": [{"TxInf": [recalled]}]}}


def _recall_refused(scheme: str, draws: Draws, created_us: int) -> Content:
    refused: Content = {
        "CxlStsId": f"S{draws.token().upper()}",
        "OrgnlGrpInf": _original(draws),
        **_original_identity(draws),
        "TxCxlSts": "RJCR",
        "CxlStsRsnInf": [{"Orgtr": {"Nm": "Bank"}, "Rsn": {"Cd": draws.pick(sorted(RECALL_REFUSALS))}}],
    }
    assignment = _assignment(scheme, draws, created_us)
    return {
        "RsltnOfInvstgtn": {"Assgnmt": assignment, "Sts": {"Conf": "RJCR"}, "CxlDtls": [{"TxInfAndSts": [refused]}]}
    }
