"""What a scheme demands of a message beyond its schema, place by place."""

from __future__ import annotations

import pytest

from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_004, PACS_008, SPOKEN, MessageName
from schemas.iso20022.validation import Verdict, validate
from schemas.iso20022.walk import Amount, Value
from schemas.iso20022.writing import write_message
from schemas.schemes.catalogue import SCHEMES
from schemas.schemes.fps import FPS
from schemas.schemes.profile import MessageRules, SchemeProfile
from schemas.schemes.sct_inst import SCT_INST
from tests.unit.iso20022.examples import EXAMPLES, changed

TRANSFER = "/Document/FIToFICstmrCdtTrf"
STATUS = "/Document/FIToFIPmtStsRpt"


def verdict(scheme: SchemeProfile | None, name: MessageName, path: str, value: Value | None) -> Verdict:
    return validate(write_message(name, changed(name, path, value)), scheme)


def faults(found: Verdict) -> list[tuple[str, str]]:
    return [(violation.rule, violation.path) for violation in found.violations]


@pytest.mark.parametrize("name", SPOKEN, ids=str)
def test_the_messages_of_sct_inst_keep_to_its_rules(name: MessageName) -> None:
    assert faults(validate(write_message(name, EXAMPLES[name]), SCT_INST)) == []


@pytest.mark.parametrize(
    ("name", "path", "value", "rule", "where"),
    [
        (PACS_008, "CdtTrfTxInf/IntrBkSttlmAmt", Amount("1", "GBP"), "currency", "/CdtTrfTxInf/IntrBkSttlmAmt/@Ccy"),
        (PACS_008, "CdtTrfTxInf/IntrBkSttlmAmt", Amount("1.005", "EUR"), "amount", "/CdtTrfTxInf/IntrBkSttlmAmt"),
        (PACS_008, "CdtTrfTxInf/IntrBkSttlmAmt", Amount("0.00", "EUR"), "amount", "/CdtTrfTxInf/IntrBkSttlmAmt"),
        (PACS_008, "CdtTrfTxInf/ChrgBr", "SHAR", "code", "/CdtTrfTxInf/ChrgBr"),
        (PACS_008, "CdtTrfTxInf/PmtId/TxId", None, "required", "/CdtTrfTxInf/PmtId/TxId"),
        (PACS_008, "CdtTrfTxInf/AccptncDtTm", None, "required", "/CdtTrfTxInf/AccptncDtTm"),
        (PACS_008, "CdtTrfTxInf/AccptncDtTm", "2025-10-05T03:30:00.120Z", "form", "/CdtTrfTxInf/AccptncDtTm"),
        (PACS_008, "CdtTrfTxInf/AccptncDtTm", "2025-10-05T03:30:00.1234", "form", "/CdtTrfTxInf/AccptncDtTm"),
        (PACS_008, "CdtTrfTxInf/DbtrAcct", {"Id": {"Othr": {"Id": "1"}}}, "required", "/CdtTrfTxInf/DbtrAcct/Id/IBAN"),
        (PACS_008, "GrpHdr/NbOfTxs", "2", "transactions", "/GrpHdr/NbOfTxs"),
        (PACS_002, "TxInfAndSts/TxSts", "ACSP", "code", "/TxInfAndSts/TxSts"),
        (PACS_002, "TxInfAndSts/StsRsnInf/Rsn/Cd", "AM02", "code", "/TxInfAndSts/StsRsnInf/Rsn/Cd"),
        (PACS_002, "OrgnlGrpInfAndSts/OrgnlMsgNmId", "pacs.008.001.08", "form", "/OrgnlGrpInfAndSts/OrgnlMsgNmId"),
        (PACS_004, "TxInf/RtrRsnInf/Rsn/Cd", "AC04", "code", "/TxInf/RtrRsnInf/Rsn/Cd"),
        (PACS_004, "TxInf/RtrdIntrBkSttlmAmt", Amount("1", "USD"), "currency", "/TxInf/RtrdIntrBkSttlmAmt/@Ccy"),
        (CAMT_056, "Undrlyg/TxInf/CxlRsnInf/Rsn/Cd", "UPAY", "code", "/Undrlyg/TxInf/CxlRsnInf/Rsn/Cd"),
        (CAMT_029, "Sts/Conf", "CNCL", "code", "/Sts/Conf"),
    ],
)
def test_sct_inst_refuses(name: MessageName, path: str, value: Value | None, rule: str, where: str) -> None:
    (inner,) = EXAMPLES[name]

    assert faults(verdict(None, name, path, value)) == []
    assert faults(verdict(SCT_INST, name, path, value)) == [(f"sct-inst.{rule}", f"/Document/{inner}{where}")]


def test_a_payment_of_sct_inst_travels_alone() -> None:
    content = changed(PACS_008, "GrpHdr/NbOfTxs", "2")
    inner = content["FIToFICstmrCdtTrf"]
    assert isinstance(inner, dict)
    transactions = inner["CdtTrfTxInf"]
    assert isinstance(transactions, list)
    transactions.append(transactions[0])
    document = write_message(PACS_008, content)

    assert faults(validate(document)) == []
    assert faults(validate(document, SCT_INST)) == [("sct-inst.transactions", f"{TRANSFER}/CdtTrfTxInf[2]")]


