"""A message is its events and a remainder, and both together are the message: nothing is lost, nothing is made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from schemas.events import CreditTransfer, Party
from schemas.iso20022.bindings import moment_text, moment_us
from schemas.iso20022.conversion import Converted, OrderIdentity, account_number, give_events, take_events
from schemas.iso20022.correspondence import PaymentStatusReported
from schemas.iso20022.errors import NotConvertibleError
from schemas.iso20022.message_name import PACS_002, PACS_008, SPOKEN, MessageName
from schemas.iso20022.messages import read_messages
from schemas.iso20022.walk import Amount, Content, Value
from schemas.iso20022.writing import write_message
from schemas.money import Money
from tests.unit.iso20022.any_message import AnyMessage
from tests.unit.iso20022.examples import EXAMPLES, UETR, changed

ACCEPTED_US = 1_759_627_800_120_000  # 2025-10-05T01:30:00.12Z


def tokens(transaction: Content) -> OrderIdentity:
    return OrderIdentity(
        "pay_1", f"t{hash(account_number(transaction, 'Dbtr'))}", f"t{hash(account_number(transaction, 'Cdtr'))}"
    )


def canonical(document: bytes) -> Any:
    """Return a document by what its schema sees: without prefixes, comments and the spaces between elements."""
    return _canonical(etree.fromstring(document, etree.XMLParser(remove_comments=True, remove_pis=True)))


def _canonical(element: Any) -> Any:
    inside = [_canonical(child) for child in element]
    return (element.tag, sorted(element.attrib.items()), inside or (element.text or ""))


def test_a_credit_transfer_is_the_event_of_a_pacs_008() -> None:
    converted = take_events(PACS_008, EXAMPLES[PACS_008], lambda _: OrderIdentity("pay_1", "acct_d", "acct_c"))

    assert converted.events == (
        CreditTransfer(
            payment_id="pay_1",
            transaction_id="TX-1",
            end_to_end_id="E2E-1",
            uetr=UETR,
            debtor=Party("acct_d", "ZQAADEX0"),
            creditor=Party("acct_c", "ZQABFRX0"),
            amount=Money(1230, "EUR"),
            accepted_us=ACCEPTED_US,
            reference="COFFEE",
        ),
    )


def test_the_identity_of_an_order_is_asked_with_its_accounts() -> None:
    asked = []

    def identity_of(transaction: Content) -> OrderIdentity:
        asked.append((account_number(transaction, "Dbtr"), account_number(transaction, "Cdtr")))
        return OrderIdentity("pay_1", "acct_d", "acct_c")

    numbered: Value = {"Id": {"Othr": {"Id": "20000055779911", "SchmeNm": {"Cd": "BBAN"}}}}
    take_events(PACS_008, changed(PACS_008, "CdtTrfTxInf/CdtrAcct", numbered), identity_of)

    assert asked == [("DE89370400440532013000", "BBAN:20000055779911")]


@pytest.mark.parametrize("name", SPOKEN, ids=str)
def test_events_and_remainder_are_the_message(name: MessageName) -> None:
    document = write_message(name, EXAMPLES[name])
    (message,) = read_messages(document)

    converted = take_events(name, message.content, tokens)

    assert len(converted.events) == 1
    assert canonical(write_message(name, give_events(name, converted))) == canonical(document)
    assert message.content == EXAMPLES[name]


@pytest.mark.parametrize("name", SPOKEN, ids=str)
def test_nothing_of_any_message_that_has_events_is_lost(name: MessageName) -> None:
    converted_count = 0
    for seed in range(150):
        content = AnyMessage(name, seed, fullness=0.6).content()
        if name == PACS_008:
            content = _with_what_an_event_needs(content)
        try:
            converted = take_events(name, content, lambda _: OrderIdentity("pay_1", "acct_d", "acct_c"))
        except NotConvertibleError:
            continue
        converted_count += 1
        assert write_message(name, give_events(name, converted)) == write_message(name, content), f"seed {seed}"
    assert converted_count > 20


def _with_what_an_event_needs(content: Content) -> Content:
    inner = content["FIToFICstmrCdtTrf"]
    assert isinstance(inner, dict)
    transactions = inner["CdtTrfTxInf"]
    assert isinstance(transactions, list)
    for number, transaction in enumerate(transactions):
        assert isinstance(transaction, dict)
        transaction["PmtId"] = {"EndToEndId": "E", "TxId": f"T{number}", "UETR": UETR}
        transaction["IntrBkSttlmAmt"] = Amount(("1", "1.5", "12.30", "007.00")[number % 4], "EUR")
        transaction["AccptncDtTm"] = ("2025-10-05T03:30:00.120Z", "2025-10-05T24:00:00+02:00")[number % 2]
        transaction["DbtrAgt"] = transaction["CdtrAgt"] = {"FinInstnId": {"BICFI": "ZQAADEX0"}}
    return content


@pytest.mark.parametrize(
    ("field", "value", "place", "text"),
    [
        ("amount", Money(5, "EUR"), "IntrBkSttlmAmt", Amount("0.05", "EUR")),
        ("accepted_us", ACCEPTED_US + 1_880_000, "AccptncDtTm", "2025-10-05T01:30:02Z"),
        ("transaction_id", "TX-2", "PmtId", {"EndToEndId": "E2E-1", "TxId": "TX-2", "UETR": UETR}),
        ("reference", "TEA", "RmtInf", {"Ustrd": ["TEA"]}),
        ("creditor", Party("acct_c", "ZQACATX0"), "CdtrAgt", {"FinInstnId": {"BICFI": "ZQACATX0"}}),
    ],
)
def test_what_is_changed_in_an_event_is_changed_in_the_message(field: str, value: Any, place: str, text: Value) -> None:
    taken = take_events(PACS_008, EXAMPLES[PACS_008], tokens)
    event: Any = taken.events[0]

    content = give_events(PACS_008, Converted((replace(event, **{field: value}),), taken.remainder))

    assert content == changed(PACS_008, f"CdtTrfTxInf/{place}", text)


def test_a_remainder_has_no_field_that_its_event_has() -> None:
    remainder = take_events(PACS_008, EXAMPLES[PACS_008], tokens).remainder

    assert "DE89370400440532013000" in repr(remainder)
    for said in ("TX-1", "E2E-1", UETR, "12.30", "ZQAADEX0", "COFFEE"):
        assert said not in repr(remainder)


def test_an_event_has_no_account_number_and_no_name() -> None:
    (event,) = take_events(PACS_008, EXAMPLES[PACS_008], tokens).events

    for personal in ("DE89", "FR14", "Müller", "Gare"):
        assert personal not in repr(event)


def test_a_text_that_says_the_same_in_another_way_is_kept() -> None:
    for path, value in (
        ("CdtTrfTxInf/IntrBkSttlmAmt", Amount("012.3000", "EUR")),
        ("CdtTrfTxInf/AccptncDtTm", "2025-10-05T03:30:00.120000+02:00"),
        ("CdtTrfTxInf/AccptncDtTm", "2025-10-04T24:00:00-05:00"),
        ("CdtTrfTxInf/AccptncDtTm", "2025-10-05T01:30:00.123456789Z"),
    ):
        content = changed(PACS_008, path, value)

        assert give_events(PACS_008, take_events(PACS_008, content, tokens)) == content


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("CdtTrfTxInf/PmtId/TxId", None, "PmtId/TxId: is not there, or more than once"),
        ("CdtTrfTxInf/PmtId/UETR", None, "PmtId/UETR: is not there, or more than once"),
        ("CdtTrfTxInf/PmtId/TxId", "TX 1", "transaction id has characters other than"),
        ("CdtTrfTxInf/IntrBkSttlmAmt", Amount("1", "USD"), "IntrBkSttlmAmt: unknown currency USD"),
        ("CdtTrfTxInf/IntrBkSttlmAmt", Amount("1.001", "EUR"), "IntrBkSttlmAmt: is no whole number of minor units"),
        ("CdtTrfTxInf/IntrBkSttlmAmt", Amount("0", "EUR"), "IntrBkSttlmAmt: an amount is from 1 to"),
        ("CdtTrfTxInf/AccptncDtTm", "2025-10-05T03:30:00", "AccptncDtTm: says no time zone"),
        ("CdtTrfTxInf/AccptncDtTm", "12025-10-05T03:30:00Z", "AccptncDtTm: Invalid isoformat"),
        ("CdtTrfTxInf/DbtrAcct", None, "DbtrAcct/Id: is not there"),
    ],
)
def test_what_no_event_can_say_is_named(path: str, value: Value | None, reason: str) -> None:
    with pytest.raises(NotConvertibleError) as refused:
        take_events(PACS_008, changed(PACS_008, path, value), tokens)

    assert str(refused.value).startswith(reason)


def test_another_version_of_the_same_message_has_the_same_event() -> None:
    newer = MessageName("pacs.008", "001", "10")
    (message,) = read_messages(write_message(newer, EXAMPLES[PACS_008]))

    assert (message.name, message.faults) == (newer, ())
    assert (
        take_events(newer, message.content, tokens).events == take_events(PACS_008, EXAMPLES[PACS_008], tokens).events
    )


def test_a_message_is_made_of_an_event_and_a_remainder_by_hand() -> None:
    reported = PaymentStatusReported("TX-1", "", UETR, "RJCT", "AC04", "", ACCEPTED_US)
    header: Content = {"MsgId": "M", "CreDtTm": "2025-10-05T01:30:00Z"}
    remainder: Content = {"FIToFIPmtStsRpt": {"GrpHdr": header, "TxInfAndSts": [{}]}}

    (message,) = read_messages(write_message(PACS_002, give_events(PACS_002, Converted((reported,), remainder))))

    assert message.faults == ()
    assert take_events(PACS_002, message.content).events == (reported,)


def test_a_message_without_events_says_so() -> None:
    with pytest.raises(NotConvertibleError, match=r"there are no events of camt\.053\.001\.08"):
        take_events(MessageName("camt.053", "001", "08"), {})


def test_moments_are_read_with_their_zone_and_written_in_utc() -> None:
    assert moment_us("2025-10-05T03:30:00.12+02:00") == ACCEPTED_US
    assert moment_us("2025-10-04T24:00:00Z") == moment_us("2025-10-05T00:00:00Z")
    assert moment_text(ACCEPTED_US) == "2025-10-05T01:30:00.12Z"
    assert moment_text(moment_us("2025-10-05T00:00:00Z")) == "2025-10-05T00:00:00Z"
