"""``payments validate`` says of each file what it is and what is wrong with it, and never fails with a traceback."""

from __future__ import annotations

import json
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
