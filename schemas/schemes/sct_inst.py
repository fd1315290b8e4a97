"""SEPA Instant Credit Transfer: EUR only, without an amount limit.

The clock starts at the moment the order was received (AccptncDtTm): 7 s to the hard time-out at the creditor's side,
9 s to the confirmation at the originator.  An order cannot be held for a review: it is executed or refused.

Reason codes are ISO 20022's: AB06 time-out at the instructed agent or clearing, AB08 creditor's agent off line, AB10
error at the instructed agent, AC01 account wrong, AM05 duplicate, AM23 above the settlement limit, FRAD fraud.  AM02
may not be used.

A message carries one transaction.  AccptncDtTm has milliseconds at most, and no zero at the end of its fraction; an
original message is named without its version.  A payment is recalled once at most.  A verification of payee never
stops a payment.

Sources: EPC004-16, SCT Inst scheme rulebook, 2025 version 1.0, in force from 5 October 2025; ISO 20022 external code
sets.  What follows for the originator when 10 s have passed without a confirmation is from secondary sources.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from schemas.schemes.profile import MessageRules, ReasonCodes, SchemeProfile

STATUS_REASONS: Final = frozenset(
    """
    AB05 AB06 AB07 AB08 AB09 AB10 AC01 AC04 AC06 AG01 AG02 AG09 AG10 AG11 AM04 AM05 AM09 AM23 ARDT BE04 CNOR CURR DNOR
    DT01 DUPL ERIN FF01 FOCR FRAD MD07 MS02 MS03 RC01 RC07 RR01 RR02 RR03 RR04 TM01
    """.split()
)
"""Of a rejection; without AM02, since the scheme has no limit."""
RECALL_REASONS: Final = frozenset("AC03 AM09 CUST DUPL FRAD TECH".split())
"""Of a recall (DUPL, FRAD, TECH), and of a request for recall by the originator (AC03, AM09, CUST)."""
RECALL_REFUSALS: Final = frozenset("AC04 AM04 ARDT CUST LEGL NARR NOAS NOOR PTNA RR04".split())
"""Of an answer to a recall that is not a return."""

_SHORT_NAME: Final = r"[a-z]{4}\.[0-9]{3}"
_MESSAGES: Final = MessageRules(
    names=frozenset(
        "pacs.008.001.08 pacs.002.001.10 pacs.028.001.03 pacs.004.001.09 camt.056.001.08 camt.029.001.09".split()
    ),
    transactions_max=1,
    payment_type={"SvcLvl": [{"Cd": "SEPA"}], "LclInstrm": {"Cd": "INST"}},
    required=(
        "pacs.008/CdtTrfTxInf/PmtId/TxId",
        "pacs.008/CdtTrfTxInf/AccptncDtTm",
        "pacs.008/CdtTrfTxInf/Dbtr/Nm",
        "pacs.008/CdtTrfTxInf/DbtrAcct/Id/IBAN",
        "pacs.008/CdtTrfTxInf/DbtrAgt/FinInstnId/BICFI",
        "pacs.008/CdtTrfTxInf/CdtrAgt/FinInstnId/BICFI",
        "pacs.008/CdtTrfTxInf/Cdtr/Nm",
        "pacs.008/CdtTrfTxInf/CdtrAcct/Id/IBAN",
        "pacs.002/TxInfAndSts/OrgnlTxId",
        "pacs.004/TxInf/OrgnlTxId",
        "pacs.028/TxInf/OrgnlTxId",
        "camt.056/Undrlyg/TxInf/OrgnlTxId",
    ),
    allowed={
        "pacs.008/GrpHdr/SttlmInf/SttlmMtd": frozenset({"CLRG", "INGA", "INDA"}),
        "pacs.008/CdtTrfTxInf/PmtTpInf/SvcLvl/Cd": frozenset({"SEPA"}),
        "pacs.008/CdtTrfTxInf/PmtTpInf/LclInstrm/Cd": frozenset({"INST"}),
        "pacs.008/CdtTrfTxInf/ChrgBr": frozenset({"SLEV"}),
        "pacs.002/OrgnlGrpInfAndSts/GrpSts": frozenset({"ACCP", "ACSC", "RJCT"}),
        "pacs.002/OrgnlGrpInfAndSts/StsRsnInf/Rsn/Cd": STATUS_REASONS,
        "pacs.002/TxInfAndSts/TxSts": frozenset({"ACCP", "ACSC", "RJCT"}),
        "pacs.002/TxInfAndSts/StsRsnInf/Rsn/Cd": STATUS_REASONS,
        "pacs.004/TxInf/RtrRsnInf/Rsn/Cd": frozenset({"FOCR"}),
        "camt.056/Undrlyg/TxInf/CxlRsnInf/Rsn/Cd": RECALL_REASONS,
        "camt.029/Sts/Conf": frozenset({"RJCR"}),
        "camt.029/CxlDtls/TxInfAndSts/CxlStsRsnInf/Rsn/Cd": RECALL_REFUSALS,
    },
    forms={
        "pacs.008/CdtTrfTxInf/AccptncDtTm": r"[^.]*(?:\.[0-9]{0,2}[1-9](?![0-9]).*)?",
        "pacs.002/TxInfAndSts/AccptncDtTm": r"[^.]*(?:\.[0-9]{0,2}[1-9](?![0-9]).*)?",
        "pacs.002/OrgnlGrpInfAndSts/OrgnlMsgNmId": _SHORT_NAME,
        "pacs.002/TxInfAndSts/OrgnlGrpInf/OrgnlMsgNmId": _SHORT_NAME,
        "pacs.004/TxInf/OrgnlGrpInf/OrgnlMsgNmId": _SHORT_NAME,
        "pacs.028/OrgnlGrpInf/OrgnlMsgNmId": _SHORT_NAME,
        "pacs.028/TxInf/OrgnlGrpInf/OrgnlMsgNmId": _SHORT_NAME,
        "camt.056/Undrlyg/TxInf/OrgnlGrpInf/OrgnlMsgNmId": _SHORT_NAME,
        "camt.029/CxlDtls/TxInfAndSts/OrgnlGrpInf/OrgnlMsgNmId": _SHORT_NAME,
    },
)

SCT_INST = SchemeProfile(
    name="sct-inst",
    currency="EUR",
    amount_minor_max=None,
    answer_us_max=7_000_000,
    on_timeout="expire",
    may_hold=False,
    reference_length_max=140,
    target_us=5_000_000,
    confirm_us_max=9_000_000,
    outer_us_max=10_000_000,
    recalls_max=1,
    verification_blocks=False,
    wire="ISO 20022, versions of 2019",
    messages=_MESSAGES,
    reasons=ReasonCodes(
        duplicate="AM05",
        over_scheme_limit="AM23",
        over_cap="AM23",
        unreachable="AB08",
        creditor_agent_offline="AB08",
        timeout="AB06",
        too_late_on_arrival="AB06",
        suspected_fraud="FRAD",
        invalid="AC01",
        too_many_open="AB10",
    ),
)

SCT_INST_FOREIGN = replace(SCT_INST, name="sct-inst-foreign", on_timeout="hold", answer_us_max=9_000_000)
"""SCT Inst through somebody else's clearing, whose participant we are: a time-out says nothing about the outcome."""
