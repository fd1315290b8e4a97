"""The product under KCL: payments from submission to settlement while shards are resharded and a daemon is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from tests.aws_under_test import aws_server
from tests.emulator import kinesis_local
from tests.emulator.kcl_under_test import FIRST, SECOND, daemons_of, environment_of, skip_unless_installed
from tests.emulator.payments_under_test import STAGES, Scene

pytestmark = [pytest.mark.emulator, pytest.mark.kcl, pytest.mark.e2e, pytest.mark.slow]

COUNT = 80


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    skip_unless_installed()
    with aws_server() as dynamodb:

        def settings(emulator: kinesis_local.KinesisLocal, account: str) -> Mapping[str, str]:
            return environment_of(emulator, account, dynamodb)

        scene = Scene(tmp_path, f"kcl:{kinesis_local.REGION}", {"worker": STAGES}, COUNT, settings)
        yield scene
        scene.close()


def test_payments_settle_once_whatever_is_split_merged_and_killed_meanwhile(scene: Scene) -> None:
    found = scene.run(split_a_source_and_destination, merge_a_destination, kill_a_daemon)

    assert found.settled_twice() == []
    assert found.not_ended_once() == {}
    assert len(found.settled()) >= COUNT // 2
    books = scene.books()
    assert books.problems() == []
    assert sorted(books.settled()) == sorted(found.settled())
    assert set(books.nets().values()) == {0}
    verdicts = scene.verify()
    assert [verdict for verdict in verdicts if not verdict.equal] == []
    assert {(verdict.stage, verdict.shard_id) for verdict in verdicts} >= {
        ("authorise", "shardId-000000000003"),
        ("settle", SECOND),
    }
    assert len(verdicts) == 1 + 4 + 3


def split_a_source_and_destination(scene: Scene) -> None:
    """Split a shard that the authorise stage reads, and that the settle stage puts credits into."""
    scene.split(PAYMENTS, FIRST)


def merge_a_destination(scene: Scene) -> None:
    """Merge the shards that both stages put outcomes into, and those that the settle stage reads."""
    scene.merge(OUTCOMES, FIRST, SECOND)
    scene.merge(CLEARING, FIRST, SECOND)


def kill_a_daemon(scene: Scene) -> None:
    """Kill one of the worker's daemons; its supervisor starts it anew."""
    worker = scene.fleet.member("worker").process
    assert worker is not None
    os.kill(daemons_of(worker.pid)[0], signal.SIGKILL)
