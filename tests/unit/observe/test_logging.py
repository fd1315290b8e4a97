from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.observe.logging import about, configure, mask_accounts


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def logged(message: str, **fields: object) -> Any:
    stream = io.StringIO()
    configure("info", stream)
    logging.getLogger("pipeline.test").info(message, extra=about(**fields))
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def test_a_log_line_is_one_json_object() -> None:
    line = logged("shard taken over", stage="authorise", shard="shard-0")
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "pipeline.test",
        "message": "shard taken over",
        "stage": "authorise",
        "shard": "shard-0",
    }


def test_a_traceback_stays_on_the_line() -> None:
    stream = io.StringIO()
    configure("info", stream)
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("pipeline.test").exception("it failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["traceback"]


@pytest.mark.parametrize(
    "account",
    [
        "GB29NWBK60161331926819",
        "GB29 NWBK 6016 1331 9268 19",
        "DE89370400440532013000",
        "NO9386011117947",
        "60-16-13 31926819",
        "60-16-13/31926819",
    ],
)
def test_what_looks_like_an_account_number_is_masked(account: str) -> None:
    assert account not in mask_accounts(f"from {account} to nobody")
    assert logged("paid", account=account)["account"] == "[account]"


@pytest.mark.parametrize(
    "text",
    [
        "shardId-000000000012 at 49590338271490256608559692538361571095921575989136588898.4294967295",
        "BANKGB22/GBP",
        "f1d2d2f924e986ac86fdf7b36c94bcdf32beec15",
        "2026-01-31T12:00:00.123456Z",
    ],
)
def test_what_only_looks_a_little_like_one_is_not(text: str) -> None:
    assert mask_accounts(text) == text


def test_libraries_that_tell_what_they_are_about_to_do_are_quiet() -> None:
    stream = io.StringIO()
    configure("info", stream)
    logging.getLogger("faust.worker").info("Starting...")
    assert stream.getvalue() == ""
