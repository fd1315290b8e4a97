"""A valid message of each kind, as SCT Inst has it, and ways to change one."""

from __future__ import annotations

from copy import deepcopy

from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_004, PACS_008, PACS_028, MessageName
from schemas.iso20022.walk import Amount, Content, Value

UETR = "8a562c67-ca16-48ba-b074-65581be6f001"
_HEADER: Content = {"MsgId": "M-1", "CreDtTm": "2025-10-05T01:30:00.123Z"}
_CLEARING: Content = {"SttlmMtd": "CLRG"}
_ORIGINAL: Content = {"OrgnlMsgId": "M-1", "OrgnlMsgNmId": "pacs.008"}
_IDENTITY: Content = {"OrgnlEndToEndId": "E2E-1", "OrgnlTxId": "TX-1", "OrgnlUETR": UETR}
_ASSIGNMENT: Content = {
    "Id": "A-1",
    "Assgnr": {"Agt": {"FinInstnId": {"BICFI": "ZQAADEX0"}}},
    "Assgne": {"Agt": {"FinInstnId": {"BICFI": "ZQABFRX0"}}},
    "CreDtTm": "2025-10-06T09:00:00Z",
}

EXAMPLES: dict[MessageName, Content] = {
    PACS_008: {
        "FIToFICstmrCdtTrf": {
            "GrpHdr": {**_HEADER, "NbOfTxs": "1", "SttlmInf": _CLEARING},
            "CdtTrfTxInf": [
                {
                    "PmtId": {"EndToEndId": "E2E-1", "TxId": "TX-1", "UETR": UETR},
                    "PmtTpInf": {"SvcLvl": [{"Cd": "SEPA"}], "LclInstrm": {"Cd": "INST"}},
                    "IntrBkSttlmAmt": Amount("12.30", "EUR"),
                    "IntrBkSttlmDt": "2025-10-05",
                    "AccptncDtTm": "2025-10-05T03:30:00.12+02:00",
                    "ChrgBr": "SLEV",
                    "Dbtr": {"Nm": "Zoë Müller"},
                    "DbtrAcct": {"Id": {"IBAN": "DE89370400440532013000"}},
                    "DbtrAgt": {"FinInstnId": {"BICFI": "ZQAADEX0"}},
                    "CdtrAgt": {"FinInstnId": {"BICFI": "ZQABFRX0"}},
                    "Cdtr": {"Nm": "Café de la Gare"},
                    "CdtrAcct": {"Id": {"IBAN": "FR1420041010050500013M02606"}},
                    "RmtInf": {"Ustrd": ["COFFEE"]},
                }
            ],
        }
    },
    PACS_002: {
        "FIToFIPmtStsRpt": {
            "GrpHdr": _HEADER,
            "OrgnlGrpInfAndSts": [_ORIGINAL],
            "TxInfAndSts": [{**_IDENTITY, "TxSts": "RJCT", "StsRsnInf": [{"Rsn": {"Cd": "AC04"}}]}],
        }
    },
    PACS_028: {"FIToFIPmtStsReq": {"GrpHdr": _HEADER, "TxInf": [{"OrgnlGrpInf": _ORIGINAL, **_IDENTITY}]}},
    PACS_004: {
        "PmtRtr": {
            "GrpHdr": {**_HEADER, "NbOfTxs": "1", "SttlmInf": _CLEARING},
            "TxInf": [
                {
                    "RtrId": "R-1",
                    "OrgnlGrpInf": _ORIGINAL,
                    **_IDENTITY,
                    "RtrdIntrBkSttlmAmt": Amount("12.30", "EUR"),
                    "RtrRsnInf": [{"Rsn": {"Cd": "FOCR"}}],
                }
            ],
        }
    },
    CAMT_056: {
        "FIToFIPmtCxlReq": {
            "Assgnmt": _ASSIGNMENT,
            "Undrlyg": [{"TxInf": [{"OrgnlGrpInf": _ORIGINAL, **_IDENTITY, "CxlRsnInf": [{"Rsn": {"Cd": "DUPL"}}]}]}],
        }
    },
    CAMT_029: {
        "RsltnOfInvstgtn": {
            "Assgnmt": _ASSIGNMENT,
            "Sts": {"Conf": "RJCR"},
            "CxlDtls": [
                {"TxInfAndSts": [{"OrgnlGrpInf": _ORIGINAL, **_IDENTITY, "CxlStsRsnInf": [{"Rsn": {"Cd": "ARDT"}}]}]}
            ],
        }
    },
}


def changed(name: MessageName, path: str, value: Value | None) -> Content:
    """Return the example with another value at a path below the message's element; with None, without it."""
    content = deepcopy(EXAMPLES[name])
    ((_, held),) = content.items()
    *around, last = path.split("/")
    for step in around:
        assert isinstance(held, dict)
        held = held.setdefault(step, {})
        if isinstance(held, list):
            held = held[0]
    assert isinstance(held, dict)
    if value is None:
        del held[last]
    else:
        held[last] = value
    return content
