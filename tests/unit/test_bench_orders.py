"""The world that is measured: always the same, and one that the agents find in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agents.streams import CLEARING, OUTCOMES
from agents.topology import AUTHORISE
from bench.keyed_agents import KeyedAgents
from bench.orders import DAY_US, ORDERS_A_DAY, RETRY_EVERY, START_US, Orders, listings, token
from bench.past import Past
from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import decode
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.position import Position
from pipeline.ports import Record
from schemas.events import CreditTransfer, PaymentRepeated, PaymentSubmitted
from tests.stage_under_test import StageUnderTest

ACCOUNTS = 200
LATER_US = START_US + 366 * DAY_US
"""When the log takes the orders: all were accepted before."""


def transfer_of(record: bytes) -> CreditTransfer:
    envelope = decode(record)
    event = AUTHORISE.codec.decode(envelope.kind, envelope.version, envelope.body)
    assert isinstance(event, PaymentSubmitted)
    return event.transfer


def a_stage_with_a_past(claims: int = 0) -> StageUnderTest:
    """Return a stage that has a past and has heard of the participants."""
    stage = StageUnderTest(AUTHORISE)
    past = Past(stage.store, Orders(ACCOUNTS))
    past.open_accounts(range(ACCOUNTS))
    past.claim(range(claims), claims)
    stage = stage.restarted()
    stage.feed_bytes(*listings(), at_us=LATER_US)
    return stage


def events_by_key(outputs: Sequence[Output]) -> dict[tuple[str, bytes], list[bytes]]:
    """Return the bodies of what was put out, by stream and key, in order."""
    bodies: dict[tuple[str, bytes], list[bytes]] = {}
    for output in outputs:
        bodies.setdefault((output.stream, output.first), []).append(decode(output.record).body)
    return bodies


def test_an_order_is_a_function_of_its_number() -> None:
    assert Orders(ACCOUNTS).record(7) == Orders(ACCOUNTS).record(7) != Orders(ACCOUNTS).record(8)


def test_an_order_is_under_the_key_of_its_debtor() -> None:
    record = Orders(ACCOUNTS).record(7)

    assert decode(record).first == decode(record).last == hash_key(transfer_of(record).debtor.account)


def test_accounts_together_give_the_orders_of_all() -> None:
    orders = Orders(ACCOUNTS)

    given = sum(orders.orders_a_day(account) for account in range(ACCOUNTS))

    assert given == pytest.approx(ACCOUNTS * ORDERS_A_DAY)


def test_a_retry_is_answered_as_a_repeat() -> None:
    orders, stage = Orders(ACCOUNTS), a_stage_with_a_past()

    stage.feed_bytes(*(orders.record(number) for number in range(RETRY_EVERY)))

    assert [type(outcome) for outcome in stage.emitted(OUTCOMES)].count(PaymentRepeated) == 1


def test_what_accounts_with_a_past_order_is_usual_for_them() -> None:
    orders, stage = Orders(ACCOUNTS), a_stage_with_a_past(claims=100)

    stage.feed_bytes(*(orders.record(number) for number in range(1_000)))

    assert len(stage.emitted(CLEARING)) > 900


def test_the_past_holds_every_account_and_every_claim() -> None:
    stage = a_stage_with_a_past(claims=100)

    assert stage.store.get(b"k" + hash_key(token(ACCOUNTS - 1)) + b"\x11GBP") is not None
    assert len(list(stage.store.scan(b"g", b"h"))) == 100


def test_the_agents_put_out_the_same_where_another_engine_keeps_their_state() -> None:
    orders, stage = Orders(ACCOUNTS), a_stage_with_a_past()
    agents = KeyedAgents(AUTHORISE, a_stage_with_a_past().store, b"test/payments/shard-0")
    records = [orders.record(number) for number in range(500)]

    stage.forget_outputs()
    asyncio.run(stage.shard.process([Record(10, LATER_US, records)]))
    kept_elsewhere = [
        output
        for number, record in enumerate(records)
        for output in agents.take(agents.decode(Position(10, number).pack(), record))
    ]

    assert events_by_key(kept_elsewhere) == events_by_key(stage.publisher.outputs)


def test_a_key_goes_on_from_the_rows_that_were_taken_as_its_backup() -> None:
    record = Orders(ACCOUNTS).record(3)
    hashed = decode(record).first
    before = KeyedAgents(AUTHORISE, a_stage_with_a_past().store, b"test/payments/shard-0")
    before.take(before.decode(Position(1, 0).pack(), record))
    after = KeyedAgents(AUTHORISE, a_stage_with_a_past().store, b"test/payments/shard-0")

    after.restore(before.rows_of(hashed))
    (again,) = after.take(after.decode(Position(2, 0).pack(), record))

    assert again.stream == OUTCOMES  # its claim was in the rows: it is a repeat
    assert before.rows_of(hashed).keys() == after.rows_of(hashed).keys()
