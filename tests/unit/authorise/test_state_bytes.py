"""What stands in the state stays readable: these bytes are for ever, or need a table of another number.

A digest that changed would be worse than a format: every claim would be forgotten at once.
"""

from __future__ import annotations

from agents.dedupe import Claim, ClaimCodec, content_of, identity_of
from agents.fraud.account import Account, moved_to_front
from agents.fraud.windows import DAY_US, ORDERS, PAYMENTS_OUT, SUM_OUT
from tests.builders import a_transfer, eur
from tests.stage_under_test import START_US

IDENTITY = "1b591cdde90b64af2d37d871d76bc093"
CONTENT = "40607d38621268c1124af89bd272958d"
ACCOUNT = (
    "0006445941624000000644817d11000000000000000000000004000102030400000006000000030000000000000000000000"
    "000000000000000e7600000000000000000059bb000200160059b8c00000000000000000000000000000000000000059b9e0"
    "00020001000000000000000004d2000000000059bb0000040002000000000000000009a400000000"
)


def test_the_identity_of_an_order() -> None:
    assert identity_of(a_transfer(7)).hex() == IDENTITY


def test_the_content_of_an_order() -> None:
    assert content_of(a_transfer(7, amount=eur("12.34"), reference="for coffee, 2 cups")).hex() == CONTENT


def test_the_bytes_of_a_claim() -> None:
    assert ClaimCodec.encode(Claim("payment-7", bytes(16))) == bytes(16) + b"payment-7"


def test_the_bytes_of_an_account() -> None:
    account = Account(START_US)
    account.payees = moved_to_front(account.payees, b"\x01\x02\x03\x04", -1)
    for day in range(3):
        account.seen_us = START_US + day * DAY_US
        account.windows.advance(account.seen_us)
        for counter, value in ((ORDERS, 2), (PAYMENTS_OUT, 1), (SUM_OUT, 1_234)):
            account.windows.counters[counter] += value

    assert account.encode().hex() == ACCOUNT
