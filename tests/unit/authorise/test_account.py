"""What an account remembers stays the same size, reads as it was written, and forgets the oldest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.fraud.account import (
    ACCOUNT_BYTES_MAX,
    FINGERPRINT_BYTES,
    REMEMBERED_MAX,
    Account,
    fingerprint,
    moved_to_front,
    place_of,
)
from agents.fraud.windows import BUCKET_US, ORDERS, SUM_IN
from tests.stage_under_test import START_US

# Few different bytes, so that a fingerprint also appears across two neighbours.
fingerprints = st.lists(st.sampled_from(b"\x00\x01"), min_size=4, max_size=4).map(bytes)


@given(st.lists(fingerprints, max_size=40))
def test_the_latest_counterparties_are_remembered_and_each_once(paid: list[bytes]) -> None:
    remembered, expected = b"", list[bytes]()
    for counterparty in paid:
        place = place_of(remembered, counterparty)
        assert place == (expected.index(counterparty) * FINGERPRINT_BYTES if counterparty in expected else -1)

        remembered = moved_to_front(remembered, counterparty, place)
        expected = [counterparty, *(known for known in expected if known != counterparty)][:REMEMBERED_MAX]

    assert remembered == b"".join(expected)


def test_the_seventeenth_counterparty_drives_out_the_first() -> None:
    remembered = b""
    for number in range(REMEMBERED_MAX + 1):
        remembered = moved_to_front(remembered, fingerprint(f"account-{number}"), -1)

    assert place_of(remembered, fingerprint("account-0")) == -1
    assert place_of(remembered, fingerprint("account-1")) == (REMEMBERED_MAX - 1) * FINGERPRINT_BYTES


def test_an_account_reads_as_it_was_written() -> None:
    account = Account(START_US)
    account.seen_us = START_US + 7
    account.told_step, account.told_until_us = 3, START_US + 9
    account.payees, account.payers = b"payefour", b"payr"
    account.windows.advance(START_US)
    account.windows.counters[ORDERS] += 5

    again = Account.decode(account.encode())

    assert again.encode() == account.encode()
    assert again.windows.counters == account.windows.counters
    for name in ("opened_us", "seen_us", "told_step", "told_until_us", "payees", "payers"):
        assert getattr(again, name) == getattr(account, name)


def test_the_busiest_account_is_bounded() -> None:
    account = Account(START_US)
    for bucket in range(40 * 24 * 12):
        account.windows.advance(START_US + bucket * BUCKET_US)
        account.windows.counters[SUM_IN] += 2**40
        counterparty = fingerprint(f"account-{bucket}")
        account.payees = moved_to_front(account.payees, counterparty, -1)
        account.payers = moved_to_front(account.payers, counterparty, -1)

    assert len(account.encode()) <= ACCOUNT_BYTES_MAX


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint("account-of-payer").hex() == "1ecfa728"
