"""``payments validate`` says of each file what it is and what is wrong with it, and never fails with a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agents.cli.validate import validate
from schemas.iso20022.message_name import PACS_008
from schemas.iso20022.walk import Amount
from schemas.iso20022.writing import write_message
from tests.unit.iso20022.examples import EXAMPLES, changed

app = typer.Typer()
app.command()(validate)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.xml"
    file.write_bytes(write_message(PACS_008, EXAMPLES[PACS_008]))
    return file


@pytest.fixture
def pounds(tmp_path: Path) -> Path:
    file = tmp_path / "pounds.xml"
    file.write_bytes(write_message(PACS_008, changed(PACS_008, "CdtTrfTxInf/IntrBkSttlmAmt", Amount("1.00", "GBP"))))
    return file


def test_valid_files_end_with_0(good: Path, pounds: Path) -> None:
    result = CliRunner().invoke(app, [str(good), str(pounds), "--json"])

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "files": [
            {"file": str(file), "type": "pacs.008.001.08", "valid": True, "violations": []} for file in (good, pounds)
        ]
    }


def test_a_violation_has_its_xpath_its_rule_and_its_reason(good: Path, pounds: Path) -> None:
    result = CliRunner().invoke(app, [str(good), str(pounds), "--scheme", "sct-inst", "--json"])

    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["files"]
    assert (first["valid"], second["valid"]) == (True, False)
    assert second["violations"] == [
        {
            "path": "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/IntrBkSttlmAmt/@Ccy",
            "rule": "sct-inst.currency",
            "message": "is GBP, not EUR",
        }
    ]
    assert "is GBP, not EUR [sct-inst.currency]" in result.stderr


@pytest.mark.parametrize(
    "document",
    [b"", b"\0\xff" * 50, b"<a>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<\xe9/>", b" " * (11 << 20), b"<a/>"],
    ids=["empty", "garbage", "truncated", "entities", "encoding", "large", "other"],
)
def test_what_is_no_message_gets_one_line(tmp_path: Path, document: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(document)

    result = CliRunner().invoke(app, [str(file), "--json"])

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    (row,) = json.loads(result.stdout)["files"]
    assert (row["type"], row["valid"], [violation["rule"] for violation in row["violations"]]) == (
        None,
        False,
        ["document"],
    )


def test_a_file_that_is_not_there_ends_with_3_and_the_others_are_looked_at(good: Path) -> None:
    result = CliRunner().invoke(app, [str(good.with_name("nowhere")), str(good), "--json"])

    assert result.exit_code == 3
    assert [row["valid"] for row in json.loads(result.stdout)["files"]] == [False, True]


def test_a_scheme_that_nobody_knows_is_wrong_usage(good: Path) -> None:
    assert CliRunner().invoke(app, [str(good), "--scheme", "sepa"]).exit_code == 2


A_SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{0}" targetNamespace="{0}" elementFormDefault="qualified">
  <xs:element name="Document"><xs:complexType><xs:sequence>{1}</xs:sequence></xs:complexType></xs:element>
</xs:schema>
"""
"""Of our own making, since ISO's are not here: it takes a Document with what it is told."""
ANYTHING = '<xs:any processContents="skip"/>'


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setenv("PAYMENTS_XSD_DIR", str(tmp_path))
    file = tmp_path / f"{PACS_008}.xsd"

    def write(inside: str) -> None:
        file.write_text(A_SCHEMA.format(PACS_008.namespace, inside))

    return write


def test_a_schema_that_agrees_changes_nothing(good: Path, schema: Callable[[str], None]) -> None:
    schema(ANYTHING)

    assert CliRunner().invoke(app, [str(good)]).exit_code == 0


def test_what_only_the_schema_does_not_take_is_a_violation_without_values(
    good: Path, schema: Callable[[str], None]
) -> None:
    schema("")

    result = CliRunner().invoke(app, [str(good), "--json"])

    assert result.exit_code == 1
    ((violation,),) = [file["violations"] for file in json.loads(result.stdout)["files"]]
    assert (violation["path"], violation["rule"]) == ("/Document", "xsd")
    assert violation["message"].endswith("SCHEMAV_CVC_COMPLEX_TYPE_2_1")


def test_what_only_the_schema_takes_is_a_violation_beside_ours(good: Path, schema: Callable[[str], None]) -> None:
    schema(ANYTHING)
    good.write_bytes(good.read_bytes().replace(b"<ChrgBr>SLEV</ChrgBr>", b""))

    result = CliRunner().invoke(app, [str(good), "--json"])

    assert result.exit_code == 1
    (file,) = json.loads(result.stdout)["files"]
    assert [violation["rule"] for violation in file["violations"]] == ["schema.missing", "xsd"]


def test_a_message_without_a_schema_in_the_folder_is_said_to_be_one(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENTS_XSD_DIR", str(tmp_path))

    result = CliRunner().invoke(app, [str(good)])

    assert result.exit_code == 3
    assert "has no schema of pacs.008.001.08" in result.stderr


def test_a_folder_that_is_none_is_a_wrong_usage(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_XSD_DIR", str(tmp_path / "nowhere"))

    assert CliRunner().invoke(app, [str(good)]).exit_code == 2
