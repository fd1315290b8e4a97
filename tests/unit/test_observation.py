"""What the metrics say of payments."""

from __future__ import annotations

import pytest

from agents.observation import PaymentMeter
from agents.streams import PAYMENTS
from agents.topology import AUTHORISE
from pipeline.observe.metrics import Metrics
from pipeline.ports import Record
from schemas.events import PaymentSubmitted
from tests.builders import PAYER, a_transfer, eur
from tests.stage_under_test import START_US, StageUnderTest
from tests.unit.settlement.builders import FOREIGN_BANK, SECOND_US, Clearing, a_clearing
from tests.unit.settlement.test_limbo import DEADLINE_US

SHARD = "shard-0"


class MeteredClearing:
    """A clearing whose outputs are counted, batch by batch."""

    def __init__(self, clearing: Clearing) -> None:
        self.clearing = clearing
        self.metrics = Metrics()
        self.meter = PaymentMeter(self.metrics, clearing.stage.shard, SHARD)

    def count(self) -> None:
        """Count what the clearing has put out since the last time."""
        self.meter.count([], self.clearing.stage.publisher.outputs, self.clearing.stage.now_us)
        self.clearing.forget()

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"stage": "settle", **labels})

    def limbo(self) -> tuple[float | None, float | None]:
        labels = {"shard": SHARD, "currency": "EUR"}
        return self.sample("payments_limbo", **labels), self.sample("payments_limbo_minor_units", **labels)


@pytest.fixture
def metered() -> MeteredClearing:
    return MeteredClearing(a_clearing())


def test_every_outcome_is_counted_by_what_it_is(metered: MeteredClearing) -> None:
    clearing = metered.clearing
    clearing.accept(clearing.order(1, amount=eur("10.00")))
    clearing.accept(clearing.order(2, amount=eur("10.00")))
    clearing.reject(clearing.order(3, amount=eur("10.00")))
    clearing.order(4, amount=eur("10.00"))
    clearing.stage.tick(clearing.stage.now_us + 60 * SECOND_US)
    metered.count()

    counted = {
        outcome: metered.sample("payments_outcomes_total", outcome=outcome)
        for outcome in ("settled", "rejected", "expired", "unknown")
    }
    assert counted == {"settled": 2, "rejected": 1, "expired": 1, "unknown": 0}


def test_a_payment_whose_outcome_is_unknown_is_in_limbo_until_it_is_known(metered: MeteredClearing) -> None:
    clearing = metered.clearing
    orders = [
        clearing.order(n, amount=eur("10.00"), creditor=FOREIGN_BANK, scheme="sct-inst-foreign") for n in (1, 2, 3)
    ]
    clearing.stage.tick(DEADLINE_US)
    metered.count()
    assert metered.limbo() == (3, 30_00)

    clearing.accept(orders[0])
    clearing.reject(orders[1])
    metered.count()
    assert metered.limbo() == (1, 10_00)

    clearing.accept(orders[2])
    metered.count()
    assert metered.limbo() == (0, 0)


def test_what_was_in_limbo_before_a_restart_still_is(metered: MeteredClearing) -> None:
    clearing = metered.clearing
    order = clearing.order(1, amount=eur("10.00"), creditor=FOREIGN_BANK, scheme="sct-inst-foreign")
    clearing.stage.tick(DEADLINE_US)
    clearing.restart()
    clearing.forget()

    again = MeteredClearing(clearing)
    assert again.limbo() == (1, 10_00)
    clearing.accept(order)
    again.count()
    assert again.limbo() == (0, 0)


def test_a_shard_that_is_given_up_shows_no_limbo(metered: MeteredClearing) -> None:
    metered.clearing.order(1, amount=eur("10.00"), creditor=FOREIGN_BANK, scheme="sct-inst-foreign")
    metered.clearing.stage.tick(DEADLINE_US)
    metered.count()
    metered.meter.forget()
    assert metered.limbo() == (None, None)


def test_a_decision_took_from_submission_to_commit() -> None:
    stage = StageUnderTest(AUTHORISE)
    metrics = Metrics()
    meter = PaymentMeter(metrics, stage.shard, SHARD)
    submitted = stage.record(PAYER, PaymentSubmitted(a_transfer(1)), at_us=START_US)
    tick = b"\x01\x00\x00\x01" + bytes(100)

    meter.count([Record(1, START_US, [submitted, tick])], [], START_US + 25_000)

    labels = {"stage": "authorise"}
    assert metrics.registry.get_sample_value("payments_decision_seconds_sum", labels) == pytest.approx(0.025)
    assert metrics.registry.get_sample_value("payments_decision_seconds_count", labels) == 1
    assert metrics.registry.get_sample_value("payments_decision_seconds_bucket", {**labels, "le": "0.02"}) == 0
    assert AUTHORISE.source_stream == PAYMENTS
