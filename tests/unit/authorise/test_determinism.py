"""The stage is a function of its records: not of when, how often or in what portions they are read."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.topology import AUTHORISE
from pipeline.ports import Record
from schemas.events import (
    AccountCredited,
    PayeeRiskChanged,
    PaymentAuthorised,
    PaymentConflicted,
    PaymentHeld,
    PaymentRejected,
    PaymentRepeated,
    PaymentSettled,
    PaymentSubmitted,
)
from tests.builders import BANK_A, BANK_B, a_party, a_transfer, eur, gbp
from tests.stage_under_test import START_US
from tests.unit.authorise.authorise_under_test import FOREIGN_BANK, OFFLINE_BANK, Authorise

MINUTE_US = 60_000_000
DAY_US = 24 * 60 * MINUTE_US
BANKS = (BANK_A, BANK_B, FOREIGN_BANK, OFFLINE_BANK, BANK_B, "NOBODEFF", BANK_A, BANK_B)
GOLDEN_CHAIN_HEAD = "49e58e825da55c915b055bc7a454bef8c4688b128bd8acb35a04c8d1c7c809a5"


def a_mixed_record(authorise: Authorise, number: int, at_us: int) -> bytes:
    """Return record ``number`` of a little of everything: orders, repeats, conflicts, credits, told risks, junk."""
    if number % 4 == 3:
        creditor = a_party("account-1", BANK_B)
        event: object = AccountCredited(f"in-{number}", a_party(f"payer-{number}"), creditor, gbp("70.00"), at_us)
        return authorise.record(creditor.account, event, at_us)
    if number % 50 == 8:
        return authorise.record("account-2", PayeeRiskChanged("account-2", 2, at_us + DAY_US), at_us)
    if number % 50 == 9:
        return b"junk"
    first = number - 5 if number % 10 in {5, 6} else number
    is_strange = first > 150 and first % 8 == 1
    amount = (eur, gbp)[first % 2]("5000.00" if is_strange else f"{first % 40 + 1}.00")
    transfer = a_transfer(
        first,
        amount=eur("1.00") if number % 10 == 6 else amount,
        debtor=a_party(f"account-{first % 7}", BANKS[first % 2]),
        creditor=a_party("stranger" if is_strange else f"account-{first % 11}", BANKS[first // 2 % len(BANKS)]),
        accepted_us=at_us,
    )
    return authorise.record(transfer.debtor.account, PaymentSubmitted(transfer), at_us)


def history(steps_us: list[int], late_us: int = 0) -> list[Record]:
    """Return a record every so often, each a log's record of its own that arrived ``late_us`` later."""
    authorise = Authorise()
    at_us, records = START_US, []
    for number, step_us in enumerate(steps_us):
        at_us = max(at_us + step_us, START_US)
        records.append(Record(1_000 + number, at_us + late_us, (a_mixed_record(authorise, number, at_us),)))
    return records


def read(authorise: Authorise, records: list[Record]) -> str:
    """Take in and commit ``records``; return the chain head behind them."""
    asyncio.run(authorise.shard.process(records))
    return authorise.shard.committed.chain_head.hex()


def test_two_hundred_records_give_the_chain_head_that_they_always_gave() -> None:
    """A change of behaviour shows here; once a version is live, it needs a new one in ``agents.topology``."""
    assert read(Authorise(), history([37 * MINUTE_US] * 200)) == GOLDEN_CHAIN_HEAD


def test_the_golden_history_has_something_of_everything() -> None:
    authorise = Authorise()

    read(authorise, history([37 * MINUTE_US] * 200))

    assert {type(event) for stream in AUTHORISE.destinations for event in authorise.emitted(stream)} == {
        AccountCredited,
        PayeeRiskChanged,
        PaymentAuthorised,
        PaymentConflicted,
        PaymentHeld,
        PaymentRejected,
        PaymentRepeated,
        PaymentSettled,
    }


steps = st.lists(st.sampled_from([0, 1, -MINUTE_US, MINUTE_US, 55 * MINUTE_US, DAY_US]), min_size=1, max_size=60)


@settings(max_examples=50, deadline=None)
@given(steps, st.lists(st.integers(0, 60), max_size=6))
def test_no_output_depends_on_where_it_is_committed_or_restarted(steps_us: list[int], cuts: list[int]) -> None:
    records = history(steps_us)
    at_once, in_portions = Authorise(), Authorise()
    read(at_once, records)

    bounds = [0, *sorted(cuts), len(records)]
    for start, end in pairwise(bounds):
        read(in_portions, records[start:end])
        in_portions = in_portions.restarted()

    assert in_portions.shard.committed == at_once.shard.committed
    assert dict(in_portions.rows()) == dict(at_once.rows())


def test_incident_3_a_replay_over_the_hours_boundary_counts_what_the_first_reading_counted() -> None:
    every_five_minutes = [5 * MINUTE_US] * 40

    live = read(Authorise(), history(every_five_minutes))
    replayed = read(Authorise(), history(every_five_minutes, late_us=DAY_US))

    assert live == replayed
