"""What the gateway's claims promise, in SQLite and in DynamoDB: the first stays, whoever asks and whenever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from agents.edge.errors import EdgeError
from agents.edge.gateway.claims import Claim, ClaimStore, Standing
from agents.edge.gateway.dynamo_claims import DynamoClaims
from agents.edge.gateway.sqlite_claims import SqliteClaims
from tests.aws_under_test import client

FIRST = Claim("pay_1", "hub", "alpha", b"digest", 1_700_000_000_000_000, "vop_1", b"\x00record\xff")
SECOND = replace(FIRST, claim_id="pay_2", received_us=FIRST.received_us + 1, verification_id="")


class ClaimsUnderTest:
    """A store that can be left by a process and found again by the next."""

    def __init__(self, reopen: Callable[[], ClaimStore]) -> None:
        self._reopen = reopen
        self.store = reopen()

    def restart(self) -> ClaimStore:
        self.store.close()
        self.store = self._reopen()
        return self.store


@pytest.fixture(params=["sqlite", "dynamodb"])
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> ClaimsUnderTest:
    if request.param == "sqlite":
        return ClaimsUnderTest(lambda: SqliteClaims(tmp_path))
    dynamodb = client("dynamodb", request.getfixturevalue("aws"))
    name = f"gateway-{uuid4()}"
    DynamoClaims(dynamodb, name).create()
    return ClaimsUnderTest(lambda: DynamoClaims(dynamodb, name))


def test_a_claim_stands_as_it_was_made_also_for_the_next_process(claims: ClaimsUnderTest) -> None:
    assert claims.store.claim([FIRST, SECOND], appended=()) == [Standing(FIRST, False), Standing(SECOND, False)]

    standing = claims.restart().standing(["pay_2", "pay_0", "pay_1"])

    assert standing == [Standing(SECOND, False), None, Standing(FIRST, False)]


def test_the_first_claim_stays_whatever_comes_later(claims: ClaimsUnderTest) -> None:
    claims.store.claim([FIRST], appended=())

    later = replace(FIRST, digest=b"other", record=b"other")

    assert claims.store.claim([SECOND, later], appended=()) == [Standing(SECOND, False), Standing(FIRST, False)]
    assert claims.store.standing(["pay_1"]) == [Standing(FIRST, False)]


def test_what_was_appended_is_not_appended_by_the_next_process(claims: ClaimsUnderTest) -> None:
    claims.store.claim([FIRST], appended=())
    assert list(claims.restart().unappended()) == [FIRST]

    claims.store.claim([SECOND], appended=["pay_1"])

    assert list(claims.restart().unappended()) == [SECOND]
    assert claims.store.standing(["pay_1"]) == [Standing(FIRST, True)]


def test_an_appended_claim_that_comes_again_stays_appended(claims: ClaimsUnderTest) -> None:
    claims.store.claim([FIRST], appended=())
    claims.store.claim([], appended=["pay_1"])

    assert claims.store.claim([FIRST], appended=()) == [Standing(FIRST, True)]
    assert list(claims.store.unappended()) == []


def test_an_epoch_is_given_once(claims: ClaimsUnderTest) -> None:
    assert claims.store.epoch(7) == 7
    assert claims.restart().epoch(8) == 7


def test_a_store_belongs_to_one_log(claims: ClaimsUnderTest) -> None:
    claims.store.require_fact("log", "one")
    claims.store.require_fact("log", "one")

    with pytest.raises(EdgeError, match="log = one, not two"):
        claims.restart().require_fact("log", "two")


def test_the_first_document_under_an_id_stays(claims: ClaimsUnderTest) -> None:
    assert claims.store.kept("vop_1") is None

    assert claims.store.keep("vop_1", b"first") == b"first"
    assert claims.restart().keep("vop_1", b"second") == b"first"
    assert claims.store.kept("vop_1") == b"first"
