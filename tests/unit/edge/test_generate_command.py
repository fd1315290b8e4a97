"""``payments generate`` prints submissions, the same ones each time."""

from __future__ import annotations

import json
from base64 import b64decode

import typer
from typer.testing import CliRunner

from agents.cli.generate import generate

app = typer.Typer()
app.command()(generate)


def printed(*options: str) -> list[str]:
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0
    return result.stdout.splitlines()


def test_the_same_options_print_the_same_lines() -> None:
    options = ("--count", "30", "--seed", "3", "--accounts", "1000")

    assert printed(*options) == printed(*options)


def test_a_line_is_an_object_of_an_event_or_of_a_record() -> None:
    lines = [json.loads(line) for line in printed("--count", "300", "--accounts", "1000")]

    assert [line["index"] for line in lines] == list(range(300))
    for line in lines:
        if line["kind"] == "bad-data":
            assert b64decode(line["record"])
        else:
            assert line["event"]["transfer"]["debtor"]["account"] == line["key"]


def test_printing_begins_at_any_index() -> None:
    assert printed("--count", "20", "--accounts", "1000")[15:] == printed(
        "--count", "5", "--first", "15", "--accounts", "1000"
    )
