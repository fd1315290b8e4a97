"""What everybody must hear enters one shard and is broadcast from there: a change of behaviour too."""

from __future__ import annotations

import pytest

from agents.streams import CLEARING, CONTROL, PARKED, PAYMENTS
from agents.topology import CONTROL as CONTROL_STAGE
from pipeline.kernel.system_events import BehaviourActivated, Parked
from schemas.events import BehaviourOrdered
from tests.stage_under_test import StageUnderTest


@pytest.mark.parametrize(
    ("stage", "stream", "other"), [("authorise", PAYMENTS, CLEARING), ("settle", CLEARING, PAYMENTS)]
)
def test_an_ordered_behaviour_is_activated_on_every_shard_of_its_stage_and_nowhere_else(
    stage: str, stream: str, other: str
) -> None:
    control = StageUnderTest(CONTROL_STAGE)

    control.feed(CONTROL, BehaviourOrdered(stage, 2))

    assert control.emitted(stream) == [BehaviourActivated(2)]
    assert control.emitted(other) == []


def test_an_order_for_a_stage_that_is_none_is_parked_and_says_which_there_are() -> None:
    control = StageUnderTest(CONTROL_STAGE)

    control.feed(CONTROL, BehaviourOrdered("settel", 2))

    (parked,) = control.emitted(PARKED)
    assert isinstance(parked, Parked)
    assert parked.reason == "no stage 'settel' takes orders; authorise and settle do"