def test_sct_inst_has_no_amount_limit_and_does_not_use_the_code_for_one() -> None:
    assert SCT_INST.amount_minor_max is None
    assert faults(verdict(SCT_INST, PACS_008, "CdtTrfTxInf/IntrBkSttlmAmt", Amount("999999999999.99", "EUR"))) == []
    assert "AM02" not in SCT_INST.messages.allowed["pacs.002/TxInfAndSts/StsRsnInf/Rsn/Cd"]


@pytest.mark.parametrize("time", ["2025-10-05T03:30:00Z", "2025-10-05T03:30:00.1", "2025-10-05T03:30:00.001+02:00"])
def test_an_acceptance_time_may_have_up_to_three_digits(time: str) -> None:
    assert faults(verdict(SCT_INST, PACS_008, "CdtTrfTxInf/AccptncDtTm", time)) == []


@pytest.mark.parametrize(
    ("number", "currency", "rules"),
    [
        ("1000000.00", "GBP", []),
        ("1000000.01", "GBP", ["fps.amount"]),
        ("1.00", "EUR", ["fps.currency"]),
    ],
)
def test_fps_carries_up_to_a_million_pounds(number: str, currency: str, rules: list[str]) -> None:
    found = verdict(FPS, PACS_008, "CdtTrfTxInf/IntrBkSttlmAmt", Amount(number, currency))

    assert [violation.rule for violation in found.violations] == rules


def test_a_reference_of_fps_has_eighteen_characters() -> None:
    content = changed(PACS_008, "CdtTrfTxInf/IntrBkSttlmAmt", Amount("1", "GBP"))
    for reference, rules in (("x" * 18, []), ("x" * 19, ["fps.reference"])):
        inner = content["FIToFICstmrCdtTrf"]
        assert isinstance(inner, dict)
        transactions = inner["CdtTrfTxInf"]
        assert isinstance(transactions, list)
        assert isinstance(transactions[0], dict)
        transactions[0]["RmtInf"] = {"Ustrd": [reference]}

        assert [v.rule for v in validate(write_message(PACS_008, content), FPS).violations] == rules


def test_the_reasons_of_fps_are_numbers_and_each_has_one_code() -> None:
    own = verdict(FPS, PACS_002, "TxInfAndSts/StsRsnInf", [{"Rsn": {"Prtry": "1160"}}])
    unknown = verdict(FPS, PACS_002, "TxInfAndSts/StsRsnInf", [{"Rsn": {"Prtry": "1234"}}])

    assert faults(own) == []
    assert faults(unknown) == [("fps.code", f"{STATUS}/TxInfAndSts/StsRsnInf/Rsn/Prtry")]
    assert faults(verdict(FPS, PACS_002, "TxInfAndSts/StsRsnInf/Rsn/Cd", "AC04")) == [
        ("fps.code", f"{STATUS}/TxInfAndSts/StsRsnInf/Rsn/Cd")
    ]
    codes = FPS.messages.own_reasons
    assert {number: code for code, number in codes.items()}["1160"] == "AC04"
    assert len(set(codes.values())) == len(codes)
    assert set(vars_of_reasons(FPS)) <= set(codes.values())


def vars_of_reasons(scheme: SchemeProfile) -> list[str]:
    return [getattr(scheme.reasons, name) for name in scheme.reasons.__slots__]


def test_two_codes_that_share_a_number_are_no_mapping() -> None:
    with pytest.raises(ValueError, match="share one"):
        MessageRules(frozenset(), 1, own_reasons={"AC01": "1", "AC04": "1"})


def test_fps_has_no_recalls() -> None:
    assert FPS.recalls_max == 0
    assert [rule for rule, _ in faults(validate(write_message(CAMT_056, EXAMPLES[CAMT_056]), FPS))] == ["fps.message"]


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_no_scheme_lets_a_verification_of_payee_stop_a_payment(scheme: SchemeProfile) -> None:
    assert not scheme.verification_blocks


def test_the_clocks_of_sct_inst() -> None:
    clocks = (SCT_INST.target_us, SCT_INST.answer_us_max, SCT_INST.confirm_us_max, SCT_INST.outer_us_max)

    assert clocks == (5_000_000, 7_000_000, 9_000_000, 10_000_000)
    assert SCT_INST.recalls_max == 1


@pytest.mark.parametrize(
    ("name", "path", "code"),
    [
        (PACS_002, "TxInfAndSts/StsRsnInf/Rsn/Cd", "RRO4"),
        (PACS_002, "TxInfAndSts/TxSts", "CANC"),
        (PACS_002, "TxInfAndSts/TxSts", "ACXX"),
        (PACS_004, "TxInf/RtrRsnInf/Rsn/Cd", "TECH"),
        (CAMT_056, "Undrlyg/TxInf/CxlRsnInf/Rsn/Cd", "DUPE"),
        (CAMT_029, "CxlDtls/TxInfAndSts/CxlStsRsnInf/Rsn/Cd", "NOPE"),
        (CAMT_029, "Sts/Conf", "YESS"),
    ],
)
def test_a_code_that_is_in_no_code_set_is_refused_though_the_schema_takes_it(
    name: MessageName, path: str, code: str
) -> None:
    (violation,) = verdict(None, name, path, code).violations

    assert violation.rule.startswith("code-set.External")
    assert violation.path.endswith(path.rpartition("/")[2])
    assert code in violation.message
