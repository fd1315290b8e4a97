"""Generated ISO 20022 messages: the valid ones are valid, and each other one is refused for the reason on its label."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agents.cli.generate import generate
from agents.edge.messages import spoiling
from agents.edge.messages.parties import draw_iban
from agents.edge.messages.sequence import VALID, GeneratedMessage, message_at
from agents.edge.workload.draws import Draws
from schemas.iso20022 import external_codes
from schemas.iso20022.conversion import OrderIdentity, take_events
from schemas.iso20022.message_name import PACS_008, SPOKEN, MessageName
from schemas.iso20022.messages import read_messages
from schemas.iso20022.validation import validate
from schemas.schemes import sct_inst
from schemas.schemes.catalogue import SCHEMES
from tests.unit.iso20022.iso_schemas import accepts, needs_schemas

app = typer.Typer()
app.command()(generate)
CREATED_US = 1_764_000_000_000_000
COUNT = 1_500


@cache
def messages() -> list[GeneratedMessage]:
    return [message_at(1, index, CREATED_US + index * 2_000) for index in range(COUNT)]


def name_of(message: GeneratedMessage) -> MessageName:
    name = MessageName.in_text(message.type)
    assert name is not None
    return name


def test_valid_messages_are_valid_by_schema_code_sets_and_scheme() -> None:
    for message in messages():
        if message.label == VALID:
            verdict = validate(message.document, SCHEMES[message.scheme])

            assert verdict.violations == (), f"index {message.index}"
            assert verdict.type == message.type


def test_invalid_messages_are_refused_for_the_reason_on_their_label() -> None:
    for message in messages():
        if message.label != VALID:
            rules = {violation.rule for violation in validate(message.document, SCHEMES[message.scheme]).violations}

            assert message.rule in rules, f"index {message.index}, {message.label}: {rules}"


@pytest.mark.parametrize("spoil", spoiling._SPOILS, ids=lambda spoil: spoil.label)
def test_each_way_to_spoil_a_message_breaks_its_rule_and_no_other(spoil: spoiling.Spoil) -> None:
    message = next(
        each
        for each in messages()
        if each.label == VALID and spoil in spoiling.spoils_for(name_of(each), each.scheme)
    )  # fmt: skip

    violations = validate(spoil.apply(message.document), SCHEMES[message.scheme]).violations

    assert {violation.rule for violation in violations} - {"schema.missing"} <= {spoil.rule}
    assert spoil.rule in {violation.rule for violation in violations}


@needs_schemas
def test_the_schema_agrees_with_the_labels() -> None:
    for message in messages():
        takes = accepts(name_of(message), message.document)
        broken = message.rule.startswith(("schema.", "message")) or message.label in ("truncated", "not-utf-8")

        assert takes != broken, f"index {message.index}, {message.label}"


def test_every_type_scheme_and_label_is_there() -> None:
    assert {message.type for message in messages()} == {str(name) for name in SPOKEN}
    assert {message.scheme for message in messages()} == {"sct-inst", "fps"}
    everywhere = {spoil.label for spoil in spoiling._SPOILS if spoil.name is None}
    assert everywhere < {message.label for message in messages()}
    share = Counter(message.label == VALID for message in messages())[False] / COUNT
    assert 0.15 < share < 0.25


def test_credit_transfers_have_the_variety_of_real_ones() -> None:
    texts = [each.document.decode() for each in messages() if each.label == VALID and each.type == str(PACS_008)]
    elements = "AdrLine StrtNm PstBx UltmtDbtr UltmtCdtr Purp CtgyPurp Ustrd Strd LEI DtAndPlcOfBirth InstrId IBAN Othr"
    for element in (*elements.split(), "NOTPROVIDED", "Müller", "渡辺", "&lt;Retail&gt;"):
        assert any(element in text for text in texts), element
        assert element in ("IBAN", "Othr") or not all(element in text for text in texts), element


def test_each_credit_transfer_has_an_event() -> None:
    for message in messages():
        if message.label == VALID and message.type == str(PACS_008):
            (read,) = read_messages(message.document)

            taken = take_events(PACS_008, read.content, lambda _: OrderIdentity("pay_1", "acct_d", "acct_c"))
            assert len(taken.events) == 1


@pytest.mark.parametrize("country", ["AT", "BE", "DE", "ES", "FR", "GB", "IE", "IT", "NL"])
def test_ibans_have_the_right_check_digits(country: str) -> None:
    for number in range(50):
        iban = draw_iban(Draws(1, number), f"ZQAA{country}X0")

        assert int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def test_the_codes_of_sct_inst_are_in_their_code_sets() -> None:
    assert external_codes.STATUS_REASONS.codes >= sct_inst.STATUS_REASONS
    assert external_codes.CANCELLATION_REASONS.codes >= sct_inst.RECALL_REASONS
    assert external_codes.CANCELLATION_REJECTIONS.codes >= sct_inst.RECALL_REFUSALS


def printed(*options: str) -> bytes:
    result = CliRunner().invoke(app, ["--format", "xml", *options])
    assert result.exit_code == 0
    return result.stdout_bytes


def test_a_line_is_a_document_and_says_what_is_known_of_it() -> None:
    lines = printed("--count", "40", "--seed", "3").splitlines()

    assert lines == printed("--count", "40", "--seed", "3").splitlines()
    assert len(lines) == 40
    for index, line in enumerate(lines):
        comment = line.partition(b"<!-- ")[2].partition(b" -->")[0].decode().split()
        expected = message_at(3, index, CREATED_US + index * 2_000)
        assert comment == f"{index} {expected.type} {expected.scheme} {expected.label} {expected.rule}".split()
        assert validate(line).type in (expected.type, None)


def test_an_index_prints_the_same_wherever_one_begins() -> None:
    assert printed("--count", "3", "--first", "7") == b"".join(printed("--count", "10").splitlines(keepends=True)[7:])


def test_messages_can_be_written_as_files_with_their_labels(tmp_path: Path) -> None:
    printed("--count", "12", "--out", str(tmp_path / "messages"))

    rows = [json.loads(line) for line in (tmp_path / "messages" / "labels.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    for row in rows:
        violations = validate((tmp_path / "messages" / row["file"]).read_bytes(), SCHEMES[row["scheme"]]).violations
        assert (row["label"] == VALID) == (violations == ())


def test_the_share_of_invalid_messages_can_be_none_or_all() -> None:
    assert b" valid -->" not in printed("--count", "30", "--invalid", "100")
    assert printed("--count", "30", "--invalid", "0").count(b" valid -->") == 30
