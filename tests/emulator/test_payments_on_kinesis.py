"""The product on Kinesis: real processes, payments from submission to settlement, and a replay from the stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.topology import AUTHORISE, CONTROL, SETTLE
from tests.emulator import kinesis_local
from tests.emulator.payments_under_test import SHARDS, Scene

pytestmark = [pytest.mark.emulator, pytest.mark.e2e]

COUNT = 24
WORKERS = {"authorise": (CONTROL, AUTHORISE), "settle": (SETTLE,)}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    log_name = f"kinesis:{kinesis_local.REGION}"
    scene = Scene(tmp_path, log_name, WORKERS, COUNT, kinesis_local.KinesisLocal.environment)
    yield scene
    scene.close()


def test_payments_settle_once_and_a_replay_of_the_streams_equals_what_was_live(scene: Scene) -> None:
    found = scene.run()

    assert found.settled_twice() == []
    assert found.not_ended_once() == {}
    assert len(found.settled()) >= COUNT // 2
    books = scene.books()
    assert books.problems() == []
    assert sorted(books.settled()) == sorted(found.settled())
    assert set(books.nets().values()) == {0}
    verdicts = scene.verify()
    assert [verdict for verdict in verdicts if not verdict.equal] == []
    assert len(verdicts) == 1 + 2 * SHARDS
    assert sum(verdict.records for verdict in verdicts) > COUNT
