"""The product on a Kinesis that has all its faults: real processes, payments up to settlement, and a replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.topology import AUTHORISE, CONTROL, SETTLE
from demo.stack.fault_proxy import Rates
from tests.emulator import kinesis_local
from tests.emulator.payments_under_test import SHARDS, Scene

pytestmark = [pytest.mark.emulator, pytest.mark.e2e]

COUNT = 80
WORKERS = {"authorise": (CONTROL, AUTHORISE), "settle": (SETTLE,)}


FAULTS = Rates(dropped=0.03, refused=0.03, slow=0.02, partial=0.1, expired=0.03)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    log_name = f"kinesis:{kinesis_local.REGION}"
    scene = Scene(tmp_path, log_name, WORKERS, COUNT, kinesis_local.KinesisLocal.environment, FAULTS)
    yield scene
    scene.close()


def test_payments_settle_once_and_a_replay_equals_what_was_live_whatever_kinesis_answers(scene: Scene) -> None:
    verdicts = scene.audited(scene.run())

    assert len(verdicts) == 1 + 2 * SHARDS
    assert sum(verdict.records for verdict in verdicts) > COUNT
    assert scene.proxy is not None
    happened = scene.proxy.happened()
    assert {fault: happened.get(fault, 0) for fault in FAULTS._fields if not happened.get(fault)} == {}
